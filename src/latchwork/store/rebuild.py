"""Rows of one bank made once more beside those that are there: what `latchwork reproject` asks of the database.

The rows that entries make are made in temporary tables, by the function that made the rows that are there. Nothing of
those is written but by `mend`.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple, Self

import asyncpg

from latchwork.store import roles
from latchwork.store.lanes import Connection, lost
from latchwork.store.migrate import refuse_other
from latchwork.store.queries import load
from latchwork.store.rows import AnswerRow, Failed, NoticeRow, Rows

PAGE_ENTRIES = 2000

_rebuild = load("rebuild")


class Stored(NamedTuple):
    epoch: int
    seq: int
    kind: str
    raw: bytes


class Head(NamedTuple):
    organisation: str
    epoch: int
    size: int


class Difference(NamedTuple):
    """The columns that entries decide, of one row: as they are and as they shall be. None: no such row."""

    what: str
    id: str
    was: Mapping[str, Any] | None
    shall: Mapping[str, Any] | None


class Rebuild:
    """Made by `connect`. One bank at a time: `clear`, then in a transaction the rest."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def connect(cls, dsn: str) -> AsyncIterator[Self]:
        """Raises migrate.SchemaMismatch, asyncpg.PostgresError, OSError."""
        connection: Connection = await asyncpg.connect(dsn, timeout=10)
        try:
            await refuse_other(connection)
            await connection.execute(f"SET ROLE {roles.HOUSE}")
            await connection.execute(_rebuild["make_room"])
            yield cls(connection)
        finally:
            await connection.close()

    async def banks(self, bank: str | None, organisation: str | None) -> list[str]:
        return [record["id"] for record in await self._connection.fetch(_rebuild["banks"], bank, organisation)]

    async def clear(self) -> None:
        await self._connection.execute(_rebuild["clear_room"])

    @asynccontextmanager
    async def looking(self, bank: str) -> AsyncIterator[Head]:
        """One moment of the database, which nobody has to wait for."""
        async with self._connection.transaction(isolation="repeatable_read", readonly=True):
            yield await self._begin("head", bank)

    @asynccontextmanager
    async def mending(self, bank: str) -> AsyncIterator[Head]:
        """All that is written is kept, or nothing. What the bank says meanwhile waits."""
        async with self._connection.transaction():
            head = await self._begin("lock_head", bank)
            await self._connection.fetch(_rebuild["hold_stays"])
            yield head

    async def _begin(self, how: str, bank: str) -> Head:
        (record,) = await self._connection.fetch(_rebuild[how], bank)
        for asked in ("ask_stays", "ask_passes", "open_tasks"):
            await self._connection.execute(_rebuild[asked], bank)
        return Head(*record)

    async def unread(self, bank: str) -> Mapping[str, tuple[int, int]]:
        """The kinds of entries that an earlier version could not read: the epoch and sequence of the first."""
        return {kind: (epoch, seq) for kind, epoch, seq in await self._connection.fetch(_rebuild["unread"], bank)}

    async def entries(self, bank: str, after: tuple[int, int]) -> list[Stored]:
        return [
            Stored(*record) for record in await self._connection.fetch(_rebuild["entries"], bank, *after, PAGE_ENTRIES)
        ]

    async def project(self, rows: Rows, answers: Sequence[AnswerRow], notices: Sequence[NoticeRow]) -> None:
        """Raises Failed, and then nothing of it was made."""
        made = (rows.stays, rows.stay_entries, rows.fittings, rows.removed, rows.compartments, rows.openings)
        try:
            async with self._connection.transaction():
                await self._connection.fetch(_rebuild["project"], *made, rows.passes, rows.tasks, rows.checked)
                await self._connection.fetch(_rebuild["keep_answers"], answers)
                await self._connection.fetch(_rebuild["keep_notices"], notices)
        except Exception as error:
            if self._connection.is_closed() or lost(error):
                raise
            raise Failed(str(error)) from error

    async def compare(
        self, bank: str, policy_version: int, orders_last: int, now: datetime, since: tuple[int, int] | None = None
    ) -> Mapping[str, int]:
        """How many rows differ, by table. `since`: what was the same up to that entry is not compared once more."""
        if since is not None:
            await self._connection.execute(_rebuild["suspect"])
        await self._connection.execute(_rebuild["compare_anew"])
        await self._connection.execute(_rebuild["differ_banks"], bank, policy_version, orders_last)
        for table in ("compartments", "passes", "stay_entries"):
            await self._connection.execute(_rebuild[f"differ_{table}"], bank)
        for table in ("stays", "openings", "instructions"):
            await self._connection.execute(_rebuild[f"differ_{table}"], bank, *(since or (None, None)))
        await self._connection.execute(_rebuild["differ_tasks"], bank, now)
        return dict(map(tuple, await self._connection.fetch(_rebuild["counts"])))

    async def differences(self, limit: int) -> list[Difference]:
        return [
            Difference(what, name, was and json.loads(was), shall and json.loads(shall))
            for what, name, was, shall in await self._connection.fetch(_rebuild["differences"], limit)
        ]

    async def mend(self, bank: str, all_read: bool) -> None:
        """Writes what differs. Rows that no entry explains go only where every entry could be read."""
        await self._connection.execute(_rebuild["mend_banks"])
        for table in ("stays", "compartments", "openings", "passes"):
            await self._connection.execute(_rebuild["mend"], table, bank, all_read)
        await self._connection.execute(_rebuild["mend_stay_entries"], bank, all_read)
        for table in ("tasks", "instructions"):
            await self._connection.execute(_rebuild[f"mend_{table}"])
        for statement in ("look_at_what_is_there", "follow"):
            await self._connection.execute(_rebuild[statement])
