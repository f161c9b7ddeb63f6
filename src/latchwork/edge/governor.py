"""Keeps the wall from hurting itself: the one way to a driver's pulse, and when it is open for which coil.

Limits from the electrical notes: locker solenoids are intermittent-duty, and two coils at once can brown out their
supply. It answers "now" or "not before" and never holds an unlock: whoever asked asks again.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from latchwork.edge.drivers.protocol import Fault

PULSE_MS_MAX = 1_500
"""Longer, and a locker's solenoid may burn: no bus may be configured so."""
RECOVER_SECONDS = 0.1
"""For a supply, after the coil before has let go."""
BURST_PULSES = 3
BURST_SECONDS = 30.0
REST_SECONDS_MIN = 5.0
REST_PULSES = 9
"""A coil that was pulsed three times in 30 s rests for nine pulses, so that it has power a tenth of the time."""

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Coil:
    supply: str = ""
    """Coils of one supply never have power together."""
    pulse_s: float = 0.55


class TooSoon(Fault):
    """A pulse that the limits forbid now. Nothing was sent."""


class Governor(Generic[K]):
    """`pulse` sends one unlock, and is called from here only; `monotonic` gives seconds.

    `rested`: nothing can have been pulsed lately, because this wall has no past. Else every coil begins tired, for
    nobody knows what a process that crashed was doing.
    """

    def __init__(
        self,
        pulse: Callable[[K], Awaitable[None]],
        coils: Mapping[K, Coil],
        monotonic: Callable[[], float],
        *,
        rested: bool = False,
    ) -> None:
        self._pulse = pulse
        self._coils = coils
        self._monotonic = monotonic
        self._began = float("-inf") if rested else monotonic()
        self._free: dict[str, float] = {}
        """From when on each supply has recovered."""
        self._pulses: dict[K, deque[float]] = {}
        """When each coil last had power, newest last."""

    def not_before(self, coil: K) -> float:
        """The monotonic second from which this coil may be pulsed; at or below the present one means now."""
        made, last = self._made(coil), self._last(coil)
        if last[-1] - last[0] < BURST_SECONDS:
            return max(self._supply_free(made), last[-1] + max(REST_SECONDS_MIN, REST_PULSES * made.pulse_s))
        return self._supply_free(made)

    async def pulse(self, coil: K) -> None:
        """Raises TooSoon, or what the driver raises: then the coil may have had power all the same."""
        if self.not_before(coil) > self._monotonic():
            raise TooSoon(f"the coil of {coil}, or its supply, needs rest")
        made, last = self._made(coil), self._last(coil)
        last.append(self._monotonic())
        self._free[made.supply] = float("inf")  # while the frame is on its way
        try:
            await self._pulse(coil)
        finally:
            last[-1] = self._monotonic()
            self._free[made.supply] = last[-1] + made.pulse_s + RECOVER_SECONDS

    def _made(self, coil: K) -> Coil:
        return self._coils.get(coil, Coil())

    def _last(self, coil: K) -> deque[float]:
        return self._pulses.setdefault(coil, deque([self._began] * BURST_PULSES, maxlen=BURST_PULSES))

    def _supply_free(self, made: Coil) -> float:
        return self._free.get(made.supply, self._began + PULSE_MS_MAX / 1000 + RECOVER_SECONDS)
