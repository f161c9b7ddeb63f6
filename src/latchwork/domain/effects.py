"""What an entry asks of hardware and of people, and when time itself will ask for something. Pure look-ups."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from latchwork.domain.bank import Bank, Opening
from latchwork.domain.entries import Body, Collected, Expired, Recalled, Stored, Unlocked


class Notice(StrEnum):
    """What a person is told of; also the name of its template."""

    READY = "ready"
    COLLECTED = "collected"
    EXPIRED = "expired"
    RECALLED = "recalled"


def pulses(committed: Iterable[Body]) -> tuple[Unlocked, ...]:
    """Locks to tell, from entries just committed; never from a fold."""
    return tuple(body for body in committed if isinstance(body, Unlocked))


def notice(body: Body) -> Notice | None:
    """What the stay's recipient is told when this entry becomes known."""
    if isinstance(body, Stored):
        return Notice.READY
    if isinstance(body, Collected):
        return Notice.COLLECTED
    if isinstance(body, Expired):
        return Notice.EXPIRED
    if isinstance(body, Recalled):
        return Notice.RECALLED
    return None


def next_opening(bank: Bank) -> Opening | None:
    """The opening that may be pulsed next: one door at a time, and none before the last is proven or given up."""
    if bank.moving is not None or not bank.queue:
        return None
    return bank.openings[bank.queue[0]]


def next_deadline(bank: Bank) -> datetime | None:
    """When the bank next wants a `Tick`. A doubted clock takes nothing away."""
    return bank.deadlines[0][0] if bank.deadlines and not bank.clock_doubted else None
