"""All buses of a wall as one board: compartments to channels on the way out, channels to compartments on the way in."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial

from latchwork.domain.commands import See, SenseItems, SenseTamper
from latchwork.domain.words import CompartmentId, DoorState
from latchwork.edge import registry
from latchwork.edge.config import BadConfig, BusTable, Inputs
from latchwork.edge.contacts import BOUNCE_S, Contacts, Place
from latchwork.edge.drivers.protocol import BoardLost, Contact, DoorsSeen, Driver, Reading
from latchwork.edge.governor import Coil

COIL_S = 0.6
COIL_MARGIN_S = 0.5
"""A board may get its frame late, and time its pulse badly. Nobody shuts a door so soon but by mistake."""

DOORS_AT_ONCE = 4
"""So many shut doors, and no other, do not open between two looks of a driver: their common wire does."""

Sense = SenseItems | SenseTamper

log = logging.getLogger(__name__)


class Wall:
    """`turned` and `coil_s` as in `Contacts`; `coils` for the governor, through whom alone it is to be pulsed."""

    def __init__(
        self,
        drivers: Sequence[Driver],
        wiring: Mapping[CompartmentId, Place],
        turned: AbstractSet[Place] = frozenset(),
        coil_s: float = COIL_S,
        coils: Mapping[CompartmentId, Coil] | None = None,
        inputs: Inputs | None = None,
    ) -> None:
        self.coils = coils or {}
        self._drivers = drivers
        self._wiring = wiring
        self._inputs = inputs or Inputs()
        self._doors = {place: door for wired in (wiring, self._inputs.leaves) for door, place in wired.items()}
        self._locks = {place: door for door, place in wiring.items()}
        self._items = {place: door for door, place in self._inputs.items.items()}
        self._switches = {place: switch for switch, place in self._inputs.switches.items()}
        self._contacts = Contacts(turned, coil_s)
        self._said: list[dict[int, DoorState]] = [{} for _ in drivers]
        """By bus: what its driver said last of each channel."""
        self._doubted: dict[int, set[int]] = {}
        """By bus: channels that opened all at once. Until one of them is shut, nothing that it says is believed."""
        self._says: dict[Place, DoorState] = {}
        self._told: dict[CompartmentId, DoorState] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def pulse(self, compartment: CompartmentId) -> None:
        bus, channel = self._wiring[compartment]
        try:
            await self._drivers[bus].pulse(channel)
        finally:  # a Fault does not say that nothing was sent
            for place in self._contacts_of(compartment):
                self._contacts.pulsed(place, asyncio.get_running_loop().time())

    async def run(self, tell: Callable[[See], None], sense: Callable[[Sense], None] = lambda _: None) -> None:
        """Own every line until cancelled; `tell` hears what the doors do, `sense` what the other inputs say."""
        try:
            async with asyncio.TaskGroup() as group:
                for bus, driver in enumerate(self._drivers):
                    group.create_task(driver.run(partial(self._hear, bus, tell, sense)))
        finally:
            self._stop_timer()

    def _hear(self, bus: int, tell: Callable[[See], None], sense: Callable[[Sense], None], reading: Reading) -> None:
        reading = self._doubting(bus, reading)
        known = self._doors.keys() | self._items.keys() | self._switches.keys()
        if isinstance(reading, BoardLost):
            lost = {(bus, channel) for channel in reading.channels if (bus, channel) in known}
            self._contacts.lose(lost)
            self._says.update(dict.fromkeys(lost, DoorState.UNKNOWN))
            if doors := {self._doors[place] for place in lost if place in self._doors}:
                unknown = dict.fromkeys(sorted(doors), DoorState.UNKNOWN)
                self._told.update(unknown)
                tell(See(unknown, lost=True))
        else:
            read = {(bus, channel): state for channel, state in reading.doors.items() if (bus, channel) in known}
            self._contacts.hear(read, asyncio.get_running_loop().time())
            inside = {self._locks[bus, x]: item for x, item in reading.items.items() if (bus, x) in self._locks}
            if inside:
                sense(SenseItems(inside))
        self._tell_news(tell, sense)

    def _doubting(self, bus: int, reading: Reading) -> Reading:
        """As if the board were lost, from when every shut door opens at once: one alarm for one wire."""
        said, doubted = self._said[bus], self._doubted.get(bus)
        if isinstance(reading, BoardLost):
            for channel in reading.channels:
                said.pop(channel, None)
            self._doubted.pop(bus, None)
            return reading
        shut = {
            channel for channel, state in said.items() if state is DoorState.CLOSED and (bus, channel) in self._doors
        }
        said.update(reading.doors)
        if doubted:
            if not any(said.get(channel) is DoorState.CLOSED for channel in doubted):
                return DoorsSeen({}, reading.items)
            del self._doubted[bus]
            return DoorsSeen(dict(said), reading.items)
        if len(shut) < DOORS_AT_ONCE or any(said[channel] is not DoorState.OPEN for channel in shut):
            return reading
        why = f"every shut door of bus {bus} opened at once: look at their common wire"
        log.warning("%s", why)
        self._doubted[bus] = shut
        return BoardLost(None, tuple(said), why)

    def _tell_news(self, tell: Callable[[See], None], sense: Callable[[Sense], None]) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        news = self._contacts.news(now)
        self._says.update(news)
        for place, state in news.items():
            if self._contacts.bounces(place, now):
                name = self._doors.get(place) or self._items.get(place) or self._switches[place]
                log.warning("%s: its contact bounces; unknown until it was still for %d s", name, BOUNCE_S)
            elif place in self._switches and state is not DoorState.UNKNOWN:
                sense(SenseTamper(self._switches[place], state is DoorState.OPEN))
        if items := {self._items[x]: s is DoorState.CLOSED for x, s in news.items() if x in self._items and s in _SURE}:
            sense(SenseItems(items))
        moved = {self._doors[place]: None for place in news if place in self._doors}
        doors = {x: door for x in moved if (door := self._door(x)) is not self._told.get(x)}
        self._told.update(doors)
        if doors:
            tell(See(doors))
        self._stop_timer()
        if (at := self._contacts.next_news(now)) is not None:
            self._timer = loop.call_at(at, self._tell_news, tell, sense)

    def _door(self, door: CompartmentId) -> DoorState:
        """Shut takes both, latch and leaf: a latch that has closed in front of an open leaf keeps nothing."""
        says = {self._says.get(place, DoorState.UNKNOWN) for place in self._contacts_of(door)}
        return next(x for x in (DoorState.OPEN, DoorState.UNKNOWN, DoorState.CLOSED) if x in says)

    def _contacts_of(self, door: CompartmentId) -> list[Place]:
        leaf = self._inputs.leaves.get(door)
        return [self._wiring[door], *([leaf] if leaf is not None else [])]

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


_SURE = (DoorState.OPEN, DoorState.CLOSED)


def wall_of(
    buses: Sequence[BusTable],
    wiring: Mapping[CompartmentId, Place],
    contacts: Mapping[CompartmentId, Contact] | None = None,
    inputs: Inputs | None = None,
) -> Wall:
    """Raises BadConfig for a driver that does not exist or cannot be so, or a channel that its bus does not have."""
    families = [registry.find(bus.driver) for bus in buses]
    for family, bus in zip(families, buses, strict=True):
        if not family.manifest.shared_port and sum(other.port == bus.port for other in buses) > 1:
            raise BadConfig(
                f"two buses are on {bus.port}, and a line has one owner: name all its boards in one [[bus]]"
            )
    inputs = inputs or Inputs()
    of_doors = [*wiring.items(), *inputs.leaves.items(), *inputs.items.items()]
    wired = [(f"compartment {door}", place) for door, place in of_doors]
    wired += [(f"switch {switch}", place) for switch, place in inputs.switches.items()]
    for name, (index, _) in wired:
        if not 0 <= index < len(buses):
            raise BadConfig(f"{name}: there is no bus {index}")
    expected = [family.manifest.capabilities.contact for family in families]
    made = {wiring[door]: contact for door, contact in (contacts or {}).items()} | dict(inputs.contacts)
    turned = {place for place, contact in made.items() if contact is not expected[place[0]]}
    drivers = [
        family.driver(bus, frozenset(channel for of, channel in turned if of == index))
        for index, (family, bus) in enumerate(zip(families, buses, strict=True))
    ]
    for name, (index, channel) in wired:
        channels = getattr(drivers[index], "channels", ())
        if channels and channel not in channels:
            raise BadConfig(f"{name}: bus {index} has no channel {channel}")
    each = [Coil(bus.supply, family.pulse_ms(bus) / 1000) for family, bus in zip(families, buses, strict=True)]
    coils = {door: each[index] for door, (index, _) in wiring.items()}
    return Wall(drivers, wiring, turned, max(x.pulse_s for x in each) + COIL_MARGIN_S, coils, inputs)
