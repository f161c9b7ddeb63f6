"""Kerong CU16 boards in front of a wall: bytes in, bytes out a little later, and every way a bus can lie.

Pure: it returns replies with their delays and sends nothing. Chance comes from the generator it is given.
"""

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from latchwork.edge.drivers.kerong_cu16 import codec
from latchwork.edge.drivers.kerong_cu16.codec import Command, Frame
from latchwork.simulator.boards.wall import Wall

REPLY_S = 0.008
"""Turning round, and nine bytes at 19200 baud."""
SILENCE_S = 0.02
"""A pause inside a frame longer than this ends it."""
LOG_LENGTH_MAX = 10_000


@dataclass(slots=True)
class Faults:
    """How often the line goes wrong: a chance from 0 to 1 for each reply, 1 for always."""

    silence: float = 0.0
    noise: float = 0.0
    """Random bytes before the reply."""
    wrong_address: float = 0.0
    truncated: float = 0.0
    bit_flip: float = 0.0
    late: float = 0.0
    late_s: float = 0.5
    doubled: float = 0.0
    deaf: float = 0.0
    """The request itself is lost."""
    echo: bool = False
    """A cheap adapter hears itself."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A frame that passed on the wire, as the board heard or sent it."""

    at: float
    frame: Frame | None
    """None for a reply that a fault spoiled."""
    from_board: bool


Reply = tuple[float, bytes]
"""Seconds from now, and what to send then."""


class KerongBoards:
    """All boards of one bus. Channels of the wall are `board * 16 + lock`."""

    def __init__(
        self,
        wall: Wall,
        boards: Sequence[int],
        *,
        faults: Faults | None = None,
        chance: random.Random | None = None,
        reply_s: float = REPLY_S,
    ) -> None:
        self.wall = wall
        self.boards = tuple(boards)
        self.faults = Faults() if faults is None else faults
        self.silent: set[int] = set()
        """Boards whose own cable is off, while the others still answer."""
        self.log: deque[Passed] = deque(maxlen=LOG_LENGTH_MAX)
        self._chance = random.Random(0) if chance is None else chance
        self._reply_s = reply_s
        self._decoder = codec.Decoder()
        self._heard_at = float("-inf")
        self._pulse_ms = {board: round(wall.pulse_s * 1000) for board in self.boards}

    def feed(self, data: bytes, now: float) -> list[Reply]:
        """Hear `data` at `now`; what the boards do to the wall is done on return."""
        if now - self._heard_at > SILENCE_S:
            self._decoder.reset()
        self._heard_at = now
        replies: list[Reply] = [(0.0, data)] if self.faults.echo else []
        for frame in self._decoder.feed(data):
            self.log.append(Passed(now, frame, from_board=False))
            if self._happens(self.faults.deaf) or not self.wall.answers(now):
                continue
            for nth, answer in enumerate(self._obey(frame, now), start=1):
                replies += self._on_the_wire(answer, nth * self._reply_s, now)
        return replies

    def _obey(self, frame: Frame, now: float) -> list[bytes]:
        match frame.command:
            case Command.READ:
                return [codec.doors_are(self._doors(board)) for board in self._addressed(frame)]
            case Command.READ_EVERY_BOARD:
                boards = self._addressed(frame)
                return [codec.doors_are(self._doors(board), to_every_board=True) for board in boards]
            case Command.UNLOCK:
                self._unlock([board * codec.LOCKS_PER_BOARD + frame.lock for board in self._addressed(frame)], now)
            case Command.UNLOCK_WHOLE_BOARD:
                boards = self._addressed(frame)
                self._unlock([channel for channel in self.wall.doors if channel >> 4 in boards], now)
            case Command.PULSE_TIME:
                asked = codec.pulse_ms_in(frame)
                boards = self._addressed(frame)
                if asked is not None:
                    self._pulse_ms.update((board, asked) for board in boards)
                return [codec.pulse_time_is(board, self._pulse_ms[board]) for board in boards]
        return []

    def _addressed(self, frame: Frame) -> list[int]:
        everyone = frame.address & 0xF0 == codec.EVERY_BOARD
        return [board for board in self.boards if (everyone or board == frame.board) and board not in self.silent]

    def _unlock(self, channels: Sequence[int], now: float) -> None:
        for channel in channels:
            if channel in self.wall.doors:
                self.wall.pulse(channel, now, self._pulse_ms[channel >> 4] / 1000)

    def _doors(self, board: int) -> codec.Doors:
        """A terminal with no lock on it reads as open, like a cut wire."""
        channels = range(board * codec.LOCKS_PER_BOARD, (board + 1) * codec.LOCKS_PER_BOARD)
        fitted = [self.wall.doors.get(channel) for channel in channels]
        return codec.Doors(
            board,
            closed=tuple(door is not None and door.contact_closed for door in fitted),
            items=tuple(door is not None and door.item for door in fitted),
        )

    def _on_the_wire(self, answer: bytes, delay_s: float, now: float) -> list[Reply]:
        """The answer after the line has had its way with it."""
        if self._happens(self.faults.silence):
            return []
        spoilt = answer
        if self._happens(self.faults.wrong_address):
            spoilt = _readdressed(spoilt)
        if self._happens(self.faults.bit_flip):
            spoilt = _with_bit_flipped(spoilt, self._chance.randrange(len(spoilt) * 8))
        if self._happens(self.faults.truncated):
            spoilt = spoilt[: self._chance.randrange(1, len(spoilt))]
        if self._happens(self.faults.late):
            delay_s += self.faults.late_s
        sound = codec.Decoder().feed(answer)[0] if spoilt == answer else None
        self.log.append(Passed(now + delay_s, sound, from_board=True))
        if self._happens(self.faults.noise):
            spoilt = self._chance.randbytes(self._chance.randrange(1, 12)) + spoilt
        return [(delay_s, spoilt)] * (2 if self._happens(self.faults.doubled) else 1)

    def _happens(self, likelihood: float) -> bool:
        # The generator is left alone where nothing can happen, so that adding a fault does not reshuffle all others.
        return likelihood > 0 and self._chance.random() < likelihood


def _readdressed(answer: bytes) -> bytes:
    body = bytes((answer[0], (answer[1] + 0x10) & 0xF0)) + answer[2:-1]
    return body + bytes((sum(body) & 0xFF,))


def _with_bit_flipped(answer: bytes, bit: int) -> bytes:
    flipped = bytearray(answer)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)
