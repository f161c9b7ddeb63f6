"""The cloud's store on PostgreSQL: a pool for what is asked now and then, lanes for what comes in crowds.

Every call either answers, or raises `Unavailable` within a bounded time, or `Failed` where it is itself at fault.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import asyncpg

from latchwork.domain.words import BankId
from latchwork.store import roles
from latchwork.store.changes import Changes, Topic
from latchwork.store.lanes import Connection, Kind, Lanes, lost
from latchwork.store.queries import load
from latchwork.store.rows import (
    Announced,
    Announcement,
    Append,
    Appended,
    CheckpointRow,
    DocumentRow,
    Head,
    InstructionRow,
    Outcome,
    PartingRow,
    SendOrders,
    SentOrder,
    StrayRow,
    Task,
    Unavailable,
    Work,
)

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Borrowed = PoolConnectionProxy[asyncpg.Record]

POOL_MAX = 6
CONNECT_SECONDS_MAX = 5.0
ASK_SECONDS_MAX = 10.0

_exchange = load("exchange")
_custody = load("custody")
_recovery = load("recovery")


def _append_arguments(batch: Sequence[Append]) -> Sequence[Any]:
    rows = [append.rows for append in batch]
    return (
        [append.operation for append in batch],
        list(chain.from_iterable(r.entries for r in rows)),
        list(chain.from_iterable(r.stays for r in rows)),
        list(chain.from_iterable(r.stay_entries for r in rows)),
        list(chain.from_iterable(r.fittings for r in rows)),
        list(chain.from_iterable(r.removed for r in rows)),
        list(chain.from_iterable(r.compartments for r in rows)),
        list(chain.from_iterable(r.openings for r in rows)),
        list(chain.from_iterable(r.passes for r in rows)),
        list(chain.from_iterable(r.answers for r in rows)),
        list(chain.from_iterable(r.notices for r in rows)),
        list(chain.from_iterable(r.tasks for r in rows)),
        list(chain.from_iterable(r.checked for r in rows)),
    )


def _announced(batch: Sequence[Announcement], records: Sequence[asyncpg.Record]) -> list[Announced]:
    (record,) = records
    return [
        Announced(Outcome(outcome), status, response)
        for outcome, status, response in zip(record["outcomes"], record["statuses"], record["responses"], strict=True)
    ]


def _orders_arguments(batch: Sequence[SendOrders]) -> Sequence[Any]:
    ordered = sorted(batch)  # by bank: the order in which every batch locks
    latest = max(op.now for op in batch)
    return (
        [op.bank for op in ordered],
        [op.session for op in ordered],
        latest,
        max(op.resend_before for op in batch),
        batch[0].orders_max,
        [op.organisation for op in ordered],
    )


def _orders(batch: Sequence[SendOrders], records: Sequence[asyncpg.Record]) -> list[list[SentOrder]]:
    found: dict[str, list[SentOrder]] = {op.bank: [] for op in batch}
    for record in records:
        found[record["bank"]].append(SentOrder(record["id"], record["number"], record["body"], record["void"]))
    return [found[op.bank] for op in batch]


_APPEND: Kind[Append, Appended] = Kind(
    _exchange["append"],
    _append_arguments,
    lambda batch, records: [Appended(status) for status in records[0][0]],
    lambda append: append.operation.bank,
)
_ANNOUNCE: Kind[Announcement, Announced] = Kind(
    _exchange["announce"],
    lambda batch: (batch,),
    _announced,
    lambda op: (op.organisation, op.idempotency_key) if op.idempotency_key is not None else None,
)
_SEND_ORDERS: Kind[SendOrders, list[SentOrder]] = Kind(
    _exchange["send_orders"], _orders_arguments, _orders, lambda op: op.bank
)


@dataclass(frozen=True, slots=True)
class Scope:
    """For whom pages and API act: an organisation, or of its rows and of others' only what is a party's."""

    organisation: str
    party: str = ""

    def begins(self) -> str:
        assert (self.organisation + self.party).isalnum(), "ids are hex digits"
        return (
            f"BEGIN; SET LOCAL latchwork.organisation = '{self.organisation}'; "
            f"SET LOCAL latchwork.party = '{self.party}'"
        )


class PostgresStore:
    """Made by `connect`, ended by `close`; also an async context manager. It works as the roles of `roles.py`."""

    def __init__(
        self,
        dsn: str,
        pages: "asyncpg.Pool[asyncpg.Record]",
        house: "asyncpg.Pool[asyncpg.Record]",
        lanes: int,
        patience_seconds: float,
    ) -> None:
        self._dsn = dsn
        self._pages = pages
        self._house = house
        self._connect_seconds = max(CONNECT_SECONDS_MAX, patience_seconds)
        self._lanes = Lanes(partial(self._connection, roles.LANES), lanes, patience_seconds)
        self.changes = Changes()

    @classmethod
    async def connect(cls, dsn: str, *, lanes: int = 2, patience_seconds: float = 5.0) -> "PostgresStore":
        """`patience_seconds`: how long whoever asks waits for its batch; where it is longer than CONNECT_SECONDS_MAX or
        ASK_SECONDS_MAX, it is meant for connections and answers too."""
        ask = max(ASK_SECONDS_MAX, patience_seconds)
        pages, house = await _pool(dsn, roles.PAGES, ask), await _pool(dsn, roles.HOUSE, ask)
        store = cls(dsn, pages, house, lanes, patience_seconds)
        store._lanes.start()
        store.changes.start(store._notify, partial(store._connection, roles.HOUSE))
        return store

    async def close(self) -> None:
        await self.changes.close()
        await self._lanes.close()
        for pool in (self._pages, self._house):
            try:
                async with asyncio.timeout(2):
                    await pool.close()
            except TimeoutError:
                pool.terminate()

    async def __aenter__(self) -> "PostgresStore":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # For other statements of store/queries: administration, pages.

    async def fetch(self, statement: str, *arguments: Any, scope: Scope | None = None) -> list[asyncpg.Record]:
        """Without a scope it is the server itself that asks, for all. With one nothing else is there.

        Raises Unavailable where the database is away. Other errors of PostgreSQL pass through.
        """
        async with self.borrowed(scope) as connection:
            return await connection.fetch(statement, *arguments)

    async def fetchrow(self, statement: str, *arguments: Any, scope: Scope | None = None) -> asyncpg.Record | None:
        records = await self.fetch(statement, *arguments, scope=scope)
        return records[0] if records else None

    @asynccontextmanager
    async def borrowed(self, scope: Scope | None = None) -> AsyncIterator["Borrowed"]:
        """A connection, with a scope in a transaction that is kept if nothing goes wrong. Raises as `fetch` does."""
        pool = self._house if scope is None else self._pages
        try:
            connection = await pool.acquire(timeout=self._connect_seconds)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            raise Unavailable(f"no database: {str(error) or 'no connection in time'}") from error
        try:
            if scope is not None:
                await connection.execute(scope.begins())
            yield connection
            if scope is not None:
                await connection.execute("COMMIT")
        except Exception as error:
            if connection.is_closed() or lost(error):
                raise Unavailable(f"the database went away: {error}") from error
            if connection.is_in_transaction():
                await connection.execute("ROLLBACK")
            raise
        finally:
            await pool.release(connection)

    # The exchange

    async def head(self, bank: BankId) -> Head | None:
        return _head(await self.fetchrow(_exchange["head"], bank))

    async def welcome(
        self, bank: BankId, now: datetime, software: str, boot: str, through: int, documents: Mapping[str, int]
    ) -> Head | None:
        return _head(
            await self.fetchrow(_exchange["welcome"], bank, now, software, boot, through, json.dumps(dict(documents)))
        )

    async def divide(self, bank: BankId, session: int, why: str, at: int, task: str, now: datetime) -> bool:
        return bool(await self.fetch(_exchange["divide"], bank, session, why, now, task, at))

    async def raise_task(self, bank: BankId, task: str, kind: Task, now: datetime) -> None:
        await self.fetch(_exchange["raise_task"], bank, task, kind.value, now)

    async def overlap(self, bank: BankId, epoch: int, start: int, end: int) -> list[bytes]:
        if start >= end:
            return []
        return [record["raw"] for record in await self.fetch(_exchange["overlap"], bank, epoch, start, end)]

    async def append(self, append: Append) -> Appended:
        status = await self._lanes.do(_APPEND, append)
        if status is Appended.OK:
            self.changes.announce(Topic.LOG, (BankId(append.operation.bank),))
        return status

    async def send_orders(self, op: SendOrders) -> list[SentOrder]:
        return await self._lanes.do(_SEND_ORDERS, op)

    async def documents(self, bank: BankId, held: Mapping[str, int]) -> list[DocumentRow]:
        records = await self.fetch(_exchange["documents"], bank, json.dumps(dict(held)))
        return [DocumentRow(*record) for record in records]

    async def holds(self, bank: BankId, session: int, documents: Mapping[str, int]) -> None:
        await self.fetch(_exchange["holds"], bank, session, json.dumps(dict(documents)))

    async def runs(self, bank: BankId, session: int, configuration: str) -> None:
        """`configuration`: what it says of it, as JSON."""
        if await self.fetch(_exchange["runs"], bank, session, configuration):
            self.changes.announce(Topic.LOG, (bank,))

    async def heard(self, banks: Iterable[BankId], now: datetime) -> None:
        await self.fetch(_exchange["heard"], list(banks), now)

    async def work(self, held: Sequence[tuple[BankId, int]], resend_before: datetime) -> list[Work]:
        records = await self.fetch(
            _exchange["work"], [bank for bank, _ in held], [session for _, session in held], resend_before
        )
        return [Work(*record) for record in records]

    # Proofs

    async def checkpoints(self, logs: Sequence[tuple[str, int]]) -> list[CheckpointRow]:
        """The newest of these logs, each a bank and an epoch; nothing for a log that nobody signed."""
        records = await self.fetch(_custody["checkpoints"], [bank for bank, _ in logs], [epoch for _, epoch in logs])
        return [CheckpointRow(*record) for record in records]

    async def keep_checkpoints(self, rows: Sequence[CheckpointRow]) -> None:
        """At most one of a log; an older one than is there changes nothing."""
        await self.fetch(_custody["keep_checkpoints"], *map(list, zip(*rows, strict=True)))

    async def nodes(self, entries: Sequence[tuple[str, int, int]]) -> dict[tuple[str, int], dict[int, bytes]]:
        """By log and sequence: the Merkle hashes beside these entries, each a bank, an epoch and a sequence."""
        beside: dict[tuple[str, int], dict[int, bytes]] = {}
        for record in await self.fetch(_custody["nodes"], *map(list, zip(*entries, strict=True))):
            beside.setdefault((record["bank"], record["epoch"]), {})[record["seq"]] = record["nodes"]
        return beside

    # Banks whose log has parted from ours

    async def lengths(self, bank: BankId) -> dict[int, int]:
        """How long our log of each epoch is."""
        return {record["epoch"]: record["size"] for record in await self.fetch(_recovery["lengths"], bank)}

    async def parting(self, bank: BankId) -> PartingRow | None:
        record = await self.fetchrow(_recovery["parting"], bank)
        return PartingRow(*record) if record is not None else None

    async def keep_parting(self, bank: BankId, epoch: int, size: int, root: bytes, fork: int) -> None:
        await self.fetch(_recovery["keep_parting"], bank, epoch, size, root, fork)

    async def keep_strays(self, bank: BankId, epoch: int, strays: Sequence[StrayRow], now: datetime) -> None:
        await self.fetch(_recovery["keep_strays"], bank, epoch, *map(list, zip(*strays, strict=True)), now)

    async def refuse_recovery(self, bank: BankId, why: str) -> None:
        await self.fetch(_recovery["refuse_recovery"], bank, why)

    async def lift(self, bank: BankId, session: int, epoch: int, size: int) -> bool:
        """Whether a person has confirmed that this bank begins a new epoch here: then it is divided no more."""
        return bool(await self.fetch(_recovery["lift"], bank, session, epoch, size))

    # What is asked of banks

    async def announce(self, announcement: Announcement) -> Announced:
        announced = await self._lanes.do(_ANNOUNCE, announcement)
        if announced.outcome is Outcome.CREATED:
            self.changes.announce(Topic.ORDERS, (BankId(announcement.bank),))
        return announced

    async def instruct(self, row: InstructionRow) -> bool:
        """Whether there is such a bank in this organisation."""
        asked = await self.fetchrow(
            _exchange["instruct"],
            row.id,
            row.organisation,
            row.bank,
            row.kind,
            row.body,
            row.sha256,
            row.asked_at,
            row.not_after,
            row.about,
            row.asked_by,
            row.note,
            row.note_salt,
            scope=Scope(row.organisation),
        )
        self.changes.announce(Topic.ORDERS, (BankId(row.bank),))
        return asked is not None

    async def put_document(self, bank: BankId, name: str, version: int, body: bytes) -> None:
        await self.fetch(_exchange["put_document"], bank, name, version, body)
        self.changes.announce(Topic.ORDERS, (bank,))

    # News

    def announce_change(self, banks: Iterable[BankId], topic: Topic = Topic.ORDERS) -> None:
        self.changes.announce(topic, banks)

    def listen(self, topic: Topic) -> AsyncIterator[BankId]:
        return self.changes.listen(topic)

    async def _notify(self, payload: str) -> None:
        await self.fetch(_exchange["notify"], payload)

    async def _connection(self, role: str) -> Connection:
        return await asyncpg.connect(self._dsn, max_cached_statement_lifetime=0, server_settings={"role": role})


async def _pool(dsn: str, role: str, ask_seconds: float) -> "asyncpg.Pool[asyncpg.Record]":
    return await asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=POOL_MAX,
        command_timeout=ask_seconds,
        max_cached_statement_lifetime=0,
        server_settings={"role": role},
        reset=_rolled_back,
    )


async def _rolled_back(connection: Connection) -> None:
    """All that a statement of ours may leave behind in its session is a transaction that did not come to its end."""
    if connection.is_in_transaction():
        await connection.execute("ROLLBACK")


def _head(record: asyncpg.Record | None) -> Head | None:
    if record is None:
        return None
    values = dict(record)
    return Head(BankId(values.pop("id")), documents=json.loads(values.pop("documents")), **values)
