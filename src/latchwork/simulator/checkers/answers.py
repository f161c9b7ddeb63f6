from typing import TYPE_CHECKING

from latchwork.domain import entries as e
from latchwork.domain.entries import Entry
from latchwork.domain.words import BankId, InstructionId, Reason
from latchwork.simulator.checkers.checker import Checker

if TYPE_CHECKING:
    from latchwork.simulator.world import World


class Answers(Checker):
    sentence = "Every instruction is answered exactly once, and done at most once."

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._answered: dict[InstructionId, int] = {}
        self._numbers: dict[tuple[BankId, int], InstructionId] = {}
        self._done: dict[tuple[BankId, str], None] = {}
        self._forgotten: dict[InstructionId, None] = {}
        """By a disk that was lost: they may be answered again."""

    def reborn(self, bank: BankId) -> None:
        self._forgotten.update(dict.fromkeys(x for x in self._answered if self.world.asked.get(x) == bank))
        self._numbers = {where: x for where, x in self._numbers.items() if where[0] != bank}
        self._done = {what: None for what in self._done if what[0] != bank}

    def wrote(self, bank: BankId, entry: Entry) -> None:
        match entry.body:
            case e.Answered(number, instruction, _, refusal):
                if instruction in self._answered and instruction not in self._forgotten:
                    self.wrong(f"{instruction[:6]} is answered again, as {number}")
                self._answered[instruction] = number
                if refusal is Reason.NUMBER_REUSED:
                    return
                if (bank, number) in self._numbers:
                    self.wrong(f"number {number} of {bank[:4]} is used again, and not refused for it")
                self._numbers[bank, number] = instruction
            case e.Expected(stay):
                self._once(bank, f"the announcement of {stay[:6]}")
            case e.PassGranted(grant) if not grant.daily:
                self._once(bank, f"the grant of {grant.pass_id[:6]}")

    def settled(self) -> None:
        for instruction, bank in sorted(self.world.asked.items()):
            if instruction not in self._answered and not self.world.archive.was_lost(instruction):
                self.wrong(f"{instruction[:6]} to {bank[:4]} has no answer")

    def _once(self, bank: BankId, what: str) -> None:
        if (bank, what) in self._done:
            self.wrong(f"{what} is done twice")
        self._done[bank, what] = None
