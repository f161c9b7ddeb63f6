"""What a climate sensor says, and whether to believe it.

A reading that cannot be is a Fault, like one that did not come: better no temperature than a wrong one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from latchwork.edge.drivers.protocol import Fault

TOLERANCE_CELSIUS = 1.0
"""Two sound readings right after each other may differ by so much."""


@dataclass(frozen=True, slots=True)
class Reading:
    celsius: float
    humidity_percent: float | None = None


class Sensor(Protocol):
    async def read(self) -> Reading:
        """Ask once. Raises Fault, with a sentence, where nothing comes or what comes is broken."""


@dataclass(frozen=True, slots=True)
class Limits:
    celsius_min: float = -40.0
    celsius_max: float = 80.0
    celsius_per_minute_max: float = 10.0


class Doubted:
    """A sensor whose readings are believed only within limits, and only if they did not jump.

    A jump that stays is believed as soon as so much could have changed since the last sound reading. `now` gives the
    seconds of a clock that never runs backwards.
    """

    def __init__(self, sensor: Sensor, now: Callable[[], float], limits: Limits | None = None) -> None:
        self._sensor = sensor
        self._now = now
        self._limits = Limits() if limits is None else limits
        self._last: tuple[float, float] | None = None
        """When a reading was last believed, and what it said."""

    async def read(self) -> Reading:
        """Raises Fault."""
        reading = await self._sensor.read()
        self._check(reading, self._now())
        return reading

    def _check(self, reading: Reading, at: float) -> None:
        limits, celsius, humidity = self._limits, reading.celsius, reading.humidity_percent
        if not math.isfinite(celsius) or not limits.celsius_min <= celsius <= limits.celsius_max:
            raise Fault(f"{celsius:.1f} °C is not from {limits.celsius_min:g} to {limits.celsius_max:g}")
        if humidity is not None and not 0 <= humidity <= 100:
            raise Fault(f"a humidity of {humidity:.1f} % cannot be")
        if self._last is not None:
            seconds, before = at - self._last[0], self._last[1]
            if abs(celsius - before) > TOLERANCE_CELSIUS + limits.celsius_per_minute_max * seconds / 60:
                raise Fault(f"{celsius:.1f} °C is too far from {before:.1f} °C, {seconds:.0f} s before")
        self._last = at, celsius
