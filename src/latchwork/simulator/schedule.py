"""Steps coroutines by hand, one thread, one random seed, and jumps to the next moment at which anything happens.

A coroutine waits by yielding a request; nothing here knows an event loop or real time. Whatever is due at the same
moment goes in an order drawn from the seed.
"""

import heapq
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from random import Random
from typing import Any, Generic, Self, TypeVar

from latchwork.simulator.clock import Time

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Sleep:
    seconds: float


@dataclass(frozen=True, slots=True)
class _Wait:
    signal: "Signal"
    seconds: float | None


@dataclass(frozen=True, slots=True)
class _Die:
    why: str


_Request = _Sleep | _Wait | _Die


class _Ask:
    def __init__(self, request: _Request) -> None:
        self._request = request

    def __await__(self) -> Generator[_Request, bool, bool]:
        return (yield self._request)


async def sleep(seconds: float) -> None:
    await _Ask(_Sleep(seconds))


async def wait(signal: "Signal", seconds: float | None = None) -> bool:
    """Until the signal fires: True. After `seconds` without it: False."""
    return await _Ask(_Wait(signal, seconds))


async def die(why: str) -> None:
    """The machine that runs this coroutine crashes here and now."""
    await _Ask(_Die(why))


class Host:
    """A machine: what it runs ends with it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tasks: dict[Task, None] = {}

    def crash(self, why: str) -> None:
        raise NotImplementedError


class Task:
    def __init__(self, work: Coroutine[Any, Any, None], name: str, host: Host | None) -> None:
        self.work = work
        self.name = name
        self.host = host
        self.ticket = 0
        """Counts resumptions, so that a wake-up that comes too late is known for one."""
        self.waiting: Signal | None = None
        self.over = False


class Signal:
    """Wakes all that wait for it now; nobody later."""

    def __init__(self, schedule: "Schedule") -> None:
        self._schedule = schedule
        self.waiting: dict[Task, None] = {}

    def fire(self) -> None:
        waiting, self.waiting = self.waiting, {}
        for task in waiting:
            task.waiting = None
            self._schedule.resume(task, 0.0, True)


class Promise(Generic[T]):
    """A value that comes later, or an exception in its stead."""

    def __init__(self, schedule: "Schedule") -> None:
        self._signal = Signal(schedule)
        self._value: tuple[T] | None = None
        self._error: Exception | None = None

    def keep(self, value: T) -> None:
        if self._error is None:
            self._value = (value,)
            self._signal.fire()

    def fail(self, error: Exception) -> None:
        if self._value is None:
            self._error = error
            self._signal.fire()

    async def get(self) -> T:
        while self._value is None:
            if self._error is not None:
                raise self._error
            await wait(self._signal)
        return self._value[0]


class Turn:
    """One at a time."""

    def __init__(self, schedule: "Schedule") -> None:
        self._free = Signal(schedule)
        self._taken = False

    async def __aenter__(self) -> Self:
        while self._taken:
            await wait(self._free)
        self._taken = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._taken = False
        self._free.fire()


class Schedule:
    def __init__(self, time: Time, random: Random) -> None:
        self._time = time
        self._random = random
        self._due: list[tuple[float, float, int, Task | Callable[[], None], int, bool]] = []
        self._count = 0
        self.steps = 0

    def spawn(self, work: Coroutine[Any, Any, None], name: str, host: Host | None = None) -> Task:
        task = Task(work, name, host)
        if host is not None:
            host.tasks[task] = None
        self.resume(task, 0.0, True)
        return task

    def seconds(self) -> float:
        return self._time.now

    def call_in(self, seconds: float, call: Callable[[], None]) -> None:
        self._push(seconds, call, 0, True)

    def resume(self, task: Task, seconds: float, value: bool) -> None:
        self._push(seconds, task, task.ticket, value)

    def kill(self, task: Task) -> None:
        """Whatever it was doing, it does no more of it."""
        if task.over:
            return
        self._end(task)
        task.work.close()

    def run(self, until: float, enough: Callable[[], bool] | None = None) -> None:
        """Let the world go on to second `until`, or until it is `enough`."""
        while self._due and self._due[0][0] <= until:
            at, _, _, what, ticket, value = heapq.heappop(self._due)
            self._time.now = max(self._time.now, at)
            if not isinstance(what, Task):
                what()
            elif not what.over and what.ticket == ticket:
                self._step(what, value)
                if enough is not None and enough():
                    return
        self._time.now = max(self._time.now, until)

    def close(self) -> None:
        for _, _, _, what, _, _ in self._due:
            if isinstance(what, Task) and not what.over:
                self.kill(what)

    def _step(self, task: Task, value: bool) -> None:
        self.steps += 1
        task.ticket += 1
        if task.waiting is not None:  # it waited for a signal, and for no longer than this
            task.waiting.waiting.pop(task, None)
            task.waiting = None
        try:
            request = task.work.send(value if task.ticket > 1 else None)
        except StopIteration:
            self._end(task)
            return
        match request:
            case _Sleep(seconds):
                self.resume(task, seconds, True)
            case _Wait(signal, seconds):
                signal.waiting[task] = None
                task.waiting = signal
                if seconds is not None:
                    self.resume(task, seconds, False)
            case _Die(why):
                assert task.host is not None, f"{task.name} runs on no machine that could crash"
                task.host.crash(why)

    def _end(self, task: Task) -> None:
        task.over = True
        if task.waiting is not None:
            task.waiting.waiting.pop(task, None)
        if task.host is not None:
            task.host.tasks.pop(task, None)

    def _push(self, seconds: float, what: "Task | Callable[[], None]", ticket: int, value: bool) -> None:
        self._count += 1
        at = self._time.now + max(0.0, seconds)
        heapq.heappush(self._due, (at, self._random.random(), self._count, what, ticket, value))
