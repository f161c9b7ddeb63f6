"""What happened at a bank: every kind of entry, in the past tense.

An entry states its results (ids, states, deadlines); `apply` only assigns them. It never holds words of people:
opaque ids and keyed hashes only. Formats are permanent: a field may be added with a default, nothing else may change
(tests/golden pins every kind).
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime

from latchwork.domain.bank import About, Fitting, Grant, Policy, Shield
from latchwork.domain.words import (
    BankId,
    ClaimId,
    CompartmentId,
    CompartmentState,
    DoorState,
    Ending,
    InstructionId,
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
    StayState,
    Value,
)


class Body(Value):
    """What an entry says: each kind is a subclass."""


# The bank itself


class EpochBegan(Body):
    """First entry of every epoch. A first life has no previous one: epoch 0, size 0, no root."""

    previous: int = 0
    size: int = 0
    root: str = ""
    instructions_through: int = 0
    doubted: tuple[CompartmentId, ...] = ()
    """Compartments that nobody can vouch for since: they need a look inside."""
    shield: Shield = field(default_factory=Shield)
    """As this controller held it, whatever the log says from which it goes on."""


class Recovered(Body):
    """An entry of the life before that the cloud did not have, so that nothing is lost. What it still changes is
    stated: a pass spent then is spent, a thing put in then is here, a door opened then is in doubt."""

    seq: int
    sha256: str
    original: str = ""
    """Its own bytes in base64; empty where they are too long, and only the hash stands."""
    spent: PassId | None = None
    stored: "Stored | None" = None
    doubted: CompartmentId | None = None


class Booted(Body):
    boot: str
    software: str


class Fitted(Body):
    """Compartments that this wall has as of now, and those taken off it; the others stay as they were."""

    compartments: tuple[Fitting, ...]
    removed: tuple[CompartmentId, ...] = ()


class Adopted(Body):
    version: int
    policy: Policy


class ClockDoubted(Body):
    """What takes away (expiry) stands still from here; what gives goes on."""

    off_seconds: float | None = None


class ClockConfirmed(Body):
    pass


class Answered(Body):
    """An instruction was done, or refused with a reason. `about` is the stay it met, where there was one."""

    number: int
    instruction: InstructionId
    body_sha256: str
    refusal: Reason | None = None
    about: StayId | None = None
    signed_until: datetime | None = None
    """It came with a good signature, which ends then."""


class Guarded(Body):
    """Only what is signed with one of these keys widens who can open; none: the bank is guarded no more."""

    keys: tuple[str, ...]
    at_wall: bool = False
    """Set on the controller itself."""


class RemoteStopped(Body):
    """One more opening from afar than there may be was asked for: none is done any more."""

    instruction: InstructionId


class RemoteResumed(Body):
    """Staff at the wall, or a signature, has it obey again."""

    session: SessionId | None = None


# People at the wall


class SessionBegan(Body):
    session: SessionId
    pass_id: PassId | None
    role: Role
    purpose: Purpose | None = None
    party: PartyId | None = None
    stay: StayId | None = None
    recipient: PersonId | None = None
    service: ServiceId | None = None


class SessionEnded(Body):
    session: SessionId
    why: Reason


class CodeRefused(Body):
    """A code that nobody has. The next is heard from `until` on."""

    failures: int
    until: datetime | None = None


class PassGranted(Body):
    grant: Grant


class PassRevoked(Body):
    pass_id: PassId


# Stays


class Expected(Body):
    stay: StayId
    about: About


class Cancelled(Body):
    stay: StayId


class Claimed(Body):
    """A compartment was chosen for a stay, and `why` this one. `pickup` waits until the thing is stored."""

    claim: ClaimId
    compartment: CompartmentId
    stay: StayId
    about: About
    announced: bool
    why: Reason
    pickup: Grant | None = None
    compartment_state: CompartmentState = CompartmentState.RESERVED
    until: datetime | None = None
    """A reservation: held so long for a thing that is not here yet."""
    moves: bool = False
    """The thing is on its way here from another compartment."""


class Released(Body):
    """A claim ended without a collection; `stay_state` None: the stay was never announced and is forgotten."""

    claim: ClaimId
    compartment: CompartmentId
    compartment_state: CompartmentState
    why: Reason
    stay: StayId
    stay_state: StayState | None = None
    opening: OpeningId | None = None


class Stored(Body):
    """A thing is in. On a shelf it has neither claim nor opening."""

    stay: StayId
    about: About
    claim: ClaimId | None
    compartment: CompartmentId
    opening: OpeningId | None
    deadline: datetime
    announced: bool
    presumed: bool = False
    pickup: Grant | None = None
    session: SessionId | None = None
    photo_sha256: str | None = None
    """SHA-256 over salt and picture; both lie in an erasable annex."""
    why: Reason | None = None
    """Why nobody has a code for it: held for a recipient whom nobody knows yet."""


class NotDelivered(Body):
    """Somebody had it in hand and took it away again: why, and where it goes instead."""

    stay: StayId
    about: About
    why: Reason
    announced: bool
    session: SessionId
    fallback: str | None = None


class Collected(Body):
    """The end of a stay by the one it was for: the recipient, or the courier of a return."""

    stay: StayId
    about: About
    claim: ClaimId | None
    compartment: CompartmentId
    opening: OpeningId | None
    compartment_state: CompartmentState = CompartmentState.VACANT
    pass_id: PassId | None = None
    session: SessionId | None = None


class Recalled(Body):
    """The end of a stay by its carrier, who took it back."""

    stay: StayId
    about: About
    claim: ClaimId | None
    compartment: CompartmentId
    opening: OpeningId | None
    compartment_state: CompartmentState = CompartmentState.VACANT
    pass_id: PassId | None = None
    session: SessionId | None = None


class Removed(Body):
    """The end of a stay by staff: sent back, thrown away by two, found missing."""

    stay: StayId
    about: About
    claim: ClaimId | None
    compartment: CompartmentId
    opening: OpeningId | None
    stay_state: StayState
    why: Reason
    compartment_state: CompartmentState = CompartmentState.VACANT
    second: PassId | None = None
    pass_id: PassId | None = None
    session: SessionId | None = None


class Reported(Body):
    """What a recipient found or left, and what it makes of the stay: `ended`, or here (again)."""

    stay: StayId
    about: About
    why: Reason
    stay_state: StayState
    claim: ClaimId | None
    compartment: CompartmentId
    compartment_state: CompartmentState
    session: SessionId
    ended: bool = False
    announced: bool = False
    deadline: datetime | None = None
    pickup: Grant | None = None


class Amended(Body):
    """A stay that is here was extended, held, blocked, freed, or given to its right recipient."""

    stay: StayId
    about: About
    stay_state: StayState
    why: Reason
    deadline: datetime | None = None
    extensions: int = 0
    pickup: Grant | None = None
    """The new recipient's; every older pass to this stay is void."""
    session: SessionId | None = None


