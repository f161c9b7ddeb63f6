"""Whatever a wall's boards speak: they are found at their addresses, and one pulse shows which contact moves."""

import asyncio
import sys

import pytest
from msgspec.structs import replace
from tests.edge.drivers.bench import KINDS, Stand, everywhere, until

from latchwork.domain.words import DoorState
from latchwork.edge.commission.survey import Place
from latchwork.edge.commission.wires import running, scan
from latchwork.edge.config import BusTable
from latchwork.edge.drivers.protocol import Fault
from latchwork.simulator.boards.boards import Faults

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ptys as Linux has them")

TRIED_BY_ALL = tuple(name for name in KINDS if "lock by lock" not in name)
"""Kinds all of whose addresses are tried here; the others only at the addresses that they have."""


def bus_of(stand: Stand, boards: tuple[int, ...] = ()) -> BusTable:
    return BusTable(stand.kind.driver, stand.front.port, boards, dict(stand.kind.options))


def test_every_kind_of_board_is_found_and_pulsed() -> None:
    async def story(stand: Stand) -> None:
        await stand.driver.close()  # a line has one owner
        named = () if stand.kind in [KINDS[name] for name in TRIED_BY_ALL] else stand.kind.numbers
        found = await scan(bus_of(stand, named))
        assert set(found.boards) == set(stand.kind.numbers) == set(found.bus.boards)
        assert found.troubles == ()
        places = [Place(0, channel, board) for board, channels in found.boards.items() for channel in channels]
        assert {place.channel for place in places} == set(stand.channels)
        async with running([found.bus], places, rested=True) as wires:
            pulsed = await wires.pulse(place := places[3])
            assert [move.place for move in pulsed.moves] == [place] and pulsed.before is DoorState.CLOSED
            assert 100 <= pulsed.moves[0].after_ms <= 2000
            await stand.shut(place.channel)
            assert await wires.are_shut({place: pulsed.before})
        assert [door.pulses for door in stand.wall if door.pulses] == [1]

    everywhere(story)


def test_what_is_wrong_with_a_line_is_said() -> None:
    async def story(stand: Stand) -> None:
        await stand.driver.close()
        stand.wall.cut_power(stand.live.now())
        found = await scan(bus_of(stand))
        assert not found.boards and any("echoes" in trouble for trouble in found.troubles), found.troubles

    everywhere(story, ["kerong-cu16"], faults=[Faults(echo=True)])


def test_what_is_wrong_with_one_address_is_said_while_all_are_tried() -> None:
    async def story(stand: Stand) -> None:
        await stand.driver.close()
        number, other = stand.kind.numbers
        for delay_s, says in ((0.02, "two of that address"), (0.0, "two boards of one address")):
            stand.boards.twins[number] = delay_s
            found = await scan(bus_of(stand))
            assert other in found.boards and [says in trouble for trouble in found.troubles] == [True], found
            assert f"board {number} " in found.troubles[0]

    everywhere(story, ["kerong-cu16", "lcb-8a"], ["pty"])


def test_a_board_with_another_number_of_locks_is_no_garbage() -> None:
    async def story(stand: Stand) -> None:
        await stand.driver.close()
        for ways in (16, 32):
            bus = BusTable("lcb-8a", stand.front.port, stand.kind.numbers, {"locks_per_board": ways})
            (trouble,) = (await scan(bus)).troubles
            assert "another number of locks than the configuration says" in trouble

    everywhere(story, ["lcb-8a", "lcb-8a lock by lock"], ["pty"])


def test_what_boards_are_also_delivered_with_is_tried_where_nobody_answers() -> None:
    async def story(stand: Stand) -> None:
        await stand.driver.close()
        bus = BusTable("winnsen", stand.front.port, stand.kind.numbers, {"locks_per_board": 6})
        found = await scan(bus)
        assert set(found.boards) == set(stand.kind.numbers) and found.bus.options == {**bus.options, "read": "lock"}
        as_told = replace(bus, options={**bus.options, "read": "station"})
        assert not (await scan(as_told)).boards

    everywhere(story, ["winnsen lock by lock"], ["pty"])


def test_a_pulse_whose_board_says_nothing_to_be_believed_teaches_nothing() -> None:
    async def story(stand: Stand) -> None:
        await stand.driver.close()
        found = await scan(bus_of(stand, stand.kind.numbers))
        places = [Place(0, channel, board) for board, channels in found.boards.items() for channel in channels]
        first, *_ = doors = [stand.wall.doors[place.channel] for place in places if place.board == places[0].board]
        async with running([found.bus], places, rested=True) as wires:
            pulse = asyncio.create_task(wires.pulse(places[0]))
            await until(lambda: first.pulses > 0)
            for door in doors:
                door.broken_wire = True  # their common one, torn by the leaf
            with pytest.raises(Fault, match="was pulsed, and what its board said"):
                await pulse
            with pytest.raises(Fault, match="was not pulsed"):
                await wires.pulse(places[0])
            (trouble,) = wires.troubles()
            assert "common wire" in trouble
        assert first.pulses == 1

    everywhere(story, ["kerong-cu16"], ["pty"])
