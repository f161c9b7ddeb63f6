"""From a decision to the frame on the wire and to the door told open, for each driver; and what many boards cost while
nothing happens."""

import asyncio
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

import uvloop

from bench.driver_end import DEVICE_DOORS
from latchwork.domain.words import DoorState
from latchwork.edge import registry
from latchwork.edge.config import BusTable
from latchwork.edge.drivers.bus import SerialBus
from latchwork.edge.drivers.device.driver import DeviceDriver
from latchwork.edge.drivers.gpio.driver import Gpio
from latchwork.edge.drivers.protocol import DoorsSeen, Reading
from latchwork.simulator.boards.device_pins import CONTACT_PINS, RELAY_PINS
from latchwork.simulator.boards.main import FAMILIES

SERIAL = ("kerong-cu16", "lcb-8a", "wkly", "winnsen", "modbus-relay")
DEVICES = ("shelly", "tasmota", "esphome", "gpio")
"""Over HTTP, and on pins."""
NAMES = SERIAL + DEVICES
ROUNDS = 20
REST_S = 3.2
"""Until the boards are polled slowly again. A second by chance comes to it: polls have a rhythm, people have none."""
IDLE_S = 10.0
MANY = (10, 10, 10, 2)
"""Boards of sixteen locks on each bus of a controller with 512 channels."""
BITS_PER_BYTE = 10


@dataclass(slots=True)
class _Stand:
    """A driver, and what its boards' end reports."""

    driver: SerialBus | DeviceDriver | Gpio
    arrivals: asyncio.StreamReader
    doors: dict[int, tuple[DoorState, float]] = field(default_factory=dict)
    """The last state told, and when."""
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, reading: Reading) -> None:
        if isinstance(reading, DoorsSeen):
            now = time.monotonic()
            self.doors.update({channel: (state, now) for channel, state in reading.doors.items()})
            self.news.set()

    async def told(self, channel: int, state: DoorState, since: float = 0.0) -> float:
        """When it was told."""
        async with asyncio.timeout(30):
            while (found := self.doors.get(channel)) is None or found[0] is not state or found[1] < since:
                self.news.clear()
                await self.news.wait()
        return found[1]

    async def reported(self, what: str, channel: int) -> float:
        async with asyncio.timeout(30):
            while True:
                word, number, at = (await self.arrivals.readline()).decode().split()
                if (word, int(number)) == (what, channel):
                    return float(at)


@dataclass(frozen=True, slots=True)
class _Round:
    frame_ms: float
    """From the decision to the whole frame at the board, on a line without a baud rate."""
    noticed_ms: float
    """From the door springing open to the telling."""
    proven_ms: float
    """From the decision to the telling."""


def run() -> dict[str, Any]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run())


async def _run() -> dict[str, Any]:
    rounds = dict(zip(NAMES, await asyncio.gather(*map(_measure, NAMES)), strict=True))
    print(f"Decision to frame at the board and to the door told open, {ROUNDS} times each (ms):")
    print(f"  {'':<14} {'frame':>7} {'p90':>7} {'wire':>7}   {'noticed':>8} {'wire':>7}   {'proven':>8}")
    for name, (wire_ms, read_ms, each) in rounds.items():
        frame, noticed, proven = ([getattr(r, part) for r in each] for part in _Round.__slots__)
        print(
            f"  {name:<14} {median(frame):7.2f} {_p90(frame):7.2f} {wire_ms}   "
            f"{median(noticed):8.1f} {read_ms}   {median(proven):8.1f}"
        )
    ten, _ = await _idle("kerong-cu16", (10,))
    many, slowest_s = await _idle("kerong-cu16", MANY)
    print(f"While nothing happens, ten boards take {ten:.2f} % of a core,")
    print(f"  {16 * sum(MANY)} channels on {len(MANY)} buses {many:.2f} %. Asked now, all answer in {slowest_s:.2f} s.")
    found = {name: each for name, (_, _, each) in rounds.items()}
    return {
        "driver_frame_ms_p50": {name: round(median(r.frame_ms for r in each), 2) for name, each in found.items()},
        "driver_proven_ms_p50": {name: round(median(r.proven_ms for r in each)) for name, each in found.items()},
        "ten_boards_idle_percent": round(ten, 2),
        "channels_512_idle_percent": round(many, 2),
    }


