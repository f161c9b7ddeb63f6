"""All buses of a wall as one board: compartments to channels on the way out, channels to compartments on the way in."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from latchwork.domain.commands import See
from latchwork.domain.words import CompartmentId, DoorState
from latchwork.edge.config import BadConfig, BusTable
from latchwork.edge.drivers.kerong_cu16 import KerongCu16
from latchwork.edge.drivers.protocol import BoardLost, Driver, Reading

DRIVERS: dict[str, Callable[[BusTable], Driver]] = {
    "kerong-cu16": lambda bus: KerongCu16(bus.port, bus.boards),
}


class Wall:
    def __init__(self, drivers: Sequence[Driver], wiring: Mapping[CompartmentId, tuple[int, int]]) -> None:
        self._drivers = drivers
        self._wiring = wiring
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
            tell(See(doors, lost))


def drivers_of(buses: Sequence[BusTable], wiring: Mapping[CompartmentId, tuple[int, int]]) -> list[Driver]:
    """Raises BadConfig for a driver that does not exist, or a channel that its bus does not have."""
    drivers: list[Driver] = []
    for bus in buses:
        if bus.driver not in DRIVERS:
            raise BadConfig(f'driver = "{bus.driver}": this version has {", ".join(sorted(DRIVERS))}')
        try:
            drivers.append(DRIVERS[bus.driver](bus))
        except ValueError as error:
            raise BadConfig(f"bus {bus.port}: {error}") from None
    for compartment, (index, channel) in wiring.items():
        channels = getattr(drivers[index], "channels", ())
        if channels and channel not in channels:
            raise BadConfig(f"compartment {compartment}: bus {index} has no channel {channel}")
    return drivers
