"""Instructions: every one is answered once, done or refused with a reason."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain import policy
from latchwork.domain.bank import Bank, Grant, Stay
from latchwork.domain.commands import Decision
from latchwork.domain.rules import operate, shield
from latchwork.domain.rules.pieces import grant, is_awaited, leave, let_go, no, too_late, yes
from latchwork.domain.words import (
    STAFF_REASONS,
    ClaimId,
    PassId,
    Purpose,
    Reason,
    Role,
    StayId,
    StayState,
)


def instructed(bank: Bank, cmd: c.Instructed, now: datetime) -> Decision:
    """A repeat changes nothing, a used number with another id is refused."""
    if any(instruction == cmd.id for _, instruction in bank.answered):
        return Decision()
    if cmd.number <= bank.instructions_through:
        outcome = no(Reason.NUMBER_REUSED)
    elif cmd.void:
        outcome = no(Reason.EXPIRED)
    elif reason := shield.unsigned(bank, cmd, now):
        outcome = no(reason)
    else:
        outcome = _OBEY[type(cmd.body)](bank, cmd, cmd.body, now)
    reason = outcome.refusal.reason if outcome.refusal else None
    about: StayId | None = getattr(cmd.body, "stay", None)
    if reason is Reason.ALREADY_HERE and isinstance(cmd.body, c.Expect):
        about = bank.labels.get(cmd.body.about.label) or about
    signed_until = cmd.signed_until if cmd.signers else None
    return yes(*outcome.entries, e.Answered(cmd.number, cmd.id, cmd.body_sha256, reason, about, signed_until))


def _adopt(bank: Bank, cmd: c.Instructed, body: c.Adopt, now: datetime) -> Decision:
    if body.version <= bank.policy_version:
        return no(Reason.EXPIRED)
    kept = {s.id for s in body.policy.services}
    if any(stay.about.service not in kept for stay in bank.stays.values()):
        return no(Reason.UNKNOWN_SERVICE)
    return yes(e.Adopted(body.version, body.policy))


def _expect(bank: Bank, cmd: c.Instructed, body: c.Expect, now: datetime) -> Decision:
    if body.stay in bank.stays or body.about.label in bank.labels:
        return no(Reason.ALREADY_HERE)
    if body.about.service not in bank.services:
        return no(Reason.UNKNOWN_SERVICE)
    entries: list[e.Body] = [e.Expected(body.stay, body.about)]
    if body.until is not None and body.claim is not None:
        stay = Stay(body.stay, body.about, StayState.EXPECTED, announced=True)
        reserved = _reserved(bank, stay, body.claim, body.until, now)
        if isinstance(reserved, Reason):
            return no(reserved)
        entries.append(reserved)
    if body.drop_off is not None:
        given = _given(bank, cmd, body.drop_off, role=Role.PERSON, purpose=Purpose.DEPOSIT, stay=body.stay)
        if given is None:
            return no(Reason.CODE_TAKEN)
        entries.append(e.PassGranted(given))
    return yes(*entries)


def _reserve(bank: Bank, cmd: c.Instructed, body: c.Reserve, now: datetime) -> Decision:
    stay = bank.stays.get(body.stay)
    if stay is None or not is_awaited(bank, stay):
        return no(Reason.PARCEL_NOT_AVAILABLE)
    if body.until is None:
        return yes(*let_go(bank, stay, Reason.CHANGED_MIND))
    reserved = _reserved(bank, stay, body.claim, body.until, now)
    return no(reserved) if isinstance(reserved, Reason) else yes(reserved)


def _reserved(bank: Bank, stay: Stay, claim: ClaimId, until: datetime, now: datetime) -> e.Claimed | Reason:
    what, held = (stay.id, stay.about, True), bank.compartments.get(stay.compartment)
    if held is not None and stay.claim is not None:  # the same one, for longer or shorter; a doubt about it stays
        return e.Claimed(stay.claim, held.id, *what, Reason.RESERVED, None, held.state, until)
    if until <= now and not bank.clock_doubted:
        return Reason.EXPIRED
    chosen = policy.choose(bank, stay.about)
    if isinstance(chosen, Reason):
        return chosen
    return e.Claimed(claim, chosen[0].id, *what, chosen[1], until=until)


def _cancel(bank: Bank, cmd: c.Instructed, body: c.Cancel, now: datetime) -> Decision:
    stay = bank.stays.get(body.stay)
    if stay is None or not is_awaited(bank, stay):
        return no(Reason.PARCEL_NOT_AVAILABLE)
    return yes(*let_go(bank, stay, Reason.CHANGED_MIND), e.Cancelled(body.stay))


def _grant_pass(bank: Bank, cmd: c.Instructed, body: c.GrantPass, now: datetime) -> Decision:
    purpose = None
    if body.role is Role.PERSON:
        if (body.stay is None) is (body.recipient is None):  # for one stay, or for all of a recipient's
            return no(Reason.NO_ACCESS)
        purpose = Purpose.COLLECT
    stay = bank.stays.get(body.stay)
    if body.stay is not None:
        if stay is None:
            return no(Reason.PARCEL_NOT_AVAILABLE)
        claim = bank.claims.get(stay.claim)
        if claim is not None and len(claim.stays) > 1:  # their code would open what is not delegated
            return no(Reason.SHARED)
    until = policy.next_midnight(bank, now) if body.daily else body.valid_until
    what = {"role": body.role, "purpose": purpose, "party": body.party, "stay": body.stay, "recipient": body.recipient}
    when = {"once": body.once, "daily": body.daily, "valid_until": until}
    given = _given(bank, cmd, body.pass_id, body.lookup, **what, **when)
    return no(Reason.CODE_TAKEN) if given is None else yes(e.PassGranted(given))


def _given(bank: Bank, cmd: c.Instructed, pass_id: PassId, lookup: Any = None, **scope: Any) -> Grant | None:
    if cmd.offer is None or pass_id in bank.passes:
        return None
    offer = replace(cmd.offer, pass_id=pass_id)
    if lookup is not None:  # a code of somebody else's making
        offer = replace(offer, lookups=(lookup,), digits=0)
    return grant(bank, offer, **scope)


def _revoke_pass(bank: Bank, cmd: c.Instructed, body: c.RevokePass, now: datetime) -> Decision:
    held = bank.passes.get(body.pass_id)
    if held is None:
        return no(Reason.PARCEL_NOT_AVAILABLE)
    stay = bank.stays.get(held.grant.stay)
    if stay is not None and body.pass_id in (stay.pickup, stay.drop_off):  # it ends with its stay
        return no(Reason.NO_ACCESS)
    sessions = sorted(s.id for s in bank.sessions.values() if s.pass_id == body.pass_id)
    settled = [entry for session in sessions for entry in leave(bank, session, Reason.REVOKED, now)]
    return yes(e.PassRevoked(body.pass_id), *settled)


def _open(bank: Bank, cmd: c.Instructed, body: c.Open, now: datetime) -> Decision:
    if late := too_late(cmd.server_now, body.not_after):
        return no(late)
    if body.reason not in STAFF_REASONS or body.purpose is not Purpose.SERVICE:
        return no(Reason.NO_ACCESS)
    if body.compartment not in bank.compartments:
        return no(Reason.UNKNOWN_COMPARTMENT)
    if body.opening in bank.openings:
        return no(Reason.NUMBER_REUSED)
    debt_s = shield.remote_debt(bank, cmd, body)
    if isinstance(debt_s, Decision):
        return debt_s
    return yes(
        e.Wanted(
            body.opening,
            body.compartment,
            body.purpose,
            instruction=cmd.id,
            reason=body.reason,
            by=body.by,
            note_sha256=body.note_sha256,
            not_after=body.not_after,
            debt_s=debt_s,
            second_by=body.second,
        )
    )


def _check(bank: Bank, cmd: c.Instructed, body: c.Check, now: datetime) -> Decision:
    if late := too_late(cmd.server_now, body.not_after):
        return no(late)
    return operate.look(bank, body.compartment, body.empty, now, by=body.by)


_OBEY: dict[type, Callable[[Bank, c.Instructed, Any, datetime], Decision]] = {
    c.Adopt: _adopt,
    c.Expect: _expect,
    c.Reserve: _reserve,
    c.Cancel: _cancel,
    c.Amend: lambda bank, cmd, body, now: operate.amend(bank, body, cmd.offer, now),
    c.Extend: lambda bank, cmd, body, now: operate.extend(bank, None, body, now),
    c.Withdraw: lambda bank, cmd, body, now: operate.withdraw(bank, None, body, now),
    c.GrantPass: _grant_pass,
    c.RevokePass: _revoke_pass,
    c.Open: _open,
    c.Check: _check,
    c.Guard: lambda bank, cmd, body, now: shield.guard(bank, body, now, at_wall=False),
    c.Listen: lambda bank, cmd, body, now: shield.listen(bank, None, body, now),
    c.NotUnderstood: lambda bank, cmd, body, now: no(Reason.NOT_UNDERSTOOD),
}
