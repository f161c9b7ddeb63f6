"""What is fuzzed: each parser that reads from outside, what it may refuse with, what holds of all that it takes."""

import asyncio
import importlib
import json
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.sync import samples, stories

from latchwork.domain.commands import Adopt, Expect, Extend, GrantPass, Ticket
from latchwork.domain.entries import Entry
from latchwork.domain.words import BankId, PassId, Role
from latchwork.edge import drivers, identity
from latchwork.edge.kiosk import papers
from latchwork.edge.kiosk.presses import Press
from latchwork.server.actions import roster, spreadsheet
from latchwork.server.actions.office import Declined
from latchwork.sync import audit, codec, exchange, keys, notes, receipts
from latchwork.sync.custody import Frontier

TESTS = Path(__file__).parents[1] / "tests"
CORPUS = Path(__file__).with_name("corpus")
BANK = BankId("5a" * 16)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()


@dataclass(frozen=True, slots=True)
class Target:
    read: Callable[[bytes], object]
    refuses: tuple[type[Exception], ...]
    """What `read` may raise, as its docstring says."""
    seeds: Callable[[], Iterable[bytes]]

    def try_out(self, data: bytes) -> None:
        """Raises whatever is a fault."""
        try:
            self.read(data)
        except self.refuses:
            return


def _entry(data: bytes) -> None:
    entry = codec.read_entry(data)
    assert codec.read_entry(codec.encode_entry(entry)) == entry


def _entries() -> Iterator[bytes]:
    for body in samples.SAMPLES:
        yield codec.encode_entry(Entry(BANK, 1, 7, samples.AT, body))


def _instruction(data: bytes) -> None:
    instruction = codec.read_instruction(data)
    codec.body_hash(data)
    assert codec.read_instruction(codec.encode_instruction(instruction)) == instruction


def _instructions() -> Iterator[bytes]:
    for body in (
        Adopt(2, samples.POLICY),
        Expect(samples.STAY, samples.ABOUT),
        GrantPass(PassId("6b" * 16), Role.COURIER, valid_until=samples.LATER, daily=True),
        Extend(samples.STAY),
    ):
        yield codec.encode_instruction(body)


def _message(data: bytes) -> None:
    message = exchange.unpack(data)
    assert exchange.unpack(exchange.pack(message)) == message
    if isinstance(message, exchange.Hello):
        exchange.greets_divided(message, 1, Frontier())
    elif isinstance(message, exchange.Up):
        exchange.grow(BANK, Frontier(), message, ())  # an empty log: nothing of it can overlap


def _messages() -> Iterator[bytes]:
    first = codec.encode_entry(Entry(BANK, 1, 0, samples.AT, samples.SAMPLES[0]))
    yield exchange.pack(exchange.Up(1, 2, 1, 0, (first,), Frontier().append(first)[0].root()))
    yield exchange.pack(exchange.Hello(BANK, PUBLIC, bytes(64), 1, 0, Frontier().root(), 0, {"wall": 1}, "boot", "1"))
    yield exchange.pack(exchange.Goodbye(exchange.Farewell.MALFORMED))


def _note(data: bytes) -> None:
    note = notes.read_note(data)
    notes.signers(note, (notes.Key(notes.origin(BANK, 1), PUBLIC),))
    notes.read_checkpoint(note.text)


def _notes() -> Iterator[bytes]:
    yield notes.signed_checkpoint(BANK, 1, 3, bytes(32), PUBLIC, KEY.sign)


def _ticket(data: bytes) -> None:
    keys.read_ticket(data.decode("latin-1"), {keys.key_id(PUBLIC): PUBLIC.hex()})


def _tickets() -> Iterator[bytes]:
    yield keys.sign_ticket(KEY, Ticket(BANK, PassId("6b" * 16), samples.AT, samples.LATER)).encode()


def _stickers() -> Iterator[bytes]:
    yield keys.sticker(BANK, PUBLIC).encode()


def _receipt(data: bytes) -> None:
    receipts.verify(data)


def _receipts() -> Iterator[bytes]:
    async def made() -> bytes:
        wall = await stories.wall()
        return stories.receipt(wall, await stories.collected(wall))

    yield asyncio.run(made())


