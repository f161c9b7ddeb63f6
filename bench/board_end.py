"""The board's end of a pty, in a process of its own: answers polls, opens and closes doors, notes when frames come.

    python -m bench.board_end

It prints the names of two ptys: one for the driver, one for bare frames. Then a line for each unlock that arrived on
either: which of the two, and when, by the clock that all processes of a machine share.
"""

import asyncio
import os
import pty
import sys
import time
import tty

from latchwork.edge.drivers.kerong_cu16 import codec
from latchwork.edge.drivers.kerong_cu16.codec import Command, Doors

OPEN_S = 0.2
"""An unlocked door stands open for so long: a poll or two see it."""
REPLY_S = 0.008
"""Turning round, and nine bytes at 19200 baud."""


class _Board:
    def __init__(self, name: str) -> None:
        self.name = name
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.device = os.ttyname(slave)
        self._slave = slave  # held, so that the master stays readable while nobody is there
        self._decoder = codec.Decoder()
        self._open: set[int] = set()

    def readable(self) -> None:
        data = os.read(self.master, 4096)
        at = time.monotonic_ns()
        loop = asyncio.get_running_loop()
        for frame in self._decoder.feed(data):
            if frame.command == Command.UNLOCK:
                print(self.name, at, flush=True)
                self._open.add(frame.lock)
                loop.call_later(OPEN_S, self._open.discard, frame.lock)
            elif frame.command == Command.READ:
                loop.call_later(REPLY_S, self._reply, frame.board)

    def _reply(self, board: int) -> None:
        closed = tuple(lock not in self._open for lock in range(codec.LOCKS_PER_BOARD))
        os.write(self.master, codec.doors_are(Doors(board, closed, (False,) * codec.LOCKS_PER_BOARD)))


async def _serve() -> None:
    boards = [_Board("driver"), _Board("bare")]
    loop = asyncio.get_running_loop()
    for board in boards:
        loop.add_reader(board.master, board.readable)
    print(*(board.device for board in boards), flush=True)
    gone = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), gone.set)  # whoever started us has gone
    await gone.wait()


if __name__ == "__main__":
    asyncio.run(_serve())
