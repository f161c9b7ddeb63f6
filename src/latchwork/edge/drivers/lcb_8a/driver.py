"""What the shared bus has to know of the 8A boards.

Their answer to an unlock is the level of the contact after the pulse. It is no proof: it may even be the same bytes as
the request, so that an echo looks like it.
"""

from functools import reduce

from latchwork.domain.words import DoorState
from latchwork.edge.drivers.bus import Acknowledged, Doors, Hint, Said, SerialBus
from latchwork.edge.drivers.frames import Decoder, either
from latchwork.edge.drivers.lcb_8a import codec
from latchwork.edge.drivers.lcb_8a.codec import Head
from latchwork.edge.drivers.protocol import BusSettings

BUSY_S = 0.35
"""The pulse, and a little: the answer to an unlock comes after it, and an echo of the unlock may look like it."""


class Lcb8a:
    addresses = codec.BOARDS
    reply_s = 0.2
    """Sources wait 50 ms."""
    ack_s = 1.0
    checked = True

    def __init__(self, ways: int) -> None:
        if ways not in codec.WAYS:
            raise ValueError(f"locks_per_board = {ways} is none of {', '.join(map(str, codec.WAYS))}")
        self._ways = ways

    def channels(self, board: int) -> list[int]:
        return [codec.channel_of(board, lock) for lock in range(1, self._ways + 1)]

    def reads(self, board: int) -> dict[bytes, list[int]]:
        if codec.status_bytes(self._ways) > 1:
            return {codec.read_board(board): self.channels(board)}
        # With a single byte of contacts, the answer for all open is the request itself: an echo would look like it.
        return {codec.read_lock(*codec.place_of(channel)): [channel] for channel in self.channels(board)}

    def unlock(self, channel: int) -> bytes:
        return codec.unlock(*codec.place_of(channel))

    def decoder(self) -> codec.Replies:
        return codec.Replies(self._ways)

    def listener(self) -> Decoder[codec.Frame]:
        boards: list[Decoder[codec.Frame]] = [codec.Replies(ways) for ways in codec.WAYS]
        return reduce(either, boards, codec.Requests())

    def said(self, frame: codec.Frame) -> Said | None:
        match frame.head:
            case Head.UNLOCK:
                return Acknowledged(frame.board, codec.channel_of(frame.board, frame.data[0]))
            case Head.CHANGED | Head.SHUT:
                return Hint(frame.board)
        contacts = codec.contacts_in(frame)
        states = {
            codec.channel_of(frame.board, lock): DoorState.CLOSED if closed else DoorState.OPEN
            for lock, closed in contacts.items()
            if lock <= self._ways
        }
        return Doors(frame.board, states) if states else None


def make(settings: BusSettings) -> SerialBus:
    return SerialBus(Lcb8a(settings.options["locks_per_board"]), settings, BUSY_S)
