"""Arbitrary commands, at arbitrary moments: no exception, the bank stays whole, a no changes nothing."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain.apply import apply, fold
from latchwork.domain.bank import About, Bank, Fitting, OpeningState, Policy, Service
from latchwork.domain.decide import decide
from latchwork.domain.effects import next_opening
from latchwork.domain.words import (
    BankId,
    CompartmentId,
    CompartmentState,
    DoorState,
    InstructionId,
    Lookup,
    PartyId,
    PassId,
    PersonId,
    Reason,
    Role,
    ServiceId,
    Size,
    StayState,
)

T0 = datetime(2026, 3, 1, tzinfo=UTC)
BANK = BankId("bank")
SERVICES = tuple(
    Service(ServiceId(f"{a}-{b}"), a, b, 24) for a in (Role.COURIER, Role.PERSON) for b in (Role.PERSON, Role.COURIER)
)
FITTINGS = tuple(Fitting(CompartmentId(x), Size(n, n, n)) for x, n in (("A", 1), ("B", 2), ("C", 2)))


class Asker:
    """Asks for something arbitrary: mostly about what the bank knows, sometimes about what it never heard of."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.fresh = 0

    def new(self, kind: str) -> Any:
        self.fresh += 1
        return f"{kind}{self.fresh:03d}"

    def one(self, *known: Any) -> Any:
        return self.random.choice(known) if known and self.random.random() < 0.9 else "?"

    def offer(self) -> c.Offer:
        lookups = tuple(Lookup(f"code{self.random.randrange(40)}") for _ in range(3))
        return c.Offer(self.new("pass"), 1, 6, lookups)

    def about(self) -> About:
        maybe = self.random.choice
        n = self.random.randrange(1, 4)
        return About(
            maybe([*(s.id for s in SERVICES), ServiceId("?")]),
            maybe([None, PartyId("dhx")]),
            recipient=maybe([None, PersonId("p"), PersonId("q")]),
            label=maybe([None, self.one(*(Lookup(f"label{i}") for i in range(4)))]),
            size=maybe([None, Size(n, n, n)]),
        )

    def time(self, now: datetime) -> datetime:
        return now + timedelta(hours=self.random.randrange(-3, 30))

    def instruction(self, bank: Bank, now: datetime) -> c.Instruction:
        stay, door = self.one(*bank.stays), self.one(*bank.compartments)
        role, when = self.random.choice(list(Role)), self.random.choice([None, self.time(now)])
        kinds: list[Callable[[], c.Instruction]] = [
            lambda: c.Adopt(self.random.randrange(1, 4), self.random.choice([*[Policy(SERVICES)] * 9, Policy()])),
            lambda: c.Expect(self.new("stay"), self.about(), self.random.choice([None, self.new("pass")])),
            lambda: c.Expect(stay, self.about()),
            lambda: c.Cancel(stay),
            lambda: c.GrantPass(self.new("pass"), role, self.random.choice([None, PartyId("dhx")]), when),
            lambda: c.RevokePass(self.one(*bank.passes) if self.random.random() < 0.2 else PassId("?")),
            lambda: c.Open(self.new("open"), door, self.random.choice(list(Reason)), PersonId("op"), self.time(now)),
            lambda: c.Check(door, self.random.random() < 0.5, PersonId("op"), self.time(now)),
            c.NotUnderstood,
        ]
        return self.random.choice(kinds)()

    def shown(self, bank: Bank, now: datetime) -> Lookup | c.Ticket:
        if self.random.random() < 0.2:
            return c.Ticket(self.one(bank.id), self.one(*bank.passes), self.time(now), self.time(now))
        code: Lookup = self.one(*bank.codes)
        return code

    def instructed(self, bank: Bank, now: datetime) -> c.Instructed:
        number = bank.instructions_through + self.random.choice([1, 1, 1, 2, 0, -1])
        server_now = self.random.choice([None, now, self.time(now)])
        body = self.instruction(bank, now)
        return c.Instructed(number, self.new("inst"), "0", body, server_now, self.offer(), self.random.random() < 0.05)

    def command(self, bank: Bank, now: datetime) -> c.Command:
        session, opening = self.one(*bank.sessions), self.one(*bank.openings)
        stay, door = self.one(*bank.stays), self.one(*bank.compartments)
        whys = [Reason.TOO_BIG, Reason.COMPARTMENT_BROKEN, Reason.COMPARTMENT_OCCUPIED, Reason.OTHER]
        doors = {self.one(*bank.compartments): self.random.choice(list(DoorState)) for _ in range(2)}
        prefer = self.random.choice([None, None, door])
        deposit = partial(c.Deposit, session, self.new("open"), self.new("claim"))
        kinds: list[Callable[[], c.Command]] = [
            lambda: c.SignIn(self.new("sess"), self.shown(bank, now)),
            lambda: c.SignIn(self.new("sess"), self.shown(bank, now)),
            lambda: c.SignOut(session) if self.random.random() < 0.4 else c.Tick(),
            lambda: deposit(self.new("stay"), self.offer(), self.about(), prefer),
            lambda: deposit(stay, self.offer(), None, prefer),
            lambda: c.Replace(session, opening, self.random.choice(whys), self.new("open"), self.new("claim")),
            lambda: c.Confirm(session, opening),
            lambda: c.Abandon(session, opening),
            lambda: c.Collect(session, self.new("open"), stay),
            lambda: c.Visit(session, self.new("open"), door, self.random.choice(list(Reason))),
            lambda: c.Inspect(session, door, self.random.random() < 0.5),
            lambda: self.instructed(bank, now),
            lambda: self.instructed(bank, now),
            lambda: c.Boot("b", "s") if self.random.random() < 0.3 else c.Tick(),
            lambda: c.Fit(self.random.choice([FITTINGS, FITTINGS, FITTINGS[1:]])),
            lambda: c.See(doors, self.random.random() < 0.1) if self.random.random() < 0.2 else c.Tick(),
            lambda: c.See({bank.openings[opening].compartment if opening in bank.openings else door: DoorState.CLOSED}),
            lambda: c.Unlock(opening, self.random.choice([None, now])),
            lambda: c.Elapse(opening, self.random.random() < 0.2),
            c.Tick,
            c.DoubtClock if self.random.random() < 0.2 else c.TrustClock,
        ]
        return self.random.choice(kinds)()


