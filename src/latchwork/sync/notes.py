"""Signed notes and checkpoints as C2SP writes them: a text, and who put their name under it.

A note is a text with signature lines (c2sp.org/signed-note). A checkpoint is a note whose text states a log's origin,
size and root (c2sp.org/tlog-checkpoint). A witness signs a time along with it (c2sp.org/tlog-cosignature). Where those
leave a choice we take the narrow side: base64 has one spelling, and a root has 32 bytes.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from hashlib import sha256

from latchwork.domain.words import BankId
from latchwork.sync.custody import HASH_BYTES
from latchwork.sync.keys import signed_by

NOTE_BYTES_MAX = 256 * 1024
SIGNATURES_MAX = 100
_LINE = re.compile(r"— ([^\s+]+) (\S+)")
_NAME = re.compile(r"[^\s+\x00-\x1f]+")
_VKEY = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+(\S+)")
_SIZE = re.compile(r"0|[1-9][0-9]{0,19}")
_SIGNATURE_BYTES, _TIME_BYTES = 64, 8

Sign = Callable[[bytes], bytes]
"""Makes an Ed25519 signature."""


class BadNote(ValueError):
    """Not a note, not a checkpoint, or not signed by whom it should be; says why."""


class Kind(IntEnum):
    """What a key's signatures are: the type byte of the specification."""

    ED25519 = 1
    COSIGNATURE = 4
    """A witness's: it signs the time as well."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key with the name it signs under. As text, it is what others call a vkey."""

    name: str
    public: bytes
    kind: Kind = Kind.ED25519

    @property
    def id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64_of(bytes([self.kind]) + self.public)}"

    @staticmethod
    def read(text: str) -> "Key":
        """Raises BadNote unless `text` is `name+id+key` of an Ed25519 key, and the id is that of the key."""
        found = _VKEY.fullmatch(text)
        if found is None:
            raise BadNote("not a key: it should read name+id+key")
        raw = unbase64(found[3], "the key")
        if not raw or raw[0] not in list(Kind) or len(raw) != 33:
            raise BadNote("not an Ed25519 key")
        key = Key(found[1], raw[1:], Kind(raw[0]))
        if key.id.hex() != found[2]:
            raise BadNote("the id is not that of this name and key")
        return key


@dataclass(frozen=True, slots=True)
class Signature:
    """`value` is what follows the key's id."""

    name: str
    key_id: bytes
    value: bytes

    @property
    def at(self) -> datetime:
        """When a witness signed. Raises BadNote for a time outside the calendar."""
        try:
            return datetime.fromtimestamp(int.from_bytes(self.value[:_TIME_BYTES]), UTC)
        except (ValueError, OverflowError, OSError):
            raise BadNote("signed at a time outside the calendar") from None


@dataclass(frozen=True, slots=True)
class Note:
    """`text` ends in a newline."""

    text: str
    signatures: tuple[Signature, ...]

    def __bytes__(self) -> bytes:
        lines = (f"— {s.name} {base64_of(s.key_id + s.value)}\n" for s in self.signatures)
        return f"{self.text}\n{''.join(lines)}".encode()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log of `size` entries has this root. The size is below 2**64, the root an RFC 6962 root of SHA-256."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in (self.origin, self.size, base64_of(self.root), *self.extensions))


def origin(bank: BankId, epoch: int) -> str:
    """What the log of a bank's epoch is called, and the name under which its device key signs."""
    return f"latchwork/{bank}/{epoch}"


def read_note(raw: bytes) -> Note:
    """Raises BadNote unless `raw` is a well-formed note. Nothing is verified yet: do not believe the text."""
    if len(raw) > NOTE_BYTES_MAX:
        raise BadNote(f"a note of {len(raw)} bytes, more than {NOTE_BYTES_MAX}")
    try:
        whole = raw.decode()
    except UnicodeDecodeError:
        raise BadNote("a note that is not UTF-8") from None
    if re.search(r"[\x00-\x09\x0b-\x1f]", whole):
        raise BadNote("a note with a control character")
    text, blank, signed = whole.rpartition("\n\n")
    lines = signed.split("\n")
    if not blank or lines.pop() or not lines:
        raise BadNote("a note without an empty line and whole signature lines after it")
    if len(lines) > SIGNATURES_MAX:
        raise BadNote(f"a note with {len(lines)} signatures, more than {SIGNATURES_MAX}")
    return Note(f"{text}\n", tuple(map(_signature, lines)))


