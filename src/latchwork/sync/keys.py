"""Codes, tickets and device signatures: the few uses of keys that both ends share. Pure: keys arrive as arguments.

Three kinds of key (rule 25): a device key signs for a bank, a code key per bank and generation makes and finds
digits, a ticket key signs QR codes. Randomness is the caller's.
"""

import base64
import binascii
import hmac
import re
import struct
from datetime import UTC, datetime
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from latchwork.domain.commands import Offer, Ticket
from latchwork.domain.words import BankId, InstructionId, Lookup, PassId

CODES_OFFERED = 8
TICKET_PREFIX = "LW1."
_STICKER = re.compile(r"(?:latchwork bank \S+\s+)?(?:key ([0-9a-f]{8})\s+)?((?:[0-9a-f]\s*){64})")
_TICKET = struct.Struct(">4s16s16sII")


def code_key(master: bytes, bank: BankId, generation: int) -> bytes:
    """The 32-byte key of a bank's codes, from the master secret. HKDF-SHA256, RFC 5869."""
    info = b"latchwork code key\0" + bank.encode() + b"\0" + str(generation).encode()
    return HKDF(SHA256(), 32, None, info).derive(master)


def photo_key(key: bytes) -> bytes:
    """The 32-byte key of a bank's pictures, from its code key: who has the master secret can read them too."""
    return HKDF(SHA256(), 32, None, b"latchwork photo key").derive(key)


def digits_of(key: bytes, pass_id: PassId, n: int, digits: int) -> str:
    """The digits of a pass: a truncation of HMAC(code key, pass id, n)."""
    mac = hmac.digest(key, b"digits\0" + pass_id.encode() + b"\0" + str(n).encode(), "sha256")
    return str(int.from_bytes(mac[:16]) % 10**digits).zfill(digits)


def code_lookup(key: bytes, digits: str) -> Lookup:
    """What the core finds typed digits by."""
    return Lookup(hmac.digest(key, b"code\0" + digits.encode(), "sha256")[:16].hex())


def label_lookup(key: bytes, label: str) -> Lookup:
    """What the core finds a scanned label by: spaces and case do not count."""
    text = "".join(label.split()).upper()
    return Lookup(hmac.digest(key, b"label\0" + text.encode(), "sha256")[:16].hex())


def card_lookup(key: bytes, number: str) -> Lookup:
    """What the core finds a card by. Its number is in hex or decimal; spaces and case do not count."""
    text = "".join(number.split()).upper()
    return Lookup(hmac.digest(key, b"card\0" + text.encode(), "sha256")[:16].hex())


def offer(key: bytes, generation: int, pass_id: PassId, digits: int, first: int = 0) -> Offer:
    """A pass with several codes to choose from: those of n = `first` and after."""
    ns = range(first, first + CODES_OFFERED)
    lookups = tuple(code_lookup(key, digits_of(key, pass_id, n, digits)) for n in ns)
    return Offer(pass_id, generation, digits, lookups, first)


def key_id(public: bytes) -> str:
    """The first four bytes of SHA-256 over a public key, in hex."""
    return sha256(public).hexdigest()[:8]


def sticker(bank: BankId, public: bytes) -> str:
    """What is printed and stuck to a wall: whose it is, and the key by which anybody checks what it signed."""
    digits = public.hex()
    lines = (" ".join(digits[i : i + 4] for i in range(start, start + 32, 4)) for start in (0, 32))
    return "\n".join((f"Latchwork bank {bank}", f"key {key_id(public)}", *lines))


def read_sticker(text: str) -> bytes:
    """The key on a sticker, or in hex by itself, however it is spaced. Raises ValueError."""
    found = _STICKER.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError("not a key: 64 hex digits, as they stand on the wall's sticker")
    public = bytes.fromhex("".join(found[2].split()))
    if found[1] not in (None, key_id(public)):
        raise ValueError(f"not the key {found[1]} that it is said to be: its digits are those of {key_id(public)}")
    return public


def sign_ticket(key: Ed25519PrivateKey, ticket: Ticket) -> str:
    """The text of a QR code: alphanumeric, about 200 characters. Bank and pass ids are 32 hex digits."""
    public = key.public_key().public_bytes_raw()
    payload = _TICKET.pack(
        bytes.fromhex(key_id(public)),
        bytes.fromhex(ticket.bank),
        bytes.fromhex(ticket.pass_id),
        int(ticket.not_before.timestamp()),
        int(ticket.not_after.timestamp()),
    ) + bytes.fromhex(ticket.of or "")
    signature = key.sign(_signed(payload))
    return TICKET_PREFIX + base64.b32encode(payload + signature).decode().rstrip("=")


class BadTicket(Exception):
    """Says why."""


def read_ticket(text: str, keys: dict[str, str]) -> Ticket:
    """The ticket of a QR code whose signature is good. Raises BadTicket; `keys` are public keys in hex by id."""
    body = text.removeprefix(TICKET_PREFIX)
    if body == text or len(body) > 300:
        raise BadTicket("not a Latchwork code")
    try:
        raw = base64.b32decode(body + "=" * (-len(body) % 8))
    except (binascii.Error, ValueError):
        raise BadTicket("not a Latchwork code") from None
    if len(raw) - 64 not in (_TICKET.size, _TICKET.size + 16) or base64.b32encode(raw).decode().rstrip("=") != body:
        raise BadTicket("not a Latchwork code")
    payload, signature = raw[:-64], raw[-64:]
    signer, bank, pass_id, not_before, not_after = _TICKET.unpack_from(payload)
    of = PassId(payload[_TICKET.size :].hex())
    public = keys.get(signer.hex())
    if public is None:
        raise BadTicket("signed with a key that this wall was not told of")
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(signature, _signed(payload))
    except (InvalidSignature, ValueError):
        raise BadTicket("signature does not match") from None
    since, until = (datetime.fromtimestamp(t, UTC) for t in (not_before, not_after))
    return Ticket(BankId(bank.hex()), PassId(pass_id.hex()), since, until, of or None)


def _signed(payload: bytes) -> bytes:
    """A second kind says besides by whose pass somebody is sent."""
    return (b"latchwork ticket 1\0" if len(payload) == _TICKET.size else b"latchwork ticket 2\0") + payload


def hello_text(bank: BankId, nonce: bytes) -> bytes:
    """What a device signs to prove itself to a server that just drew `nonce`."""
    return b"latchwork hello 1\0" + bank.encode() + b"\0" + nonce


def enrol_text(code: str, public: bytes) -> bytes:
    """What a device signs to show that the key it enrols is its own."""
    return b"latchwork enrol 1\0" + code.encode() + b"\0" + public


def rotation_text(bank: BankId, old: bytes, new: bytes) -> bytes:
    """What a device signs with both its keys, so that the new one takes the old one's place."""
    return b"latchwork rotation 1\0" + bank.encode() + b"\0" + old + new


def instruction_text(bank: BankId, instruction: InstructionId, until: datetime, body: bytes) -> bytes:
    """What a guard signs so that a guarded bank does it, until then. `until` counts in whole seconds."""
    head = f"latchwork instruction 1\0{bank}\0{instruction}\0{int(until.timestamp())}\0"
    return head.encode() + body


def signed_in_hex(public: str, signature: str, text: bytes) -> bool:
    try:
        return signed_by(bytes.fromhex(public), bytes.fromhex(signature), text)
    except ValueError:
        return False


def signed_by(public: bytes, signature: bytes, text: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True
