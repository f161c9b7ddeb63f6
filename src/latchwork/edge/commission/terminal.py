"""Commissioning in a terminal: one question after the other, each answered with a line."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from latchwork.edge.commission import words
from latchwork.edge.commission.sitting import Sitting
from latchwork.edge.commission.survey import (
    AllShut,
    CameBack,
    Describe,
    Described,
    Finished,
    Moved,
    PassOver,
    PulseNext,
    Senseless,
    ShutAgain,
    WhichMoved,
    Yes,
)
from latchwork.edge.config import CompartmentTable
from latchwork.edge.drivers.protocol import Fault

STDIN = 0
HELP = "(Enter: pulse it · s: nothing is wired here · rest: nor at any other left · again 17: try a channel again · q)"


class Stop(Exception):
    """The installer goes away. Everything that was answered is kept."""


class Lines(Protocol):
    async def __call__(self) -> str:
        """The installer's next line. Raises Stop."""


class Terminal:
    def __init__(self, sitting: Sitting, say: Callable[[str], None], hear: Lines) -> None:
        self._sitting = sitting
        self._say = say
        self._hear = hear

    async def run(self) -> None:
        """Until the configuration is written. Raises Stop, BadConfig, OSError."""
        done = False
        while not done:
            for trouble in self._sitting.troubles():
                self._say(f"! {trouble}")
            try:
                done = await self._turn()
            except (Senseless, Fault) as error:
                self._say(f"! {error}")

    async def _turn(self) -> bool:
        sitting = self._sitting
        asked = sitting.question
        self._say(words.asked(asked, sitting.survey))
        match asked:
            case AllShut():
                if await self._line("(yes)") in ("yes", "y"):
                    sitting.answer(Yes())
            case PulseNext(place):
                line = await self._line(HELP)
                if line in ("s", "rest"):
                    sitting.answer(PassOver(line == "rest"))
                elif not line:
                    await sitting.pulse(place)
                elif not self._is_done_again(line):
                    raise Senseless(f'"{line}" is none of these')
            case WhichMoved():
                line = await self._line("(the label on the door; several with spaces between; - for none)")
                if not line:
                    raise Senseless("name the door, or say - for none")
                sitting.answer(Moved(() if line == "-" else tuple(line.split())))
            case ShutAgain():
                await self._line("(Enter: it is shut)")
                if not await sitting.shut():
                    line = await self._line("Its contact has not gone back. (Enter: look again · no: it does not)")
                    if line == "no":
                        sitting.answer(CameBack(False))
            case Describe(door):
                sitting.answer(Described(await self._describe(door)))
            case Finished():
                return await self._finish()
        return False

    async def _describe(self, door: str) -> CompartmentTable:
        before = words.size_before(self._sitting.survey)
        size = await self._line(f"inner width, height, depth in mm{f' (Enter: {before})' if before else ''}")
        reach = await self._line("height of the door's middle above the floor in mm (Enter: not known)")
        more = await self._line("chilled, frozen, heated, gate, or a feature such as power (Enter: nothing)")
        return words.description(door, size or before, reach, more)

    async def _finish(self) -> bool:
        sitting = self._sitting
        for line in words.summary(sitting.survey, sitting.expected):
            self._say(line)
        line = await self._line("(write · again 17: try a channel again · describe 07: describe a door again · q)")
        if line == "write":
            made, paths = sitting.write()
            self._say(f"configuration {made.version}, sha256 {made.sha256}")
            for path in paths:
                self._say(f"written: {path}")
            return True
        if not self._is_done_again(line):
            raise Senseless(f'"{line}" is none of these')
        return False

    def _is_done_again(self, line: str) -> bool:
        word, _, what = line.partition(" ")
        if word == "again":
            self._sitting.again(*words.place_of(what))
        elif word == "describe":
            self._sitting.describe_again(what.strip())
        return word in ("again", "describe")

    async def _line(self, hint: str) -> str:
        self._say(hint)
        line = (await self._hear()).strip()
        if line == "q":
            raise Stop
        return line


def scripted(lines: Iterable[str]) -> Lines:
    """A script's lines, and then it goes away."""
    left = iter(lines)

    async def hear() -> str:
        for line in left:
            return line
        raise Stop

    return hear


def typed() -> Lines:
    """What is typed. A thread waits for it, so that the lines to the boards are served meanwhile."""
    loop = asyncio.get_running_loop()
    heard: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        # Not through sys.stdin, whose lock a thread that waits for ever would keep until the interpreter's end.
        rest = b""
        while data := os.read(STDIN, 4096):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                loop.call_soon_threadsafe(heard.put_nowait, line.decode(errors="replace"))
        loop.call_soon_threadsafe(heard.put_nowait, None)

    threading.Thread(target=read, daemon=True, name="typed").start()

    async def hear() -> str:
        line = await heard.get()
        if line is None:
            raise Stop
        return line

    return hear
