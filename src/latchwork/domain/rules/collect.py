"""Taking out: by the recipient, by a courier, once more, and what people say of what they found."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain import policy
from latchwork.domain.bank import Bank, Opening, OpeningState, Session, Stay
from latchwork.domain.commands import Decision
from latchwork.domain.rules.pieces import HERE, MOVING, busy, door_of, emptied, no, openings_of, under_way, want, yes
from latchwork.domain.words import (
    REPORTS,
    CompartmentState,
    DoorState,
    Ending,
    OpeningId,
    Purpose,
    Reason,
    Role,
    StayState,
)

_FOR_COURIER = frozenset({Reason.REFUSED, Reason.DAMAGED})
"""What a recipient would not have goes back with its courier."""


def may_take(bank: Bank, session: Session, stay: Stay) -> bool:
    """Whether this person may take this stay out now."""
    theirs = session.stay == stay.id or (session.recipient is not None and session.recipient == stay.about.recipient)
    if session.role is Role.PERSON and not theirs:
        return False
    service = bank.services[stay.about.service]
    if session.role is Role.PERSON:
        in_time = stay.state is StayState.DEPOSITED or (stay.state is StayState.EXPIRED and service.late_collection)
        # Their code may be spent by now: while the thing is still here, whoever signed in with it may try again.
        return in_time and session.purpose is not Purpose.DEPOSIT and service.collect_by is Role.PERSON
    if session.role is Role.COURIER:
        where = bank.compartments.get(stay.compartment)
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
    return take_out(bank, session, cmd.opening, inside, StayState.RECALLED if recall else StayState.COLLECTED)


def take_out(
    bank: Bank, by: Session, opening: OpeningId, stays: Sequence[Stay], ends: StayState, **told: Any
) -> Decision:
    """All of one place, through its door; what lies in the open is out at once."""
    where, ids = stays[0].compartment, tuple(stay.id for stay in stays)
    assert where is not None
    door = door_of(bank, where)
    asked = want(opening, door or where, Purpose.COLLECT, by=by, claim=stays[0].claim, stays=ids, ends=ends, **told)
    return yes(asked) if door else yes(*taken(bank, stays, asked, None))


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
    compartment = bank.compartments.get(took.compartment)
    claim = bank.claims.get(compartment.claim) if compartment else None
    if compartment is None or (claim and not all(may_take(bank, session, bank.stays[s]) for s in claim.stays)):
        return no(Reason.COMPARTMENT_OCCUPIED)
    if under_way(bank, compartment.id):
        return no(Reason.BUSY)
    door = door_of(bank, compartment.id)
    return yes() if door is None else yes(want(cmd.opening, door, Purpose.VISIT, by=session))


def took_by(bank: Bank, session: Session, cmd: c.Collect | c.Report) -> Stay | None:
    held = bank.passes.get(session.pass_id)
    return next((s for s in held.took if s.id == cmd.stay), None) if held else None


def taken(bank: Bank, stays: Sequence[Stay], asked: e.Wanted | Opening, opening: OpeningId | None) -> list[e.Body]:
    """These stays have ended as it was asked: the door closed behind them, or (no opening) they lay in the open."""
    entries: list[e.Body] = []
    for i, stay in enumerate(stays):
        assert stay.compartment is not None and asked.ends is not None
        state = emptied(bank, stay.compartment, *stays[: i + 1])
        what = (stay.id, stay.about, stay.claim, stay.compartment, opening)
        if kind := _ENDED.get(asked.ends):
            entries.append(kind(*what, state, asked.pass_id, asked.session))
        else:
            how, by = (asked.ends, asked.reason or Reason.OTHER, state), (asked.second, asked.pass_id, asked.session)
            entries.append(e.Removed(*what, *how, *by))
    return entries


_ENDED: dict[StayState, type[e.Collected | e.Recalled]] = {
    StayState.COLLECTED: e.Collected,
    StayState.RECALLED: e.Recalled,
}


def report(bank: Bank, session: Session, cmd: c.Report, now: datetime) -> Decision:
    if cmd.what not in REPORTS:
        return no(Reason.NOT_UNDERSTOOD)
    stay, took = bank.stays.get(cmd.stay), took_by(bank, session, cmd)
    if stay is not None and (reason := _unseen(bank, session, cmd, stay)):
        return no(reason)
    thing = stay or took
    if thing is None or thing.about.service not in bank.services or thing.compartment is None:
        return no(Reason.PARCEL_NOT_AVAILABLE)
    compartment = bank.compartments.get(thing.compartment)
    if compartment is None or (stay is None and compartment.claim not in (None, thing.claim)):
        return no(Reason.COMPARTMENT_OCCUPIED)
    missing, theirs = cmd.what is Reason.COMPARTMENT_EMPTY, cmd.what is Reason.LEFT_BEHIND
    gone = missing or (cmd.what is Reason.DAMAGED and not cmd.left)
    state = emptied(bank, thing.compartment, thing) if gone else CompartmentState.OCCUPIED
    if compartment.fitting.shelf:
        state = compartment.state
    elif missing and state is not CompartmentState.OCCUPIED:
        state = CompartmentState.NEEDS_CHECK  # nobody but they has seen it: it waits for a second look
    held = bank.passes.get(session.pass_id)
    said = e.Reported(
        thing.id,
        thing.about,
        cmd.what,
        StayState.DEPOSITED if theirs else StayState.COLLECTED if gone and not missing else StayState.EXCEPTION,
        None if gone else thing.claim,
        thing.compartment,
        state,
        session.id,
        ended=gone,
        announced=thing.announced,
        deadline=thing.deadline or now if theirs else None,
        pickup=held.grant if held and theirs and held.grant.stay == thing.id else None,
    )
    return yes(said)


def _unseen(bank: Bank, session: Session, cmd: c.Report, stay: Stay) -> Reason | None:
    """Why this person cannot say it of a thing that is here: not theirs, or they do not stand before its open door."""
    found_empty = cmd.what is Reason.COMPARTMENT_EMPTY  # all that anybody but its recipient may say
    if not (session.role is Role.PERSON or found_empty) or not may_take(bank, session, stay):
        return Reason.NO_ACCESS
    seen = next((o for o in openings_of(bank, cmd.session) if cmd.stay in o.stays), None)
    if stay.moving is not None or (seen is not None and seen.state in MOVING):
        return Reason.BUSY
    opened = seen is not None and seen.state is OpeningState.OPENED
    return None if opened or cmd.what is Reason.REFUSED else Reason.DOOR_NOT_OPENED
