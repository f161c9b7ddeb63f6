"""Some dozens of worlds hold; the same seed is the same run, anywhere; and on the real stores it is that run too."""

import asyncio
import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest
from tests.server.clouds import hold_against_the_logs
from tests.server.test_reproject import damage_and_make_again

from latchwork.simulator.main import Told, play
from latchwork.simulator.real_stores import RealStores
from latchwork.simulator.stores import MemoryStores
from latchwork.simulator.weather import Weather

SEEDS = range(1000, 1024)
DAYS = 0.7
TROUBLES = (
    *("crashes", "server crashes", "restores", "partitions", "boards lost", "clock jumps", "full disks"),
    *("new epochs", "jams", "dead coils", "dead contacts", "messages lost"),
)


@pytest.fixture(autouse=True)
def no_noise() -> Iterator[None]:
    """What goes wrong in there is the point."""
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


def held(told: Told) -> Told:
    assert not told.sentence, f"seed {told.seed}: {told.sentence} -- {told.what}\n" + "\n".join(told.last)
    return told


@pytest.mark.timeout(900)
def test_everything_holds_in_bad_weather() -> None:
    total = Counter[str]()
    for seed in SEEDS:
        told = held(play(seed, DAYS))
        assert told.counts["entries"] > 20
        total += told.counts
    # Otherwise what holds would hold for want of anything happening.
    assert [trouble for trouble in TROUBLES if not total[trouble]] == []


def test_in_fair_weather_every_parcel_arrives_and_leaves() -> None:
    told = held(play(5, 1, weather=Weather(careless=0, haste=0, never=0, late=0)))
    assert told.counts["deposits"] >= 10
    assert told.counts["collections"] + told.counts["recalls"] == told.counts["deposits"]
    assert told.counts["crashes"] == told.counts["server crashes"] == 0


def test_a_seed_is_one_run_whatever_the_hash_seed() -> None:
    first = play(7, 0.5)
    assert play(7, 0.5).digest == first.digest
    assert play(8, 0.5).digest != first.digest
    code = "from latchwork.simulator.main import play; print(play(7, 0.5).digest)"
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        found = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=120
        )
        assert found.stdout.split()[-1] == first.digest


@pytest.mark.parametrize("seed", (1, 2, 4, 6))
def test_the_real_stores_make_the_same_run(seed: int, database: str) -> None:
    """SQLite and PostgreSQL, line by line what the stores in memory do: a contract test of a whole day.

    And the rows that it leaves are those that `latchwork reproject` makes of its logs, also after they were damaged.
    """
    real = held(play(seed, 0.25, stores=partial(RealStores, database)))
    assert real.digest == held(play(seed, 0.25, stores=partial(MemoryStores, False))).digest
    asyncio.run(hold_against_the_logs(database))
    asyncio.run(damage_and_make_again(database))
