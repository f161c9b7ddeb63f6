"""Kerong CU16 boards in front of a wall."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from latchwork.edge.drivers.kerong_cu16 import codec
from latchwork.edge.drivers.kerong_cu16.codec import Command, Frame
from latchwork.simulator.boards.boards import Boards

REPLY_S = 0.008
"""Turning round, and nine bytes at 19200 baud."""


class KerongBoards(Boards[Frame]):
    addresses = range(codec.BOARDS_MAX)
    locks = range(codec.LOCKS_PER_BOARD)
    locks_usual = codec.LOCKS_PER_BOARD
    pulse_s = 0.55

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pulse_ms = {board: round(self.wall.pulse_s * 1000) for board in self.boards}

    @staticmethod
    def channel(board: int, lock: int) -> int:
        return board * codec.LOCKS_PER_BOARD + lock

    @staticmethod
    def place(channel: int) -> tuple[int, int]:
        return divmod(channel, codec.LOCKS_PER_BOARD)

    def decoder(self) -> codec.Decoder:
        return codec.Decoder()

    def opens(self, frame: Frame) -> Sequence[int]:
        match frame.command:
            case Command.UNLOCK:
                return [self.channel(board, frame.lock) for board in self._addressed(frame)]
            case Command.UNLOCK_WHOLE_BOARD:
                return [channel for board in self._addressed(frame) for channel in self.channels_of(board)]
        return []

    def obey(self, frame: Frame, now: float) -> None:
        boards = [board for board in self._addressed(frame) if self.answers(board, now)]
        for nth, board in enumerate(boards, start=1):
            say = partial(self.reply, board, now, nth * REPLY_S)
            match frame.command:
                case Command.READ:
                    say(partial(self._doors, board, to_every_board=False))
                case Command.READ_EVERY_BOARD:
                    say(partial(self._doors, board, to_every_board=True))
                case Command.UNLOCK:
                    self.pulse(self.channel(board, frame.lock), now, self._pulse_ms[board] / 1000)
                case Command.UNLOCK_WHOLE_BOARD:
                    for channel in self.channels_of(board):
                        self.pulse(channel, now, self._pulse_ms[board] / 1000)
                case Command.PULSE_TIME:
                    self._pulse_ms[board] = codec.pulse_ms_in(frame) or self._pulse_ms[board]
                    say(partial(self._pulse_time, board))

    def readdressed(self, answer: bytes) -> bytes:
        body = bytes((answer[0], (answer[1] + 0x10) & 0xF0)) + answer[2:-1]
        return body + bytes((sum(body) & 0xFF,))

    def _addressed(self, frame: Frame) -> list[int]:
        return [board for board in self.boards if frame.address & 0xF0 in (codec.EVERY_BOARD, board << 4)]

    def _pulse_time(self, board: int, now: float) -> bytes:
        return codec.pulse_time_is(board, self._pulse_ms[board])

    def _doors(self, board: int, now: float, *, to_every_board: bool) -> bytes:
        channels = [self.channel(board, lock) for lock in self.locks]
        closed = tuple(self.closed(channel, now) for channel in channels)
        items = tuple((door := self.wall.doors.get(channel)) is not None and door.item for channel in channels)
        return codec.doors_are(codec.Doors(board, closed, items), to_every_board=to_every_board)
