"""What only somebody who is logged in at the controller may say yes to, and their yes. Both lie beside the journal.

A code, a card or a touch at the wall's screen is not enough: the server makes the codes, so whoever holds it can send
somebody with one. Why: docs/decisions/0018.
"""

import logging
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import msgspec

from latchwork.edge.identity import write_safely
from latchwork.edge.recovery import Offered

log = logging.getLogger(__name__)


class Consent:
    """`state`: the folder of the journal."""

    def __init__(self, state: Path) -> None:
        self._configuration = state / "wanted.toml"
        self._accepted = state / "accepted"
        self._log = state / "offered.json"
        self._accepted_log = state / "accepted-log"

    # A configuration that the cloud wants

    def want(self, body: bytes) -> None:
        """The cloud wants this, and the wall does not run it. Raises OSError."""
        if self.wanted != body:
            write_safely(self._configuration, body)

    @property
    def wanted(self) -> bytes | None:
        return _read(self._configuration)

    def accept(self, body: bytes) -> None:
        """To exactly this. Raises OSError."""
        write_safely(self._accepted, _hash(body))

    def is_accepted(self, body: bytes) -> bool:
        return _read(self._accepted) == _hash(body)

    def taken(self) -> None:
        """What was wanted is in force."""
        for file in (self._configuration, self._accepted):
            file.unlink(missing_ok=True)

    # A log

    @property
    def offered(self) -> Offered | None:
        """Also None where it cannot be read: the server offers it again."""
        with suppress(msgspec.MsgspecError):
            return msgspec.json.decode(_read(self._log) or b"", type=Offered)
        return None

    def accept_log(self, offered: Offered) -> None:
        """Once, to a log of exactly this root. Raises OSError."""
        write_safely(self._accepted_log, offered.root.encode())

    def to_log(self, offered: Offered) -> bool:
        """Whether somebody has said yes; that is used up then. Else they are asked."""
        try:
            if _read(self._accepted_log) != offered.root.encode():
                write_safely(self._log, msgspec.json.encode(offered))
                return False
            for file in (self._log, self._accepted_log):
                file.unlink(missing_ok=True)
        except OSError as error:
            log.error("whether somebody accepts the server's log cannot be kept: %s", error)
            return False
        return True


def _hash(body: bytes) -> bytes:
    return sha256(body).hexdigest().encode()


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
