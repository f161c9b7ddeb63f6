from latchwork.domain import entries as e
from latchwork.domain.entries import Entry
from latchwork.domain.words import BankId, CompartmentId
from latchwork.simulator.cabinet import Thing
from latchwork.simulator.checkers.checker import Checker


class Contents(Checker):
    sentence = "A compartment that is assigned is truly empty, and never holds two people's things."

    def wrote(self, bank: BankId, entry: Entry) -> None:
        if isinstance(entry.body, e.Claimed):
            self._empty(bank, entry.body.compartment, "is assigned")

    def put(self, bank: BankId, compartment: CompartmentId, thing: Thing) -> None:
        self._empty(bank, compartment, f"gets {thing.name}")

    def _empty(self, bank: BankId, compartment: CompartmentId, what: str) -> None:
        cabinet = self.world.cabinets[bank]
        inside = cabinet.inside[compartment]
        if inside and compartment not in cabinet.doubtful:  # where a contact lied, nobody could have known
            self.wrong(f"{compartment} of {bank[:4]} {what} with {', '.join(x.name for x in inside)} inside")
