"""The banks' end of the wire: a WebSocket endpoint that carries the exchange, and wakes banks that have work.

It decides nothing that `exchange` decides. Run uvicorn with the settings of `UVICORN`.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from litestar import WebSocket, websocket
from litestar.exceptions import WebSocketException

from latchwork.domain.words import BankId
from latchwork.server.exchange import RESEND_AFTER, Exchange
from latchwork.store.changes import Topic
from latchwork.store.postgres import PostgresStore
from latchwork.store.rows import Unavailable, Work
from latchwork.sync.codec import Unreadable
from latchwork.sync.exchange import (
    HEARTBEAT_SECONDS,
    MESSAGE_BYTES_MAX,
    SILENCE_SECONDS_MAX,
    Advice,
    Challenge,
    Farewell,
    Goodbye,
    Hello,
    Inquiry,
    Message,
    Staged,
    Told,
    Up,
    pack,
    unpack,
)

log = logging.getLogger(__name__)

PATH: Final = "/bank"
KEEP_ALIVE_SECONDS: Final = 75
"""Longer than a proxy or a client keeps a connection that is idle: none is closed while the next request comes in."""
UVICORN: Final[dict[str, Any]] = {
    "ws_per_message_deflate": False,
    "ws_max_size": MESSAGE_BYTES_MAX,
    "timeout_keep_alive": KEEP_ALIVE_SECONDS,
}
HELLO_SECONDS_MAX: Final = 15.0
SEND_SECONDS_MAX: Final = 20.0
LOOK_SECONDS: Final = 1.0
HEARD_SECONDS: Final = 10.0
NONCE_BYTES: Final = 32
ASKING_MAX: Final = 8
"""So many inquiries of one bank at once; further ones get no answer, and the bank goes by the rule that it has."""

Socket = WebSocket[Any, Any, Any]


@dataclass(slots=True, eq=False)
class _Held:
    """One living connection of a bank to this process."""

    bank: BankId
    session: int
    socket: Socket
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a message goes out."""
    heard: bool = True
    delivering: "asyncio.Task[None] | None" = None
    asking: "set[asyncio.Task[None]]" = field(default_factory=set)
    """Partners are being asked, while everything else goes on."""


@websocket(PATH, exclude_from_auth=True)
async def hear_bank(socket: Socket) -> None:
    link: Link = socket.app.state.link
    await link.serve(socket)


