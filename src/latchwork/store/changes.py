"""Who has news: a wake-up for those in this process, and a hint to the other processes. Never the news itself.

Lost or doubled wake-ups do no harm: everybody who listens also looks for himself now and then (rule 12).
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from enum import StrEnum

import asyncpg

from latchwork.domain.words import BankId
from latchwork.store.lanes import Connection
from latchwork.store.rows import Unavailable

log = logging.getLogger(__name__)

CHANNEL = "latchwork"
HINT_SECONDS = 0.05
"""Hints are gathered for so long: each is a commit that all others wait for."""
BANKS_PER_HINT = 200
RECONNECT_SECONDS = 1.0


class Topic(StrEnum):
    LOG = "log"
    """The bank's log grew, or it said that it runs another configuration."""
    ORDERS = "orders"
    """Something was asked of the bank, or a document changed."""


class Changes:
    """In-process wake-ups, and the way between processes where `connect` is given."""

    def __init__(self) -> None:
        self._listeners: dict[Topic, set[_Listener]] = {topic: set() for topic in Topic}
        self._name = secrets.token_hex(4)
        self._to_tell: dict[tuple[Topic, BankId], None] = {}
        self._told = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, notify: Callable[[str], Awaitable[object]], connect: Callable[[], Awaitable[Connection]]) -> None:
        self._tasks = [
            asyncio.create_task(self._tell(notify), name="changes out"),
            asyncio.create_task(self._hear(connect), name="changes in"),
        ]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def announce(self, topic: Topic, banks: Iterable[BankId]) -> None:
        """Wakes whoever listens here at once, and the other processes a little later."""
        for bank in banks:
            self._wake(topic, bank)
            self._to_tell[topic, bank] = None
        self._told.set()

    async def listen(self, topic: Topic) -> AsyncIterator[BankId]:
        """Ids of banks with news, for ever; many changes of one bank may come as one."""
        listener = _Listener()
        self._listeners[topic].add(listener)
        try:
            while True:
                await listener.woken.wait()
                while listener.banks:
                    yield listener.banks.popitem()[0]
                listener.woken.clear()
        finally:
            self._listeners[topic].discard(listener)

    def _wake(self, topic: Topic, bank: BankId) -> None:
        for listener in self._listeners[topic]:
            listener.banks[bank] = None
            listener.woken.set()

    async def _tell(self, notify: Callable[[str], Awaitable[object]]) -> None:
        while True:
            await self._told.wait()
            await asyncio.sleep(HINT_SECONDS)
            self._told.clear()
            told, self._to_tell = self._to_tell, {}
            for topic in Topic:
                banks = [bank for about, bank in told if about is topic]
                for start in range(0, len(banks), BANKS_PER_HINT):
                    # A hint that is lost costs its readers a second.
                    with suppress(Unavailable):
                        await notify(f"{self._name} {topic.value} {','.join(banks[start : start + BANKS_PER_HINT])}")

    async def _hear(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        while True:
            try:
                connection = await connect()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.debug("cannot listen yet: %s", error)
                await asyncio.sleep(RECONNECT_SECONDS)
                continue
            gone = asyncio.Event()
            connection.add_termination_listener(lambda _, gone=gone: gone.set())
            try:
                await connection.add_listener(CHANNEL, self._heard)
                await gone.wait()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.debug("stopped listening: %s", error)
            finally:
                connection.terminate()
            await asyncio.sleep(RECONNECT_SECONDS)

    def _heard(self, connection: object, pid: int, channel: str, payload: object) -> None:
        name, _, rest = str(payload).partition(" ")
        topic, _, banks = rest.partition(" ")
        if name != self._name and topic in set(Topic):
            for bank in banks.split(","):
                self._wake(Topic(topic), BankId(bank))


class _Listener:
    def __init__(self) -> None:
        self.banks: dict[BankId, None] = {}
        self.woken = asyncio.Event()
