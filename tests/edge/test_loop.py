"""The bank at work: written before acted, whatever fails; nothing pulsed at a restart."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain.apply import fold
from latchwork.domain.bank import About, Bank, Fitting, Policy, Service
from latchwork.domain.words import (
    BankId,
    ClaimId,
    CompartmentId,
    CompartmentState,
    DoorState,
    InstructionId,
    OpeningId,
    PassId,
    PersonId,
    Reason,
    Role,
    ServiceId,
    SessionId,
    Size,
    StayId,
)
from latchwork.edge.clock import BankClock
from latchwork.edge.drivers.protocol import Fault
from latchwork.edge.keyring import Keyring
from latchwork.edge.loop import Loop, Unfit
from latchwork.store.sqlite import DiskFull, SqliteJournal
from latchwork.sync.codec import encode_instruction, read_entry
from latchwork.sync.exchange import Order
from latchwork.sync.keys import digits_of

BANK = BankId("b" * 32)
T0 = datetime(2026, 3, 1, 8, tzinfo=UTC)
PARCEL = Service(ServiceId("parcel"), Role.COURIER, Role.PERSON, 72)
FITTINGS = tuple(Fitting(CompartmentId(x), Size(400, n, 400)) for x, n in (("01", 100), ("02", 200), ("03", 400)))


class Time:
    def __init__(self) -> None:
        self.seconds = 1000.0
        self.wall_ahead = timedelta()

    def monotonic(self) -> float:
        return self.seconds

    def wall(self) -> datetime:
        return T0 + timedelta(seconds=self.seconds) + self.wall_ahead


class Board:
    """Notes each pulse with what the journal's files held at that moment, as a copy of them would show."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pulsed: list[CompartmentId] = []
        self.cut = False
        self.breaks: BaseException | None = None

    async def pulse(self, compartment: CompartmentId) -> None:
        copy = self.folder.parent / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.folder, copy)
        journal = SqliteJournal(copy)
        last = [read_entry(raw).body for raw in journal.load()][-1]
        journal.close()
        assert isinstance(last, e.Unlocked) and last.compartment == compartment, "acted before it was written"
        if self.cut:
            raise Fault("the line is cut")
        if self.breaks is not None:
            raise self.breaks
        self.pulsed.append(compartment)


class Edge:
    id = BANK

    def __init__(self, folder: Path) -> None:
        self.time = Time()
        self.folder = folder
        self.board = Board(folder)
        self.number = 0
        self.open()

    def open(self) -> None:
        self.journal = SqliteJournal(self.folder)
        clock = BankClock(self.time.wall, self.time.monotonic)
        keyring = Keyring(b"k" * 32, 1, lambda: uuid4().hex)
        self.loop = Loop(self.id, self.journal, self.board, clock, keyring, full=DiskFull)

    async def start(self) -> None:
        await self.loop.start(uuid4().hex, "test", FITTINGS)
        self.loop.clock.confirm(self.time.wall())
        await self.loop.do(c.TrustClock())

    async def set_up(self) -> SessionId:
        await self.start()
        await self.obey(c.Adopt(1, Policy((PARCEL,))))
        await self.obey(c.GrantPass(PassId("c" * 32), Role.COURIER))
        await self.loop.do(c.See({f.id: DoorState.CLOSED for f in FITTINGS}))
        session = SessionId(uuid4().hex)
        lookup = self.loop.bank.passes[PassId("c" * 32)].grant.lookup
        await self.loop.do(c.SignIn(session, lookup))
        return session

    async def obey(self, body: c.Instruction) -> c.Decision:
        self.number += 1
        return await self.loop.obey(Order(self.number, InstructionId(uuid4().hex), encode_instruction(body)))

    async def deposit(self, session: SessionId) -> tuple[OpeningId, c.Decision]:
        opening = OpeningId(uuid4().hex)
        offer = self.loop.keyring.offer(self.loop.bank)
        about = About(PARCEL.id, recipient=PersonId("p"))
        stay, claim = StayId(uuid4().hex), ClaimId(uuid4().hex)
        return opening, await self.loop.do(c.Deposit(session, opening, claim, stay, offer, about))

    async def pass_time(self, seconds: float) -> None:
        self.time.seconds += seconds
        await self.loop.wake()

    async def restart(self) -> None:
        self.journal.close()
        self.open()
        await self.start()

    async def restart_alone(self) -> None:
        """With no server to confirm the time."""
        self.journal.close()
        self.open()
        await self.loop.start(uuid4().hex, "test", FITTINGS)

    def bodies(self, kind: type) -> list[e.Body]:
        return [body for raw in self.journal.load() if isinstance(body := read_entry(raw).body, kind)]


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    edge = Edge(tmp_path / "bank")
    yield edge
    edge.journal.close()


