"""Temperatures of a bank, on its own disk: readings of the last days, and since when each thing lies where it is cold.

None of it is custody. What is lost here, with the power or with a full disk, is a gap in a summary and no more.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from latchwork.domain.words import CompartmentId, StayId

KEEP_SECONDS = 14 * 24 * 3600
ROWS_MAX = 100_000
"""Of readings, whatever the clock did."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS readings (
    sensor TEXT NOT NULL, at INTEGER NOT NULL, celsius REAL NOT NULL, PRIMARY KEY (sensor, at)
) STRICT;
CREATE TABLE IF NOT EXISTS kept (
    stay TEXT PRIMARY KEY, compartment TEXT NOT NULL, sensor TEXT NOT NULL, since INTEGER NOT NULL
) STRICT;
"""


_T = TypeVar("_T")


class Unkept(Exception):
    """The disk took it not."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A thing in a compartment that a sensor watches, since this second of Unix time."""

    stay: StayId
    compartment: CompartmentId
    sensor: str
    since: int


class ClimateTable:
    """All but closing raises Unkept. On a full disk it is opened as soon as there is room."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "climate.sqlite"
        self._opened: sqlite3.Connection | None = None

    @property
    def _db(self) -> sqlite3.Connection:
        if self._opened is None:
            db = sqlite3.connect(self._path, isolation_level=None)
            try:
                db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {_SCHEMA}")
            except BaseException:
                db.close()
                raise
            self._opened = db
        return self._opened

    def note(self, sensor: str, at: int, celsius: float) -> None:
        def write() -> None:
            self._db.execute("INSERT OR REPLACE INTO readings VALUES (?, ?, ?)", (sensor, at, celsius))
            self._db.execute("DELETE FROM readings WHERE at < ?", (at - KEEP_SECONDS,))
            surplus = "SELECT rowid FROM readings ORDER BY rowid DESC LIMIT -1 OFFSET ?"
            self._db.execute(f"DELETE FROM readings WHERE rowid IN ({surplus})", (ROWS_MAX,))

        self._keep(write)

    def begin(self, kept: Kept) -> None:
        row = (kept.stay, kept.compartment, kept.sensor, kept.since)
        self._keep(lambda: self._db.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?)", row))

    def end(self, stay: StayId) -> None:
        self._keep(lambda: self._db.execute("DELETE FROM kept WHERE stay = ?", (stay,)))

    def kept(self) -> list[Kept]:
        rows = self._keep(
            lambda: self._db.execute("SELECT stay, compartment, sensor, since FROM kept ORDER BY stay").fetchall()
        )
        return [Kept(StayId(a), CompartmentId(b), c, d) for a, b, c, d in rows]

    def readings(self, sensor: str, since: int, until: int) -> list[tuple[int, float]]:
        asked = "SELECT at, celsius FROM readings WHERE sensor = ? AND at >= ? AND at <= ? ORDER BY at"
        return self._keep(lambda: self._db.execute(asked, (sensor, since, until)).fetchall())

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def _keep(self, work: Callable[[], _T]) -> _T:
        try:
            return work()
        except sqlite3.OperationalError as error:
            raise Unkept(str(error)) from None
