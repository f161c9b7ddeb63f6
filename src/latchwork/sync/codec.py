"""The versioned wire and storage format. An entry is the bytes that its bank wrote, never encoded twice.

An entry is a JSON array `[version, bank, epoch, seq, at, kind, body]` of at most 16 KiB. Reading is strict about the
envelope and lenient about unknown body fields, so that an old reader survives a new field. An unknown kind or version
is `Unreadable`: whoever reads decides what that means (the cloud stores it and raises a task, a bank stops).
"""

import re
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal

import msgspec

from latchwork.domain import commands
from latchwork.domain.entries import Body, Entry
from latchwork.domain.words import BankId

VERSION = 1
ENTRY_BYTES_MAX = 16 * 1024
KIND_CHARACTERS_MAX = 64
"""Of a kind's name, so much is kept in a column beside the entry."""
_EPOCH_MAX, _SEQ_MAX = 2**31 - 1, 2**53
YEARS = range(1970, 2200)
"""Times outside these are nobody's, and not to be reckoned with."""
_IMPLAUSIBLE = re.compile(
    rb'"(?:0\d|1[0-8]|19[0-6]|2[2-9]|[3-9]\d)\d+-\d\d-\d\d[Tt ]|"\d{4}-\d\d-\d\d[Tt ][\d:.]*"|\\u00[2-7]'
)
"""A time outside `YEARS`, or without a zone, as it stands in JSON; or what hides one, and nobody has to write so."""
NUMBER_MAX = 10_000_000
"""In an instruction; so many hours can still be added to a time."""

KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in Body.__subclasses__()}
INSTRUCTIONS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in commands.Instruction.__subclasses__() if kind is not commands.NotUnderstood
}

_encoder = msgspec.json.Encoder()


class TooLarge(ValueError):
    """What should be recorded does not fit into an entry."""


class Unreadable(ValueError):
    """These bytes are not what they should be; says why."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """An entry's outside, readable even where its kind is not known here."""

    version: int
    bank: BankId
    epoch: int
    seq: int
    at: datetime
    kind: str
    body: msgspec.Raw


_Envelope = tuple[int, str, int, int, datetime, str, msgspec.Raw]
_envelope_decoder = msgspec.json.Decoder(_Envelope)
_body_decoders = {name: msgspec.json.Decoder(kind) for name, kind in KINDS.items()}
_instruction_decoders = {name: msgspec.json.Decoder(kind) for name, kind in INSTRUCTIONS.items()}


def encode_entry(entry: Entry) -> bytes:
    """Raises TooLarge."""
    kind = type(entry.body).__name__
    raw = _encoder.encode((VERSION, entry.bank, entry.epoch, entry.seq, entry.at, kind, entry.body))
    if len(raw) > ENTRY_BYTES_MAX:
        raise TooLarge(f"{kind}: {len(raw)} bytes, more than {ENTRY_BYTES_MAX}")
    return raw


def read_envelope(raw: bytes) -> Envelope:
    """Raises Unreadable unless `raw` is a well-framed entry, of whatever kind."""
    if len(raw) > ENTRY_BYTES_MAX:
        raise Unreadable(f"an entry of {len(raw)} bytes, more than {ENTRY_BYTES_MAX}")
    try:
        version, bank, epoch, seq, at, kind, body = _envelope_decoder.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Unreadable(f"not an entry: {error}") from None
    if at.tzinfo is None or version < 1 or not 1 <= epoch <= _EPOCH_MAX or not 0 <= seq <= _SEQ_MAX:
        raise Unreadable("not an entry: envelope out of range")
    if b"\\u0000" in raw:  # no id has it, and PostgreSQL holds no text with it
        raise Unreadable("not an entry: a NUL character")
    return Envelope(version, BankId(bank), epoch, seq, at, kind, body)


def read_body(envelope: Envelope) -> Body:
    """Raises Unreadable for a kind or version that this software does not know."""
    decoder = _body_decoders.get(envelope.kind) if envelope.version == VERSION else None
    if decoder is None:
        raise Unreadable(f"unknown kind of entry: {envelope.kind} in version {envelope.version}")
    try:
        body: Body = decoder.decode(envelope.body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Unreadable(f"{envelope.kind}: {error}") from None
    return body


def read_entry(raw: bytes) -> Entry:
    envelope = read_envelope(raw)
    return Entry(envelope.bank, envelope.epoch, envelope.seq, envelope.at, read_body(envelope))


def encode_instruction(body: commands.Instruction) -> bytes:
    """As `{"kind": {fields}}`: what is stored, hashed and sent."""
    return _encoder.encode({type(body).__name__: body})


def read_instruction(raw: bytes) -> commands.Instruction:
    """What this version cannot read becomes `NotUnderstood`, so that it gets its answer."""
    try:
        ((kind, body),) = msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).items()
        instruction: commands.Instruction = _instruction_decoders[kind].decode(body)
        all_read = _covers(msgspec.to_builtins(instruction), msgspec.json.decode(body))
        all_read = all_read and _can_be_reckoned(msgspec.to_builtins(instruction, builtin_types=(datetime,)))
    except (msgspec.MsgspecError, ValueError, KeyError, RecursionError):
        return commands.NotUnderstood()
    return instruction if all_read else commands.NotUnderstood()


def _covers(known: Any, said: Any) -> bool:
    """Whether every field that was said is one that we know: an unknown one may be a restriction."""
    if isinstance(said, dict) and isinstance(known, dict):
        return all(key in known and _covers(known[key], value) for key, value in said.items())
    if isinstance(said, list) and isinstance(known, list | tuple):
        return all(map(_covers, known, said))
    return True


def is_plausible(at: datetime) -> bool:
    return at.tzinfo is not None and at.year in YEARS


def tells_implausible_times(body: msgspec.Raw) -> bool:
    """Of an entry, which whoever pretends to be a bank may have made up."""
    return _IMPLAUSIBLE.search(body) is not None


def _can_be_reckoned(value: Any) -> bool:
    """Whether no time and no number in it would make a sum fail, at once or at somebody's parcel days later."""
    if isinstance(value, datetime):
        return is_plausible(value)
    if isinstance(value, int | float):
        return abs(value) <= NUMBER_MAX
    if isinstance(value, dict):
        value = value.values()
    return isinstance(value, str | None) or all(map(_can_be_reckoned, value))


class Signature(msgspec.Struct, frozen=True):
    """Over `keys.instruction_text`, by a key that is kept outside the server. Both in hex."""

    key: str
    signature: str


class Signed(msgspec.Struct, frozen=True):
    """An instruction's bytes with what was signed over them; sent in their place."""

    body: bytes
    until: datetime
    signatures: tuple[Signature, ...]


_signed_decoder = msgspec.json.Decoder(dict[Literal["Signed"], Signed])


def encode_signed(signed: Signed) -> bytes:
    return _encoder.encode({"Signed": signed})


def read_signed(raw: bytes) -> Signed | None:
    """None where these bytes are not signed."""
    try:
        (signed,) = _signed_decoder.decode(raw).values()
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return signed if is_plausible(signed.until) else None


def body_hash(raw: bytes) -> str:
    """The hash of an instruction's bytes that its answer carries, in hex."""
    return sha256(raw).hexdigest()
