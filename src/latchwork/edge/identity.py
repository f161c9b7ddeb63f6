"""Who this bank is: its device key, made here and never leaving, and what enrolment gave it. One file, mode 0600."""

import asyncio
import logging
import os
import ssl
from pathlib import Path

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from latchwork.domain.words import BankId
from latchwork.sync.keys import enrol_text, rotation_text

RETRY_SECONDS = 5.0
CODE_KEY_BYTES = 32
CODE_KEYS_MAX = 100
_NEXT = "next.key"

log = logging.getLogger(__name__)


class Identity(msgspec.Struct, frozen=True):
    bank: BankId
    device_key: str
    """Ed25519 private key in hex."""
    code_key: str
    generation: int
    name: str = ""
    site: str = ""
    older: dict[int, str] = {}
    """Code keys of former generations: passes that were given under them are still out."""

    @property
    def key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(self.device_key))


class Enrolled(msgspec.Struct, frozen=True):
    """What the server answers to a good enrolment code."""

    bank: BankId
    code_key: str
    generation: int
    name: str = ""
    site: str = ""


class EnrolmentRefused(Exception):
    """The code is unknown, used or expired, or the bank has a key already: a person must make a new one."""


def load(state: Path) -> Identity | None:
    path = state / "identity.json"
    return msgspec.json.decode(path.read_bytes(), type=Identity) if path.exists() else None


async def enrol(server: str, code: str, state: Path, tls: ssl.SSLContext | None = None) -> Identity:
    """Trade a one-time code for an identity. Waits for the server as long as it takes. Raises EnrolmentRefused.

    The key is on disk before the server hears of it, so that an answer lost on the way can be asked for again.
    """
    key = _key_to_be(state)
    public = key.public_key().public_bytes_raw()
    request = {"code": code, "public_key": public.hex(), "signature": key.sign(enrol_text(code, public)).hex()}
    async with httpx.AsyncClient(timeout=10, verify=tls or True) as client:
        while True:
            try:
                response = await client.post(f"{server}/api/v1/enrolments", json=request)
                if response.status_code < 500:
                    break
                log.warning("the server cannot enrol now (HTTP %s)", response.status_code)
            except httpx.HTTPError as error:
                log.warning("the server at %s is not there yet: %s", server, error or type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)
    if response.status_code >= 300:
        raise EnrolmentRefused(f"the server refused the enrolment code: {_why(response)}")
    answer = msgspec.json.decode(response.content, type=Enrolled)
    identity = Identity(
        answer.bank, key.private_bytes_raw().hex(), answer.code_key, answer.generation, answer.name, answer.site
    )
    write_safely(state / "identity.json", msgspec.json.encode(identity))
    (state / "device.key").unlink()
    return identity


def begin_rotation(state: Path) -> None:
    """Make the next key. It takes the place of the present one once the server has agreed: see `finish_rotation`."""
    if not (state / _NEXT).exists():
        write_safely(state / _NEXT, Ed25519PrivateKey.generate().private_bytes_raw())


async def finish_rotation(server: str, state: Path, tls: ssl.SSLContext | None = None) -> Identity | None:
    """The identity with its new key, where one was made and the server takes it. Call it again until it does.

    The next key is on disk before the server hears of it, and the server answers a repeat as it did first: whenever
    the power fails, one of the two keys is the one that the server believes, and both are there. Raises
    EnrolmentRefused, and httpx.HTTPError while the server cannot be reached.
    """
    who, path = load(state), state / _NEXT
    if who is None or not path.exists():
        return None
    new = Ed25519PrivateKey.from_private_bytes(path.read_bytes())
    if new.private_bytes_raw() != who.key.private_bytes_raw():
        keys = [key.public_key().public_bytes_raw() for key in (who.key, new)]
        text = rotation_text(who.bank, *keys)
        request = {
            "bank": who.bank,
            "public_key": keys[0].hex(),
            "next_key": keys[1].hex(),
            "signature": who.key.sign(text).hex(),
            "next_signature": new.sign(text).hex(),
        }
        async with httpx.AsyncClient(timeout=10, verify=tls or True) as client:
            response = await client.post(f"{server}/api/v1/enrolments/rotation", json=request)
        if response.status_code >= 500:
            response.raise_for_status()
        if response.status_code >= 300:
            raise EnrolmentRefused(f"the server refused the next key: {_why(response)}")
        who = msgspec.structs.replace(load(state) or who, device_key=new.private_bytes_raw().hex())
        write_safely(state / "identity.json", msgspec.json.encode(who))
    path.unlink()
    return who


def take_code_keys(state: Path, said: bytes) -> Identity:
    """The identity with the code keys that the server handed down, on disk. Raises OSError, also for what are none."""
    who = load(state)
    try:
        keys = read_code_keys(said)
    except ValueError:
        keys = {}
    known = {} if who is None else {**who.older, who.generation: who.code_key}
    if who is None or not keys or keys != {**keys, **known}:  # what is out is found by no other key
        raise OSError("the code keys that the server sent are none")
    newest = max(keys)
    older = {generation: key for generation, key in keys.items() if generation < newest}
    who = msgspec.structs.replace(who, code_key=keys[newest], generation=newest, older=older)
    write_safely(state / "identity.json", msgspec.json.encode(who))
    return who


def read_code_keys(said: bytes) -> dict[int, str]:
    """In hex by generation. Raises ValueError."""
    try:
        keys = msgspec.json.decode(said, type=dict[int, str])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if len(keys) > CODE_KEYS_MAX or any(len(bytes.fromhex(key)) != CODE_KEY_BYTES for key in keys.values()):
        raise ValueError("not code keys")
    return keys


def _why(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {response.status_code}"


def device_key(state: Path) -> Ed25519PrivateKey:
    """The key of this controller. Before it is enrolled, the one that it will enrol with."""
    who = load(state)
    return who.key if who is not None else _key_to_be(state)


def _key_to_be(state: Path) -> Ed25519PrivateKey:
    path = state / "device.key"
    if path.exists():
        return Ed25519PrivateKey.from_private_bytes(path.read_bytes())
    key = Ed25519PrivateKey.generate()
    write_safely(path, key.private_bytes_raw())
    return key


def write_safely(path: Path, content: bytes, mode: int = 0o600) -> None:
    """All or nothing, and on the disk on return."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # or a power cut takes the new name back
    finally:
        os.close(folder)
