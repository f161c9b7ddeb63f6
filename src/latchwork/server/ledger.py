"""What must stay gone after a backup is restored: erasures and revocations, in a file outside the database (rule 33).

A line is written and synced before what it says is done. It holds ids, and no word about anybody. At every start all of
it is done once more, which changes nothing where nothing came back.
"""

import os
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import msgspec


class Gone(StrEnum):
    PERSON = "person"
    """Erased."""
    KEY = "key"
    """The public key of a controller that is trusted no longer, in hex."""
    TOKEN = "token"
    """Of the API, revoked."""
    ACCOUNT = "account"
    """Of somebody who may sign in no longer."""
    ROLE = "role"
    """An account and, after a space, the role that took the place of its former one: the last line counts."""
    PASSWORD = "password"
    """Of an account: the one from before this line, as with the two below."""
    APP = "app"
    CODES = "codes"
    """For recovery."""
    PASSKEY = "passkey"
    PROVIDER = "provider"
    """Of single sign-on."""
    LINK = "link"
    """A one-time link that was used or, of an invitation, withdrawn."""
    ROTATED = "rotated"
    """A token of the API that another took the place of and, after a space, when it ends."""
    SESSION = "session"
    """Of an account or a token, ended before its time."""
    VISITS = "visits"
    """Of a recipient: those from before this line."""
    ADMISSION = "admission"
    """Of a party: a bank and, after a space, the party."""


class Line(msgspec.Struct, frozen=True):
    at: datetime
    what: Gone
    organisation: str
    id: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """One per installation, kept and backed up apart from the database; no line is ever taken out."""

    path: Path

    def note(self, line: Line) -> None:
        """Raises OSError: then nothing may be done of it."""
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, msgspec.json.encode(line) + b"\n")
            os.fsync(file)
        finally:
            os.close(file)

    def read(self) -> list[Line]:
        """Raises ValueError where it is damaged. A last line without an end was cut off before anything was done."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return []
        *whole, _cut = raw.split(b"\n")
        try:
            return [msgspec.json.decode(line, type=Line) for line in whole if line]
        except msgspec.MsgspecError as error:
            raise ValueError(f"{self.path}: {error}") from None
