"""What the shared bus has to know of Modbus relay boards. The board times the pulse; inputs are the doors' contacts."""

from dataclasses import replace

from latchwork.domain.words import DoorState
from latchwork.edge.drivers.bus import Acknowledged, Doors, Refused, Said, SerialBus, Sound, Stale, Unsound
from latchwork.edge.drivers.frames import Decoder, either
from latchwork.edge.drivers.line import gateway_in
from latchwork.edge.drivers.modbus_relay import codec, modbus
from latchwork.edge.drivers.modbus_relay.modbus import Framing, Function, Message
from latchwork.edge.drivers.protocol import BusSettings

CHANNELS_PER_BOARD = codec.RELAYS_MAX
"""Also where a board has fewer relays, so that no channel moves when a board is added."""
_MODES = {1: "linked to its input", 2: "toggled by its input", 3: "moved by every change of its input"}
_REASONS = {
    1: "it does not know the command",
    2: "it has no such relay or input, or no pulse of its own",
    3: "it does not take the value",
    4: "it failed",
    6: "it is busy",
    10: "its gateway has no way to it",
    11: "its gateway got no answer from it",
}
_UNKNOWN = (1, 2)


class ModbusRelay:
    """`relays` and `inputs` are those of each board; input n is the contact of relay n."""

    addresses = modbus.UNITS
    reply_s = 0.3
    """A reply takes 10 ms on the wire at 9600 baud; the rest is for USB adapters and gateways."""
    ack_s = 0.3
    checked = True

    def __init__(self, relays: int, inputs: int, pulse_ms: int, framing: Framing) -> None:
        if not 0 <= inputs <= relays:
            raise ValueError(f"inputs = {inputs} is not from 0 to {relays}, the number of relays")
        codec.read_relays(modbus.UNITS[0], relays)
        codec.pulse(modbus.UNITS[0], 0, pulse_ms)
        self._relays, self._inputs = relays, inputs
        self._pulse_ms = pulse_ms
        self._framing = framing
        self._transaction = 0
        self._asked: dict[int, int] = {}
        """The number of the last request to each board."""

    def channels(self, board: int) -> range:
        first = (board - modbus.UNITS[0]) * CHANNELS_PER_BOARD
        return range(first, first + self._relays)

    def reads(self, board: int) -> dict[bytes, range]:
        return {self._encoded(self._question(board)): self.channels(board)}

    def checks(self, board: int) -> list[bytes]:
        """In another control mode than 0 an input moves the relay, and a door's contact would open doors."""
        return [self._encoded(question) for question in codec.read_modes(board, self._relays)]

    def stamped(self, request: bytes) -> bytes:
        """With a transaction number of its own, where there is one: an answer to an earlier request is none."""
        if self._framing is not Framing.TCP:
            return request
        self._transaction = self._asked[request[6]] = self._transaction % 0xFFFF + 1
        return self._transaction.to_bytes(2, "big") + request[2:]

    def unlock(self, channel: int) -> bytes:
        board, relay = divmod(channel, CHANNELS_PER_BOARD)
        return self._encoded(codec.pulse(board + modbus.UNITS[0], relay, self._pulse_ms))

    def decoder(self) -> Decoder[Message]:
        return modbus.replies(self._framing)

    def listener(self) -> Decoder[Message]:
        return either(modbus.requests(self._framing), self.decoder())

    def said(self, frame: Message) -> Said | None:
        if frame.unit not in self.addresses:
            return None
        if self._framing is Framing.TCP and frame.transaction != self._asked.get(frame.unit, 0):
            return Stale(frame.unit)
        if (reason := modbus.refusal_in(frame)) is not None:
            if frame.function & ~modbus.REFUSED == Function.READ_HOLDING and reason in _UNKNOWN:
                return Sound(frame.unit)  # no such registers, so no such modes
            return Refused(frame.unit, f": Modbus exception {reason}, {_REASONS.get(reason, 'of its own')}")
        if frame.function == Function.READ_HOLDING:
            return self._mode_said(frame)
        channels = self.channels(frame.unit)
        if frame.function == Function.WRITE_COIL:
            relay = int.from_bytes(frame.data[:2], "big") - codec.ON_FOR
            return Acknowledged(frame.unit, channels[relay]) if 0 <= relay < self._relays else None
        question = replace(self._question(frame.unit), transaction=frame.transaction)
        if not modbus.answers(frame, question):
            return None
        closed = modbus.bits_in(frame, self._inputs)
        states = dict.fromkeys(channels, DoorState.UNKNOWN)
        states |= {
            channel: DoorState.CLOSED if is_closed else DoorState.OPEN
            for channel, is_closed in zip(channels, closed, strict=False)
        }
        return Doors(frame.unit, states)

    def _mode_said(self, frame: Message) -> Said | None:
        asked = (replace(x, transaction=frame.transaction) for x in codec.read_modes(frame.unit, self._relays))
        if not any(modbus.answers(frame, question) for question in asked):
            return None
        mode = max(modbus.words_in(frame))
        if not mode:
            return Sound(frame.unit)
        what = _MODES.get(mode, "not ours to switch")
        return Unsound(
            frame.unit,
            f": a relay is {what} (control mode {mode}); set the registers {codec.MODE_OF:#06x} and up to 0",
        )

    def _question(self, board: int) -> Message:
        """A board without contacts is asked for its relays, only to see that it is there."""
        if self._inputs:
            return codec.read_inputs(board, self._inputs)
        return codec.read_relays(board, self._relays)

    def _encoded(self, message: Message) -> bytes:
        return modbus.encode(message, self._framing)


def make(settings: BusSettings) -> SerialBus:
    options = settings.options
    try:
        framing = Framing(options["framing"])
    except ValueError:
        raise ValueError(f'framing = "{options["framing"]}" is neither {" nor ".join(Framing)}') from None
    if framing is Framing.TCP and gateway_in(settings.port) is None:
        raise ValueError('framing = "tcp" needs a port socket://host:502')
    relays = ModbusRelay(options["relays"], options["inputs"], options["pulse_ms"], framing)
    return SerialBus(relays, settings, checks=relays.checks, stamped=relays.stamped)
