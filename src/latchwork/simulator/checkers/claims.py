from typing import TYPE_CHECKING

from latchwork.domain import entries as e
from latchwork.domain.entries import Entry
from latchwork.domain.words import BankId, ClaimId, CompartmentId, StayId
from latchwork.simulator.checkers.checker import Checker

if TYPE_CHECKING:
    from latchwork.simulator.world import World


class Claims(Checker):
    sentence = "Never two claims on one compartment, and never one stay in two."

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._claims: dict[tuple[BankId, CompartmentId], ClaimId] = {}
        self._stays: dict[StayId, CompartmentId] = {}

    def wrote(self, bank: BankId, entry: Entry) -> None:
        body = entry.body
        if isinstance(body, e.Claimed):
            held = self._claims.get((bank, body.compartment))
            if held is not None:
                self.wrong(f"{body.compartment} of {bank[:4]} is claimed by {body.claim[:6]} and by {held[:6]}")
            if body.stay in self._stays:
                self.wrong(f"{body.stay[:6]} gets {body.compartment} and has {self._stays[body.stay]}")
            self._claims[bank, body.compartment] = body.claim
            self._stays[body.stay] = body.compartment
        elif isinstance(body, e.Released | e.Collected | e.Recalled):
            if self._claims.pop((bank, body.compartment), None) != body.claim:
                self.wrong(f"a claim on {body.compartment} of {bank[:4]} ends that was not there")
            del self._stays[body.stay]
