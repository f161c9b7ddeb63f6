"""Somebody types codes at a kiosk all day: how many are heard, what chance that gives, and how long others wait."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from secrets import token_hex
from typing import Any

from bench.walls import BenchBank, make_bank
from latchwork.domain import commands as c
from latchwork.domain.commands import Refusal
from latchwork.domain.words import Reason, SessionId

WAITING = (10, 60, 500)
DAY = timedelta(days=1)
BORED_CODES = 10
TYPING = timedelta(seconds=1)
SLIPS = 0.05
"""So many of the honest mistype once."""
AIM = 1e-4


@dataclass(slots=True)
class Outcome:
    heard: int = 0
    hits: int = 0
    chance: float = 0.0
    digits: Counter[int] = field(default_factory=Counter)
    waits_s: list[float] = field(default_factory=list)
    after_bored_s: float = 0.0


def run() -> dict[str, Any]:
    found = {waiting: asyncio.run(_attack(waiting)) for waiting in WAITING}
    print("A day of guessing at the kiosk, a code as soon as the wall hears one (the real bank, pretended time):")
    for waiting, o in found.items():
        lengths = ", ".join(f"{n} of {digits} digits" for digits, n in sorted(o.digits.items()))
        worst, mean = max(o.waits_s), sum(o.waits_s) / len(o.waits_s)
        print(f"  {waiting:>3} waiting ({lengths}): {o.heard} codes heard, chance of a hit {o.chance:.1e}, aim < {AIM}")
        print(f"      {len(o.waits_s)} others served meanwhile, after {mean:.0f} s on average, {worst:.0f} s at most")
        print(f"      after a bored visitor's {BORED_CODES} wrong codes the next person waits {o.after_bored_s:.0f} s")
        assert o.chance < AIM, "the aim is missed"
    return {
        "guess_codes_a_day": {str(waiting): o.heard for waiting, o in found.items()},
        "guess_chance_a_day": {str(waiting): float(f"{o.chance:.2g}") for waiting, o in found.items()},
        "guess_wait_s_max": {str(waiting): round(max(o.waits_s)) for waiting, o in found.items()},
    }


async def _attack(waiting: int) -> Outcome:
    bank, _ = await make_bank(waiting, waiting)
    outcome = Outcome(digits=Counter(held.grant.digits for held in bank.loop.bank.passes.values()))
    best = max(outcome.digits, key=lambda digits: outcome.digits[digits] / 10**digits)
    end = bank.time.now + DAY
    arrivals = sorted(random.uniform(0, DAY.total_seconds()) for _ in range(max(waiting, 50)))
    others = [end - DAY + timedelta(seconds=s) for s in arrivals]
    while bank.time.now < end:
        while others and others[0] <= bank.time.now:
            others.pop(0)
            waited_s = await _honest(bank)
            outcome.waits_s += [] if waited_s is None else [waited_s]
        refusal = await _typed(bank, str(random.randrange(10**best)).zfill(best))
        outcome.heard += refusal is None or refusal.reason is Reason.WRONG_CODE
        outcome.hits += refusal is None
        heard_at = max(refusal.until or bank.time.now, bank.time.now) if refusal else bank.time.now
        # Whoever arrives before that finds the keypad free, and the wall closed to codes.
        bank.time.now = max(bank.time.now + TYPING, min([heard_at, *others[:1]]))
    outcome.chance = 1 - (1 - outcome.digits[best] / 10**best) ** outcome.heard
    bank.time.now += DAY
    for _ in range(BORED_CODES):
        await _until_heard(bank, "0" * 8)
    outcome.after_bored_s = await _until_heard(bank, bank.digits(bank.stays[0]))
    return outcome


async def _honest(bank: BenchBank) -> float | None:
    """Seconds until a right code lets somebody in; None for those who mistyped it first and wait for themselves."""
    right = bank.digits(random.choice(bank.stays))
    slipped = random.random() < SLIPS
    if slipped:
        await _until_heard(bank, right[:-1] + str((int(right[-1]) + 1) % 10))
    waited_s = await _until_heard(bank, right)
    return None if slipped else waited_s


async def _until_heard(bank: BenchBank, digits: str) -> float:
    began = bank.time.now
    while (refusal := await _typed(bank, digits)) is not None and refusal.reason is Reason.SLOW_DOWN:
        assert refusal.until is not None
        bank.time.now = refusal.until
    return (bank.time.now - began).total_seconds()


async def _typed(bank: BenchBank, digits: str) -> Refusal | None:
    session = SessionId(token_hex(16))
    refusal = (await bank.loop.do(c.SignIn(session, bank.loop.keyring.code(digits)))).refusal
    if refusal is None:
        await bank.loop.do(c.SignOut(session))
    return refusal
