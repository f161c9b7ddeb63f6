"""8A boards in front of a wall. They answer an unlock after the pulse, with what the contact says then."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from latchwork.edge.drivers.lcb_8a import codec
from latchwork.edge.drivers.lcb_8a.codec import CLOSED, Frame, Head
from latchwork.simulator.boards.boards import Boards

REPLY_S = 0.015
"""Turning round, and seven bytes at 9600 baud."""
READ = 0x33
FOR_EVER_S = 86_400.0


class LcbBoards(Boards[Frame]):
    """`push`: whether they speak of changes unasked. One source says so."""

    addresses = codec.BOARDS
    locks = range(1, codec.WAYS[-1] + 1)
    locks_usual = 24
    pulse_s = 0.3

    def __init__(self, *args: Any, push: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._push = push
        most = max((self.place(channel)[1] for channel in self.wall.doors), default=1)
        self._ways = next(ways for ways in codec.WAYS if ways >= most)

    channel = staticmethod(codec.channel_of)
    place = staticmethod(codec.place_of)

    def decoder(self) -> codec.Requests:
        return codec.Requests()

    def opens(self, frame: Frame) -> Sequence[int]:
        match frame.head, list(frame.data):
            case Head.UNLOCK, [0, _]:
                return self.channels_of(frame.board)
            case Head.UNLOCK | Head.HOLD, [lock, *_]:
                return [self.channel(frame.board, lock)]
            case Head.UNLOCK_SEVERAL, several:
                bits = int.from_bytes(bytes(several), "little")
                return [self.channel(frame.board, lock) for lock in range(1, 25) if bits >> (lock - 1) & 1]
        return []

    def obey(self, frame: Frame, now: float) -> None:
        if not self.answers(frame.board, now):
            return
        say = partial(self.reply, frame.board, now)
        match frame.head, list(frame.data):
            case Head.READ, [0, second] if second == READ:
                say(REPLY_S, partial(self._contacts_of, frame.board))
            case Head.READ, [lock, second] if second == READ:
                say(REPLY_S, partial(self._contact, codec.contact_is, frame.board, lock))
            case Head.UNLOCK, [0, _]:
                channels = self.opens(frame)
                self.pulse_in_turn(channels, now)
                say(self.wall.pulse_s * len(channels), lambda _: codec.unlocked(frame.board, 0, closed=True))
            case Head.UNLOCK, [lock, _, *seconds]:
                pulse_s = float(seconds[0]) if seconds else self.wall.pulse_s
                self.pulse(self.channel(frame.board, lock), now, pulse_s)
                say(pulse_s + REPLY_S, partial(self._contact, codec.unlocked, frame.board, lock))
            case Head.UNLOCK_SEVERAL, _:
                self.pulse_in_turn(self.opens(frame), now)
            case Head.HOLD | Head.RELEASE, [lock, _]:
                channel = self.channel(frame.board, lock)
                if frame.head == Head.HOLD:
                    self.pulse(channel, now, FOR_EVER_S)
                elif channel in self.wall.doors:
                    self.wall.drop_coils([channel], now)
                say(REPLY_S, lambda _: _summed(bytes((frame.head, frame.board, lock, CLOSED))))

    def event(self, channel: int, *, closed: bool) -> bytes | None:
        return codec.changed(*self.place(channel), closed=closed) if self._push else None

    def readdressed(self, answer: bytes) -> bytes:
        return _summed(bytes((answer[0], answer[1] + 1)) + answer[2:-1])

    def _contact(self, answer: Any, board: int, lock: int, now: float) -> bytes:
        words: bytes = answer(board, lock, closed=self.closed(self.channel(board, lock), now))
        return words

    def _contacts_of(self, board: int, now: float) -> bytes:
        return codec.contacts_are(
            board, [self.closed(self.channel(board, lock), now) for lock in range(1, self._ways + 1)]
        )


def _summed(body: bytes) -> bytes:
    check = 0
    for byte in body:
        check ^= byte
    return body + bytes((check,))
