"""Notices that wait to be sent, over either store: claimed for a while, then marked; lost claims come due again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from latchwork.store.memory import MemoryStore
from latchwork.store.postgres import PostgresStore
from latchwork.store.queries import load

_outbox = load("outbox")
_links = load("sign_in")


@dataclass(frozen=True, slots=True)
class DueNotice:
    """`tries` counts this one."""

    id: str
    kind: str
    stay: str
    person: str
    bank: str
    tries: int


class PostgresOutbox:
    """Every call raises Unavailable while the database is away."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store

    async def claim_notices(self, now: datetime, until: datetime, notices_max: int) -> Sequence[DueNotice]:
        """Due notices, the oldest first, which come due again at `until` unless one of the next two says otherwise."""
        return [DueNotice(**row) for row in await self._store.fetch(_outbox["claim"], now, until, notices_max)]

    async def notices_sent(self, ids: Iterable[str], now: datetime) -> None:
        await self._store.fetch(_outbox["sent"], list(ids), now)

    async def notice_failed(self, notice: str, error: str, again_at: datetime, dead: bool) -> None:
        await self._store.fetch(_outbox["failed"], notice, error, again_at, dead)


class LinkOutbox:
    """Mails with one-time links: each row is its own queue."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store

    async def claim_notices(self, now: datetime, until: datetime, notices_max: int) -> Sequence[DueNotice]:
        rows = await self._store.fetch(_links["claim_links"], now, until, notices_max)
        return [DueNotice(row["id"], row["kind"], "", "", "", row["tries"]) for row in rows]

    async def notices_sent(self, ids: Iterable[str], now: datetime) -> None:
        await self._store.fetch(_links["links_sent"], list(ids), now)

    async def notice_failed(self, notice: str, error: str, again_at: datetime, dead: bool) -> None:
        await self._store.fetch(_links["link_failed"], notice, error, again_at, dead)


class MemoryOutbox:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def claim_notices(self, now: datetime, until: datetime, notices_max: int) -> Sequence[DueNotice]:
        due = [r for r in self._store.outbox.values() if not r["sent_at"] and not r["dead"] and r["due_at"] <= now]
        due.sort(key=lambda row: (row["due_at"], row["id"]))
        for row in due[:notices_max]:
            row.update(tries=row["tries"] + 1, due_at=until)
        return [DueNotice(r["id"], r["kind"], r["stay"], r["person"], r["bank"], r["tries"]) for r in due[:notices_max]]

    async def notices_sent(self, ids: Iterable[str], now: datetime) -> None:
        for notice in ids:
            self._store.outbox[notice].update(sent_at=now, last_error=None)

    async def notice_failed(self, notice: str, error: str, again_at: datetime, dead: bool) -> None:
        self._store.outbox[notice].update(last_error=error, due_at=again_at, dead=dead)
