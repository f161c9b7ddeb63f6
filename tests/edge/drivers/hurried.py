"""An event loop whose clock runs ahead while nothing happens, and stands still while anything does.

Files and sockets are real. A story of a minute takes a second or two, and on a busy machine no timeout comes early:
while there is something to read, or a thread at work, no time passes.
"""

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

STEP_S = 0.05
"""The clock goes on by no more at once, for bytes that are still on their way through the kernel."""
GRACE_S = 0.001
"""How long they may really take, each step. With less, a machine with much to do has replies come too late."""


# Not epoll: only poll makes the kernel deliver what was written to a pty before it says that there is nothing.
class _Selector(selectors.PollSelector):
    def __init__(self) -> None:
        super().__init__()
        self.skipped_s = 0.0
        self.threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # A clock that stood still altogether would keep whoever waits for its last nanosecond waiting.
        self.skipped_s += 1e-6
        if timeout is None or timeout <= 0 or self.threads:
            return super().select(timeout)
        ready = super().select(GRACE_S)
        if not ready:
            self.skipped_s += min(timeout, STEP_S)
        return ready


class HurriedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._hurry = _Selector()
        super().__init__(self._hurry)

    def time(self) -> float:
        return self._hurry.skipped_s

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        self._hurry.threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _: asyncio.Future[Any]) -> None:
        self._hurry.threads -= 1
