"""The simulated CU16: what it answers, when, and how its line lies. In pretend time."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latchwork.edge.drivers.kerong_cu16 import codec
from latchwork.simulator.boards.boards import Faults
from latchwork.simulator.boards.kerong import REPLY_S, KerongBoards
from latchwork.simulator.boards.wall import Wall


def two_boards(faults: Faults | None = None, seed: int = 0) -> KerongBoards:
    wall = Wall([*range(16), *range(16, 20)])
    return KerongBoards(wall, [0, 1], faults=faults, chance=random.Random(seed))


def heard(boards: KerongBoards, data: bytes, now: float) -> list[tuple[float, bytes]]:
    """What comes back within half a second, and after how many seconds."""
    boards.feed(data, now)
    replies = [(0.0, piece) for piece in boards.said(now)]
    while (at := boards.next_said(now)) is not None and at < now + 0.6:
        replies += [(round(at - now, 3), piece) for piece in boards.said(at)]
    return replies


def hexed(text: str) -> bytes:
    return bytes.fromhex(text)


def test_a_read_is_answered_a_little_later() -> None:
    assert heard(two_boards(), codec.read_board(0), 1.0) == [(REPLY_S, hexed("02 00 35 FF FF 00 00 03 38"))]


def test_terminals_without_a_lock_read_as_open() -> None:
    ((_, reply),) = heard(two_boards(), codec.read_board(1), 1.0)
    assert reply[3:5] == hexed("0F 00")


def test_an_unlock_pulses_and_is_not_answered() -> None:
    boards = two_boards()
    assert heard(boards, codec.unlock(17), 1.0) == []
    ((_, reply),) = heard(boards, codec.read_board(1), 1.2)
    assert reply[3:5] == hexed("0D 00")
    assert boards.wall.doors[17].pulses == 1


def test_an_item_is_seen_by_its_eye() -> None:
    boards = two_boards()
    boards.wall.force(2, 1.0)
    boards.wall.put(2, 1.0)
    ((_, reply),) = heard(boards, codec.read_board(0), 2.0)
    assert reply[3:7] == hexed("FB FF 04 00")


def test_every_board_answers_in_turn() -> None:
    replies = heard(two_boards(), hexed("02 F0 32 03 27"), 1.0)
    assert [(round(delay, 3), reply[:3]) for delay, reply in replies] == [
        (REPLY_S, hexed("02 00 36")),
        (2 * REPLY_S, hexed("02 10 36")),
    ]


def test_opening_a_whole_board_at_once_is_a_brown_out_as_in_life() -> None:
    boards = two_boards()
    heard(boards, hexed("02 00 33 03 38"), 1.0)
    assert boards.wall.brown_outs == 1
    assert heard(boards, codec.read_board(0), 1.1) == []


def test_the_pulse_time_can_be_set_and_asked() -> None:
    boards = two_boards()
    assert heard(boards, codec.ask_pulse_time(0), 1.0) == [(REPLY_S, codec.pulse_time_is(0, 550))]
    heard(boards, codec.set_pulse_time(0, 100), 2.0)
    heard(boards, codec.unlock(0), 3.0)
    boards.wall.advance(4.0)
    assert not boards.wall.doors[0].is_open, "a pulse shorter than the spring's start opens nothing"


def test_a_silent_or_absent_board_says_nothing() -> None:
    boards = two_boards()
    boards.silent.add(1)
    assert heard(boards, codec.read_board(1) + codec.read_board(5), 1.0) == []


def test_without_power_nothing_is_heard() -> None:
    boards = two_boards()
    boards.wall.cut_power(1.0)
    assert heard(boards, codec.read_board(0) + codec.unlock(0), 1.1) == []
    boards.wall.restore_power(2.0)
    assert heard(boards, codec.read_board(0), 3.0) != []
    assert boards.wall.doors[0].pulses == 0


def test_a_pause_inside_a_frame_ends_it() -> None:
    boards, request = two_boards(), codec.unlock(3)
    heard(boards, request[:3], 1.0)
    heard(boards, request[3:], 1.1)
    heard(boards, request[:3], 2.0)
    heard(boards, request[3:], 2.01)
    assert boards.wall.doors[3].pulses == 1


@pytest.mark.parametrize(
    ("faults", "understood"),
    [
        (Faults(), 1),
        (Faults(silence=1), 0),
        (Faults(deaf=1), 0),
        (Faults(truncated=1), 0),
        (Faults(garbled=1), 0),
        (Faults(bit_flip=1), 0),
        (Faults(doubled=1), 2),
    ],
    ids=str,
)
def test_a_fault_spoils_the_reply(faults: Faults, understood: int) -> None:
    said = b"".join(reply for _, reply in heard(two_boards(faults), codec.read_board(0), 1.0))
    assert len([frame for frame in codec.Decoder().feed(said) if codec.doors_in(frame)]) == understood


def test_other_faults_do_what_they_are_called() -> None:
    read = codec.read_board(0)
    ((_, moved),) = heard(two_boards(Faults(wrong_address=1)), read, 1.0)
    assert codec.Decoder().feed(moved)[0].board == 1
    ((delay_s, _),) = heard(two_boards(Faults(late=1)), read, 1.0)
    assert delay_s == REPLY_S + 0.5
    ((_, noisy),) = heard(two_boards(Faults(noise=1)), read, 1.0)
    assert len(noisy) > 9
    assert heard(two_boards(Faults(echo=True)), read, 1.0)[0] == (0.0, read)


def test_one_seed_is_one_story() -> None:
    faults = Faults(silence=0.3, noise=0.3, bit_flip=0.3)

    def story(seed: int) -> list[object]:
        boards = two_boards(faults, seed)
        return [heard(boards, codec.read_board(0), float(now)) for now in range(50)]

    assert story(7) == story(7) != story(8)


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_no_noise_opens_a_door_except_by_a_true_frame(pieces: list[bytes]) -> None:
    boards = two_boards()
    for now, piece in enumerate(pieces):
        boards.feed(piece, float(now))
    assert boards.log or not any(door.pulses for door in boards.wall)
