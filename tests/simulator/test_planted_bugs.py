"""The checkers bite: each classic mistake, planted in one part, is found within a few seeds."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest

from latchwork.domain import commands as c
from latchwork.domain.commands import Command, Decision
from latchwork.domain.words import CompartmentState, DoorState
from latchwork.edge.loop import Loop, _Batch
from latchwork.simulator.checkers.answers import Answers
from latchwork.simulator.checkers.claims import Claims
from latchwork.simulator.checkers.doors import Doors
from latchwork.simulator.checkers.prefix import Prefix
from latchwork.simulator.main import Told, play
from latchwork.simulator.stores import MemoryStores
from latchwork.simulator.weather import Weather
from latchwork.simulator.world import Cast
from latchwork.store.memory import MemoryStore
from latchwork.store.rows import Append, Appended
from latchwork.sync.exchange import Order

SEEDS_MAX = 12


@pytest.fixture(autouse=True)
def no_noise() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


class ActsFirst(Loop):
    """Tells the lock, and writes then."""

    async def do(self, command: Command) -> Decision:
        batch = _Batch(self.bank, self.frontier, self.clock.now())
        decision = batch.decide(command)
        self._grant(batch)
        if batch.raws:
            await self._act(batch.bodies)
            await self.journal.append(batch.raws, batch.nodes)
            self.bank, self.frontier = batch.bank, batch.frontier
            self.told()
        return decision


class ObeysTwice(Loop):
    """Forgets what it has answered."""

    async def obey(self, order: Order) -> Decision:
        self.bank = replace(self.bank, answered=(), instructions_through=0)
        return await super().obey(order)


class AssignsTwice(Loop):
    """Takes an occupied compartment for a vacant one."""

    async def do(self, command: Command) -> Decision:
        if not isinstance(command, c.Deposit):
            return await super().do(command)
        bank, table = self.bank, self.bank.compartments
        for where in bank.compartments.values():
            if where.state is CompartmentState.OCCUPIED and where.door is DoorState.CLOSED:
                table = table.put(where.id, replace(where, state=CompartmentState.VACANT))
        self.bank = replace(bank, compartments=table)
        decision = await super().do(command)
        if decision.refusal is not None:
            self.bank = bank
        return decision


class TakesGaps(MemoryStore):
    """Appends without looking whether its copy of the log goes as far as the operation thinks."""

    async def append(self, append: Append) -> Appended:
        row = self.banks[append.operation.bank]
        had = {"had_epoch": row["epoch"], "had_size": row["size"], "had_root": row["root"]}
        return await super().append(Append(append.operation._replace(**had), append.rows))


def first_broken(play_one: Callable[[int], Told]) -> Told:
    for seed in range(1, SEEDS_MAX + 1):
        told = play_one(seed)
        if told.sentence:
            return told
    raise AssertionError(f"nobody noticed in {SEEDS_MAX} seeds")


def test_acting_before_writing_is_caught() -> None:
    told = first_broken(lambda seed: play(seed, 0.5, cast=Cast(loop=ActsFirst)))
    assert told.sentence == Doors.sentence, told.what


def test_applying_an_instruction_twice_is_caught() -> None:
    weather = Weather(lose=0.05, double=0.2, cut=0.02)
    told = first_broken(lambda seed: play(seed, 0.5, cast=Cast(loop=ObeysTwice), weather=weather))
    assert told.sentence == Answers.sentence, told.what


def test_skipping_the_gap_check_is_caught() -> None:
    weather = Weather(restore_every_h=1.5, restore_beneath=1.0)
    told = first_broken(lambda seed: play(seed, 0.7, stores=partial(MemoryStores, kind=TakesGaps), weather=weather))
    assert told.sentence == Prefix.sentence, told.what


def test_double_assignment_is_caught() -> None:
    told = first_broken(lambda seed: play(seed, 1, cast=Cast(loop=AssignsTwice), weather=Weather()))
    assert told.sentence == Claims.sentence, told.what
