"""What a checker is: it hears everything that truly happens in a world, and says when its sentence is not so."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from latchwork.domain.commands import Command, Decision
from latchwork.domain.entries import Entry
from latchwork.domain.words import BankId, CompartmentId
from latchwork.simulator.cabinet import Thing
from latchwork.simulator.post import Mail

if TYPE_CHECKING:
    from latchwork.simulator.world import World


class Broken(Exception):
    """A sentence that must always hold does not."""

    def __init__(self, sentence: str, what: str) -> None:
        super().__init__(f"{sentence} -- but {what}")
        self.sentence = sentence
        self.what = what


class Checker:
    """Every method is told of something that happened; a subclass takes what concerns it."""

    sentence = ""

    def __init__(self, world: "World") -> None:
        self.world = world

    def wrote(self, bank: BankId, entry: Entry) -> None:
        """On the bank's disk from now on, whatever becomes of the machine. The world's picture is still without it."""

    def decided(self, bank: BankId, command: Command, decision: Decision, written: Sequence[Entry]) -> None:
        """Somebody touched the screen, and this is what came of it."""

    def pulsed(self, bank: BankId, compartment: CompartmentId) -> None:
        """The coil has power."""

    def put(self, bank: BankId, compartment: CompartmentId, thing: Thing) -> None:
        """Somebody puts a thing in; it is not there yet."""

    def cloud_grew(self, bank: BankId) -> None:
        """The server committed entries."""

    def acknowledged(self, bank: BankId, epoch: int, size: int) -> None:
        """The bank heard from the server how much of its log is there."""

    def mailed(self, mail: Mail) -> None: ...
    def crashed(self, bank: BankId) -> None: ...
    def booted(self, bank: BankId) -> None: ...
    def server_crashed(self) -> None: ...
    def restored(self) -> None: ...
    def reborn(self, bank: BankId) -> None:
        """Its disk has another log than before, and the world's picture is of that one."""

    def went_on(self, bank: BankId) -> None:
        """From the cloud's log, in a new epoch that it is about to write."""

    def settled(self) -> None:
        """The faults have stopped, and everybody had time."""

    def wrong(self, what: str) -> NoReturn:
        raise Broken(self.sentence, what)
