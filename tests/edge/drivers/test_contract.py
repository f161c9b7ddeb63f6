"""What every driver of a serial board promises, told at every kind of board over a real pty and over real TCP."""

import asyncio
import sys
import tempfile
import termios
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from tests.edge.drivers.bench import KINDS, Stand, everywhere, running, stand_of, until

from latchwork.domain.words import DoorState
from latchwork.edge import drivers, registry
from latchwork.edge.config import BusTable
from latchwork.edge.drivers.bus import IDLE_POLL_S
from latchwork.edge.drivers.modbus_relay.modbus import Message
from latchwork.edge.drivers.protocol import BoardLost, DoorsSeen, Fault, Reading
from latchwork.simulator.boards.boards import Faults
from latchwork.simulator.boards.front import LiveWall, PtyFront, TcpFront
from latchwork.simulator.boards.wall import Wall

OPEN, CLOSED, UNKNOWN = DoorState.OPEN, DoorState.CLOSED, DoorState.UNKNOWN


def opened(stand: Stand) -> list[int]:
    """Doors that somebody was told stand open."""
    seen = [reading.doors for reading in stand.readings if isinstance(reading, DoorsSeen)]
    return sorted({channel for doors in seen for channel, state in doors.items() if state is OPEN})


def test_the_first_telling_names_every_door_and_then_only_changes() -> None:
    async def story(stand: Stand) -> None:
        await stand.until_all(CLOSED)
        seen = [reading for reading in stand.readings if isinstance(reading, DoorsSeen)]
        assert sorted(channel for reading in seen for channel in reading.doors) == sorted(stand.channels)
        forced = stand.channel(1, 3)
        stand.hand(stand.wall.force, forced)
        await stand.until_door(forced, OPEN)
        assert stand.readings[-1] == DoorsSeen({forced: OPEN})
        assert len(stand.readings) == len(stand.kind.numbers) + 1

    everywhere(story)


def test_a_pulse_is_one_frame_that_opens_one_door() -> None:
    async def story(stand: Stand) -> None:
        await stand.until_all(CLOSED)
        channel = stand.channel(1, len(stand.of(1)) - 1)
        await stand.driver.pulse(channel)
        await stand.until_door(channel, OPEN)
        await stand.shut(channel)
        await stand.until_door(channel, CLOSED)
        assert [unlock.channel for unlock in stand.boards.unlocks] == [channel]
        assert [each.channel for each in stand.wall if each.pulses] == [channel]

    everywhere(story)


def test_an_unlock_is_never_sent_again_whatever_becomes_of_it() -> None:
    async def story(stand: Stand) -> None:
        await stand.until_all(CLOSED)
        jammed, stuck, unheard = (stand.channel(0, lock) for lock in (0, 1, 2))
        stand.hand(stand.wall.jam, jammed)
        stand.wall.doors[stuck].stuck_coil = True
        await stand.driver.pulse(jammed)
        await stand.driver.pulse(stuck)
        stand.boards.faults.deaf = 1.0
        await stand.driver.pulse(unheard)
        await until(lambda: stand.losses != [])
        stand.boards.faults.deaf = 0.0
        await stand.until_all(CLOSED)
        await until(stand.reads(10))
        assert [unlock.channel for unlock in stand.boards.unlocks] == [jammed, stuck, unheard]
        assert opened(stand) == []

    everywhere(story)


def test_a_silent_board_is_lost_once_and_named_in_full_when_it_returns() -> None:
    async def story(stand: Stand) -> None:
        await stand.until_all(CLOSED)
        number, lost, rest = stand.kind.numbers[1], stand.of(1), stand.of(0)
        stand.boards.silent.add(number)
        await stand.until_all(UNKNOWN, lost)
        seen = await stand.driver.read()
        assert {seen[channel] for channel in lost} == {UNKNOWN}
        assert {seen[channel] for channel in rest} == {CLOSED}
        await until(stand.reads(4))
        (loss,) = stand.losses
        assert (loss.board, loss.channels) == (number, tuple(lost))
        assert loss.why.startswith(f"board {number} did not answer ")
        assert {stand.believed[channel] for channel in rest} == {CLOSED}
        stand.boards.silent.clear()
        await stand.until_all(CLOSED)
        assert stand.readings[-1] == DoorsSeen(dict.fromkeys(lost, CLOSED))

    everywhere(story)


