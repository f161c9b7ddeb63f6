"""Code keys of several generations: the newest makes codes, and each finds what was given out under it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from tests.edge.test_loop import BANK, Edge
from tests.edge.test_talk import DEVICE, PUBLIC

from latchwork.domain import commands as c
from latchwork.domain.words import PassId, Role
from latchwork.edge import identity
from latchwork.edge.keyring import Keyring
from latchwork.edge.kiosk.photos import Photos
from latchwork.edge.talk import Talk
from latchwork.sync import keys
from latchwork.sync.custody import EMPTY_ROOT
from latchwork.sync.exchange import CODE_KEYS, Challenge, Document, Down

OLD, NEW = b"k" * 32, b"n" * 32
COURIER, STAFF = PassId("c" * 32), PassId("d" * 32)


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    edge = Edge(tmp_path / "journal")
    yield edge
    edge.journal.close()


async def test_an_old_code_is_found_and_given_to_nobody_else(edge: Edge, tmp_path: Path) -> None:
    await edge.set_up()
    courier = edge.loop.bank.passes[COURIER].grant
    edge.loop.keyring = keyring = Keyring(NEW, 2, lambda: uuid4().hex, (OLD,))
    codes = edge.loop.bank.codes
    typed = keys.digits_of(OLD, COURIER, courier.n, courier.digits)
    assert keyring.code(typed, codes) == courier.lookup
    assert keyring.code("0" * 8, codes) == keys.code_lookup(NEW, "0" * 8), "nobody's: as the newest key has it"

    first = keys.digits_of(NEW, STAFF, 0, keyring.offer(edge.loop.bank, STAFF, Role.STAFF).digits)
    edge.loop.bank = replace(edge.loop.bank, codes=codes.put(keys.code_lookup(OLD, first), COURIER))
    await edge.obey(c.GrantPass(STAFF, Role.STAFF))
    given = edge.loop.bank.passes[STAFF].grant
    assert (given.generation, given.n) == (2, 1), "somebody has the first one by the older key"
    assert given.lookup == keys.code_lookup(NEW, keys.digits_of(NEW, STAFF, 1, given.digits))

    photos = Photos(tmp_path / "photos", OLD)
    old = photos.keep(b"\xff\xd8\xff old")
    photos.use_keys(NEW, OLD)
    assert photos.find(old) == b"\xff\xd8\xff old"
    assert Photos(tmp_path / "photos", NEW).find(old) is None


async def test_keys_that_the_server_hands_down_stand_with_the_identity_and_in_no_journal(
    edge: Edge, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    who = identity.Identity(BANK, DEVICE.private_bytes_raw().hex(), OLD.hex(), 1)
    (state / "identity.json").write_bytes(msgspec.json.encode(who))
    await edge.start()

    def heed(name: str, body: bytes) -> None:
        assert name == CODE_KEYS
        identity.take_code_keys(state, body)

    talk = Talk(BANK, edge.loop, edge.journal, PUBLIC, DEVICE.sign, "boot", heed=heed)
    talk.hello(Challenge(b"nonce", edge.time.wall()), "test")
    broken: tuple[object, ...] = (
        {"2": "short"},
        {"2": "00"},
        {},
        ["x"],
        {"1": NEW.hex(), "2": NEW.hex()},
        {"2": NEW.hex()},
    )
    for n, said in enumerate((*broken, {"1": OLD.hex(), "2": NEW.hex()}), 1):
        body = Document(CODE_KEYS, 2, json.dumps(said).encode())
        await talk.hear(Down(n, 1, 1, 0, EMPTY_ROOT, edge.time.wall(), None, (), (body,)))
        assert edge.journal.documents().get(CODE_KEYS) == (None if n <= len(broken) else 2)
    assert edge.journal.document(CODE_KEYS) == b""
    taken = identity.load(state)
    assert taken is not None
    assert (taken.code_key, taken.generation, taken.older) == (NEW.hex(), 2, {1: OLD.hex()})
    assert (state / "identity.json").stat().st_mode & 0o777 == 0o600
    with pytest.raises(OSError, match="are none"):
        identity.take_code_keys(state, json.dumps({"1": OLD.hex()}).encode())  # never back
