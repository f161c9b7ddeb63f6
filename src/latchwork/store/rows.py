"""What goes into the cloud's store and comes out of it, as plain values: one shape for PostgreSQL and for memory.

Each `...Row` has the fields of the PostgreSQL type of the same name, in the same order. Nothing here decides anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from latchwork.domain.words import BankId

EMPTY = ""
"""In a row that changes another: empties the column, where None leaves it."""
NEVER = datetime.min  # noqa: DTZ901 - naive, as asyncpg knows PostgreSQL's -infinity
"""The same for a column of times."""

INT_MAX = 2**31 - 1
VERSION_MAX = 999_999_999
"""Of a document: a wall that says that it holds a newer one has it from a server that was not ours."""


class EntryRow(NamedTuple):
    bank: str
    epoch: int
    seq: int
    at: datetime
    kind: str
    raw: bytes
    nodes: bytes


class StayRow(NamedTuple):
    """With `service`, the whole stay as an entry states it; without, a change to one that is known."""

    id: str
    organisation: str
    bank: str
    service: str | None = None
    party: str | None = None
    thing: str | None = None
    recipient: str | None = None
    label: str | None = None
    width_mm: int | None = None
    height_mm: int | None = None
    depth_mm: int | None = None
    state: str | None = None
    reason: str | None = None
    compartment: str | None = None
    announced: bool | None = None
    presumed: bool | None = None
    deadline: datetime | None = None
    pickup_pass: str | None = None
    pickup_n: int | None = None
    pickup_digits: int | None = None
    pickup_generation: int | None = None
    drop_off_pass: str | None = None
    drop_off_n: int | None = None
    drop_off_digits: int | None = None
    drop_off_generation: int | None = None
    expected_at: datetime | None = None
    reserved_at: datetime | None = None
    deposited_at: datetime | None = None
    expired_at: datetime | None = None
    ended_at: datetime | None = None
    epoch: int = 0
    seq: int = 0
    in_reach: bool | None = None
    fallback: str | None = None


class StayEntryRow(NamedTuple):
    stay: str
    bank: str
    epoch: int
    seq: int


class FittingRow(NamedTuple):
    bank: str
    id: str
    width_mm: int
    height_mm: int
    depth_mm: int
    climate: str
    reach_mm: int
    epoch: int
    seq: int
    gate: bool = False
    shelf: bool = False
    behind: str | None = None


class RemovedRow(NamedTuple):
    """A compartment taken off its wall."""

    bank: str
    id: str


class CompartmentRow(NamedTuple):
    bank: str
    id: str
    state: str | None = None
    why: str | None = None
    door: str | None = None
    claim: str | None = None
    stay: str | None = None
    epoch: int = 0
    seq: int = 0
    looked_at: datetime | None = None


class OpeningRow(NamedTuple):
    """With `purpose`, a new one; without, what became of one that is known."""

    id: str
    bank: str
    compartment: str
    purpose: str | None = None
    state: str | None = None
    reason: str | None = None
    why: str | None = None
    by: str | None = None
    instruction: str | None = None
    pass_id: str | None = None
    claim: str | None = None
    stay: str | None = None
    attempts: int | None = None
    wanted_at: datetime | None = None
    unlocked_at: datetime | None = None
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    epoch: int = 0
    seq: int = 0


class PassRow(NamedTuple):
    """Without `role`, the end of one."""

    id: str
    bank: str
    role: str | None = None
    party: str | None = None
    n: int | None = None
    digits: int | None = None
    generation: int | None = None
    valid_until: datetime | None = None
    state: str = "live"
    epoch: int = 0
    seq: int = 0
    stay: str | None = None
    recipient: str | None = None
    daily: bool | None = None


class AnswerRow(NamedTuple):
    id: str
    organisation: str
    bank: str
    number: int
    sha256: str
    refusal: str | None
    about: str | None
    epoch: int
    seq: int
    at: datetime
    heard_at: datetime
    """By our clock; `at` is by the bank's."""


class NoticeRow(NamedTuple):
    kind: str
    stay: str
    bank: str
    epoch: int
    seq: int
    due_at: datetime


