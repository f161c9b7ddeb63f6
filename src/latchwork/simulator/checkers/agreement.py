from latchwork.domain.apply import fold
from latchwork.domain.bank import Bank
from latchwork.domain.words import BankId
from latchwork.simulator.checkers.checker import Checker
from latchwork.sync.codec import read_entry


class Agreement(Checker):
    sentence = "Both ends fold to the same bank, and so does a bank that has just woken up."

    def booted(self, bank: BankId) -> None:
        loop = self.world.controllers[bank].loop
        if loop is None or loop.bank != self.world.pictures[bank]:
            self.wrong(f"{bank[:4]} woke up as another than its journal says")

    def settled(self) -> None:
        for bank, controller in sorted(self.world.controllers.items()):
            own = self.world.pictures[bank]
            if controller.loop is None or controller.loop.bank != own:
                self.wrong(f"what {bank[:4]} has in mind is not what it has on disk")
            if fold(Bank(bank), map(read_entry, self.world.archive.lives(bank))) != own:
                self.wrong(f"the cloud's picture of {bank[:4]} is another")
            self._rows(bank, own)

    def _rows(self, bank: BankId, own: Bank) -> None:
        """The projections are a picture of the bank too."""
        for stay, state in self.world.archive.stays_of(bank):
            here = own.stays.get(stay)
            if here is not None and here.state.value != state:
                self.wrong(f"the cloud's row says that {stay[:6]} is {state}, the bank says {here.state}")
        for compartment, state in self.world.archive.compartments_of(bank):
            if compartment not in own.compartments or own.compartments[compartment].state.value != state:
                self.wrong(f"the cloud's row says that {compartment} of {bank[:4]} is {state}")
