"""The bytes of Modbus relay boards: every vector, whatever a line delivers, and pymodbus as an independent opinion."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsResponse
from pymodbus.pdu.register_message import ReadInputRegistersRequest, ReadInputRegistersResponse
from tests.edge.drivers.vectors import meanings_of, vectors_of

from latchwork.edge.drivers.frames import BUFFER_BYTES_MAX
from latchwork.edge.drivers.modbus_relay import codec, modbus
from latchwork.edge.drivers.modbus_relay.modbus import Framing, Function, Message

CLIMATE_ASKED = modbus.request(1, Function.READ_REGISTERS, 1, 2)
SENT: dict[str, Message] = {
    "pulse(1, 0, 700)": codec.pulse(1, 0, 700),
    "pulse(1, 1, 800)": codec.pulse(1, 1, 800),
    "pulse(1, 0, 500)": codec.pulse(1, 0, 500),
    "read_relays(1, 8)": codec.read_relays(1, 8),
    "read_relays(1, 16)": codec.read_relays(1, 16),
    "read_relays(1, 32)": codec.read_relays(1, 32),
    "read_inputs(1, 8)": codec.read_inputs(1, 8),
    "read_registers(1, 1, 2)": CLIMATE_ASKED,
    "registers are 305, 546": modbus.with_words(CLIMATE_ASKED, (305, 546)),
}

units, relays = st.integers(1, 247), st.integers(0, 31)
framings = st.sampled_from(list(Framing))
transactions = st.integers(0, 0xFFFF)
pulses = st.builds(codec.pulse, units, relays, st.integers(1, 15).map(lambda tenths: tenths * 100))
requests = st.one_of(
    pulses,
    *(st.builds(read, units, st.integers(1, 32)) for read in (codec.read_relays, codec.read_inputs)),
    st.builds(modbus.request, units, st.just(Function.READ_REGISTERS), st.integers(0, 0xFFFF), st.integers(1, 4)),
)


@st.composite
def questions_and_replies(draw: st.DrawFn) -> tuple[Message, Message]:
    asked = draw(requests)
    count = int.from_bytes(asked.data[2:], "big")
    if draw(st.integers(0, 9)) == 0:
        return asked, modbus.refused(asked, draw(st.integers(1, 11)))
    if asked.function in (Function.READ_COILS, Function.READ_INPUTS):
        return asked, modbus.with_bits(asked, tuple(draw(st.lists(st.booleans(), min_size=count, max_size=count))))
    if asked.function == Function.READ_REGISTERS:
        words = draw(st.lists(st.integers(0, 0xFFFF), min_size=count, max_size=count))
        return asked, modbus.with_words(asked, tuple(words))
    return asked, asked


replies = questions_and_replies().map(lambda pair: pair[1])


def rtu(message: Message) -> bytes:
    return modbus.encode(message, Framing.RTU)


@pytest.mark.parametrize("vector", vectors_of("modbus-relay", "xy-md02"), ids=lambda vector: vector["name"])
def test_a_vector_is_one_frame_and_is_written_as_it_stands(vector: dict[str, str]) -> None:
    data = bytes.fromhex(vector["hex"])
    (message,) = modbus.requests(Framing.RTU).feed(data) or modbus.replies(Framing.RTU).feed(data)
    assert bytes((message.unit, message.function)) + message.data == data[:-2]
    if not vector["meaning"].startswith("never sent"):
        assert rtu(SENT[vector["meaning"]]) == data


def test_every_sentence_has_a_vector() -> None:
    assert set(SENT) == meanings_of("modbus-relay", "xy-md02")


def test_the_climate_of_the_vector_is_understood() -> None:
    (reply,) = modbus.replies(Framing.RTU).feed(bytes.fromhex("01 04 04 01 31 02 22 2A CE"))
    assert modbus.answers(reply, CLIMATE_ASKED)
    assert modbus.words_in(reply) == (305, 546)


def test_modbus_tcp_has_a_header_and_no_check() -> None:
    data = bytes.fromhex("00 2A 00 00 00 06 01 05 02 00 00 07")
    (message,) = modbus.replies(Framing.TCP).feed(data)
    assert (message.transaction, message.unit, message.function) == (42, 1, 5)
    assert modbus.encode(message, Framing.TCP) == data


@given(requests)
def test_nothing_that_can_be_written_holds_a_relay_on_or_reaches_two(asked: Message) -> None:
    address, value = int.from_bytes(asked.data[:2], "big"), int.from_bytes(asked.data[2:], "big")
    assert asked.unit in range(1, 248)
    assert asked.function in (1, 2, 4, 5)
    if asked.function == Function.WRITE_COIL:
        assert address in range(0x0200, 0x0220)
        assert 1 <= value <= 15


@pytest.mark.parametrize("unit", [-1, 0, 248, 255])
def test_no_unit_is_every_unit(unit: int) -> None:
    with pytest.raises(ValueError, match="unit"):
        codec.pulse(unit, 0, 500)


@pytest.mark.parametrize("relay", [-1, 32, 0xFF])
def test_no_relay_is_every_relay(relay: int) -> None:
    with pytest.raises(ValueError, match="relay"):
        codec.pulse(1, relay, 500)


@pytest.mark.parametrize("pulse_ms", [-100, 0, 50, 1_600, 60_000])
def test_a_pulse_that_hurts_a_coil_is_refused(pulse_ms: int) -> None:
    with pytest.raises(ValueError, match="pulse"):
        codec.pulse(1, 0, pulse_ms)


@pytest.mark.parametrize("count", [0, 33])
def test_no_more_is_read_than_a_board_has(count: int) -> None:
    with pytest.raises(ValueError, match="inputs"):
        codec.read_inputs(1, count)


@given(framings, questions_and_replies(), transactions)
def test_a_question_knows_its_answer(framing: Framing, pair: tuple[Message, Message], transaction: int) -> None:
    transaction = transaction if framing is Framing.TCP else 0
    asked, reply = (Message(each.unit, each.function, each.data, transaction) for each in pair)
    (heard,) = modbus.replies(framing).feed(modbus.encode(reply, framing))
    assert heard == reply
    assert modbus.answers(heard, asked)


@given(questions_and_replies(), questions_and_replies())
def test_an_answer_of_another_unit_or_to_another_question_is_none(
    one: tuple[Message, Message], other: tuple[Message, Message]
) -> None:
    asked, reply = one[0], other[1]
    if (asked.unit, asked.function) != (reply.unit, reply.function & 0x7F):
        assert not modbus.answers(reply, asked)


@given(requests.filter(lambda asked: asked.function != Function.WRITE_COIL))
def test_an_adapter_that_hears_itself_is_not_taken_for_the_board(asked: Message) -> None:
    assert not any(modbus.answers(heard, asked) for heard in modbus.replies(Framing.RTU).feed(rtu(asked)))


@given(framings, st.lists(replies, max_size=6), st.data())
def test_glued_and_split_anywhere_the_messages_are_the_same(framing: Framing, said: list[Message], data: Any) -> None:
    stream = b"".join(modbus.encode(each, framing) for each in said)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    hearing = modbus.replies(framing)
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert [message for piece in pieces for message in hearing.feed(piece)] == said


@given(framings, replies)
def test_split_at_every_byte(framing: Framing, reply: Message) -> None:
    data = modbus.encode(reply, framing)
    for cut in range(len(data) + 1):
        hearing = modbus.replies(framing)
        assert hearing.feed(data[:cut]) + hearing.feed(data[cut:]) == [reply]


# Derandomised: among enough random bytes there is always one false check in 65,536.
@settings(derandomize=True)
@given(st.binary(max_size=200), replies)
def test_after_any_noise_the_line_is_understood_again(noise: bytes, reply: Message) -> None:
    # The noise may promise a message that swallows the first replies. Some bytes later that is over.
    assert modbus.replies(Framing.RTU).feed(noise + rtu(reply) * 8)[-1:] == [reply]


@given(replies, st.integers(0, 10_000))
def test_a_flipped_bit_gives_no_message(reply: Message, place: int) -> None:
    data = bytearray(rtu(reply))
    place %= len(data) * 8
    data[place // 8] ^= 1 << place % 8
    heard = modbus.replies(Framing.RTU).feed(bytes(data))
    assert reply not in heard
    assert not [each for each in heard if modbus.answers(each, reply)]


@given(framings, st.lists(st.binary(max_size=300), max_size=5))
def test_the_buffer_is_bounded(framing: Framing, pieces: list[bytes]) -> None:
    hearing = modbus.replies(framing)
    for piece in pieces:
        hearing.feed(piece)
        assert len(hearing._buffer) <= BUFFER_BYTES_MAX


def test_a_beginning_can_be_forgotten() -> None:
    hearing, reply = modbus.replies(Framing.RTU), modbus.with_bits(codec.read_inputs(1, 8), (True,) * 8)
    assert hearing.feed(rtu(reply)[:4]) == []
    hearing.reset()
    assert hearing.feed(rtu(reply)) == [reply]


# An independent opinion


@given(units, st.integers(1, 32), transactions)
def test_pymodbus_writes_our_questions_alike(unit: int, count: int, transaction: int) -> None:
    theirs = ReadCoilsRequest(dev_id=unit, transaction_id=transaction, address=0, count=count)
    ours = codec.read_relays(unit, count)
    assert FramerRTU(DecodePDU(False)).buildFrame(theirs) == rtu(ours)
    framed = modbus.encode(Message(ours.unit, ours.function, ours.data, transaction), Framing.TCP)
    assert FramerSocket(DecodePDU(False)).buildFrame(theirs) == framed


@given(units, st.lists(st.booleans(), min_size=32, max_size=32))
def test_pymodbus_and_we_read_each_others_inputs(unit: int, bits: list[bool]) -> None:
    asked = codec.read_inputs(unit, 32)
    theirs = FramerRTU(DecodePDU(True)).buildFrame(ReadDiscreteInputsResponse(dev_id=unit, bits=bits))
    (reply,) = modbus.replies(Framing.RTU).feed(theirs)
    assert modbus.answers(reply, asked)
    assert modbus.bits_in(reply, 32) == tuple(bits)
    ours = rtu(modbus.with_bits(asked, tuple(bits)))
    _, understood = FramerRTU(DecodePDU(False)).handleFrame(ours, unit, 0)
    assert isinstance(understood, ReadDiscreteInputsResponse)
    assert understood.bits == bits


@given(units, st.lists(st.integers(0, 0xFFFF), min_size=2, max_size=2))
def test_pymodbus_and_we_read_each_others_registers(unit: int, words: list[int]) -> None:
    asked = modbus.request(unit, Function.READ_REGISTERS, 1, 2)
    theirs = ReadInputRegistersRequest(dev_id=unit, address=1, count=2)
    assert FramerRTU(DecodePDU(False)).buildFrame(theirs) == rtu(asked)
    said = FramerRTU(DecodePDU(True)).buildFrame(ReadInputRegistersResponse(dev_id=unit, registers=words))
    (reply,) = modbus.replies(Framing.RTU).feed(said)
    assert modbus.words_in(reply) == tuple(words)


@given(st.binary(max_size=40))
def test_the_check_is_the_one_of_pymodbus(data: bytes) -> None:
    assert int.from_bytes(modbus.crc16(data), "big") == FramerRTU.compute_CRC(data)
