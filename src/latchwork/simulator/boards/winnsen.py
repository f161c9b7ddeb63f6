"""Winnsen boards in front of a wall."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from latchwork.edge.drivers.winnsen import codec
from latchwork.edge.drivers.winnsen.codec import OTHER_REPLY, REPLY, Frame, Function
from latchwork.simulator.boards.boards import Boards

REPLY_S = 0.02


class WinnsenBoards(Boards[Frame]):
    """`other_reply`: some boards mark an answer in another way. `lock_only`: some can only be asked lock by lock."""

    addresses = codec.STATIONS[1:]
    locks = range(1, codec.LOCKS_MAX + 1)
    locks_usual = codec.LOCKS_MAX
    pulse_s = 0.5

    def __init__(self, *args: Any, other_reply: bool = False, lock_only: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lock_only = lock_only
        self._mark = OTHER_REPLY if other_reply else REPLY

    channel = staticmethod(codec.channel_of)
    place = staticmethod(codec.place_of)

    def decoder(self) -> codec.Decoder:
        return codec.Decoder()

    def opens(self, frame: Frame) -> Sequence[int]:
        return [self.channel(frame.station, frame.data[0])] if frame.function == Function.UNLOCK else []

    def obey(self, frame: Frame, now: float) -> None:
        if not self.answers(frame.station, now):
            return
        say = partial(self.reply, frame.station, now)
        match frame.function:
            case Function.READ_STATION if not self._lock_only:
                say(REPLY_S, partial(self._doors_of, frame.station, int.from_bytes(frame.data, "little")))
            case Function.READ_LOCK:
                say(REPLY_S, partial(self._door, frame.station, frame.data[0]))
            case Function.UNLOCK:
                self.pulse(self.channel(frame.station, frame.data[0]), now)
                say(self.wall.pulse_s + REPLY_S, partial(self._unlocked, frame.station, frame.data[0]))

    def readdressed(self, answer: bytes) -> bytes:
        return answer[:3] + bytes(((answer[3] + 1) % len(codec.STATIONS),)) + answer[4:]

    def _opened(self, station: int, lock: int, now: float) -> bool:
        return not self.closed(self.channel(station, lock), now)

    def _doors_of(self, station: int, mask: int, now: float) -> bytes:
        opened = [bool(mask >> (lock - 1) & 1) and self._opened(station, lock, now) for lock in self.locks]
        return codec.doors_are(station, opened, reply=self._mark)

    def _door(self, station: int, lock: int, now: float) -> bytes:
        return codec.door_is(station, lock, opened=self._opened(station, lock, now))

    def _unlocked(self, station: int, lock: int, now: float) -> bytes:
        return codec.unlocked(station, lock, worked=self._opened(station, lock, now), reply=self._mark)
