"""Simulated relays and contacts on the pins of a small computer, on a TCP port.

A line `5 1` says that pin 5 is high now: from the driver's side for relays, from ours for contacts. What a pin was made
to be stays so when the other side goes, as it does with a computer that was killed.
"""

import asyncio

from latchwork.simulator.boards.devices import Relays
from latchwork.simulator.boards.front import LiveWall

RELAY_PINS = (5, 6, 13, 19, 26, 12, 16, 20)
"""Relay n hangs on the nth and switches on while it is low, as most relay boards do."""
CONTACT_PINS = (17, 27, 22, 23, 24, 25, 4, 18)
"""Contact n pulls the nth to ground while it is closed."""
LINE_BYTES_MAX = 64


class PinsFront:
    def __init__(self, relays: Relays, live: LiveWall, host: str, port: int) -> None:
        self._relays = relays
        self._live = live
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._writers: dict[asyncio.StreamWriter, dict[int, int]] = {}
        """Who listens, and what they were told of each pin."""
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> str:
        return f"{self._host}:{self._port}"

    async def open(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, self._host, self._port, limit=LINE_BYTES_MAX)
            self._port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in tuple(self._writers):
                writer.transport.abort()
            await asyncio.gather(*self._serving)
            await self._server.wait_closed()
            self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers[writer] = {}
        unlisten = self._live.listen(self._tell)
        try:
            self._tell()
            while line := await reader.readline():
                self._obey(line.decode("ascii", errors="replace"))
        except (OSError, ValueError):  # gone, or no line
            pass
        finally:
            unlisten()
            del self._writers[writer]
            writer.close()

    def _obey(self, line: str) -> None:
        pin, _, level = line.strip().partition(" ")
        relay = next((n for n, each in enumerate(RELAY_PINS) if str(each) == pin), -1)
        if self._relays.has(relay) and level in ("0", "1"):
            (self._switch_on if level == "0" else self._relays.switch_off)(relay, self._live.now())
            self._live.touched()

    def _switch_on(self, relay: int, now: float) -> None:
        self._relays.switch_on(relay, now, None)

    def _tell(self) -> None:
        levels = {CONTACT_PINS[n]: int(not door.contact_closed) for n, door in self._relays.wall.doors.items()}
        for writer, told in self._writers.items():
            news = {pin: level for pin, level in levels.items() if told.get(pin) != level}
            told.update(news)
            writer.write("".join(f"{pin} {level}\n" for pin, level in news.items()).encode())
