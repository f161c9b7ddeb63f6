"""What several rules need: answers, passes, and how a thing is put down, let go and left."""

from datetime import datetime
from typing import Any

from latchwork.domain import entries as e
from latchwork.domain import policy
from latchwork.domain.bank import Bank, Grant, Opening, OpeningState, Session, Stay
from latchwork.domain.commands import Decision, Offer, Refusal
from latchwork.domain.words import (
    ClaimId,
    CompartmentId,
    CompartmentState,
    OpeningId,
    PassId,
    Purpose,
    Reason,
    Role,
    SessionId,
    StayId,
    StayState,
)

MOVING = frozenset({OpeningState.WANTED, OpeningState.UNLOCKED})
UNDER_WAY = MOVING | {OpeningState.OPENED}
PROVEN = frozenset({OpeningState.OPENED, OpeningState.SHUT})
"""The person stood before the open door, so their word about what is inside counts."""

HERE = frozenset({StayState.DEPOSITED, StayState.EXPIRED, StayState.BLOCKED, StayState.EXCEPTION})

_Place = tuple[ClaimId | None, CompartmentId, OpeningId | None]


def no(reason: Reason, until: datetime | None = None) -> Decision:
    return Decision(refusal=Refusal(reason, until))


def yes(*entries: e.Body) -> Decision:
    return Decision(entries)


def too_late(server_now: datetime | None, not_after: datetime) -> Reason | None:
    """Judged on the server's time only; without it, too late."""
    if server_now is None:
        return Reason.CLOCK_UNKNOWN
    return Reason.EXPIRED if server_now >= not_after else None


def maintained(bank: Bank, now: datetime) -> bool:
    """Whether a technician is at work on the wall."""
    return bank.maintained_until is not None and now < bank.maintained_until


# Openings and what they carry


def openings_of(bank: Bank, session: SessionId) -> list[Opening]:
    return sorted((o for o in bank.openings.values() if o.session == session), key=lambda o: o.id)


def door_of(bank: Bank, compartment_id: CompartmentId | None) -> CompartmentId | None:
    """The door to open for it: its own, or the gate that a shelf is behind; None: it lies in the open."""
    where = bank.compartments.get(compartment_id)
    return where.fitting.behind if where and where.fitting.shelf else compartment_id


def under_way(bank: Bank, compartment_id: CompartmentId | None) -> bool:
    door = door_of(bank, compartment_id)
    return any(o.compartment == door for o in bank.openings.values() if o.state in UNDER_WAY)


def busy(bank: Bank, stay: Stay) -> bool:
    """Its door is moving, or staff is moving it."""
    return stay.moving is not None or under_way(bank, stay.compartment)


def at_rest(bank: Bank, stay_id: StayId) -> Stay | Reason:
    """A thing that is here, and neither moves nor its door."""
    stay = bank.stays.get(stay_id)
    if stay is None or stay.state not in HERE:
        return Reason.PARCEL_NOT_AVAILABLE
    return Reason.BUSY if busy(bank, stay) else stay


def is_awaited(bank: Bank, stay: Stay) -> bool:
    """Nobody has begun to put it in."""
    return stay.state is StayState.EXPECTED or is_reserved(bank, stay)


def is_reserved(bank: Bank, stay: Stay) -> bool:
    """A compartment is held for it, and nobody has opened it yet."""
    return stay.state is StayState.RESERVED and not any(o.claim == stay.claim for o in bank.openings.values())


def stored(bank: Bank, opening: Opening, now: datetime, **told: Any) -> e.Stored | e.Moved:
    """What this opening was for is in."""
    stay = bank.stays[opening.stays[0]]
    assert opening.claim is not None
    at = (opening.claim, opening.compartment, opening.id)
    if bank.claims[opening.claim].moves is not None:
        assert stay.compartment is not None
        left = emptied(bank, stay.compartment, stay)
        return e.Moved(stay.id, stay.about, *at, stay.compartment, left)
    return is_in(bank, stay, at, grant_of(bank, stay.pickup), now, session=opening.session, **told)


def is_in(bank: Bank, stay: Stay, at: _Place, code: Grant | None, now: datetime, **told: Any) -> e.Stored:
    service = bank.services[stay.about.service]
    end = policy.deadline(bank, service, now)
    why = Reason.UNKNOWN_RECIPIENT if code is None and service.collect_by is Role.PERSON else None
    return e.Stored(stay.id, stay.about, *at, end, stay.announced, pickup=code, why=why, **told)


