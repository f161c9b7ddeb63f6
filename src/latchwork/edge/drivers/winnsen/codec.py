"""The bytes of the Winnsen lock boards, for both ends of the wire. They have a length and no check.

Pure: no clock, no line. So a frame counts only if everything in it that can be foreseen is as foreseen, and its end is
found by its length: a byte of data may well look like an end or a beginning.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from latchwork.edge.drivers import frames

STATIONS = range(256)
LOCKS_MAX = 16
"""They are counted from 1."""
CHANNELS_PER_BOARD = 100
"""A channel is `board * 100 + lock`; a station is a board."""
_START = 0x90
_END = 0x03


class Function(IntEnum):
    READ_STATION = 0x02
    UNLOCK = 0x05
    READ_LOCK = 0x12


REPLY = 0x80
"""Added to a function in its answer."""
OTHER_REPLY = 0xA0
"""What some boards add instead to the first two."""
_LENGTHS = {
    Function.READ_STATION: 7,
    Function.UNLOCK: 6,
    Function.READ_LOCK: 6,
    Function.READ_STATION | REPLY: 7,
    Function.READ_STATION | OTHER_REPLY: 7,
    Function.UNLOCK | REPLY: 7,
    Function.UNLOCK | OTHER_REPLY: 7,
    Function.READ_LOCK | REPLY: 7,
}


@dataclass(frozen=True, slots=True)
class Frame:
    """One well-formed frame."""

    function: int
    station: int
    data: bytes

    @property
    def answers(self) -> Function | None:
        """The function that this is an answer to; None for a request."""
        return Function(self.function & 0x1F) if self.function & REPLY else None


def channel_of(board: int, lock: int) -> int:
    return board * CHANNELS_PER_BOARD + lock


def place_of(channel: int) -> tuple[int, int]:
    """Station and lock."""
    return divmod(channel, CHANNELS_PER_BOARD)


def unlock(station: int, lock: int) -> bytes:
    return write(Frame(Function.UNLOCK, _station(station), bytes((_lock(lock),))))


def read_station(station: int, locks: int = LOCKS_MAX) -> bytes:
    """Ask for locks 1 to `locks`."""
    return write(Frame(Function.READ_STATION, _station(station), ((1 << _lock(locks)) - 1).to_bytes(2, "little")))


def read_lock(station: int, lock: int) -> bytes:
    return write(Frame(Function.READ_LOCK, _station(station), bytes((_lock(lock),))))


def unlocked(station: int, lock: int, *, worked: bool, reply: int = REPLY) -> bytes:
    """A station's answer to an unlock."""
    return write(Frame(Function.UNLOCK | reply, station, bytes((lock, worked))))


def doors_are(station: int, opened: Sequence[bool], *, reply: int = REPLY) -> bytes:
    """A station's answer to a read of all its locks, lock 1 first."""
    bits = sum(1 << lock for lock, is_open in enumerate(opened) if is_open)
    return write(Frame(Function.READ_STATION | reply, station, bits.to_bytes(2, "little")))


def door_is(station: int, lock: int, *, opened: bool) -> bytes:
    """A station's answer to a read of one lock."""
    return write(Frame(Function.READ_LOCK | REPLY, station, bytes((lock, opened))))


def opened_in(frame: Frame) -> dict[int, bool]:
    """By lock, whether its door is open, if `frame` answers a read; empty if not."""
    match frame.answers:
        case Function.READ_STATION:
            bits = int.from_bytes(frame.data, "little")
            return {lock + 1: bool(bits >> lock & 1) for lock in range(LOCKS_MAX)}
        case Function.READ_LOCK:
            return {frame.data[0]: bool(frame.data[1])}
    return {}


def write(frame: Frame) -> bytes:
    """For a simulated board. The driver uses the functions above, which know what there is."""
    return bytes((_START, len(frame.data) + 5, frame.function, frame.station, *frame.data, _END))


class Decoder(frames.Decoder[Frame]):
    def __init__(self) -> None:
        super().__init__(_lengths, _parse)


def _lengths(front: bytes) -> tuple[int, ...]:
    if front[0] != _START:
        return ()
    if len(front) < 3:
        return (6,)
    return (front[1],) if _LENGTHS.get(front[2]) == front[1] else ()


def _parse(piece: bytes) -> Frame | None:
    frame = Frame(piece[2], piece[3], piece[4:-1])
    says_yes_or_no = frame.answers in (Function.UNLOCK, Function.READ_LOCK)
    if piece[-1] != _END or (says_yes_or_no and frame.data[1] > 1):
        return None
    return frame


def _station(station: int) -> int:
    if station not in STATIONS:
        raise ValueError(f"station {station} is not in {STATIONS[0]}..{STATIONS[-1]}")
    return station


def _lock(lock: int) -> int:
    if not 1 <= lock <= LOCKS_MAX:
        raise ValueError(f"lock {lock} is not in 1..{LOCKS_MAX}")
    return lock
