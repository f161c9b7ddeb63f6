"""Staff at the wall, and what an operator elsewhere may change of a stay or a compartment."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain import policy
from latchwork.domain.bank import Bank, Compartment, OpeningState, Session, Stay
from latchwork.domain.commands import Decision
from latchwork.domain.rules.collect import may_take, take_out, taken
from latchwork.domain.rules.people import shown
from latchwork.domain.rules.pieces import (
    at_rest,
    door_of,
    emptied,
    is_reserved,
    let_go,
    maintained,
    no,
    pickup,
    release,
    stored,
    under_way,
    want,
    want_deposit,
    yes,
)
from latchwork.domain.words import (
    STAFF_REASONS,
    CompartmentId,
    CompartmentState,
    DoorState,
    Ending,
    Lookup,
    PassId,
    Purpose,
    Reason,
    Role,
    StayState,
)


def visit(bank: Bank, session: Session, cmd: c.Visit, now: datetime) -> Decision:
    compartment = bank.compartments.get(cmd.compartment)
    if compartment is None:
        return no(Reason.UNKNOWN_COMPARTMENT)
    if session.role is Role.COURIER and compartment.fitting.gate:  # the way to the shelves behind it
        return yes(want(cmd.opening, cmd.compartment, Purpose.VISIT, by=session))
    if session.role is not Role.STAFF or cmd.reason not in STAFF_REASONS:
        return no(Reason.NO_ACCESS)
    return yes(want(cmd.opening, cmd.compartment, Purpose.CHECK, by=session, reason=cmd.reason))


MAINTENANCE = timedelta(hours=2)
"""A technician who forgets to say "done" silences no alarm for longer."""


def maintain(bank: Bank, session: Session, cmd: c.Maintain, now: datetime) -> Decision:
    if not cmd.on and not maintained(bank, now):
        return Decision()
    return yes(e.Maintained(now + MAINTENANCE if cmd.on else None, session.id))


def inspect(bank: Bank, session: Session, cmd: c.Inspect, now: datetime) -> Decision:
    return look(bank, cmd.compartment, cmd.empty, now, session=session.id)


def look(bank: Bank, compartment_id: CompartmentId, empty: bool, now: datetime, **who: Any) -> Decision:
    """What a look inside makes of a compartment. It never ends a stay: that takes a collection."""
    compartment = bank.compartments.get(compartment_id)
    if compartment is None:
        return no(Reason.UNKNOWN_COMPARTMENT)
    claim = bank.claims.get(compartment.claim)
    if claim is None:
        state = emptied(bank, compartment_id) if empty else CompartmentState.NEEDS_CHECK
        return yes(e.Checked(compartment_id, state, **who))
    deposits = sorted(
        (o for o in bank.openings.values() if o.claim == claim.id and bank.holds_deposit(o)), key=lambda o: o.id
    )
    if any(o.state not in (OpeningState.UNRESOLVED, OpeningState.NOT_OPENED) for o in deposits):
        return no(Reason.BUSY)  # a deposit under way answers for itself
    if deposits:
        state = CompartmentState.OCCUPIED
        if empty:
            left = emptied(bank, compartment_id, *(bank.stays[o.stays[0]] for o in deposits))
            state = CompartmentState.NEEDS_CHECK if left is state else left  # what lay beside it is missing
        settled = [
            release(bank, o, state, Reason.INSPECTION) if empty else stored(bank, o, now, presumed=True)
            for o in deposits
        ]
        return yes(*settled, e.Checked(compartment_id, state, **who))
    reserved = all(bank.stays[stay].state is StayState.RESERVED for stay in claim.stays)
    state = CompartmentState.RESERVED if reserved else CompartmentState.OCCUPIED
    if empty is not reserved:
        state = CompartmentState.NEEDS_CHECK
    elif not reserved and compartment.state is CompartmentState.OUT_OF_SERVICE:
        state = compartment.state
    return yes(e.Checked(compartment_id, state, **who))


def remove(bank: Bank, session: Session, cmd: c.Remove, now: datetime) -> Decision:
    stay = at_rest(bank, cmd.stay)
    if isinstance(stay, Reason):
        return no(stay)
    if cmd.why not in (Reason.RETURN_TO_SENDER, Reason.DISPOSED, Reason.COMPARTMENT_EMPTY):
        return no(Reason.NOT_UNDERSTOOD)
    if cmd.why is Reason.COMPARTMENT_EMPTY:  # looked for, and not there
        where = bank.compartments.get(stay.compartment)
        if where is None or where.state is not CompartmentState.NEEDS_CHECK:
            return no(Reason.COMPARTMENT_OCCUPIED)
        told = {"ends": StayState.EXCEPTION, "reason": cmd.why}
        return yes(*taken(bank, [stay], want(cmd.opening, where.id, Purpose.COLLECT, by=session, **told), None))
    second = None
    if cmd.why is Reason.DISPOSED:
        if bank.services[stay.about.service].at_end is not Ending.DISPOSE and stay.state is StayState.DEPOSITED:
            return no(Reason.NO_ACCESS)
        other = _second(bank, session, cmd.second, now)
        if isinstance(other, Decision):
            return other
        second = other
    ends = StayState.RETURNED if cmd.why is Reason.RETURN_TO_SENDER else StayState.EXCEPTION
    return take_out(bank, session, cmd.opening, [stay], ends, reason=cmd.why, second=second)


def open_all(bank: Bank, session: Session, cmd: c.OpenAll, now: datetime) -> Decision:
    """A queue like any other: each door waits for the governor and for the one before it. Gates stay shut."""
    if cmd.reason not in STAFF_REASONS:
        return no(Reason.NO_ACCESS)
    second = _second(bank, session, cmd.second, now)
    if isinstance(second, Decision):
        return second
    shut = (x.id for x in bank.compartments.values() if x.fitting.claimable and x.door is not DoorState.OPEN)
    doors = sorted(x for x in shut if not under_way(bank, x))
    told = {"reason": cmd.reason, "second": second}
    pairs = zip(cmd.openings, doors, strict=False)
    return yes(*(want(opening, door, Purpose.VISIT, by=session, **told) for opening, door in pairs))


def _second(bank: Bank, session: Session, code: Lookup | c.Ticket | None, now: datetime) -> PassId | Decision:
    """The pass of another of the staff, or the no."""
    if code is None:
        return no(Reason.SECOND_PERSON)
    other = shown(bank, code, now)
    if isinstance(other, Decision):
        return other
    if other.grant.role is not Role.STAFF or other.grant.pass_id == session.pass_id:
        return no(Reason.SECOND_PERSON)
    return other.grant.pass_id


def move(bank: Bank, session: Session, cmd: c.Move, now: datetime) -> Decision:
    stay = at_rest(bank, cmd.stay)
    if isinstance(stay, Reason):
        return no(stay)
    chosen = policy.choose(bank, stay.about, prefer=cmd.prefer)
    if isinstance(chosen, Reason):
        return no(chosen)
    compartment, why = chosen
    claimed = e.Claimed(cmd.new_claim, compartment.id, stay.id, stay.about, stay.announced, why, moves=True)
    old = door_of(bank, stay.compartment)
    out = [want(cmd.opening, old, Purpose.CHECK, by=session, reason=Reason.MOVED)] if old else []
    return yes(*out, claimed, want_deposit(cmd.new_opening, claimed, session))


def extend(bank: Bank, session: Session | None, cmd: c.Extend, now: datetime) -> Decision:
    stay = bank.stays.get(cmd.stay)
    if stay is None or stay.state not in (StayState.DEPOSITED, StayState.EXPIRED):
        return no(Reason.PARCEL_NOT_AVAILABLE)
    if session is not None and not may_take(bank, session, stay):
        return no(Reason.NO_ACCESS)
    service = bank.services[stay.about.service]
    if stay.extensions >= service.extensions_max:
        return no(Reason.NO_EXTENSION)
    if policy.vacant_count(bank) < service.room_min:
        return no(Reason.NO_SUITABLE_COMPARTMENT)
    end = policy.deadline(bank, service, max(now, stay.deadline or now), service.extension_hours)
    what = (StayState.DEPOSITED, Reason.EXTENDED, end, stay.extensions + 1)
    return yes(e.Amended(stay.id, stay.about, *what, session=session.id if session else None))


def amend(bank: Bank, cmd: c.Amend, offer: c.Offer | None, now: datetime) -> Decision:
    """One change at a time: for somebody else, blocked or freed, or held until."""
    stay = at_rest(bank, cmd.stay)
    if isinstance(stay, Reason):
        return no(stay)
    if cmd.recipient is not None:
        return _reassign(bank, stay, cmd, offer, now)
    if cmd.blocked is not None:
        if cmd.blocked is (stay.state is StayState.BLOCKED):
            return no(Reason.PARCEL_NOT_AVAILABLE)
        state = StayState.BLOCKED if cmd.blocked else StayState.DEPOSITED
        why = Reason.BLOCKED if cmd.blocked else Reason.UNBLOCKED
        return yes(e.Amended(stay.id, stay.about, state, why, stay.deadline or now, stay.extensions))
    if cmd.until is None or cmd.until <= now:
        return no(Reason.EXPIRED)
    state = stay.state if stay.state in (StayState.BLOCKED, StayState.EXCEPTION) else StayState.DEPOSITED
    return yes(e.Amended(stay.id, stay.about, state, Reason.HELD, cmd.until, stay.extensions))


def _reassign(bank: Bank, stay: Stay, cmd: c.Amend, offer: c.Offer | None, now: datetime) -> Decision:
    service = bank.services[stay.about.service]
    claim = bank.claims.get(stay.claim)
    if claim is not None and len(claim.stays) > 1:
        return no(Reason.SHARED)
    given = pickup(bank, offer, stay.id) if offer is not None and service.collect_by is Role.PERSON else None
    if given is None and service.collect_by is Role.PERSON:
        return no(Reason.CODE_TAKEN)
    about = replace(stay.about, recipient=cmd.recipient)
    end = policy.deadline(bank, service, now)
    return yes(e.Amended(stay.id, about, StayState.DEPOSITED, Reason.REASSIGNED, end, 0, given))


def withdraw(bank: Bank, session: Session | None, cmd: c.Withdraw, now: datetime) -> Decision:
    if any(x not in bank.compartments for x in cmd.compartments):
        return no(Reason.UNKNOWN_COMPARTMENT)
    chosen = [bank.compartments[x] for x in cmd.compartments or sorted(bank.compartments)]
    released = [] if cmd.back else [entry for compartment in chosen for entry in _unreserved(bank, compartment)]
    free = {x.compartment for x in released if x.compartment_state is not CompartmentState.NEEDS_CHECK}
    states = {x.id: _withdrawn_state(x, cmd, x.id in free) for x in chosen if not x.fitting.gate}
    return yes(*released, e.Withdrawn(states, out=not cmd.back, session=session.id if session else None))


def _unreserved(bank: Bank, compartment: Compartment) -> list[e.Released]:
    claim = bank.claims.get(compartment.claim)
    if claim is None or claim.moves is not None or not all(is_reserved(bank, bank.stays[s]) for s in claim.stays):
        return []
    return [released for stay in claim.stays for released in let_go(bank, bank.stays[stay], Reason.WITHDRAWN)]


def _withdrawn_state(compartment: Compartment, cmd: c.Withdraw, free: bool) -> CompartmentState:
    state = compartment.state
    if cmd.back and state is CompartmentState.OUT_OF_SERVICE:
        return CompartmentState.OCCUPIED if compartment.claim else CompartmentState.VACANT
    empty = free or state is CompartmentState.VACANT
    out = not cmd.back and (empty or (cmd.now and state is CompartmentState.OCCUPIED))
    return CompartmentState.OUT_OF_SERVICE if out else state
