"""Both copies of a bank's log, read from end to end and never written: for `latchwork verify`."""

import asyncio
import base64
import binascii
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import asyncpg

from latchwork.store import roles
from latchwork.store.embedded import reach
from latchwork.store.lanes import Connection
from latchwork.store.queries import load
from latchwork.sync.audit import Row, read_log_head
from latchwork.sync.codec import Unreadable, read_envelope
from latchwork.sync.custody import Frontier

PAGE_ROWS = 2000

_copies = load("copies")


class Copy(NamedTuple):
    """One log as it is stored. What its head says is None where it has none: an epoch that is over."""

    bank: str
    epoch: int
    rows: Iterable[Row]
    """In the order of their sequence; may be read once more."""
    size: int | None
    root: bytes | None = None
    peaks: bytes | None = None
    key: bytes | None = None
    """The device key that signed `note`, where that is known."""
    note: bytes | None = None
    """The newest checkpoint."""
    note_size: int | None = None
    """What is said of it in a column of its own."""
    life: int | None = None
    """The epoch that a journal says is its bank's."""


def journal(folder: Path) -> list[Copy]:
    """What is in a bank's journal now, also while the bank works on it, epoch by epoch. Raises sqlite3.Error."""
    db = sqlite3.connect(f"{(folder / 'journal.sqlite').absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        db.execute("BEGIN")  # one moment for all of it
        rows = [Row(*row) for row in db.execute("SELECT seq, raw, nodes FROM entries ORDER BY seq")]
        # A row that is always there and was removed speaks for nothing, and differs from what is there.
        size, note = db.execute("SELECT size, checkpoint FROM head").fetchone() or (0, None)
        (life,) = db.execute("SELECT epoch FROM life").fetchone() or (0,)
        bank, epoch = _whose(rows)
        earlier: dict[int, list[Row]] = {}
        for past, *row in db.execute("SELECT epoch, seq, raw, nodes FROM past WHERE epoch < ? ORDER BY 1, 2", [epoch]):
            earlier.setdefault(past, []).append(Row(*row))
        logs = [Copy(bank, past, found, None) for past, found in earlier.items()]
        return [*logs, Copy(bank, epoch, rows, size, note=note, life=life if rows else None)]
    finally:
        db.close()


def file(path: Path) -> Copy:
    """A log that somebody took away. Raises OSError, and ValueError for what is none."""
    with path.open("rb") as lines:
        head = read_log_head(lines.readline())
    key, note = bytes.fromhex(head.key), head.checkpoint.encode()
    return Copy(head.bank, head.epoch, _Lines(path), None, key=key, note=note)


@dataclass(frozen=True, slots=True)
class _Lines:
    """Of a file too long to be held. The hashes beside each entry are made of what stands there."""

    path: Path

    def __iter__(self) -> Iterator[Row]:
        with self.path.open("rb") as lines:
            lines.readline()
            frontier = Frontier()
            for seq, line in enumerate(lines):
                try:
                    raw = base64.b64decode(line.rstrip(b"\n"), validate=True)
                except binascii.Error:
                    raise ValueError(f"{self.path}: entry {seq} is not base64") from None
                frontier, nodes = frontier.append(raw)
                yield Row(seq, raw, nodes)


def _whose(rows: Iterable[Row]) -> tuple[str, int]:
    for row in rows:
        with suppress(Unreadable):
            envelope = read_envelope(row.raw)
            return envelope.bank, envelope.epoch
    return "unknown", 0


@dataclass(frozen=True, slots=True)
class Cloud:
    """A database at one moment. Raises asyncpg.PostgresError."""

    _runner: asyncio.Runner
    _connection: Connection

    def logs(self, bank: str | None = None) -> list[Copy]:
        found = self._runner.run(self._connection.fetch(_copies["logs"], bank))
        return [Copy(bank, epoch, _Rows(self, bank, epoch), *head) for bank, epoch, *head in found]

    def page(self, bank: str, epoch: int, after: int) -> list[Row]:
        found = self._runner.run(self._connection.fetch(_copies["rows"], bank, epoch, after, PAGE_ROWS))
        return [Row(*record) for record in found]


@dataclass(frozen=True, slots=True)
class _Rows:
    """Of a log too long to be held."""

    cloud: Cloud
    bank: str
    epoch: int

    def __iter__(self) -> Iterator[Row]:
        after = -1
        while page := self.cloud.page(self.bank, self.epoch, after):
            yield from page
            after = page[-1].seq


@contextmanager
def cloud(where: str) -> Iterator[Cloud]:
    """`where`: see embedded.reach. Raises asyncpg.PostgresError, OSError, embedded.CannotStart."""
    with ExitStack() as stack:
        dsn = stack.enter_context(reach(where))
        runner = stack.enter_context(asyncio.Runner())
        connection: Connection = runner.run(asyncpg.connect(dsn, timeout=10, server_settings={"role": roles.HOUSE}))
        stack.callback(lambda: runner.run(connection.close()))
        runner.run(connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        yield Cloud(runner, connection)
