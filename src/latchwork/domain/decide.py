"""decide(bank, command, now) -> entries, perhaps with a refusal: every rule of the wall, and no side effect.

This is the table; the rules stand in `rules`, a module a topic. Each reads top-down: what could forbid it, then what
happens. `now` is bank time, never below the last entry's.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from latchwork.domain import commands as c
from latchwork.domain.bank import Bank
from latchwork.domain.commands import Decision
from latchwork.domain.rules import cloud, collect, deposit, machine, operate, people, shield


def decide(bank: Bank, command: c.Command, now: datetime) -> Decision:
    return _RULES[type(command)](bank, command, now)


_Rule = Callable[[Bank, Any, datetime], Decision]
_RULES: dict[type, _Rule] = {
    c.SignIn: people.sign_in,
    c.SignOut: people.sign_out,
    c.Deposit: deposit.deposit,
    c.Shelve: deposit.shelve,
    c.GiveUp: deposit.give_up,
    c.Replace: deposit.replace,
    c.Confirm: deposit.confirm,
    c.Abandon: deposit.abandon,
    c.Collect: collect.collect,
    c.Report: collect.report,
    c.Visit: operate.visit,
    c.Maintain: operate.maintain,
    c.Inspect: operate.inspect,
    c.Remove: operate.remove,
    c.OpenAll: operate.open_all,
    c.Move: operate.move,
    c.Extend: operate.extend,
    c.Withdraw: operate.withdraw,
    c.Listen: shield.listen,
    c.Instructed: cloud.instructed,
    c.Begin: machine.begin,
    c.Recover: machine.recover,
    c.GuardHere: shield.guard_here,
    c.Boot: machine.boot,
    c.Fit: machine.fit,
    c.See: machine.see,
    c.SenseItems: machine.sense_items,
    c.Linger: machine.linger,
    c.SenseTamper: machine.sense_tamper,
    c.SenseBand: machine.sense_band,
    c.SumUp: machine.sum_up,
    c.Unlock: machine.unlock,
    c.Elapse: machine.elapse,
    c.Tick: machine.tick,
    c.DoubtClock: machine.doubt_clock,
    c.TrustClock: machine.trust_clock,
}
