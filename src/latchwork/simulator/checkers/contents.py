from latchwork.domain import entries as e
from latchwork.domain.entries import Entry
from latchwork.domain.words import BankId, ClaimId, CompartmentId
from latchwork.simulator.cabinet import Thing
from latchwork.simulator.checkers.checker import Checker


class Contents(Checker):
    sentence = "A compartment that is assigned is truly empty, and never holds two claims' things."

    def wrote(self, bank: BankId, entry: Entry) -> None:
        if isinstance(entry.body, e.Claimed):
            self._empty(bank, entry.body.compartment, "is assigned", entry.body.claim)

    def put(self, bank: BankId, compartment: CompartmentId, thing: Thing) -> None:
        if compartment not in self.world.cabinets[bank].behind:  # a shelf is for all
            claim = self.world.pictures[bank].compartments[compartment].claim
            self._empty(bank, compartment, f"gets {thing.name}", claim)

    def _empty(self, bank: BankId, compartment: CompartmentId, what: str, claim_id: ClaimId | None) -> None:
        cabinet, claims = self.world.cabinets[bank], self.world.pictures[bank].claims
        beside = claims[claim_id].stays if claim_id is not None and claim_id in claims else ()
        inside = [thing for thing in cabinet.inside[compartment] if thing.stay not in beside]
        if inside and compartment not in cabinet.doubtful:  # where a contact lied, nobody could have known
            self.wrong(f"{compartment} of {bank[:4]} {what} with {', '.join(x.name for x in inside)} inside")
