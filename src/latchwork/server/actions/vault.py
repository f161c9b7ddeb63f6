"""The server's secrets: made at the first start, kept in files of mode 0600, never in a row.

Everything secret is derived from a master secret, except the key that signs QR codes. A new master secret is put behind
those of before, and its place is its generation: what is new is made with the newest, what was given out before is
found by the one that it was made with.
"""

import base64
import binascii
import hmac
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from latchwork.domain.commands import Ticket
from latchwork.domain.words import BankId, Lookup, PassId
from latchwork.sync import keys
from latchwork.sync.notes import Key, Kind

MASTER = "master.secret"
SECRET_BYTES = 32
LINKS_KEPT = timedelta(days=90)
"""So long after a change of the master secret the links hold that were mailed before it."""
_LINK_BYTES = 16


class Unusable(Exception):
    """A secret is not what it should be. The message is a sentence for the operator."""


class Vault:
    """`since`: when each master secret became the newest, as the database has it."""

    def __init__(self, masters: Sequence[bytes], ticket_key: Ed25519PrivateKey) -> None:
        self._masters = masters
        self.since: Sequence[datetime] = ()
        self._ticket_key = ticket_key
        self._session_key = self._derive(b"sessions")
        self._witness_keys = [Ed25519PrivateKey.from_private_bytes(each) for each in self._derived(b"witness")]
        self._code_keys: dict[tuple[str, int], bytes] = {}

    @property
    def generation(self) -> int:
        """Of the newest master secret. The first is 1."""
        return len(self._masters)

    def generation_at(self, at: datetime) -> int:
        """Of the master secret that was the newest then."""
        return max(1, sum(since <= at for since in self.since))

    @property
    def marks(self) -> list[bytes]:
        """Tell each master secret from another and give nothing of it away."""
        return self._derived(b"mark")

    @property
    def ticket_keys(self) -> dict[str, str]:
        """Public keys in hex by id, as a bank's policy carries them."""
        public = self._ticket_key.public_key().public_bytes_raw()
        return {keys.key_id(public): public.hex()}

    @property
    def witness(self) -> Key:
        """The name and key under which we countersign what banks sign of their logs."""
        return self.witnesses[-1]

    @property
    def witnesses(self) -> list[Key]:
        """The same, with those of before."""
        publics = [key.public_key().public_bytes_raw() for key in self._witness_keys]
        return [Key(f"latchwork/witness/{keys.key_id(public)}", public, Kind.COSIGNATURE) for public in publics]

    def sign_as_witness(self, text: bytes) -> bytes:
        return self._witness_keys[-1].sign(text)

    def code_key(self, bank: str, generation: int) -> bytes:
        key = self._code_keys.get((bank, generation))
        if key is None:
            master = self._master(generation)
            key = self._code_keys[bank, generation] = keys.code_key(master, BankId(bank), generation)
        return key

    def code_keys(self, bank: str) -> bytes:
        """All of a bank's code keys in hex by generation, as JSON: what its controller is handed."""
        return msgspec.json.encode({n: self.code_key(bank, n).hex() for n in range(1, self.generation + 1)})

    def digits(self, bank: str, generation: int, pass_id: str, n: int, digits: int) -> str:
        return keys.digits_of(self.code_key(bank, generation), PassId(pass_id), n, digits)

    def code(self, bank: str, generation: int, text: str) -> Lookup:
        """Of digits that somebody has from elsewhere: what the wall finds them by."""
        return keys.code_lookup(self.code_key(bank, generation), text)

    def card(self, bank: str, generation: int, number: str) -> Lookup:
        return keys.card_lookup(self.code_key(bank, generation), number)

    def label(self, bank: str, generation: int, text: str) -> Lookup:
        return keys.label_lookup(self.code_key(bank, generation), text)

    def ticket(self, bank: str, pass_id: str, not_before: datetime, not_after: datetime, of: str | None = None) -> str:
        """The text of a QR code. `of`: by whose pass they are sent, for a wall that may not have heard of them."""
        ticket = Ticket(BankId(bank), PassId(pass_id), not_before, not_after, PassId(of) if of else None)
        return keys.sign_ticket(self._ticket_key, ticket)

    def link(self, stay: str) -> str:
        """The secret end of a parcel page's address. Nothing of it is stored: a stolen database opens no page."""
        return self._end(self.generation, stay, bytes.fromhex(stay))

    def linked(self, token: str, now: datetime) -> str | None:
        """The stay that a link names; None unless we made it."""
        if len(token) != 43 or (stay := self.one_time_id(token)) is None:
            return None
        return stay if self._is_end(token, stay, bytes.fromhex(stay), now) else None

    def one_time(self, purpose: str, link: str) -> str:
        """The secret end of a one-time link's address, for the row with this id. Not stored either."""
        return self._end(self.generation, link, f"one-time {purpose} {link}".encode())

    def is_one_time(self, token: str, purpose: str, link: str, now: datetime) -> bool:
        return self._is_end(token, link, f"one-time {purpose} {link}".encode(), now)

    def _end(self, generation: int, row: str, said: bytes) -> str:
        mac = hmac.digest(self._derive(b"parcel links", generation), said, "sha256")[:_LINK_BYTES]
        return base64.urlsafe_b64encode(bytes.fromhex(row) + mac).decode().rstrip("=")

    def _is_end(self, token: str, row: str, said: bytes, now: datetime) -> bool:
        """What was mailed before the master secret changed holds for a while."""
        oldest = self.generation_at(now - LINKS_KEPT) if self.since else 1
        ends = (self._end(n, row, said) for n in range(oldest, self.generation + 1))
        return any(hmac.compare_digest(token.encode(), end.encode()) for end in ends)

    def one_time_id(self, token: str) -> str | None:
        """The id in such an end. It proves nothing before `one_time` of the row's purpose has said the same."""
        try:
            raw = base64.b64decode(token + "=", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        return raw[:16].hex() if len(raw) == 32 else None

    def app_secret(self, account: str, n: int, at: datetime | None = None) -> bytes:
        """What the authenticator app of an account shares with us, if it was set up `at`; None: now."""
        return self._derive(f"authenticator app {account} {n}".encode(), self.generation_at(at) if at else None)[:20]

    def mailed_code(self, link: str) -> str:
        """Six digits that are mailed, for the row with this id."""
        return f"{int.from_bytes(self._derive(f'mailed code {link}'.encode())[:8], 'big') % 1_000_000:06}"

    def recovery_code(self, account: str, batch: int, n: int, at: datetime) -> str:
        """80 bits, in groups that can be read out; `at`: when they were made."""
        raw = self._derive(f"recovery code {account} {batch} {n}".encode(), self.generation_at(at))[:10]
        text = base64.b32encode(raw).decode().lower()
        return "-".join(text[i : i + 4] for i in range(0, 16, 4))

    def lock(self, purpose: str, secret: bytes) -> bytes:
        """Encrypted, to be stored; only `unlock` for the same purpose reads it."""
        nonce = os.urandom(12)
        return nonce + ChaCha20Poly1305(self._derive(b"locked")).encrypt(nonce, secret, purpose.encode())

    def unlock(self, purpose: str, locked: bytes) -> bytes:
        oldest, *newer = self._derived(b"locked")
        for key in reversed(newer):
            with suppress(InvalidTag):
                return ChaCha20Poly1305(key).decrypt(locked[:12], locked[12:], purpose.encode())
        return ChaCha20Poly1305(oldest).decrypt(locked[:12], locked[12:], purpose.encode())

    def seal(self, purpose: str, text: str) -> str:
        """A proof, for ourselves, that we said `text` for `purpose`."""
        return hmac.digest(self._session_key, f"{purpose}\0{text}".encode(), "sha256").hex()

    def _derive(self, what: bytes, generation: int | None = None) -> bytes:
        """By the newest master secret, unless another one is named."""
        return HKDF(SHA256(), 32, None, b"latchwork server " + what).derive(self._master(generation or self.generation))

    def _derived(self, what: bytes) -> list[bytes]:
        return [self._derive(what, n) for n in range(1, self.generation + 1)]

    def _master(self, generation: int) -> bytes:
        """The nearest there is: what a wall claims of itself fails nothing here."""
        return self._masters[max(1, min(generation, self.generation)) - 1]


def open_vault(state: Path, master_file: Path | None = None) -> Vault:
    """The secrets in `state`, made where there are none; the master secret from another file if one is named.

    Raises Unusable.
    """
    state.mkdir(parents=True, exist_ok=True)
    masters = _read_given(master_file) if master_file else _read_or_make(state / MASTER, several=True)
    (ticket,) = _read_or_make(state / "ticket.key")
    return Vault(masters, Ed25519PrivateKey.from_private_bytes(ticket))


def add_master(state: Path) -> int:
    """Put a new master secret behind those in `state`. How many there are now. Raises Unusable."""
    masters = _read_or_make(state / MASTER, several=True) if (state / MASTER).exists() else []
    if not masters:
        raise Unusable(f"There is no {state / MASTER} to put another one behind: start the server first.")
    write_private(state / MASTER, b"".join((*masters, os.urandom(SECRET_BYTES))))
    return len(masters) + 1


def write_private(path: Path, content: bytes) -> None:
    """Whole and on disk, or not at all; readable by us alone."""
    new = path.with_name(path.name + ".new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read_or_make(path: Path, *, several: bool = False) -> list[bytes]:
    with suppress(FileNotFoundError):
        content = path.read_bytes()
        if not content or len(content) % SECRET_BYTES or (len(content) > SECRET_BYTES and not several):
            raise Unusable(f"{path} should hold {SECRET_BYTES} bytes and holds {len(content)}: restore it.")
        return [content[i : i + SECRET_BYTES] for i in range(0, len(content), SECRET_BYTES)]
    content = os.urandom(SECRET_BYTES)
    write_private(path, content)
    return [content]


def _read_given(path: Path) -> list[bytes]:
    """Raw bytes, or hex, as key services and secret mounts hand them over. Several: a line of hex each, newest last."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Unusable(f"LATCHWORK_MASTER_SECRET_FILE: {path} cannot be read: {error.strerror}.") from None
    with suppress(ValueError, UnicodeDecodeError):
        lines = [bytes.fromhex(line) for line in content.decode("ascii").split("\n") if line.strip()]
        if min(map(len, lines), default=0) >= SECRET_BYTES:
            return lines
        content = b"".join(lines)
    if len(content) < SECRET_BYTES:
        raise Unusable(f"LATCHWORK_MASTER_SECRET_FILE: {path} holds less than {SECRET_BYTES} bytes of secret.")
    return [content]
