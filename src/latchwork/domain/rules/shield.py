"""How the wall protects itself from the cloud: what needs a signature, and how many doors may be opened from afar."""

from datetime import datetime

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain import policy
from latchwork.domain.bank import Bank, Session
from latchwork.domain.commands import Decision, Refusal
from latchwork.domain.rules.pieces import no, too_late, yes
from latchwork.domain.words import Reason


def widens(bank: Bank, body: c.Instruction) -> bool:
    """Whether after it somebody can open what they could not open before."""
    if isinstance(body, c.Adopt):
        old, new = bank.policy, body.policy
        return (old.services, old.ticket_keys, old.set_aside) != (new.services, new.ticket_keys, new.set_aside)
    if isinstance(body, c.Amend):
        return body.recipient is not None or body.blocked is False
    return not isinstance(body, _HARMLESS)


_HARMLESS = c.Expect | c.Reserve | c.Cancel | c.Extend | c.Withdraw | c.RevokePass | c.NotUnderstood
"""Whatever comes to be an instruction besides needs a signature until somebody has thought about it."""


def unsigned(bank: Bank, cmd: c.Instructed, now: datetime) -> Reason | None:
    """Why a guarded bank does not do this. A signature counts once, and ends by the bank's own time too."""
    if not bank.shield.guards or not widens(bank, cmd.body):
        return None
    if not cmd.signers or cmd.signed_until is None:
        return Reason.UNSIGNED
    if any(instruction == cmd.id for _, instruction in bank.shield.signed):
        return Reason.NUMBER_REUSED
    return Reason.EXPIRED if now >= cmd.signed_until else too_late(cmd.server_now, cmd.signed_until)


def remote_debt(bank: Bank, cmd: c.Instructed, body: c.Open) -> int | Decision:
    """What counts against further openings from afar once this one is done, or the no.

    Two who have signed may open as many as they like: the server cannot do that alone.
    """
    shield = bank.shield
    left_s = max(0, shield.debt_s - int(cmd.quiet_s))
    if len(cmd.signers) > 1:
        return left_s
    if shield.stopped:
        return no(Reason.REMOTE_LIMIT)
    debt_s = left_s + policy.REMOTE_EASE_S
    if debt_s > policy.REMOTE_MAX * policy.REMOTE_EASE_S:
        return Decision((e.RemoteStopped(cmd.id),), Refusal(Reason.REMOTE_LIMIT))
    if debt_s > policy.REMOTE_ALONE_MAX * policy.REMOTE_EASE_S and body.second in (None, body.by):
        return no(Reason.SECOND_PERSON)
    return debt_s


def guard(bank: Bank, cmd: c.Guard, now: datetime, at_wall: bool = True) -> Decision:
    fine = all(len(key) == 64 and set(key) <= set("0123456789abcdef") for key in cmd.keys)
    if not fine or len(cmd.keys) > policy.GUARDS_MAX or len(set(cmd.keys)) != len(cmd.keys):
        return no(Reason.NOT_UNDERSTOOD)
    if at_wall and cmd.keys == bank.shield.guards:
        return Decision()
    return yes(e.Guarded(cmd.keys, at_wall))


def listen(bank: Bank, session: Session | None, cmd: c.Listen, now: datetime) -> Decision:
    """By staff at the wall; from afar only signed, because what the server says is what was in doubt."""
    if session is None and not bank.shield.guards:
        return no(Reason.NO_ACCESS)
    return yes(e.RemoteResumed(session.id if session else None))
