from latchwork.domain import entries as e
from latchwork.domain.apply import apply, fold
from latchwork.domain.bank import Bank
from latchwork.domain.entries import Entry
from latchwork.domain.words import BankId
from latchwork.simulator.checkers.checker import Checker
from latchwork.sync.codec import read_entry


class Lives(Checker):
    sentence = "A new epoch begins with all that the cloud had, and takes nothing from anybody."

    def went_on(self, bank: BankId) -> None:
        if fold(Bank(bank), map(read_entry, self.world.archive.lives(bank))) != self.world.pictures[bank]:
            self.wrong(f"{bank[:4]} goes on from another log than the cloud's")

    def wrote(self, bank: BankId, entry: Entry) -> None:
        if isinstance(entry.body, e.EpochBegan | e.Recovered) and entry.epoch > 1:
            before = self.world.pictures[bank]
            after = apply(before, entry)
            gone = set(before.stays) - set(after.stays)
            if gone:
                self.wrong(f"{len(gone)} stays of {bank[:4]} are lost with its old controller")
            if isinstance(entry.body, e.Recovered) and entry.body.spent in after.passes:
                self.wrong(f"a pass of {bank[:4]} was spent in its old life, and is good again")
