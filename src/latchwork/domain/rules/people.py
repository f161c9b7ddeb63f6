"""Who asks: signing in and out."""

from datetime import datetime, timedelta

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain import policy
from latchwork.domain.bank import Bank, Pass, PassState
from latchwork.domain.commands import Decision, Refusal
from latchwork.domain.rules.pieces import MOVING, no, yes
from latchwork.domain.words import Lookup, PassId, Purpose, Reason, Role, SessionId


def sign_in(bank: Bank, cmd: c.SignIn, now: datetime) -> Decision:
    if isinstance(cmd.shown, c.WalkIn):
        service = bank.services.get(cmd.shown.service)
        if service is None or not service.walk_in:
            return no(Reason.NO_ACCESS)
        return yes(e.SessionBegan(cmd.session, None, Role.PERSON, Purpose.DEPOSIT, service.party, service=service.id))
    if isinstance(cmd.shown, c.Ticket) and cmd.shown.of is not None and cmd.shown.pass_id not in bank.passes:
        return _sent(bank, cmd.session, cmd.shown, cmd.shown.of, now)
    held = shown(bank, cmd.shown, now)
    if isinstance(held, Decision):
        return held
    given = held.grant
    if given.once and any(o.pass_id == given.pass_id and o.state in MOVING for o in bank.openings.values()):
        return no(Reason.BUSY)
    stay = bank.stays.get(given.stay)
    stay = stay or next((took for took in held.took if took.id == given.stay), None)  # back within minutes
    recipient = given.recipient
    if stay is not None and stay.pickup == given.pass_id:  # the recipient's own code: they may take all that is theirs
        recipient = stay.about.recipient
    began = e.SessionBegan(cmd.session, given.pass_id, given.role, given.purpose, given.party, given.stay, recipient)
    return yes(began)


def _sent(bank: Bank, session: SessionId, ticket: c.Ticket, of: PassId, now: datetime) -> Decision:
    """Somebody whom a recipient sends, and of whom the wall has not heard: they may take what the recipient's own pass
    is for. Whoever was taken back, as the wall has heard, stands among the delegates and has no pass any more."""
    if unusable := _unusable(bank, ticket, now):
        return no(unusable)
    if bank.shield.guards:
        return no(Reason.UNSIGNED)
    held = bank.passes.get(of)
    stay = bank.stays.get(held.grant.stay) if held else None
    if stay is None or stay.pickup != of or ticket.pass_id in stay.delegates:
        return no(Reason.PARCEL_NOT_AVAILABLE)
    return yes(e.SessionBegan(session, ticket.pass_id, Role.PERSON, Purpose.COLLECT, None, stay.id))


def _unusable(bank: Bank, ticket: c.Ticket, now: datetime) -> Reason | None:
    if ticket.bank != bank.id:
        return Reason.NO_ACCESS
    return None if bank.clock_doubted or ticket.not_before <= now < ticket.not_after else Reason.CODE_EXPIRED


def shown(bank: Bank, shown: Lookup | c.Ticket, now: datetime) -> Pass | Decision:
    """The pass behind a code or a ticket, or the no for it. A wrong code is remembered for the whole bank."""
    if isinstance(shown, c.Ticket):
        if unusable := _unusable(bank, shown, now):
            return no(unusable)
        held = bank.passes.get(shown.pass_id)
        if held is None or not _opens(bank, held, now):  # signed, so no guess: spent, or not known here yet
            return no(Reason.PARCEL_NOT_AVAILABLE)
    else:
        until = bank.guesses.until
        if until is not None and now < until:
            return no(Reason.SLOW_DOWN, until)
        pass_id = bank.codes.get(shown)
        held = bank.passes.get(pass_id)
        if held is None or not _opens(bank, held, now):
            wrong = policy.after_wrong_code(bank.guesses, now)
            return Decision((e.CodeRefused(wrong.failures, wrong.until),), Refusal(Reason.WRONG_CODE, wrong.until))
    valid_until = held.grant.valid_until
    if valid_until is not None and now >= valid_until and not bank.clock_doubted:
        return no(Reason.CODE_EXPIRED)
    return held


def _opens(bank: Bank, held: Pass, now: datetime) -> bool:
    if held.state is not PassState.SPENT:
        return held.state is PassState.WAITING
    stay = held.took[-1] if held.took else bank.stays.get(held.grant.stay)
    service = bank.services.get(stay.about.service) if stay else None
    minutes = service.reopen_minutes if service else 0
    return held.since is not None and now < held.since + timedelta(minutes=minutes)
