"""Putting in: a courier's parcels, a return, what somebody walks in with, and the pile for a shelf."""

from dataclasses import replace

from latchwork.domain import commands as c
from latchwork.domain import policy
from latchwork.domain.bank import About, Bank, Session, Stay
from latchwork.domain.entries import NotDelivered
from latchwork.domain.words import (
    ClaimId,
    CompartmentId,
    OpeningId,
    PartyId,
    PersonId,
    Purpose,
    Reason,
    Role,
    ServiceId,
    Size,
    StayId,
    StayState,
)
from latchwork.edge.kiosk import presses as p
from latchwork.edge.kiosk.at import At, asking, hands_free, refused, watched, watching
from latchwork.edge.kiosk.photos import is_jpeg
from latchwork.edge.kiosk.picture import sizes
from latchwork.edge.kiosk.turn import Draft, End, Mode, Question, Told, Turn, current, follow, unwatch

# What is it


def brings(at: At, turn: Turn) -> Session | None:
    """Whoever may take one thing after another in hand: a courier, a walk-in, staff at a shelf."""
    session = at.session(turn)
    if session is None:
        return None
    may = session.role is Role.COURIER or session.service is not None or turn.shelf is not None
    return session if may else None


async def label(at: At, turn: Turn, press: p.Label) -> Turn:
    bank, session = at.desk.bank, brings(at, turn)
    if session is None:
        return refused(turn, Reason.NO_ACCESS)
    lookup = at.desk.label(press.label)
    found = bank.stays.get(bank.labels[lookup]) if lookup in bank.labels else None
    if found is not None and not _is_theirs(bank, session, found):
        return refused(turn, Reason.NO_ACCESS)
    if found is not None and not _is_to_come(bank, found):  # also: the same label once more
        return refused(turn, Reason.ALREADY_HERE)
    if found is None and session.service is not None and not await at.takes(session.party, press.label):
        return refused(turn, Reason.REFUSED)
    turn = await settled(at, turn)
    if turn.refusal:
        return turn
    draft = Draft(lookup, press.label.strip(), found.id if found else None)
    turn = replace(turn, draft=draft, mode=Mode.INTAKE if turn.shelf else None)
    sure = turn.shelf is not None or session.service is not None if found else not _needs_recipient(at, turn)
    return await _go_on(at, _agreed(turn)) if sure else turn


def _is_theirs(bank: Bank, session: Session, stay: Stay) -> bool:
    if session.service is not None:
        service = bank.services.get(stay.about.service)
        return service is not None and service.deposit_by is Role.PERSON
    return session.party in (None, stay.about.party)


def _is_to_come(bank: Bank, stay: Stay) -> bool:
    opened = any(o.claim == stay.claim for o in bank.openings.values())
    return stay.state is StayState.EXPECTED or (stay.state is StayState.RESERVED and not opened)


async def no_label(at: At, turn: Turn, press: p.NoLabel) -> Turn:
    session = brings(at, turn)
    if session is None:
        return refused(turn, Reason.NO_ACCESS)
    if session.service is not None and not at.papers.takes(session.party, ""):
        return refused(turn, Reason.REFUSED)
    turn = await settled(at, turn)
    if turn.refusal:
        return turn
    draft = Draft(wants_photo=True)  # the picture stands in for the label
    return replace(turn, draft=draft, mode=Mode.INTAKE if turn.shelf else None)


async def settled(at: At, turn: Turn) -> Turn:
    """Taking the next parcel in hand says of the last one "it is in"."""
    turn = hands_free(at, turn)
    if turn.refusal is None and current(at.desk.bank, turn) is not None:
        return replace(await confirm(at, turn, p.Confirm()), told=None)
    return turn


async def ask_photo(at: At, turn: Turn, press: p.AskPhoto) -> Turn:
    return replace(turn, draft=replace(turn.draft, wants_photo=True)) if turn.draft else turn


