"""A wall, its simulated boards and the driver that believes in them: one for each kind of board and each kind of line.

A story is told at all of them at once, which takes as long as at the slowest.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.edge.drivers.hurried import HurriedLoop

from latchwork.domain.commands import See
from latchwork.domain.words import CompartmentId, DoorState
from latchwork.edge import registry
from latchwork.edge.config import BusTable
from latchwork.edge.drivers.protocol import BoardLost, DoorsSeen, Driver, Reading
from latchwork.edge.wall import Wall as EdgeWall
from latchwork.simulator.boards.boards import Boards, Faults
from latchwork.simulator.boards.front import Front, LiveWall, PtyFront, TcpFront
from latchwork.simulator.boards.kerong import KerongBoards
from latchwork.simulator.boards.lcb import LcbBoards
from latchwork.simulator.boards.modbus import ModbusBoards, ModbusTcpBoards
from latchwork.simulator.boards.wall import Wall
from latchwork.simulator.boards.winnsen import WinnsenBoards
from latchwork.simulator.boards.wkly import WklyBoards
from latchwork.simulator.ports import free_port

PATIENCE_S = 60.0
LOOK_S = 0.01
LINES = ("pty", "tcp")


@dataclass(frozen=True)
class Kind:
    """One way in which one family is set up."""

    driver: str
    boards: type[Boards[Any]]
    numbers: tuple[int, int]
    options: Mapping[str, Any] = field(default_factory=dict)
    locks: int = 0
    lines: Sequence[str] = LINES
    simulated: Mapping[str, Any] = field(default_factory=dict)
    """What its boards are told when they are made."""
    turned: bool = False
    """Whether its locks' contacts work the other way round."""


KINDS = {
    "kerong-cu16": Kind("kerong-cu16", KerongBoards, (0, 2)),
    "kerong-cu12": Kind("kerong-cu16", KerongBoards, (9, 4), {"locks_per_board": 12}, 12),
    "lcb-8a": Kind("lcb-8a", LcbBoards, (1, 7)),
    "lcb-8a lock by lock": Kind("lcb-8a", LcbBoards, (1, 7), {"locks_per_board": 8}, 8, simulated={"push": True}),
    "wkly": Kind("wkly", WklyBoards, (0, 3), simulated={"push": True}),
    "winnsen": Kind("winnsen", WinnsenBoards, (1, 200)),
    "winnsen lock by lock": Kind(
        "winnsen",
        WinnsenBoards,
        (1, 3),
        {"read": "lock", "locks_per_board": 6},
        6,
        simulated={"other_reply": True, "lock_only": True},
    ),
    "modbus-relay": Kind("modbus-relay", ModbusBoards, (1, 3)),
    "modbus-relay over Modbus TCP": Kind(
        "modbus-relay", ModbusTcpBoards, (1, 3), {"framing": "tcp", "relays": 16, "inputs": 16}, 16, ["tcp"]
    ),
}


async def until(what: Callable[[], bool]) -> None:
    """Wait for something to become true of things that have nothing to wait on. All who wait look at the same time:
    a clock that is hurried stops for each look."""
    async with asyncio.timeout(PATIENCE_S):
        while not what():
            await asyncio.sleep(LOOK_S - asyncio.get_running_loop().time() % LOOK_S)


@asynccontextmanager
async def running(driver: Driver) -> AsyncIterator[list[Reading]]:
    """A driver at work, and what it tells."""
    readings: list[Reading] = []
    task = asyncio.create_task(driver.run(readings.append))
    try:
        yield readings
    finally:
        await driver.close()
        await task


class Believer:
    """Who hears what a driver tells of a wall."""

    live: LiveWall
    readings: list[Reading]

    @property
    def wall(self) -> Wall:
        return self.live.wall

    @property
    def believed(self) -> dict[int, DoorState]:
        doors: dict[int, DoorState] = {}
        for reading in self.readings:
            match reading:
                case DoorsSeen(changed):
                    doors.update(changed)
                case BoardLost(_, channels, _):
                    doors.update(dict.fromkeys(channels, DoorState.UNKNOWN))
        return doors

    @property
    def losses(self) -> list[BoardLost]:
        return [reading for reading in self.readings if isinstance(reading, BoardLost)]

    async def until_door(self, channel: int, state: DoorState) -> None:
        await until(lambda: self.believed.get(channel) is state)

    def hand(self, action: Callable[[int, float], bool], channel: int) -> None:
        assert action(channel, self.live.now()), f"{action.__name__} of {channel} came to nothing"
        self.live.touched()


