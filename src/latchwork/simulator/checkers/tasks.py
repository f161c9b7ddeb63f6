from latchwork.domain.words import BankId, CompartmentId, CompartmentState, StayId
from latchwork.simulator.checkers.checker import Checker
from latchwork.store.rows import Task

_A_PERSON_CLOSES = (Task.MISMATCH, Task.FORCED_DOOR, Task.CLONED, Task.WRONG_KEY)
"""They may outlive the doubt: a sensor still says so, a lock was forced, an old image looked like a second one, the
last word of a replaced controller like a stranger's."""


class Tasks(Checker):
    sentence = (
        "Whatever is in doubt is on the operators' list as soon as the cloud knows of it, and nothing else stays."
    )

    def cloud_grew(self, bank: BankId) -> None:
        tasks = self.world.archive.tasks(bank)
        for compartment, state in self.world.archive.compartments_of(bank):
            if state == CompartmentState.NEEDS_CHECK and compartment not in tasks:
                self.wrong(f"{compartment} of {bank[:4]} needs a look, and nobody is told")

    def settled(self) -> None:
        for bank, picture in sorted(self.world.pictures.items()):
            for about, kind in sorted(self.world.archive.tasks(bank).items()):
                compartment = picture.compartments.get(CompartmentId(about))
                if kind in _A_PERSON_CLOSES:
                    continue
                if compartment is None:
                    if StayId(about) not in picture.stays:
                        self.wrong(f"{about[:6]} of {bank[:4]} is {kind} on the list, and not at the wall")
                    continue
                doubtful = compartment.state is CompartmentState.NEEDS_CHECK
                if not doubtful and not compartment.fitting.shelf:
                    self.wrong(f"{about} of {bank[:4]} is {kind} on the list, and {compartment.state} at the wall")
