"""The hands of a simulated wall over HTTP: a page for people, JSON for tests, and a live stream for both.

Unguarded by design, so it belongs on a loopback address. It decides nothing: it moves hands, cables and switches.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec
from litestar import Litestar, MediaType, Response, get, post
from litestar.exceptions import ClientException, NotFoundException
from litestar.response import File, ServerSentEvent, ServerSentEventMessage
from litestar.static_files import create_static_files_router

from latchwork.domain.words import DoorState
from latchwork.simulator.boards.front import Front, LiveWall
from latchwork.simulator.boards.wall import FAULTS, Door, Wall

PAGE = Path(__file__).with_name("page")
STEP_CELSIUS = 1.0
TWIN_S = 0.02
"""How long after the board its twin answers."""

HANDS: dict[str, Callable[[Wall, int, float], bool]] = {
    "open": Wall.open,
    "close": Wall.close,
    "force": Wall.force,
    "put": Wall.put,
    "take": Wall.take,
    "jam": Wall.jam,
    "unjam": Wall.unjam,
}


class DoorView(msgspec.Struct, frozen=True):
    channel: int
    board: int
    lock: int
    label: str
    door: DoorState
    item: bool
    jammed: bool
    pulses: int
    faults: list[str]


class WallView(msgspec.Struct, frozen=True):
    family: str
    """What speaks on the line: the first word after `latchwork board`."""
    power: bool
    line: bool
    port: str
    """What a driver has to be given."""
    brown_outs: int
    silent_boards: list[int]
    twin_boards: list[int]
    """Whose address a second board has."""
    celsius: float
    """Inside, for the boards that measure it."""
    doors: list[DoorView]


class Hardware(Protocol):
    """What is between line and wall, as far as a visitor of the page can lay a hand on it."""

    @property
    def boards(self) -> Sequence[int]: ...
    @property
    def silent(self) -> set[int]: ...
    @property
    def twins(self) -> dict[int, float] | None:
        """None where boards have no addresses that another could share."""

    def place(self, channel: int) -> tuple[int, int]: ...
    def restart(self, board: int, now: float) -> None: ...


@dataclass(slots=True)
class Controls:
    """Everything a visitor of the page can lay a hand on."""

    live: LiveWall
    boards: Hardware
    front: Front
    family: str = ""
    labels: Mapping[int, str] = field(default_factory=dict)
    """What stands on the doors, by channel, where somebody told us."""
    line: bool = True

    @property
    def wall(self) -> Wall:
        return self.live.wall

    def view(self) -> WallView:
        return WallView(
            family=self.family,
            power=self.wall.has_power,
            line=self.line,
            port=self.front.port,
            brown_outs=self.wall.brown_outs,
            silent_boards=sorted(self.boards.silent),
            twin_boards=sorted(self.boards.twins or ()),
            celsius=self.wall.celsius,
            doors=[self._door(door) for door in self.wall],
        )

    def _door(self, door: Door) -> DoorView:
        board, lock = self.boards.place(door.channel)
        return DoorView(
            channel=door.channel,
            board=board,
            lock=lock,
            label=self.labels.get(door.channel, ""),
            door=DoorState.OPEN if door.is_open else DoorState.CLOSED,
            item=door.item,
            jammed=door.jammed,
            pulses=door.pulses,
            faults=[fault for fault in FAULTS if getattr(door, fault)],
        )

    def door(self, channel: int) -> Door:
        try:
            return self.wall.doors[channel]
        except KeyError:
            raise NotFoundException(f"This wall has no channel {channel}.") from None

    def act(self, channel: int, action: str) -> DoorView:
        door = self.door(channel)
        if action not in HANDS:
            raise NotFoundException(f"Hands cannot '{action}'. They can {', '.join(HANDS)}.")
        if not HANDS[action](self.wall, channel, self.live.now()):
            raise ClientException(_nothing_came_of(action, door), status_code=409)
        self.live.touched()
        return self._door(door)

    def afflict(self, channel: int, fault: str, *, present: bool) -> DoorView:
        door = self.door(channel)
        if fault not in FAULTS:
            raise NotFoundException(f"Locks do not have '{fault}'. They can have {', '.join(FAULTS)}.")
        setattr(door, fault, present)
        self.live.touched()
        return self._door(door)

    def switch_power(self, *, on: bool) -> WallView:
        (self.wall.restore_power if on else self.wall.cut_power)(self.live.now())
        self.live.touched()
        return self.view()

    async def switch_line(self, *, on: bool) -> WallView:
        await (self.front.open if on else self.front.cut)()
        self.line = on
        self.live.touched()
        return self.view()

    def set_climate(self, change: str) -> WallView:
        match change:
            case "warm":
                self.wall.celsius += STEP_CELSIUS
            case "cool":
                self.wall.celsius -= STEP_CELSIUS
            case _:
                self.wall.celsius = _celsius(change)
        self.live.touched()
        return self.view()

    def do_to_board(self, board: int, change: str) -> WallView:
        if board not in self.boards.boards:
            raise NotFoundException(f"This wall has no board {board}.")
        match change:
            case "silence":
                self.boards.silent.add(board)
            case "answer":
                self.boards.silent.discard(board)
            case "twin" if self.boards.twins is not None:
                self.boards.twins[board] = TWIN_S
            case "alone" if self.boards.twins is not None:
                self.boards.twins.pop(board, None)
            case "restart":
                self.boards.restart(board, self.live.now())
            case _:
                does = "silence, answer and restart" + (", twin and alone" if self.boards.twins is not None else "")
                raise NotFoundException(f"Nobody can {change} this board. There are {does}.")
        self.live.touched()
        return self.view()


def make_app(controls: Controls) -> Litestar:
    """The application that lays these controls open."""

    @get("/", media_type=MediaType.HTML, include_in_schema=False)
    async def page() -> File:
        return File(PAGE / "index.html", media_type=MediaType.HTML, content_disposition_type="inline")

    @get("/doors")
    async def doors() -> list[DoorView]:
        return controls.view().doors

    @get("/wall")
    async def wall() -> WallView:
        return controls.view()

    @get("/events")
    async def events() -> ServerSentEvent:
        return ServerSentEvent(_changes(controls))

    @post("/doors/{channel:int}/{action:str}", status_code=200)
    async def hand(channel: int, action: str) -> DoorView:
        return controls.act(channel, action)

    @post("/doors/{channel:int}/{fault:str}/{change:str}", status_code=200)
    async def affliction(channel: int, fault: str, change: str) -> DoorView:
        return controls.afflict(channel, fault, present=_switched(change, on="begin", off="end"))

    @post("/power/{change:str}", status_code=200)
    async def power(change: str) -> WallView:
        return controls.switch_power(on=_switched(change, on="restore", off="cut"))

    @post("/line/{change:str}", status_code=200)
    async def line(change: str) -> WallView:
        return await controls.switch_line(on=_switched(change, on="restore", off="cut"))

    @post("/climate/{change:str}", status_code=200)
    async def climate(change: str) -> WallView:
        return controls.set_climate(change)

    @post("/boards/{board:int}/{change:str}", status_code=200)
    async def board(board: int, change: str) -> WallView:
        return controls.do_to_board(board, change)

    files = create_static_files_router("/page", [PAGE])
    return Litestar(
        [page, doors, wall, events, hand, affliction, power, line, climate, board, files],
        openapi_config=None,
        after_request=_guarded,
    )


async def _changes(controls: Controls) -> AsyncIterator[ServerSentEventMessage]:
    """The whole wall now and after every change. Changes that come while one is being sent are sent as one."""
    changed = asyncio.Event()
    unlisten = controls.live.listen(changed.set)
    try:
        while True:
            changed.clear()
            yield ServerSentEventMessage(data=msgspec.json.encode(controls.view()).decode(), event="wall")
            await changed.wait()
    finally:
        unlisten()


def _guarded(response: Response[object]) -> Response[object]:
    response.headers["content-security-policy"] = "default-src 'self'; img-src data:; frame-ancestors 'none'"
    response.headers["cache-control"] = "no-store"
    return response


def _celsius(text: str) -> float:
    try:
        celsius = float(text)
    except ValueError:
        celsius = math.nan
    if not -60 <= celsius <= 125:
        raise NotFoundException(f"'{text}' is neither warm nor cool, nor degrees from -60 to 125.")
    return celsius


def _switched(change: str, *, on: str, off: str) -> bool:
    if change not in (on, off):
        raise NotFoundException(f"'{change}' is neither {on} nor {off}.")
    return change == on


def _nothing_came_of(action: str, door: Door) -> str:
    match action:
        case "put" | "take" if not door.is_open:
            return f"Door {door.channel} is closed."
        case "put":
            return f"There is something in {door.channel} already."
        case "take":
            return f"There is nothing in {door.channel}."
        case "open" | "force" if door.is_open:
            return f"Door {door.channel} is open already."
        case "open" | "close" if door.jammed:
            return f"Door {door.channel} is jammed."
        case "open":
            return f"Door {door.channel} is locked."
        case "close":
            return f"Door {door.channel} is closed already."
        case _:
            return f"Door {door.channel} is so already."
