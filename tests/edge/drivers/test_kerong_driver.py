"""The CU16 driver against simulated boards, over a real pty and over real TCP, in real time."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from latchwork.domain.words import DoorState
from latchwork.edge.drivers.kerong_cu16 import KerongCu16
from latchwork.edge.drivers.kerong_cu16.codec import Command
from latchwork.edge.drivers.protocol import BoardLost, DoorsSeen, Driver, Fault, Reading
from latchwork.simulator.boards.front import Front, LiveWall, PtyFront, TcpFront
from latchwork.simulator.boards.kerong import Faults, KerongBoards
from latchwork.simulator.boards.wall import Wall

BOARDS = (0, 2)
CHANNELS = [board * 16 + lock for board in BOARDS for lock in range(16)]
PATIENCE_S = 8.0

Lines = Callable[[KerongBoards, LiveWall], Front]


async def until(what: Callable[[], bool]) -> None:
    """Wait for something to become true of things that have nothing to wait on."""
    async with asyncio.timeout(PATIENCE_S):
        while not what():
            await asyncio.sleep(0.005)


@dataclass
class Bench:
    """A wall, its boards, and a driver that believes in them."""

    driver: KerongCu16
    boards: KerongBoards
    live: LiveWall
    front: Front
    readings: list[Reading] = field(default_factory=list)

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

    async def until_door(self, channel: int, state: DoorState) -> None:
        await until(lambda: self.believed.get(channel) is state)

    async def until_all(self, channels: Iterable[int], state: DoorState) -> None:
        wanted = list(channels)
        await until(lambda: all(self.believed.get(channel) is state for channel in wanted))

    def hand(self, action: Callable[[int, float], bool], channel: int) -> None:
        assert action(channel, self.live.now())
        self.live.touched()


@asynccontextmanager
async def bench(lines: Lines, faults: Faults | None = None) -> AsyncIterator[Bench]:
    wall = Wall(CHANNELS)
    boards = KerongBoards(wall, BOARDS, faults=faults)
    live = LiveWall(wall)
    front = lines(boards, live)
    await front.open()
    driver = KerongCu16(front.port, BOARDS)
    stand = Bench(driver, boards, live, front)
    task = asyncio.create_task(driver.run(stand.readings.append))
    try:
        yield stand
        assert_one_at_a_time(boards)
    finally:
        await driver.close()
        await task
        await front.cut()
        live.stop()


def assert_one_at_a_time(boards: KerongBoards) -> None:
    """Nothing is asked while an answer is on its way."""
    busy_until = 0.0
    for passed in boards.log:
        if passed.from_board:
            busy_until = max(busy_until, passed.at)
        else:
            assert passed.at >= busy_until, f"{passed} while a reply was due at {busy_until}"


@pytest.fixture(params=["pty", "tcp"])
def lines(request: pytest.FixtureRequest, tmp_path: Path) -> Lines:
    def make(boards: KerongBoards, live: LiveWall) -> Front:
        if request.param == "pty":
            return PtyFront(boards, live, tmp_path / "wall")
        return TcpFront(boards, live, "127.0.0.1", 0)

    return make


@pytest.fixture
def pty_line(tmp_path: Path) -> Lines:
    return lambda boards, live: PtyFront(boards, live, tmp_path / "wall")


def unlocks(stand: Bench) -> list[float]:
    return [each.at for each in stand.boards.log if each.frame is not None and each.frame.command == Command.UNLOCK]


def test_it_is_a_driver() -> None:
    driver: Driver = KerongCu16("socket://127.0.0.1:23", [0])
    assert driver


@pytest.mark.parametrize("boards", [(), (0, 0), (10,), (-1,)])
def test_addresses_that_cannot_be_are_refused(boards: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="boards"):
        KerongCu16("socket://127.0.0.1:23", boards)


def test_a_gateway_needs_a_port() -> None:
    with pytest.raises(ValueError, match="socket://host:port"):
        KerongCu16("socket://gateway", [0])


async def test_the_first_telling_names_every_door_and_then_only_changes(lines: Lines) -> None:
    async with bench(lines) as stand:
        await stand.until_all(CHANNELS, DoorState.CLOSED)
        first = [reading for reading in stand.readings if isinstance(reading, DoorsSeen)]
        assert sorted(channel for reading in first for channel in reading.doors) == CHANNELS
        stand.hand(stand.wall.force, 35)
        await stand.until_door(35, DoorState.OPEN)
        assert stand.readings[-1] == DoorsSeen({35: DoorState.OPEN})


async def test_a_pulse_opens_one_door_and_it_is_seen_within_half_a_second(lines: Lines) -> None:
    async with bench(lines) as stand:
        await stand.until_all(CHANNELS, DoorState.CLOSED)
        began = time.monotonic()
        await stand.driver.pulse(33)
        await stand.until_door(33, DoorState.OPEN)
        assert time.monotonic() - began < 0.5
        assert [door.channel for door in stand.wall if door.pulses] == [33]
        stand.hand(stand.wall.close, 33)
        # The coil may still have power: then the spring opens the door once more.
        await until(lambda: stand.wall.next_change() is None)
        if stand.wall.doors[33].is_open:
            stand.hand(stand.wall.close, 33)
        await stand.until_door(33, DoorState.CLOSED)


async def test_a_door_pushed_before_its_latch_can_catch_was_never_shut(lines: Lines) -> None:
    async with bench(lines) as stand:
        await stand.until_all(CHANNELS, DoorState.CLOSED)
        await stand.driver.pulse(33)
        await stand.until_door(33, DoorState.OPEN)
        stand.hand(stand.wall.close, 33)
        await until(lambda: stand.wall.next_change() is None)
        assert stand.wall.doors[33].is_open, "the spring wins while the coil has power"
        stand.hand(stand.wall.close, 33)
        await stand.until_door(33, DoorState.CLOSED)
        seen = [
            reading.doors[33] for reading in stand.readings if isinstance(reading, DoorsSeen) and 33 in reading.doors
        ]
        assert seen == [DoorState.CLOSED, DoorState.OPEN, DoorState.CLOSED]


async def test_a_jammed_door_stays_closed_and_is_pulsed_once(lines: Lines) -> None:
    async with bench(lines) as stand:
        await stand.until_all(CHANNELS, DoorState.CLOSED)
        stand.hand(stand.wall.jam, 1)
        await stand.driver.pulse(1)
        await asyncio.sleep(0.8)
        assert stand.believed[1] is DoorState.CLOSED
        assert stand.wall.doors[1].pulses == len(unlocks(stand)) == 1


async def test_pulses_keep_their_order_and_their_distance(lines: Lines) -> None:
    async with bench(lines) as stand:
        await stand.until_all(CHANNELS, DoorState.CLOSED)
        await asyncio.gather(stand.driver.pulse(2), stand.driver.pulse(0))
        await until(lambda: len(unlocks(stand)) == 2)
        first, second = unlocks(stand)
        assert second - first >= 0.09
        await stand.until_door(0, DoorState.OPEN)


async def test_a_board_that_falls_silent_is_lost_once_and_named_in_full_when_it_returns(lines: Lines) -> None:
    async with bench(lines) as stand:
        await stand.until_all(CHANNELS, DoorState.CLOSED)
        stand.boards.silent.add(2)
        await until(lambda: isinstance(stand.readings[-1], BoardLost))
        await asyncio.sleep(1.5)
        lost = [reading for reading in stand.readings if isinstance(reading, BoardLost)]
        assert [(each.board, each.channels) for each in lost] == [(2, tuple(range(32, 48)))]
        assert stand.believed[0] is DoorState.CLOSED
        seen = await stand.driver.read()
        assert {seen[channel] for channel in range(32, 48)} == {DoorState.UNKNOWN}
        assert {seen[channel] for channel in range(16)} == {DoorState.CLOSED}
        stand.boards.silent.clear()
        await stand.until_all(CHANNELS, DoorState.CLOSED)
        assert stand.readings[-1] == DoorsSeen(dict.fromkeys(range(32, 48), DoorState.CLOSED))


async def test_power_cut_at_the_wall_loses_every_board_and_opens_nothing_on_return(lines: Lines) -> None:
    async with bench(lines) as stand:
        await stand.until_all(CHANNELS, DoorState.CLOSED)
        stand.wall.cut_power(stand.live.now())
        await stand.until_all(CHANNELS, DoorState.UNKNOWN)
        stand.wall.restore_power(stand.live.now())
        await stand.until_all(CHANNELS, DoorState.CLOSED)
        assert unlocks(stand) == []


async def test_a_line_that_vanishes_is_opened_again_when_it_returns(lines: Lines) -> None:
    async with bench(lines) as stand:
        await stand.until_all(CHANNELS, DoorState.CLOSED)
        await stand.front.cut()
        await stand.until_all(CHANNELS, DoorState.UNKNOWN)
        with pytest.raises(Fault):
            await stand.driver.pulse(0)
        assert set((await stand.driver.read()).values()) == {DoorState.UNKNOWN}
        await stand.front.open()
        await stand.until_all(CHANNELS, DoorState.CLOSED)
        assert len([reading for reading in stand.readings if isinstance(reading, BoardLost)]) == len(BOARDS)
        await stand.driver.pulse(0)
        await stand.until_door(0, DoorState.OPEN)
        assert stand.wall.doors[0].pulses == 1


async def test_it_waits_for_a_port_that_is_not_there_yet(tmp_path: Path) -> None:
    wall = Wall(range(16))
    live = LiveWall(wall)
    front = PtyFront(KerongBoards(wall, [0]), live, tmp_path / "later")
    driver = KerongCu16(str(tmp_path / "later"), [0])
    readings: list[Reading] = []
    task = asyncio.create_task(driver.run(readings.append))
    await asyncio.sleep(0.4)
    assert [type(reading) for reading in readings] == [BoardLost]
    await front.open()
    await until(lambda: isinstance(readings[-1], DoorsSeen))
    await driver.close()
    await task
    await front.cut()


@pytest.mark.parametrize(
    "faults",
    [
        Faults(noise=0.7),
        Faults(truncated=0.3),
        Faults(bit_flip=0.3),
        Faults(wrong_address=0.3),
        Faults(doubled=1.0),
        Faults(echo=True),
        Faults(late=0.3, late_s=0.1),
        Faults(silence=0.3),
    ],
    ids=str,
)
async def test_a_bad_line_delays_the_truth_and_never_bends_it(pty_line: Lines, faults: Faults) -> None:
    async with bench(pty_line, faults) as stand:
        await stand.until_all(CHANNELS, DoorState.CLOSED)
        await stand.driver.pulse(5)
        await stand.until_door(5, DoorState.OPEN)
        for reading in stand.readings:
            if isinstance(reading, DoorsSeen):
                assert DoorState.OPEN not in {state for channel, state in reading.doors.items() if channel != 5}


async def test_a_reply_that_comes_too_late_is_a_miss(pty_line: Lines) -> None:
    async with bench(pty_line, Faults(late=1.0, late_s=0.3)) as stand:
        await stand.until_all(CHANNELS, DoorState.UNKNOWN)
        stand.boards.faults = Faults()
        await stand.until_all(CHANNELS, DoorState.CLOSED)
        # Overlap is what the fault was for.
        stand.boards.log.clear()


async def test_a_pulse_waits_for_the_reply_that_is_due_and_for_no_retry(pty_line: Lines) -> None:
    async with bench(pty_line) as stand:
        await stand.until_all(CHANNELS, DoorState.CLOSED)
        stand.boards.silent.update(BOARDS)
        worst = 0.0
        for _ in range(3):
            await asyncio.sleep(0.13)
            began = time.monotonic()
            await stand.driver.pulse(4)
            worst = max(worst, time.monotonic() - began)
        assert worst < 0.3


async def test_a_pulse_taken_back_before_it_is_sent_is_not_sent(pty_line: Lines) -> None:
    async with bench(pty_line) as stand:
        await stand.until_all(CHANNELS, DoorState.CLOSED)
        await stand.driver.pulse(6)
        # The gap after the first holds the second back for a tenth of a second.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.03):
                await stand.driver.pulse(7)
        await stand.until_door(6, DoorState.OPEN)
        await asyncio.sleep(0.3)
        assert stand.wall.doors[7].pulses == 0


async def test_a_pulse_that_waits_when_the_line_goes_fails_and_is_not_sent_later(pty_line: Lines) -> None:
    async with bench(pty_line) as stand:
        await stand.until_all(CHANNELS, DoorState.CLOSED)
        await stand.driver.pulse(6)
        waiting = asyncio.create_task(stand.driver.pulse(7))
        await asyncio.sleep(0.01)
        await stand.front.cut()
        with pytest.raises(Fault):
            await waiting
        await stand.front.open()
        await stand.until_door(0, DoorState.CLOSED)
        await asyncio.sleep(0.3)
        assert stand.wall.doors[7].pulses == 0


async def test_polls_are_slow_at_rest_and_fast_after_a_pulse(pty_line: Lines) -> None:
    async with bench(pty_line) as stand:
        await stand.until_all(CHANNELS, DoorState.CLOSED)
        stand.boards.log.clear()
        await asyncio.sleep(2.2)
        assert 2 <= len(reads_of(stand, 0)) <= 3
        await stand.driver.pulse(0)
        stand.boards.log.clear()
        await asyncio.sleep(1.2)
        assert len(reads_of(stand, 0)) >= 9
        assert len(reads_of(stand, 2)) <= 2


def reads_of(stand: Bench, board: int) -> list[float]:
    return [
        each.at
        for each in stand.boards.log
        if each.frame is not None and each.frame.command == Command.READ and each.frame.board == board
    ]


async def test_read_asks_now_and_tells_what_it_finds(lines: Lines) -> None:
    async with bench(lines) as stand:
        await stand.until_all(CHANNELS, DoorState.CLOSED)
        stand.hand(stand.wall.force, 40)
        first, second = await asyncio.gather(stand.driver.read(), stand.driver.read())
        assert first[40] is second[40] is DoorState.OPEN
        assert stand.believed[40] is DoorState.OPEN
        assert sorted(first) == CHANNELS


async def test_a_channel_on_no_board_is_our_mistake(pty_line: Lines) -> None:
    async with bench(pty_line) as stand:
        for channel in (16, 48, -1, 0xF0):
            with pytest.raises(ValueError, match="channel"):
                await stand.driver.pulse(channel)


async def test_cancelling_the_owner_lets_go_of_everything(pty_line: Lines) -> None:
    async with bench(pty_line) as stand:
        await stand.until_all(CHANNELS, DoorState.CLOSED)
    other: list[Reading] = []
    wall = Wall(range(16))
    live = LiveWall(wall)
    front = PtyFront(KerongBoards(wall, [0]), live)
    await front.open()
    driver = KerongCu16(front.port, [0])
    for _ in range(2):
        other.clear()
        task = asyncio.create_task(driver.run(other.append))
        await until(lambda: other != [])
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(Fault):
            await driver.pulse(0)
    await driver.close()
    await front.cut()


@pytest.mark.skipif(sys.platform == "win32", reason="no uvloop there")
def test_it_drives_under_uvloop_too(lines: Lines) -> None:
    import uvloop

    async def story() -> None:
        async with bench(lines) as stand:
            await stand.until_all(CHANNELS, DoorState.CLOSED)
            await stand.driver.pulse(33)
            await stand.until_door(33, DoorState.OPEN)
            await stand.front.cut()
            await stand.until_all(CHANNELS, DoorState.UNKNOWN)

    uvloop.run(story())
