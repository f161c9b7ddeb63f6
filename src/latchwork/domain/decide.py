"""decide(bank, command, now) -> entries, perhaps with a refusal: every rule of the wall, and no side effect.

This is the table; the rules stand in `rules`, a module a topic. Each reads top-down: what could forbid it, then what
happens. `now` is bank time, never below the last entry's.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from latchwork.domain import commands as c
from latchwork.domain.bank import Bank, Session
from latchwork.domain.commands import Decision
from latchwork.domain.entries import EpochBegan
from latchwork.domain.rules import cloud, collect, deposit, machine, operate, people, shield
from latchwork.domain.rules.pieces import leave, no, yes
from latchwork.domain.words import Reason, Role


def decide(bank: Bank, command: c.Command, now: datetime) -> Decision:
    return _RULES[type(command)](bank, command, now)


_Rule = Callable[[Bank, Any, datetime], Decision]


def _by(rule: Callable[[Bank, Session, Any, datetime], Decision], *roles: Role) -> _Rule:
    """A rule for whoever is signed in, and has one of these roles where some are named."""

    def ruled(bank: Bank, cmd: Any, now: datetime) -> Decision:
        session = bank.sessions.get(cmd.session)
        if session is None:
            return no(Reason.NO_SESSION)
        if roles and session.role not in roles:
            return no(Reason.NO_ACCESS)
        return rule(bank, session, cmd, now)

    return ruled


_RULES: dict[type, _Rule] = {
    c.SignIn: people.sign_in,
    c.SignOut: _by(lambda bank, session, cmd, now: yes(*leave(bank, session.id, cmd.why, now))),
    c.Deposit: _by(deposit.deposit),
    c.Shelve: _by(deposit.shelve, Role.COURIER, Role.STAFF),
    c.GiveUp: _by(deposit.give_up),
    c.Replace: _by(deposit.replace),
    c.Confirm: _by(deposit.confirm),
    c.Abandon: _by(deposit.abandon),
    c.Collect: _by(collect.collect),
    c.Report: _by(collect.report),
    c.Visit: _by(operate.visit),
    c.Maintain: _by(operate.maintain, Role.STAFF),
    c.Inspect: _by(operate.inspect, Role.STAFF),
    c.Remove: _by(operate.remove, Role.STAFF),
    c.OpenAll: _by(operate.open_all, Role.STAFF),
    c.Move: _by(operate.move, Role.STAFF),
    c.Extend: _by(operate.extend, Role.PERSON),
    c.Withdraw: _by(operate.withdraw, Role.STAFF),
    c.Listen: _by(shield.listen, Role.STAFF),
    c.Instructed: cloud.instructed,
    c.Begin: lambda bank, cmd, now: yes(EpochBegan()),
    c.Recover: machine.recover,
    c.Guard: shield.guard,
    c.Boot: machine.boot,
    c.Fit: machine.fit,
    c.See: machine.see,
    c.SenseItems: machine.sense_items,
    c.Linger: machine.linger,
    c.SenseTamper: machine.sense_tamper,
    c.SenseBand: machine.sense_band,
    c.SumUp: lambda bank, cmd, now: yes(cmd.kept),
    c.Unlock: machine.unlock,
    c.Elapse: machine.elapse,
    c.Tick: machine.tick,
    c.DoubtClock: machine.doubt_clock,
    c.TrustClock: machine.trust_clock,
}
