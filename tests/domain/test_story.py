"""One parcel after another through `decide` and `apply`, told as small stories."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain.apply import apply, fold
from latchwork.domain.bank import About, Bank, Fitting, PassState, Policy, Service
from latchwork.domain.decide import decide
from latchwork.domain.effects import next_deadline, next_opening
from latchwork.domain.words import (
    BankId,
    ClaimId,
    CompartmentId,
    CompartmentState,
    DoorState,
    InstructionId,
    Lookup,
    OpeningId,
    PartyId,
    PassId,
    PersonId,
    Purpose,
    Reason,
    Role,
    ServiceId,
    SessionId,
    Size,
    StayId,
    StayState,
)
from latchwork.sync.codec import encode_entry, read_entry

T0 = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
DHX = PartyId("d" * 32)
SMALL, LARGE = CompartmentId("01"), CompartmentId("02")
PARCEL = Service(ServiceId("parcel"), Role.COURIER, Role.PERSON, 72)
RETURN = Service(ServiceId("return"), Role.PERSON, Role.COURIER, 168)
DIRECT = Service(ServiceId("direct"), Role.PERSON, Role.PERSON, 72)


@dataclass
class Wall:
    """A bank with its log, two compartments and pretend time."""

    bank: Bank = field(default_factory=lambda: Bank(BankId("b" * 32)))
    log: list[e.Entry] = field(default_factory=list)
    now: datetime = T0
    ids: int = 0

    def __post_init__(self) -> None:
        self.do(c.Begin())
        self.do(c.Fit((Fitting(SMALL, Size(400, 100, 400)), Fitting(LARGE, Size(400, 400, 400)))))
        self.instruct(c.Adopt(1, Policy((PARCEL, RETURN, DIRECT))))
        self.instruct(c.GrantPass(PassId("courier"), Role.COURIER, DHX))
        self.instruct(c.GrantPass(PassId("staff"), Role.STAFF))
        self.do(c.See({SMALL: DoorState.CLOSED, LARGE: DoorState.CLOSED}))

    def do(self, command: c.Command) -> c.Decision:
        decision = decide(self.bank, command, self.now)
        before = self.bank
        for body in decision.entries:
            first = isinstance(body, e.EpochBegan)
            epoch, seq = (self.bank.epoch + 1, 0) if first else (self.bank.epoch, self.bank.seq)
            entry = e.Entry(self.bank.id, epoch, seq, self.now, body)
            assert read_entry(encode_entry(entry)) == entry
            self.bank = apply(self.bank, entry)
            self.log.append(entry)
        assert decision.entries or self.bank is before
        return decision

    def fresh(self) -> str:
        self.ids += 1
        return f"id{self.ids:030d}"

    def offer(self) -> c.Offer:
        p = self.fresh()
        return c.Offer(PassId(p), 1, 6, tuple(Lookup(f"look-{p}-{n}") for n in range(3)))

    def instruct(self, body: c.Instruction, server_now: datetime | None = None) -> c.Decision:
        number = self.bank.instructions_through + 1
        return self.do(c.Instructed(number, InstructionId(self.fresh()), "0" * 64, body, server_now, self.offer()))

    def sign_in(self, pass_id: str) -> SessionId:
        session = SessionId(self.fresh())
        held = self.bank.passes[PassId(pass_id)]
        assert self.do(c.SignIn(session, held.grant.lookup)).refusal is None
        return session

    def deposit(
        self, session: SessionId, stay: StayId | None = None, about: About | None = None
    ) -> tuple[OpeningId, c.Decision]:
        opening = OpeningId(self.fresh())
        command = c.Deposit(session, opening, ClaimId(self.fresh()), stay or StayId(self.fresh()), self.offer(), about)
        return opening, self.do(command)

    def unlock(self) -> OpeningId:
        opening = next_opening(self.bank)
        assert opening is not None
        self.do(c.Unlock(opening.id, self.now))
        return opening.id

    def door(self, opening: OpeningId, state: DoorState) -> c.Decision:
        at = next(x.body.compartment for x in self.log if isinstance(x.body, e.Wanted) and x.body.opening == opening)
        return self.do(c.See({at: state}))

    def swing(self, opening: OpeningId) -> None:
        self.door(opening, DoorState.OPEN)
        self.door(opening, DoorState.CLOSED)

    def last(self, kind: type) -> object:
        return next(x.body for x in reversed(self.log) if isinstance(x.body, kind))

    def state(self, compartment: CompartmentId) -> CompartmentState:
        return self.bank.compartments[compartment].state


def about(service: Service = PARCEL, size: Size | None = None, label: str | None = None) -> About:
    return About(service.id, DHX, None, PersonId("p1"), Lookup(label) if label else None, size)


def stored_parcel(wall: Wall) -> StayId:
    stay = StayId(wall.fresh())
    wall.instruct(c.Expect(stay, about(label=f"label-{stay}")))
    session = wall.sign_in("courier")
    opening, decision = wall.deposit(session, stay)
    assert decision.refusal is None
    wall.unlock()
    wall.swing(opening)
    assert wall.do(c.Confirm(session, opening)).refusal is None
    wall.do(c.SignOut(session))
    return stay


def test_a_parcel_is_expected_deposited_and_collected_once() -> None:
    wall = Wall()
    stay = stored_parcel(wall)
    assert wall.bank.stays[stay].state is StayState.DEPOSITED
    assert wall.state(SMALL) is CompartmentState.OCCUPIED
    pickup = wall.bank.stays[stay].pickup
    assert pickup is not None
    lookup = wall.bank.passes[pickup].grant.lookup
    session = wall.sign_in(pickup)
    opening = OpeningId(wall.fresh())
    wall.do(c.Collect(session, opening, stay))
    wall.unlock()
    assert wall.do(c.SignIn(SessionId("x"), lookup)).refusal == c.Refusal(Reason.BUSY)
    wall.door(opening, DoorState.OPEN)
    assert wall.bank.passes[pickup].state is PassState.SPENT
    wall.door(opening, DoorState.CLOSED)
    assert isinstance(wall.last(e.Collected), e.Collected)
    assert stay not in wall.bank.stays and wall.state(SMALL) is CompartmentState.VACANT
    wall.do(c.SignOut(session))
    assert not wall.do(c.SignIn(SessionId("y"), lookup)).refusal
    again = wall.do(c.Collect(SessionId("y"), OpeningId(wall.fresh()), stay)).entries[0]
    assert isinstance(again, e.Wanted) and again.purpose is Purpose.VISIT and again.ends is None
    wall.do(c.SignOut(SessionId("y")))
    wall.now += timedelta(minutes=PARCEL.reopen_minutes)
    refusal = wall.do(c.SignIn(SessionId("z"), lookup)).refusal
    assert refusal is not None and refusal.reason is Reason.WRONG_CODE
    assert fold(Bank(wall.bank.id), wall.log) == wall.bank
    assert not wall.bank.openings and not wall.bank.claims and not wall.bank.deadlines


def test_too_small_gives_a_larger_one_and_the_code_stays() -> None:
    wall = Wall()
    session = wall.sign_in("courier")
    opening, _ = wall.deposit(session, about=about())
    wall.unlock()
    wall.door(opening, DoorState.OPEN)
    second = OpeningId(wall.fresh())
    wall.do(c.Replace(session, opening, Reason.TOO_BIG, second, ClaimId(wall.fresh())))
    assert wall.state(SMALL) is CompartmentState.VACANT
    assert wall.state(LARGE) is CompartmentState.RESERVED
    wall.door(opening, DoorState.CLOSED)
    wall.unlock()
    wall.swing(second)
    wall.do(c.SignOut(session))
    stored = wall.last(e.Stored)
    assert isinstance(stored, e.Stored) and stored.presumed and stored.compartment == LARGE and stored.pickup
    assert fold(Bank(wall.bank.id), wall.log) == wall.bank
    assert not wall.bank.openings


def test_a_door_that_does_not_open_is_tried_twice_then_marked_and_another_given() -> None:
    wall = Wall()
    session = wall.sign_in("courier")
    opening, _ = wall.deposit(session, about=about())
    for _ in range(2):
        wall.unlock()
        wall.do(c.Elapse(opening))
    assert isinstance(wall.last(e.NotOpened), e.NotOpened)
    second = OpeningId(wall.fresh())
    wall.do(c.Replace(session, opening, Reason.COMPARTMENT_BROKEN, second, ClaimId(wall.fresh())))
    assert wall.state(SMALL) is CompartmentState.NEEDS_CHECK
    wall.unlock()
    wall.swing(second)
    wall.do(c.Confirm(session, second))
    # The stuck door springs open after all: it belongs to its old opening and stays in doubt.
    wall.door(opening, DoorState.OPEN)
    late = wall.last(e.Opened)
    assert isinstance(late, e.Opened) and late.late and late.opening == opening
    wall.door(opening, DoorState.CLOSED)
    assert wall.state(SMALL) is CompartmentState.NEEDS_CHECK
    wall.instruct(c.Check(SMALL, True, PersonId("op"), T0 + timedelta(hours=1)), server_now=T0)
    assert wall.state(SMALL) is CompartmentState.VACANT
    assert not wall.bank.openings


def test_a_thing_of_unknown_size_never_gets_a_smaller_compartment_than_it_was_tried_in() -> None:
    wall = Wall()
    session = wall.sign_in("courier")
    opening, _ = wall.deposit(session, about=about())
    wall.unlock()
    wall.door(opening, DoorState.OPEN)
    second = OpeningId(wall.fresh())
    wall.do(c.Replace(session, opening, Reason.TOO_BIG, second, ClaimId(wall.fresh())))
    wall.door(opening, DoorState.CLOSED)
    wall.unlock()
    wall.door(second, DoorState.OPEN)
    again = c.Replace(session, second, Reason.COMPARTMENT_OCCUPIED, OpeningId("3"), ClaimId("3"))
    assert wall.do(again).refusal == c.Refusal(Reason.NO_SUITABLE_COMPARTMENT)
    assert wall.state(SMALL) is CompartmentState.VACANT


def test_a_return_is_dropped_off_by_code_and_taken_by_its_courier() -> None:
    wall = Wall()
    stay = StayId(wall.fresh())
    wall.instruct(c.Expect(stay, about(RETURN), PassId("drop")))
    session = wall.sign_in("drop")
    opening, decision = wall.deposit(session, stay)
    assert decision.refusal is None
    wall.unlock()
    wall.swing(opening)
    wall.do(c.Confirm(session, opening))
    assert PassId("drop") not in wall.bank.passes
    stored = wall.last(e.Stored)
    assert isinstance(stored, e.Stored) and stored.pickup is None
    courier = wall.sign_in("courier")
    out = OpeningId(wall.fresh())
    assert wall.do(c.Collect(courier, out, stay)).refusal is None
    wall.unlock()
    wall.swing(out)
    assert isinstance(wall.last(e.Collected), e.Collected)
    assert not wall.bank.stays


def test_an_expired_parcel_is_still_collectible_and_can_be_recalled() -> None:
    wall = Wall()
    stay = stored_parcel(wall)
    courier = wall.sign_in("courier")
    assert wall.do(c.Collect(courier, OpeningId("o"), stay)).refusal == c.Refusal(Reason.NO_ACCESS)
    deadline = next_deadline(wall.bank)
    assert deadline == T0 + timedelta(hours=72)
    wall.now = deadline
    wall.do(c.Tick())
    assert wall.bank.stays[stay].state is StayState.EXPIRED and next_deadline(wall.bank) is None
    out = OpeningId(wall.fresh())
    assert wall.do(c.Collect(courier, out, stay)).refusal is None
    wall.unlock()
    wall.door(out, DoorState.OPEN)
    wall.do(c.SignOut(courier))
    wall.door(out, DoorState.CLOSED)
    assert isinstance(wall.last(e.Recalled), e.Recalled)
    assert not wall.bank.codes.keys() - {wall.bank.passes[p].grant.lookup for p in wall.bank.passes}


def test_power_lost_between_pulse_and_proof_leaves_everything_in_doubt() -> None:
    wall = Wall()
    stay = stored_parcel(wall)
    pickup = wall.bank.stays[stay].pickup
    assert pickup
    session = wall.sign_in(pickup)
    opening = OpeningId(wall.fresh())
    wall.do(c.Collect(session, opening, stay))
    wall.unlock()
    wall.do(c.Boot("boot2", "test"))
    assert isinstance(wall.last(e.Unresolved), e.Unresolved)
    assert wall.state(SMALL) is CompartmentState.NEEDS_CHECK and stay in wall.bank.stays
    again = OpeningId(wall.fresh())
    assert wall.do(c.Collect(session, again, stay)).refusal is None
    wall.unlock()
    wall.swing(again)
    assert stay not in wall.bank.stays and wall.state(SMALL) is CompartmentState.VACANT
    assert not wall.bank.openings


def collecting(wall: Wall) -> tuple[StayId, SessionId, OpeningId]:
    """A recipient stands at the wall and has just asked for their parcel."""
    stay = stored_parcel(wall)
    pickup = wall.bank.stays[stay].pickup
    assert pickup
    session = wall.sign_in(pickup)
    opening = OpeningId(wall.fresh())
    assert wall.do(c.Collect(session, opening, stay)).refusal is None
    return stay, session, opening


def jammed(wall: Wall, opening: OpeningId) -> None:
    for _ in range(2):
        wall.unlock()
        wall.do(c.Elapse(opening))


def test_a_stuck_door_that_opens_while_its_person_waits_is_theirs() -> None:
    wall = Wall()
    stay, _, opening = collecting(wall)
    jammed(wall, opening)
    wall.swing(opening)
    assert stay not in wall.bank.stays and wall.state(SMALL) is CompartmentState.VACANT


def test_a_stuck_door_that_opens_when_its_person_has_left_ends_nothing() -> None:
    wall = Wall()
    stay, session, opening = collecting(wall)
    jammed(wall, opening)
    wall.do(c.SignOut(session))
    wall.swing(opening)
    assert stay in wall.bank.stays and wall.state(SMALL) is CompartmentState.NEEDS_CHECK
    sensed = next(x.body for x in reversed(wall.log) if isinstance(x.body, e.Sensed) and x.body.forced)
    assert sensed.forced == (SMALL,)


def test_cutting_the_power_first_does_not_hide_a_forced_door() -> None:
    wall = Wall()
    stored_parcel(wall)
    wall.do(c.See({SMALL: DoorState.UNKNOWN, LARGE: DoorState.UNKNOWN}, lost=True))
    wall.do(c.See({SMALL: DoorState.OPEN, LARGE: DoorState.OPEN}))
    assert wall.state(SMALL) is CompartmentState.NEEDS_CHECK
    assert wall.state(LARGE) is CompartmentState.VACANT, "nothing was in it, and it is assigned only when shut"


def test_a_door_that_reads_open_is_pulsed_all_the_same_and_may_be_asked_again() -> None:
    wall = Wall()
    stay, session, opening = collecting(wall)
    wall.do(c.See({SMALL: DoorState.OPEN}))
    assert [type(b) for b in wall.do(c.Unlock(opening, wall.now)).entries] == [e.Unlocked, e.Opened]
    wall.door(opening, DoorState.CLOSED)
    assert stay not in wall.bank.stays
    stay, session, opening = collecting(wall)
    wall.unlock()
    wall.door(opening, DoorState.OPEN)
    assert wall.do(c.Collect(session, OpeningId("again"), stay)).refusal == c.Refusal(Reason.DOOR_OPEN)


def test_too_small_vouches_for_nothing_behind_a_door_that_never_opened() -> None:
    wall = Wall()
    session = wall.sign_in("courier")
    opening, _ = wall.deposit(session, about=about())
    jammed(wall, opening)
    wall.do(c.Replace(session, opening, Reason.TOO_BIG, OpeningId("o2"), ClaimId("c2")))
    assert wall.state(SMALL) is CompartmentState.NEEDS_CHECK


def test_power_lost_between_two_tries_leaves_the_door_in_doubt() -> None:
    wall = Wall()
    _, _, opening = collecting(wall)
    wall.unlock()
    wall.do(c.Elapse(opening))
    wall.do(c.Boot("boot2", "test"))
    assert isinstance(wall.last(e.Unresolved), e.Unresolved)
    assert not wall.bank.queue


def test_a_doubted_clock_takes_nothing_away_and_still_gives() -> None:
    wall = Wall()
    stay = stored_parcel(wall)
    pickup = wall.bank.stays[stay].pickup
    assert pickup
    wall.now += timedelta(hours=80)
    wall.do(c.Tick())
    wall.do(c.DoubtClock())
    courier = wall.sign_in("courier")
    assert wall.do(c.Collect(courier, OpeningId("o"), stay)).refusal == c.Refusal(Reason.CLOCK_UNKNOWN)
    ticket = c.Ticket(wall.bank.id, pickup, T0, T0 + timedelta(hours=72))
    assert wall.do(c.SignIn(SessionId("q"), ticket)).refusal is None


def test_a_gate_holds_nothing() -> None:
    wall = Wall()
    wall.do(c.Fit((Fitting(SMALL, Size(400, 100, 400), gate=True),)))
    session = wall.sign_in("courier")
    assert wall.deposit(session, about=about())[1].refusal == c.Refusal(Reason.NO_SUITABLE_COMPARTMENT)


def test_a_forced_door_is_told_apart_from_a_lost_board() -> None:
    wall = Wall()
    wall.do(c.See({SMALL: DoorState.OPEN}))
    assert wall.state(SMALL) is CompartmentState.NEEDS_CHECK
    wall.do(c.See({LARGE: DoorState.UNKNOWN, SMALL: DoorState.UNKNOWN}, lost=True))
    assert wall.state(LARGE) is CompartmentState.VACANT
    session = wall.sign_in("courier")
    assert wall.deposit(session, about=about())[1].refusal == c.Refusal(Reason.NO_SUITABLE_COMPARTMENT)
    wall.do(c.See({LARGE: DoorState.OPEN}))
    assert wall.state(LARGE) is CompartmentState.VACANT


def test_a_remote_opening_is_judged_by_the_servers_clock_twice() -> None:
    wall = Wall()
    order = c.Open(OpeningId("o1"), LARGE, Reason.INSPECTION, PersonId("op"), T0 + timedelta(seconds=30))
    wall.instruct(order, server_now=None)
    answer = wall.last(e.Answered)
    assert isinstance(answer, e.Answered) and answer.refusal is Reason.CLOCK_UNKNOWN
    wall.instruct(order, server_now=T0)
    wall.do(c.Unlock(OpeningId("o1"), T0 + timedelta(seconds=31)))
    lapsed = wall.last(e.Lapsed)
    assert isinstance(lapsed, e.Lapsed) and lapsed.why is Reason.EXPIRED
    assert not wall.bank.openings and not wall.bank.queue


def test_an_instruction_is_obeyed_once_and_a_number_is_never_reused() -> None:
    wall = Wall()
    number = wall.bank.instructions_through + 1
    expect = c.Instructed(number, InstructionId("i1"), "0" * 64, c.Expect(StayId("s1"), about()), None, wall.offer())
    assert len(wall.do(expect).entries) == 2
    assert wall.do(expect) == c.Decision()
    other = c.Instructed(number, InstructionId("i2"), "0" * 64, c.Cancel(StayId("s1")), None)
    answer = wall.do(other).entries[-1]
    assert isinstance(answer, e.Answered) and answer.refusal is Reason.NUMBER_REUSED
    assert StayId("s1") in wall.bank.stays


def test_wrong_codes_slow_the_keypad_down_and_a_ticket_still_works() -> None:
    wall = Wall()
    stay = stored_parcel(wall)
    for _ in range(4):
        refusal = wall.do(c.SignIn(SessionId("g"), Lookup("nobody"))).refusal
        assert refusal is not None and refusal.reason is Reason.WRONG_CODE
    assert refusal is not None and refusal.until == T0 + timedelta(seconds=2)
    slow = wall.do(c.SignIn(SessionId("g"), Lookup("nobody")))
    assert slow.refusal is not None and slow.refusal.reason is Reason.SLOW_DOWN and not slow.entries
    pickup = wall.bank.stays[stay].pickup
    assert pickup
    ticket = c.Ticket(wall.bank.id, pickup, T0, T0 + timedelta(hours=72))
    assert wall.do(c.SignIn(SessionId("q"), ticket)).refusal is None


def test_a_courier_who_finds_nothing_says_so_and_the_compartment_waits_for_a_look() -> None:
    wall = Wall()
    stay = stored_parcel(wall)
    deadline = wall.bank.stays[stay].deadline
    assert deadline is not None
    wall.now = deadline
    wall.do(c.Tick())
    session, opening = wall.sign_in("courier"), OpeningId(wall.fresh())
    wall.do(c.Collect(session, opening, stay))
    wall.unlock()
    empty = c.Report(session, stay, Reason.COMPARTMENT_EMPTY)
    assert wall.do(empty).refusal == c.Refusal(Reason.BUSY)
    wall.door(opening, DoorState.OPEN)
    assert wall.do(c.Report(session, stay, Reason.NOT_MINE)).refusal == c.Refusal(Reason.NO_ACCESS)
    assert wall.do(empty).refusal is None
    wall.door(opening, DoorState.CLOSED)
    assert stay not in wall.bank.stays and wall.state(SMALL) is CompartmentState.NEEDS_CHECK
    assert wall.bank.sessions[session].outcomes == ((stay, Reason.COMPARTMENT_EMPTY),)
    assert not any(isinstance(x.body, e.Recalled) for x in wall.log)
