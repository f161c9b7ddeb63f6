"""Putting in: a courier's parcels, a person's return, a thing for a shelf."""

import dataclasses
from datetime import datetime

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain import policy
from latchwork.domain.bank import Bank, Grant, Opening, OpeningState, Service, Session, Stay
from latchwork.domain.commands import Decision
from latchwork.domain.rules.pieces import (
    MOVING,
    PROVEN,
    grant_of,
    is_awaited,
    is_in,
    lapse,
    let_go,
    no,
    openings_of,
    pickup,
    release,
    stored,
    want_deposit,
    yes,
)
from latchwork.domain.words import (
    UNDELIVERED,
    CompartmentState,
    DoorState,
    OpeningId,
    Purpose,
    Reason,
    Role,
    StayState,
)

_Brings = c.Deposit | c.Shelve | c.GiveUp


def _in_hand(bank: Bank, session: Session, cmd: _Brings, now: datetime | None) -> Stay | Decision:
    """The thing that this session may put in: an expected one, or a new one. `now` None: at whatever hour."""
    known, about = bank.stays.get(cmd.stay), cmd.about
    if known is not None:
        about = known.about.completed(about.size, about.in_reach) if about is not None else known.about
    if about is None:
        return no(Reason.PARCEL_NOT_AVAILABLE)
    if about.label in bank.labels if known is None else not is_awaited(bank, known):
        return no(Reason.ALREADY_HERE)
    stay = dataclasses.replace(known or Stay(cmd.stay, about, StayState.EXPECTED, announced=False), about=about)
    service = bank.services.get(about.service)
    if service is None:
        return no(Reason.UNKNOWN_SERVICE)
    if not _may_deposit(session, stay, service):
        return no(Reason.NO_ACCESS)
    until = policy.opens_at(bank, service, now) if now else None
    if until is not None and session.role is not Role.STAFF:
        return no(Reason.OUTSIDE_HOURS, until)
    return stay


def _may_deposit(session: Session, stay: Stay, service: Service) -> bool:
    if session.service is not None:  # a walk-in: under that service, or what they are expected to bring
        return session.service == service.id or (stay.announced and service.deposit_by is Role.PERSON)
    if session.role is Role.PERSON:
        return service.deposit_by is Role.PERSON and session.purpose is Purpose.DEPOSIT and session.stay == stay.id
    if session.role is Role.COURIER:
        return service.deposit_by is Role.COURIER and session.party in (None, stay.about.party)
    return True


def _code_for(bank: Bank, stay: Stay, offer: c.Offer) -> Grant | Reason | None:
    """The recipient's code. None: a courier collects it, or staff has to find out who it is for."""
    service = bank.services[stay.about.service]
    if service.collect_by is not Role.PERSON:
        return None
    if not stay.announced and stay.about.recipient is None:
        return None if service.holds_unknown else Reason.UNKNOWN_RECIPIENT
    return pickup(bank, offer, stay.id) or Reason.CODE_TAKEN


def deposit(bank: Bank, session: Session, cmd: c.Deposit, now: datetime) -> Decision:
    stay = _in_hand(bank, session, cmd, now)
    if isinstance(stay, Decision):
        return stay
    settled: list[e.Body] = []
    for opening in openings_of(bank, cmd.session):  # the next scan says of the last one "it is in"
        if bank.holds_deposit(opening):
            if opening.state is not OpeningState.SHUT:
                return no(Reason.DOOR_OPEN if opening.state is OpeningState.OPENED else Reason.BUSY)
            settled.append(stored(bank, opening, now))
    code = _code_for(bank, stay, cmd.offer)
    if isinstance(code, Reason):
        return no(code)
    claimed = _place(bank, cmd, stay, code)
    if isinstance(claimed, Reason):
        return no(claimed)
    if stay.claim not in (None, claimed.claim):
        settled += let_go(bank, stay, Reason.CHANGED_MIND)
    return yes(*settled, claimed, want_deposit(cmd.opening, claimed, session))


