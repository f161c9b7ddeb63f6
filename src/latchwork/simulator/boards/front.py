"""Puts simulated boards where a driver looks for them: on a pty or a TCP port, in real time.

`LiveWall` keeps a wall moving with the clock and tells whoever listens; `PtyFront` and `TcpFront` carry bytes between
the boards and a driver, and can drop the line as a pulled cable does. No protocol and no physics here.
"""

import asyncio
import os
import pty
import termios
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

from latchwork.simulator.boards.boards import Boards
from latchwork.simulator.boards.wall import Wall


class LiveWall:
    """A wall in the running loop's time."""

    def __init__(self, wall: Wall) -> None:
        self.wall = wall
        self._listeners: list[Callable[[], None]] = []
        self._timer: asyncio.TimerHandle | None = None

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` whenever something has changed; returns the way to stop it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def heard(self) -> None:
        """To be called after the boards heard or did something, which mostly changes nothing."""
        if self.wall.advance(self.now()):
            self.touched()

    def touched(self) -> None:
        """To be called after hands or mains did something to the wall: tells it, and sees to what follows by itself."""
        self.wall.advance(self.now())
        for listener in tuple(self._listeners):
            listener()
        self.stop()
        if (at := self.wall.next_change()) is not None:
            self._timer = asyncio.get_running_loop().call_at(at, self.touched)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Front(Protocol):
    """One end of a line that a driver can open."""

    @property
    def port(self) -> str:
        """What to give the driver."""

    async def open(self) -> None: ...

    async def cut(self) -> None:
        """Pull the cable; `open` puts it back."""


class _Bench:
    """Where boards and wall stand: takes bytes, and sends what the boards say as soon as they say it."""

    def __init__(self, boards: Boards[Any], live: LiveWall, send: Callable[[bytes], None]) -> None:
        self._boards = boards
        self._live = live
        self._send = send
        self._timer: asyncio.TimerHandle | None = None
        self._unlisten: Callable[[], None] = lambda: None

    def plug_in(self) -> None:
        self._unlisten = self._live.listen(self._speak)
        self._speak()

    def hear(self, data: bytes) -> None:
        self._boards.feed(data, self._live.now())
        self._speak()

    def unplug(self) -> None:
        self._unlisten()
        self._boards.hush()
        if self._timer is not None:
            self._timer.cancel()

    def _speak(self) -> None:
        for words in self._boards.said(self._live.now()):
            self._send(words)
        self._live.heard()
        if self._timer is not None:
            self._timer.cancel()
        if (at := self._boards.next_said(self._live.now())) is not None:
            self._timer = asyncio.get_running_loop().call_at(at, self._speak)


class PtyFront:
    """The boards on a pseudo-terminal. Every opening makes a new one; `link`, if given, always names the current."""

    def __init__(self, boards: Boards[Any], live: LiveWall, link: Path | None = None) -> None:
        self._bench = _Bench(boards, live, self._send)
        self._link = link
        self._fds: tuple[int, int] | None = None
        self._device = ""

    @property
    def port(self) -> str:
        return str(self._link) if self._link is not None else self._device

    async def open(self) -> None:
        if self._fds is not None:
            return
        master, slave = pty.openpty()
        # Raw before anybody opens it, or the terminal would echo and translate. Our own hold on the driver's side
        # keeps the master readable while no driver is there.
        tty.setraw(slave, termios.TCSANOW)
        os.set_blocking(master, False)
        self._fds = master, slave
        self._device = os.ttyname(slave)
        if self._link is not None:
            _point(self._link, self._device)
        asyncio.get_running_loop().add_reader(master, self._readable)
        self._bench.plug_in()

    async def cut(self) -> None:
        if self._fds is None:
            return
        self._bench.unplug()
        if self._link is not None:
            self._link.unlink(missing_ok=True)
        asyncio.get_running_loop().remove_reader(self._fds[0])
        for fd in self._fds:
            os.close(fd)
        self._fds = None

    def _readable(self) -> None:
        assert self._fds is not None
        try:
            data = os.read(self._fds[0], 4096)
        except (BlockingIOError, OSError):
            return
        self._bench.hear(data)

    def _send(self, data: bytes) -> None:
        if self._fds is not None:
            try:
                os.write(self._fds[0], data)
            except BlockingIOError:
                # Nobody reads the other end. A real line does not wait either.
                pass


class TcpFront:
    """The boards behind a TCP port, as a gateway offers them: everybody who is connected hears the bus."""

    def __init__(self, boards: Boards[Any], live: LiveWall, host: str, port: int) -> None:
        self._bench = _Bench(boards, live, self._send)
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Transport] = set()

    @property
    def port(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"socket://{host}:{self._port}"

    async def open(self) -> None:
        if self._server is not None:
            return
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Client(self._bench, self._clients), self._host, self._port)
        # Port 0 asks for any free one; after a cut it must be the same again.
        self._port = self._server.sockets[0].getsockname()[1]
        self._bench.plug_in()

    async def cut(self) -> None:
        if self._server is None:
            return
        self._bench.unplug()
        self._server.close()
        for client in tuple(self._clients):
            client.abort()
        await self._server.wait_closed()
        self._server = None

    def _send(self, data: bytes) -> None:
        for client in self._clients:
            if not client.is_closing():
                client.write(data)


class _Client(asyncio.Protocol):
    def __init__(self, bench: _Bench, clients: set[asyncio.Transport]) -> None:
        self._bench = bench
        self._clients = clients
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, no check: uvloop's transports do all that asyncio's do and are not of its class.
        self._transport = cast(asyncio.Transport, transport)
        self._clients.add(self._transport)

    def data_received(self, data: bytes) -> None:
        self._bench.hear(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._clients.discard(self._transport)


def _point(link: Path, target: str) -> None:
    """Make `link` name `target` in one step, without touching anything there that is not a link."""
    if link.exists() and not link.is_symlink():
        raise FileExistsError(f"{link} is there already and is not a link")
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