class Moved(Body):
    """A thing is in another compartment now, and what became of the one it was in."""

    stay: StayId
    about: About
    claim: ClaimId
    compartment: CompartmentId
    opening: OpeningId
    left: CompartmentId
    left_state: CompartmentState


class Expired(Body):
    stay: StayId
    deadline: datetime
    at_end: Ending = Ending.COURIER


# Doors


class Wanted(Body):
    """An opening was authorised: by a session's pass, or by an instruction with its reason. Nothing moved yet."""

    opening: OpeningId
    compartment: CompartmentId
    purpose: Purpose
    session: SessionId | None = None
    pass_id: PassId | None = None
    instruction: InstructionId | None = None
    claim: ClaimId | None = None
    stays: tuple[StayId, ...] = ()
    ends: StayState | None = None
    """What becomes of the stays when this door closes again; None: nothing."""
    reason: Reason | None = None
    by: PersonId | None = None
    note_sha256: str | None = None
    """SHA-256 over salt and text of what the asker wrote; both lie in an erasable annex."""
    not_after: datetime | None = None
    second: PassId | None = None
    """The other of two people."""
    debt_s: int | None = None
    """Of an opening from afar: what counts against further ones, with this one."""
    second_by: PersonId | None = None
    """The other of two people elsewhere."""


