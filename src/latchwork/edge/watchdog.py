"""Tells systemd that this bank is ready, and goes on telling it that it is alive. Without systemd it tells nobody.

The protocol is one datagram a word to the socket that systemd names in the environment (sd_notify(3)).
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

READY = b"READY=1"
ALIVE = b"WATCHDOG=1"
STOPPING = b"STOPPING=1"

log = logging.getLogger(__name__)


class Watchdog:
    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._every_s = int(environment.get("WATCHDOG_USEC", 0)) / 2_000_000 if mine else 0.0
        """Twice as often as systemd wants to hear; 0: it does not."""

    def tell(self, word: bytes) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as wire:
                wire.connect(address)
                wire.sendall(word)
        except OSError as error:
            log.warning("systemd does not hear: %s", error.strerror)

    async def run(self, turn: AbstractAsyncContextManager[None]) -> None:
        """Until cancelled. Alive is a bank that can still take a step: so each word waits for its turn at the loop."""
        if not self._every_s:
            await asyncio.Event().wait()
        while True:
            async with turn:
                self.tell(ALIVE)
            await asyncio.sleep(self._every_s)


def age_s() -> float | None:
    """Seconds since this process was started, its imports included; None where nobody tells."""
    with suppress(OSError, IndexError, ValueError):
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return None
