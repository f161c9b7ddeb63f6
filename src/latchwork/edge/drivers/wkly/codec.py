"""The bytes of the WKLY lock boards, for both ends of the wire.

Pure: no clock, no line. It must never learn to write a frame that opens more than one door or holds a coil.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import reduce
from operator import xor

from latchwork.edge.drivers import frames

BOARDS = range(32)
LOCKS_MAX = 32
"""They are counted from 1."""
CHANNELS_PER_BOARD = 100
"""A channel is `board * 100 + lock`."""
_START = b"WKLY"
_EMPTY_LENGTH = 8
"""A frame without data."""


class Command(IntEnum):
    FLASH = 0x81
    UNLOCK = 0x82
    READ_LOCK = 0x83
    READ_BOARD = 0x84
    CHANGED = 0x85
    """Said by a board, unasked."""
    # Understood, so that a simulated board can do what a real one would; there is no function that encodes these.
    UNLOCK_AT_ONCE = 0x80
    UNLOCK_ALL = 0x86
    UNLOCK_IN_TURN = 0x87
    HOLD = 0x88
    RELEASE = 0x89


class Status(IntEnum):
    DONE = 0x00
    FAILED = 0xFF


class State(IntEnum):
    """Of a contact, as the maker's examples have it; other sources have open and closed the other way round."""

    OPEN = 0x00
    CLOSED = 0x01


@dataclass(frozen=True, slots=True)
class Frame:
    """One sound frame."""

    board: int
    command: int
    data: bytes = b""


def channel_of(board: int, lock: int) -> int:
    return board * CHANNELS_PER_BOARD + lock


def place_of(channel: int) -> tuple[int, int]:
    """Board and lock."""
    return divmod(channel, CHANNELS_PER_BOARD)


def unlock(board: int, lock: int) -> bytes:
    return write(Frame(_board(board), Command.UNLOCK, bytes((_lock(lock),))))


def read_lock(board: int, lock: int) -> bytes:
    return write(Frame(_board(board), Command.READ_LOCK, bytes((_lock(lock),))))


def read_board(board: int) -> bytes:
    return write(Frame(_board(board), Command.READ_BOARD))


def unlocked(board: int, lock: int, *, closed: bool) -> bytes:
    """A board's answer to an unlock."""
    return write(Frame(board, Command.UNLOCK, bytes((Status.DONE, lock, closed))))


def contact_is(board: int, lock: int, *, closed: bool) -> bytes:
    """A board's answer to a read of one lock."""
    return write(Frame(board, Command.READ_LOCK, bytes((Status.DONE, lock, closed))))


def contacts_are(board: int, closed: Sequence[bool]) -> bytes:
    """A board's answer to a read of all its locks, lock 1 first."""
    return write(Frame(board, Command.READ_BOARD, bytes((Status.DONE, len(closed), *closed))))


def changed(board: int, lock: int, *, closed: bool) -> bytes:
    return write(Frame(board, Command.CHANGED, bytes((lock, closed))))


def states_in(frame: Frame) -> dict[int, int]:
    """By lock, the state (one of `State`, or what nobody knows), if `frame` answers a read; empty if not."""
    match frame.command, list(frame.data):
        case Command.READ_LOCK, [Status.DONE, lock, state]:
            return {lock: state}
        case Command.READ_BOARD, [Status.DONE, count, *states] if len(states) == count:
            return dict(enumerate(states, start=1))
    return {}


def write(frame: Frame) -> bytes:
    """For a simulated board. The driver uses the functions above, which know what must not be written."""
    body = _START + bytes((_EMPTY_LENGTH + len(frame.data), frame.board, frame.command)) + frame.data
    return body + bytes((reduce(xor, body),))


class Decoder(frames.Decoder[Frame]):
    def __init__(self) -> None:
        super().__init__(_lengths, _parse)


def _lengths(front: bytes) -> tuple[int, ...]:
    if not _START.startswith(front[:4]):
        return ()
    if len(front) < 5:
        return (_EMPTY_LENGTH,)
    return (front[4],) if _EMPTY_LENGTH <= front[4] <= frames.BUFFER_BYTES_MAX else ()


def _parse(piece: bytes) -> Frame | None:
    return Frame(piece[5], piece[6], piece[7:-1]) if reduce(xor, piece) == 0 else None


def _board(board: int) -> int:
    if board not in BOARDS:
        raise ValueError(f"board {board} is not in {BOARDS[0]}..{BOARDS[-1]}")
    return board


def _lock(lock: int) -> int:
    if not 1 <= lock <= LOCKS_MAX:
        raise ValueError(f"lock {lock} is not in 1..{LOCKS_MAX}")
    return lock