def release(bank: Bank, opening: Opening, state: CompartmentState, why: Reason) -> e.Released:
    """A deposit that came to nothing, and what its compartment is now."""
    stay = bank.stays[opening.stays[0]]
    assert opening.claim is not None
    back: StayState | None = StayState.EXPECTED if stay.announced else None
    if bank.claims[opening.claim].moves is not None:
        back = stay.state
    if state is CompartmentState.VACANT:
        state = emptied(bank, opening.compartment, stay)
    return e.Released(opening.claim, opening.compartment, state, why, stay.id, back, opening.id)


def let_go(bank: Bank, stay: Stay, why: Reason) -> list[e.Released]:
    """A reservation ends, where there is one, and its thing is simply expected again."""
    if stay.claim is None or stay.compartment is None:
        return []
    state = bank.compartments[stay.compartment].state
    if state is CompartmentState.RESERVED:
        state = emptied(bank, stay.compartment, stay)
    return [e.Released(stay.claim, stay.compartment, state, why, stay.id, StayState.EXPECTED)]


def emptied(bank: Bank, compartment_id: CompartmentId, *leaving: Stay) -> CompartmentState:
    """What a compartment becomes when these stays have left it."""
    compartment = bank.compartments.get(compartment_id)
    if compartment is None:
        return CompartmentState.VACANT
    claim = bank.claims.get(compartment.claim)
    if claim is not None and set(claim.stays) - {stay.id for stay in leaving}:
        return CompartmentState.OCCUPIED
    if compartment.withdrawn:
        return CompartmentState.OUT_OF_SERVICE
    missed = claim is not None and compartment.why is Reason.COMPARTMENT_EMPTY  # somebody did not find theirs in it
    return CompartmentState.NEEDS_CHECK if missed else CompartmentState.VACANT


def lapse(bank: Bank, opening: Opening, why: Reason) -> tuple[e.Body, ...]:
    """A wanted opening that will not be pulsed; its deposit, if it is one, never began."""
    lapsed = e.Lapsed(opening.id, opening.compartment, why)
    if not bank.holds_deposit(opening):
        return (lapsed,)
    # A door that was already pulsed once and gave no proof is not simply vacant.
    state = CompartmentState.VACANT if opening.attempt == 0 else CompartmentState.NEEDS_CHECK
    return (lapsed, release(bank, opening, state, why))


def leave(bank: Bank, session: SessionId, why: Reason, now: datetime) -> list[e.Body]:
    """Leaving settles what the person left open: a shut deposit is presumed to be in."""
    entries: list[e.Body] = []
    for opening in openings_of(bank, session):
        if opening.state is OpeningState.WANTED:
            entries += lapse(bank, opening, Reason.SIGNED_OUT)
        elif bank.holds_deposit(opening) and opening.state is OpeningState.SHUT:
            entries.append(stored(bank, opening, now, presumed=True))
        elif bank.holds_deposit(opening) and opening.state is OpeningState.NOT_OPENED:
            entries.append(release(bank, opening, CompartmentState.NEEDS_CHECK, Reason.SIGNED_OUT))
    return [*entries, e.SessionEnded(session, why)]


# Passes


def grant(bank: Bank, offer: Offer, **scope: Any) -> Grant | None:
    """The offered pass with the first code that no live pass here has; None if all are taken."""
    for n, lookup in enumerate(offer.lookups):
        if bank.codes.get(lookup) in (None, offer.pass_id):
            return Grant(
                offer.pass_id,
                lookup=lookup,
                n=offer.first + n,
                digits=offer.digits,
                generation=offer.generation,
                **scope,
            )
    return None


def pickup(bank: Bank, offer: Offer, stay: StayId) -> Grant | None:
    return grant(bank, offer, role=Role.PERSON, purpose=Purpose.COLLECT, stay=stay, once=True)


def grant_of(bank: Bank, pass_id: PassId | None) -> Grant | None:
    held = bank.passes.get(pass_id)
    return held.grant if held else None


def want(opening: OpeningId, compartment: CompartmentId, purpose: Purpose, *, by: Session, **more: Any) -> e.Wanted:
    return e.Wanted(opening, compartment, purpose, session=by.id, pass_id=by.pass_id, **more)


def want_deposit(opening: OpeningId, claimed: e.Claimed, by: Session) -> e.Wanted:
    return want(opening, claimed.compartment, Purpose.DEPOSIT, by=by, claim=claimed.claim, stays=(claimed.stay,))
