"""A locker bank as a frozen value: what is true at the wall after its log so far. No rules, only shape."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from latchwork.domain.table import Table
from latchwork.domain.words import (
    BankId,
    ClaimId,
    Climate,
    CompartmentId,
    CompartmentState,
    DoorState,
    Ending,
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
    Shares,
    Size,
    StayId,
    StayState,
    ThingId,
)


@dataclass(frozen=True, slots=True)
class Fitting:
    """One compartment as it was built: configuration, not state."""

    id: CompartmentId
    size: Size
    climate: Climate = Climate.AMBIENT
    reach_mm: int = 0
    """Height of the middle of the door above the floor; 0 where nobody has measured it."""
    features: tuple[str, ...] = ()
    gate: bool = False
    """A door with no inside (an entrance, a parcel room): opens like a compartment and never holds a claim."""
    shelf: bool = False
    """A place without a door of its own, for many things: never claimed, because nobody has it alone."""
    behind: CompartmentId | None = None
    """The gate that a shelf is behind."""

    @property
    def claimable(self) -> bool:
        return not (self.gate or self.shelf)


@dataclass(frozen=True, slots=True)
class Hours:
    """A span of one weekday (Monday is 0) in the site's own time, in minutes after midnight; `to` is not in it."""

    weekday: int
    since: int
    to: int


@dataclass(frozen=True, slots=True)
class Service:
    """The policy of a stay. Where several would do, the one for this party and the smallest size is taken."""

    id: ServiceId
    deposit_by: Role
    collect_by: Role
    pickup_hours_max: int
    """From deposit to expiry. An expired stay stays collectible until somebody takes it out."""
    party: PartyId | None = None
    size_max: Size | None = None
    climate: Climate | None = None
    shares: Shares = Shares.NONE
    walk_in: bool = False
    """Whoever stands at the wall may put in, with no code at all."""
    holds_unknown: bool = False
    """A thing for nobody we know is taken in, for staff to find out."""
    hours: tuple[Hours, ...] = ()
    """When people may use it; empty: always."""
    day_ends: int | None = None
    """A stay lasts to this minute of its last day, in the site's own time; None: to the minute."""
    reminder_hours: tuple[int, ...] = ()
    """So long before the end people are reminded."""
    extensions_max: int = 0
    extension_hours: int = 0
    room_min: int = 0
    """An extension leaves at least so many compartments vacant."""
    late_collection: bool = True
    """Whether an expired stay can still be collected."""
    at_end: Ending = Ending.COURIER
    reopen_minutes: int = 10
    """How long after a collection the same code opens the same door again, while nobody else has it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the cloud decides for a bank; stands in full in `Adopted`, and holds nothing personal."""

    services: tuple[Service, ...] = ()
    ticket_keys: Mapping[str, str] = field(default_factory=dict)
    """Ed25519 public keys in hex, by key id, whose QR codes this bank believes."""
    utc_offsets: tuple[tuple[datetime, int], ...] = ()
    """From this instant on, so many minutes east of UTC: the site's time zone, as a table for some years."""
    open_seconds_max: float = 1.5
    """How long after a pulse the door's own contact may take to prove that it opened."""
    set_aside: Mapping[CompartmentId, tuple[ServiceId, ...]] = field(default_factory=dict)
    """Compartments that only these services may use."""
    in_reach_kept: int = 0
    """So many compartments within reach of a wheelchair are kept for those who need one."""
    fallbacks: tuple[str, ...] = ()
    """Where a thing goes that cannot be delivered here, best first: a shelf, a neighbour, a desk, the carrier's own."""


