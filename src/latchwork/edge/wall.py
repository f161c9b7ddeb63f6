"""All buses of a wall as one board: compartments to channels on the way out, channels to compartments on the way in."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial

from latchwork.domain.commands import See
from latchwork.domain.words import CompartmentId, DoorState
from latchwork.edge import registry
from latchwork.edge.config import BadConfig, BusTable
from latchwork.edge.contacts import BOUNCE_S, Contacts
from latchwork.edge.drivers.protocol import BoardLost, Contact, Driver, Reading
from latchwork.edge.governor import Coil

COIL_S = 0.6
COIL_MARGIN_S = 0.05

log = logging.getLogger(__name__)


class Wall:
    """`turned` and `coil_s` as in `Contacts`; `coils` for the governor, through whom alone it is to be pulsed."""

    def __init__(
        self,
        drivers: Sequence[Driver],
        wiring: Mapping[CompartmentId, tuple[int, int]],
        turned: AbstractSet[CompartmentId] = frozenset(),
        coil_s: float = COIL_S,
        coils: Mapping[CompartmentId, Coil] | None = None,
    ) -> None:
        self.coils = coils or {}
        self._drivers = drivers
        self._wiring = wiring
        self._places = {place: compartment for compartment, place in wiring.items()}
        self._contacts = Contacts(turned, coil_s)
        self._timer: asyncio.TimerHandle | None = None

    async def pulse(self, compartment: CompartmentId) -> None:
        bus, channel = self._wiring[compartment]
        try:
            await self._drivers[bus].pulse(channel)
        finally:  # a Fault does not say that nothing was sent
            self._contacts.pulsed(compartment, asyncio.get_running_loop().time())

    async def run(self, tell: Callable[[See], None]) -> None:
        """Own every line until cancelled; `tell` hears what the doors do."""
        try:
            async with asyncio.TaskGroup() as group:
                for bus, driver in enumerate(self._drivers):
                    group.create_task(driver.run(partial(self._hear, bus, tell)))
        finally:
            self._stop_timer()

    def _hear(self, bus: int, tell: Callable[[See], None], reading: Reading) -> None:
        places = self._places
        if isinstance(reading, BoardLost):
            lost = {places[bus, channel] for channel in reading.channels if (bus, channel) in places}
            self._contacts.lose(lost)
            if lost:
                tell(See(dict.fromkeys(sorted(lost), DoorState.UNKNOWN), lost=True))
        else:
            doors = {places[bus, channel]: door for channel, door in reading.doors.items() if (bus, channel) in places}
            self._contacts.hear(doors, asyncio.get_running_loop().time())
        self._tell_news(tell)

    def _tell_news(self, tell: Callable[[See], None]) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if doors := self._contacts.news(now):
            for door in doors:
                if self._contacts.bounces(door, now):
                    log.warning("door %s: its contact bounces; unknown until it was still for %d s", door, BOUNCE_S)
            tell(See(doors))
        self._stop_timer()
        if (at := self._contacts.next_news(now)) is not None:
            self._timer = loop.call_at(at, self._tell_news, tell)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


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
    turned = {door for door, contact in (contacts or {}).items() if contact is not expected[door]}
    made = [Coil(bus.supply, family.pulse_ms(bus) / 1000) for family, bus in zip(families, buses, strict=True)]
    coils = {door: made[index] for door, (index, _) in wiring.items()}
    return Wall(drivers, wiring, turned, max(coil.pulse_s for coil in made) + COIL_MARGIN_S, coils)
