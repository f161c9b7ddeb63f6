"""The boards' end of a line, in a process of its own: simulated boards that shut their doors again.

    python -m bench.driver_end FAMILY BOARDS

It prints what the driver has to be given. Then a line for each unlock that arrived and each door that sprang open:
which of the two, the channel, and when, by the clock that all processes of a machine share.
"""

import asyncio
import sys

from latchwork.simulator.boards.device_front import PULSE_S, RELAYS_MAX, OneDevice, in_house
from latchwork.simulator.boards.front import Front, LiveWall, PtyFront
from latchwork.simulator.boards.main import FAMILIES
from latchwork.simulator.boards.wall import Wall

SHUT_AFTER_S = 0.3
"""Beyond the pulse, before which no latch catches."""
DEVICE_DOORS = 2


def _boards(name: str, count: int) -> tuple[LiveWall, Front]:
    family = FAMILIES[name]
    numbers = family.addresses[:count]
    locks = family.locks[: family.locks_usual]
    wall = Wall([family.channel(board, lock) for board in numbers for lock in locks], pulse_s=family.pulse_s)
    live = LiveWall(wall)
    return live, PtyFront(family(wall, numbers), live)


def _device(name: str) -> tuple[LiveWall, Front]:
    device = OneDevice(LiveWall(Wall(range(DEVICE_DOORS), pulse_s=PULSE_S)))
    return device.live, in_house(name, device, "127.0.0.1", 0)


async def _serve(name: str, count: int) -> None:
    live, front = _device(name) if name in RELAYS_MAX else _boards(name, count)
    wall = live.wall
    loop = asyncio.get_running_loop()
    open_before: set[int] = set()
    pulses = dict.fromkeys(wall.doors, 0)

    def shut(channel: int) -> None:
        wall.close(channel, live.now())
        live.touched()

    def tell() -> None:
        nonlocal open_before
        for door in wall:
            if door.pulses > pulses[door.channel]:
                print("unlock", door.channel, live.now(), flush=True)
                pulses[door.channel] = door.pulses
        is_open = {door.channel for door in wall if door.is_open}
        for channel in is_open - open_before:
            print("opened", channel, live.now(), flush=True)
            loop.call_later(wall.pulse_s + SHUT_AFTER_S, shut, channel)
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
