"""What a press does: it becomes a command for the bank, or changes the turn. One function a kind.

A press that makes no sense on the present screen (a second tap on a button that has gone) changes nothing.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from latchwork.domain import commands as c
from latchwork.domain.bank import About, Opening, OpeningState, Service, Session
from latchwork.domain.commands import Decision, Refusal
from latchwork.domain.entries import Wanted
from latchwork.domain.words import (
    ClaimId,
    CompartmentId,
    OpeningId,
    PersonId,
    Purpose,
    Reason,
    Role,
    ServiceId,
    SessionId,
    Size,
    StayId,
    StayState,
)
from latchwork.edge.kiosk import presses as p
from latchwork.edge.kiosk.desk import Desk
from latchwork.edge.kiosk.screens import Papers, is_free, sizes
from latchwork.edge.kiosk.turn import (
    Draft,
    End,
    Told,
    Turn,
    current,
    door_under_way,
    follow,
    fresh,
    next_person,
    unwatch,
    watch,
)
from latchwork.sync.keys import BadTicket

END_SHOWN = timedelta(seconds=12)


def session_of(key: str) -> SessionId:
    """The bank's name for whoever holds this cookie. The log knows the name and not the cookie."""
    return SessionId(sha256(b"latchwork kiosk session\0" + key.encode()).hexdigest()[:32])


@dataclass(frozen=True, slots=True)
class At:
    """Where a press meets the world. `key`: the cookie that whoever signs in now will hold."""

    desk: Desk
    papers: Papers
    key: str
    languages: tuple[str, ...] = ("en",)


async def act(at: At, turn: Turn, press: p.Press, now: datetime) -> Turn:
    """The turn after this press; a refusal stands in it until the next one."""
    turn = await tend(at.desk, turn, now)
    if turn.end is not None and not isinstance(press, p.Language | p.Large):  # whoever touches a "thank you" is next
        turn = fresh(turn)
    turn = replace(turn, refusal=None, warn_until=None)
    if not isinstance(press, _WITHOUT_SESSION) and turn.session not in at.desk.bank.sessions:
        return replace(fresh(turn), refusal=Refusal(Reason.NO_SESSION))
    turn = await _DO[type(press)](at, turn, press)
    return await tend(at.desk, turn, now)


async def tend(desk: Desk, turn: Turn, now: datetime) -> Turn:
    """The turn as it is now that time has passed: doors closed, people done and to be signed out."""
    turn = follow(desk.bank, turn)
    if turn.end is None:
        return turn
    if turn.session in desk.bank.sessions and turn.session is not None:
        await desk.do(c.SignOut(turn.session))
    if turn.end_until is None:
        return replace(fresh(turn), end=turn.end, end_door=turn.end_door, end_until=now + END_SHOWN)
    return next_person(turn) if now >= turn.end_until else turn


# Who is it


async def _code(at: At, turn: Turn, press: p.Code) -> Turn:
    digits = "".join(x for x in press.code if x.isdigit())
    return await _sign_in(at, turn, at.desk.code(digits))


async def _ticket(at: At, turn: Turn, press: p.Ticket) -> Turn:
    try:
        ticket = at.desk.ticket("".join(press.text.split()).upper())
    except BadTicket:
        return _refused(turn, Reason.NOT_UNDERSTOOD)
    return await _sign_in(at, turn, ticket)


async def _sign_in(at: At, turn: Turn, shown: Any) -> Turn:
    desk, before = at.desk, turn.session
    if before is not None and door_under_way(desk.bank, before):
        return _refused(turn, Reason.BUSY)
    decision = await desk.do(c.SignIn(session_of(at.key), shown))
    if decision.refusal:
        return replace(turn, refusal=decision.refusal)
    if before in desk.bank.sessions and before is not None:
        await desk.do(c.SignOut(before))
    turn = replace(fresh(turn), session=session_of(at.key))
    session = desk.bank.sessions.get(session_of(at.key))
    if session is None or session.role is not Role.PERSON or current(desk.bank, turn) is not None:
        return turn
    return await _begin(at, turn, session)


