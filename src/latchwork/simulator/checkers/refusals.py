from collections.abc import Sequence

from latchwork.domain import entries as e
from latchwork.domain.commands import Command, Decision
from latchwork.domain.entries import Entry
from latchwork.domain.words import BankId
from latchwork.simulator.checkers.checker import Checker

_THROTTLE = (e.CodeRefused,)
_NEXT_LOCK = (e.Unlocked, e.Opened, e.Lapsed, e.Released, e.NotOpened)
"""What a step may do besides: let the next lock go that somebody has wanted before."""


class Refusals(Checker):
    sentence = "A refusal changes nothing but a guess throttle."

    def decided(self, bank: BankId, command: Command, decision: Decision, written: Sequence[Entry]) -> None:
        if decision.refusal is None:
            return
        for entry in written:
            if not isinstance(entry.body, (*_THROTTLE, *_NEXT_LOCK)):
                self.wrong(f"{type(command).__name__} is refused, and writes {type(entry.body).__name__}")
