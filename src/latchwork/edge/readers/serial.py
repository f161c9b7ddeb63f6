"""Scanners on a serial line, or on USB as one, and converters of Wiegand readers: they send a line for each scan."""

import asyncio
from collections.abc import Callable

import serialx

from latchwork.edge.drivers.protocol import Fault
from latchwork.edge.readers.scan import Lines, Scan

IDLE_S = 0.05
"""A scanner without a terminator has said all when it was silent for so long."""


class Serial:
    """`meaning` makes a scan of a line, or None of one that is none."""

    def __init__(self, port: str, baud: int, meaning: Callable[[bytes], Scan | None]) -> None:
        self._port = port
        self._baud = baud
        self._meaning = meaning

    async def run(self, deliver: Callable[[Scan], None]) -> None:
        """Raises Fault when the line cannot be opened, or breaks."""
        loop = asyncio.get_running_loop()
        heard = _Heard(lambda line: self._deliver(line, deliver))
        try:
            transport, _ = await serialx.create_serial_connection(loop, lambda: heard, self._port, self._baud)
        except (OSError, serialx.SerialException) as error:
            raise Fault(f"cannot open {self._port}: {error}") from error
        try:
            raise Fault(await heard.lost)
        finally:
            heard.rest()
            transport.abort()
            await transport.wait_closed()

    def _deliver(self, line: bytes, deliver: Callable[[Scan], None]) -> None:
        if (scan := self._meaning(line)) is not None:
            deliver(scan)


class _Heard(asyncio.Protocol):
    def __init__(self, tell: Callable[[bytes], None]) -> None:
        self._tell = tell
        self._lines = Lines()
        self._idle: asyncio.TimerHandle | None = None
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.rest()
        self._say(self._lines.feed(data))
        self._idle = asyncio.get_running_loop().call_later(IDLE_S, lambda: self._say(self._lines.end()))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(f"the line is gone ({exc or 'closed by the other end'})")

    def rest(self) -> None:
        if self._idle is not None:
            self._idle.cancel()

    def _say(self, lines: list[bytes]) -> None:
        for line in lines:
            self._tell(line)
