"""The vocabulary as types: ids, sizes, states and the one list of reasons.

Nothing here decides anything. Every other package may import this module.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

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


class Purpose(StrEnum):
    """Why a door opens. Only COLLECT ends stays."""

    DEPOSIT = "deposit"
    COLLECT = "collect"
    VISIT = "visit"
    CHECK = "check"
    SERVICE = "service"
