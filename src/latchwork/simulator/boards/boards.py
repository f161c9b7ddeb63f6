"""What all simulated boards share: bytes in, bytes out a little later, and every way a bus can lie.

Pure: it says what is on the wire and when, and sends nothing. Chance comes from the generator it is given. A family
(`kerong`, `lcb`, `wkly`, `winnsen`) brings its frames and what they do.
"""

import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Generic, TypeVar

from latchwork.edge.drivers.frames import Decoder
from latchwork.simulator.boards.wall import Wall

SILENCE_S = 0.02
"""A pause inside a frame longer than this ends it."""
EVENT_S = 0.01
"""From a change to the word about it."""
BOUNCE_S = 0.07
LOG_LENGTH_MAX = 10_000

F = TypeVar("F")


@dataclass(slots=True)
class Faults:
    """How often the line goes wrong: a chance from 0 to 1 for each reply, 1 for always."""

    silence: float = 0.0
    noise: float = 0.0
    """Random bytes before the reply."""
    garbled: float = 0.0
    """Random bytes instead of the reply, as with a wrong baud rate."""
    wrong_address: float = 0.0
    truncated: float = 0.0
    bit_flip: float = 0.0
    late: float = 0.0
    late_s: float = 0.5
    doubled: float = 0.0
    deaf: float = 0.0
    """The request itself is lost."""
    echo: bool = False
    """A cheap adapter hears itself."""


@dataclass(frozen=True, slots=True)
class Passed(Generic[F]):
    """A frame that passed on the wire, as the board heard or sent it."""

    at: float
    frame: F | None
    """None for a reply that a fault spoiled."""
    from_board: bool


@dataclass(frozen=True, slots=True)
class Unlock:
    """An unlock that was heard, whether or not anybody obeyed."""

    at: float
    channel: int


@dataclass(slots=True)
class _Due:
    at: float
    board: int | None
    """None: the adapter's echo."""
    words: Callable[[float], bytes]
    """Made when they are said. None: nothing is said, and something was done."""
    is_reply: bool
    late: bool = False