async def photo(at: At, turn: Turn, press: p.Photo) -> Turn:
    if turn.draft is None:
        return turn
    if not is_jpeg(press.jpeg):
        return refused(turn, Reason.NOT_UNDERSTOOD)
    kept = at.desk.keep_photo(press.jpeg)
    return await _photo_answered(at, replace(turn, draft=replace(turn.draft, photo=kept)))


async def no_photo(at: At, turn: Turn, press: p.NoPhoto) -> Turn:
    return await _photo_answered(at, turn) if turn.draft else turn


async def _photo_answered(at: At, turn: Turn) -> Turn:
    assert turn.draft is not None
    turn = replace(turn, draft=replace(turn.draft, wants_photo=False))
    first = turn.draft is not None and turn.draft.stay is None and turn.draft.recipient is None
    return await _go_on(at, _agreed(turn)) if first and not _needs_recipient(at, turn) else turn


# Whose is it


def _needs_recipient(at: At, turn: Turn) -> bool:
    session = at.session(turn)
    service = at.desk.bank.services.get(session.service) if session and session.service else None
    return service is None or service.collect_by is Role.PERSON


def _agreed(turn: Turn) -> Turn:
    return replace(turn, draft=replace(turn.draft, agreed=True)) if turn.draft else turn


async def search(at: At, turn: Turn, press: p.Search) -> Turn:
    return replace(turn, draft=replace(turn.draft, query=press.text)) if turn.draft else turn


async def recipient(at: At, turn: Turn, press: p.Recipient) -> Turn:
    if turn.draft is None or turn.draft.stay is not None:
        return turn
    person = at.papers.person(PersonId(press.id))
    if person is None:
        return refused(turn, Reason.UNKNOWN_RECIPIENT)
    return replace(turn, draft=replace(turn.draft, recipient=person.id))


async def unknown_recipient(at: At, turn: Turn, press: p.UnknownRecipient) -> Turn:
    if turn.draft is None or turn.draft.stay is not None:
        return turn
    if not holds_unknown(at.desk.bank, at.session(turn), turn):
        return refused(turn, Reason.UNKNOWN_RECIPIENT)
    return await _go_on(at, replace(turn, draft=replace(turn.draft, recipient=None, agreed=True)))


def holds_unknown(bank: Bank, session: Session | None, turn: Turn) -> bool:
    service = _service(bank, session, turn, None) if session else None
    return service is not None and bank.services[service].holds_unknown


async def agree(at: At, turn: Turn, press: p.Agree) -> Turn:
    if turn.draft is None or (turn.draft.stay is None and turn.draft.recipient is None):
        return turn
    return await _go_on(at, _agreed(turn))


async def _go_on(at: At, turn: Turn) -> Turn:
    """Whose it is stands: onto the shelf, or to a door if its size is known or does not matter."""
    if turn.shelf is not None:
        return await _shelve(at, turn)
    return turn if needs_size(at, turn) else await deposit(at, turn, p.Deposit())


def needs_size(at: At, turn: Turn) -> bool:
    bank, session = at.desk.bank, at.session(turn)
    if session is None or len(sizes(bank)) < 2:
        return False
    about, stay = of_size(bank, session, turn, None), _announced(bank, session, turn)
    if about is None or about.service not in bank.services:
        return True
    reserved = stay is not None and stay.claim is not None
    return about.size is None and not reserved and policy.shared(bank, about) is None


def of_size(bank: Bank, session: Session, turn: Turn, size: Size | None) -> About | None:
    """What is in hand, were it of this size; None where no service takes that."""
    stay = _announced(bank, session, turn)
    if stay is None:
        return _about(bank, session, turn, size)
    return stay.about.completed(size, turn.in_reach)


def _announced(bank: Bank, session: Session, turn: Turn) -> Stay | None:
    stay = turn.draft.stay if turn.draft else session.stay
    return bank.stays.get(stay) if stay else None


def _party(session: Session, turn: Turn) -> PartyId | None:
    return session.party or turn.party


