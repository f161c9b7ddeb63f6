"""What the shared bus has to know of the WKLY boards. They answer an unlock, and tell of doors unasked."""

from latchwork.domain.words import DoorState
from latchwork.edge.drivers.bus import Acknowledged, Doors, Hint, Refused, Said, SerialBus
from latchwork.edge.drivers.protocol import BusSettings
from latchwork.edge.drivers.wkly import codec
from latchwork.edge.drivers.wkly.codec import Command, State, Status

_STATES = {State.CLOSED: DoorState.CLOSED, State.OPEN: DoorState.OPEN}


class Wkly:
    addresses = codec.BOARDS
    reply_s = 0.4
    """Twice what sources allow for a read of a whole board."""
    ack_s = 0.7
    """Twice what they allow for an unlock."""
    checked = True

    def __init__(self, locks: int) -> None:
        if not 1 <= locks <= codec.LOCKS_MAX:
            raise ValueError(f"locks_per_board = {locks} is not from 1 to {codec.LOCKS_MAX}")
        self._locks = locks

    def channels(self, board: int) -> list[int]:
        return [codec.channel_of(board, lock) for lock in range(1, self._locks + 1)]

    def reads(self, board: int) -> dict[bytes, list[int]]:
        return {codec.read_board(board): self.channels(board)}

    def unlock(self, channel: int) -> bytes:
        return codec.unlock(*codec.place_of(channel))

    def decoder(self) -> codec.Decoder:
        return codec.Decoder()

    listener = decoder

    def said(self, frame: codec.Frame) -> Said | None:
        match frame.command, list(frame.data):
            # A single byte that is no failure may be the lock of a request that the adapter echoes.
            case (Command.UNLOCK, [Status.FAILED as status]) | (
                Command.UNLOCK | Command.READ_BOARD,
                [status, _, *_],
            ) if status != Status.DONE:
                return Refused(frame.board, f": status {status:02X}")
            case Command.UNLOCK, [_, lock, _]:
                return Acknowledged(frame.board, codec.channel_of(frame.board, lock))
            case Command.CHANGED, [_, _]:
                return Hint(frame.board)
        states = {
            codec.channel_of(frame.board, lock): _STATES.get(state, DoorState.UNKNOWN)  # type: ignore[call-overload]
            for lock, state in codec.states_in(frame).items()
        }
        return Doors(frame.board, states) if states else None


def make(settings: BusSettings) -> SerialBus:
    return SerialBus(Wkly(settings.options["locks_per_board"]), settings)
