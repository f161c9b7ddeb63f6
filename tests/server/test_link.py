"""Banks on real WebSockets: greeted, woken for work, replaced by their newer selves, and told when we are out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

import asyncpg
import pytest
import uvicorn
from litestar import Litestar
from litestar.datastructures import State
from tests.conftest import named
from tests.server.clouds import announcement, enrol, instruction
from tests.server.fake_bank import FakeBank, adopt
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from latchwork.domain import commands as c
from latchwork.server.exchange import Exchange
from latchwork.server.link import LOOK_SECONDS, UVICORN, Link, hear_bank
from latchwork.server.ports import Server
from latchwork.store.postgres import PostgresStore
from latchwork.sync.exchange import Challenge, Down, Goodbye, Message, pack, unpack


@asynccontextmanager
async def cloud(database: str, look_seconds: float = LOOK_SECONDS) -> AsyncIterator[tuple[PostgresStore, str]]:
    store = await PostgresStore.connect(database, patience_seconds=0.3)
    link = Link(store, Exchange(store, now), now, look_seconds=look_seconds)
    app = Litestar([hear_bank], state=State({"link": link}), openapi_config=None)
    server = Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="off", ws="websockets-sansio", **UVICORN))
    serving = asyncio.create_task(server.serve())
    async with link.running():
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield store, f"ws://127.0.0.1:{port}/bank"
        finally:
            server.should_exit = True
            await serving
            await store.close()


def now() -> datetime:
    return datetime.now(UTC)


async def receive(socket: ClientConnection) -> Message:
    raw = await asyncio.wait_for(socket.recv(), 60)
    assert isinstance(raw, bytes)
    return unpack(raw)


async def greet(socket: ClientConnection, bank: FakeBank) -> Message:
    challenge = await receive(socket)
    assert isinstance(challenge, Challenge)
    await socket.send(pack(bank.hello(challenge.nonce)))
    answer = await receive(socket)
    if isinstance(answer, Down):
        await bank.hear(answer)
    return answer


async def say(socket: ClientConnection, bank: FakeBank) -> None:
    """What the bank has to say, until the server has heard it all."""
    while up := bank.up():
        await socket.send(pack(up))
        while bank.end is not None and bank.end.awaiting is not None:
            answer = await receive(socket)
            assert isinstance(answer, Down), answer
            await bank.hear(answer)


async def test_an_instruction_reaches_a_waiting_bank_without_being_looked_for(database: str) -> None:
    bank = await FakeBank().build()
    async with cloud(database, look_seconds=3600) as (store, url), connect(url, compression=None) as socket:
        await enrol(store, bank)
        assert isinstance(await greet(socket, bank), Down)
        await say(socket, bank)
        await store.instruct(instruction(bank.id, 1, adopt()))
        down = await receive(socket)
        assert isinstance(down, Down) and len(down.orders) == 1
        await bank.hear(down)
        # While an answer is owed, the next waits; then it comes by itself.
        await store.announce(announcement(bank.id, 7))
        await say(socket, bank)
        if bank.bank.instructions_through < 2:
            down = await receive(socket)
            assert isinstance(down, Down)
            await bank.hear(down)
            await say(socket, bank)
        head = await store.head(bank.id)
        assert head is not None and (head.size, head.orders_last) == (bank.journal.size, 2)


async def test_work_that_nobody_hinted_at_is_found_within_a_second_or_two(database: str) -> None:
    bank = await FakeBank().build()
    async with cloud(database) as (store, url), connect(url, compression=None) as socket:
        await enrol(store, bank)
        await greet(socket, bank)
        await say(socket, bank)
        await store.fetch("INSERT INTO documents VALUES ($1, 'directory', 1, 'x')", bank.id)
        down = await receive(socket)
        assert isinstance(down, Down) and [d.name for d in down.documents] == ["directory"]


async def test_another_process_is_woken_by_the_hint(database: str) -> None:
    bank = await FakeBank().build()
    async with cloud(database) as (store, url), connect(url, compression=None) as socket:
        await enrol(store, bank)
        await greet(socket, bank)
        await say(socket, bank)
        async with await PostgresStore.connect(database) as elsewhere:
            await elsewhere.announce(announcement(bank.id, 7))
            down = await receive(socket)
            assert isinstance(down, Down) and len(down.orders) == 1


async def test_the_newer_socket_closes_the_older(database: str) -> None:
    bank = await FakeBank().build()
    async with cloud(database) as (store, url), connect(url) as old, connect(url) as new:
        await enrol(store, bank)
        assert isinstance(await greet(old, bank), Down)
        assert isinstance(await greet(new, bank), Down)
        assert await receive(old) == Goodbye("superseded")
        with pytest.raises(ConnectionClosed):
            await old.recv()
        await bank.do(c.DoubtClock())
        await say(new, bank)


@pytest.mark.parametrize("garbage", [b"\x00garbage", "a text", pack(Goodbye("no hello"))])
async def test_garbage_is_answered_with_goodbye(database: str, garbage: bytes | str) -> None:
    async with cloud(database) as (_, url), connect(url) as socket:
        await receive(socket)
        await socket.send(garbage)
        assert isinstance(await receive(socket), Goodbye)
        with pytest.raises(ConnectionClosed):
            await socket.recv()


async def test_a_revoked_key_ends_the_living_connection(database: str) -> None:
    bank = await FakeBank().build()
    async with cloud(database) as (store, url), connect(url) as socket:
        await enrol(store, bank)
        await greet(socket, bank)
        await say(socket, bank)
        await store.fetch("UPDATE banks SET key_revoked_at = now()")
        assert isinstance(await receive(socket), Goodbye)


async def test_a_database_that_goes_away_is_a_goodbye_and_comes_back(database: str) -> None:
    bank = await FakeBank().build()
    name = urlsplit(database).path.lstrip("/")
    async with cloud(database) as (store, url):
        await enrol(store, bank)
        async with connect(url) as socket:
            await greet(socket, bank)
            await say(socket, bank)
            await admin(database, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            await admin(database, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            await bank.do(c.DoubtClock())
            up = bank.up()
            assert up is not None
            await socket.send(pack(up))
            assert await receive(socket) == Goodbye("unavailable")
        async with connect(url) as socket:
            assert await greet(socket, bank) == Goodbye("unavailable")
        await admin(database, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        async with connect(url) as socket:
            assert isinstance(await greet(socket, bank), Down)
            await say(socket, bank)
        head = await store.head(bank.id)
        assert head is not None and head.root == bank.frontier.root()


async def admin(database: str, statement: str) -> None:
    connection = await asyncpg.connect(named(database, "postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
