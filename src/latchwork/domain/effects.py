"""What an entry asks of hardware and of people, and when time itself will ask for something. Pure look-ups."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from latchwork.domain import entries as e
from latchwork.domain.bank import Bank, Opening
from latchwork.domain.words import PassId, Reason


class Notice(StrEnum):
    """What a person is told of; also the name of its template."""

    READY = "ready"
    COLLECTED = "collected"
    EXPIRED = "expired"
    RECALLED = "recalled"
    EXTENDED = "extended"
    MOVED = "moved"
    NOT_DELIVERED = "not_delivered"
    RETURNED = "returned"


def pulses(committed: Iterable[e.Body]) -> tuple[e.Unlocked, ...]:
    """Locks to tell, from entries just committed; never from a fold."""
    return tuple(body for body in committed if isinstance(body, e.Unlocked))


_NOTICES: dict[type, Notice] = {
    e.Stored: Notice.READY,
    e.Collected: Notice.COLLECTED,
    e.Expired: Notice.EXPIRED,
    e.Recalled: Notice.RECALLED,
    e.NotDelivered: Notice.NOT_DELIVERED,
    e.Moved: Notice.MOVED,
}


def notice(body: e.Body) -> Notice | None:
    """What the stay's recipient is told when this entry becomes known."""
    if isinstance(body, e.Amended):
        return Notice.READY if body.pickup is not None else _AMENDED.get(body.why)
    if isinstance(body, e.Removed):
        return Notice.RETURNED if body.why is Reason.RETURN_TO_SENDER else None
    return _NOTICES.get(type(body))


_AMENDED = dict.fromkeys((Reason.EXTENDED, Reason.HELD, Reason.CLOCK_SET), Notice.EXTENDED)


def next_opening(bank: Bank) -> Opening | None:
    """The opening that may be pulsed next: one door at a time, and none before the last is proven or given up."""
    if bank.moving is not None or not bank.queue:
        return None
    return bank.openings[bank.queue[0]]


def next_deadline(bank: Bank) -> datetime | None:
    """When the bank next wants a `Tick`. A doubted clock takes nothing away."""
    if bank.clock_doubted:
        return None
    times = [bank.deadlines[0][0]] if bank.deadlines else []
    times += [until for x in bank.dailies if (until := bank.passes[x].grant.valid_until) is not None]
    return min(times, default=None)


def codes_due(bank: Bank, now: datetime) -> tuple[PassId, ...]:
    """Passes whose code is yesterday's: the next `Tick` wants an offer for each."""
    due = ((x, bank.passes[x].grant.valid_until) for x in bank.dailies)
    return tuple(x for x, until in due if until is not None and until <= now and not bank.clock_doubted)
