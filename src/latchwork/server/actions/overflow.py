"""Where a thing goes that finds no room: the bank's own chain of places, tried in its order, the first that will do."""

from dataclasses import dataclass

from latchwork.domain.words import Reason
from latchwork.server.actions import banks, changes, room, stays, wall
from latchwork.server.actions.office import Declined, Office, Order, Who, order

NEIGHBOUR, SHELF = "neighbour", "shelf"


@dataclass(frozen=True, slots=True)
class _GivenUp:
    stay: str
    organisation: str
    bank: str


@dataclass(frozen=True, slots=True)
class _TurnedAway:
    stay: str
    organisation: str
    bank: str
    moved: bool
    """It has come from another bank."""


async def overflow(office: Office) -> None:
    """What a courier gave up goes where the wall has said; what found nothing to reserve goes on by the chain."""
    for over in await office.tables.all(_GivenUp, "overflowing"):
        acting = office.acting(over.organisation)
        try:
            await changes.redirect(acting, _who(over.organisation), over.stay, over.bank)
        except Declined:  # it does not offer the service
            await _nowhere(acting, over)
    for away in await office.tables.all(_TurnedAway, "turned_away"):
        acting = office.acting(away.organisation)
        try:
            await _place(acting, _who(away.organisation), away)
        except Declined:  # somebody redirected it just now, or its bank is gone
            continue
    await office.tables.do("placed", office.now())


async def _place(office: Office, who: Who, away: _TurnedAway) -> None:
    rules = await banks.rules(office, who, away.bank)
    row = await stays.row(office, away.stay, away.organisation)
    if row.reason == Reason.EXPIRED:  # it comes all the same, only nothing is reserved any more
        await _tell(office, who, row, None, order(office, room.expectation(row)))
        return
    for place in rules.fallbacks:
        if place == NEIGHBOUR:
            if not away.moved and rules.neighbour and await _has_room(office, who, row, rules.neighbour):
                await changes.redirect(office, who, away.stay, rules.neighbour)
                return
        elif place != SHELF:
            await _tell(office, who, row, place, None)
            return
        elif row.refused_for_room and any(x.shelf for x in (await wall.wall(office, who, away.bank)).compartments):
            await _tell(office, who, row, place, order(office, room.expectation(row)))
            return
    await _nowhere(office, away)


async def _nowhere(office: Office, stay: _GivenUp | _TurnedAway) -> None:
    await office.tables.do("nowhere", stay.stay, stay.organisation, office.now())


async def _has_room(office: Office, who: Who, row: stays.Row, bank: str) -> bool:
    try:
        return (await room.availability(office, who, changes.again(row, bank))).room
    except Declined:  # it does not offer the service
        return False


async def _tell(office: Office, who: Who, row: stays.Row, place: str | None, asked: Order | None) -> None:
    values = (asked.id, asked.body, asked.sha256) if asked else (None, None, None)
    await office.tables.do("overflowed", row.known, place, who.organisation, office.now(), *values)
    if asked:
        office.wake(row.bank)


def _who(organisation: str) -> Who:
    return Who("", organisation, "overflow", False)