class TaskRow(NamedTuple):
    id: str
    bank: str
    kind: str
    about: str
    detail: str | None
    epoch: int
    seq: int
    opened_at: datetime
    closed_at: datetime | None = None


class CheckedRow(NamedTuple):
    """The earlier tasks of these kinds about a compartment are done: a person or the door itself has settled them."""

    bank: str
    compartment: str
    kinds: Sequence[str]
    epoch: int
    seq: int
    at: datetime


class Task(StrEnum):
    """What a person has to look at."""

    DIVIDED = "divided"
    UNREADABLE_ENTRY = "unreadable_entry"
    FORCED_DOOR = "forced_door"
    LEFT_OPEN = "left_open"
    BOARD_LOST = "board_lost"
    """About the first of its doors."""
    TAMPERED = "tampered"
    """A switch says that the cabinet itself is open."""
    CLIMATE = "climate"
    """A sensor's temperature is outside its band, or not known."""
    NOT_OPENED = "not_opened"
    WILL_NOT_CLOSE = "will_not_close"
    UNRESOLVED = "unresolved"
    WRONG_KEY = "wrong_key"
    """Somebody says to be this bank with another device key than the one that enrolled."""
    INSTRUCTION_MISMATCH = "instruction_mismatch"
    """The bank answered an instruction that is not, or not numbered, as we asked it."""
    INCONSISTENT = "inconsistent"
    """What is stored of the log does not continue what we countersigned of it."""
    MISSING = "missing"
    """Somebody looked into a compartment, and what is inside is not what should be."""
    MISMATCH = "mismatch"
    """A sensor inside contradicts what is recorded."""
    WRONG_RECIPIENT = "wrong_recipient"
    REFUSED = "refused"
    """Left inside by its recipient: refused, or damaged."""
    UNKNOWN_RECIPIENT = "unknown_recipient"
    UNCLAIMED = "unclaimed"
    """Expired, and staff's to send back or to throw away."""
    STRANDED = "stranded"
    """Its compartment was taken out of service with it inside."""
    BLOCKED = "blocked"
    """Its time was over while nobody could collect it."""
    TOO_LATE = "too_late"
    """It was gone, or being taken, before the wall heard that it was blocked, or for somebody else."""
    RECOVERED = "recovered"
    """A controller began a new life: nobody can vouch for what was empty."""
    CLONED = "cloned"
    """Two controllers speak as this bank with one key, by turns."""
    NO_PLACE = "no_place"
    """It could not come to its bank, and no other takes it."""
    SILENT = "silent"
    """The wall was not heard for minutes."""
    REMOTE_STOPPED = "remote_stopped"
    """The wall was asked to open too many doors from afar, and opens none that way any more."""


@dataclass(slots=True)
class Rows:
    """What some entries of one bank make of the projections, in order; each row holds the last state only."""

    entries: Sequence[EntryRow] = ()
    stays: Sequence[StayRow] = ()
    stay_entries: Sequence[StayEntryRow] = ()
    fittings: Sequence[FittingRow] = ()
    removed: Sequence[RemovedRow] = ()
    compartments: Sequence[CompartmentRow] = ()
    openings: Sequence[OpeningRow] = ()
    passes: Sequence[PassRow] = ()
    answers: Sequence[AnswerRow] = ()
    notices: Sequence[NoticeRow] = ()
    tasks: Sequence[TaskRow] = ()
    checked: Sequence[CheckedRow] = ()
    orders_last: int = 0
    """The highest instruction number answered."""
    policy_version: int | None = None
    software: str | None = None
    boot: str | None = None


class AppendOperation(NamedTuple):
    organisation: str
    bank: str
    session: int
    had_epoch: int
    had_size: int
    had_root: bytes
    epoch: int
    size: int
    root: bytes
    peaks: bytes
    at: datetime
    orders_last: int
    policy_version: int | None
    software: str | None
    boot: str | None


@dataclass(frozen=True, slots=True)
class Append:
    """Entries of one bank on their way into its log, with their rows."""

    operation: AppendOperation
    rows: Rows


