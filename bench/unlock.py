"""What the edge adds between an accepted code and the unlock frame on the wire, beyond what it cannot avoid.

In turn: a real collection (loop, SQLite journal, Kerong driver, pty, board in another process), and its baseline, one
bare commit of the same bytes and one bare frame over a pty of the same kind to the same process. What a disk takes for
one commit varies far more than what the edge adds, so of each collection its own commit is taken away, and how much
longer such a commit is than a bare one is added again as a median.
"""

import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from statistics import median, quantiles
from typing import Any

import uvloop

from bench.walls import BenchBank, TimedJournal, make_bank, on_disk
from latchwork.domain import commands as c
from latchwork.domain.bank import OpeningState
from latchwork.domain.words import ClaimId, OpeningId, SessionId
from latchwork.edge.clock import BankClock
from latchwork.edge.config import BusTable
from latchwork.edge.desk import EdgeDesk
from latchwork.edge.drivers.kerong_cu16 import codec
from latchwork.edge.wall import wall_of
from latchwork.store.sqlite import SqliteJournal

DOORS = 16
ROUNDS = 120
SPARE_S = 0.1
"""Between two pulses, for the governor and the driver."""
FRAME = codec.unlock(0)
FASTER = 2.0
"""The bank's monotonic clock runs so many times faster, or the governor would stretch this to five minutes."""


@dataclass(frozen=True, slots=True)
class _Round:
    whole_ms: float
    commit_ms: float
    """Of that, its own commit."""
    bare_commit_ms: float
    bare_frame_ms: float


def run() -> dict[str, Any]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rounds = runner.run(_run())
    frame_ms = median(r.bare_frame_ms for r in rounds)
    dearer_ms = median(r.commit_ms for r in rounds) - median(r.bare_commit_ms for r in rounds)
    over = [r.whole_ms - r.commit_ms - frame_ms + dearer_ms for r in rounds]
    print(f"Code accepted to unlock frame at the board, {len(rounds)} times (ms):")
    _line("the edge", [r.whole_ms for r in rounds])
    _line("of that, its commit", [r.commit_ms for r in rounds])
    _line("a bare commit", [r.bare_commit_ms for r in rounds])
    _line("a bare frame", [r.bare_frame_ms for r in rounds])
    _line("overhead", over)
    whole, bare = median(r.whole_ms for r in rounds), median(r.bare_commit_ms + r.bare_frame_ms for r in rounds)
    print(f"  the edge against bare commit and frame, medians: x{whole / bare:.2f}")
    return {"unlock_overhead_ms_p50": round(median(over), 3), "unlock_overhead_ms_p99": round(_p99(over), 3)}


def _line(name: str, times: Sequence[float]) -> None:
    print(f"  {name:<20} median {median(times):6.3f}   p99 {_p99(times):6.3f}   max {max(times):6.2f}")


def _p99(times: Sequence[float]) -> float:
    return quantiles(times, n=100, method="inclusive")[98]


async def _run() -> list[_Round]:
    board = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.board_end", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert board.stdout is not None and board.stdin is not None
    try:
        device, bare_device = (await board.stdout.readline()).decode().split()
        with tempfile.TemporaryDirectory(prefix="latchwork-bench-") as name:
            return await _measure(board.stdout, device, bare_device, Path(name))
    finally:
        board.stdin.close()
        await board.wait()


