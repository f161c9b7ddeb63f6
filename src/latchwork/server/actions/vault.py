"""The server's secrets: made at the first start, kept in files of mode 0600, never in a row.

Everything secret is derived from one master secret, except the key that signs QR codes.
"""

import base64
import binascii
import hmac
import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from latchwork.domain.commands import Ticket
from latchwork.domain.words import BankId, Lookup, PassId
from latchwork.sync import keys
from latchwork.sync.notes import Key, Kind

SECRET_BYTES = 32
_LINK_BYTES = 16


class Unusable(Exception):
    """A secret is not what it should be. The message is a sentence for the operator."""


class Vault:
    def __init__(self, master: bytes, ticket_key: Ed25519PrivateKey) -> None:
        self._master = master
        self._ticket_key = ticket_key
        self._link_key = self._derive(b"parcel links")
        self._session_key = self._derive(b"sessions")
        self._witness_key = Ed25519PrivateKey.from_private_bytes(self._derive(b"witness"))
        self._code_keys: dict[tuple[str, int], bytes] = {}

    @property
    def mark(self) -> bytes:
        """Tells this master secret from another and gives nothing of it away."""
        return self._derive(b"mark")

    @property
    def ticket_keys(self) -> dict[str, str]:
        """Public keys in hex by id, as a bank's policy carries them."""
        public = self._ticket_key.public_key().public_bytes_raw()
        return {keys.key_id(public): public.hex()}

    @property
    def witness(self) -> Key:
        """The name and key under which we countersign what banks sign of their logs."""
        public = self._witness_key.public_key().public_bytes_raw()
        return Key(f"latchwork/witness/{keys.key_id(public)}", public, Kind.COSIGNATURE)

    def sign_as_witness(self, text: bytes) -> bytes:
        return self._witness_key.sign(text)

    def code_key(self, bank: str, generation: int) -> bytes:
        key = self._code_keys.get((bank, generation))
        if key is None:
            key = self._code_keys[bank, generation] = keys.code_key(self._master, BankId(bank), generation)
        return key

    def digits(self, bank: str, generation: int, pass_id: str, n: int, digits: int) -> str:
        return keys.digits_of(self.code_key(bank, generation), PassId(pass_id), n, digits)

    def code(self, bank: str, generation: int, text: str) -> Lookup:
        """Of digits that somebody has from elsewhere: what the wall finds them by."""
        return keys.code_lookup(self.code_key(bank, generation), text)

    def card(self, bank: str, generation: int, number: str) -> Lookup:
        return keys.card_lookup(self.code_key(bank, generation), number)

    def label(self, bank: str, generation: int, text: str) -> Lookup:
        return keys.label_lookup(self.code_key(bank, generation), text)

    def ticket(self, bank: str, pass_id: str, not_before: datetime, not_after: datetime) -> str:
        """The text of a QR code."""
        return keys.sign_ticket(self._ticket_key, Ticket(BankId(bank), PassId(pass_id), not_before, not_after))

    def link(self, stay: str) -> str:
        """The secret end of a parcel page's address. Nothing of it is stored: a stolen database opens no page."""
        raw = bytes.fromhex(stay)
        return base64.urlsafe_b64encode(raw + self._mac(self._link_key, raw)).decode().rstrip("=")

    def linked(self, token: str) -> str | None:
        """The stay that a link names; None unless we made it."""
        if len(token) != 43:
            return None
        try:
            raw = base64.b64decode(token + "=", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        stay = raw[:16].hex()
        return stay if hmac.compare_digest(token, self.link(stay)) else None

    def one_time(self, purpose: str, link: str) -> str:
        """The secret end of a one-time link's address, for the row with this id. Not stored either."""
        return base64.urlsafe_b64encode(bytes.fromhex(link) + self._one_time_mac(purpose, link)).decode().rstrip("=")

    def one_time_id(self, token: str) -> str | None:
        """The id in such an end. It proves nothing before `one_time` of the row's purpose has said the same."""
        try:
            raw = base64.b64decode(token + "=", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        return raw[:16].hex() if len(raw) == 32 else None

    def app_secret(self, account: str, generation: int) -> bytes:
        """What the authenticator app of an account shares with us."""
        return self._derive(f"authenticator app {account} {generation}".encode())[:20]

    def mailed_code(self, link: str) -> str:
        """Six digits that are mailed, for the row with this id."""
        return f"{int.from_bytes(self._derive(f'mailed code {link}'.encode())[:8], 'big') % 1_000_000:06}"

    def recovery_code(self, account: str, generation: int, n: int) -> str:
        """80 bits, in groups that can be read out."""
        raw = self._derive(f"recovery code {account} {generation} {n}".encode())[:10]
        text = base64.b32encode(raw).decode().lower()
        return "-".join(text[i : i + 4] for i in range(0, 16, 4))

    def lock(self, purpose: str, secret: bytes) -> bytes:
        """Encrypted, to be stored; only `unlock` for the same purpose reads it."""
        nonce = os.urandom(12)
        return nonce + ChaCha20Poly1305(self._derive(b"locked")).encrypt(nonce, secret, purpose.encode())

    def unlock(self, purpose: str, locked: bytes) -> bytes:
        return ChaCha20Poly1305(self._derive(b"locked")).decrypt(locked[:12], locked[12:], purpose.encode())

    def _one_time_mac(self, purpose: str, link: str) -> bytes:
        return self._mac(self._link_key, f"one-time {purpose} {link}".encode())

    def seal(self, purpose: str, text: str) -> str:
        """A proof, for ourselves, that we said `text` for `purpose`."""
        return hmac.digest(self._session_key, f"{purpose}\0{text}".encode(), "sha256").hex()

    def _derive(self, what: bytes) -> bytes:
        return HKDF(SHA256(), 32, None, b"latchwork server " + what).derive(self._master)

    @staticmethod
    def _mac(key: bytes, text: bytes) -> bytes:
        return hmac.digest(key, text, "sha256")[:_LINK_BYTES]


def open_vault(state: Path, master_file: Path | None = None) -> Vault:
    """The secrets in `state`, made where there are none; the master secret from another file if one is named.

    Raises Unusable.
    """
    state.mkdir(parents=True, exist_ok=True)
    master = _read_given(master_file) if master_file else _read_or_make(state / "master.secret")
    ticket = _read_or_make(state / "ticket.key")
    return Vault(master, Ed25519PrivateKey.from_private_bytes(ticket))


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


def _read_or_make(path: Path) -> bytes:
    with suppress(FileNotFoundError):
        content = path.read_bytes()
        if len(content) != SECRET_BYTES:
            raise Unusable(f"{path} should hold {SECRET_BYTES} bytes and holds {len(content)}: restore it.")
        return content
    content = os.urandom(SECRET_BYTES)
    write_private(path, content)
    return content


def _read_given(path: Path) -> bytes:
    """Raw bytes, or hex with a line's end, as key services and secret mounts hand them over."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Unusable(f"LATCHWORK_MASTER_SECRET_FILE: {path} cannot be read: {error.strerror}.") from None
    with suppress(ValueError, UnicodeDecodeError):
        content = bytes.fromhex(content.decode("ascii").strip())
    if len(content) < SECRET_BYTES:
        raise Unusable(f"LATCHWORK_MASTER_SECRET_FILE: {path} holds less than {SECRET_BYTES} bytes of secret.")
    return content
