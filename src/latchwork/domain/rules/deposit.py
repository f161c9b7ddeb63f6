"""Putting in: a courier's parcels, a person's return, a thing for a shelf."""

import dataclasses
from dataclasses import dataclass
from datetime import datetime

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain import policy
from latchwork.domain.bank import About, Bank, Grant, Opening, OpeningState, Service, Session, Stay
from latchwork.domain.commands import Decision
from latchwork.domain.rules.pieces import (
    MOVING,
    PROVEN,
    grant_of,
    holds_deposit,
    is_reserved,
    lapse,
    let_go,
    no,
    openings_of,
    pickup,
    release,
    stored,
    want,
    yes,
)
from latchwork.domain.words import (
    UNDELIVERED,
    ClaimId,
    CompartmentId,
    CompartmentState,
    DoorState,
    OpeningId,
    PartyId,
    Purpose,
    Reason,
    Role,
    StayId,
    StayState,
)


@dataclass(frozen=True, slots=True)
class _InHand:
    """A thing that this session may put in."""

    session: Session
    known: Stay | None
    about: About
    service: Service


def _in_hand(
    bank: Bank, session: Session, stay_id: StayId, about: About | None, now: datetime | None
) -> _InHand | Decision:
    """`now` None: at whatever hour."""
    known = bank.stays.get(stay_id)
    if known is not None and about is not None:  # of an expected thing the announcement may not say it
        low = known.about.in_reach or about.in_reach
        about = dataclasses.replace(known.about, size=known.about.size or about.size, in_reach=low)
    elif known is not None:
        about = known.about
    if about is None:
        return no(Reason.PARCEL_NOT_AVAILABLE)
    if known is None and about.label is not None and about.label in bank.labels:
        return no(Reason.ALREADY_HERE)
    if known is not None and known.state is not StayState.EXPECTED and not is_reserved(bank, known):
        return no(Reason.ALREADY_HERE)
    service = bank.services.get(about.service)
    if service is None:
        return no(Reason.UNKNOWN_SERVICE)
    if not _may_deposit(session, stay_id, about.party, service, known is not None):
        return no(Reason.NO_ACCESS)
    until = policy.opens_at(bank, service, now) if now else None
    if until is not None and session.role is not Role.STAFF:
        return no(Reason.OUTSIDE_HOURS, until)
    return _InHand(session, known, about, service)


def _may_deposit(session: Session, stay: StayId, party: PartyId | None, service: Service, announced: bool) -> bool:
    if session.service is not None:  # a walk-in: under that service, or what they are expected to bring
        return session.service == service.id or (announced and service.deposit_by is Role.PERSON)
    if session.role is Role.PERSON:
        return service.deposit_by is Role.PERSON and session.purpose is Purpose.DEPOSIT and session.stay == stay
    if session.role is Role.COURIER:
        return service.deposit_by is Role.COURIER and (session.party is None or session.party == party)
    return True


def _is_for_nobody(hand: _InHand) -> bool:
    return hand.known is None and hand.about.recipient is None and hand.service.collect_by is Role.PERSON


def deposit(bank: Bank, session: Session, cmd: c.Deposit, now: datetime) -> Decision:
    hand = _in_hand(bank, session, cmd.stay, cmd.about, now)
    if isinstance(hand, Decision):
        return hand
    if _is_for_nobody(hand) and not hand.service.holds_unknown:
        return no(Reason.UNKNOWN_RECIPIENT)
    settled: list[e.Body] = []
    for opening in openings_of(bank, cmd.session):  # the next scan says of the last one "it is in"
        if holds_deposit(bank, opening):
            if opening.state is not OpeningState.SHUT:
                return no(Reason.DOOR_OPEN if opening.state is OpeningState.OPENED else Reason.BUSY)
            settled.append(stored(bank, opening, now))
    given: Grant | None = None
    if hand.service.collect_by is Role.PERSON and not _is_for_nobody(hand):
        given = pickup(bank, cmd.offer, cmd.stay)
        if given is None:
            return no(Reason.CODE_TAKEN)
    placed = _place(bank, cmd, hand)
    if isinstance(placed, Reason):
        return no(placed)
    released, compartment, claim, why, state = placed
    announced = hand.known is not None
    claimed = e.Claimed(claim, compartment, cmd.stay, hand.about, announced, why, given, state)
    return yes(*settled, *released, claimed, _want_deposit(cmd.opening, claimed, hand.session))


