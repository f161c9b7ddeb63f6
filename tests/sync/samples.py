"""One filled-in example of every kind of entry, for the golden file."""

from datetime import UTC, datetime

from latchwork.domain import entries as e
from latchwork.domain.bank import About, Fitting, Grant, Policy, Service
from latchwork.domain.words import (
    BankId,
    ClaimId,
    Climate,
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
    ThingId,
)

AT = datetime(2026, 11, 21, 9, 30, 15, 250000, tzinfo=UTC)
LATER = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
BANK = BankId("b0" * 16)
STAY, CLAIM, OPENING = StayId("a1" * 16), ClaimId("c1" * 16), OpeningId("0e" * 16)
DOOR, SESSION, INSTRUCTION = CompartmentId("07"), SessionId("5e" * 16), InstructionId("1d" * 16)
ABOUT = About(
    ServiceId("parcel"),
    PartyId("d1" * 16),
    ThingId("7e" * 16),
    PersonId("9e" * 16),
    Lookup("1a" * 16),
    Size(300, 200, 100),
)
GRANT = Grant(
    PassId("e1" * 16),
    Role.PERSON,
    Lookup("2b" * 16),
    n=1,
    digits=6,
    generation=1,
    purpose=Purpose.COLLECT,
    stay=STAY,
    party=PartyId("d1" * 16),
    once=True,
    valid_until=LATER,
)
FITTING = Fitting(DOOR, Size(380, 80, 640), Climate.CHILLED, 900, ("accessible",), False)
POLICY = Policy(
    (Service(ServiceId("parcel"), Role.COURIER, Role.PERSON, 72),),
    {"0a0b0c0d": "ff" * 32},
    ((AT, 60), (LATER, 120)),
    1.5,
)

SAMPLES: tuple[e.Body, ...] = (
    e.EpochBegan(1, 42, "ab" * 32, 7),
    e.Booted("b007" * 8, "0.1.0"),
    e.Fitted((FITTING,), (CompartmentId("99"),)),
    e.Adopted(3, POLICY),
    e.ClockDoubted(412.5),
    e.ClockConfirmed(),
    e.Answered(7, INSTRUCTION, "cd" * 32, Reason.ALREADY_HERE, STAY),
    e.SessionBegan(SESSION, GRANT.pass_id, Role.PERSON, Purpose.COLLECT, ABOUT.party, STAY),
    e.SessionEnded(SESSION, Reason.SIGNED_OUT),
    e.CodeRefused(4, LATER),
    e.PassGranted(GRANT),
    e.PassRevoked(GRANT.pass_id),
    e.Expected(STAY, ABOUT),
    e.Cancelled(STAY),
    e.Claimed(CLAIM, DOOR, STAY, ABOUT, True, Reason.SMALLEST_FIT, GRANT),
    e.Released(CLAIM, DOOR, CompartmentState.NEEDS_CHECK, Reason.TOO_BIG, STAY, StayState.EXPECTED, OPENING),
    e.Stored(STAY, ABOUT, CLAIM, DOOR, OPENING, LATER, True, True, GRANT),
    e.Collected(STAY, ABOUT, CLAIM, DOOR, OPENING),
    e.Recalled(STAY, ABOUT, CLAIM, DOOR, OPENING, CompartmentState.VACANT),
    e.Expired(STAY, LATER),
    e.Wanted(
        OPENING,
        DOOR,
        Purpose.SERVICE,
        SESSION,
        GRANT.pass_id,
        INSTRUCTION,
        CLAIM,
        (STAY,),
        StayState.COLLECTED,
        Reason.INSPECTION,
        PersonId("0b" * 16),
        "ef" * 32,
        LATER,
    ),
    e.Unlocked(OPENING, DOOR, 1),
    e.NoProof(OPENING, DOOR),
    e.NotOpened(OPENING, DOOR, Reason.COMPARTMENT_BROKEN, CompartmentState.NEEDS_CHECK),
    e.Opened(OPENING, DOOR, True, GRANT.pass_id, CompartmentState.OCCUPIED),
    e.Closed(OPENING, DOOR),
    e.Lapsed(OPENING, DOOR, Reason.EXPIRED),
    e.Unresolved(OPENING, DOOR, CompartmentState.NEEDS_CHECK),
    e.Sensed({DOOR: DoorState.OPEN}, (DOOR,), CompartmentState.NEEDS_CHECK),
    e.BoardLost((DOOR,)),
    e.Checked(DOOR, CompartmentState.VACANT, SESSION, PersonId("0b" * 16)),
)
