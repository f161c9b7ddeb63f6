"""Micro-batching: many small durable writes in few commits, with an answer for each.

While all lanes are in flight, operations queue; a free lane takes what is queued, of one kind, in one prepared call
and one commit. A lone operation goes out at once. An operation that the database refuses fails alone: its batch is
tried again one by one. It knows nothing of what the operations mean.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import asyncpg

from latchwork.store.rows import Failed, Unavailable

log = logging.getLogger(__name__)

Op = TypeVar("Op")
Result = TypeVar("Result")
if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection  # generic for the type checker only

BATCH_MAX = 64
QUEUE_MAX = 10_000
PATIENCE_SECONDS = 5.0
"""How long an operation waits for a database that is away."""
CONNECT_SECONDS_MAX = 2.0
CALL_SECONDS_MAX = 10.0
RETRY_SECONDS = 0.1
COLLISIONS_MAX = 3


@dataclass(frozen=True, slots=True)
class Kind(Generic[Op, Result]):
    """One statement for many operations."""

    statement: str
    arguments: Callable[[Sequence[Op]], Sequence[Any]]
    results: Callable[[Sequence[Op], Sequence[asyncpg.Record]], Sequence[Result]]
    key: Callable[[Op], Hashable | None]
    """Two operations with the same key never share a batch; None goes with any."""


@dataclass(slots=True, eq=False)
class _Waiting:
    kind: Kind[Any, Any]
    op: Any
    key: Hashable | None
    future: "asyncio.Future[Any]"
    since: float


class Lanes:
    """`connect` opens a connection of its own for each lane, and again whenever it was lost."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        lanes: int = 2,
        patience_seconds: float = PATIENCE_SECONDS,
        call_seconds_max: float = CALL_SECONDS_MAX,
    ) -> None:
        self._connect = connect
        self._lanes = lanes
        self._patience_seconds = patience_seconds
        self._call_seconds_max = call_seconds_max
        self._queue: deque[_Waiting] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._lane(), name=f"lane {n}") for n in range(self._lanes)]

    async def close(self) -> None:
        """Operations that no lane has taken yet are told `Unavailable`; those in flight too."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while self._queue:
            _fail(self._queue.popleft(), Unavailable("the store is closing"))

    async def do(self, kind: Kind[Op, Result], op: Op) -> Result:
        """Raises Unavailable while the database is away, and Failed where it refuses this operation by itself."""
        if self._closed or len(self._queue) >= QUEUE_MAX:
            raise Unavailable("the store is closing" if self._closed else "too many operations wait already")
        loop = asyncio.get_running_loop()
        waiting = _Waiting(kind, op, kind.key(op), loop.create_future(), loop.time())
        self._queue.append(waiting)
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                break
        result: Result = await waiting.future
        return result

    async def _lane(self) -> None:
        connection: Connection | None = None
        try:
            while True:
                if not self._queue:
                    # No await between this look at the queue and the place among the idle: no wake-up is lost.
                    idle = asyncio.get_running_loop().create_future()
                    self._idle.append(idle)
                    await idle
                    continue
                if connection is None or connection.is_closed():
                    connection = await self._reconnected()
                    continue
                batch = self._take()
                if batch:
                    await self._run(connection, batch)
        finally:
            if connection is not None:
                connection.terminate()

    def _take(self) -> list[_Waiting]:
        """The next batch: of the kind of the first that waits, in order, no key twice."""
        batch: list[_Waiting] = []
        left: list[_Waiting] = []
        keys: set[Hashable] = set()
        while self._queue and len(batch) < BATCH_MAX:
            waiting = self._queue.popleft()
            if waiting.future.done():  # whoever asked has gone
                continue
            if (batch and waiting.kind is not batch[0].kind) or waiting.key in keys:
                left.append(waiting)
                continue
            if waiting.key is not None:
                keys.add(waiting.key)
            batch.append(waiting)
        self._queue.extendleft(reversed(left))
        return batch

    async def _run(self, connection: Connection, batch: list[_Waiting]) -> None:
        try:
            results = await self._call(connection, batch)
        except asyncio.CancelledError:
            for waiting in batch:
                _fail(waiting, Unavailable("the store is closing"))
            raise
        except Exception as error:
            if connection.is_closed() or isinstance(error, Unavailable) or lost(error):
                log.warning("a lane lost its database: %s", error)
                connection.terminate()
                for waiting in batch:
                    _fail(waiting, Unavailable(f"the database went away: {error}"))
            elif len(batch) == 1:
                log.error("the database refused an operation: %s", error)
                _fail(batch[0], Failed(str(error)))
            else:
                log.warning("a batch of %d failed and is tried one by one: %s", len(batch), error)
                for waiting in batch:
                    await self._run(connection, [waiting])
        else:
            for waiting, result in zip(batch, results, strict=True):
                if not waiting.future.done():
                    waiting.future.set_result(result)

    async def _call(self, connection: Connection, batch: list[_Waiting]) -> Sequence[Any]:
        kind, ops = batch[0].kind, [waiting.op for waiting in batch]
        for _ in range(COLLISIONS_MAX):
            try:
                records = await connection.fetch(kind.statement, *kind.arguments(ops), timeout=self._call_seconds_max)
            except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError) as error:
                log.warning("a batch collided with another and is tried again: %s", error)
                continue
            results = kind.results(ops, records)
            assert len(results) == len(ops)
            return results
        raise Unavailable("this batch collides with others again and again")

    async def _reconnected(self) -> Connection | None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                return await self._connect()
        except Exception as error:  # whatever it is: where the last lane has ended, everybody waits for ever
            too_old = asyncio.get_running_loop().time() - self._patience_seconds
            while self._queue and self._queue[0].since <= too_old:
                _fail(self._queue.popleft(), Unavailable(f"no database: {str(error) or type(error).__name__}"))
            await asyncio.sleep(RETRY_SECONDS)
            return None


def lost(error: BaseException) -> bool:
    """Whether this error says that the database is gone or useless, rather than that the statement was wrong."""
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)  # its DataError is a value that does not fit its type
    return isinstance(
        error,
        OSError  # TimeoutError is one
        | asyncpg.PostgresConnectionError
        | asyncpg.OperatorInterventionError
        | asyncpg.InsufficientResourcesError
        | asyncpg.ReadOnlySQLTransactionError
        | asyncpg.InternalClientError,
    )


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.future.done():
        waiting.future.set_exception(error)
        waiting.future.exception()  # whoever asked may have gone: then nobody else reads it