async def _begin(at: At, turn: Turn, session: Session) -> Turn:
    """A person's code says what they came for; no question is left but the size of what they bring."""
    if session.stay is None:
        return _refused(turn, Reason.PARCEL_NOT_AVAILABLE)
    if session.purpose is not Purpose.DEPOSIT:
        return await _collect(at, turn, session.stay)
    stay = at.desk.bank.stays.get(session.stay)
    if stay is not None and stay.about.size is None and len(sizes(at.desk.bank)) > 1:
        return turn
    return await _deposit(at, turn, p.Deposit())


async def _sign_out(at: At, turn: Turn, press: p.SignOut) -> Turn:
    if turn.session is None or turn.session not in at.desk.bank.sessions:
        return fresh(turn)
    opening = current(at.desk.bank, turn)
    if opening is not None and opening.purpose is Purpose.DEPOSIT and opening.state is OpeningState.OPENED:
        return _refused(turn, Reason.DOOR_OPEN)
    decision = await at.desk.do(c.SignOut(turn.session))
    if decision.refusal:
        return replace(turn, refusal=decision.refusal)
    return replace(fresh(turn), end=End.BYE)


# Putting in


async def _label(at: At, turn: Turn, press: p.Label) -> Turn:
    bank = at.desk.bank
    lookup = at.desk.label(press.label)
    found = bank.stays.get(bank.labels[lookup]) if lookup in bank.labels else None
    session = _courier(at, turn)
    if session is None:
        return _refused(turn, Reason.NO_ACCESS)
    if found is not None and session.party is not None and session.party != found.about.party:
        return _refused(turn, Reason.NO_ACCESS)
    if found is not None and found.state is not StayState.EXPECTED:  # also: the same label once more
        return _refused(turn, Reason.ALREADY_HERE)
    turn = await _ready_for_next(at, turn)
    if turn.refusal:
        return turn
    return replace(turn, draft=Draft(lookup, press.label.strip(), found.id if found else None), listing=False)


async def _no_label(at: At, turn: Turn, press: p.NoLabel) -> Turn:
    if _courier(at, turn) is None:
        return _refused(turn, Reason.NO_ACCESS)
    turn = await _ready_for_next(at, turn)
    return turn if turn.refusal else replace(turn, draft=Draft(), listing=False)


async def _ready_for_next(at: At, turn: Turn) -> Turn:
    """Taking the next parcel in hand says of the last one "it is in"; a door that wants an answer comes first."""
    opening = current(at.desk.bank, turn)
    turn = replace(turn, told=None)
    if opening is None:
        return turn
    if opening.state is OpeningState.OPENED:
        return _refused(turn, Reason.DOOR_OPEN)
    if opening.state in (OpeningState.WANTED, OpeningState.UNLOCKED):
        return _refused(turn, Reason.BUSY)
    if opening.purpose is not Purpose.DEPOSIT:
        return _aside(turn, opening)
    if opening.state is OpeningState.SHUT:
        return await _confirm(at, turn, p.Confirm())
    return _refused(turn, Reason.DOOR_NOT_OPENED)


async def _search(at: At, turn: Turn, press: p.Search) -> Turn:
    return replace(turn, draft=replace(turn.draft, query=press.text)) if turn.draft else turn


async def _recipient(at: At, turn: Turn, press: p.Recipient) -> Turn:
    if turn.draft is None or turn.draft.stay is not None:
        return turn
    person = at.papers.person(PersonId(press.id))
    if person is None:
        return _refused(turn, Reason.UNKNOWN_RECIPIENT)
    return replace(turn, draft=replace(turn.draft, recipient=person.id))


