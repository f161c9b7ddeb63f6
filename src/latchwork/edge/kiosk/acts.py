"""What a press does: it becomes a command for the bank, or changes the turn. This is the table of presses.

A press that makes no sense on the present screen (a second tap on a button that has gone) changes nothing.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from latchwork.domain import commands as c
from latchwork.domain import policy
from latchwork.domain.bank import OpeningState, Session
from latchwork.domain.commands import Refusal
from latchwork.domain.words import Purpose, Reason, Role, ServiceId, SessionId
from latchwork.edge.kiosk import presses as p
from latchwork.edge.kiosk import putting_in, staff, taking_out
from latchwork.edge.kiosk.at import At, aside, asking, refused, watched
from latchwork.edge.kiosk.desk import Desk
from latchwork.edge.kiosk.picture import walk_ins
from latchwork.edge.kiosk.turn import End, Question, Told, Turn, current, door_under_way, follow, fresh, next_person
from latchwork.sync.keys import BadTicket

END_SHOWN = timedelta(seconds=12)
TOOK_SHOWN = timedelta(seconds=25)
"""Whoever has just taken something may still say that something is wrong."""


def session_of(key: str) -> SessionId:
    """The bank's name for whoever holds this cookie. The log knows the name and not the cookie."""
    return SessionId(sha256(b"latchwork kiosk session\0" + key.encode()).hexdigest()[:32])


async def act(at: At, turn: Turn, press: p.Press, now: datetime) -> Turn:
    """The turn after this press; a refusal stands in it until the next one."""
    at = replace(at, now=now)
    turn = await tend(at.desk, turn, now)
    if turn.end is not None and not isinstance(press, p.Language | p.Large):
        turn = await _after_the_end(at, turn, press)
    asked = turn.ask
    turn = replace(turn, ask=None, refusal=None, warn_until=None)
    if not isinstance(press, _WITHOUT_SESSION) and turn.session not in at.desk.bank.sessions:
        return replace(fresh(turn), refusal=Refusal(Reason.NO_SESSION))
    if not (isinstance(press, p.Back) and asked):
        turn = await _DO[type(press)](at, turn, press)
    if turn.refusal is not None or isinstance(press, p.StillHere | p.Language | p.Large):
        turn = replace(turn, ask=turn.ask or asked)
    return await tend(at.desk, turn, now)


async def _after_the_end(at: At, turn: Turn, press: p.Press) -> Turn:
    """Whoever has just taken something may come back to it; any other touch of a "thank you" is the next person's."""
    session = at.session(turn)
    if session is not None and isinstance(press, p.Again | p.Report | p.Wrong | p.Extend):
        return replace(turn, end=None, end_door=None, end_until=None)
    if session is not None:
        await at.desk.do(c.SignOut(session.id))
    return fresh(turn)


async def tend(desk: Desk, turn: Turn, now: datetime) -> Turn:
    """The turn as it is now that time has passed: doors closed, people done and to be signed out."""
    turn = follow(desk.bank, turn)
    if turn.end is None:
        return turn
    if turn.end_until is None:
        turn = replace(turn, ask=None, end_until=now + (TOOK_SHOWN if turn.end is End.COLLECTED else END_SHOWN))
    assert turn.end_until is not None
    over = now >= turn.end_until
    if turn.end is End.COLLECTED and not over:
        return turn
    if turn.session in desk.bank.sessions and turn.session is not None:
        await desk.do(c.SignOut(turn.session))
    if over:
        return next_person(turn)
    return replace(fresh(turn), end=turn.end, end_door=turn.end_door, end_until=turn.end_until)


# Who is it


async def _code(at: At, turn: Turn, press: p.Code) -> Turn:
    digits = "".join(x for x in press.code if x.isdigit())
    return await _sign_in(at, turn, at.desk.code(digits))


async def _card(at: At, turn: Turn, press: p.Card) -> Turn:
    """A card that nobody has is shown to staff by its number, so that it can be given to somebody."""
    lookup = at.desk.card(press.card)
    if lookup not in at.desk.bank.codes and at.of_role(turn, Role.STAFF) is not None:
        return replace(turn, told=Told("card", number=press.card.upper()))
    return await _sign_in(at, turn, lookup)


async def _ticket(at: At, turn: Turn, press: p.Ticket) -> Turn:
    try:
        ticket = at.desk.ticket("".join(press.text.split()).upper())
    except BadTicket:
        return refused(turn, Reason.NOT_UNDERSTOOD)
    return await _sign_in(at, turn, ticket)


async def _walk_in(at: At, turn: Turn, press: p.WalkIn) -> Turn:
    """Nothing is shown: their right is the service's own."""
    bank, offered = at.desk.bank, walk_ins(at.desk.bank)
    if press.service is None and len(offered) > 1:
        return asking(turn, Question.SERVICES)
    service = ServiceId(press.service) if press.service else offered[0] if offered else None
    if service is None or service not in offered:
        return refused(turn, Reason.UNKNOWN_SERVICE)
    until = policy.opens_at(bank, bank.services[service], at.now) if at.now else None
    if until is not None:
        return replace(turn, refusal=Refusal(Reason.OUTSIDE_HOURS, until))
    return await _sign_in(at, turn, c.WalkIn(service))


