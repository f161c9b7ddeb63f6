"""Rows of administration by named statements of `queries/`: values in, ready-made shapes out.

It knows no table and decides nothing: callers name the statement and the shape of what comes back.
"""

from typing import Any, TypeVar

from latchwork.store.postgres import PostgresStore
from latchwork.store.queries import load

TOPICS = ("access", "places", "people", "stays", "notices", "receipts", "recovery")

T = TypeVar("T")


class Tables:
    """Every call raises Unavailable while the database is away."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self._statements: dict[str, str] = {}
        for topic in TOPICS:
            found = load(topic)
            assert not self._statements.keys() & found.keys(), f"{topic}.sql repeats the name of a statement"
            self._statements |= found

    async def all(self, shape: type[T], statement: str, *values: Any) -> list[T]:
        """One `shape` for each row, its fields named like the columns."""
        return [shape(**row) for row in await self._store.fetch(self._statements[statement], *values)]

    async def one(self, shape: type[T], statement: str, *values: Any) -> T | None:
        row = await self._store.fetchrow(self._statements[statement], *values)
        return None if row is None else shape(**row)

    async def value(self, statement: str, *values: Any) -> Any:
        """The first column of the first row; None without one."""
        row = await self._store.fetchrow(self._statements[statement], *values)
        return None if row is None else row[0]

    async def do(self, statement: str, *values: Any) -> bool:
        """Whether a statement that returns what it changed changed anything."""
        return bool(await self._store.fetch(self._statements[statement], *values))
