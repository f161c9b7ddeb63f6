"""What every action works with, and the one way in which an action says no. It decides nothing."""

import logging
import re
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

from latchwork.domain import commands as c
from latchwork.domain.words import BankId
from latchwork.server import access
from latchwork.server.actions.vault import Vault
from latchwork.server.ledger import Gone, Ledger, Line
from latchwork.store.admin import Tables
from latchwork.store.postgres import PostgresStore, Scope
from latchwork.store.rows import InstructionRow, Unavailable
from latchwork.sync.codec import body_hash, encode_instruction
from latchwork.ui.words import Sentence

__all__ = ["LIST_MAX", "Asked", "Declined", "Office", "Unavailable", "Who", "is_id", "not_found"]

log = logging.getLogger(__name__)

LIST_MAX: Final = 500
"""No list of ours is longer."""


WRONG_MAX: Final = 60
"""Wrong secrets of one kind in a minute; further ones are not even called wrong."""


REQUESTS_PER_MINUTE: Final = 30_000
"""Of one token, account, visit or parcel link, at one process, unless the installation's operator says otherwise."""


@dataclass(slots=True)
class Tally:
    """Requests of this minute, by who sent them."""

    requests_max: int = REQUESTS_PER_MINUTE
    """0: no limit."""
    minute: datetime | None = None
    requests: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Office:
    """As it is made, it acts for the server itself, which sees all rows. For whoever asks it acts by `acting`."""

    store: PostgresStore
    tables: Tables
    vault: Vault
    now: Callable[[], datetime]
    draw: Callable[[int], bytes]
    """So many random bytes."""
    public_url: str
    """How the world reaches us, without a slash at the end: it stands in mails."""
    mails: bool = False
    """Whether mails go out."""
    inner_hosts: frozenset[str] = frozenset()
    """Names of our own network that may be asked though others say so, see `outward`."""
    ledger: Ledger | None = None
    """What must stay gone after a restore."""
    seen: "dict[str, tuple[datetime, object]]" = field(default_factory=dict)
    """Answers worth keeping for a few seconds."""

    breached: Path | None = None
    """A list of passwords that stood in breaches."""
    tally: Tally = field(default_factory=Tally)
    wrong: "dict[str, deque[datetime]]" = field(default_factory=dict)
    """When wrong secrets came lately, by their kind; in this process, and by nothing that a caller sends."""

    unheard: "dict[str, int]" = field(default_factory=dict)
    """Walls that were not heard when it was last looked, and how often in a row."""

    def acting(self, organisation: str, party: str | None = None) -> "Office":
        """Sees and changes only what is this organisation's, or this party's."""
        return replace(self, tables=Tables(self.store, Scope(organisation, party or "")))

    @asynccontextmanager
    async def together(self) -> AsyncIterator["Office"]:
        """All that is done with the office given is kept, or nothing of it."""
        async with self.tables.together() as tables:
            yield replace(self, tables=tables)

    def house(self) -> "Office":
        """As it was made."""
        return replace(self, tables=Tables(self.store))

    def note(self, what: Gone, organisation: str, name: str, at: datetime | None = None) -> None:
        """`at`: of what took its place, so that this itself stays. Raises Unavailable: then it must not be done."""
        if self.ledger is None:
            return
        try:
            self.ledger.note(Line(at or self.now(), what, organisation, name))
        except OSError as error:
            log.error("the ledger of what must stay gone cannot be written: %s", error)
            raise Unavailable(f"no ledger: {error}") from error

    def new_id(self) -> str:
        return self.draw(16).hex()

    def id_for(self, who: "Who", what: str, key: str | None) -> str:
        """The same for the same `key`, so that a repeated request makes nothing twice; without a key a new one."""
        return sha256(f"{who.organisation}\0{what}\0{key}".encode()).hexdigest()[:32] if key else self.new_id()

    def guessed(self, kind: str) -> None:
        """Somebody came with a wrong one. Declines with 429 where that is too frequent.

        A right one is looked at before, so it is always served: its own length is what protects it.
        """
        now, recent = self.now(), self.wrong.setdefault(kind, deque(maxlen=WRONG_MAX))
        if len(recent) == WRONG_MAX and (wait := recent[0] + timedelta(minutes=1) - now) > timedelta():
            detail = "Too many wrong ones lately. Check your {kind}; a right one is served at once."
            raise Declined(429, "slow_down", detail, int(wait.total_seconds()) + 1, kind=kind)
        recent.append(now)
        log.info("somebody came with a wrong %s", kind)

    def asked_by(self, who: str) -> None:
        """Counts a request of somebody whom a token, a cookie or a link has proven. Declines with 429 what is too much.

        In this process alone: several behind a load balancer allow as many times as much.
        """
        now, tally = self.now(), self.tally
        minute = now.replace(second=0, microsecond=0)
        if tally.minute != minute:
            tally.minute, tally.requests = minute, Counter()
        tally.requests[who] += 1
        if 0 < tally.requests_max < tally.requests[who]:
            if tally.requests[who] == tally.requests_max + 1:
                log.info("%s asks too often", who)
            wait_s = 60 - now.second
            raise Declined(429, "slow_down", "Too many requests in this minute. Wait {n} seconds.", wait_s, n=wait_s)

    def stay_of(self, link: str) -> str:
        """The stay that a parcel page's secret link names. Declines with 404 one of others, with 429 too many."""
        stay = self.vault.linked(link, self.now())
        if stay is None:
            self.guessed("link")
            raise not_found("parcel")
        self.asked_by(f"link {stay}")
        return stay

    def wake(self, bank: str) -> None:
        """A hint that something waits for this bank; losing it costs a second."""
        self.store.announce_change([BankId(bank)])


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody who signed in or proved a token. Everything they can see or do is their organisation's."""

    token: str
    """The id of the token, or of the account."""
    organisation: str
    name: str
    root: bool
    role: str = "owner"
    """Of latchwork.server.access: what they may do."""
    party: str | None = None
    """They see and change what is this party's, and nothing else."""

    @property
    def everywhere(self) -> str | None:
        """Of which organisation a list is: of a party's things whatever it may see (None)."""
        return None if self.party else self.organisation

    def may(self, key: str) -> bool:
        return access.may(self.role, key)

    def needs(self, key: str) -> None:
        """Declines with 403."""
        if not self.may(key):
            raise no_access(self.role, access.what(key))


