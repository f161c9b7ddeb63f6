from typing import TYPE_CHECKING

from latchwork.domain.words import BankId
from latchwork.simulator.checkers.checker import Checker

if TYPE_CHECKING:
    from latchwork.simulator.world import World


class Prefix(Checker):
    sentence = "Within an epoch the cloud's log is a gap-free prefix of the bank's, byte for byte."

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._checked: dict[BankId, int] = {}
        self._parted: dict[BankId, None] = {}
        """Lost their disks, and may not have gone on from the cloud's log yet."""
        self._is_over = False

    def cloud_grew(self, bank: BankId) -> None:
        self._compare(bank, self._checked.get(bank, 0))

    def restored(self) -> None:
        self._checked.clear()
        for bank in sorted(self.world.controllers):
            self._compare(bank, 0)

    def settled(self) -> None:
        self._is_over = True
        for bank in sorted(self.world.controllers):
            self._compare(bank, 0)

    def reborn(self, bank: BankId) -> None:
        self._checked.pop(bank, None)
        self._parted[bank] = None

    def went_on(self, bank: BankId) -> None:
        self._parted.pop(bank, None)

    def _compare(self, bank: BankId, start: int) -> None:
        copied = self.world.archive.log(bank, start)
        head = self.world.archive.head(bank)
        if not self._is_over and (bank in self._parted or head.epoch < self.world.pictures[bank].epoch):
            return  # it is about to begin a new epoch, or the server to be told of it
        if head.divided is not None:
            self.wrong(f"the cloud calls {bank[:4]} divided: {head.divided}")
        size = start + len(copied)
        if head.size != size:
            self.wrong(f"the cloud says it has {head.size} entries of {bank[:4]} and has {size}")
        disk = self.world.controllers[bank].disk
        own = disk.entries(start, size)
        if list(own) != copied:
            at = next((i for i, raw in enumerate(copied) if i >= len(own) or own[i] != raw), len(copied))
            self.wrong(f"entry {start + at} of {bank[:4]} in the cloud is not the bank's (of {disk.size})")
        if head.root != disk.frontier(size).root():
            self.wrong(f"the roots of {bank[:4]} at {size} differ")
        self._checked[bank] = size