def _service(bank: Bank, session: Session, turn: Turn, size: Size | None) -> ServiceId | None:
    if session.service is not None:
        return session.service if session.service in bank.services else None
    try:
        return policy.service_for(bank, Role.COURIER, Role.PERSON, _party(session, turn), size)
    except LookupError:
        return None


def _about(bank: Bank, session: Session, turn: Turn, size: Size | None) -> About | None:
    """What is known of a thing that nobody announced."""
    service, draft = _service(bank, session, turn, size), turn.draft or Draft()
    if service is None:
        return None
    return About(service, _party(session, turn), None, draft.recipient, draft.label, size, turn.in_reach)


# Where does it go


async def in_reach(at: At, turn: Turn, press: p.InReach) -> Turn:
    return replace(turn, in_reach=press.on) if at.of_role(turn, Role.PERSON) else turn


async def deposit(at: At, turn: Turn, press: p.Deposit) -> Turn:
    session, draft = at.session(turn), turn.draft
    assert session is not None
    size = Size(*(int(x) for x in press.size.split("x"))) if press.size else None
    about: About | None = None
    if session.role is Role.PERSON and session.service is None:
        if session.stay is None or session.purpose is not Purpose.DEPOSIT or current(at.desk.bank, turn) is not None:
            return turn
        stay = session.stay
    elif draft is None:
        return turn
    elif draft.stay is not None:
        stay = draft.stay
    else:
        stay, about = StayId(at.desk.new_id()), _about(at.desk.bank, session, turn, size)
        if about is None:
            return refused(turn, Reason.UNKNOWN_SERVICE)
    turn = await _want_door(at, turn, stay, about, size)
    return replace(turn, photo=draft.photo if draft else None) if turn.draft is None else turn


async def _want_door(at: At, turn: Turn, stay: StayId, about: About | None, size: Size | None) -> Turn:
    desk = at.desk
    assert turn.session is not None
    known = desk.bank.stays.get(stay)
    if known is not None:
        about = replace(known.about, size=size, in_reach=turn.in_reach)
    opening, claim = OpeningId(desk.new_id()), ClaimId(desk.new_id())
    return watching(turn, await desk.do(c.Deposit(turn.session, opening, claim, stay, desk.offer(), about)))


async def _shelve(at: At, turn: Turn) -> Turn:
    session, draft = at.session(turn), turn.draft
    assert session is not None and draft is not None and turn.shelf is not None
    stay = draft.stay or StayId(at.desk.new_id())
    about = None if draft.stay else _about(at.desk.bank, session, turn, None)
    if about is None and not draft.stay:
        return refused(turn, Reason.UNKNOWN_SERVICE)
    put = c.Shelve(session.id, stay, turn.shelf, at.desk.offer(), about, draft.photo)
    decision = await at.desk.do(put)
    if decision.refusal:
        return replace(turn, refusal=decision.refusal)
    return replace(turn, draft=None, told=Told("shelved", turn.shelf))


# At the door


async def confirm(at: At, turn: Turn, press: p.Confirm) -> Turn:
    opening = at.own_deposit(turn)
    if opening is None or turn.session is None:
        return turn
    decision = await at.desk.do(c.Confirm(turn.session, opening.id, turn.photo))
    if decision.refusal:
        return replace(turn, refusal=decision.refusal)
    return follow(at.desk.bank, replace(watched(turn, opening), photo=None))


async def _replace(at: At, turn: Turn, because: Reason) -> Turn:
    opening = at.own_deposit(turn)
    if opening is None or turn.session is None:
        return turn
    new = OpeningId(at.desk.new_id()), ClaimId(at.desk.new_id())
    return await at.do(turn, c.Replace(turn.session, opening.id, because, *new))


async def too_small(at: At, turn: Turn, press: p.TooSmall) -> Turn:
    return await _replace(at, turn, Reason.TOO_BIG)


async def occupied(at: At, turn: Turn, press: p.Occupied) -> Turn:
    return await _replace(at, turn, Reason.COMPARTMENT_OCCUPIED)


