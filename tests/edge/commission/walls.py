"""A wall of simulated boards to be commissioned, and somebody who stands before it."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.edge.drivers.hurried import HurriedLoop

from latchwork.edge.commission.sitting import sitting
from latchwork.edge.commission.terminal import Stop, Terminal
from latchwork.edge.config import BankTable, BusTable, Tables, written
from latchwork.simulator.boards.front import LiveWall, PtyFront
from latchwork.simulator.boards.kerong import KerongBoards
from latchwork.simulator.boards.wall import Wall

PATIENCE_S = 60.0
BOARDS = (0, 3)
CHANNELS = [0, 48, 1, 49]
LABELS = dict(zip(CHANNELS, ("01", "02", "03", "04"), strict=True))
"""Each board has its first lock, and the second where `locks` is 2."""


@asynccontextmanager
async def kerong_wall(folder: Path, locks: int = 1) -> AsyncIterator[tuple[LiveWall, PtyFront]]:
    wall = Wall(CHANNELS[: 2 * locks])
    live = LiveWall(wall)
    front = PtyFront(KerongBoards(wall, BOARDS), live, folder / "line")
    await front.open()
    try:
        yield live, front
    finally:
        await front.cut()
        live.stop()


def new_file(folder: Path, locks: int = 1, boards: tuple[int, ...] = BOARDS) -> Path:
    """Where no `boards` are named, every address is asked, which takes some seconds."""
    path = folder / "bank.toml"
    bus = BusTable("kerong-cu16", str(folder / "line"), boards, {"locks_per_board": locks})
    path.write_text(written(Tables(BankTable("https://lockers.example", "state"), (bus,))))
    return path


class Installer:
    """Does what is asked of them, and looks at the doors. `stop_after`: so many answers, and they go home.

    `finish`: what they say when every channel is settled.
    """

    def __init__(
        self,
        live: LiveWall,
        labels: Mapping[int, str] = LABELS,
        stop_after: int = 200,
        finish: Sequence[str] = ("write",),
    ) -> None:
        self._live = live
        self._labels = labels
        self._left = stop_after
        self._finish = iter(finish)
        self.heard: list[str] = []

    def say(self, line: str) -> None:
        self.heard.append(line)

    async def __call__(self) -> str:
        if not self._left:
            raise Stop
        self._left -= 1
        question, hint = self.heard[-2:]
        return await self._answer(question, hint)

    async def _answer(self, question: str, hint: str) -> str:
        if "all of them shut" in question:
            await self.shut_all()
            return "yes"
        if "Pulse its lock" in question:
            return ""
        if "Which door has opened" in question:
            return " ".join(self._open()) or "-"
        if "it is shut" in hint:
            await self.shut_all()
            return ""
        if "has not gone back" in hint:
            return "no"
        if "inner width" in hint:
            return "" if "Enter: " in hint else "380 190 640"
        if "middle above the floor" in hint:
            return "900"
        if "chilled, frozen" in hint:
            return ""
        assert "write" in hint, (question, hint)
        return next(self._finish)

    def _open(self) -> list[str]:
        self._live.wall.advance(self._live.now())
        return [self._labels[door.channel] for door in self._live.wall if door.is_open]

    async def shut_all(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while any(door.is_open or door.coil_until is not None for door in self._live.wall):
                push_all(self._live)
                await asyncio.sleep(0.02)

    def said(self, pattern: str) -> list[str]:
        return [line for line in self.heard if re.search(pattern, line)]


def push_all(live: LiveWall) -> None:
    for door in live.wall:
        live.wall.close(door.channel, live.now())
    live.touched()


def hurried(story: Callable[[Path], Coroutine[None, None, None]]) -> Callable[[Path], None]:
    """A test that waits for nobody: time passes as soon as nothing is left to do."""

    def test(tmp_path: Path) -> None:
        with asyncio.Runner(loop_factory=HurriedLoop) as runner:
            runner.run(story(tmp_path))

    return test


async def commission(path: Path, installer: Installer, *, anew: bool = False) -> None:
    async with sitting(path, anew=anew, say=installer.say) as here:
        await Terminal(here, installer.say, installer).run()