class Boards(ABC, Generic[F]):
    """All boards of one bus. A board answers for the wall's channels that are its own; its other terminals are bare."""

    addresses: ClassVar[range]
    locks: ClassVar[range]
    """On one board, as its terminals are counted."""
    locks_usual: ClassVar[int]
    pulse_s: ClassVar[float]
    """As delivered."""

    def __init__(
        self,
        wall: Wall,
        boards: Sequence[int],
        *,
        faults: Faults | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self.wall = wall
        self.boards = tuple(boards)
        self.faults = Faults() if faults is None else faults
        self.silent: set[int] = set()
        """Boards whose own cable is off, while the others still answer."""
        self.twins: dict[int, float] = {}
        """Boards whose address a second one has, with all doors the other way; and how many seconds later that one
        answers. At 0 both speak at once."""
        self.log: deque[Passed[F]] = deque(maxlen=LOG_LENGTH_MAX)
        self.unlocks: list[Unlock] = []
        self.collisions = 0
        """Requests that came while a reply was due."""
        self._chance = random.Random(0) if chance is None else chance
        self._decoder = self.decoder()
        self._heard_at = float("-inf")
        self._due: list[_Due] = []
        self._awake_at = dict.fromkeys(self.boards, float("-inf"))
        self._contacts: dict[int, bool] = {}
        self._mirrored = False

    # What a family brings

    @staticmethod
    @abstractmethod
    def channel(board: int, lock: int) -> int: ...

    @staticmethod
    @abstractmethod
    def place(channel: int) -> tuple[int, int]:
        """Board and lock."""

    @abstractmethod
    def decoder(self) -> Decoder[F]:
        """Of what this board hears and says."""

    @abstractmethod
    def opens(self, frame: F) -> Sequence[int]:
        """The channels that an unlock asks for; empty for everything else."""

    @abstractmethod
    def obey(self, frame: F, now: float) -> None:
        """Do what a frame asks, and `reply`."""

    @abstractmethod
    def readdressed(self, answer: bytes) -> bytes:
        """The same answer, sound, from the next board."""

    def event(self, channel: int, *, closed: bool) -> bytes | None:
        """What a board says unasked when a contact changes; None if it does not."""
        return None

    # The wire

    def feed(self, data: bytes, now: float) -> None:
        """Hear `data` at `now`; what the boards do to the wall is done on return, what they say comes with `said`."""
        if now - self._heard_at > SILENCE_S:
            self._decoder.reset()
        self._heard_at = now
        if self.faults.echo:
            self._due.append(_Due(now, None, lambda _: data, is_reply=False))
        for frame in self._decoder.feed(data):
            self.collisions += any(due.is_reply and not due.late and due.at > now for due in self._due)
            self.log.append(Passed(now, frame, from_board=False))
            self.unlocks += [Unlock(now, channel) for channel in self.opens(frame)]
            if not self._happens(self.faults.deaf) and self.wall.answers(now):
                self.obey(frame, now)

    def said(self, now: float) -> list[bytes]:
        """What has come onto the wire up to `now`, in order."""
        self._notice(now)
        ready = sorted((due for due in self._due if due.at <= now), key=lambda due: due.at)
        self._due = [due for due in self._due if due.at > now]
        return [piece for due in ready for piece in self._on_the_wire(due, now)]

    def next_said(self, now: float) -> float | None:
        """When to ask `said` again though nothing was heard and no door moved."""
        times = [due.at for due in self._due]
        if self._contacts and any(door.bouncing_contact for door in self.wall):
            times.append(now + BOUNCE_S)
        return min(times, default=None)

    def hush(self) -> None:
        """The line is cut: what was to be said is lost."""
        self._due.clear()

    def restart(self, board: int, now: float) -> None:
        self._awake_at[board] = now + self.wall.reboot_s
        self._due = [due for due in self._due if due.board != board]
        self.wall.drop_coils(self.channels_of(board), now)

    # For families

    def answers(self, board: int, now: float) -> bool:
        known = board in self._awake_at and board not in self.silent
        return known and now >= self._awake_at[board] and self.wall.answers(now)

    def channels_of(self, board: int) -> list[int]:
        return [channel for channel in self.wall.doors if self.place(channel)[0] == board]

    def closed(self, channel: int, now: float) -> bool:
        """The level of a contact; a terminal with no lock on it is open, like a cut wire."""
        door = self.wall.doors.get(channel)
        if door is None:
            return False
        # Without a rhythm that polls could fall in with.
        bounced = door.bouncing_contact and int(now / BOUNCE_S) * 40_503 >> 8 & 1 == 1
        return door.contact_closed ^ bounced ^ self._mirrored

    def pulse(self, channel: int, now: float, pulse_s: float | None = None) -> None:
        if channel in self.wall.doors:
            self.wall.pulse(channel, now, pulse_s)

    def reply(self, board: int, now: float, delay_s: float, words: Callable[[float], bytes]) -> None:
        """Say something `delay_s` from `now`; `words` are made then."""
        self._due.append(_Due(now + delay_s, board, words, is_reply=True))
        if self.twins.get(board):
            self._due.append(_Due(now + delay_s + self.twins[board], board, self._mirror(words), is_reply=False))

    def pulse_in_turn(self, channels: Sequence[int], now: float) -> None:
        """One after another, as the board does where it is told to open several."""

        def act(channel: int, at: float) -> bytes:
            self.pulse(channel, at)
            return b""

        for nth, channel in enumerate(channels):
            at = now + nth * self.wall.pulse_s
            self._due.append(_Due(at, self.place(channel)[0], partial(act, channel), is_reply=False))

    def _mirror(self, words: Callable[[float], bytes]) -> Callable[[float], bytes]:
        def mirrored(now: float) -> bytes:
            self._mirrored = True
            try:
                return words(now)
            finally:
                self._mirrored = False

        return mirrored

    def _notice(self, now: float) -> None:
        """Contacts that changed, for boards that speak of it."""
        for channel in self.wall.doors:
            board, closed = self.place(channel)[0], self.closed(channel, now)
            if not self.answers(board, now) or self._contacts.get(channel) is closed:
                continue
            words = self.event(channel, closed=closed)
            if words is None:
                return
            if channel in self._contacts:
                self._due.append(_Due(now + EVENT_S, board, lambda _, words=words: words, is_reply=False))  # type: ignore[misc]
            self._contacts[channel] = closed

    def _on_the_wire(self, due: _Due, now: float) -> list[bytes]:
        """The words after the line has had its way with them."""
        if due.board is None:
            return [due.words(now)]
        answer = spoilt = due.words(now) if self.answers(due.board, now) else b""
        if not answer or self._happens(self.faults.silence):
            return []
        if not due.late and self._happens(self.faults.late):
            self._due.append(_Due(due.at + self.faults.late_s, due.board, due.words, due.is_reply, late=True))
            return []
        if self.twins.get(due.board) == 0.0:
            # Two senders on one pair of wires; the second starts a byte late. An idle line reads as ones.
            ours, theirs = answer + b"\xff", b"\xff" + self._mirror(due.words)(now)
            spoilt = bytes(a & b for a, b in zip(ours, theirs, strict=True))
        if self._happens(self.faults.wrong_address):
            spoilt = self.readdressed(spoilt)
        if self._happens(self.faults.bit_flip):
            spoilt = _with_bit_flipped(spoilt, self._chance.randrange(len(spoilt) * 8))
        if self._happens(self.faults.truncated):
            spoilt = spoilt[: self._chance.randrange(1, len(spoilt))]
        if self._happens(self.faults.garbled):
            spoilt = self._chance.randbytes(len(spoilt))
        sound = self.decoder().feed(answer) if spoilt == answer else []
        self.log.append(Passed(now, sound[0] if sound else None, from_board=True))
        if self._happens(self.faults.noise):
            spoilt = self._chance.randbytes(self._chance.randrange(1, 12)) + spoilt
        return [spoilt] * (2 if self._happens(self.faults.doubled) else 1)

    def _happens(self, likelihood: float) -> bool:
        # The generator is left alone where nothing can happen, so that adding a fault does not reshuffle all others.
        return likelihood > 0 and self._chance.random() < likelihood


def _with_bit_flipped(answer: bytes, bit: int) -> bytes:
    flipped = bytearray(answer)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)
