"""A wall of spring-loaded doors as physics has it: latches, leaves, coils, what is inside, and what breaks.

Pure and deterministic: time is an argument, in seconds of any clock that never runs backwards. It knows no protocol,
no asyncio and no file, so that the same wall stands behind a pty and in the simulation's pretend time.

A pulse frees the latch while its coil has power; the spring pushes the leaf open a moment later; only a hand shuts
it. Whoever drives the wall asks `next_change()` when to look again, and `advance()` what has happened.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

PULSE_S = 0.55
SPRING_S = 0.15
REBOOT_S = 1.0
COILS_MAX = 2
"""How many coils the supply can feed at once. One more, and its voltage falls until every board restarts."""
MOVES_KEPT_MAX = 10_000


class Move(StrEnum):
    """What physically happened at a door."""

    PULSED = "pulsed"
    OPENED = "opened"
    """By spring or hand, after the latch was freed."""
    FORCED = "forced"
    CLOSED = "closed"
    PUT = "put"
    TOOK = "took"
    JAMMED = "jammed"
    UNJAMMED = "unjammed"


@dataclass(frozen=True, slots=True)
class Moved:
    at: float
    channel: int
    what: Move


@dataclass(slots=True)
class Door:
    """One compartment's lock, leaf and content. Anybody may read it and set its faults; the rest is the wall's."""

    channel: int
    is_open: bool = False
    item: bool = False
    jammed: bool = False
    """The leaf cannot move, whatever the latch does: frozen shut, leaned on, or caught on a parcel."""
    stuck_coil: bool = False
    """The coil draws current and frees nothing."""
    stuck_contact: bool = False
    """The hook's contact reports closed for ever."""
    broken_wire: bool = False
    """The contact's wire is cut, which a board cannot tell from an open contact."""
    bouncing_contact: bool = False
    """The contact is worn, and opens and closes by itself."""
    reversed_contact: bool = False
    """No fault: a lock whose contact is open while the door is shut."""
    pulses: int = 0
    coil_until: float | None = None
    spring_at: float | None = None

    @property
    def contact_closed(self) -> bool:
        """What the board's input sees while nothing bounces."""
        if self.broken_wire:
            return False
        return self.stuck_contact or self.is_open is self.reversed_contact


FAULTS = ("stuck_coil", "stuck_contact", "broken_wire", "bouncing_contact", "reversed_contact")
_KEPT = ("is_open", "item", "jammed", *FAULTS)
"""What survives a power cut of everything, in `snapshot`."""


