"""The bytes of the "8A" lock boards (YH, YF and many unbranded ones), for both ends of the wire.

Pure: no clock, no line. It must never learn to write a frame that opens more than one door or holds a coil: there is no
function here for the head's set, hold and test commands, nor for lock 0, which means all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import reduce
from operator import xor

from latchwork.edge.drivers import frames

BOARDS = range(1, 100)
"""Switches go up to 32, the manual to 99."""
WAYS = (8, 12, 16, 18, 24, 32)
"""How many locks a board may have. They are counted from 1."""
CHANNELS_PER_BOARD = 100
"""A channel is `board * 100 + lock`."""
CLOSED = 0x11
"""The level of a closed contact."""
OPEN = 0x00
_READ = 0x33


class Head(IntEnum):
    READ = 0x80
    CHANGED = 0x81
    SHUT = 0x82
    UNLOCK = 0x8A
    # Understood, so that a simulated board can do what a real one would; there is no function that encodes these.
    UNLOCK_SEVERAL = 0x90
    HOLD = 0x9A
    RELEASE = 0x9B
    TEST = 0x9D


_REQUEST_LENGTHS: dict[int, tuple[int, ...]] = {
    Head.READ: (5,),
    # With a number of seconds it is one byte longer.
    Head.UNLOCK: (5, 6),
    Head.UNLOCK_SEVERAL: (6,),
    Head.HOLD: (5,),
    Head.RELEASE: (5,),
    Head.TEST: (5,),
}


@dataclass(frozen=True, slots=True)
class Frame:
    """One sound frame."""

    head: int
    board: int
    data: bytes


def channel_of(board: int, lock: int) -> int:
    return board * CHANNELS_PER_BOARD + lock


def place_of(channel: int) -> tuple[int, int]:
    """Board and lock."""
    return divmod(channel, CHANNELS_PER_BOARD)


def status_bytes(ways: int) -> int:
    """How many bytes of a whole board's answer are contacts."""
    return -(-ways // 8)


def unlock(board: int, lock: int) -> bytes:
    """One pulse to one lock, as long as the board was set to: 300 ms as delivered."""
    return _frame(Head.UNLOCK, _board(board), _lock(lock), CLOSED)


def read_lock(board: int, lock: int) -> bytes:
    return _frame(Head.READ, _board(board), _lock(lock), _READ)


def read_board(board: int) -> bytes:
    return _frame(Head.READ, _board(board), 0, _READ)


def unlocked(board: int, lock: int, *, closed: bool) -> bytes:
    """A board's answer to an unlock, after the pulse: the level of the contact by then."""
    return _frame(Head.UNLOCK, board, lock, _level(closed))


def contact_is(board: int, lock: int, *, closed: bool) -> bytes:
    """A board's answer to a read of one lock."""
    return _frame(Head.READ, board, lock, _level(closed))


def contacts_are(board: int, closed: Sequence[bool]) -> bytes:
    """A board's answer to a read of all its locks, lock 1 first: on the wire the highest come first."""
    bits = sum(1 << lock for lock, level in enumerate(closed) if level)
    return _frame(Head.READ, board, *bits.to_bytes(status_bytes(len(closed)), "big"), _READ)


def changed(board: int, lock: int, *, closed: bool) -> bytes:
    """What some boards say unasked."""
    return _frame(Head.CHANGED, board, lock, _level(closed))


def shut(board: int, lock: int) -> bytes:
    """What others say unasked, of doors that are shut."""
    return _frame(Head.SHUT, board, lock, CLOSED)


def contacts_in(frame: Frame) -> dict[int, bool]:
    """By lock, whether the contact is closed, if `frame` is a board's answer to a read; empty if not."""
    if frame.head != Head.READ:
        return {}
    if frame.data[-1] != _READ:
        return {frame.data[0]: frame.data[1] == CLOSED} if frame.data[0] else {}
    if len(frame.data) == 2 and frame.data[0] <= WAYS[-1]:  # a request, or its echo
        return {}
    bits = int.from_bytes(frame.data[:-1], "big")
    return {lock + 1: bool(bits >> lock & 1) for lock in range(8 * (len(frame.data) - 1))}


class Requests(frames.Decoder[Frame]):
    """What a board hears."""

    def __init__(self) -> None:
        super().__init__(lambda front: _REQUEST_LENGTHS.get(front[0], ()), _parse)


class Replies(frames.Decoder[Frame]):
    """What boards of so many `ways` say, where whole boards are read; where locks are, `ways` is 8.

    Frames do not state their length, and the answer of a whole board can begin like that of one lock: whoever listens
    has to know what was asked.
    """

    def __init__(self, ways: int) -> None:
        whole = 4 + status_bytes(ways)
        lengths = {Head.READ: (whole,), Head.UNLOCK: (5,), Head.CHANGED: (5,), Head.SHUT: (5,)}

        def parse(piece: bytes) -> Frame | None:
            told = piece[-2] == _READ if len(piece) > 5 else piece[-2] in (OPEN, CLOSED)
            return _parse(piece) if told else None

        super().__init__(lambda front: lengths.get(Head(front[0]), ()) if front[0] in set(Head) else (), parse)


def _frame(*body: int) -> bytes:
    return bytes((*body, reduce(xor, body)))


def _parse(piece: bytes) -> Frame | None:
    return Frame(piece[0], piece[1], piece[2:-1]) if reduce(xor, piece) == 0 else None


def _level(closed: bool) -> int:
    return CLOSED if closed else OPEN


def _board(board: int) -> int:
    if board not in BOARDS:
        raise ValueError(f"board {board} is not in {BOARDS[0]}..{BOARDS[-1]}")
    return board


def _lock(lock: int) -> int:
    if not 1 <= lock <= WAYS[-1]:
        raise ValueError(f"lock {lock} is not in 1..{WAYS[-1]}")
    return lock
