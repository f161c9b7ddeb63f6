"""The checkers bite: each classic mistake, planted in one part, is found within a few seeds by its checker alone."""

import logging
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from latchwork.domain import commands as c
from latchwork.domain.bank import PassState
from latchwork.domain.commands import Command, Decision
from latchwork.domain.words import BankId, CompartmentState, DoorState, Lookup
from latchwork.edge.keyring import Keyring
from latchwork.edge.loop import Loop, _Batch
from latchwork.simulator.checkers import CHECKERS, Checker
from latchwork.simulator.checkers.agreement import Agreement
from latchwork.simulator.checkers.answers import Answers
from latchwork.simulator.checkers.claims import Claims
from latchwork.simulator.checkers.codes import Codes
from latchwork.simulator.checkers.contents import Contents
from latchwork.simulator.checkers.doors import Doors
from latchwork.simulator.checkers.doubts import Doubts
from latchwork.simulator.checkers.endings import Endings
from latchwork.simulator.checkers.kept import Kept
from latchwork.simulator.checkers.lives import Lives
from latchwork.simulator.checkers.notices import Notices
from latchwork.simulator.checkers.prefix import Prefix
from latchwork.simulator.checkers.refusals import Refusals
from latchwork.simulator.checkers.reservations import Reservations
from latchwork.simulator.checkers.rights import Rights
from latchwork.simulator.checkers.strangers import Strangers
from latchwork.simulator.checkers.tasks import Tasks
from latchwork.simulator.checkers.words import Words
from latchwork.simulator.disk import Journal
from latchwork.simulator.main import play
from latchwork.simulator.stores import MemoryStores
from latchwork.simulator.weather import Weather
from latchwork.simulator.world import Cast
from latchwork.store.memory import MemoryJournal, MemoryStore
from latchwork.store.rows import Append, Appended, Rows
from latchwork.sync.exchange import Order

SEEDS_MAX = 12


@pytest.fixture(autouse=True)
def no_noise() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


# A bank's loop


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


class TakesForVacant(Loop):
    """A compartment in this state, while its door is shut."""

    state = CompartmentState.OCCUPIED

    async def do(self, command: Command) -> Decision:
        if not isinstance(command, c.Deposit):
            return await super().do(command)
        bank, table = self.bank, self.bank.compartments
        for where in bank.compartments.values():
            if where.state is self.state and where.door is DoorState.CLOSED:
                table = table.put(where.id, replace(where, state=CompartmentState.VACANT))
        self.bank = replace(bank, compartments=table)
        decision = await super().do(command)
        if decision.refusal is not None:
            self.bank = bank
        return decision


class TakesReservedForVacant(TakesForVacant):
    state = CompartmentState.RESERVED


class TakesDoubtfulForVacant(TakesForVacant):
    state = CompartmentState.NEEDS_CHECK


class LetsAnybodyTake(Loop):
    """Whoever has signed in may collect what they name."""

    async def do(self, command: Command) -> Decision:
        session = self.bank.sessions.get(command.session) if isinstance(command, c.Collect) else None
        if session is not None and isinstance(command, c.Collect):
            theirs = replace(session, stay=command.stay, party=None)
            self.bank = replace(self.bank, sessions=self.bank.sessions.put(session.id, theirs))
        return await super().do(command)


class ForgetsWhatIsSpent(Loop):
    """A code that has served serves again, whenever it comes."""

    async def do(self, command: Command) -> Decision:
        if isinstance(command, c.SignIn):
            for held in self.bank.passes.values():
                if held.state is PassState.SPENT:
                    fresh = replace(held, since=self.bank.at)
                    self.bank = replace(self.bank, passes=self.bank.passes.put(held.grant.pass_id, fresh))
        return await super().do(command)


class NeverExpires(Loop):
    async def do(self, command: Command) -> Decision:
        decision = await super().do(command)
        self.bank = replace(self.bank, deadlines=())
        return decision


class SendsAway(Loop):
    """Whoever is refused something has to sign in again."""

    async def do(self, command: Command) -> Decision:
        decision = await super().do(command)
        if decision.refusal is not None and isinstance(command, c.Deposit | c.Collect):
            await super().do(c.SignOut(command.session))
        return decision


class PlainKeyring(Keyring):
    def label(self, text: str, known: Container[Lookup] = ()) -> Lookup:
        return Lookup(text)