@dataclass(frozen=True, slots=True)
class Compartment:
    fitting: Fitting
    state: CompartmentState = CompartmentState.VACANT
    why: Reason | None = None
    """Why it is not simply vacant or occupied."""
    door: DoorState = DoorState.UNKNOWN
    claim: ClaimId | None = None
    stuck: OpeningId | None = None
    """An opening that found no proof; if the door opens later after all, it is this one's."""
    withdrawn: bool = False
    """Taken out of service, now or as soon as it is empty."""
    item: bool | None = None
    """What a sensor says of its inside: a hint, never a proof."""
    left_open: bool | None = None
    """Its door stands open for too long: False: people are asked to shut it; True: the operator was told."""
    lost: bool = False
    """Its board does not answer, and the operator was told."""
    checked_at: datetime | None = None

    @property
    def id(self) -> CompartmentId:
        return self.fitting.id


@dataclass(frozen=True, slots=True)
class Claim:
    id: ClaimId
    compartment: CompartmentId
    service: ServiceId
    stays: tuple[StayId, ...]
    moves: StayId | None = None
    """A stay on its way here from another compartment, which holds it until it is in."""


@dataclass(frozen=True, slots=True)
class About:
    """What a stay is about, by opaque ids: the same from its announcement to its end."""

    service: ServiceId
    party: PartyId | None = None
    thing: ThingId | None = None
    recipient: PersonId | None = None
    label: Lookup | None = None
    size: Size | None = None
    in_reach: bool = False
    """It must be reachable from a wheelchair."""

    def completed(self, size: Size | None, in_reach: bool) -> "About":
        """With what whoever brings it says, where the announcement left it open."""
        return replace(self, size=self.size or size, in_reach=self.in_reach or in_reach)


@dataclass(frozen=True, slots=True)
class Stay:
    """One thing's time with us. Only stays that have not ended are in a bank's picture."""

    id: StayId
    about: About
    state: StayState
    announced: bool
    """Whether the cloud told us of it before it came."""
    claim: ClaimId | None = None
    compartment: CompartmentId | None = None
    deadline: datetime | None = None
    """When it expires; of a reservation, when the compartment is let go."""
    pickup: PassId | None = None
    drop_off: PassId | None = None
    delegates: tuple[PassId, ...] = ()
    why: Reason | None = None
    """Why its state is not the ordinary one."""
    extensions: int = 0
    moving: ClaimId | None = None
    """Staff is taking it to another compartment: this claim waits for it."""
    photo_sha256: str | None = None
    """Names the picture that was taken when it was put in."""
    guessed: bool = False
    """Its deadline counts from a time that nobody had confirmed."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A pass as it was given, with the one of the offered codes that no other live pass here has.

    Digits are never in it: whoever holds the bank's code key can derive them from `pass_id`, `n` and `digits`.
    """

    pass_id: PassId
    role: Role
    lookup: Lookup
    n: int
    digits: int
    generation: int
    purpose: Purpose | None = None
    """None: whatever its role may do."""
    stay: StayId | None = None
    party: PartyId | None = None
    once: bool = False
    valid_until: datetime | None = None
    recipient: PersonId | None = None
    """Opens everything of this recipient's: their own card, a member of their household."""
    daily: bool = False
    """Its code changes every day."""


class PassState(StrEnum):
    PENDING = "pending"
    """Its code is taken, and opens nothing before the thing is stored."""
    WAITING = "waiting"
    SPENT = "spent"
    """It has opened its door, and for some minutes does so again."""


@dataclass(frozen=True, slots=True)
class Pass:
    grant: Grant
    state: PassState
    since: datetime | None = None
    took: tuple[Stay, ...] = ()
    """The last stays that ended by it, as they were."""


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody at the kiosk whose right was proven; survives a power cut."""

    id: SessionId
    pass_id: PassId | None
    """None: a walk-in, whose right is the service's."""
    role: Role
    purpose: Purpose | None = None
    party: PartyId | None = None
    stay: StayId | None = None
    recipient: PersonId | None = None
    service: ServiceId | None = None
    outcomes: tuple[tuple[StayId, Reason | StayState], ...] = ()
    """What became of each thing in hand, in order."""


