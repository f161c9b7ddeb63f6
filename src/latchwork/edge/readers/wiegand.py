"""Cards behind a Wiegand reader, by way of a converter on a serial line: Linux itself would miss the reader's edges.

A converter sends a card as a line: the raw frame in 0 and 1, or the number that it made of one, decimal or hex.
"""

import re

from latchwork.edge.readers.scan import Kind, Scan, scan_of

_FRAMES = (26, 34)
"""Bits of the frames whose parity is known: the first bit makes the first half even, the last the second half odd."""


def card_in(line: bytes) -> Scan | None:
    """None for what is no card, and for a frame whose parity is wrong."""
    scan = scan_of(Kind.CARD, line)
    if scan is None:
        return None
    text = scan.text.upper()
    if len(text) in _FRAMES and set(text) <= {"0", "1"}:
        return _card_of_frame(text)
    return Scan(Kind.CARD, text) if re.fullmatch(r"[0-9A-F]{4,32}", text) else None


def _card_of_frame(bits: str) -> Scan | None:
    half = len(bits) // 2
    if bits[:half].count("1") % 2 != 0 or bits[half:].count("1") % 2 != 1:
        return None
    return Scan(Kind.CARD, f"{int(bits[1:-1], 2):0{(len(bits) - 2) // 4}X}")
