from typing import TYPE_CHECKING

from latchwork.domain import entries as e
from latchwork.domain.entries import Entry
from latchwork.domain.words import BankId, CompartmentId
from latchwork.simulator.checkers.checker import Checker

if TYPE_CHECKING:
    from latchwork.simulator.world import World


class Doors(Checker):
    sentence = "No door opens that the log does not know: each pulse has its own Unlocked, on disk before it."

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._unlocked: dict[tuple[BankId, CompartmentId], str] = {}

    def wrote(self, bank: BankId, entry: Entry) -> None:
        if isinstance(entry.body, e.Unlocked):
            self._unlocked[bank, entry.body.compartment] = entry.body.opening

    def pulsed(self, bank: BankId, compartment: CompartmentId) -> None:
        if self._unlocked.pop((bank, compartment), None) is None:
            self.wrong(f"door {compartment} of {bank[:4]} was pulsed and no unspent Unlocked is on the disk")

    def crashed(self, bank: BankId) -> None:
        """Nothing is pulsed at restart: what was not pulsed by now never may be."""
        self._unlocked = {where: opening for where, opening in self._unlocked.items() if where[0] != bank}