async def test_an_opening_is_on_disk_before_its_lock_is_told(edge: Edge) -> None:
    session = await edge.set_up()
    opening, decision = await edge.deposit(session)
    assert decision.refusal is None
    assert edge.board.pulsed == ["01"]
    await edge.loop.do(c.See({CompartmentId("01"): DoorState.OPEN}))
    await edge.loop.do(c.See({CompartmentId("01"): DoorState.CLOSED}))
    await edge.loop.do(c.Confirm(session, opening))
    assert len(edge.bodies(e.Stored)) == 1
    assert fold(Bank(BANK), map(read_entry, edge.journal.load())) == edge.loop.bank
    assert edge.journal.frontier() == edge.loop.frontier


async def test_no_proof_is_tried_once_more_after_a_rest_then_given_up(edge: Edge) -> None:
    session = await edge.set_up()
    await edge.deposit(session)
    await edge.pass_time(1.0)
    assert edge.board.pulsed == ["01"], "not before the door had its time"
    await edge.pass_time(0.6)
    await edge.pass_time(0.7)
    assert edge.board.pulsed == ["01", "01"]
    await edge.pass_time(1.6)
    assert [type(b) for b in edge.bodies(e.NotOpened)] == [e.NotOpened]
    assert edge.loop.bank.compartments[CompartmentId("01")].state is CompartmentState.NEEDS_CHECK
    await edge.pass_time(60)
    assert len(edge.board.pulsed) == 2 and edge.loop.wake_in() is None


async def test_a_cut_line_is_told_at_once_and_the_next_door_is_served(edge: Edge) -> None:
    session = await edge.set_up()
    edge.board.cut = True
    await edge.deposit(session)
    (not_opened,) = edge.bodies(e.NotOpened)
    assert isinstance(not_opened, e.NotOpened) and not_opened.why is Reason.STATION_BROKEN
    edge.board.cut = False
    await edge.loop.do(c.SignOut(session))
    await edge.pass_time(1)
    session = SessionId(uuid4().hex)
    await edge.loop.do(c.SignIn(session, edge.loop.bank.passes[PassId("c" * 32)].grant.lookup))
    await edge.deposit(session)
    assert edge.board.pulsed == ["02"]


async def test_two_openings_wait_for_each_other_and_for_the_supply(edge: Edge) -> None:
    await edge.set_up()
    until = edge.time.wall() + timedelta(seconds=30)
    for door in ("01", "02"):
        body = c.Open(OpeningId(f"open-{door}"), CompartmentId(door), Reason.INSPECTION, PersonId("op"), until)
        await edge.obey(body)
    assert edge.board.pulsed == ["01"]
    await edge.loop.do(c.See({CompartmentId("01"): DoorState.OPEN}))
    assert edge.board.pulsed == ["01"], "the coil's supply rests first"
    wait = edge.loop.wake_in()
    assert wait is not None and 0 < wait <= 0.65
    await edge.pass_time(wait)
    assert edge.board.pulsed == ["01", "02"]


async def test_a_remote_opening_that_waited_too_long_is_never_pulsed(edge: Edge) -> None:
    await edge.set_up()
    until = edge.time.wall() + timedelta(seconds=1)
    for door in ("01", "02"):
        body = c.Open(OpeningId(f"open-{door}"), CompartmentId(door), Reason.INSPECTION, PersonId("op"), until)
        await edge.obey(body)
    await edge.pass_time(1.6)  # the first door never proves itself, and time runs out for both
    await edge.pass_time(5)
    await edge.pass_time(5)
    assert edge.board.pulsed == ["01"]
    assert [b.why for b in edge.bodies(e.Lapsed) if isinstance(b, e.Lapsed)] == [Reason.EXPIRED] * 2


async def test_a_restart_pulses_nothing_and_leaves_doubt_where_it_belongs(edge: Edge) -> None:
    session = await edge.set_up()
    opening, _ = await edge.deposit(session)
    await edge.restart()
    assert edge.board.pulsed == ["01"]
    assert edge.loop.bank.openings[opening].state == "unresolved"
    assert session in edge.loop.bank.sessions, "the courier's session survived"
    assert (await edge.loop.do(c.Confirm(session, opening))).refusal is None
    assert len(edge.bodies(e.Stored)) == 1