def read_checkpoint(text: str) -> Checkpoint:
    """The checkpoint that a note's text is. Raises BadNote."""
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() or not all(lines):
        raise BadNote("not a checkpoint: it needs an origin, a size and a root, each on a line of its own")
    if _SIZE.fullmatch(lines[1]) is None or int(lines[1]) >= 2**64:
        raise BadNote("not a checkpoint: its size is not a number as it should be written")
    root = unbase64(lines[2], "the root")
    if len(root) != HASH_BYTES:
        raise BadNote(f"not a checkpoint: a root of {len(root)} bytes")
    return Checkpoint(lines[0], int(lines[1]), root, tuple(lines[3:]))


def signature(text: str, key: Key, sign: Sign, at: datetime | None = None) -> Signature:
    """`sign` makes it with the private half of `key`. A cosignature needs the time `at`, in whole seconds.

    Raises ValueError where the text or the name cannot stand in a note.
    """
    if not text.endswith("\n") or re.search(r"[\x00-\x09\x0b-\x1f]", text) or _NAME.fullmatch(key.name) is None:
        raise ValueError("neither this text nor this name can be signed as a note")
    stamp = b"" if at is None else int(at.timestamp()).to_bytes(_TIME_BYTES)
    return Signature(key.name, key.id, stamp + sign(_message(text, key.kind, stamp)))


def signed_checkpoint(bank: BankId, epoch: int, size: int, root: bytes, public: bytes, sign: Sign) -> bytes:
    """What a bank says of its log: a note with one signature, by its device key."""
    key = Key(origin(bank, epoch), public)
    text = Checkpoint(key.name, size, root).text
    return bytes(Note(text, (signature(text, key, sign),)))


def signers(note: Note, keys: Iterable[Key]) -> dict[Key, Signature]:
    """Those of `keys` that signed. Signatures by others are ignored, whatever they are worth.

    Raises BadNote where one of `keys` did not sign what stands there in its name, or none signed at all.
    """
    known = {(key.name, key.id): key for key in keys}
    found: dict[Key, Signature] = {}
    for each in note.signatures:
        key = known.get((each.name, each.key_id))
        if key is None:
            continue
        stamp, value = each.value[:-_SIGNATURE_BYTES], each.value[-_SIGNATURE_BYTES:]
        wanted_bytes = 0 if key.kind is Kind.ED25519 else _TIME_BYTES
        good = len(stamp) == wanted_bytes and signed_by(key.public, value, _message(note.text, key.kind, stamp))
        if not good:
            raise BadNote(f"the signature of {key.name} is wrong")
        found.setdefault(key, each)
    if not found:
        raise BadNote("not signed by any of the keys that it should be signed by")
    return found


def _message(text: str, kind: Kind, stamp: bytes) -> bytes:
    if kind is Kind.ED25519:
        return text.encode()
    return f"cosignature/v1\ntime {int.from_bytes(stamp)}\n{text}".encode()


def _signature(line: str) -> Signature:
    found = _LINE.fullmatch(line)
    if found is None:
        raise BadNote("a line after the text that is no signature")
    raw = unbase64(found[2], "a signature")
    if len(raw) < 5:
        raise BadNote("a signature that is too short")
    return Signature(found[1], raw[:4], raw[4:])


def base64_of(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def unbase64(text: str, what: str, bad: type[ValueError] = BadNote) -> bytes:
    """Of the several spellings that decode to the same bytes, only the one that encoding gives. Raises `bad`."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not raw or base64_of(raw) != text:
        raise bad(f"{what} is not base64 as it should be written")
    return raw