class Declined(Exception):
    """An expected no: becomes a problem for machines and a sentence for people."""

    def __init__(
        self, status: int, reason: str, sentence: str, retry_after_s: int | None = None, /, **values: object
    ) -> None:
        self.detail = Sentence(sentence, **values)
        super().__init__(self.detail)
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s


def not_found(what: str) -> Declined:
    return Declined(404, "not_found", f"There is no such {what}.")


def check_right(who: Who, method: str, path: str) -> None:
    """Declines with 403 unless the table has a row for this route and for them. `path`: the route's template."""
    right = access.right_to(method, path)
    if right is None or who.role not in right.who:
        log.info("%s, %s, may not: %s %s", who.token, who.role, method, path)
        raise no_access(who.role, right.what if right else "This")


def no_access(role: str, what: str) -> Declined:
    return Declined(403, "no_access", "“{what}” is not for the role {role}.", what=what, role=role)


def is_id(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{32}", text) is not None


@dataclass(frozen=True, slots=True)
class Asked:
    """An instruction on its way. Accepted is not done: `GET instructions/{id}` tells what the wall answered, which was
    last heard at `heard_at`."""

    instruction: str
    bank: str
    kind: str
    not_after: datetime | None = None
    heard_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """An instruction as it is stored."""

    id: str
    kind: str
    body: bytes
    sha256: str


def order(office: Office, body: c.Instruction, name: str | None = None) -> Order:
    raw = encode_instruction(body)
    return Order(name or office.new_id(), type(body).__name__, raw, body_hash(raw))


async def ask(
    office: Office,
    who: Who,
    bank: str,
    body: c.Instruction,
    about: str,
    *,
    not_after: datetime | None = None,
    note: str | None = None,
    salt: bytes | None = None,
) -> Asked:
    """Queue an instruction. Declines where the bank is not the asker's."""
    asked = order(office, body)
    found = await office.store.instruct(
        InstructionRow(
            asked.id,
            who.organisation,
            bank,
            asked.kind,
            asked.body,
            asked.sha256,
            office.now(),
            not_after,
            about,
            who.token,
            note,
            salt,
        )
    )
    if not found:
        raise not_found("bank")
    return Asked(asked.id, bank, asked.kind, not_after, await office.tables.value("heard_at", bank))
