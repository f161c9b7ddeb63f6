"""`latchwork sign`: shows what waits for a signature at guarded walls, in words, and signs it with a key of one's own.

The key never leaves this computer, or its token. What is shown and signed are the exact bytes that the wall will check;
nothing that the server says beside them counts.
"""

import argparse
import base64
import getpass
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from latchwork.domain import commands as c
from latchwork.domain.words import BankId, InstructionId
from latchwork.sync.codec import read_instruction
from latchwork.sync.keys import instruction_text, signed_in_hex

HOURS = 24.0
PASSPHRASE_CHARACTERS_MIN = 12


class Waiting(msgspec.Struct, frozen=True):
    """What the server says of an instruction; only `bank`, `id` and `body` are signed."""

    id: str
    bank: str
    bank_name: str
    body: str
    asked_at: datetime
    asked_by: str | None = None
    until: datetime | None = None
    signers: list[str] = []


class NotDone(Exception):
    """Said to the person as it is."""


Signer = Callable[[bytes], bytes]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("instruction", nargs="*", help="only these; without any, all that wait, one after the other")
    parser.add_argument("--make", type=Path, metavar="FILE", help="make a key, protected by a passphrase, and stop")
    parser.add_argument("--key", type=Path, metavar="FILE", help="the key to sign with")
    parser.add_argument("--passphrase-file", type=Path, metavar="FILE", help="instead of asking for it")
    parser.add_argument("--command", help="signs what it reads, and writes 64 bytes: a token, an agent (with --public)")
    parser.add_argument("--public", metavar="HEX", help="the public key of --command")
    parser.add_argument("--server", metavar="URL", help="where the instructions wait")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="an API token for it")
    parser.add_argument("--bank", help="only of this bank")
    parser.add_argument("--hours", type=float, default=HOURS, help="how long a signature counts (default %(default)g)")
    parser.add_argument("--more", action="store_true", help="somebody else is to sign as well before it goes out")
    parser.add_argument("--yes", action="store_true", help="sign without asking")


def run(args: argparse.Namespace) -> int:
    try:
        if args.make:
            print(make_key(args.make, _passphrase(args.passphrase_file, twice=True)))
            return 0
        if not args.server or not args.token_file:
            raise NotDone("say where the instructions wait: --server and --token-file")
        public, sign = _signer(args)
        headers = {"Authorization": f"Bearer {args.token_file.read_text().strip()}"}
        with httpx.Client(base_url=f"{args.server.rstrip('/')}/api/v1", headers=headers, timeout=30) as client:
            return _sign_all(client, args, public, sign)
    except (NotDone, OSError, httpx.HTTPError) as error:
        print(f"latchwork sign: {error}", file=sys.stderr)
        return 1


def make_key(path: Path, passphrase: bytes) -> str:
    """A new key in a file that only its owner reads. Returns its public half in hex."""
    if len(passphrase) < PASSPHRASE_CHARACTERS_MIN:
        raise NotDone(f"a passphrase has at least {PASSPHRASE_CHARACTERS_MIN} characters")
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    return key.public_key().public_bytes_raw().hex()


def in_words(body: bytes) -> str:
    """What the wall would do, from the bytes that are signed. Raises NotDone for what this version cannot read."""
    read = read_instruction(body)
    if isinstance(read, c.NotUnderstood):
        raise NotDone("this version cannot read what is to be signed, so it is not signed")
    (fields,) = json.loads(body).values()
    stated = {name: value for name, value in fields.items() if value not in (None, (), [], {}, False)}
    lines = [f"{name}: {json.dumps(value)}" for name, value in stated.items()]
    return "\n".join((_WORDS[type(read).__name__], *(f"    {line}" for line in lines)))


_WORDS = {
    "Adopt": "Follow this policy: services, keys of QR codes, compartments set aside",
    "Amend": "Change who may have a thing, or free one that is blocked",
    "Cancel": "Call off something that is expected",
    "Check": "Believe that somebody looked inside",
    "Expect": "Expect a thing",
    "Extend": "Give a thing more time",
    "GrantPass": "Give somebody a code",
    "Guard": "Be guarded by these keys, and by no others",
    "Listen": "Open doors from afar again",
    "Open": "Open a door",
    "Reserve": "Reserve a compartment",
    "RevokePass": "Take a code back",
    "Withdraw": "Take compartments out of service, or back",
}


def _sign_all(client: httpx.Client, args: argparse.Namespace, public: str, sign: Signer) -> int:
    answer = _said(client.get("/signing", params={"bank": args.bank} if args.bank else {}))
    waiting = msgspec.json.decode(answer.content, type=list[Waiting])
    chosen = [x for x in waiting if not args.instruction or x.id in args.instruction]
    missing = set(args.instruction) - {x.id for x in chosen}
    if missing:
        raise NotDone(f"does not wait for a signature: {', '.join(sorted(missing))}")
    if not chosen:
        print("Nothing waits for a signature.")
    for one in chosen:
        body = base64.b64decode(one.body)
        print(f"\n{one.bank_name} ({one.bank}), asked {one.asked_at:%Y-%m-%d %H:%M}: {one.id}\n{in_words(body)}")
        until = one.until or (datetime.now(UTC) + timedelta(hours=args.hours)).replace(microsecond=0)
        if args.yes or input(f"Sign it, until {until:%Y-%m-%d %H:%M} UTC? [y/N] ").strip().lower() == "y":
            text = instruction_text(BankId(one.bank), InstructionId(one.id), until, body)
            signature = sign(text).hex()
            if not signed_in_hex(public, signature, text):
                raise NotDone("what was made is no signature of that public key: nothing is sent")
            told = {"key": public, "signature": signature, "until": until.isoformat(), "more": args.more}
            _said(client.post(f"/signing/{one.id}", json=told))
            print("Signed; another signature is waited for." if args.more else "Signed, and on its way to the wall.")
    return 0


def _said(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    try:
        raise NotDone(str(answer.json()["detail"]))
    except (ValueError, KeyError, TypeError):
        raise NotDone(f"the server answered HTTP {answer.status_code}") from None


def _signer(args: argparse.Namespace) -> tuple[str, Signer]:
    if args.command:
        if not args.public:
            raise NotDone("--command needs --public, the public key that it signs for")
        words: Sequence[str] = shlex.split(args.command)
        return args.public.lower(), lambda text: _from_command(words, text)
    if not args.key:
        raise NotDone("say what to sign with: --key FILE, or --command and --public")
    try:
        key = load_pem_private_key(args.key.read_bytes(), _passphrase(args.passphrase_file))
    except ValueError:
        raise NotDone(f"{args.key} cannot be opened with this passphrase") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise NotDone(f"{args.key} is not an Ed25519 key")
    return key.public_key().public_bytes_raw().hex(), key.sign


def _from_command(words: Sequence[str], text: bytes) -> bytes:
    done = subprocess.run(words, input=text, stdout=subprocess.PIPE, check=False)
    if done.returncode or len(done.stdout) != 64:
        raise NotDone(f"{words[0]} ended with {done.returncode} and {len(done.stdout)} bytes instead of a signature")
    return done.stdout


def _passphrase(file: Path | None, *, twice: bool = False) -> bytes:
    if file is not None:
        return file.read_text(encoding="utf-8").strip().encode()
    try:
        said = getpass.getpass("Passphrase: ")
        if twice and getpass.getpass("Once more: ") != said:
            raise NotDone("the two passphrases differ")
    except EOFError:
        raise NotDone("nobody is there to say the passphrase: name its file with --passphrase-file") from None
    return said.encode()