def test_a_dead_bus_is_one_cause() -> None:
    async def story(stand: Stand) -> None:
        await stand.until_all(CLOSED)
        stand.wall.cut_power(stand.live.now())
        await stand.until_all(UNKNOWN)
        await until(stand.reads(4))
        (loss,) = stand.losses
        assert (loss.board, sorted(loss.channels)) == (None, sorted(stand.channels))
        assert loss.why.startswith("boards ") and "did not answer" in loss.why
        stand.wall.restore_power(stand.live.now())
        await stand.until_all(CLOSED)
        assert stand.boards.unlocks == []

    everywhere(story)


def test_a_cable_pulled_is_one_cause_and_put_back_is_used_again() -> None:
    async def story(stand: Stand) -> None:
        await stand.until_all(CLOSED)
        channel = stand.channel(0, 0)
        await stand.driver.pulse(channel)
        await until(lambda: stand.boards.unlocks != [])
        waiting = asyncio.create_task(stand.driver.pulse(stand.channel(0, 1)))
        await asyncio.sleep(0)
        await stand.front.cut()
        with pytest.raises(Fault):
            await waiting
        await stand.until_all(UNKNOWN)
        with pytest.raises(Fault):
            await stand.driver.pulse(channel)
        assert set((await stand.driver.read()).values()) == {UNKNOWN}
        assert [(loss.board, len(loss.channels)) for loss in stand.losses] == [(None, len(stand.channels))]
        await stand.front.open()
        await stand.until_all(CLOSED, stand.channels[1:])
        await until(stand.reads(4))
        assert [unlock.channel for unlock in stand.boards.unlocks] == [channel]
        assert len(stand.losses) == 1
        await stand.driver.pulse(stand.channel(1, 0))
        await stand.until_door(stand.channel(1, 0), OPEN)

    everywhere(story)


def test_a_reply_that_is_missing_once_is_asked_for_again() -> None:
    async def story(stand: Stand) -> None:
        await stand.until_all(CLOSED)
        stand.boards.silent.update(stand.kind.numbers)
        asked = asyncio.create_task(stand.driver.read())
        await until(stand.reads(2))
        stand.boards.silent.clear()
        assert set((await asked).values()) == {CLOSED} and stand.losses == []

    everywhere(story)


def test_a_board_that_restarts_in_the_middle_of_a_pulse_opens_nothing_and_comes_back() -> None:
    async def story(stand: Stand) -> None:
        await stand.until_all(CLOSED)
        channel = stand.channel(0, 4)
        await stand.driver.pulse(channel)
        await until(lambda: stand.wall.doors[channel].pulses == 1)
        stand.boards.restart(stand.kind.numbers[0], stand.live.now())
        await until(stand.reads(12))
        await until(lambda: stand.believed[channel] is not UNKNOWN)
        # Where the driver waits for the answer to its unlock, the board may be back before it is asked again.
        assert {loss.board for loss in stand.losses} <= {stand.kind.numbers[0]} and len(stand.losses) <= 1
        assert len(stand.boards.unlocks) == 1
        assert opened(stand) in ([], [channel])  # the spring may have been faster

    everywhere(story)


def test_what_is_wrong_with_the_answers_is_named_once_and_believed_in_nothing() -> None:
    async def story(stand: Stand) -> None:
        match stand.boards.faults:
            case Faults(garbled=1.0):
                says = "answered with garbage"
            case Faults(wrong_address=1.0):
                says = "look at the addresses"
            case Faults(echo=True):
                says = "the adapter echoes what is sent"
            case _:
                says = "did not answer"
        await stand.until_all(UNKNOWN)
        await until(stand.reads(4))
        (loss,) = stand.losses
        assert says in loss.why
        assert opened(stand) == []
        stand.boards.faults = Faults()
        stand.boards.hush()
        await stand.until_all(CLOSED)

    faults = Faults(garbled=1.0), Faults(wrong_address=1.0), Faults(echo=True, deaf=1.0), Faults(late=1.0, late_s=99.0)
    everywhere(story, faults=faults)


@pytest.mark.parametrize("delay_s", [0.0, 0.02])
def test_two_boards_of_one_address_are_named_and_not_believed(delay_s: float) -> None:
    async def story(stand: Stand) -> None:
        await stand.until_all(CLOSED)
        number = stand.kind.numbers[0]
        stand.boards.twins[number] = delay_s
        await stand.until_all(UNKNOWN, stand.of(0))
        (loss,) = stand.losses
        assert loss.board == number
        assert ("two of that address" if delay_s else "two boards of one address") in loss.why
        await until(stand.reads(4))
        assert len(stand.losses) == 1
        assert opened(stand) == []
        stand.boards.twins.clear()
        await stand.until_all(CLOSED)

    everywhere(story)


