"""Finds frames in whatever a line delivers: pieces, glued frames, noise. What a frame looks like is told to it.

Pure: no clock, no line. After a piece that is no frame only one byte is dropped, since the true beginning may be the
very next one.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

BUFFER_BYTES_MAX = 64
"""No frame here is longer."""

F = TypeVar("F")


class Decoder(Generic[F]):
    """`lengths`: how long a frame may be that begins like this, shortest first; empty where none can begin so.

    `parse`: what these bytes are, if they are a frame, whole and sound.
    """

    def __init__(self, lengths: Callable[[bytes], Sequence[int]], parse: Callable[[bytes], F | None]) -> None:
        self._lengths = lengths
        self._parse = parse
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[F]:
        self._buffer += data
        frames = list(self._frames())
        # Only the beginning of one frame can be left by now. The cap is for the day somebody adds a longer one.
        del self._buffer[:-BUFFER_BYTES_MAX]
        return frames

    def reset(self) -> None:
        """Forget a beginning whose end will not come any more."""
        self._buffer.clear()

    def _frames(self) -> Iterator[F]:
        while self._buffer:
            front = bytes(self._buffer[:BUFFER_BYTES_MAX])
            lengths = self._lengths(front)
            # Shorter first: a frame must not wait for bytes that never come.
            for length in lengths:
                if len(front) >= length and (frame := self._parse(front[:length])) is not None:
                    del self._buffer[:length]
                    yield frame
                    break
            else:
                if lengths and len(front) < max(lengths):
                    return
                del self._buffer[:1]


def either(one: Decoder[F], other: Decoder[F]) -> Decoder[F]:
    """Finds what one or the other would, of a line that both ends are heard on."""
    return Decoder(
        lambda front: sorted({*one._lengths(front), *other._lengths(front)}),
        lambda piece: one._parse(piece) or other._parse(piece),
    )