class Appended(StrEnum):
    OK = "ok"
    UNKNOWN_BANK = "unknown_bank"
    DIVIDED = "divided"
    STALE_SESSION = "stale_session"
    """A newer connection of this bank speaks."""
    MOVED = "moved"
    """The log is not where the operation thought: read its head again."""


class Announcement(NamedTuple):
    """A stay to be announced. `response_...` is what a repeat of the same request will be answered."""

    organisation: str
    idempotency_key: str | None
    request_hash: bytes
    response_status: int
    response: bytes
    bank: str
    stay: str
    service: str
    party: str | None
    thing: str | None
    recipient: str | None
    label: str | None
    tracking: str | None
    width_mm: int | None
    height_mm: int | None
    depth_mm: int | None
    drop_off_pass: str | None
    instruction: str
    instruction_body: bytes
    instruction_sha256: str
    asked_by: str | None
    at: datetime
    in_reach: bool = False
    wait_minutes: int | None = None
    """With a place in the queue should there be no room: an offer is then kept so long."""
    reserve_until: datetime | None = None
    """Where it waits: so long the room is kept that is asked for now."""
    as_party: str | None = None
    """Who asks is this party, at a wall of `organisation`; None: somebody of the organisation."""


class Outcome(StrEnum):
    CREATED = "created"
    REPLAYED = "replayed"
    CONFLICT = "conflict"
    """That idempotency key came with another request before."""
    UNKNOWN_BANK = "unknown_bank"
    UNKNOWN_PARTY = "unknown_party"
    UNKNOWN_RECIPIENT = "unknown_recipient"


@dataclass(frozen=True, slots=True)
class Announced:
    outcome: Outcome
    status: int | None = None
    """Of the answer given then, where this is a repeat."""
    response: bytes | None = None


@dataclass(frozen=True, slots=True)
class InstructionRow:
    """An instruction to be asked, as `send_orders` will number it. `kind` is its class in domain.commands."""

    id: str
    organisation: str
    bank: str
    kind: str
    body: bytes
    sha256: str
    asked_at: datetime
    not_after: datetime | None = None
    about: str | None = None
    asked_by: str | None = None
    note: str | None = None
    note_salt: bytes | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """A bank as the exchange needs it: who may speak for it, and how far our copy of its log goes."""

    bank: BankId
    organisation: str
    device_key: bytes | None
    revoked: bool
    divided: str | None
    epoch: int
    size: int
    root: bytes
    peaks: bytes
    session: int
    orders_last: int
    appended_at: datetime | None
    documents: Mapping[str, int] = field(default_factory=dict)
    """The versions that the bank said it holds."""
    boot: str | None = None
    """Of its last hello."""


class CheckpointRow(NamedTuple):
    """What a bank signed of its log, with our countersignature. `key` is the device key it signed with."""

    bank: str
    epoch: int
    size: int
    key: bytes
    note: bytes
    signed_at: datetime


class PartingRow(NamedTuple):
    """What a controller showed whose log has parted from ours. `fork`: so many of its entries are ours as well."""

    bank: str
    epoch: int
    size: int
    root: bytes
    fork: int
    confirmed: bool = False
    """A person has said that it shall go on from our log."""


class StrayRow(NamedTuple):
    """An entry that is not of the accepted log."""

    seq: int
    at: datetime
    raw: bytes


class SendOrders(NamedTuple):
    """Asks for what goes down to a bank now, if anything is new or has had no answer since `resend_before`."""

    bank: str
    organisation: str
    session: int
    now: datetime
    resend_before: datetime
    orders_max: int


@dataclass(frozen=True, slots=True)
class SentOrder:
    id: str
    number: int
    body: bytes
    void: bool


@dataclass(frozen=True, slots=True)
class DocumentRow:
    name: str
    version: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Work:
    """What a bank held by this process needs. `over`: this session may not go on."""

    bank: BankId
    session: int
    over: bool
    orders: bool
    documents: bool


class Unavailable(Exception):
    """The database is away; whether the operation was committed is not known. Asking again is safe."""


class Failed(Exception):
    """The database refused this operation by itself: it is at fault, not its batch."""
