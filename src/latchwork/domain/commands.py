"""What somebody or something asks of a bank now, in the imperative; and the three ways to answer.

Ids and codes that a command may need are made outside and come with it: the core draws no random numbers.
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime

from latchwork.domain.bank import About, Fitting, Policy, Shield
from latchwork.domain.entries import Body, KeptAt
from latchwork.domain.words import (
    BankId,
    ClaimId,
    CompartmentId,
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
    StayId,
    Value,
)


class Refusal(Value):
    """An expected no. `until`: when it is worth asking again."""

    reason: Reason
    until: datetime | None = None


class Decision(Value):
    """What happened, and perhaps a no beside it (a wrong code is both refused and remembered)."""

    entries: tuple[Body, ...] = ()
    refusal: Refusal | None = None


class Offer(Value):
    """A fresh pass with the lookups of several codes; the core takes the first that nobody here has."""

    pass_id: PassId
    generation: int
    digits: int
    lookups: tuple[Lookup, ...]
    first: int = 0
    """The n of the first of them."""


class Command(Value):
    """What `decide` answers."""


class Instruction(Value):
    """What the cloud may ask for: `Instructed` brings it."""


# At the kiosk


class Ticket(Value):
    """What a QR code said, once its signature was found good."""

    bank: BankId
    pass_id: PassId
    not_before: datetime
    not_after: datetime
    of: PassId | None = None
    """A recipient's own pass: they send somebody by `pass_id`, of whom the wall may not have heard."""


class WalkIn(Value):
    """Nothing is shown: somebody has a thing to leave, and this service takes it from anybody."""

    service: ServiceId


class SignIn(Command):
    session: SessionId
    shown: Lookup | Ticket | WalkIn


class SignOut(Command):
    session: SessionId
    why: Reason = Reason.SIGNED_OUT


class Deposit(Command):
    """Somebody has a thing in hand. `stay` is an expected one, or the id that a new one shall get.

    `about` says what is known of a thing that nobody announced; of an expected one its size, where that was not
    announced, and that it shall be in reach. `prefer` is a door that the depositor picked; `apart` wants one of its own
    where it might share one.
    """

    session: SessionId
    opening: OpeningId
    claim: ClaimId
    stay: StayId
    offer: Offer
    about: About | None = None
    prefer: CompartmentId | None = None
    apart: bool = False


class Shelve(Command):
    """A thing is put on a shelf: scan, scan, scan."""

    session: SessionId
    stay: StayId
    shelf: CompartmentId
    offer: Offer
    about: About | None = None
    photo_sha256: str | None = None


class GiveUp(Command):
    """ "I cannot deliver this here." """

    session: SessionId
    stay: StayId
    why: Reason
    about: About | None = None


class Replace(Command):
    """Another compartment for the same thing: too small, did not open or will not close, something already inside."""

    session: SessionId
    opening: OpeningId
    because: Reason
    new_opening: OpeningId
    new_claim: ClaimId


class Confirm(Command):
    """ "It is in." """

    session: SessionId
    opening: OpeningId
    photo_sha256: str | None = None


class Abandon(Command):
    """ "I took it back, nothing is inside." """

    session: SessionId
    opening: OpeningId


class Collect(Command):
    """Take a stay out: the recipient's own, or one that a courier of its party may take.

    Of a stay that this person has just taken: open its door once more.
    """

    session: SessionId
    opening: OpeningId
    stay: StayId


class Report(Command):
    """What the recipient found, or left: one of REPORTS. `left`: the thing is inside (again)."""

    session: SessionId
    stay: StayId
    what: Reason
    left: bool = True


class Visit(Command):
    """Staff at the wall opens a door, with a reason."""

    session: SessionId
    opening: OpeningId
    compartment: CompartmentId
    reason: Reason


class Inspect(Command):
    """Staff at the wall looked inside."""

    session: SessionId
    compartment: CompartmentId
    empty: bool


class Maintain(Command):
    """Staff begins to work on the wall, or is done: meanwhile doors open by hand."""

    session: SessionId
    on: bool


class Remove(Command):
    """Staff takes a thing out for good. To throw it away takes `second`, another staff member's code."""

    session: SessionId
    opening: OpeningId
    stay: StayId
    why: Reason
    second: Lookup | Ticket | None = None


class OpenAll(Command):
    """Two of the staff have every door opened, one after the other. `openings`: an id for each compartment."""

    session: SessionId
    openings: tuple[OpeningId, ...]
    reason: Reason
    second: Lookup | Ticket | None = None


class Move(Command):
    """Staff takes a thing from one compartment to another: the old door opens, then the new one."""

    session: SessionId
    stay: StayId
    opening: OpeningId
    new_opening: OpeningId
    new_claim: ClaimId
    prefer: CompartmentId | None = None


# At the kiosk or from the cloud: `session` is None where an instruction carries it


class Extend(Command, Instruction):
    """More time, by the service's own rule."""

    stay: StayId
    session: SessionId | None = None


class Withdraw(Command, Instruction):
    """Out of service, or `back`; no compartments named: all. `now`: even where something is inside, which only staff
    can then take out; else as soon as it is empty."""

    compartments: tuple[CompartmentId, ...] = ()
    back: bool = False
    now: bool = False
    session: SessionId | None = None