class Unlocked(Body):
    """Committed right before its own pulse: the lock is about to be told."""

    opening: OpeningId
    compartment: CompartmentId
    attempt: int


class NoProof(Body):
    """The door's contact showed nothing; the opening waits for one more try."""

    opening: OpeningId
    compartment: CompartmentId


class NotOpened(Body):
    opening: OpeningId
    compartment: CompartmentId
    why: Reason
    compartment_state: CompartmentState


class Opened(Body):
    opening: OpeningId
    compartment: CompartmentId
    late: bool = False
    """After it had been given up: by a stuck door, or over a power cut."""
    spent: PassId | None = None
    """The one-time pass that this proof has used up."""
    compartment_state: CompartmentState | None = None
    """Where the opening settles a doubt: a door that was stuck has moved. None: as it was."""


class Closed(Body):
    opening: OpeningId
    compartment: CompartmentId


class Lapsed(Body):
    """Wanted, and never pulsed."""

    opening: OpeningId
    compartment: CompartmentId
    why: Reason


class Unresolved(Body):
    """The power went between pulse and proof: nobody knows whether the door opened."""

    opening: OpeningId
    compartment: CompartmentId
    compartment_state: CompartmentState


class Sensed(Body):
    """Doors that changed with no opening of ours; those in `forced` were broken open, or so it looks."""

    doors: Mapping[CompartmentId, DoorState]
    forced: tuple[CompartmentId, ...] = ()
    compartment_state: CompartmentState | None = None
    """What the forced ones become."""


class ItemSensed(Body):
    """A sensor inside contradicts what is recorded, or no longer does. A hint, never a proof."""

    items: Mapping[CompartmentId, bool]
    contradicts: tuple[CompartmentId, ...] = ()
    doubted: tuple[CompartmentId, ...] = ()
    """Recorded as empty, and something is in it: not to be given away."""


class Withdrawn(Body):
    """Compartments taken out of service, or brought back; `states` is what each is now."""

    states: Mapping[CompartmentId, CompartmentState]
    out: bool
    session: SessionId | None = None


class BoardLost(Body):
    """One cause, one entry: these doors are unknown until the board answers again."""

    compartments: tuple[CompartmentId, ...]


class BoardFound(Body):
    """The boards of these doors answer again."""

    compartments: tuple[CompartmentId, ...]


class LeftOpen(Body):
    """A door stands open for too long; `over`: it is shut at last."""

    compartment: CompartmentId
    seconds: int = 0
    alarm: bool = False
    """The operator is told. Before, the people at the wall are asked to shut it."""
    over: bool = False
    compartment_state: CompartmentState | None = None
    """Where nobody's opening answers for what went in or out meanwhile: it stays in doubt. None: as it was."""


class Maintained(Body):
    """A technician works on the wall until then, and doors that move without us are no alarm; None: they are done."""

    until: datetime | None
    session: SessionId | None = None


class Tampered(Body):
    """A switch of the cabinet itself: opened, or shut again. No `alarm` while a technician works on the wall."""

    switch: str
    opened: bool
    alarm: bool = True


class BandCrossed(Body):
    """The temperature where these compartments are has left its band, or (`inside`) is back; None: nobody knows it."""

    sensor: str
    compartments: tuple[CompartmentId, ...]
    inside: bool | None
    celsius: float | None = None


class KeptAt(Body):
    """How warm it was where a thing was kept, from the readings of its stay."""

    stay: StayId
    compartment: CompartmentId
    celsius_min: float
    celsius_max: float
    seconds: int
    seconds_outside: int
    """Outside the band of its compartment."""
    seconds_unknown: int
    """Without a reading."""


class Checked(Body):
    """A person looked inside."""

    compartment: CompartmentId
    compartment_state: CompartmentState
    session: SessionId | None = None
    by: PersonId | None = None


class Entry(Value):
    """One line of a bank's log. `seq` counts from 0 within its epoch."""

    bank: BankId
    epoch: int
    seq: int
    at: datetime
    body: Body