async def test_a_journal_with_an_unknown_kind_is_not_worked_with(edge: Edge) -> None:
    await edge.set_up()
    size = edge.journal.size
    raw = (
        edge.journal.entries(size - 1, size)[0]
        .replace(b"SessionBegan", b"SessionDream")
        .replace(f",{size - 1},".encode(), f",{size},".encode())
    )
    await edge.journal.append([raw], [b"\0" * 32])
    with pytest.raises(Unfit, match="SessionDream"):
        await edge.restart()


async def test_expiry_stands_still_until_the_time_is_confirmed(edge: Edge) -> None:
    session = await edge.set_up()
    opening, _ = await edge.deposit(session)
    await edge.loop.do(c.See({CompartmentId("01"): DoorState.OPEN}))
    await edge.loop.do(c.See({CompartmentId("01"): DoorState.CLOSED}))
    await edge.loop.do(c.Confirm(session, opening))
    edge.time.wall_ahead = timedelta(days=30)
    await edge.pass_time(1)
    assert len(edge.bodies(e.ClockDoubted)) == 2, "at boot, and when the clocks parted"
    assert not edge.bodies(e.Expired)
    edge.time.wall_ahead = timedelta()
    edge.loop.clock.confirm(edge.time.wall())
    await edge.loop.do(c.TrustClock())
    await edge.pass_time(1)
    assert not edge.bodies(e.Expired)
    await edge.pass_time(72 * 3600)
    assert len(edge.bodies(e.Expired)) == 1


async def test_a_full_disk_refuses_and_nothing_has_happened(edge: Edge) -> None:
    session = await edge.set_up()

    class Full(SqliteJournal):
        def _commit(self, write: Callable[[], object]) -> None:
            raise DiskFull("no room")

    edge.journal.close()
    edge.journal = edge.loop.journal = Full(edge.folder)
    before = edge.loop.bank
    assert (await edge.loop.do(c.SignOut(session))).refusal == c.Refusal(Reason.DISK_FULL)
    assert edge.loop.bank is before and edge.loop.frontier == edge.journal.frontier()
    assert not edge.board.pulsed


async def test_an_instruction_that_fits_no_entry_is_answered(edge: Edge) -> None:
    await edge.set_up()
    services = tuple(Service(ServiceId(f"service-{i:04d}"), Role.COURIER, Role.PERSON, 72) for i in range(500))
    await edge.obey(c.Adopt(2, Policy(services)))
    answer = edge.bodies(e.Answered)[-1]
    assert isinstance(answer, e.Answered) and answer.refusal is Reason.NOT_UNDERSTOOD
    assert edge.loop.bank.policy_version == 1


async def test_a_server_time_that_was_long_on_the_way_does_not_set_the_clock_back(edge: Edge) -> None:
    await edge.set_up()
    sent_at = edge.time.wall()
    await edge.pass_time(48)
    edge.loop.clock.confirm(sent_at)
    assert edge.loop.clock.server_now() == sent_at + timedelta(seconds=48)
    edge.loop.clock.confirm(sent_at, fresh=True)
    assert edge.loop.clock.server_now() == sent_at


async def test_a_pulse_that_is_cancelled_still_comes_to_an_end(edge: Edge) -> None:
    session = await edge.set_up()

    class Cancelled(BaseException):
        pass

    edge.board.breaks = Cancelled()
    with pytest.raises(Cancelled):
        await edge.deposit(session)
    assert edge.loop.bank.moving is not None
    edge.board.breaks = None
    await edge.pass_time(1.6)
    await edge.pass_time(0.7)
    assert edge.board.pulsed == ["01"], "the second try"


async def test_time_goes_on_where_the_clock_is_behind_the_log(edge: Edge) -> None:
    session = await edge.set_up()
    await edge.loop.do(c.SignOut(session))
    last = edge.loop.bank.at
    assert last is not None
    edge.time.wall_ahead = -timedelta(days=20000)  # no battery, and no server since the boot
    await edge.restart_alone()
    edge.time.seconds += 7200
    await edge.loop.do(c.SignIn(SessionId("x"), edge.loop.keyring.code("00000000")))
    assert edge.loop.bank.at is not None and edge.loop.bank.at - last >= timedelta(hours=1)