def _place(
    bank: Bank, cmd: c.Deposit, hand: _InHand
) -> tuple[list[e.Released], CompartmentId, ClaimId, Reason, CompartmentState] | Reason:
    """The reserved compartment, else one that it may share, else a vacant one."""
    released: list[e.Released] = []
    if hand.known is not None and hand.known.claim is not None and hand.known.compartment is not None:
        held = bank.compartments[hand.known.compartment]
        if cmd.prefer in (None, held.id) and held.state is CompartmentState.RESERVED and held.door is DoorState.CLOSED:
            return released, held.id, hand.known.claim, Reason.RESERVED, CompartmentState.RESERVED
        released.append(let_go(bank, hand.known, Reason.CHANGED_MIND))
    beside = None if cmd.apart or cmd.prefer else policy.shared(bank, hand.about)
    if beside is not None and beside.claim is not None:
        return released, beside.id, beside.claim, Reason.SHARED, CompartmentState.OCCUPIED
    chosen = policy.choose(bank, hand.about, prefer=cmd.prefer)
    if isinstance(chosen, Reason):
        return chosen
    return released, chosen[0].id, cmd.claim, chosen[1], CompartmentState.RESERVED


def _want_deposit(opening: OpeningId, claimed: e.Claimed, session: Session) -> e.Wanted:
    return want(opening, claimed.compartment, Purpose.DEPOSIT, by=session, claim=claimed.claim, stays=(claimed.stay,))


def shelve(bank: Bank, session: Session, cmd: c.Shelve, now: datetime) -> Decision:
    hand = _in_hand(bank, session, cmd.stay, cmd.about, now)
    if isinstance(hand, Decision):
        return hand
    shelf = bank.compartments.get(cmd.shelf)
    if shelf is None or not shelf.fitting.shelf:
        return no(Reason.UNKNOWN_COMPARTMENT)
    if shelf.withdrawn:
        return no(Reason.OUT_OF_SERVICE)
    if _is_for_nobody(hand) and not hand.service.holds_unknown:
        return no(Reason.UNKNOWN_RECIPIENT)
    given: Grant | None = None
    if hand.service.collect_by is Role.PERSON and not _is_for_nobody(hand):
        given = pickup(bank, cmd.offer, cmd.stay)
        if given is None:
            return no(Reason.CODE_TAKEN)
    released = [let_go(bank, hand.known, Reason.CHANGED_MIND)] if hand.known and hand.known.claim else []
    put = e.Stored(
        cmd.stay,
        hand.about,
        None,
        shelf.id,
        None,
        deadline=policy.deadline(bank, hand.service, now),
        announced=hand.known is not None,
        pickup=given,
        session=cmd.session,
        photo_sha256=cmd.photo_sha256,
        why=Reason.UNKNOWN_RECIPIENT if _is_for_nobody(hand) else None,
    )
    return yes(*released, put)


def give_up(bank: Bank, session: Session, cmd: c.GiveUp, now: datetime) -> Decision:
    if cmd.why not in UNDELIVERED:
        return no(Reason.NOT_UNDERSTOOD)
    fallback = bank.policy.fallbacks[0] if bank.policy.fallbacks else None
    begun = next((o for o in openings_of(bank, cmd.session) if holds_deposit(bank, o) and cmd.stay in o.stays), None)
    if begun is not None:  # tried already: it comes out again
        stay = bank.stays[cmd.stay]
        back = abandon(bank, session, c.Abandon(cmd.session, begun.id), now)
        gone = e.NotDelivered(stay.id, stay.about, cmd.why, stay.announced, cmd.session, fallback)
        return back if back.refusal else yes(*back.entries, gone)
    hand = _in_hand(bank, session, cmd.stay, cmd.about, None)
    if isinstance(hand, Decision):
        return hand
    known = hand.known
    released = [let_go(bank, known, cmd.why)] if known and known.claim else []
    gone = e.NotDelivered(cmd.stay, hand.about, cmd.why, known is not None, cmd.session, fallback)
    return yes(*released, gone)


