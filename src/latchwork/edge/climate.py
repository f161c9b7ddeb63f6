"""How warm it is behind the doors: reads the sensors, keeps what they say, tells the bank of a band that was left, and
sums up what a thing went through when it is gone.

A sensor that fails is no temperature, and never a wrong one. Nothing here opens or shuts anything.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from serialx import Parity

from latchwork.domain.bank import Bank
from latchwork.domain.commands import Command, SenseBand, SumUp
from latchwork.domain.entries import KeptAt
from latchwork.domain.rules.pieces import HERE
from latchwork.domain.words import CompartmentId, StayId
from latchwork.edge.config import BadConfig, ZoneTable
from latchwork.edge.drivers.protocol import Fault
from latchwork.edge.sensors.ds18b20 import Ds18b20
from latchwork.edge.sensors.reading import Doubted, Sensor
from latchwork.edge.sensors.xy_md02 import MD02, XY_MD02, XyMd02
from latchwork.store.climate import ClimateTable, Kept, Unkept

READ_SECONDS = 60.0
FAULTS_MAX = 3
"""So many readings in a row that fail, and nobody knows how warm it is."""
AGREE_MIN = 2
"""So many in a row on the other side, and a band is crossed: a door stands open for a moment now and then."""
GAP_SECONDS = 150
"""A reading speaks for no longer."""

log = logging.getLogger(__name__)


class Desk(Protocol):
    @property
    def bank(self) -> Bank: ...
    def tell(self, said: Command) -> None: ...
    def next_change(self) -> asyncio.Event: ...


@dataclass(slots=True, eq=False)
class Zone:
    """Compartments that one sensor watches, and the band that they should keep."""

    id: str
    sensor: Sensor
    compartments: tuple[CompartmentId, ...]
    celsius_min: float
    celsius_max: float
    port: str = ""
    """Where several sensors share one line, they are asked one after the other."""
    last: list[bool | None] = field(default_factory=list)
    """Of the last readings: inside the band, outside, none."""

    def keeps(self, celsius: float) -> bool:
        return self.celsius_min <= celsius <= self.celsius_max


def zone_of(table: ZoneTable, now_s: Callable[[], float]) -> Zone:
    """Raises BadConfig."""
    try:
        sensor = Doubted(_sensor(table), now_s)
    except ValueError as error:
        raise BadConfig(f"climate {table.id}: {error}") from None
    return Zone(table.id, sensor, tuple(map(CompartmentId, table.compartments)), *table.celsius, port=table.port)


def _sensor(table: ZoneTable) -> Sensor:
    match table.sensor:
        case "ds18b20":
            return Ds18b20(Path(table.port))
        case "xy-md02" | "md02":
            profile = replace(MD02 if table.sensor == "md02" else XY_MD02, scale=table.scale)
            parity = Parity[table.parity.upper()]
            return XyMd02(table.port, table.unit, profile=profile, baud=table.baud, parity=parity)


class Climate:
    """`now`: bank time."""

    def __init__(self, zones: Sequence[Zone], table: ClimateTable, desk: Desk, now: Callable[[], datetime]) -> None:
        self._zones = zones
        self._table = table
        self._desk = desk
        self._now = now
        self._lines = {zone.port: asyncio.Lock() for zone in zones}

    async def run(self, every_s: float = READ_SECONDS) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for zone in self._zones:
                group.create_task(self._watch(zone, every_s))
            group.create_task(self._follow(every_s))

    async def _watch(self, zone: Zone, every_s: float) -> None:
        while True:
            await self.read(zone)
            await asyncio.sleep(every_s)

    async def read(self, zone: Zone) -> None:
        try:
            async with self._lines.setdefault(zone.port, asyncio.Lock()):
                celsius = round((await zone.sensor.read()).celsius, 1)
        except Fault as fault:
            log.info("climate %s: %s", zone.id, fault)
            self._say(zone, None, None)
            return
        with suppress(Unkept):
            self._table.note(zone.id, self._second(), celsius)
        self._say(zone, zone.keeps(celsius), celsius)

    def _say(self, zone: Zone, inside: bool | None, celsius: float | None) -> None:
        zone.last = [*zone.last, inside][-FAULTS_MAX:]
        agree = FAULTS_MAX if inside is None else AGREE_MIN
        if zone.last[-agree:] == [inside] * agree:
            self._desk.tell(SenseBand(zone.id, zone.compartments, inside, celsius))

    async def _follow(self, every_s: float) -> None:
        while True:
            change = self._desk.next_change()
            with suppress(Unkept):
                self.follow()
            with suppress(TimeoutError):
                async with asyncio.timeout(every_s):
                    await change.wait()

    def follow(self) -> None:
        """Note what has come since, and sum up what has gone. Raises Unkept."""
        here = dict(self._here())
        known = {kept.stay: kept for kept in self._table.kept()}
        for stay, kept in sorted(known.items()):
            if here.get(stay) != (kept.compartment, kept.sensor):  # gone, or moved
                summary = self._summary(kept)
                self._table.end(stay)  # before it is told: on a full disk it would be told again and again
                if summary is not None:
                    self._desk.tell(summary)
                del known[stay]
        for stay, (compartment, sensor) in sorted(here.items()):
            if stay not in known:
                self._table.begin(Kept(stay, compartment, sensor, self._second()))

    def _here(self) -> Iterator[tuple[StayId, tuple[CompartmentId, str]]]:
        bank = self._desk.bank
        for zone in self._zones:
            for x in zone.compartments:
                compartment = bank.compartments.get(x)
                claim = bank.claims.get(compartment.claim) if compartment else None
                for stay in claim.stays if claim else ():
                    if stay in bank.stays and bank.stays[stay].state in HERE:
                        yield stay, (x, zone.id)

    def _summary(self, kept: Kept) -> SumUp | None:
        zone = next((zone for zone in self._zones if zone.id == kept.sensor), None)
        until = self._second()
        read = self._table.readings(kept.sensor, kept.since, until)
        if zone is None or not read:
            return None
        spans = [
            (min(following, at + GAP_SECONDS) - at, celsius)
            for (at, celsius), following in zip(read, [*(at for at, _ in read[1:]), until], strict=True)
        ]
        seconds = max(0, until - kept.since)
        summed = KeptAt(
            kept.stay,
            kept.compartment,
            min(celsius for _, celsius in read),
            max(celsius for _, celsius in read),
            seconds,
            sum(span for span, celsius in spans if not zone.keeps(celsius)),
            max(0, seconds - sum(span for span, _ in spans)),
        )
        return SumUp(summed)

    def _second(self) -> int:
        return int(self._now().timestamp())