async def test_what_doors_did_while_the_disk_was_full_is_kept_apart(edge: Edge) -> None:
    session = await edge.set_up()
    opening, _ = await edge.deposit(session)
    real = edge.loop.journal

    class Full(SqliteJournal):
        def _commit(self, write: Callable[[], object]) -> None:
            raise DiskFull("no room")

    edge.journal.close()
    full = edge.loop.journal = Full(edge.folder)
    await edge.loop.do(c.See({CompartmentId("01"): DoorState.OPEN}))
    await edge.loop.do(c.See({CompartmentId("01"): DoorState.CLOSED}))
    full.close()
    assert real is edge.journal
    edge.journal = edge.loop.journal = SqliteJournal(edge.folder)
    await edge.pass_time(1.0)
    assert [type(b) for b in edge.bodies(e.Opened) + edge.bodies(e.Closed)] == [e.Opened, e.Closed]
    assert (await edge.loop.do(c.Confirm(session, opening))).refusal is None


async def test_a_daily_code_changes_at_the_sites_midnight_and_both_ends_can_derive_it(edge: Edge) -> None:
    await edge.start()
    offsets = ((T0 - timedelta(days=1), 120),)
    await edge.obey(c.Adopt(1, Policy((PARCEL,), utc_offsets=offsets)))
    daily = PassId("d" * 32)
    await edge.obey(c.GrantPass(daily, Role.COURIER, daily=True))
    first = edge.loop.bank.passes[daily].grant
    midnight = datetime(2026, 3, 1, 22, tzinfo=UTC)  # two hours east
    assert first.valid_until == midnight
    await edge.pass_time((midnight - edge.time.wall()).total_seconds() - 1)
    assert edge.loop.bank.passes[daily].grant == first
    assert edge.loop.wake_in() == pytest.approx(1, abs=0.01)
    await edge.pass_time(1)
    second = edge.loop.bank.passes[daily].grant
    assert second.lookup != first.lookup and second.n == date(2026, 3, 2).toordinal() * 8
    digits = digits_of(b"k" * 32, daily, second.n, second.digits)
    assert edge.loop.bank.codes[edge.loop.keyring.code(digits)] == daily and first.lookup not in edge.loop.bank.codes
    await edge.pass_time(86400)
    assert edge.loop.bank.passes[daily].grant.n == second.n + 8
    assert len(edge.bodies(e.PassGranted)) == 3


async def test_a_door_left_open_is_told_in_time_and_once(edge: Edge) -> None:
    await edge.set_up()
    await edge.loop.do(c.See({CompartmentId("02"): DoorState.OPEN}))
    wait = edge.loop.wake_in()
    assert wait is not None and 59 < wait <= 60
    await edge.pass_time(wait + 0.01)
    assert [b.alarm for b in edge.bodies(e.LeftOpen) if isinstance(b, e.LeftOpen)] == [False]
    wait = edge.loop.wake_in()
    assert wait is not None and 539 < wait <= 540
    await edge.pass_time(wait + 0.01)
    assert [b.alarm for b in edge.bodies(e.LeftOpen) if isinstance(b, e.LeftOpen)] == [False, True]
    assert edge.loop.wake_in() is None
    await edge.pass_time(3600)
    assert len(edge.bodies(e.LeftOpen)) == 2


async def test_a_technician_at_work_keeps_the_loop_at_rest(edge: Edge) -> None:
    await edge.set_up()
    await edge.obey(c.GrantPass(PassId("e" * 32), Role.STAFF))
    staff = SessionId("5" * 32)
    await edge.loop.do(c.SignIn(staff, edge.loop.bank.passes[PassId("e" * 32)].grant.lookup))
    await edge.loop.do(c.Maintain(staff, True))
    await edge.loop.do(c.See({CompartmentId("02"): DoorState.OPEN}))
    assert edge.loop.wake_in() is None
    await edge.pass_time(2 * 3600)
    await edge.pass_time(61)
    assert len(edge.bodies(e.LeftOpen)) == 1


async def test_a_first_log_by_a_clock_that_cannot_be_right_is_in_time_once_the_server_has_spoken(edge: Edge) -> None:
    for ahead in (timedelta(days=73 * 365), timedelta(days=-56 * 365)):
        edge.time.wall_ahead = ahead
        await edge.restart_alone()
        now = T0 + timedelta(seconds=edge.time.seconds)
        assert edge.loop.bank.at is not None and edge.loop.bank.at < now
        edge.loop.hear_time(now)
        await edge.loop.trust_clock()
        assert edge.loop.bank.at == now and not edge.loop.bank.clock_doubted
        edge.journal.close()
        shutil.rmtree(edge.folder)
        edge.open()