async def _agree(at: At, turn: Turn, press: p.Agree) -> Turn:
    draft = turn.draft
    if draft is None or (draft.stay is None and draft.recipient is None):
        return turn
    turn = replace(turn, draft=replace(draft, agreed=True))
    stay = at.desk.bank.stays.get(draft.stay) if draft.stay else None
    known = stay is not None and stay.about.size is not None
    return await _deposit(at, turn, p.Deposit()) if known or len(sizes(at.desk.bank)) < 2 else turn


async def _deposit(at: At, turn: Turn, press: p.Deposit) -> Turn:
    bank = at.desk.bank
    assert turn.session is not None
    session, draft = bank.sessions[turn.session], turn.draft
    size = Size(*(int(x) for x in press.size.split("x"))) if press.size else None
    about: About | None = None
    if session.role is Role.PERSON:
        if session.stay is None or current(bank, turn) is not None:
            return turn
        stay = session.stay
    elif draft is None:
        return turn
    elif draft.stay is not None:
        stay = draft.stay
    else:
        service = _parcel_service(tuple(bank.services.values()))
        if service is None:
            return _refused(turn, Reason.UNKNOWN_SERVICE)
        stay = StayId(at.desk.new_id())
        about = About(service, session.party, None, draft.recipient, draft.label, size)
    known = bank.stays.get(stay)
    pick = size if known is not None and known.about.size is None else None
    return await _want_door(at, turn, stay, about, pick)


_TRIES_MAX = 8


async def _want_door(at: At, turn: Turn, stay: StayId, about: About | None, pick: Size | None) -> Turn:
    """An expected thing of unknown size goes into a door that was picked for it; that door may be gone meanwhile."""
    desk = at.desk
    assert turn.session is not None
    for _ in range(_TRIES_MAX):
        prefer = _smallest(at, pick) if pick else None
        if pick and prefer is None:
            return _refused(turn, Reason.NO_SUITABLE_COMPARTMENT)
        opening, claim = OpeningId(desk.new_id()), ClaimId(desk.new_id())
        command = c.Deposit(turn.session, opening, claim, stay, desk.offer(), about, prefer)
        decision = await desk.do(command)
        if not (prefer and decision.refusal and decision.refusal.reason is Reason.COMPARTMENT_OCCUPIED):
            break
    return _watching(turn, decision)


def _smallest(at: At, size: Size) -> CompartmentId | None:
    fitting = [x for x in at.desk.bank.compartments.values() if is_free(x) and size.fits_into(x.fitting.size)]
    return min(fitting, key=lambda x: (x.fitting.size.volume_mm3, x.id)).id if fitting else None


def _parcel_service(services: tuple[Service, ...]) -> ServiceId | None:
    """What an unannounced parcel in a courier's hand is: for a person. By the plain name where there is one."""
    fitting = sorted(s.id for s in services if s.deposit_by is Role.COURIER and s.collect_by is Role.PERSON)
    return next((s for s in fitting if s == "parcel"), fitting[0] if fitting else None)


async def _confirm(at: At, turn: Turn, press: p.Confirm) -> Turn:
    opening = _own_deposit(at, turn)
    if opening is None or turn.session is None:
        return turn
    decision = await at.desk.do(c.Confirm(turn.session, opening.id))
    if decision.refusal:
        return replace(turn, refusal=decision.refusal)
    return follow(at.desk.bank, _watched(turn, opening))


async def _replace(at: At, turn: Turn, because: Reason) -> Turn:
    opening = _own_deposit(at, turn)
    if opening is None or turn.session is None:
        return turn
    desk = at.desk
    new = OpeningId(desk.new_id()), ClaimId(desk.new_id())
    return _watching(turn, await desk.do(c.Replace(turn.session, opening.id, because, *new)))


async def _too_small(at: At, turn: Turn, press: p.TooSmall) -> Turn:
    return await _replace(at, turn, Reason.TOO_BIG)