class Link:
    """Everything that one server process holds of banks. `clock` tells server time."""

    def __init__(
        self,
        store: PostgresStore,
        exchange: Exchange,
        clock: Callable[[], datetime],
        advise: Callable[[BankId, str, str], Awaitable[bool | None]] | None = None,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """`advise` asks a partner about a label. `look_seconds`: how often work is looked for that nobody hinted at."""
        self._look_seconds = look_seconds
        self._advise = advise
        self._store = store
        self._exchange = exchange
        self._clock = clock
        self._held: dict[BankId, _Held] = {}
        self._partings: set[asyncio.Task[None]] = set()
        self._woken: set[BankId] = set()
        self._wake = asyncio.Event()
        self._heard_told: datetime | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Link"]:
        """While open, banks with work are woken."""
        tasks = [asyncio.create_task(self._listen(), name="link wakes"), asyncio.create_task(self._look(), name="link")]
        try:
            yield self
        finally:
            deliveries = [held.delivering for held in self._held.values() if held.delivering is not None]
            for task in (*tasks, *deliveries, *self._partings):
                task.cancel()
            await asyncio.gather(*tasks, *deliveries, *self._partings, return_exceptions=True)

    # One connection

    async def serve(self, socket: Socket) -> None:
        with suppress(WebSocketException, OSError):  # they hung up: nothing to say to anybody
            await socket.accept()
            nonce = secrets.token_bytes(NONCE_BYTES)
            await socket.send_bytes(pack(Challenge(nonce, self._clock())))
            hello = await _receive(socket, HELLO_SECONDS_MAX)
            if not isinstance(hello, Hello):
                return await _part(socket, hello if isinstance(hello, Goodbye) else Goodbye(Farewell.MALFORMED))
            answer = await self._exchange.greet(hello, nonce)
            if isinstance(answer, Goodbye):
                log.info("bank %s turned away: %s", hello.bank, answer.why)
                return await _part(socket, answer)
            held = _Held(hello.bank, answer.session, socket)
            older, self._held[held.bank] = self._held.get(held.bank), held
            try:
                if older is not None:
                    parting = asyncio.create_task(self._send(older, Goodbye(Farewell.SUPERSEDED)))
                    self._partings.add(parting)
                    parting.add_done_callback(self._partings.discard)
                await self._send(held, answer)
                await self._converse(held)
            finally:
                for task in held.asking:
                    task.cancel()
                self._exchange.forget(held.bank, held.session)
                if self._held.get(held.bank) is held:
                    del self._held[held.bank]
        return None

    async def _converse(self, held: _Held) -> None:
        while True:
            up = await _receive(held.socket, HEARTBEAT_SECONDS + SILENCE_SECONDS_MAX)
            held.heard = True
            answer: Message | None
            if isinstance(up, Inquiry):
                self._ask(held, up)
                continue
            if isinstance(up, Up | Told | Staged):
                answer = await self._exchange.take(held.bank, up)
                if isinstance(up, Up) and up.re is not None:  # it may hear the next thing now
                    self._stir(held.bank)
            else:
                answer = up if isinstance(up, Goodbye) else Goodbye(Farewell.MALFORMED)
            if answer is not None:
                await self._send(held, answer)
            if isinstance(answer, Goodbye):
                log.info("bank %s sent away: %s", held.bank, answer.why)
                return

    def _ask(self, held: _Held, inquiry: Inquiry) -> None:
        if inquiry.session == held.session and len(held.asking) < ASKING_MAX:
            task = asyncio.create_task(self._answer(held, inquiry), name=f"advice for {held.bank}")
            held.asking.add(task)
            task.add_done_callback(held.asking.discard)

    async def _answer(self, held: _Held, inquiry: Inquiry) -> None:
        takes = None
        try:
            if self._advise is not None:
                takes = await self._advise(held.bank, inquiry.party, inquiry.label)
        except Exception:
            log.exception("a partner could not be asked")
        await self._send(held, Advice(held.session, inquiry.n, takes))

    async def _send(self, held: _Held, message: Message) -> None:
        """A goodbye is the last word. A bank that does not read is closed, so that it cannot hold up others."""
        async with held.turn:
            with suppress(WebSocketException, OSError, RuntimeError):
                try:
                    async with asyncio.timeout(SEND_SECONDS_MAX):
                        await held.socket.send_bytes(pack(message))
                        if isinstance(message, Goodbye):
                            await held.socket.close()
                except TimeoutError:
                    await held.socket.close()

    # Work for banks

    def _stir(self, bank: BankId) -> None:
        if bank in self._held:
            self._woken.add(bank)
            self._wake.set()

    async def _listen(self) -> None:
        async for bank in self._store.listen(Topic.ORDERS):
            self._stir(bank)

    async def _look(self) -> None:
        """Rule 12: at a hint for those it names, and every second for all, in one query."""
        while True:
            hinted = True
            try:
                async with asyncio.timeout(self._look_seconds):
                    await self._wake.wait()
            except TimeoutError:
                hinted = False
            self._wake.clear()
            woken, self._woken = self._woken, set()
            held = [h for h in self._held.values() if not hinted or h.bank in woken]
            try:
                if not hinted:
                    await self._tell_heard()
                if held:
                    resend_before = self._clock() - RESEND_AFTER
                    for work in await self._store.work([(h.bank, h.session) for h in held], resend_before):
                        self._attend(work)
            except Unavailable as error:
                log.debug("nothing looked up: %s", error)
            except Exception:
                log.exception("could not look for work")

    async def _tell_heard(self) -> None:
        now = self._clock()
        if self._heard_told is not None and now - self._heard_told < timedelta(seconds=HEARD_SECONDS):
            return
        spoke = [held for held in self._held.values() if held.heard]
        self._heard_told = now
        for held in spoke:
            held.heard = False
        if spoke:
            await self._store.heard([held.bank for held in spoke], now)

    def _attend(self, work: Work) -> None:
        held = self._held.get(work.bank)
        if held is None or held.session != work.session:
            return
        if held.delivering is None or held.delivering.done():
            step = self._send(held, Goodbye(Farewell.SUPERSEDED)) if work.over else self._deliver(held, work)
            held.delivering = asyncio.create_task(step, name=f"delivery to {held.bank}")

    async def _deliver(self, held: _Held, work: Work) -> None:
        down = await self._exchange.deliver(held.bank, held.session, work)
        if down is not None:
            await self._send(held, down)


async def _receive(socket: Socket, seconds: float) -> Message:
    """The next message; a goodbye of ours where it is none, or none comes."""
    try:
        async with asyncio.timeout(seconds):
            raw = await socket.receive_data("binary")
        return unpack(raw if isinstance(raw, bytes) else raw.encode())
    except TimeoutError:
        return Goodbye("silent")
    except Unreadable as error:
        log.warning("not a message: %s", error)
        return Goodbye(Farewell.MALFORMED)


async def _part(socket: Socket, goodbye: Goodbye) -> None:
    await socket.send_bytes(pack(goodbye))
    await socket.close()