def test_a_bad_line_delays_the_truth_and_never_bends_it() -> None:
    async def story(stand: Stand) -> None:
        await stand.until_all(CLOSED)
        channel = stand.channel(0, 5)
        await stand.driver.pulse(channel)
        await stand.until_door(channel, OPEN)
        assert opened(stand) == [channel]

    faults = (
        Faults(noise=0.7),
        Faults(truncated=0.3),
        Faults(bit_flip=0.3),
        Faults(wrong_address=0.3),
        Faults(doubled=1.0),
        Faults(echo=True),
        Faults(late=0.3, late_s=0.05),
        Faults(silence=0.3),
    )
    everywhere(story, lines=["pty"], faults=faults)


def test_every_contact_of_a_board_that_opens_at_once_is_one_broken_wire() -> None:
    async def story(stand: Stand) -> None:
        await stand.until_all(CLOSED)
        ours = stand.of(0)
        for channel in ours:
            stand.wall.doors[channel].broken_wire = True
        await stand.until_all(UNKNOWN, ours)
        await until(stand.reads(4))
        (loss,) = stand.losses
        assert loss.board == stand.kind.numbers[0] and "common wire" in loss.why
        assert opened(stand) == []
        seen = await stand.driver.read()
        assert {seen[channel] for channel in ours} == {UNKNOWN}
        for channel in ours[1:]:
            stand.wall.doors[channel].broken_wire = False
        await stand.until_all(CLOSED, ours[1:])
        assert stand.believed[ours[0]] is OPEN

    everywhere(story)


def test_nor_is_it_believed_after_a_silence_or_where_contacts_are_the_other_way_round() -> None:
    async def story(stand: Stand) -> None:
        shut, opened = (OPEN, CLOSED) if stand.kind.turned else (CLOSED, OPEN)
        await stand.until_all(shut)
        number, ours = stand.kind.numbers[0], stand.of(0)
        doors = [stand.wall.doors[channel] for channel in ours]
        fault = "stuck_contact" if stand.kind.turned else "broken_wire"
        stand.boards.silent.add(number)
        await stand.until_all(UNKNOWN, ours)
        for door in doors:
            setattr(door, fault, True)
        stand.boards.silent.clear()
        await until(stand.reads(30))
        assert {stand.believed[channel] for channel in ours} == {UNKNOWN} and len(stand.losses) == 1
        for door in doors:
            setattr(door, fault, False)
        await stand.until_all(shut, ours)
        for door in doors:
            setattr(door, fault, True)
        await stand.until_all(UNKNOWN, ours)
        assert ["common wire" in loss.why for loss in stand.losses] == [False, True]
        setattr(doors[1], fault, False)
        await stand.until_door(ours[1], shut)
        assert stand.believed[ours[0]] is opened

    everywhere(story, [replace(KINDS[name], turned=turned) for name in KINDS for turned in (False, True)], ["pty"])


def test_a_contact_that_bounces_is_unknown_once_and_spoils_no_other() -> None:
    async def story(stand: Stand) -> None:
        await stand.until_all(CLOSED)
        worn, sound = stand.channel(0, 2), stand.channel(0, 3)
        stand.wall.doors[worn].bouncing_contact = True
        stand.live.touched()
        await until(lambda: stand.told(worn)[-1] is UNKNOWN)
        await until(stand.reads(20))
        assert stand.told(worn).index(UNKNOWN) == len(stand.told(worn)) - 1
        await stand.driver.pulse(sound)
        await until(lambda: stand.told(sound) == [CLOSED, OPEN])

    everywhere(story)


def test_a_door_pushed_before_its_latch_can_catch_was_never_shut() -> None:
    async def story(stand: Stand) -> None:
        await stand.until_all(CLOSED)
        channel = stand.channel(1, 1)
        await stand.edge.pulse(str(channel))  # type: ignore[arg-type]
        await until(lambda: stand.wall.doors[channel].is_open)
        stand.wall.close(channel, stand.live.now())
        stand.live.touched()
        await until(lambda: stand.told(channel)[-1] is OPEN and stand.wall.next_change() is None)
        await stand.shut(channel)
        await until(lambda: stand.told(channel) == [CLOSED, OPEN, CLOSED])

    # Elsewhere the pulse is over before the driver looks.
    everywhere(story, ["kerong-cu16", "kerong-cu12"])