async def _measure(arrivals: asyncio.StreamReader, device: str, bare_device: str, folder: Path) -> list[_Round]:
    bank, filled = await make_bank(DOORS, DOORS)
    bus = BusTable("kerong-cu16", device)
    wiring = {door: (0, n) for n, door in enumerate(sorted(bank.loop.bank.compartments))}
    wall = wall_of([bus], wiring)
    began = time.monotonic()
    clock = BankClock(lambda: bank.time.now, lambda: began + (time.monotonic() - began) * FASTER)
    bank, journal = await on_disk(bank, filled, folder / "bank", wall, clock)
    other = SqliteJournal(folder / "bare")
    line = os.open(bare_device, os.O_WRONLY | os.O_NOCTTY)
    desk = EdgeDesk(bank.loop, journal)
    tasks = [asyncio.create_task(wall.run(desk.tell)), asyncio.create_task(desk.run())]
    timed = TimedJournal(journal)
    bank.loop.journal = timed
    rounds: list[_Round] = []
    try:
        await asyncio.sleep(1)
        for n in range(1 + ROUNDS):
            await asyncio.sleep(SPARE_S + random.random() * SPARE_S)  # the polls have a rhythm, people have none
            size = journal.size
            whole_ms, commit_ms = await _collect(bank, desk, arrivals, timed)
            # As many bytes as its commit had: what was wanted, and the unlock.
            bare = await _bare(other, journal.entries(size + 1, size + 3), line, arrivals)
            if n:  # the first one waits for its coil: after a start every coil begins tired
                rounds.append(_Round(whole_ms, commit_ms, *bare))
            await asyncio.sleep(SPARE_S)
            await _put_in(bank, desk)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        os.close(line)
        journal.close()
        other.close()
    return rounds


async def _collect(
    bank: BenchBank, desk: EdgeDesk, arrivals: asyncio.StreamReader, timed: TimedJournal
) -> tuple[float, float]:
    """From the moment at which the code is accepted, and on disk, to the frame's arrival."""
    stay, session, opening = bank.stays.pop(0), SessionId(token_hex(16)), OpeningId(token_hex(16))
    accepted = await desk.do(c.SignIn(session, desk.code(bank.digits(stay))))
    assert accepted.refusal is None, accepted.refusal
    timed.spent_s = 0.0
    began = time.monotonic_ns()
    decision = await desk.do(c.Collect(session, opening, stay))
    commit_ms = timed.spent_s * 1000
    assert decision.refusal is None, decision.refusal
    at = await _arrival(arrivals, "driver", began)
    await _while(lambda: opening in desk.bank.openings, desk)
    await desk.do(c.SignOut(session))
    return (at - began) / 1e6, commit_ms


async def _put_in(bank: BenchBank, desk: EdgeDesk) -> None:
    """Something for the next round, unmeasured."""
    stay, session, opening = await bank.expect(), SessionId(token_hex(16)), OpeningId(token_hex(16))
    await desk.do(c.SignIn(session, desk.code(bank.courier)))
    wish = c.Deposit(session, opening, ClaimId(token_hex(16)), stay, desk.offer())
    decision = await desk.do(wish)
    assert decision.refusal is None, decision.refusal
    await _while(lambda: desk.bank.openings[opening].state is not OpeningState.SHUT, desk)
    await desk.do(c.Confirm(session, opening))
    await desk.do(c.SignOut(session))
    bank.stays.append(stay)


async def _bare(
    journal: SqliteJournal, raws: Sequence[bytes], line: int, arrivals: asyncio.StreamReader
) -> tuple[float, float]:
    nodes = [b"n" * 64 for _ in raws]
    began = time.monotonic_ns()
    await journal.append(raws, nodes)
    committed = time.monotonic_ns()
    os.write(line, FRAME)
    return (committed - began) / 1e6, (await _arrival(arrivals, "bare", committed) - committed) / 1e6


async def _arrival(arrivals: asyncio.StreamReader, which: str, since: int) -> int:
    """When the frame came. A second pulse for an earlier door, whose proof a busy machine has missed, is not it."""
    async with asyncio.timeout(10):
        while True:
            name, at = (await arrivals.readline()).decode().split()
            if name == which and int(at) >= since:
                return int(at)


async def _while(condition: Callable[[], bool], desk: EdgeDesk) -> None:
    """Until the doors have done what they do."""
    async with asyncio.timeout(10):
        while condition():
            await desk.changed()
