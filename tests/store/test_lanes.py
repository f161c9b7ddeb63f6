"""The micro-batcher under crowds, poison, and a database that is shot and comes back."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from latchwork.store.embedded import Embedded
from latchwork.store.lanes import BATCH_MAX, Connection, Kind, Lanes
from latchwork.store.rows import Failed, Unavailable

Record = asyncpg.Record


def columns(batch: Sequence[tuple[str, int]]) -> Sequence[Any]:
    return [key for key, _ in batch], [value for _, value in batch]


def column(batch: Sequence[tuple[str, int]], records: Sequence[Record]) -> list[int]:
    return [record[0] for record in records]


ADD: Kind[tuple[str, int], int] = Kind(
    """
    WITH op AS (SELECT * FROM unnest($1::text[], $2::int[]) WITH ORDINALITY AS u (key, value, n)),
    made AS (INSERT INTO done (key, value, xid) SELECT key, 100 / value, txid_current() FROM op)
    SELECT value FROM op ORDER BY n
    """,
    columns,
    column,
    lambda op: op[0] or None,
)
"""Each operation is a row with its transaction; a value of zero is poison."""

SLEEP: Kind[float, None] = Kind(
    "SELECT pg_sleep(max(s)) FROM unnest($1::float[]) s",
    lambda batch: (batch,),
    lambda batch, records: [None] * len(batch),
    lambda op: None,
)


class Bench:
    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.connections: list[Connection] = []

    async def connect(self) -> Connection:
        connection = await asyncpg.connect(self.dsn)
        self.connections.append(connection)
        return connection

    async def ask(self, query: str) -> Any:
        connection = await asyncpg.connect(self.dsn)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    async def shows(self, query: str) -> None:
        async with asyncio.timeout(60):
            while not await self.ask(query):
                await asyncio.sleep(0.02)


async def comes(lanes: Lanes, operation: tuple[str, int]) -> int:
    """Its answer, once a connection has been found."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await lanes.do(ADD, operation)
            except Unavailable:
                continue


@pytest.fixture
async def bench(empty_database: str) -> Bench:
    made = Bench(empty_database)
    await made.ask("CREATE TABLE done (key text, value int, xid bigint)")
    return made


@pytest.fixture
async def lanes(bench: Bench) -> AsyncIterator[Lanes]:
    made = Lanes(bench.connect, patience_seconds=60)
    made.start()
    yield made
    await made.close()


async def test_a_crowd_shares_commits_and_each_gets_its_own_answer(bench: Bench, lanes: Lanes) -> None:
    answers = await asyncio.gather(*(lanes.do(ADD, ("", n)) for n in range(1, 1001)))
    assert answers == list(range(1, 1001))
    assert await bench.ask("SELECT count(*) FROM done") == 1000
    assert 1000 / BATCH_MAX <= await bench.ask("SELECT count(DISTINCT xid) FROM done") <= 25


async def test_no_wake_up_is_lost(lanes: Lanes) -> None:
    """Operations that arrive at every possible moment of a lane's life; a lost one would wait for ever."""

    async def one_after_another(start: int) -> None:
        for n in range(100):
            await lanes.do(ADD, ("", start + n + 1))
            for _ in range(n % 7):
                await asyncio.sleep(0)

    async with asyncio.timeout(120):
        await asyncio.gather(*(one_after_another(k) for k in range(13)))


async def test_the_same_key_never_twice_in_a_batch(bench: Bench, lanes: Lanes) -> None:
    await asyncio.gather(*(lanes.do(ADD, (f"key {n % 5}", n + 1)) for n in range(50)))
    assert await bench.ask("SELECT max(c) FROM (SELECT count(*) c FROM done GROUP BY xid, key) x") == 1
    assert await bench.ask("SELECT count(*) FROM done") == 50


async def test_poison_fails_alone(bench: Bench, lanes: Lanes) -> None:
    answers = await asyncio.gather(*(lanes.do(ADD, ("", n % 10)) for n in range(40)), return_exceptions=True)
    assert [type(a) for a in answers] == [Failed if n % 10 == 0 else int for n in range(40)]
    assert await bench.ask("SELECT count(*) FROM done") == 36


async def test_a_value_that_does_not_fit_fails_alone(lanes: Lanes) -> None:
    good, bad = await asyncio.gather(lanes.do(ADD, ("", 1)), lanes.do(ADD, ("", 2**40)), return_exceptions=True)
    assert good == 1 and isinstance(bad, Failed)
    assert await lanes.do(ADD, ("", 2)) == 2


async def test_whoever_left_the_queue_is_not_executed(bench: Bench) -> None:
    lanes, lock = Lanes(bench.connect, lanes=1, patience_seconds=60), await bench.connect()
    lanes.start()
    async with lock.transaction():
        await lock.execute("LOCK TABLE done")
        busy = asyncio.create_task(lanes.do(ADD, ("busy", 1)))
        await bench.shows("SELECT true FROM pg_locks WHERE NOT granted AND relation = 'done'::regclass")
        leaver = asyncio.create_task(lanes.do(ADD, ("left", 1)))
        await asyncio.sleep(0)
        leaver.cancel()
    await busy
    assert await lanes.do(ADD, ("stayed", 2)) == 2
    assert await bench.ask("SELECT string_agg(key, ',' ORDER BY key) FROM done") == "busy,stayed"
    await lanes.close()
    await lock.close()


