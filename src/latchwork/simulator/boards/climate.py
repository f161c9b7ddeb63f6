"""The XY-MD02 in front of a wall: it says how warm and damp it is in there, and has no locks."""

from collections.abc import Sequence
from functools import partial

from latchwork.edge.drivers.frames import Decoder
from latchwork.edge.drivers.modbus_relay import modbus
from latchwork.edge.drivers.modbus_relay.modbus import Framing, Function, Message
from latchwork.simulator.boards.boards import Boards

REPLY_S = 0.02
FIRST_REGISTER = 1
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS = 1, 2


class XyMd02Boards(Boards[Message]):
    addresses = modbus.UNITS
    locks = range(0)
    locks_usual = 0
    pulse_s = 0.5

    @staticmethod
    def channel(board: int, lock: int) -> int:
        raise AssertionError("a sensor has no locks")

    @staticmethod
    def place(channel: int) -> tuple[int, int]:
        raise AssertionError("a sensor has no locks")

    def decoder(self) -> Decoder[Message]:
        return modbus.requests(Framing.RTU)

    def opens(self, frame: Message) -> Sequence[int]:
        return []

    def obey(self, frame: Message, now: float) -> None:
        if self.answers(frame.unit, now):
            self.reply(frame.unit, now, REPLY_S, partial(self._said, frame))

    def _said(self, asked: Message, now: float) -> bytes:
        registers = round(self.wall.celsius * 10) & 0xFFFF, round(self.wall.humidity_percent * 10)
        first, count = (int.from_bytes(asked.data[at : at + 2], "big") for at in (0, 2))
        wanted = registers[first - FIRST_REGISTER :][:count] if first >= FIRST_REGISTER else ()
        if asked.function != Function.READ_REGISTERS:
            answer = modbus.refused(asked, ILLEGAL_FUNCTION)
        elif not wanted or len(wanted) < count:
            answer = modbus.refused(asked, ILLEGAL_ADDRESS)
        else:
            answer = modbus.with_words(asked, wanted)
        return modbus.encode(answer, Framing.RTU)

    def readdressed(self, answer: bytes) -> bytes:
        (said,) = modbus.replies(Framing.RTU).feed(answer)
        return modbus.encode(Message(said.unit + 1, said.function, said.data), Framing.RTU)
