"""Carries the exchange to the server over a WebSocket, patiently.

It reconnects for ever; the bank works without it.
"""

import asyncio
import logging
import random
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from latchwork.edge.desk import EdgeDesk
from latchwork.edge.talk import Talk
from latchwork.sync.codec import Unreadable
from latchwork.sync.exchange import (
    ADVICE_SECONDS_MAX,
    HEARTBEAT_SECONDS,
    LABEL_CHARACTERS_MAX,
    MESSAGE_BYTES_MAX,
    SILENCE_SECONDS_MAX,
    Advice,
    Ask,
    Challenge,
    Down,
    Goodbye,
    Inquiry,
    Message,
    Page,
    Staged,
    Told,
    pack,
    unpack,
)

RETRY_SECONDS_MIN = 0.5
RETRY_SECONDS_MAX = 30.0
STEADY_SECONDS = 60.0
"""A line that held this long was good: the next attempt comes soon again."""

log = logging.getLogger(__name__)


class Lost(Exception):
    """The line is gone, or of no use; says why."""


class Link:
    """`prepare` is awaited before each attempt."""

    def __init__(
        self,
        server: str,
        desk: EdgeDesk,
        talk: Talk,
        software: str,
        prepare: Callable[[], Awaitable[None]] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self._prepare = prepare
        self._url = server.replace("http", "ws", 1) + "/bank"
        self._desk = desk
        self._talk = talk
        self._software = software
        self.why_lost: str | None = "not yet connected"
        self._socket: ClientConnection | None = None
        self._asked: dict[int, asyncio.Future[bool | None]] = {}
        self._inquiries = 0

    async def run(self) -> None:
        """Until cancelled."""
        delay = RETRY_SECONDS_MIN
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                if self._prepare is not None:
                    await self._prepare()
                async with connect(
                    self._url, max_size=MESSAGE_BYTES_MAX, compression=None, open_timeout=10, proxy=None, ssl=self._tls
                ) as socket:
                    await self._converse(socket)
            except (Lost, OSError, WebSocketException, Unreadable) as error:
                why = str(error) or type(error).__name__
                if why != self.why_lost:
                    log.warning("no link to %s: %s", self._url, why)
                self.why_lost = why
            if loop.time() - began > STEADY_SECONDS:
                delay = RETRY_SECONDS_MIN
            await asyncio.sleep(delay * random.uniform(0.5, 1.5))  # jitter: a thousand banks must not return at once
            delay = min(delay * 2, RETRY_SECONDS_MAX)

    async def ask(self, party: str, label: str) -> bool | None:
        """What a partner says of a label, asked through the server; None without a line, or without an answer."""
        socket, session = self._socket, self._talk.session
        if socket is None or session is None or len(label) > LABEL_CHARACTERS_MAX:
            return None
        self._inquiries += 1
        n = self._inquiries
        answer: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()
        self._asked[n] = answer
        try:
            async with asyncio.timeout(ADVICE_SECONDS_MAX + 1.0):
                await socket.send(pack(Inquiry(session, n, party, label)))
                return await answer
        except (TimeoutError, OSError, WebSocketException):
            return None
        finally:
            del self._asked[n]

    async def _converse(self, socket: ClientConnection) -> None:
        challenge = await self._receive(socket)
        if not isinstance(challenge, Challenge):
            raise Lost("the server did not begin with a challenge")
        async with self._desk.turn:
            hello = self._talk.hello(challenge, self._software)
        await socket.send(pack(hello))
        log.info("linked to %s", self._url)
        listener = asyncio.create_task(self._listen(socket))
        try:
            while True:
                changed = asyncio.create_task(self._desk.next_change().wait())
                try:
                    await self._send(socket, heartbeat=False)
                    done, _ = await asyncio.wait(
                        {listener, changed}, timeout=self._talk.quiet_seconds(), return_when=asyncio.FIRST_COMPLETED
                    )
                finally:
                    changed.cancel()
                if listener in done:
                    await listener
                if not done:
                    await self._send(socket, heartbeat=True)
        finally:
            self._socket = None
            listener.cancel()
            for answer in self._asked.values():
                if not answer.done():
                    answer.set_result(None)

    async def _listen(self, socket: ClientConnection) -> None:
        while True:
            message = await self._receive(socket)
            if isinstance(message, Ask | Page):
                await socket.send(pack(await asyncio.shield(self._answer(message))))
                continue
            if isinstance(message, Advice):
                asked = self._asked.get(message.n)
                if asked is not None and not asked.done() and message.session == self._talk.session:
                    asked.set_result(message.takes)
                continue
            if not isinstance(message, Down):
                raise Lost("the server said something out of turn")
            # A step that has begun is finished, whatever becomes of the line: a lock may just be being told.
            await asyncio.shield(self._hear(message))
            self._socket = socket
            self._desk.heard_at = datetime.now(UTC)
            self._desk.turned_away = None
            self.why_lost = None
            self._desk.stir()

    async def _hear(self, message: Down) -> None:
        async with self._desk.turn:
            await self._talk.hear(message)
        if self._talk.server_differs:
            log.error("the server says another log than ours, at %d entries: it is not obeyed", message.size)

    async def _answer(self, message: Ask | Page) -> Told | Staged:
        async with self._desk.turn:
            answer = await self._talk.answer(message)
        if isinstance(answer, Staged) and answer.refused:
            log.error("the log that the server sent is not taken over: %s", answer.refused)
        elif isinstance(answer, Staged) and answer.began:
            log.warning("the log that the server sent is taken over, %d entries: a new epoch has begun", answer.size)
        return answer

    async def _send(self, socket: ClientConnection, *, heartbeat: bool) -> None:
        async with self._desk.turn:
            up = self._talk.next_up(heartbeat)
        if up is not None:
            await socket.send(pack(up))

    async def _receive(self, socket: ClientConnection) -> Message:
        # The server owes an answer to every heartbeat, so a line that says nothing for longer is dead.
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS + SILENCE_SECONDS_MAX):
                raw = await socket.recv()
        except TimeoutError:
            raise Lost("the server has been silent") from None
        message = unpack(raw if isinstance(raw, bytes) else raw.encode())
        if isinstance(message, Goodbye):
            self._desk.turned_away = message.why
            self._desk.stir()
            raise Lost(f"the server said goodbye: {message.why}")
        return message
