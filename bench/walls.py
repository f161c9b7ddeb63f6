"""Banks for measurements: real loops, filled in memory at once, with whatever time it takes pretended."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_bytes, token_hex
from typing import Any

from latchwork.domain import commands as c
from latchwork.domain.bank import About, Fitting, OpeningState, Policy, Service
from latchwork.domain.words import (
    BankId,
    ClaimId,
    CompartmentId,
    DoorState,
    InstructionId,
    OpeningId,
    PartyId,
    PassId,
    PersonId,
    Role,
    ServiceId,
    SessionId,
    Size,
    StayId,
)
from latchwork.edge.clock import BankClock
from latchwork.edge.keyring import Keyring
from latchwork.edge.loop import Board, Journal, Loop
from latchwork.store.sqlite import SqliteJournal
from latchwork.sync.custody import Frontier
from latchwork.sync.keys import digits_of

PARCEL = ServiceId("parcel")
PARTY = PartyId(token_hex(16))
SMALL = Size(380, 80, 640)
REST_S = 40.0
"""After so long the governor has forgotten a coil."""


class Pretended:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = self._began = datetime(2026, 3, 1, 8, tzinfo=UTC)

    def pass_s(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def clock(self) -> BankClock:
        return BankClock(lambda: self.now, self.monotonic)

    def monotonic(self) -> float:
        return (self.now - self._began).total_seconds()


class NoBoard:
    async def pulse(self, compartment: CompartmentId) -> None:
        pass


class MemoryJournal:
    """The same promise as the real one, kept for as long as the process lives."""

    def __init__(self) -> None:
        self.raws: list[bytes] = []
        self.nodes: list[bytes] = []
        self._frontier = Frontier()
        self.tight = False

    @property
    def size(self) -> int:
        return len(self.raws)

    async def append(self, raws: Sequence[bytes], nodes: Sequence[bytes]) -> None:
        self.raws += raws
        self.nodes += nodes
        for raw in raws:
            self._frontier, _ = self._frontier.append(raw)

    def load(self) -> Iterable[bytes]:
        return list(self.raws)

    def frontier(self, size: int | None = None) -> Frontier:
        assert size is None or size == self.size
        return self._frontier


class TimedJournal:
    """A journal with a stop-watch."""

    def __init__(self, journal: SqliteJournal) -> None:
        self._journal = journal
        self.spent_s = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    async def append(self, raws: Any, nodes: Any) -> None:
        began = time.perf_counter()
        await self._journal.append(raws, nodes)
        self.spent_s += time.perf_counter() - began


@dataclass
class BenchBank:
    """A bank under the hands of one courier. Doors open and close at once."""

    loop: Loop
    time: Pretended
    courier: str
    code_key: bytes
    stays: list[StayId] = field(default_factory=list)

    @property
    def id(self) -> BankId:
        return self.loop.bank.id

    def digits(self, stay: StayId) -> str:
        """What the recipient types."""
        pickup = self.loop.bank.stays[stay].pickup
        assert pickup is not None
        grant = self.loop.bank.passes[pickup].grant
        return digits_of(self.code_key, grant.pass_id, grant.n, grant.digits)

    async def signed_in(self, digits: str) -> SessionId:
        session = SessionId(token_hex(16))
        decision = await self.loop.do(c.SignIn(session, self.loop.keyring.code(digits)))
        assert decision.refusal is None, decision.refusal
        return session

    async def expect(self, label: str | None = None, size: Size | None = SMALL) -> StayId:
        stay = StayId(token_hex(16))
        lookup = self.loop.keyring.label(label) if label else None
        about = About(PARCEL, PARTY, None, PersonId(token_hex(16)), lookup, size)
        await instruct(self.loop, c.Expect(stay, about))
        return stay

    async def put_in(self, prefer: CompartmentId | None = None) -> StayId:
        stay = await self.expect()
        session = await self.signed_in(self.courier)
        opening = OpeningId(token_hex(16))
        offer = self.loop.keyring.offer(self.loop.bank)
        wish = c.Deposit(session, opening, ClaimId(token_hex(16)), stay, offer, prefer=prefer)
        decision = await self.loop.do(wish)
        assert decision.refusal is None, decision.refusal
        await self.swing(opening)
        await self.loop.do(c.Confirm(session, opening))
        await self.loop.do(c.SignOut(session))
        self.stays.append(stay)
        return stay

    async def swing(self, opening: OpeningId) -> None:
        where = self.loop.bank.openings[opening].compartment
        while self.loop.bank.openings[opening].state is OpeningState.WANTED:
            self.time.pass_s(self.loop.wake_in() or 0.0)
            await self.loop.wake()
        await self.loop.do(c.See({where: DoorState.OPEN}))
        await self.loop.do(c.See({where: DoorState.CLOSED}))
        self.time.pass_s(REST_S)


async def instruct(loop: Loop, body: c.Instruction) -> None:
    named = body.pass_id if isinstance(body, c.GrantPass) else None
    number = loop.bank.instructions_through + 1
    offer = loop.keyring.offer(loop.bank, named)
    await loop.do(c.Instructed(number, InstructionId(token_hex(16)), "0" * 64, body, loop.clock.now(), offer))


async def make_bank(compartments: int, waiting: int, size: Size = SMALL) -> tuple[BenchBank, MemoryJournal]:
    """In memory: a wall of equal compartments, with so many parcels waiting in it."""
    pretended, journal, key = Pretended(), MemoryJournal(), token_bytes(32)
    loop = Loop(BankId(token_hex(16)), journal, NoBoard(), pretended.clock(), Keyring(key, 1, lambda: token_hex(16)))
    fittings = tuple(Fitting(label(n), size) for n in range(compartments))
    await loop.start(token_hex(16), "bench", fittings)
    await instruct(loop, c.Adopt(1, Policy((Service(PARCEL, Role.COURIER, Role.PERSON, 8_000),))))
    courier = PassId(token_hex(16))
    await instruct(loop, c.GrantPass(courier, Role.COURIER, PARTY))
    for start in range(0, compartments, 100):  # boards tell of their own doors only
        await loop.do(c.See({fitting.id: DoorState.CLOSED for fitting in fittings[start : start + 100]}))
    grant = loop.bank.passes[courier].grant
    bank = BenchBank(loop, pretended, digits_of(key, courier, grant.n, grant.digits), key)
    for n in range(waiting):
        await bank.put_in(prefer=label(n))
    return bank, journal


async def on_disk(
    bank: BenchBank, filled: MemoryJournal, folder: Path, board: Board, clock: BankClock | None = None
) -> tuple[BenchBank, SqliteJournal]:
    """The same bank in another life: its log in a real journal, folded again."""
    journal = SqliteJournal(folder)
    await journal.append(filled.raws, filled.nodes)
    loop = _loop(bank, journal, board, clock or bank.time.clock())
    await loop.start(token_hex(16), "bench", tuple(x.fitting for x in bank.loop.bank.compartments.values()))
    return BenchBank(loop, bank.time, bank.courier, bank.code_key, list(bank.stays)), journal


def _loop(bank: BenchBank, journal: Journal, board: Board, clock: BankClock) -> Loop:
    return Loop(bank.id, journal, board, clock, bank.loop.keyring)


def label(n: int) -> CompartmentId:
    return CompartmentId(f"{n + 1:04}")
