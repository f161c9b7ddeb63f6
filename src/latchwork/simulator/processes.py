"""Real processes, minded: started with a log file each, started again when they die, gone when we are.

It knows nothing of lockers. A child is tied to us by the kernel (`launch.py`), so that even `kill -9` of ours leaves
none behind.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

LAUNCHER = Path(__file__).with_name("launch.py")
BACK_OFF_FIRST_S = 0.5
BACK_OFF_MAX_S = 10.0
STEADY_S = 30.0
"""A child that lived this long had not failed to start."""
STOP_S = 20.0
PATIENCE_S = 15.0
"""After so long without a sign of readiness, we say what we are waiting for."""
LOOK_S = 0.05
LOG_BYTES_MAX = 5_000_000
TAIL_LINES = 15


class Failed(Exception):
    """A process did not become what it should. The message ends with the tail of its log."""


@dataclass(frozen=True, slots=True)
class Part:
    """What to run. `name` is how people call it, `log` where it may talk."""

    name: str
    argv: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    """Beside our own environment."""


class Child:
    """One process that is meant to run. `tell` hears of every unasked-for end.

    The kernel's death signal is tied to the *thread* that starts a child: use it from the main thread only.
    """

    def __init__(self, part: Part, tell: Callable[[str], None]) -> None:
        self.part = part
        self.deaths = 0
        """Unasked-for ends so far."""
        self._tell = tell
        self._wanted = asyncio.Event()
        self._stopping = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def start(self, part: Part | None = None) -> None:
        """Run it, and from now on again whenever it dies. `part`: differently than before."""
        self.part = part or self.part
        self._wanted.set()
        if self._task is None:
            self._task = asyncio.create_task(self._mind(), name=self.part.name)

    def kill(self) -> None:
        """kill -9, and leave it dead until `start`."""
        self._wanted.clear()
        self._signal(signal.SIGKILL)

    async def stop(self, patience_s: float = STOP_S) -> None:
        """Ask it to go; insist after a while."""
        self._stopping.set()
        if self._task is None:
            return
        self._signal(signal.SIGTERM)
        self._wanted.set()  # one that is being kept dead has to notice, too
        done, _ = await asyncio.wait({self._task}, timeout=patience_s)
        if not done:
            self._tell(f"{self.part.name} does not stop; killed")
            self._signal(signal.SIGKILL)
        await self._task

    async def ready(self, works: Callable[[], Awaitable[bool]], patience_s: float) -> None:
        """Returns when it works. Raises Failed when it died, or took too long."""
        died_before, began = self.deaths, time.monotonic()
        told = began
        while not await works():
            if self.deaths > died_before:
                raise Failed(f"{self.part.name} did not start. {self.tail()}")
            if time.monotonic() - began > patience_s:
                raise Failed(f"{self.part.name} is not ready after {patience_s:.0f} s. {self.tail()}")
            if time.monotonic() - told > PATIENCE_S:
                told = time.monotonic()
                self._tell(f"{self.part.name} is not ready yet; its log says: {(self._lines() or ['nothing'])[-1]}")
            await asyncio.sleep(LOOK_S)

    def tail(self) -> str:
        lines = self._lines()[-TAIL_LINES:]
        return f"Its log, {self.part.log}, ends:\n" + ("\n".join(f"  {line}" for line in lines) or "  (nothing)")

    def _lines(self) -> list[str]:
        try:
            return self.part.log.read_text(errors="replace").splitlines()
        except OSError:
            return []

    async def _mind(self) -> None:
        back_off_s = BACK_OFF_FIRST_S
        while True:
            await self._wanted.wait()
            if self._stopping.is_set():
                return
            began = time.monotonic()
            process = self._process = await _launch(self.part)
            if self._stopping.is_set():  # told while it was being started
                self._signal(signal.SIGTERM)
            code = await process.wait()
            self._process = None
            if self._stopping.is_set():
                return
            if not self._wanted.is_set():
                continue
            self.deaths += 1
            self._tell(f"{self.part.name} ended ({_how(code)}); starting it again")
            if time.monotonic() - began > STEADY_S:
                back_off_s = BACK_OFF_FIRST_S
            with suppress(TimeoutError):
                async with asyncio.timeout(back_off_s):
                    await self._stopping.wait()
            back_off_s = min(back_off_s * 2, BACK_OFF_MAX_S)

    def _signal(self, number: int) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)


async def _launch(part: Part) -> asyncio.subprocess.Process:
    with _opened(part.log) as log:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", str(LAUNCHER), str(os.getpid())),
            *part.argv,
            env={**os.environ, **part.env},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for us to handle, in our order
        )


def _opened(log: Path) -> BinaryIO:
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(log.with_name(log.name + ".1"))
    private = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return os.fdopen(private, "ab")


def _how(code: int) -> str:
    return f"by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
