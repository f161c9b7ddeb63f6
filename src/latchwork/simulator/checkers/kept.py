from typing import TYPE_CHECKING

from latchwork.domain.entries import Entry
from latchwork.domain.words import BankId
from latchwork.simulator.checkers.checker import Checker

if TYPE_CHECKING:
    from latchwork.simulator.world import World


class Kept(Checker):
    sentence = "Nothing on a bank's disk and nothing acknowledged is ever lost, unless the cloud's own disk is."

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._written: dict[BankId, int] = {}
        self._acknowledged: dict[BankId, int] = {}
        self._was_restored = False

    def wrote(self, bank: BankId, entry: Entry) -> None:
        if entry.seq != self._written.get(bank, 0):
            self.wrong(f"{bank[:4]} writes entry {entry.seq} after {self._written.get(bank, 0) - 1}")
        self._written[bank] = entry.seq + 1

    def reborn(self, bank: BankId) -> None:
        self._acknowledged.pop(bank, None)
        self._written[bank] = self.world.controllers[bank].disk.size

    def went_on(self, bank: BankId) -> None:
        self._written[bank] = 0

    def booted(self, bank: BankId) -> None:
        has = self.world.controllers[bank].disk.size
        if has != self._written[bank]:
            self.wrong(f"{bank[:4]} wrote {self._written[bank]} entries and wakes up with {has}")

    def acknowledged(self, bank: BankId, epoch: int, size: int) -> None:
        if epoch != self.world.pictures[bank].epoch or self.world.archive.head(bank).epoch != epoch:
            return
        if size > self._written[bank] and self.world.counts["disks lost"]:
            return  # the server is ahead of a controller that forgot
        if size > self._written[bank]:
            self.wrong(f"the cloud acknowledged {size} entries of {bank[:4]}, which wrote {self._written[bank]}")
        if self._was_restored and size > self.world.archive.head(bank).size:
            return  # said before the restore, or by a server that has not noticed it yet
        self._acknowledged[bank] = max(size, self._acknowledged.get(bank, 0))

    def cloud_grew(self, bank: BankId) -> None:
        self._holds(bank)

    def server_crashed(self) -> None:
        if not self.world.office.losing_disk:
            for bank in sorted(self._acknowledged):
                self._holds(bank)

    def restored(self) -> None:
        """What was lost comes back: `settled` holds the cloud to all of it."""
        self._acknowledged.clear()
        self._was_restored = True

    def settled(self) -> None:
        for bank, size in sorted(self._written.items()):
            has = self.world.archive.head(bank).size
            if has != size:
                self.wrong(f"the cloud has {has} entries of {bank[:4]}, of {size}, after all is quiet")

    def _holds(self, bank: BankId) -> None:
        has = self.world.archive.head(bank).size
        if has < self._acknowledged.get(bank, 0):
            self.wrong(f"the cloud acknowledged {self._acknowledged[bank]} entries of {bank[:4]} and has {has}")
