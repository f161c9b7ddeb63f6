"""WKLY boards in front of a wall. They answer every command, and tell of every contact that changes."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from latchwork.edge.drivers.wkly import codec
from latchwork.edge.drivers.wkly.codec import Command, Frame, Status
from latchwork.simulator.boards.boards import Boards

READ_LOCK_S = 0.03
READ_BOARD_S = 0.06
"""Sources allow 100 ms and 200 ms."""
FOR_EVER_S = 86_400.0


class WklyBoards(Boards[Frame]):
    addresses = codec.BOARDS
    locks = range(1, codec.LOCKS_MAX + 1)
    locks_usual = 24
    pulse_s = 0.35

    def __init__(self, *args: Any, push: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._push = push
        self._locks = max((self.place(channel)[1] for channel in self.wall.doors), default=1)

    channel = staticmethod(codec.channel_of)
    place = staticmethod(codec.place_of)

    def decoder(self) -> codec.Decoder:
        return codec.Decoder()

    def opens(self, frame: Frame) -> Sequence[int]:
        match frame.command, list(frame.data):
            case Command.UNLOCK | Command.HOLD, [lock]:
                return [self.channel(frame.board, lock)]
            case Command.UNLOCK_ALL, []:
                return self.channels_of(frame.board)
            case Command.UNLOCK_AT_ONCE | Command.UNLOCK_IN_TURN, [_, *locks]:
                return [self.channel(frame.board, lock) for lock in locks]
        return []

    def obey(self, frame: Frame, now: float) -> None:
        if not self.answers(frame.board, now):
            return
        say = partial(self.reply, frame.board, now)
        match frame.command, list(frame.data):
            case Command.READ_BOARD, []:
                say(READ_BOARD_S, partial(self._contacts_of, frame.board))
            case ((Command.READ_LOCK | Command.UNLOCK | Command.FLASH | Command.HOLD | Command.RELEASE), [lock]) if (
                not 1 <= lock <= self._locks
            ):
                say(READ_LOCK_S, partial(_done, frame, Status.FAILED))
            case Command.READ_LOCK, [lock]:
                say(READ_LOCK_S, partial(self._contact, codec.contact_is, frame.board, lock))
            case Command.UNLOCK, [lock]:
                self.pulse(self.channel(frame.board, lock), now)
                say(self.wall.pulse_s, partial(self._contact, codec.unlocked, frame.board, lock))
            case Command.FLASH | Command.HOLD | Command.RELEASE, [lock]:
                channel = self.channel(frame.board, lock)
                if frame.command == Command.HOLD:
                    self.pulse(channel, now, FOR_EVER_S)
                elif frame.command == Command.RELEASE and channel in self.wall.doors:
                    self.wall.drop_coils([channel], now)
                say(READ_LOCK_S, partial(_done, frame, Status.DONE, lock))
            case Command.UNLOCK_AT_ONCE, _:
                for channel in self.opens(frame):
                    self.pulse(channel, now)
                say(self.wall.pulse_s, partial(_done, frame, Status.DONE))
            case ((Command.UNLOCK_ALL | Command.UNLOCK_IN_TURN), _):
                channels = self.opens(frame)
                self.pulse_in_turn(channels, now)
                say(self.wall.pulse_s * len(channels), partial(_done, frame, Status.DONE))

    def event(self, channel: int, *, closed: bool) -> bytes | None:
        return codec.changed(*self.place(channel), closed=closed) if self._push else None

    def readdressed(self, answer: bytes) -> bytes:
        (frame,) = self.decoder().feed(answer)
        return codec.write(Frame((frame.board + 1) % len(codec.BOARDS), frame.command, frame.data))

    def _contact(self, answer: Any, board: int, lock: int, now: float) -> bytes:
        words: bytes = answer(board, lock, closed=self.closed(self.channel(board, lock), now))
        return words

    def _contacts_of(self, board: int, now: float) -> bytes:
        locks = range(1, self._locks + 1)
        return codec.contacts_are(board, [self.closed(self.channel(board, lock), now) for lock in locks])


def _done(frame: Frame, status: Status, *rest_and_now: Any) -> bytes:
    *rest, _ = rest_and_now
    return codec.write(Frame(frame.board, frame.command, bytes((status, *rest))))