class OpeningState(StrEnum):
    WANTED = "wanted"
    UNLOCKED = "unlocked"
    OPENED = "opened"
    SHUT = "shut"
    """Opened and closed again; a deposit waits here for "it is in"."""
    NOT_OPENED = "not_opened"
    UNRESOLVED = "unresolved"


@dataclass(frozen=True, slots=True)
class Opening:
    id: OpeningId
    compartment: CompartmentId
    purpose: Purpose
    state: OpeningState
    session: SessionId | None = None
    pass_id: PassId | None = None
    second: PassId | None = None
    reason: Reason | None = None
    not_after: datetime | None = None
    claim: ClaimId | None = None
    stays: tuple[StayId, ...] = ()
    ends: StayState | None = None
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Guesses:
    """Wrong codes lately, for the whole bank; never keyed on anything a caller sends."""

    failures: int = 0
    at: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Shield:
    """What protects the wall from the cloud. No log that comes from the cloud takes it away."""

    guards: tuple[str, ...] = ()
    """Ed25519 public keys in hex, kept outside the server: what widens who can open needs a signature of one. Empty:
    the bank is not guarded."""
    signed: tuple[tuple[datetime, InstructionId], ...] = ()
    """Signed instructions that were answered, until their signatures end: none counts twice."""
    debt_s: int = 0
    """Each opening from afar adds `policy.REMOTE_EASE_S`; every second without one takes one away."""
    stopped: bool = False
    """There were too many: nothing is opened from afar."""


@dataclass(frozen=True, slots=True)
class Bank:
    id: BankId
    epoch: int = 0
    seq: int = 0
    """Entries in this epoch so far: the next one's sequence number."""
    at: datetime | None = None
    """Time of the last entry. Bank time never runs backwards."""
    policy: Policy = Policy()
    policy_version: int = 0
    compartments: Table[CompartmentId, Compartment] = field(default_factory=Table)
    claims: Table[ClaimId, Claim] = field(default_factory=Table)
    stays: Table[StayId, Stay] = field(default_factory=Table)
    labels: Table[Lookup, StayId] = field(default_factory=Table)
    passes: Table[PassId, Pass] = field(default_factory=Table)
    codes: Table[Lookup, PassId] = field(default_factory=Table)
    sessions: Table[SessionId, Session] = field(default_factory=Table)
    openings: Table[OpeningId, Opening] = field(default_factory=Table)
    queue: tuple[OpeningId, ...] = ()
    """Openings wanted and not yet pulsed, first come first."""
    moving: OpeningId | None = None
    """The opening whose lock was told and whose door has not proven itself yet: one at a time."""
    deadlines: tuple[tuple[datetime, StayId], ...] = ()
    """Of deposited and reserved stays, soonest first."""
    dailies: tuple[PassId, ...] = ()
    spent: tuple[PassId, ...] = ()
    """The last passes spent, newest last: enough for those who come back within minutes."""
    guesses: Guesses = Guesses()
    shield: Shield = Shield()
    maintained_until: datetime | None = None
    """A technician works on the wall: until then, doors that move without us are no alarm."""
    tampered: tuple[str, ...] = ()
    """Switches of the cabinet that say it is open."""
    off_band: Mapping[str, bool | None] = field(default_factory=lambda: MappingProxyType({}))
    """Climate sensors whose temperature is outside its band (False), or is not known (None)."""
    clock_doubted: bool = False
    instructions_through: int = 0
    answered: tuple[tuple[int, InstructionId], ...] = ()
    """The last instructions answered, newest last: enough to tell a repeat from a reused number."""

    @property
    def services(self) -> Mapping[ServiceId, Service]:
        return {service.id: service for service in self.policy.services}

    def holds_deposit(self, opening: Opening) -> bool:
        """Whether this opening's thing still waits for the word "it is in"; not where it was taken back."""
        claim = self.claims.get(opening.claim)
        if opening.purpose is not Purpose.DEPOSIT or claim is None:
            return False
        return not {claim.moves, *claim.stays}.isdisjoint(opening.stays[:1])