async def _occupied(at: At, turn: Turn, press: p.Occupied) -> Turn:
    return await _replace(at, turn, Reason.COMPARTMENT_OCCUPIED)


async def _did_not_open(at: At, turn: Turn, press: p.DidNotOpen) -> Turn:
    return await _replace(at, turn, Reason.COMPARTMENT_BROKEN)


async def _took_back(at: At, turn: Turn, press: p.TookBack) -> Turn:
    opening = _own_deposit(at, turn)
    if opening is None or turn.session is None:
        return turn
    decision = await at.desk.do(c.Abandon(turn.session, opening.id))
    if decision.refusal:
        return replace(turn, refusal=decision.refusal)
    turn, session = unwatch(turn), _session(at, turn)
    if session is not None and session.role is Role.PERSON:
        return replace(turn, end=End.TAKEN_BACK)
    return replace(turn, told=Told("released", opening.compartment))


# Taking out


async def _collect(at: At, turn: Turn, stay: StayId) -> Turn:
    assert turn.session is not None
    return _watching(turn, await at.desk.do(c.Collect(turn.session, OpeningId(at.desk.new_id()), stay)))


async def _took_it(at: At, turn: Turn, press: p.TookIt) -> Turn:
    """Nobody can prove it, so the log does not say it: the stay stays open and staff will look."""
    opening = current(at.desk.bank, turn)
    if opening is None or opening.state is not OpeningState.UNRESOLVED or opening.purpose is not Purpose.COLLECT:
        return turn
    if _courier(at, turn) is not None:
        return _aside(turn, opening)
    return replace(unwatch(turn), end=End.NOTED, end_door=opening.compartment)


async def _again(at: At, turn: Turn, press: p.Again) -> Turn:
    opening, session = current(at.desk.bank, turn), _session(at, turn)
    if opening is None:
        person = session is not None and session.role is Role.PERSON
        return await _begin(at, turn, session) if session is not None and person else turn
    if opening.state not in (OpeningState.NOT_OPENED, OpeningState.UNRESOLVED):
        return turn
    if opening.purpose is Purpose.COLLECT and opening.stays:
        return await _collect(at, turn, opening.stays[0])
    if opening.purpose is Purpose.CHECK:
        return await _open(at, turn, opening.compartment, turn.why or Reason.INSPECTION)
    return turn


async def _take_out(at: At, turn: Turn, press: p.TakeOut) -> Turn:
    turn = await _ready_for_next(at, turn)
    return turn if turn.refusal else replace(turn, listing=True, draft=None)


async def _take(at: At, turn: Turn, press: p.Take) -> Turn:
    turn = await _ready_for_next(at, turn)
    return turn if turn.refusal else await _collect(at, replace(turn, listing=True), StayId(press.stay))


# Staff


async def _door(at: At, turn: Turn, press: p.Door) -> Turn:
    if press.door not in at.desk.bank.compartments:
        return _refused(turn, Reason.UNKNOWN_COMPARTMENT)
    turn = await _ready_for_next(at, turn)
    return turn if turn.refusal else replace(turn, door=CompartmentId(press.door), look=None)


async def _visit(at: At, turn: Turn, press: p.Visit) -> Turn:
    if turn.door is None:
        return turn
    if press.reason not in set(Reason):
        return _refused(turn, Reason.NO_ACCESS)
    return await _open(at, turn, turn.door, Reason(press.reason))


async def _open(at: At, turn: Turn, door: CompartmentId, why: Reason) -> Turn:
    assert turn.session is not None
    decision = await at.desk.do(c.Visit(turn.session, OpeningId(at.desk.new_id()), door, why))
    return replace(_watching(turn, decision), why=why)


async def _look(at: At, turn: Turn, press: p.Look) -> Turn:
    opening = current(at.desk.bank, turn)
    if opening is not None and opening.purpose is Purpose.CHECK:
        return replace(_aside(turn, opening), look=opening.compartment)
    return replace(turn, look=turn.door, door=None) if turn.door is not None else turn


