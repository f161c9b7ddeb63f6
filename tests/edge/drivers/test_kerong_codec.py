"""The CU16 bytes: every vector both ways, and frames found in whatever a line delivers."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.edge.drivers.vectors import meanings_of, vectors_of

from latchwork.edge.drivers.frames import BUFFER_BYTES_MAX
from latchwork.edge.drivers.kerong_cu16 import codec
from latchwork.edge.drivers.kerong_cu16.codec import Command, Decoder, Doors, Frame


def board_with(number: int, opened: Sequence[int] = (), items: Sequence[int] = ()) -> Doors:
    return Doors(number, tuple(lock not in opened for lock in range(16)), tuple(lock in items for lock in range(16)))


SENT: dict[str, bytes] = {
    "read_board(0)": codec.read_board(0),
    "read_board(1)": codec.read_board(1),
    "unlock(0)": codec.unlock(0),
    "unlock(31)": codec.unlock(31),
    "set_pulse_time(0, 550)": codec.set_pulse_time(0, 550),
    "pulse_time_is(0, 550)": codec.pulse_time_is(0, 550),
    "ask_pulse_time(0)": codec.ask_pulse_time(0),
    "doors(board 0, open -, items -)": codec.doors_are(board_with(0)),
    "doors(board 0, open 0, items -)": codec.doors_are(board_with(0, opened=[0])),
    "doors(board 1, open -, items 0)": codec.doors_are(board_with(1, items=[0]), to_every_board=True),
}

flags = st.tuples(*[st.booleans()] * 16)
doors = st.builds(Doors, st.integers(0, 9), flags, flags)
replies = doors.map(codec.doors_are)
requests = st.one_of(
    st.integers(0, 159).map(codec.unlock),
    st.integers(0, 9).map(codec.read_board),
    st.integers(0, 9).map(codec.ask_pulse_time),
)


def bytes_of(vector: dict[str, str]) -> bytes:
    return bytes.fromhex(vector["hex"])


@pytest.mark.parametrize("vector", vectors_of("kerong-cu16"), ids=lambda vector: vector["name"])
def test_a_vector_is_one_frame_and_is_written_as_it_stands(vector: dict[str, str]) -> None:
    data = bytes_of(vector)
    assert [(frame.address, frame.command) for frame in Decoder().feed(data)] == [(data[1], data[2])]
    if not vector["meaning"].startswith("never sent"):
        assert SENT[vector["meaning"]] == data


def test_every_frame_we_can_write_has_a_vector() -> None:
    assert set(SENT) == meanings_of("kerong-cu16")


@pytest.mark.parametrize("channel", [-1, 160, 0xF0, 0xFF])
def test_no_channel_reaches_every_board(channel: int) -> None:
    with pytest.raises(ValueError, match="channel"):
        codec.unlock(channel)


def test_nothing_that_can_be_written_opens_more_than_one_door() -> None:
    written = [codec.unlock(channel) for channel in codec.CHANNELS]
    written += [ask(board) for board in range(10) for ask in (codec.read_board, codec.ask_pulse_time)]
    for data in written:
        (frame,) = Decoder().feed(data)
        assert frame.command not in {Command.UNLOCK_WHOLE_BOARD, Command.UNLOCK_LATER}
        assert frame.address < 0xA0


@pytest.mark.parametrize("board", [-1, 10, 15])
def test_there_are_ten_boards(board: int) -> None:
    with pytest.raises(ValueError, match="board"):
        codec.read_board(board)


@pytest.mark.parametrize("pulse_ms", [-10, 5, 60_010])
def test_a_pulse_time_that_the_board_cannot_hold_is_refused(pulse_ms: int) -> None:
    with pytest.raises(ValueError, match="pulse"):
        codec.set_pulse_time(0, pulse_ms)


@pytest.mark.parametrize("address", [0x01, 0xA0, 0xF0])
def test_a_report_of_no_board_of_ours_is_none(address: int) -> None:
    assert codec.doors_in(Frame(address, Command.DOORS, bytes(4))) is None


@given(doors)
def test_doors_survive_the_wire(said: Doors) -> None:
    (frame,) = Decoder().feed(codec.doors_are(said))
    assert codec.doors_in(frame) == said


@given(st.lists(st.one_of(replies, requests), max_size=6), st.data())
def test_glued_and_split_anywhere_the_frames_are_the_same(frames: list[bytes], data: Any) -> None:
    stream = b"".join(frames)
    whole = Decoder().feed(stream)
    assert len(whole) == len(frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    decoder = Decoder()
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert [frame for piece in pieces for frame in decoder.feed(piece)] == whole


@given(replies)
def test_split_at_every_byte(reply: bytes) -> None:
    for cut in range(len(reply) + 1):
        decoder = Decoder()
        assert len(decoder.feed(reply[:cut]) + decoder.feed(reply[cut:])) == 1


@given(st.binary(max_size=200).map(lambda noise: noise.replace(b"\x02", b"\x82")), replies)
def test_noise_without_a_beginning_hides_nothing(noise: bytes, reply: bytes) -> None:
    assert Decoder().feed(noise + reply) == Decoder().feed(reply)


@given(st.binary(max_size=200), replies)
def test_after_any_noise_the_line_is_understood_again(noise: bytes, reply: bytes) -> None:
    # The noise may hold the beginning of a frame, and even a true one. Two replies later all that is over.
    assert Decoder().feed(noise + reply * 3)[-1:] == Decoder().feed(reply)


@given(replies, st.integers(0, 71))
def test_a_flipped_bit_never_gives_a_report_of_doors(reply: bytes, bit: int) -> None:
    flipped = bytearray(reply)
    flipped[bit // 8] ^= 1 << bit % 8
    assert [frame for frame in Decoder().feed(bytes(flipped)) if codec.doors_in(frame)] == []


@given(requests, st.integers(0, 39))
def test_a_flipped_bit_never_makes_an_unlock(request: bytes, bit: int) -> None:
    flipped = bytearray(request)
    flipped[bit // 8] ^= 1 << bit % 8
    assert Decoder().feed(bytes(flipped)) == []


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_the_buffer_is_bounded(pieces: list[bytes]) -> None:
    decoder = Decoder()
    for piece in pieces:
        decoder.feed(piece)
        assert len(decoder._buffer) <= BUFFER_BYTES_MAX


def test_a_beginning_can_be_forgotten() -> None:
    decoder = Decoder()
    assert decoder.feed(codec.doors_are(board_with(0))[:6]) == []
    decoder.reset()
    assert len(decoder.feed(codec.doors_are(board_with(1)))) == 1