def _place(bank: Bank, cmd: c.Deposit, stay: Stay, code: Grant | None) -> e.Claimed | Reason:
    """In the reserved compartment, else in one that it may share, else in a vacant one."""
    held, state = bank.compartments.get(stay.compartment), CompartmentState.RESERVED
    if held and cmd.prefer in (None, held.id) and held.state is state and held.door is DoorState.CLOSED:
        where, claim, why = held, held.claim, Reason.RESERVED
    elif not (cmd.apart or cmd.prefer) and (beside := policy.shared(bank, stay.about)):
        where, claim, why, state = beside, beside.claim, Reason.SHARED, CompartmentState.OCCUPIED
    else:
        chosen = policy.choose(bank, stay.about, prefer=cmd.prefer)
        if isinstance(chosen, Reason):
            return chosen
        (where, why), claim = chosen, cmd.claim
    assert claim is not None
    return e.Claimed(claim, where.id, stay.id, stay.about, stay.announced, why, code, state)


def shelve(bank: Bank, session: Session, cmd: c.Shelve, now: datetime) -> Decision:
    stay = _in_hand(bank, session, cmd, now)
    if isinstance(stay, Decision):
        return stay
    shelf = bank.compartments.get(cmd.shelf)
    if shelf is None or not shelf.fitting.shelf:
        return no(Reason.UNKNOWN_COMPARTMENT)
    if shelf.withdrawn:
        return no(Reason.OUT_OF_SERVICE)
    code = _code_for(bank, stay, cmd.offer)
    if isinstance(code, Reason):
        return no(code)
    put = is_in(bank, stay, (None, shelf.id, None), code, now, session=cmd.session, photo_sha256=cmd.photo_sha256)
    return yes(*let_go(bank, stay, Reason.CHANGED_MIND), put)


def give_up(bank: Bank, session: Session, cmd: c.GiveUp, now: datetime) -> Decision:
    if cmd.why not in UNDELIVERED:
        return no(Reason.NOT_UNDERSTOOD)
    begun = next((o for o in openings_of(bank, cmd.session) if bank.holds_deposit(o) and cmd.stay in o.stays), None)
    if begun is not None:  # tried already: it comes out again
        stay = bank.stays[cmd.stay]
        back = abandon(bank, session, c.Abandon(cmd.session, begun.id), now)
        if back.refusal:
            return back
    else:
        hand = _in_hand(bank, session, cmd, None)
        if isinstance(hand, Decision):
            return hand
        stay, back = hand, yes(*let_go(bank, hand, cmd.why))
    fallback = bank.policy.fallbacks[0] if bank.policy.fallbacks else None
    gone = e.NotDelivered(stay.id, stay.about, cmd.why, stay.announced, cmd.session, fallback)
    return yes(*back.entries, gone)


_WHY_ANOTHER = frozenset(
    {Reason.TOO_BIG, Reason.COMPARTMENT_BROKEN, Reason.COMPARTMENT_OCCUPIED, Reason.DOOR_WILL_NOT_CLOSE}
)


def replace(bank: Bank, session: Session, cmd: c.Replace, now: datetime) -> Decision:
    opening = _own(bank, session, cmd.opening)
    if isinstance(opening, Reason):
        return no(opening)
    if cmd.because not in _WHY_ANOTHER:
        return no(Reason.NOT_UNDERSTOOD)
    if opening.state in MOVING:
        return no(Reason.BUSY)
    assert opening.claim is not None
    stay, claim = bank.stays[opening.stays[0]], bank.claims[opening.claim]
    about, volume_min_mm3 = stay.about, 0
    too_big, alone = cmd.because is Reason.TOO_BIG, len(claim.stays) < 2
    if alone and (too_big or about.size is None):  # we know at least that it was tried in this one
        volume_min_mm3 = bank.compartments[opening.compartment].fitting.size.volume_mm3 + too_big
    chosen = policy.choose(bank, about, volume_min_mm3=volume_min_mm3)
    if isinstance(chosen, Reason):
        return no(chosen)
    if alone and too_big:  # then what was said of its size was wrong
        about = dataclasses.replace(about, size=None)
    looked_into = too_big and opening.state in PROVEN
    state = CompartmentState.VACANT if looked_into else CompartmentState.NEEDS_CHECK
    moves = claim.moves is not None
    code = None if moves else grant_of(bank, stay.pickup)
    where, why = chosen
    claimed = e.Claimed(cmd.new_claim, where.id, stay.id, about, stay.announced, why, code, moves=moves)
    released = release(bank, opening, state, cmd.because)
    return yes(released, claimed, want_deposit(cmd.new_opening, claimed, session))


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
    if not bank.holds_deposit(opening):
        return Reason.PARCEL_NOT_AVAILABLE
    return opening
