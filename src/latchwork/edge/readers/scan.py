"""What a reader has read, and where text from outside becomes one: bounded, of one line, or not at all."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

CHARACTERS_MAX = 400
"""Of one scan: a QR code of ours has a fifth of that. What is longer is dropped whole."""
_GS = "\x1d"
"""Separates the fields of a GS1 label."""


class Kind(StrEnum):
    TEXT = "text"
    """A label, a code or a QR code: the screen tells which by its look."""
    CARD = "card"
    """The number of a card: it says which card this is, and proves nothing."""


@dataclass(frozen=True, slots=True)
class Scan:
    kind: Kind
    text: str


class Reader(Protocol):
    async def run(self, deliver: Callable[[Scan], None]) -> None:
        """Own the device until cancelled. Raises Fault where it is not there, or not any more."""


def scan_of(kind: Kind, raw: bytes | str) -> Scan | None:
    """None for what no reader means: nothing, too much, or characters that cannot be in one line."""
    try:
        text = (raw if isinstance(raw, str) else raw.decode("utf-8")).strip(" \t\r\n")
    except UnicodeDecodeError:
        return None
    if not 0 < len(text) <= CHARACTERS_MAX or not all(x.isprintable() or x == _GS for x in text):
        return None
    return Scan(kind, text)


class Lines:
    """Cuts what a scanner sends into lines. What grows too long is dropped up to its end."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._flood = False

    def feed(self, data: bytes) -> list[bytes]:
        lines = []
        for byte in data:
            if byte in b"\r\n":
                lines += self.end()
            elif len(self._buffer) < 4 * CHARACTERS_MAX:
                self._buffer.append(byte)
            else:
                self._flood = True
        return lines

    def end(self) -> list[bytes]:
        """The line is over: by its terminator, or because nothing more comes."""
        line, flood = bytes(self._buffer), self._flood
        self._buffer.clear()
        self._flood = False
        return [] if flood or not line else [line]
