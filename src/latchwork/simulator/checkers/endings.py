from typing import TYPE_CHECKING

from latchwork.domain import entries as e
from latchwork.domain.entries import Entry
from latchwork.domain.words import BankId, CompartmentState, SessionId, StayState
from latchwork.simulator.checkers.checker import Checker

if TYPE_CHECKING:
    from latchwork.simulator.world import World

SESSION_S_MAX = 3600.0
"""Nobody stands there longer, whatever happens."""


class Endings(Checker):
    sentence = "Every stay ends, or is on somebody's task list; no opening and no session hangs for ever."

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._began: dict[SessionId, float] = {}

    def wrote(self, bank: BankId, entry: Entry) -> None:
        if isinstance(entry.body, e.SessionBegan):
            self._began[entry.body.session] = self.world.time.now

    def settled(self) -> None:
        for bank_id, controller in sorted(self.world.controllers.items()):
            assert controller.loop is not None
            bank, tasks = controller.loop.bank, set(self.world.archive.tasks(bank_id))
            for stay in sorted(bank.stays.values(), key=lambda s: s.id):
                where = bank.compartments.get(stay.compartment) if stay.compartment else None
                if not tasks & {stay.id, where.id if where else stay.id}:
                    at = f" in {where.id}, {where.state}" if where else ""
                    late = ", uncollected" if stay.state is StayState.EXPIRED else ""
                    self.wrong(f"{stay.id[:6]} of {bank_id[:4]} is {stay.state}{late}{at} and nobody's task")
            hanging = [x for x in bank.sessions if self.world.time.now - self._began[x] > SESSION_S_MAX]
            if hanging:
                self.wrong(f"{len(hanging)} people are signed in at {bank_id[:4]} for ever")
            for opening in bank.openings.values():
                if opening.id not in {c.stuck for c in bank.compartments.values()}:
                    self.wrong(f"an opening of {opening.compartment} of {bank_id[:4]} is {opening.state} for ever")
            for compartment in bank.compartments.values():
                idle = compartment.claim is None and compartment.state is not CompartmentState.VACANT
                if idle and compartment.id not in tasks:
                    self.wrong(f"{compartment.id} of {bank_id[:4]} is {compartment.state} and nobody's task")
