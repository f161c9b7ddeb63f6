"""All buses of a wall as one board: compartments to channels on the way out, channels to compartments on the way in."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial

from latchwork.domain.commands import See
from latchwork.domain.words import CompartmentId, DoorState
from latchwork.edge import registry
from latchwork.edge.config import BadConfig, BusTable
from latchwork.edge.drivers.protocol import BoardLost, Contact, Driver, Reading

_TURNED = {DoorState.OPEN: DoorState.CLOSED, DoorState.CLOSED: DoorState.OPEN, DoorState.UNKNOWN: DoorState.UNKNOWN}


class Wall:
    """`turned`: compartments whose contact works the other way round than their driver believes."""

    def __init__(
        self,
        drivers: Sequence[Driver],
        wiring: Mapping[CompartmentId, tuple[int, int]],
        turned: AbstractSet[CompartmentId] = frozenset(),
    ) -> None:
        self._drivers = drivers
        self._wiring = wiring
        self._turned = turned
        self._places = {place: compartment for compartment, place in wiring.items()}

    async def pulse(self, compartment: CompartmentId) -> None:
        bus, channel = self._wiring[compartment]
        await self._drivers[bus].pulse(channel)

    async def run(self, tell: Callable[[See], None]) -> None:
        """Own every line until cancelled; `tell` hears what the doors do."""
        async with asyncio.TaskGroup() as group:
            for bus, driver in enumerate(self._drivers):
                group.create_task(driver.run(partial(self._hear, bus, tell)))

    def _hear(self, bus: int, tell: Callable[[See], None], reading: Reading) -> None:
        lost = isinstance(reading, BoardLost)
        seen = dict.fromkeys(reading.channels, DoorState.UNKNOWN) if isinstance(reading, BoardLost) else reading.doors
        doors = {self._places[bus, ch]: door for ch, door in seen.items() if (bus, ch) in self._places}
        if doors:
            tell(See({x: _TURNED[door] if x in self._turned else door for x, door in doors.items()}, lost))


def wall_of(
    buses: Sequence[BusTable],
    wiring: Mapping[CompartmentId, tuple[int, int]],
    contacts: Mapping[CompartmentId, Contact] | None = None,
) -> Wall:
    """Raises BadConfig for a driver that does not exist or cannot be so, or a channel that its bus does not have."""
    families = [registry.find(bus.driver) for bus in buses]
    drivers = [family.driver(bus) for family, bus in zip(families, buses, strict=True)]
    for compartment, (index, channel) in wiring.items():
        channels = getattr(drivers[index], "channels", ())
        if channels and channel not in channels:
            raise BadConfig(f"compartment {compartment}: bus {index} has no channel {channel}")
    expected = {door: families[index].manifest.capabilities.contact for door, (index, _) in wiring.items()}
    return Wall(drivers, wiring, {door for door, contact in (contacts or {}).items() if contact is not expected[door]})
