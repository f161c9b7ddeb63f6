"""How long a collection takes with 1, 200 and 5,000 parcels waiting: from typed digits to the last entry on disk."""

import asyncio
import random
import tempfile
import time
from pathlib import Path
from secrets import token_hex
from statistics import median
from typing import Any

from bench.walls import REST_S, BenchBank, NoBoard, TimedJournal, make_bank, on_disk
from latchwork.domain import commands as c
from latchwork.domain.words import OpeningId

WAITING = (1, 200, 5_000)
ROUNDS = 60


def run() -> dict[str, Any]:
    found = asyncio.run(_run())
    print("Collection, from typed digits to the last entry on disk (median ms; five commits each, doors at once):")
    for waiting, (took, thinking) in found.items():
        print(f"  {waiting:>5} waiting: {took:6.2f} ms, of which not in the journal {thinking:5.2f} ms")
    first, last = found[WAITING[0]], found[WAITING[-1]]
    print(f"  5,000 against 1: x{last[0] / first[0]:.2f}, without the journal x{last[1] / first[1]:.2f}")
    return {"collect_ms": {str(waiting): round(took, 3) for waiting, (took, _) in found.items()}}


async def _run() -> dict[int, tuple[float, float]]:
    with tempfile.TemporaryDirectory(prefix="latchwork-bench-") as name:
        banks: dict[int, BenchBank] = {}
        journals: dict[int, TimedJournal] = {}
        for waiting in WAITING:
            bank, filled = await make_bank(waiting, waiting)
            banks[waiting], journal = await on_disk(bank, filled, Path(name) / str(waiting), NoBoard())
            banks[waiting].time.pass_s(REST_S)  # after a start every coil begins tired
            journals[waiting] = TimedJournal(journal)
            banks[waiting].loop.journal = journals[waiting]
        took: dict[int, list[tuple[float, float]]] = {waiting: [] for waiting in WAITING}
        for _ in range(ROUNDS):  # in turn, so that whatever disturbs disturbs all of them
            for waiting, bank in banks.items():
                took[waiting].append(await _collect(bank, journals[waiting]))
        for timed in journals.values():
            timed.close()
    return {waiting: (median(w for w, _ in times), median(t for _, t in times)) for waiting, times in took.items()}


async def _collect(bank: BenchBank, journal: TimedJournal) -> tuple[float, float]:
    """One of those waiting, in all and without its journal; another is put into its place, unmeasured."""
    journal.spent_s = 0.0
    at = random.randrange(len(bank.stays))
    stay = bank.stays.pop(at)
    digits, opening = bank.digits(stay), OpeningId(token_hex(16))
    began = time.perf_counter()
    session = await bank.signed_in(digits)
    decision = await bank.loop.do(c.Collect(session, opening, stay))
    assert decision.refusal is None and bank.loop.bank.moving == opening
    await bank.swing(opening)
    await bank.loop.do(c.SignOut(session))
    took_ms = (time.perf_counter() - began) * 1000
    spent_ms = journal.spent_s * 1000
    assert stay not in bank.loop.bank.stays
    await bank.put_in()
    return took_ms, took_ms - spent_ms
