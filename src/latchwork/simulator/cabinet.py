"""One wall in the pretend world: doors as physics has them, what truly lies behind each, and contacts that may lie.

The wall itself is the one that stands behind the simulated boards; this adds whose things are inside, and the
controller's view of it: a board to pulse, and doors to look at.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

from latchwork.domain.bank import Fitting
from latchwork.domain.words import BankId, CompartmentId, DoorState, PersonId, Size, StayId
from latchwork.simulator.boards.wall import SPRING_S, Move, Wall
from latchwork.simulator.schedule import Schedule, Signal, wait

BOARD_DOORS = 6
SIZES = (Size(380, 80, 640), Size(380, 190, 640), Size(380, 410, 640))


@dataclass(slots=True, eq=False)
class Thing:
    """A parcel, a return, a private gift: where it truly is, whatever any log says."""

    name: str
    service: str
    size: Size
    party: str | None
    recipient: PersonId | None
    label: str | None
    stay: StayId | None = None
    """Its stay as far as people know: announced, or given at the kiosk."""
    announced: bool = False
    place: str = "sender"


class Cabinet:
    def __init__(self, bank: BankId, fittings: tuple[Fitting, ...], schedule: Schedule, random: Random) -> None:
        self.bank = bank
        self.fittings = fittings
        doors = [fitting.id for fitting in fittings if not fitting.shelf]
        self.wall = Wall(range(len(doors)))
        self.channels = {door: channel for channel, door in enumerate(doors)}
        self.behind = {fitting.id: fitting.behind for fitting in fittings if fitting.shelf}
        """Shelves, each with its gate; None: it stands in the open."""
        self.inside: dict[CompartmentId, list[Thing]] = {fitting.id: [] for fitting in fittings}
        self.doubtful: dict[CompartmentId, str] = {}
        """Where a contact or a person has told a lie: there, the log cannot be held to the truth."""
        self.lost: dict[int, None] = {}
        """Boards that do not answer."""
        self.flapping: dict[CompartmentId, None] = {}
        self.sensors = False
        """Whether something inside each compartment tells whether it is empty."""
        self.moved: Signal = Signal(schedule)
        self.watched_until = 0.0
        """The boards are polled fast until then."""
        self._somebody: dict[CompartmentId, int] = {}
        self._schedule = schedule
        self._random = random

    # The controller's view

    def board(self, compartment: CompartmentId) -> int:
        return self.channels[compartment] // BOARD_DOORS

    def pulse(self, compartment: CompartmentId) -> None:
        now = self._schedule.seconds()
        self.wall.pulse(self.channels[compartment], now)
        self.watched_until = now + 3
        self._schedule.call_in(SPRING_S + 0.001, self.settle)

    def reading(self, compartment: CompartmentId) -> DoorState:
        """What a poll finds. A board that is gone says nothing; a contact may lie."""
        if self.board(compartment) in self.lost:
            return DoorState.UNKNOWN
        door = self.wall.doors[self.channels[compartment]]
        closed = door.contact_closed
        if compartment in self.flapping and self._random.random() < 0.5:
            closed = not closed
        if closed is door.is_open:
            self.doubtful[compartment] = "contact"
        return DoorState.CLOSED if closed else DoorState.OPEN

    # People's view

    def is_open(self, compartment: CompartmentId) -> bool:
        """Of a shelf: whether one can reach it."""
        self.settle()
        if compartment in self.behind:
            gate = self.behind[compartment]
            return gate is None or self.is_open(gate)
        return self.wall.doors[self.channels[compartment]].is_open

    async def wait_open(self, compartment: CompartmentId, seconds: float) -> bool:
        deadline = self._schedule.seconds() + seconds
        while not self.is_open(compartment):
            left = deadline - self._schedule.seconds()
            if left <= 0 or not await wait(self.moved, left):
                return self.is_open(compartment)
        return True

    def is_free(self, compartment: CompartmentId, things: Sequence[Thing]) -> bool:
        """Whether all of these go in, and nothing else is there."""
        space = next(f.size for f in self.fittings if f.id == compartment)
        return not self.inside[compartment] and all(thing.size.fits_into(space) for thing in things)

    @contextmanager
    def attended(self, compartment: CompartmentId) -> Iterator[None]:
        """Somebody stands in front of it, so nobody else shuts it."""
        self._somebody[compartment] = self._somebody.get(compartment, 0) + 1
        try:
            yield
        finally:
            self._somebody[compartment] -= 1

    def left_open(self) -> list[CompartmentId]:
        return [x for x in self.channels if self.is_open(x) and not self._somebody.get(x)]

    def put(self, compartment: CompartmentId, thing: Thing) -> None:
        assert self.is_open(compartment), "nobody reaches through a shut door"
        self.inside[compartment].append(thing)
        thing.place = f"{self.bank}/{compartment}"

    def take(self, compartment: CompartmentId, thing: Thing, place: str) -> None:
        assert self.is_open(compartment), "nobody reaches through a shut door"
        self.inside[compartment].remove(thing)
        thing.place = place

    def close(self, compartment: CompartmentId) -> bool:
        self.settle()
        closed = self.wall.close(self.channels[compartment], self._schedule.seconds())
        self._schedule.call_in(SPRING_S + 0.001, self.settle)  # a coil that still has power lets it spring again
        self.moved.fire()
        return closed and not self.is_open(compartment)

    def repair(self, compartment: CompartmentId) -> None:
        """A person with a screwdriver."""
        self.settle()
        door = self.wall.doors[self.channels[compartment]]
        door.stuck_coil = door.stuck_contact = door.broken_wire = False
        self.wall.unjam(door.channel, self._schedule.seconds())
        self.flapping.pop(compartment, None)
        self.moved.fire()

    def settle(self) -> None:
        """Let physics catch up, and wake whoever watches."""
        moves = self.wall.advance(self._schedule.seconds())
        if any(move.what in (Move.OPENED, Move.CLOSED, Move.FORCED) for move in moves):
            self.moved.fire()
