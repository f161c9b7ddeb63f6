"""What every action works with, and the one way in which an action says no. It decides nothing."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from latchwork.domain import commands as c
from latchwork.domain.words import BankId
from latchwork.server.actions.vault import Vault
from latchwork.store.admin import Tables
from latchwork.store.postgres import PostgresStore
from latchwork.store.rows import InstructionRow, Unavailable
from latchwork.sync.codec import body_hash, encode_instruction

__all__ = ["LIST_MAX", "Asked", "Declined", "Office", "Unavailable", "Who", "is_id", "not_found"]

LIST_MAX: Final = 500
"""No list of ours is longer."""


@dataclass(frozen=True, slots=True)
class Office:
    store: PostgresStore
    tables: Tables
    vault: Vault
    now: Callable[[], datetime]
    draw: Callable[[int], bytes]
    """So many random bytes."""
    public_url: str
    """How the world reaches us, without a slash at the end: it stands in mails."""
    seen: "dict[str, tuple[datetime, object]]" = field(default_factory=dict)
    """Answers worth keeping for a few seconds."""

    def new_id(self) -> str:
        return self.draw(16).hex()

    def wake(self, bank: str) -> None:
        """A hint that something waits for this bank; losing it costs a second."""
        self.store.announce_change([BankId(bank)])


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody who proved a token. Everything they can see or do is their organisation's."""

    token: str
    organisation: str
    name: str
    root: bool


class Declined(Exception):
    """An expected no: becomes a problem for machines and a sentence for people."""

    def __init__(self, status: int, reason: str, detail: str, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.retry_after_s = retry_after_s


def not_found(what: str) -> Declined:
    return Declined(404, "not_found", f"There is no such {what}.")


def is_id(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{32}", text) is not None


@dataclass(frozen=True, slots=True)
class Asked:
    """An instruction on its way. Accepted is not done: `GET instructions/{id}` tells what the wall answered."""

    instruction: str
    bank: str
    kind: str
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """An instruction as it is stored."""

    id: str
    kind: str
    body: bytes
    sha256: str


def order(office: Office, body: c.Instruction) -> Order:
    raw = encode_instruction(body)
    return Order(office.new_id(), type(body).__name__, raw, body_hash(raw))


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
    return Asked(asked.id, bank, asked.kind, not_after)
