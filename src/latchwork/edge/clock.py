"""What time it is at a wall whose own clock may be wrong.

Once a server has confirmed the time in this boot, bank time runs on from there by the monotonic clock; before that it
is the wall clock's, and doubted. It never runs backwards: the loop keeps it at or above the last entry's.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

PARTED_SECONDS_MAX = 300.0
"""Wall and monotonic clock may part by so much before the bank doubts them."""


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _wall() -> datetime:
    return datetime.now(UTC)


class BankClock:
    """`wall` and `monotonic` (seconds) are given so that pretend time can stand in."""

    def __init__(self, wall: Callable[[], datetime] = _wall, monotonic: Callable[[], float] = _boottime) -> None:
        self._wall = wall
        self.monotonic = monotonic
        self._confirmed: tuple[datetime, float] | None = None
        self._apart = self._offset()

    def now(self) -> datetime:
        return self.server_now() or self._wall()

    def server_now(self) -> datetime | None:
        """The server's clock, carried on by the monotonic one; None before it was heard in this boot."""
        if self._confirmed is None:
            return None
        time_then, at = self._confirmed
        return time_then + timedelta(seconds=self.monotonic() - at)

    def confirm(self, server_time: datetime, fresh: bool = False) -> None:
        """`server_time` is when the server spoke, so it may be late and is never early: it only moves us forward.

        `fresh`: the first word of a new session, which may also set us back.
        """
        known = self.server_now()
        self._confirmed = (server_time if fresh or known is None else max(known, server_time), self.monotonic())
        self._apart = self._offset()

    def parted_seconds(self) -> float | None:
        """How far wall and monotonic clock have parted since they last agreed, where that is too far."""
        parted = self._offset() - self._apart
        return parted if abs(parted) > PARTED_SECONDS_MAX else None

    def _offset(self) -> float:
        return self._wall().timestamp() - self.monotonic()
