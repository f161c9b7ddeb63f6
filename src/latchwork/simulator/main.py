"""`latchwork sim`: many worlds, each from its seed, and a short table; or one of them again, told line by line."""

import argparse
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from traceback import extract_tb

from latchwork.simulator.checkers import Broken
from latchwork.simulator.real_stores import RealStores
from latchwork.simulator.stores import MemoryStores, Stores
from latchwork.simulator.weather import HOUR, Weather
from latchwork.simulator.world import Cast, World

LINES_SHOWN = 40
REAL_PARTS = Cast()
SEEDS_A_JOB = 2
STORES: Mapping[str, Callable[[], Stores]] = {"memory": MemoryStores, "real": RealStores}
TABLE: Sequence[tuple[str, Sequence[str]]] = (
    ("parcels", ("announced", "deposits", "collections", "recalls", "mails")),
    ("doors", ("pulses", "refusals", "remote opens", "jams", "dead coils", "dead contacts", "flapping contacts")),
    ("machines", ("crashes", "server crashes", "boards lost", "clock jumps", "full disks")),
    ("disks", ("restores", "disks lost", "new epochs")),
    ("wire", ("messages", "messages lost", "partitions")),
)


@dataclass(slots=True)
class Told:
    """What became of one world."""

    seed: int
    digest: str = ""
    simulated_s: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    sentence: str = ""
    """What did not hold; empty where everything did."""
    what: str = ""
    last: tuple[str, ...] = ()


def play(
    seed: int,
    days: float,
    *,
    stores: Callable[[], Stores] = MemoryStores,
    cast: Cast = REAL_PARTS,
    weather: Weather | None = None,
    tell: bool = False,
) -> Told:
    """Run the world of one seed to its end, or to the first thing that is wrong with it."""
    world = World(seed, weather, cast, stores=stores(), say=print if tell else None)
    told = Told(seed)
    try:
        world.run(days)
    except Broken as broken:
        told.sentence, told.what = broken.sentence, broken.what
    except Exception as error:  # whatever it is, it is this seed's finding
        frames = extract_tb(error.__traceback__)[::-1]
        where = " <- ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames)
        told.sentence, told.what = "Nothing stops by an exception.", f"{type(error).__name__}: {error} ({where})"
    finally:
        world.close()
    told.digest, told.last = world.trace.digest(), tuple(world.trace.last)
    told.simulated_s, told.counts = world.time.now, world.counts
    told.counts["messages"], told.counts["messages lost"] = world.network.carried, world.network.lost
    return told


def _play_quietly(seed: int, days: float, store: str) -> Told:
    logging.disable(logging.ERROR)  # what goes wrong there is the point
    return play(seed, days, stores=STORES[store])


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, default=100, metavar="N", help="how many worlds (default %(default)s)")
    parser.add_argument("--first", type=int, default=1, metavar="S", help="the first of their seeds")
    parser.add_argument("--seed", type=int, metavar="S", help="exactly this one, told line by line")
    parser.add_argument("--days", type=float, default=1.0, metavar="D", help="of bad weather in each, before it clears")
    parser.add_argument("--store", choices=tuple(STORES), default="memory", help="real: SQLite and PostgreSQL")


def run(args: argparse.Namespace) -> int:
    if args.seeds < 1 or not 0 < args.days < float("inf"):
        print("latchwork sim: --seeds is a number from 1, and --days is more than 0", file=sys.stderr)
        return 2
    if args.seed is not None:
        told = play(args.seed, args.days, stores=STORES[args.store], tell=True)
        print(f"trace {told.digest}")
        return _report([told], args, 0.0)
    began, results = time.monotonic(), []
    for told in _worlds(range(args.first, args.first + args.seeds), args):
        results.append(told)
        if sys.stderr.isatty():
            print(f"\r{len(results)} of {args.seeds}", end="\r", file=sys.stderr, flush=True)
    return _report(results, args, time.monotonic() - began)


def _worlds(seeds: Sequence[int], args: argparse.Namespace) -> Iterator[Told]:
    work = partial(_play_quietly, days=args.days, store=args.store)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if len(seeds) < 4 or cores < 2 or args.store == "real":
        yield from map(work, seeds)
        return
    with ProcessPoolExecutor(cores) as processes:
        yield from processes.map(work, seeds, chunksize=SEEDS_A_JOB)


def _report(results: Sequence[Told], args: argparse.Namespace, seconds: float) -> int:
    total: Counter[str] = sum((told.counts for told in results), Counter())
    hours = sum(told.simulated_s for told in results) / HOUR
    if seconds:
        print(f"{len(results)} seeds in {seconds:.1f} s: {hours:,.0f} simulated hours, {hours / seconds:,.0f} a second")
    print(f"  {'entries':<10}{total['entries']:,}")
    for name, kinds in TABLE:
        print(f"  {name:<10}" + ", ".join(f"{total[kind]:,} {kind}" for kind in kinds))
    broken = [told for told in results if told.sentence]
    for told in broken:
        print(f"\nseed {told.seed}: {told.sentence}\n  {told.what}")
    if broken:
        _tell_last(broken[0], args)
    else:
        print("everything held")
    return 1 if broken else 0


def _tell_last(told: Told, args: argparse.Namespace) -> None:
    print(f"\nThe last of seed {told.seed}:")
    _print(told.last[-LINES_SHOWN:])
    store = "" if args.store == "memory" else f" --store {args.store}"
    print(f"\nAgain: latchwork sim --seed {told.seed} --days {args.days:g}{store}")


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(f"  {line}")