class Wall:
    """The doors by channel, and their one power supply."""

    def __init__(
        self,
        channels: Iterable[int],
        *,
        pulse_s: float = PULSE_S,
        spring_s: float = SPRING_S,
        coils_max: int = COILS_MAX,
        reboot_s: float = REBOOT_S,
    ) -> None:
        self.doors: dict[int, Door] = {channel: Door(channel) for channel in channels}
        self.pulse_s = pulse_s
        self.spring_s = spring_s
        self.coils_max = coils_max
        self.reboot_s = reboot_s
        self.celsius = 21.0
        self.humidity_percent = 45.0
        self.brown_outs = 0
        self.has_power = True
        self._awake_at = float("-inf")
        self._now = float("-inf")
        self._moves: deque[Moved] = deque(maxlen=MOVES_KEPT_MAX)

    # Time

    def advance(self, now: float) -> tuple[Moved, ...]:
        """Everything that happened up to `now` and was not told before, in order. There is one listener to tell."""
        self._catch_up(now)
        moves = tuple(self._moves)
        self._moves.clear()
        return moves

    def next_change(self) -> float | None:
        """When something will next happen by itself; None while everything is at rest."""
        times = [at for door in self.doors.values() for at in (door.spring_at, door.coil_until) if at is not None]
        if self.has_power and self._awake_at > self._now:
            times.append(self._awake_at)
        return min(times, default=None)

    # The boards

    def answers(self, now: float) -> bool:
        """Whether the boards have power and have finished starting."""
        self._catch_up(now)
        return self.has_power and now >= self._awake_at

    def pulse(self, channel: int, now: float, pulse_s: float | None = None) -> None:
        """Power one coil. A second pulse to the same coil prolongs the first."""
        if not self.answers(now):
            return
        door = self.doors[channel]
        door.pulses += 1
        door.coil_until = now + (self.pulse_s if pulse_s is None else pulse_s)
        self._moves.append(Moved(now, channel, Move.PULSED))
        if sum(each.coil_until is not None for each in self.doors.values()) > self.coils_max:
            self.brown_outs += 1
            self._boards_fall(now)
        else:
            self._let_spring(door, now)

    def drop_coils(self, channels: Iterable[int], now: float) -> None:
        """What happens to the locks of a board that restarts."""
        self._catch_up(now)
        for channel in channels:
            self.doors[channel].coil_until = self.doors[channel].spring_at = None

    # Hands: each says whether anything came of it

    def open(self, channel: int, now: float) -> bool:
        """Pull at a door: it gives way only while its coil holds the latch back."""
        self._catch_up(now)
        door = self.doors[channel]
        if door.is_open or not self._is_free(door) or door.jammed:
            return False
        self._swing_open(door, now, Move.OPENED)
        return True

    def force(self, channel: int, now: float) -> bool:
        """A crowbar, or the mechanical key."""
        self._catch_up(now)
        door = self.doors[channel]
        if door.is_open:
            return False
        self._swing_open(door, now, Move.FORCED)
        return True

    def close(self, channel: int, now: float) -> bool:
        """Push a door shut. While its coil still has power the latch cannot catch, and the spring wins again."""
        self._catch_up(now)
        door = self.doors[channel]
        if not door.is_open or door.jammed:
            return False
        door.is_open = False
        self._moves.append(Moved(now, channel, Move.CLOSED))
        self._let_spring(door, now)
        return True

    def put(self, channel: int, now: float) -> bool:
        return self._reach_in(channel, now, item=True)

    def take(self, channel: int, now: float) -> bool:
        return self._reach_in(channel, now, item=False)

    def jam(self, channel: int, now: float) -> bool:
        return self._hold(channel, now, jammed=True)

    def unjam(self, channel: int, now: float) -> bool:
        return self._hold(channel, now, jammed=False)

    # Mains

    def cut_power(self, now: float) -> None:
        """Coils fall at once and boards are silent; doors stay as they are."""
        self._catch_up(now)
        self.has_power = False
        self._boards_fall(now)

    def restore_power(self, now: float) -> None:
        self._catch_up(now)
        if not self.has_power:
            self.has_power = True
            self._awake_at = now + self.reboot_s

    # What outlives the process

    def snapshot(self) -> dict[str, dict[str, bool]]:
        """Doors that are not simply shut and empty, by channel, as JSON can hold them."""
        kept = {str(door.channel): {name: True for name in _KEPT if getattr(door, name)} for door in self}
        return {channel: marks for channel, marks in kept.items() if marks}

    def restore(self, snapshot: Mapping[str, Mapping[str, bool]]) -> None:
        """Stand as `snapshot` says. Doors this wall does not have are passed over."""
        for door in self:
            marks = snapshot.get(str(door.channel), {})
            for name in _KEPT:
                setattr(door, name, bool(marks.get(name, False)))

    def __iter__(self) -> Iterator[Door]:
        return iter(self.doors.values())

    # Physics

    def _catch_up(self, now: float) -> None:
        assert now >= self._now, f"time ran backwards, from {self._now} to {now}"
        while True:
            due = [(door.spring_at, door.channel) for door in self if door.spring_at is not None]
            at, channel = min(due, default=(float("inf"), 0))
            if at > now:
                break
            self._swing_open(self.doors[channel], at, Move.OPENED)
        for door in self:
            if door.coil_until is not None and door.coil_until <= now:
                door.coil_until = None
        self._now = now

    def _let_spring(self, door: Door, now: float) -> None:
        """Begin to push, if the latch will still be free when the leaf gets going."""
        starts = now + self.spring_s
        if door.is_open or door.jammed or not self._is_free(door):
            return
        if door.coil_until is not None and starts <= door.coil_until and door.spring_at is None:
            door.spring_at = starts

    def _is_free(self, door: Door) -> bool:
        return door.coil_until is not None and not door.stuck_coil

    def _swing_open(self, door: Door, at: float, how: Move) -> None:
        door.is_open = True
        door.spring_at = None
        self._moves.append(Moved(at, door.channel, how))

    def _reach_in(self, channel: int, now: float, *, item: bool) -> bool:
        self._catch_up(now)
        door = self.doors[channel]
        if not door.is_open or door.item is item:
            return False
        door.item = item
        self._moves.append(Moved(now, channel, Move.PUT if item else Move.TOOK))
        return True

    def _hold(self, channel: int, now: float, *, jammed: bool) -> bool:
        self._catch_up(now)
        door = self.doors[channel]
        if door.jammed is jammed:
            return False
        door.jammed = jammed
        door.spring_at = None
        self._moves.append(Moved(now, channel, Move.JAMMED if jammed else Move.UNJAMMED))
        self._let_spring(door, now)
        return True

    def _boards_fall(self, now: float) -> None:
        self._awake_at = now + self.reboot_s
        self.drop_coils(self.doors, now)
