"""The DS18B20 on a 1-Wire bus of Linux, read from its files under `/sys/bus/w1/devices/28-...`."""

import asyncio
import re
from pathlib import Path

from latchwork.edge.drivers.protocol import Fault
from latchwork.edge.sensors.reading import Reading

READ_S = 5.0
"""A measurement takes 0.75 s; a kernel that has others to ask first takes longer."""
POWER_ON_CELSIUS = 85.0
"""What a sensor says that was asked before its first measurement, or restarted inside one."""
_SCRATCHPAD = re.compile(r"((?:[0-9a-f]{2} ){9}): crc=[0-9a-f]{2} (YES|NO)")


class Ds18b20:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def read(self) -> Reading:
        """Raises Fault."""
        try:
            async with asyncio.timeout(READ_S):
                celsius = await asyncio.to_thread(self._celsius)
        except TimeoutError:
            raise Fault(f"{self._folder} did not answer within {READ_S:g} s") from None
        except OSError as error:
            raise Fault(f"{self._folder} cannot be read: {error.strerror}") from error
        if celsius == POWER_ON_CELSIUS:
            raise Fault(f"{self._folder} says {celsius:g} °C, as a sensor does that has not measured yet")
        return Reading(celsius)

    def _celsius(self) -> float:
        try:
            said = (self._folder / "w1_slave").read_text(encoding="ascii", errors="replace")
        except FileNotFoundError:
            return self._celsius_unchecked()
        match = _SCRATCHPAD.match(said)
        if match is None:
            raise Fault(f"{self._folder} says nothing that can be read")
        scratchpad = bytes.fromhex(match[1])
        # A bus that is shorted to ground reads as zeros, whose check is zero and right.
        if match[2] != "YES" or crc8(scratchpad) != 0 or not any(scratchpad):
            raise Fault(f"{self._folder}: the check of what it says is wrong: look at the wires and the pull-up")
        return int.from_bytes(scratchpad[:2], "little", signed=True) / 16

    def _celsius_unchecked(self) -> float:
        """Here the kernel has checked, and left the file empty if it was wrong."""
        said = (self._folder / "temperature").read_text(encoding="ascii", errors="replace").strip()
        if not re.fullmatch(r"-?\d+", said):
            raise Fault(f"{self._folder} says nothing that can be read")
        return int(said) / 1000


def crc8(data: bytes) -> int:
    """The check of 1-Wire; 0 over bytes that end with their own."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
    return crc
