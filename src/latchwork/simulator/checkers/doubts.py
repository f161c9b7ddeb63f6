from typing import TYPE_CHECKING

from latchwork.domain import entries as e
from latchwork.domain.entries import Entry
from latchwork.domain.words import BankId, CompartmentId, CompartmentState, DoorState, Reason
from latchwork.simulator.checkers.checker import Checker

if TYPE_CHECKING:
    from latchwork.simulator.world import World


class Doubts(Checker):
    sentence = "Nothing is assigned where the content or the door is in doubt."

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._doubts: dict[tuple[BankId, CompartmentId], str] = {}
        self._doors: dict[tuple[BankId, CompartmentId], DoorState] = {}

    def reborn(self, bank: BankId) -> None:
        self._doubts = {where: why for where, why in self._doubts.items() if where[0] != bank}
        for x in self.world.pictures[bank].compartments.values():
            self._doors[bank, x.id] = x.door
            if x.state is CompartmentState.NEEDS_CHECK:
                self._doubts[bank, x.id] = "recovered"

    def wrote(self, bank: BankId, entry: Entry) -> None:
        match body := entry.body:
            case e.Claimed():
                where = bank, body.compartment
                if where in self._doubts and body.compartment_state is not CompartmentState.NEEDS_CHECK:
                    self.wrong(f"{body.compartment} of {bank[:4]} is assigned after {self._doubts[where]}")
                door = self._doors.get(where, DoorState.UNKNOWN)
                kept = body.until is not None and body.why is Reason.RESERVED  # it has it already, and for how long
                if door is not DoorState.CLOSED and not kept:
                    self.wrong(f"{body.compartment} of {bank[:4]} is assigned while its door is {door}")
            case e.EpochBegan(doubted=doubted):
                self._doubts.update({(bank, x): "recovered" for x in doubted})
            case e.NotOpened() | e.Unresolved():
                self._doubts[bank, body.compartment] = type(body).__name__
            case e.Released() | e.Checked() | e.Collected() | e.Recalled() | e.Stored() | e.Removed() | e.Reported():
                state = getattr(body, "compartment_state", CompartmentState.OCCUPIED)
                self._doubts.pop((bank, body.compartment), None)
                if state is CompartmentState.NEEDS_CHECK:
                    self._doubts[bank, body.compartment] = type(body).__name__
            case e.Opened():
                self._doors[bank, body.compartment] = DoorState.OPEN
            case e.Closed():
                self._doors[bank, body.compartment] = DoorState.CLOSED
            case e.Moved():
                self._doubts.pop((bank, body.compartment), None)
                if body.left_state is CompartmentState.VACANT:  # somebody stood before it
                    self._doubts.pop((bank, body.left), None)
            case e.ItemSensed():
                self._doubts.update({(bank, x): "sensed" for x in body.doubted})
            case e.Sensed():
                self._doors.update({(bank, x): door for x, door in body.doors.items()})
                self._doubts.update({(bank, x): "forced" for x in body.forced})
            case e.BoardLost():
                self._doors.update({(bank, x): DoorState.UNKNOWN for x in body.compartments})
