"""The few words of Modbus that relay boards and sensors here speak, for both ends of the wire and both framings.

Pure: no clock, no line. It writes to one unit at a time; unit 0, which is every unit at once, it cannot address.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

from latchwork.edge.drivers.frames import Decoder

UNITS = range(1, 248)
DATA_BYTES_MAX = 32
"""In one message here. What promises more is noise."""
REFUSED = 0x80
"""Added to the function by a unit that says no."""


class Framing(StrEnum):
    RTU = "rtu"
    """On a serial line, or through a gateway that passes bytes on as they are."""
    TCP = "tcp"
    """Modbus TCP: a header with a transaction number, and no check of its own."""


class Function(IntEnum):
    READ_COILS = 1
    READ_INPUTS = 2
    READ_HOLDING = 3
    READ_REGISTERS = 4
    WRITE_COIL = 5
    WRITE_REGISTER = 6
    WRITE_COILS = 15


_READS_BITS = (Function.READ_COILS, Function.READ_INPUTS)
_READS_WORDS = (Function.READ_HOLDING, Function.READ_REGISTERS)
_WRITES_ONE = (Function.WRITE_COIL, Function.WRITE_REGISTER)


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a reply, whatever carries it."""

    unit: int
    function: int
    data: bytes
    transaction: int = 0
    """Only Modbus TCP carries it."""


def request(unit: int, function: Function, address: int, value: int) -> Message:
    """`value` is how many to read, or what to write."""
    if unit not in UNITS:
        raise ValueError(f"unit {unit} is not in {UNITS[0]}..{UNITS[-1]}")
    return Message(unit, function, address.to_bytes(2, "big") + value.to_bytes(2, "big"))


def encode(message: Message, framing: Framing) -> bytes:
    body = bytes((message.unit, message.function)) + message.data
    if framing is Framing.TCP:
        return message.transaction.to_bytes(2, "big") + bytes(2) + len(body).to_bytes(2, "big") + body
    return body + crc16(body)


def crc16(data: bytes | bytearray) -> bytes:
    """The check of RTU, in the order it is sent."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc.to_bytes(2, "little")


# Asking


def answers(reply: Message, asked: Message) -> bool:
    """Whether `reply` can be what a unit says to `asked`: its yes or its no."""
    if (reply.unit, reply.transaction) != (asked.unit, asked.transaction):
        return False
    if reply.function == asked.function | REFUSED:
        return len(reply.data) == 1
    if reply.function != asked.function:
        return False
    count = int.from_bytes(asked.data[2:4], "big")
    if asked.function in _READS_BITS:
        return reply.data[0] == len(reply.data) - 1 == (count + 7) // 8
    if asked.function in _READS_WORDS:
        return reply.data[0] == len(reply.data) - 1 == count * 2
    return reply.data == asked.data


def refusal_in(reply: Message) -> int | None:
    """The reason number with which a unit said no; None if it said yes."""
    return reply.data[0] if reply.function & REFUSED else None


def bits_in(reply: Message, count: int) -> tuple[bool, ...]:
    """The first `count` coils or inputs of a reply that `answers` its question."""
    number = int.from_bytes(reply.data[1:], "little")
    return tuple(bool(number >> place & 1) for place in range(count))


def words_in(reply: Message) -> tuple[int, ...]:
    """The registers of a reply that `answers` its question, unsigned."""
    words = reply.data[1:]
    return tuple(int.from_bytes(words[at : at + 2], "big") for at in range(0, len(words), 2))


# Answering


def with_bits(asked: Message, bits: tuple[bool, ...]) -> Message:
    packed = sum(1 << place for place, bit in enumerate(bits) if bit).to_bytes((len(bits) + 7) // 8, "little")
    return replace(asked, data=bytes((len(packed),)) + packed)


def with_words(asked: Message, words: tuple[int, ...]) -> Message:
    packed = b"".join(word.to_bytes(2, "big") for word in words)
    return replace(asked, data=bytes((len(packed),)) + packed)


def refused(asked: Message, reason: int) -> Message:
    return replace(asked, function=asked.function | REFUSED, data=bytes((reason,)))


# On the line


def requests(framing: Framing) -> Decoder[Message]:
    """What a unit hears."""
    return Decoder(*(_TCP if framing is Framing.TCP else (_rtu_request_lengths, _rtu_message)))


def replies(framing: Framing) -> Decoder[Message]:
    """What units say. Over RTU only the listener knows that it is a reply: a request may look like the half of one."""
    return Decoder(*(_TCP if framing is Framing.TCP else (_rtu_reply_lengths, _rtu_message)))


def _rtu_request_lengths(front: bytes) -> Sequence[int]:
    if len(front) < 2 or front[1] in (*_READS_BITS, *_READS_WORDS, *_WRITES_ONE):
        return (8,)
    if front[1] == Function.WRITE_COILS:
        return (9 + (front[6] if len(front) > 6 else 0),) if front[6:7] <= bytes((DATA_BYTES_MAX,)) else ()
    return ()


def _rtu_reply_lengths(front: bytes) -> Sequence[int]:
    if len(front) < 2 or front[1] & REFUSED:
        return (5,)
    if front[1] in (*_READS_BITS, *_READS_WORDS):
        count = front[2] if len(front) > 2 else 1
        return (5 + count,) if 1 <= count <= DATA_BYTES_MAX else ()
    return (8,) if front[1] in (*_WRITES_ONE, Function.WRITE_COILS) else ()


def _rtu_message(piece: bytes) -> Message | None:
    if crc16(piece[:-2]) != piece[-2:]:
        return None
    return Message(piece[0], piece[1], piece[2:-2])


def _tcp_lengths(front: bytes) -> Sequence[int]:
    if len(front) < 6:
        return (9,)
    length = int.from_bytes(front[4:6], "big")
    return (6 + length,) if front[2:4] == bytes(2) and 3 <= length <= 7 + DATA_BYTES_MAX else ()


def _tcp_message(piece: bytes) -> Message | None:
    return Message(piece[6], piece[7], piece[8:], int.from_bytes(piece[:2], "big"))


_TCP = _tcp_lengths, _tcp_message
