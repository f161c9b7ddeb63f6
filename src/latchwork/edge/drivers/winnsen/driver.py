"""What the shared bus has to know of the Winnsen boards. Their frames carry no check, so a read counts when it is
repeated."""

from latchwork.domain.words import DoorState
from latchwork.edge.drivers.bus import Acknowledged, Doors, Said, SerialBus
from latchwork.edge.drivers.protocol import BusSettings
from latchwork.edge.drivers.winnsen import codec
from latchwork.edge.drivers.winnsen.codec import Function

READS = ("station", "lock")


class Winnsen:
    """`read`: whether a whole station is read at once or, as some firmware wants it, lock by lock."""

    addresses = codec.STATIONS
    reply_s = 0.5
    ack_s = 2.0
    """What sources allow."""
    checked = False

    def __init__(self, locks: int, read: str) -> None:
        if not 1 <= locks <= codec.LOCKS_MAX:
            raise ValueError(f"locks_per_board = {locks} is not from 1 to {codec.LOCKS_MAX}")
        if read not in READS:
            raise ValueError(f'read = "{read}" is none of {", ".join(READS)}')
        self._locks = locks
        self._read = read

    def channels(self, board: int) -> list[int]:
        return [codec.channel_of(board, lock) for lock in range(1, self._locks + 1)]

    def reads(self, board: int) -> dict[bytes, list[int]]:
        if self._read == "station":
            return {codec.read_station(board, self._locks): self.channels(board)}
        return {codec.read_lock(*codec.place_of(channel)): [channel] for channel in self.channels(board)}

    def unlock(self, channel: int) -> bytes:
        return codec.unlock(*codec.place_of(channel))

    def decoder(self) -> codec.Decoder:
        return codec.Decoder()

    listener = decoder

    def said(self, frame: codec.Frame) -> Said | None:
        if frame.answers is Function.UNLOCK:
            return Acknowledged(frame.station, codec.channel_of(frame.station, frame.data[0]))
        states = {
            codec.channel_of(frame.station, lock): DoorState.OPEN if opened else DoorState.CLOSED
            for lock, opened in codec.opened_in(frame).items()
        }
        return Doors(frame.station, states) if states else None


def make(settings: BusSettings) -> SerialBus:
    return SerialBus(Winnsen(settings.options["locks_per_board"], settings.options["read"]), settings)
