"""Rows of administration by named statements of `queries/`: values in, ready-made shapes out.

It knows no table and decides nothing: callers name the statement and the shape of what comes back.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg

from latchwork.store.postgres import PostgresStore, Scope
from latchwork.store.queries import load

if TYPE_CHECKING:
    from latchwork.store.postgres import Borrowed

TOPICS = (
    "access",
    "places",
    "people",
    "looks",
    "parties",
    "stays",
    "notices",
    "receipts",
    "recovery",
    "changes",
    "room",
    "tasks",
    "signing",
    "sign_in",
    "configurations",
    "single_sign_on",
    "privacy",
    "partners",
    "visits",
)

T = TypeVar("T")


class Tables:
    """Every call raises Unavailable while the database is away. `scope` None: the server's own work, for all."""

    def __init__(self, store: PostgresStore, scope: Scope | None = None, connection: "Borrowed | None" = None) -> None:
        self._store = store
        self._scope = scope
        self._connection = connection

    @asynccontextmanager
    async def together(self) -> AsyncIterator["Tables"]:
        """All that is asked of these tables is kept, or nothing of it."""
        if self._connection is not None:
            yield self  # together with what is already asked
            return
        async with (
            self._store.borrowed(self._scope) as connection,
            nullcontext() if self._scope else connection.transaction(),  # a scope begins one itself
        ):
            yield Tables(self._store, self._scope, connection)

    async def all(self, shape: type[T], statement: str, *values: Any) -> list[T]:
        """One `shape` for each row, its fields named like the columns."""
        return [shape(**row) for row in await self._fetch(statement, *values)]

    async def one(self, shape: type[T], statement: str, *values: Any) -> T | None:
        rows = await self._fetch(statement, *values)
        return shape(**rows[0]) if rows else None

    async def value(self, statement: str, *values: Any) -> Any:
        """The first column of the first row; None without one."""
        rows = await self._fetch(statement, *values)
        return rows[0][0] if rows else None

    async def do(self, statement: str, *values: Any) -> bool:
        """Whether a statement that returns what it changed changed anything."""
        return bool(await self._fetch(statement, *values))

    async def _fetch(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        text = _statements()[statement]
        if self._connection is not None:
            return await self._connection.fetch(text, *values)
        return await self._store.fetch(text, *values, scope=self._scope)


@cache
def _statements() -> dict[str, str]:
    named: dict[str, str] = {}
    for topic in TOPICS:
        found = load(topic)
        assert not named.keys() & found.keys(), f"{topic}.sql repeats the name of a statement"
        named |= found
    return named