class World:
    def __init__(self) -> None:
        self.bank = Bank(BANK)
        self.log: list[e.Entry] = []
        self.now = T0
        self.do(c.Begin())
        self.do(c.Fit(FITTINGS))
        self.instruct(0, c.Adopt(1, Policy(SERVICES)))
        for i, role in enumerate((Role.COURIER, Role.STAFF)):
            offer = c.Offer(PassId("-"), 1, 6, (Lookup(f"code{i}"),))
            self.instruct(1 + i, c.GrantPass(PassId(f"pass{i}"), role), offer)
        self.do(c.See(dict.fromkeys([CompartmentId("A"), CompartmentId("B"), CompartmentId("C")], DoorState.CLOSED)))

    def instruct(self, number: int, body: c.Instruction, offer: c.Offer | None = None) -> None:
        self.do(c.Instructed(1 + number, InstructionId(f"setup{number}"), "0", body, None, offer))

    def do(self, command: c.Command) -> c.Decision:
        decision = decide(self.bank, command, self.now)
        for body in decision.entries:
            entry = e.Entry(BANK, 1, 0 if isinstance(body, e.EpochBegan) else self.bank.seq, self.now, body)
            self.bank = apply(self.bank, entry)
            self.log.append(entry)
        return decision


def whole(bank: Bank) -> None:
    claimed = {x.claim: x for x in bank.compartments.values() if x.claim is not None}
    assert set(claimed) == set(bank.claims), "claims and compartments name each other"
    for claim in bank.claims.values():
        assert claimed[claim.id].id == claim.compartment
        assert claimed[claim.id].state is not CompartmentState.VACANT
        for stay in claim.stays:
            assert bank.stays[stay].claim == claim.id
    for held_stay in bank.stays.values():
        assert (held_stay.claim is not None) == (held_stay.state is not StayState.EXPECTED)
        assert held_stay.claim is None or held_stay.id in bank.claims[held_stay.claim].stays
    assert {p.grant.lookup: p.grant.pass_id for p in bank.passes.values()} == dict(bank.codes.items())
    assert all(bank.openings[o].state is OpeningState.WANTED for o in bank.queue)
    assert {o.id for o in bank.openings.values() if o.state is OpeningState.WANTED} == set(bank.queue)
    unlocked = [o.id for o in bank.openings.values() if o.state is OpeningState.UNLOCKED]
    assert unlocked == ([bank.moving] if bank.moving else [])
    assert list(bank.deadlines) == sorted((s.deadline, s.id) for s in bank.stays.values() if s.deadline)
    assert {s.about.label: s.id for s in bank.stays.values() if s.about.label} == dict(bank.labels.items())
    for held in bank.passes.values():
        assert held.grant.stay is None or held.grant.stay in bank.stays, "a pass outlives its stay"
    ways = [o.compartment for o in bank.openings.values() if o.state is OpeningState.UNLOCKED]
    assert len(ways) <= 1


def live(random: Random, steps: int) -> Iterator[tuple[World, c.Command, c.Decision]]:
    world, asker = World(), Asker(random)
    for _ in range(steps):
        world.now += timedelta(minutes=random.choice([0, 1, 10, 600]))
        command = asker.command(world.bank, world.now)
        before = world.bank
        decision = world.do(command)
        assert decision.refusal is None or world.bank is before or isinstance(command, c.SignIn | c.Instructed)
        yield world, command, decision
        opening = next_opening(world.bank)
        if opening is not None and random.random() < 0.7:  # a wall that works reaches deeper states
            world.do(c.Unlock(opening.id, world.now))
            whole(world.bank)
            if random.random() < 0.8:
                world.do(c.See({opening.compartment: DoorState.OPEN}))
                whole(world.bank)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32))
def test_any_commands_keep_the_bank_whole(seed: int) -> None:
    for world, command, decision in live(Random(seed), 150):
        whole(world.bank)
        if decision.refusal is not None:
            assert isinstance(command, c.SignIn) or not decision.entries, "a no changes nothing but a guess throttle"
    assert fold(Bank(BANK), world.log) == world.bank


def test_the_arbitrary_commands_reach_every_kind_of_entry() -> None:
    """Otherwise the property above would hold for want of anything happening."""
    kinds = set()
    for seed in range(60):
        *_, (world, _, _) = live(Random(seed), 200)
        kinds |= {type(entry.body) for entry in world.log}
    assert kinds == set(get_args(e.Body))
