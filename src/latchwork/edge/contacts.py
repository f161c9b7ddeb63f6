"""What the contacts of a wall's doors say, and how far to believe it. Between the drivers, who tell what they read, and
the rules, who act on what they are told.

Pure: time is an argument, in seconds of any clock that never runs backwards.
"""

from collections import deque
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from latchwork.domain.words import CompartmentId, DoorState

BOUNCES_MAX = 5
BOUNCE_S = 10.0
"""A contact that changes more often than that in this time says nothing, until it was still for as long."""

_TURNED = {DoorState.OPEN: DoorState.CLOSED, DoorState.CLOSED: DoorState.OPEN, DoorState.UNKNOWN: DoorState.UNKNOWN}


@dataclass(slots=True)
class _Contact:
    says: DoorState | None = None
    told: DoorState | None = None
    changes: deque[float] = field(default_factory=lambda: deque(maxlen=BOUNCES_MAX + 1))
    coil_until: float = float("-inf")

    def bounces(self, now: float) -> bool:
        often = len(self.changes) > BOUNCES_MAX and self.changes[-1] - self.changes[0] < BOUNCE_S
        return often and now < self.changes[-1] + BOUNCE_S

    def springs(self, now: float) -> bool:
        """A leaf pushed shut while its coil has power is not shut: told so, its next move would be a break-in."""
        return self.told is DoorState.OPEN and self.says is DoorState.CLOSED and now < self.coil_until

    def settled(self, now: float) -> DoorState | None:
        """What is to be told; None: nothing new."""
        state = DoorState.UNKNOWN if self.bounces(now) else self.told if self.springs(now) else self.says
        return state if state is not self.told else None


class Contacts:
    """`turned`: compartments whose contact works the other way round than their driver believes.

    `coil_s`: how long a coil may have power after its unlock was sent.
    """

    def __init__(self, turned: AbstractSet[CompartmentId], coil_s: float) -> None:
        self._turned = turned
        self._coil_s = coil_s
        self._contacts: dict[CompartmentId, _Contact] = {}

    def pulsed(self, door: CompartmentId, now: float) -> None:
        self._contacts.setdefault(door, _Contact()).coil_until = now + self._coil_s

    def hear(self, doors: Mapping[CompartmentId, DoorState], now: float) -> None:
        for door, state in doors.items():
            contact = self._contacts.setdefault(door, _Contact())
            says = _TURNED[state] if door in self._turned else state
            if contact.says not in (None, says):
                contact.changes.append(now)
            contact.says = says

    def bounces(self, door: CompartmentId, now: float) -> bool:
        return self._contacts[door].bounces(now)

    def lose(self, doors: AbstractSet[CompartmentId]) -> None:
        """Their board is gone, and what it said with it. The caller tells that they are unknown."""
        self._contacts.update({door: _Contact(DoorState.UNKNOWN, DoorState.UNKNOWN) for door in doors})

    def news(self, now: float) -> dict[CompartmentId, DoorState]:
        """The doors whose state is not what was told last; they count as told on return."""
        told = {door: state for door, contact in self._contacts.items() if (state := contact.settled(now)) is not None}
        for door, state in told.items():
            self._contacts[door].told = state
        return told

    def next_news(self, now: float) -> float | None:
        """When to ask again though nothing was heard; None while nothing is held back."""
        waits = [contact.changes[-1] + BOUNCE_S for contact in self._contacts.values() if contact.bounces(now)]
        waits += [contact.coil_until for contact in self._contacts.values() if contact.springs(now)]
        return min(waits, default=None)
