"""What seeds have found, each as the smallest story that shows it again. The seed is of its day: worlds change."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest
from tests.domain.test_story import LARGE, SMALL, T0, Wall, about, stored_parcel

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain.bank import Bank, Fitting, Policy, Service
from latchwork.domain.decide import decide
from latchwork.domain.words import (
    BankId,
    ClaimId,
    CompartmentId,
    CompartmentState,
    DoorState,
    OpeningId,
    PersonId,
    Reason,
    Role,
    ServiceId,
    Shares,
    Size,
    StayId,
    StayState,
)
from latchwork.edge.clock import BankClock
from latchwork.edge.keyring import Keyring
from latchwork.edge.loop import Loop, Unfit
from latchwork.edge.talk import Talk
from latchwork.store.memory import MemoryJournal
from latchwork.store.sqlite import DiskFull
from latchwork.sync.exchange import Challenge, Document, Down
from latchwork.sync.keys import BadTicket, read_ticket

BANK = BankId("b" * 32)
FITTINGS = (Fitting(CompartmentId("01"), Size(1, 1, 1)),)


class Disk(MemoryJournal):
    is_full = False

    async def append(self, raws: Sequence[bytes], nodes: Sequence[bytes]) -> None:
        if self.is_full:
            raise DiskFull
        await super().append(raws, nodes)

    def put_document(self, name: str, version: int, body: bytes) -> None:
        if self.is_full:
            raise DiskFull
        super().put_document(name, version, body)


class Machine:
    """A loop whose boards do nothing, on a clock that may be wrong."""

    def __init__(self) -> None:
        self.seconds, self.ahead = 0.0, timedelta()
        self.disk = Disk()
        self.boot()

    def boot(self) -> None:
        clock = BankClock(lambda: T0 + timedelta(seconds=self.seconds) + self.ahead, lambda: self.seconds)
        self.loop = Loop(BANK, self.disk, self, clock, Keyring(b"k" * 32, 1, lambda: "1" * 32), full=DiskFull)

    async def pulse(self, compartment: CompartmentId) -> None:
        pass


async def test_seed_8_a_door_that_two_openings_found_open_closes_for_both() -> None:
    """A collection and a remote opening of one door: the thing was gone, and its stay stayed for ever."""
    wall = Wall()
    stay = stored_parcel(wall)
    held = wall.bank.stays[stay]
    session = wall.sign_in(str(held.pickup))
    wall.do(c.Collect(session, OpeningId("collect"), stay))
    wall.unlock()
    wall.door(OpeningId("collect"), DoorState.OPEN)
    late = wall.now + timedelta(minutes=1)
    asked = c.Open(OpeningId("remote"), CompartmentId(str(held.compartment)), Reason.OTHER, PersonId("p"), late)
    wall.instruct(asked, wall.now)
    wall.unlock()
    wall.door(OpeningId("collect"), DoorState.OPEN)
    wall.door(OpeningId("collect"), DoorState.CLOSED)
    assert stay not in wall.bank.stays and not wall.bank.openings
    assert {x.body.opening for x in wall.log if isinstance(x.body, e.Closed)} >= {"collect", "remote"}


async def test_seed_402_a_look_inside_ends_a_deposit_in_doubt_and_its_opening() -> None:
    wall = Wall()
    session = wall.sign_in("courier")
    opening, _ = wall.deposit(session, about=about())
    wall.unlock()
    wall.do(c.Boot("boot", "software"))
    wall.do(c.See({SMALL: DoorState.CLOSED}))
    staff = wall.sign_in("staff")
    wall.do(c.Visit(staff, OpeningId("look"), SMALL, Reason.INSPECTION))
    wall.unlock()
    wall.swing(OpeningId("look"))
    wall.do(c.Inspect(staff, SMALL, empty=True))
    assert wall.state(SMALL) is CompartmentState.VACANT
    assert opening not in wall.bank.openings and not wall.bank.openings


async def test_seed_5_a_clock_a_year_ahead_is_not_followed() -> None:
    """Bank time never goes back, so for a year nothing would have expired and no QR code been good."""
    machine = Machine()
    await machine.loop.start("1", "test", FITTINGS)
    machine.ahead = timedelta(days=400)
    machine.boot()
    await machine.loop.start("2", "test", FITTINGS)
    assert machine.loop.bank.at is not None and machine.loop.bank.at < T0 + timedelta(days=1)
    machine.loop.clock.confirm(T0 + timedelta(hours=2))
    await machine.loop.do(c.TrustClock())
    assert machine.loop.bank.at == T0 + timedelta(hours=2)


async def test_seed_7_a_full_disk_loses_a_document_and_not_the_line() -> None:
    machine = Machine()
    await machine.loop.start("1", "test", FITTINGS)
    talk = Talk(BANK, machine.loop, machine.disk, b"", lambda text: b"", "1")
    talk.hello(Challenge(b"nonce", T0), "test")
    machine.disk.is_full = True
    document = Document("words", 1, b"{}")
    down = Down(1, 1, 1, 0, b"", T0, documents=(document,))
    await talk.hear(down)
    assert machine.disk.documents() == {}
    machine.disk.is_full = False
    await talk.hear(Down(2, 1, 1, 0, b"", T0, documents=(document,)))
    assert machine.disk.documents() == {"words": 1}


async def test_seed_20_a_full_disk_is_tried_again_and_not_all_the_time() -> None:
    """What a door did while the disk was full comes to light when it has room; meanwhile nothing spins."""
    machine = Machine()
    await machine.loop.start("1", "test", FITTINGS)
    machine.disk.is_full = True
    await machine.loop.do(c.See({CompartmentId("01"): DoorState.CLOSED}))
    for _ in range(3):
        assert machine.loop.wake_in() == pytest.approx(1.0)
        machine.seconds += 1
        await machine.loop.wake()
    machine.disk.is_full = False
    machine.seconds += 1
    await machine.loop.wake()
    assert machine.loop.bank.compartments[CompartmentId("01")].door is DoorState.CLOSED


async def test_a_bank_whose_disk_is_full_does_not_start_half() -> None:
    machine = Machine()
    machine.disk.is_full = True
    with pytest.raises(Unfit, match="full"):
        await machine.loop.start("1", "test", FITTINGS)
    assert machine.disk.size == 0


SHARED = Service(ServiceId("parcel"), Role.COURIER, Role.PERSON, 24, shares=Shares.RECIPIENT)
SHELF = CompartmentId("S")


async def test_a_reservation_that_is_made_longer_keeps_the_doubt_about_its_compartment() -> None:
    """A door was forced while it was reserved; half an hour more for the parcel, and nobody looked inside."""
    wall = Wall()
    wall.instruct(c.Expect(StayId("s"), about(), claim=ClaimId("c"), until=T0 + timedelta(hours=1)))
    wall.do(c.See({SMALL: DoorState.OPEN}))
    wall.do(c.See({SMALL: DoorState.CLOSED}))
    wall.instruct(c.Reserve(StayId("s"), ClaimId("d"), T0 + timedelta(hours=2)))
    assert wall.state(SMALL) is CompartmentState.NEEDS_CHECK
    wall.deposit(wall.sign_in("courier"), StayId("s"))
    assert wall.bank.stays[StayId("s")].compartment == LARGE


async def test_a_doubtful_compartment_that_was_reserved_and_withdrawn_comes_back_doubtful() -> None:
    wall = Wall()
    wall.instruct(c.Expect(StayId("s"), about(), claim=ClaimId("c"), until=T0 + timedelta(hours=1)))
    wall.do(c.See({SMALL: DoorState.OPEN}))
    wall.do(c.See({SMALL: DoorState.CLOSED}))
    wall.instruct(c.Withdraw((SMALL,)))
    wall.instruct(c.Withdraw((SMALL,), back=True))
    assert wall.state(SMALL) is CompartmentState.NEEDS_CHECK


async def test_an_abandoned_deposit_beside_another_parcel_leaves_no_opening() -> None:
    wall = Wall()
    wall.instruct(c.Adopt(2, Policy((SHARED,))))
    stored_parcel(wall)
    session = wall.sign_in("courier")
    opening, _ = wall.deposit(session, about=about())
    wall.unlock()
    wall.door(opening, DoorState.OPEN)
    wall.do(c.Abandon(session, opening))
    wall.door(opening, DoorState.CLOSED)
    assert not wall.bank.openings
    assert wall.state(SMALL) is CompartmentState.OCCUPIED


async def test_a_stuck_door_of_a_thing_taken_elsewhere_leaves_no_opening_beside_another_parcel() -> None:
    wall = Wall()
    wall.instruct(c.Adopt(2, Policy((SHARED,))))
    there = stored_parcel(wall)
    session = wall.sign_in("courier")
    opening, _ = wall.deposit(session, about=about())
    wall.unlock()
    wall.do(c.Elapse(opening, unsent=True))
    wall.do(c.Replace(session, opening, Reason.COMPARTMENT_BROKEN, OpeningId("new"), ClaimId("new")))
    recipient = wall.sign_in(str(wall.bank.stays[there].pickup))
    wall.do(c.Abandon(session, OpeningId("new")))
    wall.do(c.Collect(recipient, OpeningId("collect"), there))
    wall.unlock()
    wall.swing(OpeningId("collect"))
    assert there not in wall.bank.stays and not wall.bank.openings


async def test_a_look_inside_settles_every_deposit_in_doubt_that_shares_a_compartment() -> None:
    wall = Wall()
    wall.instruct(c.Adopt(2, Policy((SHARED,))))
    stored_parcel(wall)
    tries = [wall.deposit(wall.sign_in("courier"), about=about())[0] for _ in range(2)]
    for opening in tries:
        wall.unlock()
        wall.do(c.Elapse(opening, unsent=True))
    wall.do(c.Inspect(wall.sign_in("staff"), SMALL, empty=False))
    assert not wall.bank.openings
    assert {stay.state for stay in wall.bank.stays.values()} == {StayState.DEPOSITED}


async def test_what_is_missing_from_a_shelf_puts_no_shelf_in_doubt() -> None:
    wall = Wall()
    wall.do(c.Fit((*(x.fitting for x in wall.bank.compartments.values()), SHELF_BEHIND_SMALL)))
    wall.instruct(c.Adopt(2, Policy((SHARED,))))
    courier, stay = wall.sign_in("courier"), StayId("s")
    wall.do(c.Shelve(courier, stay, SHELF, wall.offer(), about()))
    session = wall.sign_in(str(wall.bank.stays[stay].pickup))
    wall.do(c.Collect(session, OpeningId("gate"), stay))
    wall.unlock()
    wall.door(OpeningId("gate"), DoorState.OPEN)
    assert wall.do(c.Report(session, stay, Reason.COMPARTMENT_EMPTY)).refusal is None
    assert stay not in wall.bank.stays
    assert wall.state(SHELF) is CompartmentState.VACANT


async def test_seed_60_what_is_missing_from_a_withdrawn_compartment_leaves_it_in_doubt() -> None:
    """It came back into service as vacant, and nobody but the recipient had looked inside."""
    wall = Wall()
    stay = stored_parcel(wall)
    wall.instruct(c.Withdraw((SMALL,)))
    session = wall.sign_in(str(wall.bank.stays[stay].pickup))
    wall.do(c.Collect(session, OpeningId("collect"), stay))
    wall.unlock()
    wall.door(OpeningId("collect"), DoorState.OPEN)
    assert wall.do(c.Report(session, stay, Reason.COMPARTMENT_EMPTY)).refusal is None
    wall.door(OpeningId("collect"), DoorState.CLOSED)
    wall.instruct(c.Withdraw((SMALL,), back=True))
    assert wall.state(SMALL) is CompartmentState.NEEDS_CHECK


async def test_seed_30358_what_came_and_went_in_a_lost_life_does_not_come_back() -> None:
    wall = Wall()
    accepted, told = wall.bank, len(wall.log)
    stay = stored_parcel(wall)
    code = str(wall.bank.stays[stay].pickup)
    branch = [c.Lived(n, "0", "", entry.body) for n, entry in enumerate(wall.log[told:])]
    put = [x.stored for x in recovered(accepted, branch, wall.now) if x.stored]
    assert [x.stay for x in put] == [stay]
    session = wall.sign_in(code)
    wall.do(c.Collect(session, OpeningId("collect"), stay))
    wall.unlock()
    wall.swing(OpeningId("collect"))
    branch = [c.Lived(n, "0", "", entry.body) for n, entry in enumerate(wall.log[told:])]
    entries = recovered(accepted, branch, wall.now)
    assert not [x for x in entries if x.stored] and {x.doubted for x in entries if x.doubted} == {SMALL}


async def test_seed_30194_a_lost_life_puts_no_shelf_in_doubt() -> None:
    wall = Wall()
    wall.do(c.Fit((*(x.fitting for x in wall.bank.compartments.values()), SHELF_BEHIND_SMALL)))
    accepted, told = wall.bank, len(wall.log)
    courier, stay = wall.sign_in("courier"), StayId("s")
    wall.do(c.Shelve(courier, stay, SHELF, wall.offer(), about()))
    session = wall.sign_in(str(wall.bank.stays[stay].pickup))
    wall.do(c.Collect(session, OpeningId("gate"), stay))
    wall.unlock()
    wall.swing(OpeningId("gate"))
    branch = [c.Lived(n, "0", "", entry.body) for n, entry in enumerate(wall.log[told:])]
    assert SHELF not in {x.doubted for x in recovered(accepted, branch, wall.now)}


async def test_seed_822_what_a_lost_life_put_in_ends_the_opening_that_was_in_doubt_there() -> None:
    wall = Wall()
    wall.do(c.Visit(wall.sign_in("staff"), OpeningId("look"), SMALL, Reason.INSPECTION))
    wall.unlock()
    wall.do(c.Elapse(OpeningId("look"), unsent=True))
    assert wall.bank.compartments[SMALL].stuck == "look"
    put = e.Stored(StayId("s"), about(), ClaimId("c"), SMALL, OpeningId("o"), wall.now, announced=False)
    wall.do(c.Recover(wall.bank.seq, "0", (c.Lived(0, "h", "", put),)))
    assert wall.bank.compartments[SMALL].stuck is None and not wall.bank.openings


def recovered(accepted: Bank, branch: Sequence[c.Lived], now: datetime) -> list[e.Recovered]:
    entries = decide(accepted, c.Recover(accepted.seq, "0", tuple(branch)), now).entries
    return [x for x in entries if isinstance(x, e.Recovered)]


async def test_seed_213_a_ticket_that_is_none_can_be_raised_through_a_context() -> None:
    """A frozen exception cannot: `contextlib` sets its traceback."""

    @asynccontextmanager
    async def queue() -> AsyncIterator[None]:
        yield

    with pytest.raises(BadTicket, match="not a Latchwork code"):
        async with queue():
            read_ticket("no ticket", {})


SHELF_BEHIND_SMALL = Fitting(SHELF, Size(9, 9, 9), shelf=True, behind=SMALL)


async def test_seed_5115_a_thing_put_in_elsewhere_because_its_door_stays_open_ends_before_that_door_shuts() -> None:
    wall = Wall()
    wall.instruct(c.Adopt(2, Policy((SHARED,))))
    there = stored_parcel(wall)
    session = wall.sign_in("courier")
    ajar, _ = wall.deposit(session, StayId("s"), about())
    wall.unlock()
    wall.door(ajar, DoorState.OPEN)
    wall.do(c.Replace(session, ajar, Reason.DOOR_WILL_NOT_CLOSE, OpeningId("new"), ClaimId("new")))
    wall.unlock()
    wall.swing(OpeningId("new"))
    wall.do(c.Confirm(session, OpeningId("new")))
    recipient = wall.sign_in(str(wall.bank.stays[StayId("s")].pickup))
    wall.do(c.Collect(recipient, OpeningId("collect"), StayId("s")))
    wall.unlock()
    wall.door(OpeningId("collect"), DoorState.OPEN)
    assert wall.do(c.Report(recipient, StayId("s"), Reason.COMPARTMENT_EMPTY)).refusal is None
    wall.door(ajar, DoorState.CLOSED)
    assert set(wall.bank.stays) == {there}
    assert [opening.compartment for opening in wall.bank.openings.values()] == [LARGE]
