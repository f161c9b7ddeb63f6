"""Pretend time: seconds since a world began, and the clocks that machines in it read, right or wrong."""

from datetime import UTC, datetime, timedelta

BEGIN = datetime(2026, 3, 2, 6, tzinfo=UTC)


class Time:
    """Moved by the schedule alone."""

    def __init__(self) -> None:
        self.now = 0.0

    def utc(self) -> datetime:
        """True time, which the server's machine is kept at."""
        return BEGIN + timedelta(seconds=self.now)

    def seconds(self) -> float:
        return self.now


class WallClock:
    """A controller's own clock, which jumps when somebody sets it or its battery is flat."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self.off_seconds = 0.0

    def __call__(self) -> datetime:
        return self._time.utc() + timedelta(seconds=self.off_seconds)