def test_pulses_keep_their_order_and_their_distance_and_can_be_taken_back() -> None:
    async def story(stand: Stand) -> None:
        await stand.until_all(CLOSED)
        first, taken_back, last = (stand.channel(0, lock) for lock in (2, 1, 0))
        sent = [asyncio.create_task(stand.driver.pulse(channel)) for channel in (first, taken_back, last)]
        await sent[0]
        assert not sent[1].done()
        sent[1].cancel()
        await sent[2]
        await until(lambda: len(stand.boards.unlocks) == 2)
        one, other = stand.boards.unlocks
        assert (one.channel, other.channel) == (first, last)
        assert other.at - one.at > 0.09
        await stand.until_door(last, OPEN)
        assert stand.wall.doors[taken_back].pulses == 0

    everywhere(story)


def test_read_asks_now() -> None:
    async def story(stand: Stand) -> None:
        await stand.until_all(CLOSED)
        forced = stand.channel(1, 2)
        stand.hand(stand.wall.force, forced)
        one, other = await asyncio.gather(stand.driver.read(), stand.driver.read())
        assert one[forced] is other[forced] is stand.believed[forced] is OPEN
        assert sorted(one) == sorted(stand.channels)

    everywhere(story)


def test_a_channel_on_no_board_is_our_mistake() -> None:
    async def story(stand: Stand) -> None:
        await stand.until_all(CLOSED)
        for channel in (-1, max(stand.channels) + 1, 0xF0, 0xFFFF):
            with pytest.raises(ValueError, match="channel"):
                await stand.driver.pulse(channel)

    everywhere(story)


def test_at_rest_a_board_is_polled_no_more_than_once_a_second() -> None:
    async def story(stand: Stand) -> None:
        await stand.until_all(CLOSED)
        stand.boards.log.clear()

        def is_calm() -> bool:
            """A request that a busy machine answered too late is made again at once, so wait until it was not busy."""
            times: dict[object, list[float]] = {}
            for passed in stand.boards.log:
                if not passed.from_board:
                    asked = replace(passed.frame, transaction=0) if isinstance(passed.frame, Message) else passed.frame
                    times.setdefault(asked, []).append(passed.at)
            return all(len(at) > 2 and at[-1] - at[-3] > 2 * IDLE_POLL_S - 0.2 for at in times.values())

        await until(is_calm)

    everywhere(story)


def test_a_forced_door_is_told_within_a_second_and_little_later_while_a_board_is_silent() -> None:
    async def slowest_s(stand: Stand, channels: Sequence[int]) -> float:
        slowest = 0.0
        for channel in channels:
            await asyncio.sleep(0.37)  # the polls have a rhythm, burglars have none
            began = stand.live.now()
            stand.hand(stand.wall.force, channel)
            await stand.until_door(channel, OPEN)
            slowest = max(slowest, stand.live.now() - began)
        return slowest

    async def story(stand: Stand) -> None:
        await stand.until_all(CLOSED)
        assert await slowest_s(stand, stand.of(0)[:3]) < 1.0
        stand.boards.silent.add(stand.kind.numbers[1])
        await stand.until_all(UNKNOWN, stand.of(1))
        assert await slowest_s(stand, stand.of(0)[3:6]) < 1.5

    everywhere(story)


def test_what_a_board_says_unasked_is_a_reason_to_look_and_no_more() -> None:
    async def story(stand: Stand) -> None:
        await stand.until_all(CLOSED)
        number = stand.kind.numbers[0]
        lie = stand.boards.event(stand.channel(0, 0), closed=False)
        assert lie is not None and isinstance(stand.front, PtyFront | TcpFront)

        def asked(seconds: float) -> set[object]:
            """The different requests of these last seconds."""
            since = stand.live.now() - seconds
            requests = (passed.frame for passed in stand.boards.log if not passed.from_board and passed.at >= since)
            return {frame for frame in requests if frame is not None and frame.board == number}

        await asyncio.sleep(2 * IDLE_POLL_S)
        at_rest = asked(2 * IDLE_POLL_S)
        stand.boards.log.clear()
        # As many reads one after the other as need less than the usual time.
        for _ in range(3):
            stand.front._send(lie)
            await asyncio.sleep(IDLE_POLL_S)
        assert asked(3 * IDLE_POLL_S) == at_rest
        assert sum(not passed.from_board for passed in stand.boards.log) > 4 * len(at_rest)
        assert opened(stand) == []

    everywhere(story, [name for name, kind in KINDS.items() if kind.simulated.get("push")])