def _log_heads() -> Iterator[bytes]:
    (note,) = _notes()
    yield msgspec.json.encode(audit.LogHead(BANK, 1, PUBLIC.hex(), note.decode()))


def _code_keys() -> Iterator[bytes]:
    yield json.dumps({"1": "00" * 32, "2": "5a" * 32}).encode()


def _press(data: bytes) -> None:
    msgspec.json.decode(data, type=Press)


def _presses() -> Iterator[bytes]:
    for press in ({"do": "code", "code": "123456"}, {"do": "report", "what": "damaged", "left": False}):
        yield json.dumps(press).encode()


def _papers(data: bytes) -> None:
    papers.read_papers(papers.read_people(data), data, data, None)


def _documents() -> Iterator[bytes]:
    yield b'[{"id":"5a","name":"J. D.","unit":"12"}]'
    yield b'{"name":"Elm Court","site":"Elm Street 4","columns":[["01","02"]],"carriers":{"dhx":"DHX"}}'
    yield b'{"dhx":{"prefixes":["RET"],"otherwise":"refuse"}}'


def _sheet(data: bytes) -> None:
    """What was taken in changes nothing when it comes again."""
    rows = spreadsheet.read(data).rows
    ids = map(str, count())
    made = roster.compare(rows, [], None, "49", lambda: next(ids)).created
    plan = roster.compare(rows, made, None, "49", lambda: next(ids))
    assert not plan.created and not plan.changed


def _sheets() -> Iterator[bytes]:
    yield "Name;Vorname;E-Mail;Wohnung\nWeiß;Jörg;j@example.org;3\n".encode("cp1252")
    yield 'id,name,unit,language\n1,"Ada ""A.""\nLovelace",7,de\n2,=cmd(),8,\n'.encode("utf-16")
    yield b"name,kind,key contact,phone,mobile\nPost room,department,Ada,,\nAda,,,030 (0) 1234-56,+49 171 1234567\n"


def _frames(decoder: Callable[[], Any]) -> Callable[[bytes], None]:
    def read(data: bytes) -> None:
        whole, apart = decoder(), decoder()
        frames = whole.feed(data)
        assert frames == [frame for byte in data for frame in apart.feed(bytes([byte]))]

    return read


def _vectors(protocol: str) -> Callable[[], Iterator[bytes]]:
    def seeds() -> Iterator[bytes]:
        for file in sorted((TESTS / "edge" / "drivers").glob("*vectors.json")):
            for vector in json.loads(file.read_text()):
                if vector["protocol"] == protocol:
                    yield bytes.fromhex(vector["hex"])

    return seeds


def _boards() -> Iterator[tuple[str, Target]]:
    """Every driver whose codec has a `Decoder`."""
    for found in pkgutil.iter_modules(drivers.__path__):
        if found.ispkg and (Path(str(found.module_finder.path)) / found.name / "codec.py").exists():  # type: ignore[union-attr]
            decoder = getattr(importlib.import_module(f"latchwork.edge.drivers.{found.name}.codec"), "Decoder", None)
            if decoder is not None:
                yield f"frames_{found.name}", Target(_frames(decoder), (), _vectors(found.name.replace("_", "-")))


TARGETS: dict[str, Target] = {
    "entry": Target(_entry, (codec.Unreadable, codec.TooLarge), _entries),
    "instruction": Target(_instruction, (), _instructions),
    "exchange": Target(_message, (codec.Unreadable,), _messages),
    "note": Target(_note, (notes.BadNote,), _notes),
    "ticket": Target(_ticket, (keys.BadTicket,), _tickets),
    "sticker": Target(lambda data: keys.read_sticker(data.decode("latin-1")), (ValueError,), _stickers),
    "receipt": Target(_receipt, (receipts.BadReceipt,), _receipts),
    "log": Target(audit.read_log_head, (ValueError,), _log_heads),
    "codekeys": Target(identity.read_code_keys, (ValueError,), _code_keys),
    "press": Target(_press, (msgspec.DecodeError, UnicodeError, RecursionError), _presses),
    "csv": Target(_sheet, (Declined,), _sheets),
    "papers": Target(_papers, (), _documents),
    **dict(_boards()),
}
