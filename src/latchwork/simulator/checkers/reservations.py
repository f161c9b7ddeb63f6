from datetime import datetime
from typing import TYPE_CHECKING

from latchwork.domain import entries as e
from latchwork.domain.entries import Entry
from latchwork.domain.words import BankId, CompartmentId, Reason, StayId
from latchwork.simulator.checkers.checker import Checker

if TYPE_CHECKING:
    from latchwork.simulator.world import World


class Reservations(Checker):
    sentence = "A reserved compartment is given to nobody else before its end."

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._held: dict[tuple[BankId, CompartmentId], tuple[StayId, datetime]] = {}

    def reborn(self, bank: BankId) -> None:
        self._held = {where: held for where, held in self._held.items() if where[0] != bank}

    def wrote(self, bank: BankId, entry: Entry) -> None:
        match body := entry.body:
            case e.Claimed():
                held = self._held.pop((bank, body.compartment), None)
                if held is not None and held[0] != body.stay:
                    self.wrong(
                        f"{body.compartment} of {bank[:4]} is kept for {held[0][:6]}, and {body.stay[:6]} gets it"
                    )
                if body.until is not None:
                    self._held[bank, body.compartment] = body.stay, body.until
            case e.Released(compartment=where, why=why):
                held = self._held.pop((bank, where), None)
                if held is not None and why is Reason.EXPIRED and entry.at < held[1]:
                    self.wrong(
                        f"{where} of {bank[:4]} is let go at {entry.at:%H:%M:%S}, and was kept to {held[1]:%H:%M:%S}"
                    )
