"""What the contacts of a wall say, and how far to believe it. Between the drivers, who tell what they read, and the
rules, who act on what they are told.

Pure: time is an argument, in seconds of any clock that never runs backwards.
"""

from collections import deque
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from latchwork.domain.words import DoorState

Place = tuple[int, int]
"""Bus and channel."""

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
    """`turned`: contacts that work the other way round than their driver believes.

    `coil_s`: how long a coil may have power after its unlock was sent.
    """

    def __init__(self, turned: AbstractSet[Place], coil_s: float) -> None:
        self._turned = turned
        self._coil_s = coil_s
        self._contacts: dict[Place, _Contact] = {}

    def pulsed(self, place: Place, now: float) -> None:
        self._contacts.setdefault(place, _Contact()).coil_until = now + self._coil_s

    def hear(self, read: Mapping[Place, DoorState], now: float) -> None:
        for place, state in read.items():
            contact = self._contacts.setdefault(place, _Contact())
            says = _TURNED[state] if place in self._turned else state
            if contact.says not in (None, says):
                contact.changes.append(now)
            contact.says = says

    def bounces(self, place: Place, now: float) -> bool:
        return self._contacts[place].bounces(now)

    def lose(self, places: AbstractSet[Place]) -> None:
        """Their board is gone, and what it said with it. The caller tells that they are unknown."""
        self._contacts.update({place: _Contact(DoorState.UNKNOWN, DoorState.UNKNOWN) for place in places})

    def news(self, now: float) -> dict[Place, DoorState]:
        """What is not as it was told last; it counts as told on return."""
        told = {x: state for x, contact in self._contacts.items() if (state := contact.settled(now)) is not None}
        for place, state in told.items():
            self._contacts[place].told = state
        return told

    def next_news(self, now: float) -> float | None:
        """When to ask again though nothing was heard; None while nothing is held back."""
        waits = [contact.changes[-1] + BOUNCE_S for contact in self._contacts.values() if contact.bounces(now)]
        waits += [contact.coil_until for contact in self._contacts.values() if contact.springs(now)]
        return min(waits, default=None)
