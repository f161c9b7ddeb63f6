"""The two ends a bus can have here, a serial port or a gateway's TCP port, as one line of frames.

It opens, sends and listens, and keeps no command for later: whatever it could not send at once dies with the line.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import serialx

from latchwork.edge.drivers.kerong_cu16.codec import Decoder, Frame
from latchwork.edge.drivers.protocol import Fault

BAUD = 19_200
CONNECT_S = 5.0
SEND_S = 0.5
"""Five bytes take 3 ms. A line that has not taken them by now is not a line."""
UNDELIVERED_MS = 1_500
"""How long TCP may hold what the gateway has not confirmed. Longer, and an unlock could fire on somebody else."""
_SOCKET = "socket"


@dataclass(frozen=True, slots=True)
class _Question:
    wanted: Callable[[Frame], bool]
    answer: asyncio.Future[Frame]


class Line(asyncio.Protocol):
    """An open line. `on_lost` is called once, when it breaks by itself."""

    def __init__(self, on_lost: Callable[[], None]) -> None:
        self._on_lost = on_lost
        self._decoder = Decoder()
        self._transport: asyncio.Transport | None = None
        self._question: _Question | None = None
        self.broken: str | None = None
        """Why this line is no use any more."""

    async def ask(self, request: bytes, wanted: Callable[[Frame], bool], timeout_s: float) -> Frame | None:
        """Send `request` and return the first frame after it that is `wanted`; None if none came in time."""
        # Bytes that already arrived are read before they are thrown away: one turn of the loop to notice them, one to
        # run their reader.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self._decoder.reset()
        question = self._question = _Question(wanted, asyncio.get_running_loop().create_future())
        try:
            self._write(request)
            async with asyncio.timeout(timeout_s):
                return await question.answer
        except TimeoutError:
            return None
        finally:
            self._question = None

    async def send(self, request: bytes) -> None:
        """Send `request`, which has no answer. Returns when the last byte is out."""
        self._write(request)
        assert self._transport is not None
        try:
            if isinstance(self._transport, serialx.BaseSerialTransport):
                async with asyncio.timeout(SEND_S):
                    await self._transport.flush()
            elif self._transport.get_write_buffer_size():
                raise TimeoutError
        except (OSError, serialx.SerialException, TimeoutError) as error:
            self.break_off(f"the line does not take what is sent ({error or 'it is full'})")
        self.check()

    def check(self) -> None:
        if self.broken is not None:
            raise Fault(self.broken)

    def break_off(self, why: str) -> None:
        """Drop the line together with every byte that it still holds."""
        self.broken = self.broken or why
        if self._transport is not None:
            _forget_unsent(self._transport)
            self._transport.abort()

    def _write(self, request: bytes) -> None:
        self.check()
        assert self._transport is not None
        try:
            self._transport.write(request)
        except (OSError, serialx.SerialException) as error:
            self.break_off(str(error))
        if self._transport.is_closing():
            self.broken = self.broken or "the line broke while sending"
        self.check()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, no check: uvloop's transports do all that asyncio's do and are not of its class.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        for frame in self._decoder.feed(data):
            question = self._question
            if question is not None and not question.answer.done() and question.wanted(frame):
                question.answer.set_result(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        self.broken = self.broken or f"the line is gone ({exc or 'closed by the other end'})"
        if self._question is not None and not self._question.answer.done():
            self._question.answer.set_exception(Fault(self.broken))
        self._on_lost()


@asynccontextmanager
async def open_line(port: str, on_lost: Callable[[], None]) -> AsyncIterator[Line]:
    """The line at `port`, a device path or `socket://host:port`. Raises Fault if it cannot be opened."""
    line = Line(on_lost)
    gateway = gateway_in(port)
    try:
        async with asyncio.timeout(CONNECT_S):
            transport = await (_open_serial(port, line) if gateway is None else _dial(gateway, line))
    except (OSError, serialx.SerialException, TimeoutError) as error:
        raise Fault(f"cannot open {port}: {error or 'no answer'}") from error
    try:
        yield line
    finally:
        _forget_unsent(transport)
        transport.abort()
        if isinstance(transport, serialx.BaseSerialTransport):
            # The port is locked for one owner, and the next attempt to open it may come at once.
            await transport.wait_closed()


def gateway_in(port: str) -> tuple[str, int] | None:
    """Host and port of the gateway that `port` names; None if it is a device. Raises ValueError if it is neither."""
    url = urlsplit(port)
    if url.scheme != _SOCKET:
        return None
    if url.hostname is None or url.port is None:
        raise ValueError(f"{port} should be socket://host:port")
    return url.hostname, url.port


async def _open_serial(port: str, line: Line) -> asyncio.Transport:
    loop = asyncio.get_running_loop()
    transport, _ = await serialx.create_serial_connection(loop, lambda: line, port, BAUD)
    return transport


async def _dial(address: tuple[str, int], line: Line) -> asyncio.Transport:
    # Not through serialx, which hides the socket: without these two options the kernel would go on delivering an
    # unlock for minutes after the network comes back.
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: line, *address)
    gateway = transport.get_extra_info("socket")
    gateway.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        gateway.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNDELIVERED_MS)
    return transport


def _forget_unsent(transport: asyncio.Transport) -> None:
    gateway = transport.get_extra_info("socket")
    if gateway is not None and gateway.fileno() >= 0:
        gateway.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
