"""An office on a real database whose clock the test moves."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from latchwork.server.actions.office import Office
from latchwork.server.actions.vault import open_vault
from latchwork.store.admin import Tables
from latchwork.store.postgres import PostgresStore

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@dataclass
class Clock:
    now: datetime = field(default=NOON)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@asynccontextmanager
async def an_office(database: str, folder: Path, clock: Clock, *, mails: bool = False) -> AsyncIterator[Office]:
    async with await PostgresStore.connect(database) as store:
        vault = open_vault(folder)
        yield Office(store, Tables(store), vault, clock, secrets.token_bytes, "https://lockers.example.org", mails)