async def test_two_kinds_take_turns(lanes: Lanes) -> None:
    work = [lanes.do(SLEEP, 0.001) if n % 2 else lanes.do(ADD, ("", n + 1)) for n in range(50)]
    async with asyncio.timeout(60):
        await asyncio.gather(*work)


async def test_a_connection_that_is_cut_is_told_and_replaced(bench: Bench, lanes: Lanes) -> None:
    await lanes.do(ADD, ("", 1))
    sleeping = asyncio.create_task(lanes.do(SLEEP, 60))
    asleep = "state = 'active' AND query LIKE '%pg_sleep(max%' AND pid <> pg_backend_pid()"
    await bench.shows(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {asleep}")
    with pytest.raises(Unavailable):
        await sleeping
    assert await lanes.do(ADD, ("", 3)) == 3


async def test_a_call_that_hangs_is_given_up(bench: Bench) -> None:
    lanes = Lanes(bench.connect, call_seconds_max=0.2)
    lanes.start()
    with pytest.raises(Unavailable):
        await lanes.do(SLEEP, 30)
    assert await comes(lanes, ("", 1)) == 1
    await lanes.close()


@pytest.mark.parametrize("trouble", [asyncpg.InternalClientError("?"), asyncpg.ProtocolError("?"), KeyError("?")])
async def test_a_lane_outlives_whatever_goes_wrong_in_connecting(bench: Bench, trouble: Exception) -> None:
    down = True

    async def connect() -> Connection:
        if down:
            raise trouble
        return await bench.connect()

    lanes = Lanes(connect, lanes=1, patience_seconds=0.2)
    lanes.start()
    async with asyncio.timeout(60):
        with pytest.raises(Unavailable, match="no database"):
            await lanes.do(ADD, ("", 1))
        down = False
        assert await comes(lanes, ("", 2)) == 2
    await lanes.close()


async def test_a_lane_outlives_answers_that_do_not_fit(bench: Bench) -> None:
    odd: Kind[tuple[str, int], int] = Kind(ADD.statement, columns, lambda batch, records: [], lambda op: None)
    lanes = Lanes(bench.connect, lanes=1)
    lanes.start()
    async with asyncio.timeout(60):
        with pytest.raises(Failed):
            await lanes.do(odd, ("", 1))
        assert await lanes.do(ADD, ("", 2)) == 2
    await lanes.close()


async def test_closing_answers_everybody(bench: Bench) -> None:
    lanes = Lanes(bench.connect, lanes=1)
    lanes.start()
    waiting = [asyncio.create_task(lanes.do(SLEEP, 5)), asyncio.create_task(lanes.do(ADD, ("", 1)))]
    await asyncio.sleep(0.2)
    await lanes.close()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(answer, Unavailable) for answer in answers)
    with pytest.raises(Unavailable):
        await lanes.do(ADD, ("", 1))


async def test_a_database_that_is_stopped_and_comes_back(open_dir: Path) -> None:
    """Every operation is answered within its patience, and what was answered with success is there."""
    folder = open_dir / "lanes"

    def start() -> Embedded:
        return Embedded(folder, settings={"shared_buffers": "16MB"})

    crowd = Crowd()
    async with asyncio.timeout(300):
        with start() as dsn:
            bench = Bench(dsn)
            await bench.ask("CREATE TABLE done (key text, value int, xid bigint)")
            lanes = Lanes(bench.connect, patience_seconds=0.5)
            lanes.start()
            asking = asyncio.create_task(crowd.keep_asking(lanes, 20))
            while not crowd.succeeded:
                await asyncio.sleep(0.01)
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(Unavailable):
            await lanes.do(ADD, ("away", 1))
        assert loop.time() - began < 30, "its patience is half a second"
        while not crowd.refused:
            await asyncio.sleep(0.01)
        with start() as dsn:
            bench.dsn = dsn
            before = len(crowd.succeeded)
            while len(crowd.succeeded) == before:
                await asyncio.sleep(0.01)
            crowd.enough = True
            await asking
            assert await lanes.do(ADD, ("back", 1)) == 1
            stored = await bench.ask("SELECT array_agg(key) FROM done")
            assert crowd.succeeded <= set(stored)
            await lanes.close()


class Crowd:
    """Asks until it is told that it is enough, and remembers what it was answered."""

    def __init__(self) -> None:
        self.succeeded: set[str] = set()
        self.refused = 0
        self.enough = False

    async def keep_asking(self, lanes: Lanes, askers: int) -> None:
        await asyncio.gather(*(self._ask(lanes, who) for who in range(askers)))

    async def _ask(self, lanes: Lanes, who: int) -> None:
        n = 0
        while not self.enough:
            n += 1
            try:
                await lanes.do(ADD, (f"{who}/{n}", 1))
                self.succeeded.add(f"{who}/{n}")
            except Unavailable:
                self.refused += 1
            await asyncio.sleep(0.02)