_REPLACED_STATE = {
    Reason.TOO_BIG: CompartmentState.VACANT,
    Reason.COMPARTMENT_BROKEN: CompartmentState.NEEDS_CHECK,
    Reason.COMPARTMENT_OCCUPIED: CompartmentState.NEEDS_CHECK,
    Reason.DOOR_WILL_NOT_CLOSE: CompartmentState.NEEDS_CHECK,
}


def replace(bank: Bank, session: Session, cmd: c.Replace, now: datetime) -> Decision:
    opening = _own(bank, session, cmd.opening)
    if isinstance(opening, Reason):
        return no(opening)
    stay = bank.stays[opening.stays[0]]
    if cmd.because not in _REPLACED_STATE:
        return no(Reason.NOT_UNDERSTOOD)
    if opening.state in MOVING:
        return no(Reason.BUSY)
    assert opening.claim is not None
    old, claim = bank.compartments[opening.compartment], bank.claims[opening.claim]
    # Of a thing whose size nobody knows, we know at least that it was tried in this compartment, if it had it alone.
    too_big, alone = cmd.because is Reason.TOO_BIG, len(claim.stays) < 2
    volume_min_mm3 = old.fitting.size.volume_mm3 + too_big if alone and (too_big or stay.about.size is None) else 0
    chosen = policy.choose(bank, stay.about, volume_min_mm3=volume_min_mm3)
    if isinstance(chosen, Reason):
        return no(chosen)
    compartment, why = chosen
    state = _REPLACED_STATE[cmd.because] if opening.state in PROVEN else CompartmentState.NEEDS_CHECK
    released = release(bank, opening, state, cmd.because)
    moves = claim.moves is not None
    given = None if moves else grant_of(bank, stay.pickup)
    # Then what was said of its size was wrong.
    about = dataclasses.replace(stay.about, size=None) if too_big and alone else stay.about
    claimed = e.Claimed(cmd.new_claim, compartment.id, stay.id, about, stay.announced, why, given, moves=moves)
    return yes(released, claimed, _want_deposit(cmd.new_opening, claimed, session))


def confirm(bank: Bank, session: Session, cmd: c.Confirm, now: datetime) -> Decision:
    opening = _own(bank, session, cmd.opening)
    if isinstance(opening, Reason):
        return no(opening)
    if opening.state is OpeningState.OPENED:
        return no(Reason.DOOR_OPEN)
    if opening.state not in (OpeningState.SHUT, OpeningState.UNRESOLVED):
        return no(Reason.DOOR_NOT_OPENED)
    return yes(stored(bank, opening, now, photo_sha256=cmd.photo_sha256))


def abandon(bank: Bank, session: Session, cmd: c.Abandon, now: datetime) -> Decision:
    opening = _own(bank, session, cmd.opening)
    if isinstance(opening, Reason):
        return no(opening)
    if opening.state is OpeningState.WANTED:
        return yes(*lapse(bank, opening, Reason.CHANGED_MIND))
    if opening.state is OpeningState.UNLOCKED:
        return no(Reason.BUSY)
    state = CompartmentState.VACANT if opening.state in PROVEN else CompartmentState.NEEDS_CHECK
    return yes(release(bank, opening, state, Reason.CHANGED_MIND))


def _own(bank: Bank, session: Session, opening_id: OpeningId) -> Opening | Reason:
    opening = bank.openings.get(opening_id)
    if opening is None or opening.session != session.id or opening.purpose is not Purpose.DEPOSIT:
        return Reason.NO_ACCESS
    if not holds_deposit(bank, opening):
        return Reason.PARCEL_NOT_AVAILABLE
    return opening
