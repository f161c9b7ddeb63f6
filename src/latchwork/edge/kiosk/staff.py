"""Staff at the wall: looks inside, moves, sends back, throws away, takes out of service, and goes through all doors."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from latchwork.domain import commands as c
from latchwork.domain.bank import Bank, Compartment
from latchwork.domain.commands import Ticket
from latchwork.domain.words import (
    ClaimId,
    CompartmentId,
    Lookup,
    OpeningId,
    Purpose,
    Reason,
    Role,
    StayId,
)
from latchwork.edge.kiosk import presses as p
from latchwork.edge.kiosk.at import At, aside, asking, refused
from latchwork.edge.kiosk.putting_in import settled
from latchwork.edge.kiosk.turn import Mode, Question, Told, Turn, current
from latchwork.sync.keys import BadTicket

AUDIT_FRESH = timedelta(hours=24)
"""A door that somebody looked into so lately counts as done, whoever it was and whatever has restarted since."""
_NEVER = datetime.min.replace(tzinfo=UTC)


async def door(at: At, turn: Turn, press: p.Door) -> Turn:
    if press.door not in at.desk.bank.compartments:
        return refused(turn, Reason.UNKNOWN_COMPARTMENT)
    turn = await settled(at, turn)
    return turn if turn.refusal else replace(turn, door=CompartmentId(press.door), look=None)


async def visit(at: At, turn: Turn, press: p.Visit) -> Turn:
    if turn.door is None:
        return turn
    if press.reason not in set(Reason):
        return refused(turn, Reason.NOT_UNDERSTOOD)
    return await open_door(at, turn, turn.door, Reason(press.reason))


async def open_door(at: At, turn: Turn, door: CompartmentId, why: Reason) -> Turn:
    assert turn.session is not None
    return replace(await at.do(turn, c.Visit(turn.session, OpeningId(at.desk.new_id()), door, why)), why=why)


async def look(at: At, turn: Turn, press: p.Look) -> Turn:
    opening = current(at.desk.bank, turn)
    if opening is not None and opening.purpose is Purpose.CHECK:
        return replace(aside(turn, opening), look=opening.compartment)
    return replace(turn, look=turn.door, door=None) if turn.door is not None else turn


async def seen(at: At, turn: Turn, press: p.Seen) -> Turn:
    opening = current(at.desk.bank, turn)
    door = turn.look or (opening.compartment if opening else None)
    if door is None or turn.session is None:
        return turn
    decision = await at.desk.do(c.Inspect(turn.session, door, press.empty))
    if decision.refusal:
        return replace(turn, refusal=decision.refusal)
    return replace(aside(turn, opening) if opening else turn, look=None)


async def thing(at: At, turn: Turn, press: p.Thing) -> Turn:
    if at.of_role(turn, Role.STAFF) is None:
        return refused(turn, Reason.NO_ACCESS)
    if press.stay not in at.desk.bank.stays:
        return refused(turn, Reason.PARCEL_NOT_AVAILABLE)
    return asking(turn, Question.THING, stay=StayId(press.stay))


async def move(at: At, turn: Turn, press: p.Move) -> Turn:
    turn = await settled(at, turn)
    if turn.refusal or turn.session is None:
        return turn
    new = at.desk.new_id
    ids = OpeningId(new()), OpeningId(new()), ClaimId(new())
    turn = await at.do(turn, c.Move(turn.session, StayId(press.stay), *ids))
    return turn if turn.refusal else replace(turn, why=Reason.MOVED)


async def remove(at: At, turn: Turn, press: p.Remove) -> Turn:
    try:
        second = _shown(at, press.second)
    except BadTicket:
        return refused(turn, Reason.NOT_UNDERSTOOD)
    turn = await settled(at, turn)
    if turn.refusal or turn.session is None:
        return turn
    stay = at.desk.bank.stays.get(StayId(press.stay))
    command = c.Remove(turn.session, OpeningId(at.desk.new_id()), StayId(press.stay), press.why, second)
    turn = await at.do(turn, command)
    if turn.refusal is not None and turn.refusal.reason is Reason.SECOND_PERSON and second is None:
        return asking(replace(turn, refusal=None), Question.SECOND, stay=StayId(press.stay))
    if turn.refusal is None and turn.opening is None and stay is not None and stay.compartment is not None:
        return replace(turn, door=None, told=Told("removed", stay.compartment))
    return turn


async def maintain(at: At, turn: Turn, press: p.Maintain) -> Turn:
    assert turn.session is not None
    return replace(turn, refusal=(await at.desk.do(c.Maintain(turn.session, press.on))).refusal)


async def open_all(at: At, turn: Turn, press: p.OpenAll) -> Turn:
    if at.of_role(turn, Role.STAFF) is None:
        return refused(turn, Reason.NO_ACCESS)
    if press.reason is None or press.second is None:
        return asking(turn, Question.OPEN_ALL, what=press.reason)
    try:
        second = _shown(at, press.second)
    except BadTicket:
        return refused(turn, Reason.NOT_UNDERSTOOD)
    turn = await settled(at, turn)
    if turn.refusal or turn.session is None:
        return turn
    ids = tuple(OpeningId(at.desk.new_id()) for _ in at.desk.bank.compartments)
    return await at.do(turn, c.OpenAll(turn.session, ids, press.reason, second))


async def listen(at: At, turn: Turn, press: p.Listen) -> Turn:
    if at.of_role(turn, Role.STAFF) is None:
        return refused(turn, Reason.NO_ACCESS)
    return await at.do(turn, c.Listen(turn.session))


def _shown(at: At, text: str | None) -> Lookup | Ticket | None:
    """Raises BadTicket."""
    if text is None:
        return None
    digits = "".join(text.split()).replace("-", "")
    return at.desk.code(digits) if digits.isdigit() else at.desk.ticket(digits.upper())


async def withdraw(at: At, turn: Turn, press: p.Withdraw) -> Turn:
    assert turn.session is not None
    door = CompartmentId(press.door)
    decision = await at.desk.do(c.Withdraw((door,), press.back, press.now, turn.session))
    if decision.refusal:
        return replace(turn, refusal=decision.refusal)
    out = at.desk.bank.compartments[door].withdrawn
    return replace(turn, door=None, told=Told("withdrawn" if out else "back_in_service", door))


# Going through all doors


async def audit(at: At, turn: Turn, press: p.Audit) -> Turn:
    if at.of_role(turn, Role.STAFF) is None:
        return refused(turn, Reason.NO_ACCESS)
    if turn.mode is not Mode.AUDIT:
        turn = await settled(at, turn)
        return turn if turn.refusal else replace(turn, mode=Mode.AUDIT, skipped=frozenset(), door=None)
    following = next_to_check(at.desk.bank, turn)
    if current(at.desk.bank, turn) is not None or turn.look is not None or following is None:
        return turn
    return await open_door(at, turn, following.id, Reason.INSPECTION)


async def skip(at: At, turn: Turn, press: p.Skip) -> Turn:
    if turn.mode is not Mode.AUDIT:
        return turn
    opening = current(at.desk.bank, turn)
    turn = await settled(at, turn)
    following = next_to_check(at.desk.bank, turn)
    door = turn.look or (opening.compartment if opening else following.id if following else None)
    return turn if turn.refusal or door is None else replace(turn, look=None, skipped=turn.skipped | {door})


def to_audit(bank: Bank) -> list[Compartment]:
    """All that can be looked into, the one that was longest not looked into first."""
    doors = [x for x in bank.compartments.values() if x.fitting.claimable]
    return sorted(doors, key=lambda x: (x.checked_at or _NEVER, x.id))


def is_checked(bank: Bank, compartment: Compartment) -> bool:
    return bank.at is not None and compartment.checked_at is not None and bank.at - compartment.checked_at < AUDIT_FRESH


def next_to_check(bank: Bank, turn: Turn) -> Compartment | None:
    return next((x for x in to_audit(bank) if not is_checked(bank, x) and x.id not in turn.skipped), None)
