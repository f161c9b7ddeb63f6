"""What the shared bus has to know of Kerong's boards. An unlock has no reply: the polls show whether the door went."""

from latchwork.domain.words import DoorState
from latchwork.edge.drivers.bus import Doors, SerialBus
from latchwork.edge.drivers.kerong_cu16 import codec
from latchwork.edge.drivers.protocol import BusSettings


class KerongCu16:
    """`locks`: how many terminals of each board are used, 12 on a CU12. `infrared`: eyes look into the compartments."""

    addresses = range(codec.BOARDS_MAX)
    reply_s = 0.2
    """A reply takes 8 ms on the wire; the rest is for USB adapters and gateways."""
    ack_s = 0.0
    checked = True

    def __init__(self, locks: int, infrared: bool = False) -> None:
        if not 1 <= locks <= codec.LOCKS_PER_BOARD:
            raise ValueError(f"locks_per_board = {locks} is not from 1 to {codec.LOCKS_PER_BOARD}")
        self._locks = locks
        self._infrared = infrared

    def channels(self, board: int) -> range:
        first = board * codec.LOCKS_PER_BOARD
        return range(first, first + self._locks)

    def reads(self, board: int) -> dict[bytes, range]:
        return {codec.read_board(board): self.channels(board)}

    def unlock(self, channel: int) -> bytes:
        return codec.unlock(channel)

    def decoder(self) -> codec.Decoder:
        return codec.Decoder()

    listener = decoder

    def said(self, frame: codec.Frame) -> Doors | None:
        # Only the answer to a single read: a report to every board was asked for by nobody on this bus.
        doors = codec.doors_in(frame) if frame.command == codec.Command.DOORS else None
        if doors is None:
            return None
        channels = self.channels(doors.board)
        states = (DoorState.CLOSED if closed else DoorState.OPEN for closed in doors.closed)
        items = zip(channels, doors.items, strict=False) if self._infrared else ()
        return Doors(doors.board, dict(zip(channels, states, strict=False)), dict(items))


def make(settings: BusSettings) -> SerialBus:
    return SerialBus(KerongCu16(settings.options["locks_per_board"], settings.options["infrared"]), settings)
