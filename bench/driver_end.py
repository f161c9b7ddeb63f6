"""The boards' end of a pty, in a process of its own: simulated boards that shut their doors again.

    python -m bench.driver_end FAMILY BOARDS

It prints the name of the pty. Then a line for each unlock that arrived and each door that sprang open: which of the
two, the channel, and when, by the clock that all processes of a machine share.
"""

import asyncio
import sys

from latchwork.simulator.boards.front import LiveWall, PtyFront
from latchwork.simulator.boards.main import FAMILIES
from latchwork.simulator.boards.wall import Wall

SHUT_AFTER_S = 0.3
"""Beyond the pulse, before which no latch catches."""


async def _serve(name: str, count: int) -> None:
    family = FAMILIES[name]
    numbers = family.addresses[:count]
    locks = family.locks[: family.locks_usual]
    wall = Wall([family.channel(board, lock) for board in numbers for lock in locks], pulse_s=family.pulse_s)
    live = LiveWall(wall)
    boards = family(wall, numbers)
    front = PtyFront(boards, live)
    loop = asyncio.get_running_loop()
    open_before: set[int] = set()
    told = 0

    def shut(channel: int) -> None:
        wall.close(channel, live.now())
        live.touched()

    def tell() -> None:
        nonlocal told, open_before
        for unlock in boards.unlocks[told:]:
            print("unlock", unlock.channel, unlock.at, flush=True)
        told = len(boards.unlocks)
        is_open = {door.channel for door in wall if door.is_open}
        for channel in is_open - open_before:
            print("opened", channel, live.now(), flush=True)
            loop.call_later(family.pulse_s + SHUT_AFTER_S, shut, channel)
        open_before = is_open

    live.listen(tell)
    await front.open()
    print(front.port, flush=True)
    gone = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), gone.set)  # whoever started us has gone
    await gone.wait()
    await front.cut()
    live.stop()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))