class Guard(Command, Instruction):
    """Do what widens who can open only with a signature of one of these keys, in hex; none: without. As a command:
    from somebody at the controller itself."""

    keys: tuple[str, ...]


class Listen(Command, Instruction):
    """Open doors from afar again, after there were too many."""

    session: SessionId | None = None


# From the cloud


class Adopt(Instruction):
    version: int
    policy: Policy


class Expect(Instruction):
    """A thing is announced. `drop_off` where a person shall put it in: the pass that lets them.

    `until`: a compartment is to be reserved for it so long, or it is refused.
    """

    stay: StayId
    about: About
    drop_off: PassId | None = None
    claim: ClaimId | None = None
    until: datetime | None = None


class Reserve(Instruction):
    """A compartment for a thing that is expected; `until` None: let it go."""

    stay: StayId
    claim: ClaimId
    until: datetime | None


class Amend(Instruction):
    """The operator changes a stay that is here: held until, blocked or freed, or for somebody else."""

    stay: StayId
    until: datetime | None = None
    blocked: bool | None = None
    recipient: PersonId | None = None


class Cancel(Instruction):
    stay: StayId


class GrantPass(Instruction):
    """A courier's or a staff member's code; a person's for one stay (delegated) or for all of a recipient's.

    `lookup`: the keyed hash of a card, or of a code that they have from a neighbour bank; None: a code of our own.
    """

    pass_id: PassId
    role: Role
    party: PartyId | None = None
    valid_until: datetime | None = None
    stay: StayId | None = None
    recipient: PersonId | None = None
    once: bool = False
    daily: bool = False
    lookup: Lookup | None = None


class RevokePass(Instruction):
    pass_id: PassId


class Open(Instruction):
    """A person elsewhere has a door opened. Worthless after `not_after`, judged on the server's clock."""

    opening: OpeningId
    compartment: CompartmentId
    reason: Reason
    by: PersonId
    not_after: datetime
    note_sha256: str | None = None
    purpose: Purpose = Purpose.SERVICE
    second: PersonId | None = None
    """Another person elsewhere who wants it too: many doors take two."""


class Check(Instruction):
    """A person elsewhere vouches for what is inside. Worthless once it may have changed: see `Open`."""

    compartment: CompartmentId
    empty: bool
    by: PersonId
    not_after: datetime


class NotUnderstood(Instruction):
    """An instruction that this version cannot read; answered, never guessed at."""


class Instructed(Command):
    """An instruction as it arrived. `offer`: a code, should it need one; `void`: it expired before it was sent."""

    number: int
    id: InstructionId
    body_sha256: str
    body: Instruction
    server_now: datetime | None
    offer: Offer | None = None
    void: bool = False
    signers: tuple[str, ...] = ()
    """Guards of this bank whose signatures over it are good, in hex."""
    signed_until: datetime | None = None
    quiet_s: float = 0.0
    """Since the last opening from afar, or the start, by the monotonic clock: no server can hurry that one."""


# From the machine


class Begin(Command):
    """First command of a first life."""


class Lived(Value):
    """An entry of this bank's own life that the cloud does not have."""

    seq: int
    sha256: str
    original: str
    body: Body


class Recover(Command):
    """A new epoch on top of what the cloud has of the one before; `branch`: what only this controller has of it."""

    size: int
    root: str
    branch: tuple[Lived, ...] = ()
    shield: Shield = field(default_factory=Shield)
    """This controller's own."""


class Boot(Command):
    """The process started: whatever was under way is settled before anything else."""

    boot: str
    software: str


class Fit(Command):
    compartments: tuple[Fitting, ...]


class See(Command):
    """The hardware's word on some doors. `lost`: these boards' doors stopped answering."""

    doors: Mapping[CompartmentId, DoorState]
    lost: bool = False


class SenseItems(Command):
    """What sensors inside say: something is there, or nothing."""

    items: Mapping[CompartmentId, bool]


class Linger(Command):
    """A door stands open for so long; `alarm`: too long for people alone to be asked."""

    compartment: CompartmentId
    seconds: int
    alarm: bool


class SenseTamper(Command):
    """A switch of the cabinet itself says that it is open, or shut again."""

    switch: str
    opened: bool


class SenseBand(Command):
    """What a climate sensor says of these compartments: inside its band, outside, or (None) nothing any more."""

    sensor: str
    compartments: tuple[CompartmentId, ...]
    inside: bool | None
    celsius: float | None = None


class SumUp(Command):
    """How warm it was where a thing was kept that is gone now."""

    kept: KeptAt


class Unlock(Command):
    """The governor grants this opening its slot. `server_now` None: no server time is known this boot."""

    opening: OpeningId
    server_now: datetime | None = None


class Elapse(Command):
    """The time in which the door should have proven itself is over, or the pulse could not be sent."""

    opening: OpeningId
    unsent: bool = False


class Tick(Command):
    """Time passed: expire what is due. `offers`: today's codes for the passes that change theirs daily."""

    offers: tuple[Offer, ...] = ()


class DoubtClock(Command):
    off_seconds: float | None = None


class TrustClock(Command):
    """`behind_s`: how far bank time was behind, as it turns out."""

    behind_s: float = 0.0
