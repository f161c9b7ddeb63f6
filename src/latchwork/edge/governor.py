"""Keeps the wall from hurting itself: when may which coil be pulsed. Answers "now" or "not before".

Limits from the electrical notes: locker solenoids are intermittent-duty, and two coils at once can brown out the
supply. It never holds an unlock: whoever asked asks again.
"""

from collections import deque

from latchwork.domain.words import CompartmentId

GAP_SECONDS = 0.65
"""Between any two pulses of a bank: the board's 550 ms and 100 ms for the supply to recover."""
BURST_PULSES = 3
BURST_SECONDS = 30.0
REST_SECONDS = 5.0
"""A coil that was pulsed three times in 30 s rests this long after the last."""


class Governor:
    def __init__(self) -> None:
        self._last = float("-inf")
        self._pulses: dict[CompartmentId, deque[float]] = {}

    def not_before(self, compartment: CompartmentId, now: float) -> float:
        """The monotonic second from which this coil may be pulsed; at or below `now` means now."""
        earliest = self._last + GAP_SECONDS
        recent = self._pulses.get(compartment)
        if recent and len(recent) == BURST_PULSES and recent[-1] - recent[0] < BURST_SECONDS:
            earliest = max(earliest, recent[-1] + REST_SECONDS)
        return earliest

    def pulsed(self, compartment: CompartmentId, now: float) -> None:
        self._last = now
        self._pulses.setdefault(compartment, deque(maxlen=BURST_PULSES)).append(now)
