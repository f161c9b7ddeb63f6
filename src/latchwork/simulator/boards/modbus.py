"""Waveshare Modbus relay boards in front of a wall: coils, inputs, the pulse they time themselves, and their refusals.

Relay n and input n of a board are lock n of the wall. Not simulated: switching off for a time (0x0400), and relays that
follow their inputs.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import ClassVar

from latchwork.edge.drivers.frames import Decoder
from latchwork.edge.drivers.modbus_relay import codec, modbus
from latchwork.edge.drivers.modbus_relay.modbus import Framing, Function, Message
from latchwork.simulator.boards.boards import Boards

REPLY_S = 0.012
"""Turning round, and eight bytes at 9600 baud."""
EVERY_UNIT = 0
EVERY_RELAY = 0x00FF
ON, OFF, TOGGLE = 0xFF00, 0x0000, 0x5500
ADDRESS, VERSION = 0x4000, 0x8000
VERSION_IS = 200
PULSE_UNITS_MAX = 0x7FFF
FOR_EVER_S = 86_400.0
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
NO_ANSWER = 11


class _Refused(Exception):
    def __init__(self, reason: int) -> None:
        self.reason = reason


class ModbusBoards(Boards[Message]):
    """As they speak on RS-485, and through a gateway that passes bytes on."""

    addresses = modbus.UNITS
    locks = range(codec.RELAYS_MAX)
    locks_usual = 8
    pulse_s = 0.5
    framing: ClassVar[Framing] = Framing.RTU
    modes: Mapping[int, int] = MappingProxyType({})
    """Control modes by relay, where they are not 0."""
    dark: Collection[int] = ()
    """Boards of which their gateway gets no answer, and says so."""

    @staticmethod
    def channel(board: int, lock: int) -> int:
        return (board - 1) * codec.RELAYS_MAX + lock

    @staticmethod
    def place(channel: int) -> tuple[int, int]:
        board, lock = divmod(channel, codec.RELAYS_MAX)
        return board + 1, lock

    def decoder(self) -> Decoder[Message]:
        return modbus.requests(self.framing)

    def opens(self, frame: Message) -> Sequence[int]:
        if frame.function != Function.WRITE_COIL:
            return []
        boards = self.boards if frame.unit == EVERY_UNIT else [frame.unit]
        address, value = _two(frame)
        if value == OFF:
            return []
        relays = self.locks if address == EVERY_RELAY else [address & 0xFF]
        return [channel for board in boards for relay in relays if (channel := self.channel(board, relay)) >= 0]

    def obey(self, frame: Message, now: float) -> None:
        for board in self.boards if frame.unit == EVERY_UNIT else [frame.unit]:
            if self.answers(board, now):
                answer = self._obeyed(board, frame, now)
                if frame.unit != EVERY_UNIT:
                    self.reply(board, now, REPLY_S, partial(self._words, answer))

    def _words(self, answer: Callable[[float], Message], now: float) -> bytes:
        return modbus.encode(answer(now), self.framing)

    def _obeyed(self, board: int, frame: Message, now: float) -> Callable[[float], Message]:
        """What the board will answer, once it has done what it was asked."""
        try:
            if board in self.dark:
                raise _Refused(NO_ANSWER)
            if frame.function == Function.WRITE_COIL:
                self._write(board, frame, now)
                return lambda _: frame
            self._read(board, frame, now)
            return partial(self._read, board, frame)
        except _Refused as no:
            refusal = modbus.refused(frame, no.reason)
            return lambda _: refusal

    def _read(self, board: int, frame: Message, now: float) -> Message:
        first, count = _two(frame)
        match frame.function:
            case Function.READ_COILS | Function.READ_INPUTS:
                places = range(first, first + count)
                if not count or places[-1] >= self._relays(board):
                    raise _Refused(ILLEGAL_ADDRESS)
                state = self._is_on if frame.function == Function.READ_COILS else self.closed
                return modbus.with_bits(frame, tuple(state(self.channel(board, place), now) for place in places))
            case Function.READ_HOLDING:
                registers = {ADDRESS: board, VERSION: VERSION_IS}
                registers |= {codec.MODE_OF + x: self.modes.get(x, 0) for x in range(self._relays(board))}
                if not count or any(place not in registers for place in range(first, first + count)):
                    raise _Refused(ILLEGAL_ADDRESS)
                return modbus.with_words(frame, tuple(registers[place] for place in range(first, first + count)))
        raise _Refused(ILLEGAL_FUNCTION)

    def _write(self, board: int, frame: Message, now: float) -> None:
        address, value = _two(frame)
        command, relay = address & 0xFF00, address & 0x00FF
        relays = range(self._relays(board)) if address == EVERY_RELAY else [relay]
        if command not in (0, codec.ON_FOR) or relays[-1] >= self._relays(board):
            raise _Refused(ILLEGAL_ADDRESS)
        if command == codec.ON_FOR:
            if not 1 <= value <= PULSE_UNITS_MAX:
                raise _Refused(ILLEGAL_VALUE)
            self.pulse(self.channel(board, relay), now, value * codec.PULSE_UNIT_MS / 1000)
            return
        if value not in (ON, OFF, TOGGLE):
            raise _Refused(ILLEGAL_VALUE)
        for channel in (self.channel(board, each) for each in relays):
            if value == ON or (value == TOGGLE and not self._is_on(channel, now)):
                self.pulse(channel, now, FOR_EVER_S)
            elif channel in self.wall.doors:
                self.wall.drop_coils([channel], now)

    def _relays(self, board: int) -> int:
        """Boards have 8, 16 or 32 relays, with a lock on each or not."""
        last = max((self.place(channel)[1] for channel in self.channels_of(board)), default=0)
        return next(size for size in (8, 16, 32) if size > last)

    def _is_on(self, channel: int, now: float) -> bool:
        self.wall.answers(now)
        return channel in self.wall.doors and self.wall.doors[channel].coil_until is not None

    def readdressed(self, answer: bytes) -> bytes:
        (said,) = modbus.replies(self.framing).feed(answer)
        return modbus.encode(Message(said.unit + 1, said.function, said.data, said.transaction), self.framing)


class ModbusTcpBoards(ModbusBoards):
    """As a board with Ethernet speaks, or a gateway that translates."""

    framing = Framing.TCP


def _two(frame: Message) -> tuple[int, int]:
    """The address of a request, and what to write there or how many to read."""
    return int.from_bytes(frame.data[:2], "big"), int.from_bytes(frame.data[2:4], "big")
