"""The two ends a bus can have here, a serial port or a gateway's TCP port, as one line of frames.

It opens, sends and listens, and keeps no command for later: whatever it could not send at once dies with the line.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast
from urllib.parse import urlsplit

import serialx

from latchwork.edge.drivers.frames import Decoder
from latchwork.edge.drivers.protocol import Fault

CONNECT_S = 5.0
SEND_S = 0.5
"""Nine bytes take 10 ms. A line that has not taken them by now is not a line."""
UNDELIVERED_MS = 1_500
"""How long TCP may hold what the gateway has not confirmed. Longer, and an unlock could fire on somebody else."""
HEARD_BYTES_MAX = 64
FLOOD_BYTES = 16 * 1024
"""Since one request. No bus is so fast: a gateway that is broken, or another's port, would keep the whole wall busy."""
_SOCKET = "socket"

F = TypeVar("F")


@dataclass(slots=True)
class Hearing(Generic[F]):
    """What has come back since one request, also after its answer and until the next request."""

    wanted: Callable[[F], bool]
    answered: asyncio.Future[F]
    """The first frame that was wanted, or a Fault where the line broke before."""
    contradicted: bool = False
    """Another frame that was wanted came later, and is not the same."""
    other: F | None = None
    """The last frame that was not wanted."""
    heard: bytearray = field(default_factory=bytearray)
    """The first bytes, whatever they are."""

    async def answer(self, timeout_s: float) -> F | None:
        """None where none came in time."""
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(self.answered)
        except TimeoutError:
            return None

    def hear(self, frame: F) -> None:
        if not self.wanted(frame):
            self.other = frame
        elif not self.answered.done():
            self.answered.set_result(frame)
        elif self.answered.exception() is None and self.answered.result() != frame:
            self.contradicted = True


class Line(asyncio.Protocol, Generic[F]):
    """An open line. `on_lost` is called once, when it breaks by itself; `on_frame` for every frame nobody asked for.

    `local_echo`: the adapter hears itself, so what comes back first is what was sent.
    """

    def __init__(
        self,
        decoder: Decoder[F],
        on_lost: Callable[[], None],
        on_frame: Callable[[F], None] = lambda frame: None,
        *,
        local_echo: bool = False,
    ) -> None:
        self._decoder = decoder
        self._on_lost = on_lost
        self._on_frame = on_frame
        self._local_echo = local_echo
        self._echo = b""
        self._flood = 0
        self._transport: asyncio.Transport | None = None
        self._hearing: Hearing[F] | None = None
        self.broken: str | None = None
        """Why this line is no use any more."""

    async def ask(self, request: bytes, wanted: Callable[[F], bool]) -> Hearing[F]:
        """Send `request`; listens for frames that are `wanted`, from now on and until the next request."""
        # Bytes that already arrived are read before they are thrown away: one turn of the loop to notice them, one to
        # run their reader.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self._decoder.reset()
        self._flood = 0
        hearing = self._hearing = Hearing(wanted, asyncio.get_running_loop().create_future())
        self._echo = request if self._local_echo else b""
        self._write(request)
        return hearing

    async def drain(self) -> None:
        """Return when the last byte is out."""
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
        self._flood += len(data)
        if self._flood > FLOOD_BYTES:
            self.break_off(f"the line says {FLOOD_BYTES} bytes and more where a board says {HEARD_BYTES_MAX} at most")
            return
        if self._echo:
            length = min(len(self._echo), len(data))
            # Whatever differs is no echo, and nothing after it is one.
            same = self._echo[:length] == data[:length]
            self._echo, data = (self._echo[length:], data[length:]) if same else (b"", data)
        hearing = self._hearing
        if hearing is not None:
            hearing.heard += data[: HEARD_BYTES_MAX - len(hearing.heard)]
        for frame in self._decoder.feed(data):
            if hearing is not None:
                hearing.hear(frame)
            if hearing is None or not hearing.wanted(frame):
                self._on_frame(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        self.broken = self.broken or f"the line is gone ({exc or 'closed by the other end'})"
        if self._hearing is not None and not self._hearing.answered.done():
            self._hearing.answered.set_exception(Fault(self.broken))
            self._hearing.answered.exception()  # nobody may be waiting for it
        self._on_lost()


@asynccontextmanager
async def open_line(
    line: Line[F], port: str, baud: int, parity: serialx.Parity = serialx.Parity.NONE
) -> AsyncIterator[Line[F]]:
    """`line`, open at `port`: a device path or `socket://host:port`. Raises Fault if it cannot be opened."""
    gateway = gateway_in(port)
    try:
        async with asyncio.timeout(CONNECT_S):
            transport = await (_open_serial(port, baud, parity, line) if gateway is None else _dial(gateway, line))
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
    if not port or "\0" in port:
        raise ValueError(f"port = {port!r} names no line")
    url = urlsplit(port)
    if url.scheme != _SOCKET:
        return None
    if url.hostname is None or url.port is None:
        raise ValueError(f"{port} should be socket://host:port")
    return url.hostname, url.port


async def _open_serial(port: str, baud: int, parity: serialx.Parity, line: Line[F]) -> asyncio.Transport:
    loop = asyncio.get_running_loop()
    transport, _ = await serialx.create_serial_connection(loop, lambda: line, port, baud, parity)
    return transport


async def _dial(address: tuple[str, int], line: Line[F]) -> asyncio.Transport:
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
