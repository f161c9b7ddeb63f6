"""A stay's receipt: its entries as a bank wrote them, in words, with the proof that they stand in the log it signed.

Pure, at both ends: `build` makes the JSON, `verify` believes nothing in it that does not follow from the entries' bytes
and the bank's key. The same rules are written once more in `server/web/verify.html`, for a browser. The words of a kind
are permanent, like its format: whoever verifies makes them anew and compares.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import msgspec

from latchwork.domain.words import BankId
from latchwork.sync.codec import Unreadable, read_envelope
from latchwork.sync.custody import leaf_hash, verify_inclusion
from latchwork.sync.keys import key_id
from latchwork.sync.notes import (
    BadNote,
    Key,
    Kind,
    Note,
    base64_of,
    origin,
    read_checkpoint,
    read_note,
    signers,
    unbase64,
)

FORMAT = "latchwork receipt 1"
RECEIPT_BYTES_MAX = 8 * 1024 * 1024

WORDS: Mapping[str, str] = {
    "Amended": "Its terms were changed",
    "Answered": "The wall answered an instruction about it",
    "Cancelled": "It was called off",
    "Claimed": "Door {door} was chosen for it",
    "Closed": "Door {door} closed",
    "Collected": "It was collected from door {door}",
    "Expected": "The wall expects it",
    "Expired": "Its time was over",
    "Lapsed": "Door {door} was not opened any more",
    "Moved": "It was moved to door {door}",
    "NoProof": "Door {door} did not show that it opened",
    "NotDelivered": "It was not delivered",
    "NotOpened": "Door {door} did not open",
    "Opened": "Door {door} opened",
    "PassGranted": "A code for it was made",
    "Recalled": "It was taken back from door {door}",
    "Recovered": "An entry of an earlier life of this log was taken over",
    "Released": "Door {door} was given up again",
    "Removed": "It was taken out of door {door} by staff",
    "Reported": "The recipient said what was found",
    "SessionBegan": "Somebody signed in for it",
    "Stored": "It was put into door {door}",
    "Unlocked": "Door {door} was unlocked",
    "Unresolved": "The power went off while door {door} was opening",
    "Wanted": "Door {door} was asked to open",
}
_NOTED = ("refusal", "why", "reason", "purpose")
"""Of these fields of an entry, the first that has a word is told."""


class BadReceipt(ValueError):
    """Not to be believed; says why, as a sentence without its full stop."""


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    index: int
    at: str
    words: str
    bytes: str
    path: tuple[str, ...]


class _Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    bank: str
    epoch: int
    key: str
    witness: str | None
    checkpoint: str
    entries: tuple[_Entry, ...]


class _Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    stays: tuple[str, ...]
    logs: tuple[_Log, ...]


@dataclass(frozen=True, slots=True)
class Proven:
    """Entries of one log, in their order, each with its inclusion path to the root of `note`."""

    bank: BankId
    epoch: int
    key: bytes
    """The device key that signed `note`."""
    note: Note
    witness: Key | None
    """Whose countersignature counts, if there is one."""
    entries: Sequence[tuple[bytes, Sequence[bytes]]]


@dataclass(frozen=True, slots=True)
class Line:
    bank: BankId
    epoch: int
    index: int
    at: str
    words: str


@dataclass(frozen=True, slots=True)
class SignedLog:
    """What the lines of one log rest on: its first `size` entries had `root`, says who holds `key`."""

    bank: BankId
    epoch: int
    size: int
    root: bytes
    key: bytes
    witness: Key | None
    witnessed_at: datetime | None
    witness_checked: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """The receipt is sound in itself. Only with `bank_key_checked` does it prove anything."""

    stays: tuple[str, ...]
    lines: tuple[Line, ...]
    logs: tuple[SignedLog, ...]
    bank_key_checked: bool


def words(kind: str, body: Mapping[str, Any]) -> str:
    """An entry as a sentence. A kind that has no words of its own is told by its name."""
    door = body.get("compartment")
    text = WORDS.get(kind)
    if text is not None:
        text = text.replace("{door}", door if isinstance(door, str) else "?")
    elif re.fullmatch(r"[A-Za-z0-9]{1,64}", kind):
        text = re.sub(r"(?<=.)(?=[A-Z])", " ", kind).lower()
        text = text[0].upper() + text[1:] + (f", door {door}" if isinstance(door, str) else "")
    else:
        text = "Something else"
    if body.get("presumed") is True:
        text += ", presumably"
    note = next((body[field] for field in _NOTED if isinstance(body.get(field), str)), None)
    return text if note is None else f"{text} ({note.replace('_', ' ')})"


class Subject:
    """Tells what speaks of some stays: what names one, and what the doors did that were opened for them."""

    def __init__(self, stays: Collection[str]) -> None:
        self._stays = frozenset(stays)
        self._openings: set[str] = set()
        self.named: set[str] = set()

    def concerns(self, body: Mapping[str, Any]) -> bool:
        """Ask in the order of the log: an opening is known from what names the stay."""
        found = self._stays.intersection(_texts(body))
        self.named |= found
        opening = body.get("opening")
        if found and isinstance(opening, str):
            self._openings.add(opening)
        return bool(found) or opening in self._openings


def body_of(raw: bytes) -> tuple[str, str, Mapping[str, Any]]:
    """When, what kind, and the fields of an entry of any kind. Raises Unreadable."""
    read_envelope(raw)
    try:
        _, _, _, _, at, kind, body = json.loads(raw)
    except (ValueError, RecursionError):
        raise Unreadable("not JSON as everybody reads it") from None
    if not isinstance(body, dict):
        raise Unreadable("an entry without fields")
    return at, kind, body


def build(stays: Collection[str], logs: Sequence[Proven]) -> bytes:
    """The receipt of those of `stays` that an entry names.

    Raises Unreadable, or BadNote where a note is not signed as it should be.
    """
    subject = Subject(stays)
    told = [_told(log, subject) for log in sorted(logs, key=lambda log: (log.bank, log.epoch))]
    return msgspec.json.encode(_Receipt(FORMAT, tuple(sorted(subject.named)), tuple(told)))


def _told(log: Proven, subject: Subject) -> _Log:
    key = Key(origin(log.bank, log.epoch), log.key)
    found = signers(log.note, [key, log.witness] if log.witness else [key])
    if key not in found:
        raise BadNote("not signed by the bank")
    witness = log.witness if log.witness in found else None
    signatures = [found[each] for each in (key, witness) if each is not None]
    entries = []
    for raw, path in log.entries:
        at, kind, body = body_of(raw)
        subject.concerns(body)
        steps = tuple(base64_of(step) for step in path)
        entries.append(_Entry(read_envelope(raw).seq, at, words(kind, body), base64_of(raw), steps))
    checkpoint = bytes(Note(log.note.text, tuple(signatures))).decode()
    named = str(witness) if witness else None
    return _Log(log.bank, log.epoch, log.key.hex(), named, checkpoint, tuple(entries))


def verify(raw: bytes, keys: Collection[bytes] = ()) -> Verdict:
    """What a receipt proves. `keys` are public keys that are known to be right: those of walls, and of a witness.

    Without `keys` it is only consistent with the key that it carries itself. Raises BadReceipt.
    """
    receipt = _read(raw)
    if receipt.format != FORMAT:
        raise BadReceipt(f"it is not a {FORMAT}")
    if not receipt.logs or not _ascending(receipt.stays) or not receipt.stays:
        raise BadReceipt("it names no stay and no log, or not in their order")
    if not _ascending([(log.bank, log.epoch) for log in receipt.logs]):
        raise BadReceipt("its logs are not in their order")
    subject = Subject(receipt.stays)
    logs, lines = [], []
    for log in receipt.logs:
        signed = _signed(log, keys)
        logs.append(signed)
        lines += _lines(log, signed, subject)
    if subject.named != set(receipt.stays):
        raise BadReceipt("no entry names the stay that it is said to be about")
    return Verdict(receipt.stays, tuple(lines), tuple(logs), bool(keys))


def _read(raw: bytes) -> _Receipt:
    if len(raw) > RECEIPT_BYTES_MAX:
        raise BadReceipt(f"it has {len(raw)} bytes, more than {RECEIPT_BYTES_MAX}")
    try:
        return msgspec.convert(json.loads(raw.decode(), object_pairs_hook=_fields), _Receipt)
    except (ValueError, RecursionError) as error:  # also msgspec's and UTF-8's
        raise BadReceipt(f"it is not a receipt: {error}") from None


def _fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field stands in it twice")
    return fields


def _signed(log: _Log, keys: Collection[bytes]) -> SignedLog:
    where = f"log {log.bank} {log.epoch}"
    public = _hex(log.key, f"{where}: the key")
    if keys and public not in keys:
        raise BadReceipt(f"{where}: it is signed with key {key_id(public)}, which is not one that you gave")
    try:
        key = Key(origin(BankId(log.bank), log.epoch), public)
        witness = Key.read(log.witness) if log.witness is not None else None
        note = read_note(log.checkpoint.encode())
        checkpoint = read_checkpoint(note.text)
        if checkpoint.origin != key.name or checkpoint.extensions:
            raise BadNote("it is of another log")
        expected = [key] if witness is None else [key, witness]
        found = signers(note, expected)
        if [(s.name, s.key_id) for s in note.signatures] != [(each.name, each.id) for each in expected]:
            raise BadNote("it has other signatures than the receipt says")
        if witness is not None and witness.kind is not Kind.COSIGNATURE:
            raise BadNote("its witness has a key of another kind")
        at = found[witness].at if witness is not None else None
    except ValueError as error:  # BadNote, and a text that has no bytes
        raise BadReceipt(f"{where}: its checkpoint: {error}") from None
    checked = witness is not None and witness.public in keys
    return SignedLog(BankId(log.bank), log.epoch, checkpoint.size, checkpoint.root, public, witness, at, checked)


def _lines(log: _Log, signed: SignedLog, subject: Subject) -> list[Line]:
    if not log.entries or not _ascending([entry.index for entry in log.entries]):
        raise BadReceipt(f"log {log.bank} {log.epoch}: its entries are not in their order")
    lines = []
    for entry in log.entries:
        where = f"entry {entry.index}"
        raw = unbase64(entry.bytes, f"{where}: it", BadReceipt)
        path = [unbase64(step, f"{where}: its proof", BadReceipt) for step in entry.path]
        if not verify_inclusion(leaf_hash(raw), entry.index, signed.size, path, signed.root):
            raise BadReceipt(f"{where}: its bytes do not stand at this place of the log that was signed")
        try:
            envelope = read_envelope(raw)
            at, kind, body = body_of(raw)
        except Unreadable as error:
            raise BadReceipt(f"{where}: {error}") from None
        if (envelope.bank, envelope.epoch, envelope.seq) != (signed.bank, signed.epoch, entry.index):
            raise BadReceipt(f"{where}: it calls itself {envelope.bank} {envelope.epoch}/{envelope.seq}")
        if (entry.at, entry.words) != (at, words(kind, body)):
            raise BadReceipt(f"{where}: what is said of it is not what its bytes say: {at} {words(kind, body)}")
        if not subject.concerns(body):
            raise BadReceipt(f"{where}: it does not speak of this stay")
        lines.append(Line(signed.bank, signed.epoch, entry.index, at, entry.words))
    return lines


def _texts(body: Mapping[str, Any]) -> Iterator[str]:
    """Every text in it, however deep."""
    inside: list[Any] = [body]
    while inside:
        value = inside.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping | list):
            inside += value.values() if isinstance(value, Mapping) else value


def _ascending(values: Sequence[Any]) -> bool:
    return all(a < b for a, b in pairwise(values))


def _hex(text: str, what: str) -> bytes:
    if re.fullmatch(r"[0-9a-f]{64}", text) is None:
        raise BadReceipt(f"{what}: not 64 hex digits")
    return bytes.fromhex(text)
