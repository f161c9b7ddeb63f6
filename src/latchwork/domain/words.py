"""The vocabulary as types: ids, sizes, states and the one list of reasons.

Nothing here decides anything. Every other package may import this module.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType, dataclass_transform

BankId = NewType("BankId", str)
CompartmentId = NewType("CompartmentId", str)
"""The label on the door, such as "07": unique within its bank and safe to print."""
StayId = NewType("StayId", str)
ClaimId = NewType("ClaimId", str)
PassId = NewType("PassId", str)
OpeningId = NewType("OpeningId", str)
SessionId = NewType("SessionId", str)
InstructionId = NewType("InstructionId", str)
ServiceId = NewType("ServiceId", str)
PersonId = NewType("PersonId", str)
PartyId = NewType("PartyId", str)
"""The carrier or shop whose thing it is, apart from the organisation that runs the wall."""
ThingId = NewType("ThingId", str)
"""What outlives one stay: the laptop, the book, the order it belongs to."""
Lookup = NewType("Lookup", str)
"""A keyed hash, in hex, of digits or of a label. The core never sees what was hashed."""


@dataclass_transform(frozen_default=True)
class Value:
    """Each subclass is a frozen dataclass: so the long lists of commands and of entries hold nothing but words."""

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True)(cls)


@dataclass(frozen=True, slots=True)
class Size:
    """Inner size of a compartment or outer size of a thing, in millimetres."""

    width_mm: int
    height_mm: int
    depth_mm: int

    @property
    def volume_mm3(self) -> int:
        return self.width_mm * self.height_mm * self.depth_mm

    def fits_into(self, space: "Size") -> bool:
        """Whether this, turned any way round, goes into `space`."""
        mine = sorted((self.width_mm, self.height_mm, self.depth_mm))
        its = sorted((space.width_mm, space.height_mm, space.depth_mm))
        return all(a <= b for a, b in zip(mine, its, strict=True))


class Climate(StrEnum):
    AMBIENT = "ambient"
    CHILLED = "chilled"
    FROZEN = "frozen"
    HEATED = "heated"


class DoorState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    UNKNOWN = "unknown"
    """The board does not answer, or was never asked. Never to be read as closed."""


class CompartmentState(StrEnum):
    VACANT = "vacant"
    RESERVED = "reserved"
    """Claimed: a thing is expected in it or on its way into it."""
    OCCUPIED = "occupied"
    NEEDS_CHECK = "needs_check"
    """What is inside is in doubt, or the door is: nothing is assigned to it."""
    OUT_OF_SERVICE = "out_of_service"


class StayState(StrEnum):
    EXPECTED = "expected"
    RESERVED = "reserved"
    DEPOSITED = "deposited"
    COLLECTED = "collected"
    EXPIRED = "expired"
    """Past its time, and still collectible until somebody takes it out."""
    RECALLED = "recalled"
    RETURNED = "returned"
    CANCELLED = "cancelled"
    BLOCKED = "blocked"
    EXCEPTION = "exception"


class Role(StrEnum):
    """What a pass makes of the person who shows it."""

    COURIER = "courier"
    PERSON = "person"
    STAFF = "staff"


class Shares(StrEnum):
    """Which things of a service may lie in one compartment together."""

    NONE = "none"
    RECIPIENT = "recipient"
    """Several parcels of one recipient."""
    PARTY = "party"
    """A drop box: whatever goes to the same carrier or shop."""


class Ending(StrEnum):
    """Who takes out what nobody collected in time."""

    COURIER = "courier"
    RETURN = "return"
    """Staff, who sends it back."""
    DISPOSE = "dispose"
    """Two of the staff, who throw it away."""


class Purpose(StrEnum):
    """Why a door opens. Only COLLECT ends stays."""

    DEPOSIT = "deposit"
    COLLECT = "collect"
    VISIT = "visit"
    CHECK = "check"
    SERVICE = "service"


class Reason(StrEnum):
    """Why not, or why so: the one list. Each is also the key of its translations."""

    # About who asks
    WRONG_CODE = "wrong_code"
    SLOW_DOWN = "slow_down"
    """Too many wrong codes here lately; the refusal says when to try again."""
    NO_ACCESS = "no_access"
    NO_SESSION = "no_session"
    CODE_EXPIRED = "code_expired"
    CODE_TAKEN = "code_taken"
    # About the thing
    PARCEL_NOT_AVAILABLE = "parcel_not_available"
    ALREADY_HERE = "already_here"
    UNKNOWN_RECIPIENT = "unknown_recipient"
    UNKNOWN_SERVICE = "unknown_service"
    UNDELIVERABLE = "undeliverable"
    BLOCKED = "blocked"
    NO_EXTENSION = "no_extension"
    REMOTE_LIMIT = "remote_limit"
    """Too many doors were opened from afar: the wall opens no more that way until staff at the wall says so."""
    UNSIGNED = "unsigned"
    """A guarded wall does this only with a signature of a key that it was told of."""
    SECOND_PERSON = "second_person"
    """It takes two: another staff member's code is needed beside."""
    OUTSIDE_HOURS = "outside_hours"
    NOT_MINE = "not_mine"
    DAMAGED = "damaged"
    REFUSED = "refused"
    LEFT_BEHIND = "left_behind"
    """Could not carry all: it is still inside."""
    # About the compartment
    TOO_BIG = "too_big"
    NO_SUITABLE_COMPARTMENT = "no_suitable_compartment"
    COMPARTMENT_BROKEN = "compartment_broken"
    COMPARTMENT_OCCUPIED = "compartment_occupied"
    COMPARTMENT_EMPTY = "compartment_empty"
    UNKNOWN_COMPARTMENT = "unknown_compartment"
    DOOR_OPEN = "door_open"
    DOOR_NOT_OPENED = "door_not_opened"
    DOOR_WILL_NOT_CLOSE = "door_will_not_close"
    NONE_IN_REACH = "none_in_reach"
    OUT_OF_SERVICE = "out_of_service"
    """Something is inside, and only staff takes it out."""
    BUSY = "busy"
    # About the bank
    STATION_BROKEN = "station_broken"
    DISK_FULL = "disk_full"
    CLOCK_UNKNOWN = "clock_unknown"
    EXPIRED = "expired"
    """Its `not_after` has passed: an opening too late is no opening."""
    NOT_UNDERSTOOD = "not_understood"
    NUMBER_REUSED = "number_reused"
    # Why something happened, in entries
    SMALLEST_FIT = "smallest_fit"
    PREFERRED = "preferred"
    IN_REACH = "in_reach"
    IN_REACH_KEPT = "in_reach_kept"
    """The smaller ones that fit are kept for those who need one in reach."""
    RESERVED = "reserved"
    SHARED = "shared"
    RECOVERED = "recovered"
    CHANGED_MIND = "changed_mind"
    SIGNED_OUT = "signed_out"
    TIMED_OUT = "timed_out"
    POWER_LOST = "power_lost"
    FORCED = "forced"
    LEFT_OPEN = "left_open"
    SENSED = "sensed"
    REVOKED = "revoked"
    EXTENDED = "extended"
    HELD = "held"
    CLOCK_SET = "clock_set"
    """The clock was behind when it was put in."""
    REASSIGNED = "reassigned"
    MOVED = "moved"
    UNBLOCKED = "unblocked"
    WITHDRAWN = "withdrawn"
    RETURN_TO_SENDER = "return_to_sender"
    DISPOSED = "disposed"
    # Why staff opens
    CUSTOMER_HELP = "customer_help"
    INSPECTION = "inspection"
    MAINTENANCE = "maintenance"
    EMERGENCY = "emergency"
    OTHER = "other"


STAFF_REASONS = frozenset({Reason.CUSTOMER_HELP, Reason.INSPECTION, Reason.MAINTENANCE, Reason.EMERGENCY, Reason.OTHER})
REPORTS = frozenset({Reason.LEFT_BEHIND, Reason.NOT_MINE, Reason.REFUSED, Reason.DAMAGED, Reason.COMPARTMENT_EMPTY})
"""What a recipient may say of what they found."""

UNDELIVERED = frozenset(
    {
        Reason.NO_SUITABLE_COMPARTMENT,
        Reason.NONE_IN_REACH,
        Reason.TOO_BIG,
        Reason.UNKNOWN_RECIPIENT,
        Reason.DAMAGED,
        Reason.REFUSED,
        Reason.OUTSIDE_HOURS,
        Reason.STATION_BROKEN,
        Reason.NO_ACCESS,
        Reason.OTHER,
    }
)
"""Why a courier could not deliver here."""
