"""The lines of a wall while it is commissioned: which boards answer, and what the contacts do after one pulse.

Every pulse waits for the governor, and one is over before the next begins. It pulses nothing by itself.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import msgspec

from latchwork.domain.words import DoorState
from latchwork.edge import registry
from latchwork.edge.commission.survey import Move, Place, Pulsed
from latchwork.edge.config import BadConfig, BusTable
from latchwork.edge.drivers.bus import SerialBus
from latchwork.edge.drivers.line import gateway_in
from latchwork.edge.drivers.protocol import BoardLost, Driver, Fault, Reading
from latchwork.edge.governor import Coil, Governor

ADDRESSES = range(256)
FIRST_WORD_S = 20.0
"""How long a line may take to say anything: whose doors it sees, or that nobody answers."""
OPEN_S = 2.0
"""How long a door may take to show that it opened."""
LOOKS = 2
"""Boards that said anything are read so often while a bus is scanned: the second time they are listened to for longer
where another had answered too."""
LOOKS_MAX = 6
"""What is no answer is read on until its driver names it."""
SETTLE_S = 0.5
"""How much later another door may move of the same pulse."""
SHUT_S = 3.0
"""How long a contact may take to show that its door was shut."""

_SURE = (DoorState.OPEN, DoorState.CLOSED)


@dataclass(frozen=True, slots=True)
class Found:
    """What a scan of one bus has found."""

    bus: BusTable
    """With the addresses that answered."""
    boards: Mapping[int | None, tuple[int, ...]]
    """The channels of each."""
    troubles: tuple[str, ...] = ()
    """What its driver had to complain of."""
    silent: bool = False
    """Nobody has said anything, not even what is no answer."""


async def scan(bus: BusTable) -> Found:
    """Ask every address that this bus can have, or those that it names. Pulses nothing. Raises BadConfig.

    Where nobody answers, and the installer has not set them, the options are tried that boards of this family are also
    delivered with.
    """
    found = await _scan(bus)
    for options in registry.find(bus.driver).manifest.tries:
        # Another rate is heard as garbage. A gateway has one of its own.
        hopeful = gateway_in(bus.port) is None if "baud" in options else found.silent
        if found.boards or not hopeful or bus.options.keys() & options.keys():
            continue
        other = await _scan(msgspec.structs.replace(bus, options={**bus.options, **options}))
        found = other if other.boards else found
    return found


async def _scan(bus: BusTable) -> Found:
    boards = _boards(bus)
    line = await _looked_at(bus, boards, 1, 1)
    speaking = {x: boards[x] for x in boards if line.said.intersection(boards[x]) or x in line.noisy}
    if not speaking:
        return Found(_asking(bus, ()), {}, tuple(line.troubles) or ("it said nothing at all",), silent=True)
    again = await _looked_at(bus, speaking, LOOKS, LOOKS_MAX)
    said = line.said | again.said
    answering = {board: channels for board, channels in speaking.items() if said.intersection(channels)}
    return Found(_asking(bus, answering), answering, tuple(again.troubles))


async def _looked_at(bus: BusTable, boards: Iterable[int | None], looks: int, looks_max: int) -> "_Line":
    line = _Line(_driver(_asking(bus, boards)), asyncio.Event())
    async with line.running():
        await line.first_word()
        for done in range(looks_max):
            if done < looks or line.noisy:
                await line.look()
    return line


@asynccontextmanager
async def running(buses: Sequence[BusTable], places: Sequence[Place], *, rested: bool) -> AsyncIterator["Wires"]:
    """The buses as a scan has found them. `rested` as for the governor. Raises BadConfig."""
    stirred = asyncio.Event()
    lines = [_Line(_driver(bus), stirred) for bus in buses]
    async with AsyncExitStack() as stack:
        for line in lines:
            await stack.enter_async_context(line.running())
        await asyncio.gather(*(line.first_word() for line in lines))
        made = [Coil(bus.supply, registry.find(bus.driver).pulse_ms(bus) / 1000) for bus in buses]
        yield Wires(lines, {place: made[place.bus] for place in places}, stirred, rested=rested)


def _driver(bus: BusTable) -> Driver:
    return registry.find(bus.driver).driver(bus)


def _boards(bus: BusTable) -> dict[int | None, tuple[int, ...]]:
    """The channels of every address that there can be; of None where the bus is one device."""
    family = registry.find(bus.driver)
    if not (bus.boards or family.manifest.boards):
        return {None: _channels(family.driver(bus))}
    possible: dict[int | None, tuple[int, ...]] = {}
    for board in bus.boards or ADDRESSES:
        try:
            possible[board] = _channels(family.driver(msgspec.structs.replace(bus, boards=(board,))))
        except BadConfig:
            if bus.boards:
                raise
    if not possible:
        family.driver(bus)  # says what is wrong
    return possible


def _asking(bus: BusTable, boards: Iterable[int | None]) -> BusTable:
    return msgspec.structs.replace(bus, boards=tuple(board for board in boards if board is not None))


def _channels(driver: Driver) -> tuple[int, ...]:
    return tuple(getattr(driver, "channels", ()))


class _Line:
    """One driver, and what it has said."""

    def __init__(self, driver: Driver, stirred: asyncio.Event) -> None:
        """`stirred` is set whenever it says something."""
        self.driver = driver
        self._stirred = stirred
        self._heard = asyncio.Event()
        self.now: dict[int, DoorState] = {}
        self.before: dict[int, DoorState] = {}
        """What its contacts said when `watch` was called."""
        self.moved: dict[int, float] = {}
        """Those that have said the contrary since, and when they first did."""
        self.said: set[int] = set()
        """Channels whose board has answered at least once."""
        self._sure: set[int] = set()
        self.troubles: dict[str, None] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self.driver.run(self._hear))
        try:
            yield
        finally:
            await self.driver.close()
            await running

    async def first_word(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_WORD_S):
                await self._heard.wait()

    def watch(self) -> None:
        """From now on, until this is called again."""
        self.before, self.moved = dict(self.now), {}

    @property
    def noisy(self) -> frozenset[int]:
        return self.driver.noisy if isinstance(self.driver, SerialBus) else frozenset()

    def is_known(self, channel: int) -> bool:
        """Whether its contact has ever said open or closed."""
        return channel in self._sure

    async def look(self) -> None:
        self._see(await self.driver.read())

    def _hear(self, reading: Reading) -> None:
        if isinstance(reading, BoardLost):
            self.troubles[reading.why] = None
            self._see(dict.fromkeys(reading.channels, DoorState.UNKNOWN))
        else:
            self.said |= reading.doors.keys()
            self._see(reading.doors)
        self._heard.set()

    def _see(self, doors: Mapping[int, DoorState]) -> None:
        self._sure |= {channel for channel, state in doors.items() if state in _SURE}
        self.said |= self._sure
        self.now.update(doors)
        for channel, state in doors.items():
            was = self.before.get(channel)
            if was in _SURE and state in _SURE and state is not was:
                self.moved.setdefault(channel, asyncio.get_running_loop().time())
        self._stirred.set()


class Wires:
    """The buses of one wall, running. `coils` are all that may be pulsed."""

    def __init__(
        self, lines: Sequence[_Line], coils: Mapping[Place, Coil], stirred: asyncio.Event, *, rested: bool
    ) -> None:
        self._lines = lines
        self._places = tuple(coils)
        self._stirred = stirred
        self._monotonic = asyncio.get_running_loop().time
        self._governor = Governor(self._send, coils, self._monotonic, rested=rested)

    async def pulse(self, place: Place) -> Pulsed:
        """One pulse to one lock, and what the contacts did. Raises Fault where it could not be sent, and where a board
        that had answered does not before it or after it."""
        assert place in self._places
        # It says when, and may say later when it is asked again.
        while (wait_s := self._governor.not_before(place) - self._monotonic()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(wait_s)
        await self._look()
        if self.state(place) is DoorState.UNKNOWN and self._lines[place.bus].is_known(place.channel):
            raise Fault(f"{place} was not pulsed, for its board does not answer now")
        for line in self._lines:
            line.watch()
        await self._governor.pulse(place)
        sent_at = self._monotonic()
        if await self._until(lambda: place.channel in self._lines[place.bus].moved, OPEN_S):
            await asyncio.sleep(SETTLE_S)
        await self._look()  # at the others too: the wires may be crossed
        if self.state(place) is DoorState.UNKNOWN and self._lines[place.bus].is_known(place.channel):
            raise Fault(f"{place} was pulsed, and what its board said then is not to be believed")
        return Pulsed(self._lines[place.bus].before[place.channel], tuple(self._moves(sent_at)))

    async def are_shut(self, before: Mapping[Place, DoorState]) -> bool:
        """Whether these contacts say again, within a moment, what they said before the pulse."""
        return await self._until(lambda: all(self.state(place) is state for place, state in before.items()), SHUT_S)

    def state(self, place: Place) -> DoorState:
        return self._lines[place.bus].now.get(place.channel, DoorState.UNKNOWN)

    def troubles(self) -> list[str]:
        """What the drivers complained of since this was last asked."""
        found = [why for line in self._lines for why in line.troubles]
        for line in self._lines:
            line.troubles.clear()
        return found

    async def _send(self, place: Place) -> None:
        await self._lines[place.bus].driver.pulse(place.channel)

    async def _look(self) -> None:
        await asyncio.gather(*(line.look() for line in self._lines))

    async def _until(self, so: Callable[[], bool], within_s: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not so():
                    self._stirred.clear()
                    await self._stirred.wait()
        return so()

    def _moves(self, sent_at: float) -> Iterator[Move]:
        for place in self._places:
            line = self._lines[place.bus]
            if (at := line.moved.get(place.channel)) is not None:
                yield Move(place, round(1000 * max(0.0, at - sent_at)), line.before[place.channel])