class WritesWhatItScans(Loop):
    """What stands on a parcel, and not its keyed hash."""

    def __init__(self, bank: BankId, journal: Any, controller: Any, *parts: Any) -> None:
        right = controller.keyring
        controller.keyring = PlainKeyring(right.code_key, right.generation, right.new_id)
        super().__init__(bank, journal, controller, *parts)


# The cloud's store


class TakesGaps(MemoryStore):
    """Appends without looking whether its copy of the log goes as far as the operation thinks."""

    async def append(self, append: Append) -> Appended:
        row = self.banks[append.operation.bank]
        had = {"had_epoch": row["epoch"], "had_size": row["size"], "had_root": row["root"]}
        return await super().append(Append(append.operation._replace(**had), append.rows))


class Loses(MemoryStore):
    """Rows of one kind."""

    kind = ""

    def _project(self, rows: Rows) -> None:
        setattr(rows, self.kind, ())
        super()._project(rows)


class LosesNotices(Loses):
    kind = "notices"


class LosesTasks(Loses):
    kind = "tasks"


# A bank's disk


class WithoutSync(MemoryStores):
    """A journal that loses its last entry with the power."""

    def journal(self, bank: BankId) -> Journal:
        journal = super().journal(bank)
        if isinstance(journal, MemoryJournal):
            del journal._raws[-1:], journal._nodes[-1:]
        return journal


class TakesLess(MemoryStores):
    """A controller that goes on from the cloud's log without its last entry."""

    def journal(self, bank: BankId) -> Journal:
        return self._journals.setdefault(bank, _Short())

    def lose_disk(self, bank: BankId, public: bytes | None) -> None:
        super().lose_disk(bank, public)
        self._journals[bank] = _Short()


class _Short(MemoryJournal):
    async def switch(self, epoch: int, fork: int, raws: Sequence[bytes], nodes: Sequence[bytes]) -> None:
        for log in self._past[max(self._past)]:
            del log[-1:]
        await super().switch(epoch, fork, raws, nodes)


@dataclass(frozen=True)
class Planted:
    bites: type[Checker]
    loop: type[Loop] = Loop
    store: type[MemoryStore] = MemoryStore
    stores: type[MemoryStores] = MemoryStores
    weather: Weather | None = None
    days: float = 0.7


FUSS = Weather(fuss=0.5, parcels_a_day=30)
PLANTED: Sequence[Planted] = (
    Planted(Doors, ActsFirst),
    Planted(Answers, ObeysTwice, weather=Weather(lose=0.05, double=0.2, cut=0.02)),
    Planted(Claims, TakesForVacant, weather=Weather()),
    Planted(Contents, TakesForVacant, weather=Weather()),
    Planted(Strangers, TakesForVacant, weather=Weather()),
    Planted(Reservations, TakesReservedForVacant, weather=FUSS),
    Planted(Doubts, TakesDoubtfulForVacant, weather=Weather(sensor_lies=0.3, parcels_a_day=30)),
    Planted(Rights, LetsAnybodyTake, weather=FUSS),
    Planted(Codes, ForgetsWhatIsSpent, weather=FUSS),
    Planted(Words, WritesWhatItScans, weather=FUSS),
    Planted(Endings, NeverExpires, weather=Weather(never=0.5)),
    Planted(Refusals, SendsAway, weather=FUSS),
    Planted(Prefix, store=TakesGaps, weather=Weather(restore_every_h=1.5, restore_beneath=1.0)),
    Planted(Kept, stores=WithoutSync, weather=Weather(bank_crash_every_h=2)),
    Planted(Agreement, NeverExpires, weather=Weather(never=0.5)),
    Planted(Lives, stores=TakesLess, weather=Weather(image_every_h=2, replaced=1.0)),
    Planted(Notices, store=LosesNotices, weather=Weather()),
    Planted(Tasks, store=LosesTasks, weather=Weather(coil=0.2)),
)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda p: p.bites.__name__)
def test_a_planted_bug_is_caught(planted: Planted) -> None:
    cast = Cast(planted.loop, checkers=(planted.bites,))
    for seed in range(1, SEEDS_MAX + 1):
        stores = partial(planted.stores, kind=planted.store)
        told = play(seed, planted.days, cast=cast, stores=stores, weather=planted.weather)
        if told.sentence:
            assert told.sentence == planted.bites.sentence, told.what
            return
    raise AssertionError(f"nobody noticed in {SEEDS_MAX} seeds")


def test_each_checker_has_a_bug_that_it_catches() -> None:
    assert {planted.bites for planted in PLANTED} == set(CHECKERS)
