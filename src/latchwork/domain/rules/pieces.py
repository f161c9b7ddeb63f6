"""What several rules need: answers, passes, and how a thing is put down, let go and left."""

from datetime import datetime
from typing import Any

from latchwork.domain import entries as e
from latchwork.domain import policy
from latchwork.domain.bank import Bank, Grant, Opening, OpeningState, Session, Stay
from latchwork.domain.commands import Decision, Offer, Refusal
from latchwork.domain.words import (
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


def door_of(bank: Bank, compartment_id: CompartmentId) -> CompartmentId | None:
    """The door to open for it: its own, or the gate that a shelf is behind; None: it lies in the open."""
    fitting = bank.compartments[compartment_id].fitting
    return fitting.behind if fitting.shelf else compartment_id


def under_way(bank: Bank, compartment_id: CompartmentId) -> bool:
    door = door_of(bank, compartment_id)
    return any(o.compartment == door for o in bank.openings.values() if o.state in UNDER_WAY)


def busy(bank: Bank, stay: Stay) -> bool:
    """Its door is moving, or staff is moving it."""
    return stay.moving is not None or (stay.compartment is not None and under_way(bank, stay.compartment))


def holds_deposit(bank: Bank, opening: Opening) -> bool:
    """Whether this opening's thing still waits for the word "it is in"."""
    claim = bank.claims.get(opening.claim) if opening.claim else None
    if opening.purpose is not Purpose.DEPOSIT or claim is None:
        return False
    stay = opening.stays[0]
    return claim.moves == stay or (stay in claim.stays and bank.stays[stay].state is StayState.RESERVED)


def is_reserved(bank: Bank, stay: Stay) -> bool:
    """A compartment is held for it, and nobody has opened it yet."""
    return stay.state is StayState.RESERVED and not any(o.claim == stay.claim for o in bank.openings.values())


def stored(
    bank: Bank, opening: Opening, now: datetime, presumed: bool = False, photo_sha256: str | None = None
) -> e.Stored | e.Moved:
    stay = bank.stays[opening.stays[0]]
    assert opening.claim is not None
    if bank.claims[opening.claim].moves is not None:
        assert stay.compartment is not None
        left_state = emptied(bank, stay.compartment, stay)
        return e.Moved(
            stay.id, stay.about, opening.claim, opening.compartment, opening.id, stay.compartment, left_state
        )
    given = grant_of(bank, stay.pickup)
    service = bank.services[stay.about.service]
    return e.Stored(
        stay.id,
        stay.about,
        opening.claim,
        opening.compartment,
        opening.id,
        deadline=policy.deadline(bank, service, now),
        announced=stay.announced,
        presumed=presumed,
        pickup=given,
        session=opening.session,
        photo_sha256=photo_sha256,
        why=Reason.UNKNOWN_RECIPIENT if given is None and service.collect_by is Role.PERSON else None,
    )


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


def let_go(bank: Bank, stay: Stay, why: Reason) -> e.Released:
    """A reservation ends, and its thing is simply expected again."""
    assert stay.claim is not None and stay.compartment is not None
    state = bank.compartments[stay.compartment].state
    if state is CompartmentState.RESERVED:
        state = emptied(bank, stay.compartment, stay)
    return e.Released(stay.claim, stay.compartment, state, why, stay.id, StayState.EXPECTED)


def emptied(bank: Bank, compartment_id: CompartmentId, *leaving: Stay) -> CompartmentState:
    """What a compartment becomes when these stays have left it."""
    compartment = bank.compartments.get(compartment_id)
    if compartment is None:
        return CompartmentState.VACANT
    claim = bank.claims.get(compartment.claim) if compartment.claim else None
    if claim is not None and set(claim.stays) - {stay.id for stay in leaving}:
        return CompartmentState.OCCUPIED
    if compartment.withdrawn:
        return CompartmentState.OUT_OF_SERVICE
    missed = claim is not None and compartment.why is Reason.COMPARTMENT_EMPTY  # somebody did not find theirs in it
    return CompartmentState.NEEDS_CHECK if missed else CompartmentState.VACANT


def lapse(bank: Bank, opening: Opening, why: Reason) -> tuple[e.Body, ...]:
    """A wanted opening that will not be pulsed; its deposit, if it is one, never began."""
    lapsed = e.Lapsed(opening.id, opening.compartment, why)
    if not holds_deposit(bank, opening):
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
        elif holds_deposit(bank, opening) and opening.state is OpeningState.SHUT:
            entries.append(stored(bank, opening, now, presumed=True))
        elif holds_deposit(bank, opening) and opening.state is OpeningState.NOT_OPENED:
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
    held = bank.passes.get(pass_id) if pass_id else None
    return held.grant if held else None


def want(opening: OpeningId, compartment: CompartmentId, purpose: Purpose, *, by: Session, **more: Any) -> e.Wanted:
    return e.Wanted(opening, compartment, purpose, session=by.id, pass_id=by.pass_id, **more)