async def _sign_in(at: At, turn: Turn, shown: Any) -> Turn:
    desk, before = at.desk, turn.session
    if before is not None and door_under_way(desk.bank, before):
        return refused(turn, Reason.BUSY)
    decision = await desk.do(c.SignIn(session_of(at.key), shown))
    if decision.refusal:
        return replace(turn, refusal=decision.refusal)
    if before in desk.bank.sessions and before is not None:
        await desk.do(c.SignOut(before))
    session = desk.bank.sessions.get(session_of(at.key))
    if session is not None and (before_power := _left_by(at, session)) is not None:
        await desk.do(c.SignOut(session.id))
        session = before_power
    turn = replace(fresh(turn), session=session.id if session else None)
    if (opening := current(desk.bank, turn)) is not None:
        return watched(turn, opening)
    if session is None or session.role is not Role.PERSON:
        return turn
    return await taking_out.begin(at, turn, session)


def _left_by(at: At, session: Session) -> Session | None:
    """What the same pass was busy with when the power went."""
    found = (at.desk.bank.sessions.get(x) for x in sorted(at.unclaimed))
    return next((x for x in found if x and x.pass_id is not None and x.pass_id == session.pass_id), None)


async def _sign_out(at: At, turn: Turn, press: p.SignOut) -> Turn:
    if turn.session is None or turn.session not in at.desk.bank.sessions:
        return fresh(turn)
    opening = current(at.desk.bank, turn)
    if opening is not None and opening.purpose is Purpose.DEPOSIT and opening.state is OpeningState.OPENED:
        return refused(turn, Reason.DOOR_OPEN)
    decision = await at.desk.do(c.SignOut(turn.session))
    if decision.refusal:
        return replace(turn, refusal=decision.refusal)
    return replace(fresh(turn), end=End.BYE)


# Any time


async def _again(at: At, turn: Turn, press: p.Again) -> Turn:
    opening = current(at.desk.bank, turn)
    if opening is None:
        return await taking_out.again(at, turn)
    if opening.state not in (OpeningState.NOT_OPENED, OpeningState.UNRESOLVED):
        return turn
    if opening.purpose is Purpose.COLLECT and opening.stays:
        return await taking_out.collect(at, turn, opening.stays[0])
    if opening.purpose is Purpose.CHECK:
        return await staff.open_door(at, turn, opening.compartment, turn.why or Reason.INSPECTION)
    if opening.purpose is Purpose.VISIT:
        return await taking_out.again(at, aside(turn, opening))
    return turn


async def _back(at: At, turn: Turn, press: p.Back) -> Turn:
    draft, opening = turn.draft, current(at.desk.bank, turn)
    if draft is not None:
        if draft.agreed and (draft.stay is not None or draft.recipient is not None):
            return replace(turn, draft=replace(draft, agreed=False))
        if draft.recipient is not None:
            return replace(turn, draft=replace(draft, recipient=None))
        return replace(turn, draft=None)
    if opening is not None and opening.state in (OpeningState.NOT_OPENED, OpeningState.UNRESOLVED):
        return turn if opening.purpose is Purpose.DEPOSIT else aside(turn, opening)
    if turn.look is not None or turn.door is not None:
        return replace(turn, door=None, look=None)
    return replace(turn, mode=None, shelf=None, party=None, told=None)


async def _still_here(at: At, turn: Turn, press: p.StillHere) -> Turn:
    return turn


async def _language(at: At, turn: Turn, press: p.Language) -> Turn:
    return replace(turn, language=press.language) if press.language in at.languages else turn


async def _large(at: At, turn: Turn, press: p.Large) -> Turn:
    return replace(turn, large=press.on)


_WITHOUT_SESSION = (p.Code, p.Card, p.Ticket, p.WalkIn, p.Back, p.SignOut, p.StillHere, p.Language, p.Large)
_DO: dict[type, Callable[[At, Turn, Any], Awaitable[Turn]]] = {
    p.Code: _code,
    p.Card: _card,
    p.Ticket: _ticket,
    p.WalkIn: _walk_in,
    p.Label: putting_in.label,
    p.NoLabel: putting_in.no_label,
    p.AskPhoto: putting_in.ask_photo,
    p.Photo: putting_in.photo,
    p.NoPhoto: putting_in.no_photo,
    p.Search: putting_in.search,
    p.Recipient: putting_in.recipient,
    p.UnknownRecipient: putting_in.unknown_recipient,
    p.Agree: putting_in.agree,
    p.InReach: putting_in.in_reach,
    p.Deposit: putting_in.deposit,
    p.Confirm: putting_in.confirm,
    p.TooSmall: putting_in.too_small,
    p.Occupied: putting_in.occupied,
    p.DidNotOpen: putting_in.did_not_open,
    p.WillNotClose: putting_in.will_not_close,
    p.TookBack: putting_in.took_back,
    p.CannotDeliver: putting_in.cannot_deliver,
    p.GiveUp: putting_in.give_up,
    p.Parcels: putting_in.parcels,
    p.Intake: putting_in.intake,
    p.Gate: putting_in.gate,
    p.TookIt: taking_out.took_it,
    p.TakeOut: taking_out.take_out,
    p.Take: taking_out.take,
    p.Wrong: taking_out.wrong,
    p.Report: taking_out.report,
    p.Extend: taking_out.extend,
    p.Again: _again,
    p.Door: staff.door,
    p.Visit: staff.visit,
    p.Look: staff.look,
    p.Seen: staff.seen,
    p.Thing: staff.thing,
    p.Move: staff.move,
    p.Remove: staff.remove,
    p.Maintain: staff.maintain,
    p.OpenAll: staff.open_all,
    p.Listen: staff.listen,
    p.Withdraw: staff.withdraw,
    p.Audit: staff.audit,
    p.Skip: staff.skip,
    p.Back: _back,
    p.SignOut: _sign_out,
    p.StillHere: _still_here,
    p.Language: _language,
    p.Large: _large,
}