def test_the_line_is_set_as_the_manifest_says() -> None:
    async def story(stand: Stand) -> None:
        await stand.until_all(CLOSED)
        assert isinstance(stand.front, PtyFront) and stand.front._fds is not None
        baud = registry.find(stand.kind.driver).manifest.options["baud"]
        assert termios.tcgetattr(stand.front._fds[0])[4:6] == [getattr(termios, f"B{baud}")] * 2

    everywhere(story, lines=["pty"])


@pytest.mark.parametrize("name", sorted({kind.driver for kind in KINDS.values()}))
async def test_it_waits_for_a_port_that_is_not_there_yet(name: str) -> None:
    kind = KINDS[name]
    family = kind.boards
    wall = Wall([family.channel(kind.numbers[0], lock) for lock in family.locks[: family.locks_usual]])
    with tempfile.TemporaryDirectory() as folder:
        live, link = LiveWall(wall), Path(folder) / "later"
        front = PtyFront(family(wall, kind.numbers[:1]), live, link)
        driver = registry.find(kind.driver).driver(BusTable(kind.driver, str(link), kind.numbers[:1]))
        try:
            async with running(driver) as readings:
                await until(lambda: readings != [])
                (lost,) = readings
                assert isinstance(lost, BoardLost) and "cannot open" in lost.why
                await front.open()
                await until(lambda: isinstance(readings[-1], DoorsSeen))
        finally:
            await front.cut()
            live.stop()


async def test_a_line_that_floods_is_left_and_keeps_nobody_busy() -> None:
    calls = 0

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        with suppress(ConnectionError):
            while True:
                writer.write(bytes(range(256)) * 256)
                await writer.drain()

    server = await asyncio.start_server(flood, "127.0.0.1", 0)
    port = f"socket://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    driver = registry.find("kerong-cu16").driver(BusTable("kerong-cu16", port, (1,)))
    try:
        async with running(driver) as readings:
            await until(lambda: calls > 1)
    finally:
        server.close()
    (loss,) = readings
    assert isinstance(loss, BoardLost) and "16384 bytes and more" in loss.why


async def test_cancelling_the_owner_lets_go_of_everything() -> None:
    async with stand_of(KINDS["kerong-cu16"], "pty") as stand:
        await stand.until_all(CLOSED)
    front = PtyFront(stand.boards, stand.live)
    await front.open()
    driver = registry.find("kerong-cu16").driver(BusTable("kerong-cu16", front.port, stand.kind.numbers))
    told: list[Reading] = []
    for _ in range(2):
        told.clear()
        task = asyncio.create_task(driver.run(told.append))
        await until(lambda: told != [])
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(Fault):
            await driver.pulse(0)
    await driver.close()
    await front.cut()


@pytest.mark.skipif(sys.platform == "win32", reason="no uvloop there")
def test_it_drives_under_uvloop_too() -> None:
    import uvloop

    async def story(stand: Stand) -> None:
        await stand.until_all(CLOSED)
        await stand.driver.pulse(stand.channel(1, 1))
        await stand.until_door(stand.channel(1, 1), OPEN)
        await stand.front.cut()
        await stand.until_all(UNKNOWN)

    everywhere(story, loop=uvloop.new_event_loop)


@pytest.mark.parametrize("name", sorted({kind.driver for kind in KINDS.values()}))
@pytest.mark.parametrize(
    ("port", "boards", "says"),
    [
        ("socket://gateway", (1,), "socket://host:port"),
        ("/dev/null", (1, 1), "different addresses"),
        ("/dev/null", (256,), "different addresses"),
        ("/dev/null", (-1,), "different addresses"),
        ("", (1,), "names no line"),
        ("/dev/tty\0", (1,), "names no line"),
    ],
)
def test_a_bus_that_cannot_be_is_refused(name: str, port: str, boards: Sequence[int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        registry.find(name).driver(BusTable(name, port, tuple(boards)))


@pytest.mark.parametrize("name", sorted({kind.driver for kind in KINDS.values()}))
def test_the_readme_explains_every_option(name: str) -> None:
    readme = Path(*drivers.__path__) / name.replace("-", "_") / "README.md"
    for option in registry.find(name).manifest.options:
        assert f"`{option}`" in readme.read_text(encoding="utf-8")