def _p90(times: Sequence[float]) -> float:
    return quantiles(times, n=10, method="inclusive")[8]


async def _measure(name: str) -> tuple[str, str, list[_Round]]:
    """The wire's own time for an unlock and for a read (ms) where it is a serial one, and what was measured."""
    async with _stand(name, 1) as stand:
        channels = stand.driver.channels
        for channel in channels:
            await stand.told(channel, DoorState.CLOSED)
        rounds = []
        for _ in range(ROUNDS):
            await asyncio.sleep(REST_S + random.random())
            channel = random.choice(channels)
            began = time.monotonic()
            await stand.driver.pulse(channel)
            unlocked = await stand.reported("unlock", channel)
            opened = await stand.reported("opened", channel)
            told = await stand.told(channel, DoorState.OPEN, began)
            await stand.told(channel, DoorState.CLOSED, told)
            rounds.append(_Round((unlocked - began) * 1000, (told - opened) * 1000, (told - began) * 1000))
        return *_wire(name, stand.driver), rounds


def _wire(name: str, driver: SerialBus | DeviceDriver | Gpio) -> tuple[str, str]:
    if not isinstance(driver, SerialBus):
        return f"{'-':>7}", f"{'-':>7}"
    byte_ms = BITS_PER_BYTE * 1000 / registry.find(name).manifest.options["baud"]
    (request,) = driver.dialect.reads(FAMILIES[name].addresses[0])
    read_ms = (len(request) + _REPLY_BYTES[name]) * byte_ms
    return f"{len(driver.dialect.unlock(driver.channels[0])) * byte_ms:7.2f}", f"{read_ms:7.1f}"


_REPLY_BYTES = {"kerong-cu16": 9, "lcb-8a": 7, "wkly": 34, "winnsen": 7, "modbus-relay": 6}


async def _idle(name: str, buses: Sequence[int]) -> tuple[float, float]:
    """Per cent of a core that the drivers of so many boards take, and how long all boards need to answer at once."""
    stands = [_stand(name, boards) for boards in buses]
    opened = [await stand.__aenter__() for stand in stands]
    try:
        for stand in opened:
            for channel in stand.driver.channels:
                await stand.told(channel, DoorState.CLOSED)
        await asyncio.sleep(1)
        began = time.process_time()
        await asyncio.sleep(IDLE_S)
        share = (time.process_time() - began) / IDLE_S * 100
        asked = time.monotonic()
        await asyncio.gather(*(stand.driver.read() for stand in opened))
        return share, time.monotonic() - asked
    finally:
        for stand in stands:
            await stand.__aexit__(None, None, None)


def _bus(name: str, port: str, boards: int) -> BusTable:
    if name in SERIAL:
        return BusTable(name, port, tuple(FAMILIES[name].addresses[:boards]))
    if name != "gpio":
        return BusTable(name, port, options={"relays": DEVICE_DOORS, "inputs": DEVICE_DOORS})
    os.environ |= {"GPIOZERO_PIN_FACTORY": "latchwork", "LATCHWORK_PINS": port}
    pins = {"relays": list(RELAY_PINS[:DEVICE_DOORS]), "contacts": list(CONTACT_PINS[:DEVICE_DOORS])}
    return BusTable(name, "gpio", options={**pins, "accept_host_timed": True})


@asynccontextmanager
async def _stand(name: str, boards: int) -> AsyncIterator[_Stand]:
    end = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.driver_end", name, str(boards)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert end.stdin is not None and end.stdout is not None
    try:
        port = (await end.stdout.readline()).decode().strip()
        driver = registry.find(name).driver(_bus(name, port, boards))
        assert isinstance(driver, SerialBus | DeviceDriver | Gpio)
        stand = _Stand(driver, end.stdout)
        task = asyncio.create_task(driver.run(stand.tell))
        try:
            yield stand
        finally:
            await driver.close()
            await task
    finally:
        end.stdin.close()
        await end.wait()
