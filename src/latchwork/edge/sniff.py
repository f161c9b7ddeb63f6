"""`latchwork edge sniff PORT --driver NAME`: listens to a bus and writes it down in the vectors format.

It sends nothing, ever. Bytes that the driver's decoder does not understand are written down too: they are what somebody
with hardware has and we have not.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from latchwork.edge import registry
from latchwork.edge.config import BadConfig, BusTable
from latchwork.edge.drivers.bus import SerialBus
from latchwork.edge.drivers.frames import BUFFER_BYTES_MAX, Decoder
from latchwork.edge.drivers.line import Line, open_line
from latchwork.edge.drivers.protocol import Fault

PIECE_BYTES_MAX = 1024
"""A longer run of noise is cut."""
SILENCE_S = 0.1
"""A frame whose bytes stop coming for so long will not be finished. Adapters hold bytes back for 16 ms."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("port", help="a serial device, or socket://host:port of a gateway")
    parser.add_argument("--driver", required=True, help="whose frames to look for")
    parser.add_argument("--seconds", type=float, metavar="N", help="how long to listen; until Ctrl-C without it")
    parser.add_argument("--baud", type=int, metavar="N", help="where it is not as the boards are delivered")


def run(args: argparse.Namespace) -> int:
    try:
        asyncio.run(_listen(args))
    except (BadConfig, Fault) as error:
        sys.stderr.write(f"latchwork edge sniff: {error}\n")
        return 1
    except KeyboardInterrupt:
        pass
    return 0


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes as they came. `frame`: what the decoder makes of them; None: nothing."""

    content: bytes
    frame: object | None


class Cutter:
    """Cuts what a line delivers into frames, and what lies between them. Pure.

    A decoder tells which frames there are and not where; each is looked for in the bytes that it was fed.
    """

    def __init__(self, decoder: Callable[[], Decoder[Any]]) -> None:
        self._make = decoder
        self._decoder = decoder()
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Piece]:
        for byte in data:
            self._rest += bytes((byte,))
            for frame in self._decoder.feed(bytes((byte,))):
                yield from self._found(frame)
            if len(self._rest) > PIECE_BYTES_MAX + BUFFER_BYTES_MAX:
                yield Piece(self._rest[:PIECE_BYTES_MAX], None)
                self._rest = self._rest[PIECE_BYTES_MAX:]

    def flush(self) -> Iterator[Piece]:
        """Nothing more comes: what is left is no frame."""
        rest, self._rest = self._rest, b""
        self._decoder.reset()
        if rest:
            yield Piece(rest, None)

    def _found(self, frame: object) -> Iterator[Piece]:
        start, end = next(each for each in self._spans() if self._make().feed(self._rest[slice(*each)]) == [frame])
        if start:
            yield Piece(self._rest[:start], None)
        yield Piece(self._rest[start:end], frame)
        self._rest = self._rest[end:]

    def _spans(self) -> Iterator[tuple[int, int]]:
        """By their end, and of those the shortest first. A decoder keeps no more than its buffer."""
        size = len(self._rest)
        for end in range(max(1, size - BUFFER_BYTES_MAX), size + 1):
            for start in range(end - 1, max(-1, end - 1 - BUFFER_BYTES_MAX), -1):
                yield start, end


class _Ear(Line[Any]):
    """A line on which nothing is asked."""

    def __init__(self, heard: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        super().__init__(Decoder(lambda front: (), lambda piece: None), lost)
        self._heard = heard

    def data_received(self, data: bytes) -> None:
        self._heard(data)


async def _listen(args: argparse.Namespace) -> None:
    """Raises BadConfig, and Fault where the line cannot be opened or breaks."""
    family = registry.find(args.driver)
    options = {"baud": args.baud} if args.baud is not None else {}
    driver = family.driver(BusTable(args.driver, args.port, options=options))
    if not isinstance(driver, SerialBus):
        raise BadConfig(f"{args.driver} has no bus to listen to")
    baud = {**family.manifest.options, **options}["baud"]
    cutter = Cutter(driver.dialect.listener)
    heard: asyncio.Queue[bytes | None] = asyncio.Queue()
    ear = _Ear(heard.put_nowait, lambda: heard.put_nowait(None))
    written = 0
    async with open_line(ear, args.port, baud):
        sys.stderr.write(f"Listening at {args.port}, {baud} baud. Nothing is sent.\n")
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(args.seconds):
                    while True:
                        pieces = await _next(heard, cutter)
                        at = datetime.now(UTC)
                        for piece in pieces:
                            written += 1
                            _write(_vector(args.driver, written, piece, at))
                        if not pieces:
                            ear.check()
        finally:
            for piece in cutter.flush():
                written += 1
                _write(_vector(args.driver, written, piece, datetime.now(UTC)))
            sys.stderr.write(f"{written} pieces.\n")


async def _next(heard: "asyncio.Queue[bytes | None]", cutter: Cutter) -> list[Piece]:
    try:
        async with asyncio.timeout(SILENCE_S):
            data = await heard.get()
    except TimeoutError:
        return list(cutter.flush())
    return list(cutter.feed(data or b""))


def _vector(protocol: str, number: int, piece: Piece, at: datetime) -> dict[str, str]:
    return {
        "protocol": protocol,
        "name": f"captured {number}",
        "hex": piece.content.hex(" ").upper(),
        "meaning": "not understood" if piece.frame is None else str(piece.frame),
        "source": "captured by latchwork edge sniff",
        "trust": "captured",
        "at": at.isoformat(timespec="milliseconds"),
    }


def _write(vector: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(vector) + "\n")
    sys.stdout.flush()
