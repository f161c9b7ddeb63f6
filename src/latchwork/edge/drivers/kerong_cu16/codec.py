"""The bytes of the Kerong CU16 protocol, for both ends of the wire: requests, replies and a decoder.

Pure: no clock, no line. It must never learn to write a frame that opens more than one door; what a wall of locks
does on "open all" (0x33) or on an open to every board (0xF0) is not for software to ask for.
"""

from dataclasses import dataclass
from enum import IntEnum

from latchwork.edge.drivers import frames

BOARDS_MAX = 10
"""The high nibble of an address is the board, 0 to 9."""
LOCKS_PER_BOARD = 16
CHANNELS = range(BOARDS_MAX * LOCKS_PER_BOARD)
"""A channel is `board * 16 + lock`, which is also its address on the wire."""
PULSE_UNIT_MS = 10
PULSE_MAX_MS = 60_000
EVERY_BOARD = 0xF0

_STX = 0x02
_ETX = 0x03


class Command(IntEnum):
    READ = 0x30
    UNLOCK = 0x31
    READ_EVERY_BOARD = 0x32
    UNLOCK_WHOLE_BOARD = 0x33
    """Understood, so that a simulated board can do what a real one would; there is no function that encodes it."""
    DOORS = 0x35
    DOORS_OF_EVERY_BOARD = 0x36
    PULSE_TIME = 0x37
    PULSE_TIME_IS = 0x38
    UNLOCK_LATER = 0x39


_LENGTHS: dict[int, tuple[int, ...]] = {
    Command.READ: (5,),
    Command.UNLOCK: (5,),
    Command.READ_EVERY_BOARD: (5,),
    Command.UNLOCK_WHOLE_BOARD: (5,),
    Command.DOORS: (9,),
    Command.DOORS_OF_EVERY_BOARD: (9,),
    # Asking has no data, setting has two bytes.
    Command.PULSE_TIME: (5, 7),
    Command.PULSE_TIME_IS: (7,),
    Command.UNLOCK_LATER: (6,),
}


@dataclass(frozen=True, slots=True)
class Frame:
    """One well-formed frame. What it means is asked of it only after looking at `command`."""

    address: int
    command: int
    data: bytes = b""

    @property
    def board(self) -> int:
        return self.address >> 4

    @property
    def lock(self) -> int:
        return self.address & 0x0F


@dataclass(frozen=True, slots=True)
class Doors:
    """What one board says of its sixteen locks, lock 0 first."""

    board: int
    closed: tuple[bool, ...]
    """The hook's contact: true is locked, false is open."""
    items: tuple[bool, ...]
    """The infrared eye, where one is fitted: true is something inside."""


def read_board(board: int) -> bytes:
    return _frame(_whole(board), Command.READ)


def unlock(channel: int) -> bytes:
    """One pulse to one lock. The board sends no reply."""
    if channel not in CHANNELS:
        raise ValueError(f"channel {channel} is not in 0..{CHANNELS[-1]}")
    return _frame(channel, Command.UNLOCK)


def ask_pulse_time(board: int) -> bytes:
    return _frame(_whole(board), Command.PULSE_TIME)


def set_pulse_time(board: int, pulse_ms: int) -> bytes:
    return _frame(_whole(board), Command.PULSE_TIME, _pulse_data(pulse_ms))


def pulse_time_is(board: int, pulse_ms: int) -> bytes:
    """A board's reply to both of the above."""
    return _frame(_whole(board), Command.PULSE_TIME_IS, _pulse_data(pulse_ms))


def doors_are(doors: Doors, *, to_every_board: bool = False) -> bytes:
    """A board's reply to a read of itself, or of every board at once."""
    command = Command.DOORS_OF_EVERY_BOARD if to_every_board else Command.DOORS
    return _frame(_whole(doors.board), command, _bits(doors.closed) + _bits(doors.items))


def doors_in(frame: Frame) -> Doors | None:
    """The doors that `frame` reports, or None if it is no report of doors."""
    if frame.command not in (Command.DOORS, Command.DOORS_OF_EVERY_BOARD) or frame.lock != 0:
        return None
    if frame.board >= BOARDS_MAX:
        return None
    return Doors(frame.board, _flags(frame.data[:2]), _flags(frame.data[2:]))


def pulse_ms_in(frame: Frame) -> int | None:
    if frame.command not in (Command.PULSE_TIME, Command.PULSE_TIME_IS) or len(frame.data) != 2:
        return None
    return int.from_bytes(frame.data, "big") * PULSE_UNIT_MS


class Decoder(frames.Decoder[Frame]):
    def __init__(self) -> None:
        super().__init__(_lengths, _parse)


def _lengths(front: bytes) -> tuple[int, ...]:
    if front[0] != _STX:
        return ()
    return (5,) if len(front) < 3 else _LENGTHS.get(front[2], ())


def _parse(piece: bytes) -> Frame | None:
    if piece[-2] != _ETX or piece[-1] != sum(piece[:-1]) & 0xFF:
        return None
    return Frame(piece[1], piece[2], piece[3:-2])


def _frame(address: int, command: Command, data: bytes = b"") -> bytes:
    body = bytes((_STX, address, command)) + data + bytes((_ETX,))
    return body + bytes((sum(body) & 0xFF,))


def _whole(board: int) -> int:
    if board not in range(BOARDS_MAX):
        raise ValueError(f"board {board} is not in 0..{BOARDS_MAX - 1}")
    return board << 4


def _pulse_data(pulse_ms: int) -> bytes:
    if pulse_ms % PULSE_UNIT_MS or not 0 <= pulse_ms <= PULSE_MAX_MS:
        raise ValueError(f"a pulse of {pulse_ms} ms is not a multiple of {PULSE_UNIT_MS} up to {PULSE_MAX_MS}")
    return (pulse_ms // PULSE_UNIT_MS).to_bytes(2, "big")


def _bits(flags: tuple[bool, ...]) -> bytes:
    if len(flags) != LOCKS_PER_BOARD:
        raise ValueError(f"{len(flags)} locks instead of {LOCKS_PER_BOARD}")
    return sum(1 << lock for lock, flag in enumerate(flags) if flag).to_bytes(2, "little")


def _flags(bits: bytes) -> tuple[bool, ...]:
    number = int.from_bytes(bits, "little")
    return tuple(bool(number >> lock & 1) for lock in range(LOCKS_PER_BOARD))