async def _seen(at: At, turn: Turn, press: p.Seen) -> Turn:
    opening = current(at.desk.bank, turn)
    door = turn.look or (opening.compartment if opening else None)
    if door is None or turn.session is None:
        return turn
    decision = await at.desk.do(c.Inspect(turn.session, door, press.empty))
    if decision.refusal:
        return replace(turn, refusal=decision.refusal)
    return replace(_aside(turn, opening) if opening else turn, look=None)


# Any time


async def _back(at: At, turn: Turn, press: p.Back) -> Turn:
    draft, opening = turn.draft, current(at.desk.bank, turn)
    if draft is not None:
        if draft.agreed:
            return replace(turn, draft=replace(draft, agreed=False))
        if draft.recipient is not None:
            return replace(turn, draft=replace(draft, recipient=None))
        return replace(turn, draft=None)
    if opening is not None and opening.state in (OpeningState.NOT_OPENED, OpeningState.UNRESOLVED):
        return turn if opening.purpose is Purpose.DEPOSIT else _aside(turn, opening)
    return replace(turn, listing=False, door=None, look=None)


async def _still_here(at: At, turn: Turn, press: p.StillHere) -> Turn:
    return turn


async def _language(at: At, turn: Turn, press: p.Language) -> Turn:
    return replace(turn, language=press.language) if press.language in at.languages else turn


async def _large(at: At, turn: Turn, press: p.Large) -> Turn:
    return replace(turn, large=press.on)


# Pieces


def _refused(turn: Turn, reason: Reason) -> Turn:
    return replace(turn, refusal=Refusal(reason))


def _session(at: At, turn: Turn) -> Session | None:
    return at.desk.bank.sessions.get(turn.session) if turn.session else None


def _courier(at: At, turn: Turn) -> Session | None:
    session = _session(at, turn)
    return session if session is not None and session.role is Role.COURIER else None


def _own_deposit(at: At, turn: Turn) -> Opening | None:
    opening = current(at.desk.bank, turn)
    return opening if opening is not None and opening.purpose is Purpose.DEPOSIT else None


def _watching(turn: Turn, decision: Decision) -> Turn:
    wanted = next((body for body in decision.entries if isinstance(body, Wanted)), None)
    turn = watch(turn, wanted) if wanted else turn
    return replace(turn, refusal=decision.refusal)


def _watched(turn: Turn, opening: Opening) -> Turn:
    """After a restart the turn does not know the opening that the bank still has for it."""
    stay = opening.stays[0] if opening.stays else None
    return replace(turn, opening=opening.id, compartment=opening.compartment, stay=stay, purpose=opening.purpose)


def _aside(turn: Turn, opening: Opening) -> Turn:
    return replace(unwatch(turn), put_aside=turn.put_aside | {opening.id})


_WITHOUT_SESSION = (p.Code, p.Ticket, p.Back, p.SignOut, p.StillHere, p.Language, p.Large)
_DO: dict[type, Callable[[At, Turn, Any], Awaitable[Turn]]] = {
    p.Code: _code,
    p.Ticket: _ticket,
    p.Label: _label,
    p.NoLabel: _no_label,
    p.Search: _search,
    p.Recipient: _recipient,
    p.Agree: _agree,
    p.Deposit: _deposit,
    p.Confirm: _confirm,
    p.TooSmall: _too_small,
    p.Occupied: _occupied,
    p.DidNotOpen: _did_not_open,
    p.TookBack: _took_back,
    p.TookIt: _took_it,
    p.Again: _again,
    p.TakeOut: _take_out,
    p.Take: _take,
    p.Door: _door,
    p.Visit: _visit,
    p.Look: _look,
    p.Seen: _seen,
    p.Back: _back,
    p.SignOut: _sign_out,
    p.StillHere: _still_here,
    p.Language: _language,
    p.Large: _large,
}
