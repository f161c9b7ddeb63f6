"""Taking out: by the recipient, by a courier, once more, and what people say of what they found."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain import policy
from latchwork.domain.bank import Bank, OpeningState, Session, Stay
from latchwork.domain.commands import Decision
from latchwork.domain.rules.pieces import HERE, MOVING, busy, door_of, emptied, no, openings_of, under_way, want, yes
from latchwork.domain.words import (
    REPORTS,
    CompartmentState,
    DoorState,
    Ending,
    OpeningId,
    PassId,
    Purpose,
    Reason,
    Role,
    SessionId,
    StayState,
)

_FOR_COURIER = frozenset({Reason.REFUSED, Reason.DAMAGED})
"""What a recipient would not have goes back with its courier."""


def may_take(bank: Bank, session: Session, stay: Stay) -> bool:
    """Whether this person may take this stay out now."""
    service = bank.services[stay.about.service]
    if session.role is Role.PERSON:
        theirs = session.stay == stay.id or (
            session.recipient is not None and session.recipient == stay.about.recipient
        )
        in_time = stay.state is StayState.DEPOSITED or (stay.state is StayState.EXPIRED and service.late_collection)
        # Their code may be spent by now: while the thing is still here, whoever signed in with it may try again.
        return theirs and in_time and session.purpose is not Purpose.DEPOSIT and service.collect_by is Role.PERSON
    if session.role is Role.COURIER:
        where = bank.compartments.get(stay.compartment) if stay.compartment else None
        if where is not None and where.state is CompartmentState.OUT_OF_SERVICE:
            return False
        if session.party not in (None, stay.about.party):
            return False
        if stay.state is StayState.EXCEPTION:
            return stay.why in _FOR_COURIER
        if service.collect_by is Role.COURIER:
            return stay.state in (StayState.DEPOSITED, StayState.EXPIRED)
        return stay.state is StayState.EXPIRED and service.at_end is Ending.COURIER
    return False


def collect(bank: Bank, session: Session, cmd: c.Collect, now: datetime) -> Decision:
    stay = bank.stays.get(cmd.stay)
    if stay is None:
        return _reopen(bank, session, cmd)
    if stay.state not in HERE or stay.compartment is None:
        return no(Reason.PARCEL_NOT_AVAILABLE)
    if stay.state is StayState.BLOCKED:
        return no(Reason.BLOCKED)
    if bank.compartments[stay.compartment].state is CompartmentState.OUT_OF_SERVICE:
        return no(Reason.OUT_OF_SERVICE)
    if not may_take(bank, session, stay):
        over = stay.state is StayState.EXPIRED and may_take(bank, session, replace(stay, state=StayState.DEPOSITED))
        return no(Reason.CODE_EXPIRED if over else Reason.NO_ACCESS)
    service = bank.services[stay.about.service]
    until = policy.opens_at(bank, service, now)
    if until is not None and session.role is Role.PERSON:
        return no(Reason.OUTSIDE_HOURS, until)
    if busy(bank, stay):
        leaf = bank.compartments[door_of(bank, stay.compartment) or stay.compartment]
        return no(Reason.DOOR_OPEN if leaf.door is DoorState.OPEN else Reason.BUSY)
    recall = session.role is Role.COURIER and service.collect_by is not Role.COURIER
    if recall and bank.clock_doubted and stay.state is StayState.EXPIRED:
        return no(Reason.CLOCK_UNKNOWN)
    inside = _inside(bank, session, stay)
    if any(s.moving is not None or s.state is StayState.RESERVED for s in inside):
        return no(Reason.BUSY)
    if not all(may_take(bank, session, s) for s in inside):
        return no(Reason.BLOCKED if any(s.state is StayState.BLOCKED for s in inside) else Reason.NO_ACCESS)
    ends = StayState.RECALLED if recall else StayState.COLLECTED
    stays = tuple(s.id for s in inside)
    door = door_of(bank, stay.compartment)
    if door is None:
        return yes(*taken(bank, inside, ends, None, session.pass_id, session.id))
    return yes(want(cmd.opening, door, Purpose.COLLECT, by=session, claim=stay.claim, stays=stays, ends=ends))


def _inside(bank: Bank, session: Session, stay: Stay) -> list[Stay]:
    """All that comes out with it."""
    if stay.claim is not None:
        return [bank.stays[s] for s in bank.claims[stay.claim].stays]
    if session.recipient is None:
        return [stay]
    on_shelf = (s for s in bank.stays.values() if s.compartment == stay.compartment and s.claim is None)
    return sorted((s for s in on_shelf if may_take(bank, session, s)), key=lambda s: s.id)


def _reopen(bank: Bank, session: Session, cmd: c.Collect) -> Decision:
    """The door of what they have just taken, once more, while nobody else has the compartment. What of theirs is still
    inside stays theirs."""
    took = took_by(bank, session, cmd)
    if took is None or took.compartment is None:
        return no(Reason.PARCEL_NOT_AVAILABLE)
    compartment, door = bank.compartments.get(took.compartment), None
    claim = bank.claims.get(compartment.claim) if compartment and compartment.claim else None
    if compartment is None or (claim and not all(may_take(bank, session, bank.stays[s]) for s in claim.stays)):
        return no(Reason.COMPARTMENT_OCCUPIED)
    if under_way(bank, compartment.id):
        return no(Reason.BUSY)
    door = door_of(bank, compartment.id)
    return yes() if door is None else yes(want(cmd.opening, door, Purpose.VISIT, by=session))


def took_by(bank: Bank, session: Session, cmd: c.Collect | c.Report) -> Stay | None:
    held = bank.passes.get(session.pass_id) if session.pass_id else None
    return next((s for s in held.took if s.id == cmd.stay), None) if held else None


def taken(
    bank: Bank,
    stays: Sequence[Stay],
    ends: StayState | None,
    opening: OpeningId | None,
    pass_id: PassId | None,
    session: SessionId | None,
    why: Reason | None = None,
    second: PassId | None = None,
) -> list[e.Body]:
    """These stays have ended: the door closed behind them, or they lay in the open."""
    entries: list[e.Body] = []
    for i, stay in enumerate(stays):
        assert stay.compartment is not None and ends is not None
        state = emptied(bank, stay.compartment, *stays[: i + 1])
        what = (stay.id, stay.about, stay.claim, stay.compartment, opening)
        if ends is StayState.COLLECTED:
            entries.append(e.Collected(*what, state, pass_id, session))
        elif ends is StayState.RECALLED:
            entries.append(e.Recalled(*what, state, pass_id, session))
        else:
            entries.append(e.Removed(*what, ends, why or Reason.OTHER, state, second, pass_id, session))
    return entries


def report(bank: Bank, session: Session, cmd: c.Report, now: datetime) -> Decision:
    if cmd.what not in REPORTS:
        return no(Reason.NOT_UNDERSTOOD)
    stay, took = bank.stays.get(cmd.stay), took_by(bank, session, cmd)
    if stay is not None:
        found_empty = cmd.what is Reason.COMPARTMENT_EMPTY  # all that anybody but its recipient may say
        if not (session.role is Role.PERSON or found_empty) or not may_take(bank, session, stay):
            return no(Reason.NO_ACCESS)
        if stay.moving is not None:
            return no(Reason.BUSY)
        seen = next((o for o in openings_of(bank, cmd.session) if cmd.stay in o.stays), None)
        if seen is not None and seen.state in MOVING:
            return no(Reason.BUSY)
        opened = seen is not None and seen.state is OpeningState.OPENED
        if not opened and cmd.what is not Reason.REFUSED:
            return no(Reason.DOOR_NOT_OPENED)
    elif took is None or took.about.service not in bank.services:
        return no(Reason.PARCEL_NOT_AVAILABLE)
    thing = stay or took
    assert thing is not None and thing.compartment is not None
    compartment = bank.compartments.get(thing.compartment)
    if compartment is None or (stay is None and compartment.claim not in (None, thing.claim)):
        return no(Reason.COMPARTMENT_OCCUPIED)
    gone = cmd.what is Reason.COMPARTMENT_EMPTY or (cmd.what is Reason.DAMAGED and not cmd.left)
    if gone:
        # Nobody but they has seen it: the compartment waits for a second look.
        empty = cmd.what is Reason.COMPARTMENT_EMPTY
        ended = StayState.EXCEPTION if empty else StayState.COLLECTED
        left = emptied(bank, thing.compartment, thing)
        if compartment.fitting.shelf:
            state = compartment.state
        else:
            state = CompartmentState.NEEDS_CHECK if empty and left is not CompartmentState.OCCUPIED else left
        said = e.Reported(thing.id, thing.about, cmd.what, ended, None, thing.compartment, state, session.id, True)
        return yes(said)
    held = bank.passes.get(session.pass_id) if session.pass_id else None
    still_theirs = cmd.what is Reason.LEFT_BEHIND
    given = held.grant if held and still_theirs and held.grant.stay == thing.id else None
    shelf = compartment.fitting.shelf
    return yes(
        e.Reported(
            thing.id,
            thing.about,
            cmd.what,
            StayState.DEPOSITED if still_theirs else StayState.EXCEPTION,
            thing.claim,
            thing.compartment,
            compartment.state if shelf else CompartmentState.OCCUPIED,
            session.id,
            announced=thing.announced,
            deadline=thing.deadline or now if still_theirs else None,
            pickup=given,
        )
    )
