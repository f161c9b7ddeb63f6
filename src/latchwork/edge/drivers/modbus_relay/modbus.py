"""The few words of Modbus that relay boards and sensors here speak, for both ends of the wire and for three framings.

Pure: no clock, no line. It writes to one unit at a time; unit 0, which is every unit at once, it cannot address.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

UNITS = range(1, 248)
ADU_BYTES_MAX = 260
"""The longest message in any framing; a decoder never holds more."""
_REFUSED = 0x80


class Framing(StrEnum):
    RTU = "rtu"
    """On a serial line."""
    RTU_OVER_TCP = "rtu-over-tcp"
    """A gateway that passes bytes on as they are."""
    TCP = "tcp"
    """Modbus TCP: a header with a transaction number, and no check."""


class Function(IntEnum):
    READ_COILS = 1
    READ_INPUTS = 2
    READ_HOLDING = 3
    READ_REGISTERS = 4
    WRITE_COIL = 5
    WRITE_REGISTER = 6
    WRITE_COILS = 15
    WRITE_REGISTERS = 16


_READS_BITS = (Function.READ_COILS, Function.READ_INPUTS)
_READS_WORDS = (Function.READ_HOLDING, Function.READ_REGISTERS)
_WRITES_ONE = (Function.WRITE_COIL, Function.WRITE_REGISTER)
_WRITES_MANY = (Function.WRITE_COILS, Function.WRITE_REGISTERS)


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
    if reply.function == asked.function | _REFUSED:
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
    return reply.data[0] if reply.function & _REFUSED else None


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
    return replace(asked, function=asked.function | _REFUSED, data=bytes((reason,)))


class Decoder:
    """Finds messages in whatever a line delivers: pieces, glued messages, noise.

    RTU has no mark where a message begins, so noise may promise a long one that never ends. A sound message further on
    is therefore taken, and what stood before it dropped.
    """

    def __init__(self, framing: Framing, *, of_requests: bool = False) -> None:
        self._framing = framing
        self._of_requests = of_requests
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        self._buffer += data
        messages = list(self._messages())
        del self._buffer[:-ADU_BYTES_MAX]
        return messages

    def reset(self) -> None:
        """Forget a beginning whose end will not come any more."""
        self._buffer.clear()

    def _messages(self) -> Iterator[Message]:
        at = 0
        while at < len(self._buffer):
            length, message = self._message(self._buffer[at : at + ADU_BYTES_MAX])
            if message is None:
                at += 1
            else:
                yield message
                del self._buffer[: at + length]
                at = 0

    def _message(self, piece: bytearray) -> tuple[int, Message | None]:
        """The sound message that `piece` begins with, and its length."""
        if self._framing is Framing.TCP:
            length = 6 + int.from_bytes(piece[4:6], "big")
            if len(piece) < 8 or piece[2:4] != bytes(2) or not 9 <= length <= len(piece):
                return 0, None
            return length, Message(piece[6], piece[7], bytes(piece[8:length]), int.from_bytes(piece[:2], "big"))
        length = self._rtu_length(piece)
        if not 5 <= length <= len(piece) or crc16(piece[: length - 2]) != piece[length - 2 : length]:
            return 0, None
        return length, Message(piece[0], piece[1], bytes(piece[2 : length - 2]))

    def _rtu_length(self, piece: bytearray) -> int:
        """How long a message that begins so must be; 0 if that cannot be said."""
        function = piece[1] if len(piece) > 2 else 0
        if self._of_requests:
            if function in _WRITES_MANY:
                return 9 + piece[6] if len(piece) > 6 else 0
            return 8 if function in (*_READS_BITS, *_READS_WORDS, *_WRITES_ONE) else 0
        if function in (*_READS_BITS, *_READS_WORDS):
            return 5 + piece[2]
        if function in (*_WRITES_ONE, *_WRITES_MANY):
            return 8
        return 5 if function & _REFUSED else 0
