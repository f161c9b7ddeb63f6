"""The physics of the simulated wall, in pretend time."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latchwork.simulator.boards.wall import PULSE_S, REBOOT_S, SPRING_S, Door, Move, Moved, Wall


def told(wall: Wall, now: float) -> list[tuple[float, int, Move]]:
    return [(round(move.at, 3), move.channel, move.what) for move in wall.advance(now)]


def opened(wall: Wall, channel: int, at: float = 0.0) -> Wall:
    wall.pulse(channel, at)
    wall.advance(at + PULSE_S)
    assert wall.doors[channel].is_open
    return wall


def test_a_pulsed_door_springs_open_by_itself_and_stays_open() -> None:
    wall = Wall(range(3))
    wall.pulse(1, 10.0)
    assert wall.next_change() == 10.0 + SPRING_S
    assert told(wall, 100.0) == [(10.0, 1, Move.PULSED), (10.15, 1, Move.OPENED)]
    assert [door.is_open for door in wall] == [False, True, False]
    assert wall.next_change() is None
    assert wall.advance(100.0) == ()


def test_a_locked_door_yields_to_no_hand_and_to_a_crowbar() -> None:
    wall = Wall([0])
    assert not wall.open(0, 1.0)
    assert wall.force(0, 2.0)
    assert told(wall, 3.0) == [(2.0, 0, Move.FORCED)]


def test_a_hand_may_open_while_the_coil_holds_the_latch_back() -> None:
    wall = Wall([0], spring_s=9.0)
    wall.pulse(0, 0.0)
    assert wall.next_change() == PULSE_S
    assert wall.open(0, 0.5)
    wall.close(0, 1.0)
    assert not wall.open(0, 1.1)


def test_a_door_shut_while_its_coil_has_power_springs_open_again() -> None:
    wall = Wall([0])
    wall.pulse(0, 0.0)
    wall.advance(0.2)
    assert wall.close(0, 0.3)
    assert told(wall, 1.0) == [(0.3, 0, Move.CLOSED), (0.45, 0, Move.OPENED)]


def test_a_door_shut_just_before_the_pulse_ends_stays_shut() -> None:
    wall = Wall([0])
    wall.pulse(0, 0.0)
    wall.advance(0.2)
    assert wall.close(0, 0.5)
    wall.advance(2.0)
    assert not wall.doors[0].is_open


def test_a_jammed_door_does_not_open_and_freeing_it_in_time_lets_it() -> None:
    wall = Wall(range(2))
    for channel in (0, 1):
        wall.jam(channel, 1.0)
        wall.pulse(channel, 1.0)
    assert not wall.open(0, 1.1)
    assert wall.unjam(0, 1.2)
    wall.advance(1.6)
    assert wall.unjam(1, 1.6)
    wall.advance(5.0)
    assert [door.is_open for door in wall] == [True, False]


def test_a_jammed_door_that_stands_open_cannot_be_shut() -> None:
    wall = opened(Wall([0]), 0)
    wall.jam(0, 1.0)
    assert not wall.close(0, 2.0)


def test_things_go_in_and_out_of_open_doors_only() -> None:
    wall = Wall([0])
    assert not wall.put(0, 0.0)
    opened(wall, 0, 1.0)
    assert not wall.take(0, 2.0)
    assert wall.put(0, 2.0)
    assert not wall.put(0, 2.0)
    wall.close(0, 3.0)
    assert not wall.take(0, 4.0)
    assert wall.doors[0].item


@pytest.mark.parametrize(
    ("broken", "contacts"),
    [
        (Door(0), (True, False)),
        (Door(0, stuck_coil=True), (True, True)),
        (Door(0, stuck_contact=True), (True, True)),
        (Door(0, broken_wire=True), (False, False)),
    ],
    ids=["sound", "stuck coil", "stuck contact", "broken wire"],
)
def test_what_the_contact_says_before_and_after_a_pulse(broken: Door, contacts: tuple[bool, bool]) -> None:
    wall = Wall([0])
    wall.doors[0] = broken
    before = broken.contact_closed
    wall.pulse(0, 0.0)
    wall.advance(1.0)
    assert (before, broken.contact_closed) == contacts


def test_more_coils_than_the_supply_can_feed_restart_every_board_and_open_nothing() -> None:
    wall = Wall(range(3))
    for channel in range(3):
        wall.pulse(channel, 1.0)
    assert wall.brown_outs == 1
    assert not wall.answers(1.5)
    assert wall.next_change() == 1.0 + REBOOT_S
    assert wall.answers(1.0 + REBOOT_S)
    assert not any(door.is_open for door in wall)


def test_one_coil_after_another_is_no_trouble() -> None:
    wall = Wall(range(10))
    for channel in range(10):
        wall.pulse(channel, channel * 0.3)
    wall.advance(10.0)
    assert wall.brown_outs == 0
    assert all(door.is_open for door in wall)


def test_power_cut_inside_a_pulse_leaves_the_door_shut_and_the_boards_silent() -> None:
    wall = Wall([0])
    wall.pulse(0, 0.0)
    wall.cut_power(0.1)
    wall.pulse(0, 0.2)
    assert wall.next_change() is None
    wall.restore_power(5.0)
    assert not wall.answers(5.5)
    assert wall.answers(6.0)
    assert not wall.doors[0].is_open
    assert wall.doors[0].pulses == 1


def test_an_overlapping_pulse_prolongs_and_does_not_open_twice() -> None:
    wall = Wall([0])
    wall.pulse(0, 0.0)
    wall.pulse(0, 0.1)
    assert [move.what for move in wall.advance(3.0)] == [Move.PULSED, Move.PULSED, Move.OPENED]


def test_a_snapshot_restores_what_is_physical_through_json() -> None:
    wall = opened(Wall(range(4)), 2)
    wall.put(2, 1.0)
    wall.jam(3, 1.0)
    kept = json.loads(json.dumps(wall.snapshot()))
    assert kept == {"2": {"is_open": True, "item": True}, "3": {"jammed": True}}
    other = Wall(range(1, 4))
    other.restore(kept)
    assert other.snapshot() == kept
    assert [door.is_open for door in other] == [False, True, False]


def test_time_does_not_run_backwards() -> None:
    wall = Wall([0])
    wall.advance(2.0)
    with pytest.raises(AssertionError, match="backwards"):
        wall.advance(1.0)


HANDS = ("pulse", "open", "close", "force", "put", "take", "jam", "unjam", "cut_power", "restore_power")
deeds = st.lists(st.tuples(st.floats(0, 0.5), st.sampled_from(HANDS), st.integers(0, 2)), max_size=40)


def play(deeds: list[tuple[float, str, int]], *, looks: int) -> list[Moved]:
    wall, now, moves = Wall(range(3)), 0.0, list[Moved]()
    for wait, deed, channel in deeds:
        for _ in range(looks):
            now += wait / looks
            moves += wall.advance(now)
        if not looks:
            now += wait
        if deed in ("cut_power", "restore_power"):
            getattr(wall, deed)(now)
        else:
            getattr(wall, deed)(channel, now)
    return moves + list(wall.advance(now + 10))


@given(deeds)
def test_a_door_opens_only_by_its_pulse_or_by_force(deeds: list[tuple[float, str, int]]) -> None:
    moves = play(deeds, looks=0)
    assert [move.at for move in moves] == sorted(move.at for move in moves)
    pulsed: dict[int, float] = {}
    for move in moves:
        if move.what is Move.PULSED:
            pulsed[move.channel] = move.at
        if move.what is Move.OPENED:
            assert move.at - pulsed[move.channel] <= PULSE_S


@given(deeds)
def test_looking_changes_nothing(deeds: list[tuple[float, str, int]]) -> None:
    # Waits are cut into halves, which floats do exactly, so that both walls hear the same times.
    assert play(deeds, looks=1) == play(deeds, looks=0)
