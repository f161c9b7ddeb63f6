"""Taking out: a recipient's own things and what they say of them, and a courier's collection list."""

from dataclasses import replace

from latchwork.domain import commands as c
from latchwork.domain.bank import OpeningState, Session
from latchwork.domain.words import REPORTS, OpeningId, Purpose, Reason, Role, StayId
from latchwork.edge.kiosk import presses as p
from latchwork.edge.kiosk.at import At, aside, asking, refused, watching
from latchwork.edge.kiosk.putting_in import deposit, needs_size, settled
from latchwork.edge.kiosk.turn import (
    End,
    Mode,
    Question,
    Told,
    Turn,
    after_taking,
    current,
    just_taken,
    takeable,
    unwatch,
)


async def begin(at: At, turn: Turn, session: Session) -> Turn:
    """A person's code says what they came for; no question is left but the size of what they bring.

    A code that was used asks first: for some minutes a press opens that door again.
    """
    if session.service is not None:
        return turn
    took = just_taken(at.desk.bank, session)
    if took and took[-1].compartment is not None:
        return after_taking(at.desk.bank, turn, session, took[-1].compartment, None)
    if session.purpose is Purpose.DEPOSIT:
        return turn if needs_size(at, turn) else await deposit(at, turn, p.Deposit())
    if session.stay is not None:
        return await collect(at, turn, session.stay)
    theirs = takeable(at.desk.bank, session)
    if len({stay.compartment for stay in theirs}) == 1:
        return await collect(at, turn, theirs[0].id)
    return turn if theirs else refused(turn, Reason.PARCEL_NOT_AVAILABLE)


async def collect(at: At, turn: Turn, stay_id: StayId) -> Turn:
    session, stay = at.session(turn), at.desk.bank.stays.get(stay_id)
    assert session is not None
    decision = await at.desk.do(c.Collect(session.id, OpeningId(at.desk.new_id()), stay_id))
    turn = watching(turn, decision)
    if decision.refusal or turn.opening is not None or stay is None or stay.compartment is None:
        return turn
    told = Told("on_shelf", stay.compartment)  # it lies in the open, on a shelf without a gate
    if session.role is Role.PERSON:
        return after_taking(at.desk.bank, turn, session, stay.compartment, told)
    return replace(turn, told=told)


async def take_out(at: At, turn: Turn, press: p.TakeOut) -> Turn:
    turn = await settled(at, turn)
    return turn if turn.refusal else replace(turn, mode=Mode.TAKE_OUT, draft=None)


async def take(at: At, turn: Turn, press: p.Take) -> Turn:
    turn = await settled(at, turn)
    if turn.refusal:
        return turn
    mode = Mode.TAKE_OUT if at.of_role(turn, Role.COURIER) else turn.mode
    return await collect(at, replace(turn, mode=mode), StayId(press.stay))


async def took_it(at: At, turn: Turn, press: p.TookIt) -> Turn:
    """Nobody can prove it, so the log does not say it: the stay stays open and staff will look."""
    opening = current(at.desk.bank, turn)
    if opening is None or opening.state is not OpeningState.UNRESOLVED or opening.purpose is not Purpose.COLLECT:
        return turn
    if at.of_role(turn, Role.COURIER):
        return aside(turn, opening)
    return replace(unwatch(turn), end=End.NOTED, end_door=opening.compartment)


async def again(at: At, turn: Turn) -> Turn:
    """The door of what they have just taken, or came for, once more."""
    session = at.session(turn)
    if session is None or session.role is not Role.PERSON:
        return turn
    took = just_taken(at.desk.bank, session)
    return await collect(at, turn, took[-1].id) if took else await begin(at, turn, session)


# Something is wrong


def concerned(at: At, turn: Turn) -> tuple[StayId, ...]:
    """What a report may be about: what comes out of the open door, else what has just come out, else what is theirs."""
    bank, session, opening = at.desk.bank, at.session(turn), current(at.desk.bank, turn)
    if opening is not None and opening.purpose is Purpose.COLLECT:
        return opening.stays
    took = just_taken(bank, session)
    return tuple(s.id for s in (took or (takeable(bank, session) if session else ())))


async def wrong(at: At, turn: Turn, press: p.Wrong) -> Turn:
    if press.what is not None and press.what not in REPORTS:
        return refused(turn, Reason.NOT_UNDERSTOOD)
    return asking(turn, Question.WRONG, what=press.what, stay=StayId(press.stay) if press.stay else None)


async def report(at: At, turn: Turn, press: p.Report) -> Turn:
    session, about = at.session(turn), concerned(at, turn)
    stay = StayId(press.stay) if press.stay else about[0] if len(about) == 1 else None
    if session is None:
        return turn
    if stay is None:  # which of several?
        if not about:
            return refused(turn, Reason.PARCEL_NOT_AVAILABLE)
        return asking(turn, Question.WRONG, what=press.what)
    took = next((s for s in just_taken(at.desk.bank, session) if s.id == stay), None)
    decision = await at.desk.do(c.Report(session.id, stay, press.what, press.left))
    if decision.refusal:
        return replace(turn, refusal=decision.refusal)
    opening = current(at.desk.bank, turn)
    if opening is not None and opening.id == turn.opening:
        return replace(turn, stay=opening.stays[0] if opening.stays else None)
    if took is None or took.compartment is None or session.role is not Role.PERSON:
        return replace(turn, told=Told("noted"))
    left = "left" if press.what is Reason.LEFT_BEHIND else "noted"
    turn = after_taking(at.desk.bank, turn, session, took.compartment, Told(left, took.compartment))
    return replace(turn, end=End.NOTED) if turn.end else turn


async def extend(at: At, turn: Turn, press: p.Extend) -> Turn:
    if turn.session is None:
        return turn
    decision = await at.desk.do(c.Extend(StayId(press.stay), turn.session))
    return replace(turn, refusal=decision.refusal, told=None if decision.refusal else Told("extended"))