async def did_not_open(at: At, turn: Turn, press: p.DidNotOpen) -> Turn:
    return await _replace(at, turn, Reason.COMPARTMENT_BROKEN)


async def will_not_close(at: At, turn: Turn, press: p.WillNotClose) -> Turn:
    return await _replace(at, turn, Reason.DOOR_WILL_NOT_CLOSE)


async def took_back(at: At, turn: Turn, press: p.TookBack) -> Turn:
    opening, session = at.own_deposit(turn), at.session(turn)
    if opening is None or session is None:
        return turn
    decision = await at.desk.do(c.Abandon(session.id, opening.id))
    if decision.refusal:
        return replace(turn, refusal=decision.refusal)
    turn = replace(unwatch(turn), photo=None)
    if session.role is Role.PERSON:
        return replace(turn, end=End.TAKEN_BACK)
    return replace(turn, told=Told("released", opening.compartment))


# Not here


async def cannot_deliver(at: At, turn: Turn, press: p.CannotDeliver) -> Turn:
    in_hand = turn.draft is not None or at.own_deposit(turn) is not None
    return asking(turn, Question.CANNOT_DELIVER) if in_hand and at.of_role(turn, Role.COURIER) else turn


async def give_up(at: At, turn: Turn, press: p.GiveUp) -> Turn:
    session, draft, opening = at.session(turn), turn.draft, at.own_deposit(turn)
    if session is None or (draft is None and opening is None):
        return turn
    about: About | None = None
    if draft is None:
        assert opening is not None
        stay = opening.stays[0]
    else:
        stay = draft.stay or StayId(at.desk.new_id())
        about = None if draft.stay else _about(at.desk.bank, session, turn, None)
    decision = await at.desk.do(c.GiveUp(session.id, stay, press.reason, about))
    if decision.refusal:
        return replace(turn, refusal=decision.refusal)
    gone = next((x for x in decision.entries if isinstance(x, NotDelivered)), None)
    told = Told("not_delivered", reason=press.reason, fallback=gone.fallback if gone else None)
    return replace(unwatch(turn), draft=None, photo=None, told=told)


async def parcels(at: At, turn: Turn, press: p.Parcels) -> Turn:
    return asking(turn, Question.PARCELS)


# The pile beside the wall


async def intake(at: At, turn: Turn, press: p.Intake) -> Turn:
    session = at.session(turn)
    if session is None or session.role is Role.PERSON:
        return refused(turn, Reason.NO_ACCESS)
    turn = await settled(at, turn)
    if turn.refusal:
        return turn
    shelf = at.desk.bank.compartments.get(CompartmentId(press.shelf)) if press.shelf else None
    if press.shelf is None:
        return asking(turn, Question.SHELVES)
    if shelf is None or not shelf.fitting.shelf:
        return refused(turn, Reason.UNKNOWN_COMPARTMENT)
    if shelf.withdrawn:
        return refused(turn, Reason.OUT_OF_SERVICE)
    party = PartyId(press.party) if press.party and session.role is Role.STAFF else None
    turn = replace(turn, mode=Mode.INTAKE, shelf=shelf.id, party=party, draft=None, door=None)
    behind = shelf.fitting.behind
    return turn if behind is None else await open_gate(at, turn, behind)


async def gate(at: At, turn: Turn, press: p.Gate) -> Turn:
    compartment = at.desk.bank.compartments.get(CompartmentId(press.door))
    if compartment is None or not compartment.fitting.gate:
        return refused(turn, Reason.UNKNOWN_COMPARTMENT)
    turn = await settled(at, turn)
    return turn if turn.refusal else await open_gate(at, turn, compartment.id)


async def open_gate(at: At, turn: Turn, door: CompartmentId) -> Turn:
    assert turn.session is not None
    return await at.do(turn, c.Visit(turn.session, OpeningId(at.desk.new_id()), door, Reason.OTHER))