@dataclass
class Stand(Believer):
    kind: Kind
    driver: Driver
    boards: Boards[Any]
    live: LiveWall
    front: Front
    edge: EdgeWall
    channels: list[int]
    readings: list[Reading] = field(default_factory=list)
    """What the driver told."""
    sees: list[See] = field(default_factory=list)
    """What the edge made of it."""

    def told(self, channel: int) -> list[DoorState]:
        """One door's states as the edge tells them."""
        return [see.doors[door(channel)] for see in self.sees if door(channel) in see.doors]

    def channel(self, board: int, lock: int) -> int:
        """By place: the first board is 0, its first lock is 0."""
        return self.boards.channel(self.kind.numbers[board], self.boards.locks[lock])

    def of(self, board: int) -> list[int]:
        return self.boards.channels_of(self.kind.numbers[board])

    def reads(self, more: int) -> Callable[[], bool]:
        """True when the boards have been asked so many times more."""
        before = sum(not passed.from_board for passed in self.boards.log)
        return lambda: sum(not passed.from_board for passed in self.boards.log) >= before + more

    async def until_all(self, state: DoorState, channels: Iterable[int] | None = None) -> None:
        wanted = self.channels if channels is None else list(channels)
        await until(lambda: all(self.believed.get(channel) is state for channel in wanted))

    async def shut(self, channel: int) -> None:
        """Push until the latch catches: while the coil has power, the spring wins."""
        while self.wall.doors[channel].is_open:
            self.wall.close(channel, self.live.now())
            self.live.touched()
            await until(lambda: self.wall.next_change() is None)


def door(channel: int) -> CompartmentId:
    return CompartmentId(str(channel))


class _Overheard:
    """A driver whose words are kept."""

    def __init__(self, driver: Driver, readings: list[Reading]) -> None:
        self._driver = driver
        self._readings = readings
        self.pulse, self.read, self.close = driver.pulse, driver.read, driver.close

    async def run(self, tell: Callable[[Reading], None]) -> None:
        def told(reading: Reading) -> None:
            self._readings.append(reading)
            tell(reading)

        await self._driver.run(told)


@asynccontextmanager
async def stand_of(kind: Kind, line: str, faults: Faults | None = None) -> AsyncIterator[Stand]:
    family = kind.boards
    locks = family.locks[: kind.locks or family.locks_usual]
    channels = [family.channel(board, lock) for board in kind.numbers for lock in locks]
    wall = Wall(channels, pulse_s=family.pulse_s)
    for each in wall:
        each.reversed_contact = kind.turned
    boards = family(wall, kind.numbers, faults=faults, **kind.simulated)
    live = LiveWall(wall)
    with tempfile.TemporaryDirectory() as folder:
        front: Front = (
            PtyFront(boards, live, Path(folder) / "wall")
            if line == "pty"
            else TcpFront(boards, live, "127.0.0.1", free_port())
        )
        await front.open()
        bus = BusTable(kind.driver, front.port, kind.numbers, dict(kind.options))
        driver = registry.find(kind.driver).driver(bus, frozenset(channels if kind.turned else ()))
        readings: list[Reading] = []
        edge = EdgeWall(
            [_Overheard(driver, readings)],
            {door(channel): (0, channel) for channel in channels},
            coil_s=wall.pulse_s + 0.05,
        )
        stand = Stand(kind, driver, boards, live, front, edge, channels, readings)
        task = asyncio.create_task(edge.run(stand.sees.append))
        try:
            yield stand
            assert boards.collisions == 0, "something was asked while a reply was on its way"
        finally:
            await driver.close()
            await task
            await front.cut()
            live.stop()


def everywhere(
    story: Callable[[Stand], Awaitable[None]],
    kinds: Sequence[str | Kind] = tuple(KINDS),
    lines: Sequence[str] = LINES,
    faults: Sequence[Faults] = (Faults(),),
    loop: Callable[[], asyncio.AbstractEventLoop] = HurriedLoop,
) -> None:
    """Tell `story` at every kind and line, and with each of the faults, at the same time."""

    async def at(kind: Kind, line: str, fault: Faults) -> None:
        try:
            async with stand_of(kind, line, replace(fault)) as stand:
                await story(stand)
        except Exception as error:
            error.add_note(f"{kind} over {line} with {fault}")
            raise

    async def all_at_once() -> None:
        async with asyncio.TaskGroup() as group:
            for kind in (KINDS[each] if isinstance(each, str) else each for each in kinds):
                for line in set(lines) & set(kind.lines):
                    for fault in faults:
                        group.create_task(at(kind, line, fault))

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(all_at_once())
