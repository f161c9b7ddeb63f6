"""What every lock-board driver promises to the edge, in four methods.

A driver speaks to exactly one bus (a serial line or a socket) and knows channels, never compartments.
It times nothing for the bank and decides nothing: it puts frames on the wire and says what it sees.

Its package has a `make(settings: BusSettings) -> Driver`, which raises ValueError with a sentence for settings that
cannot be, and a `manifest.toml`. A package from elsewhere names itself in the entry point group `latchwork.drivers`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from latchwork.domain.words import DoorState


class Fault(Exception):
    """The outside world failed (line cut, board silent, garbage): retry or degrade, never assume."""


class Contact(StrEnum):
    """How a lock's feedback contact is made. A driver takes its manifest's for granted; the wall turns the others."""

    CLOSED_WHEN_SHUT = "closed_when_shut"
    OPEN_WHEN_SHUT = "open_when_shut"


@dataclass(frozen=True, slots=True)
class BusSettings:
    """One `[[bus]]` of a bank's configuration, with the manifest's defaults filled in."""

    port: str
    boards: tuple[int, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    """All options that the manifest has, each of the type of its default."""
    turned: frozenset[int] = frozenset()
    """Channels whose contact works the other way round than the manifest says. They are told as the others are; it is
    for whoever wants to know which doors are shut."""


@dataclass(frozen=True, slots=True)
class DoorsSeen:
    """Doors whose state differs from what was last told, by channel. The first telling names every door."""

    doors: Mapping[int, DoorState]
    items: Mapping[int, bool] = field(default_factory=dict)
    """Where a board sees whether something lies inside, and the bus is set to believe it: what has changed of that."""


@dataclass(frozen=True, slots=True)
class BoardLost:
    """Board `board` stopped answering; its doors are unknown from now on. Told once, until it answers again."""

    board: int | None
    """None: several boards, or the line to all of them, for one and the same reason."""
    channels: tuple[int, ...]
    why: str


Reading = DoorsSeen | BoardLost


class Driver(Protocol):
    async def run(self, tell: Callable[[Reading], None]) -> None:
        """Own the line until cancelled: connect, poll, tell changes, and reconnect for ever."""

    async def pulse(self, channel: int) -> None:
        """Send one unlock. Returns when the whole frame is on the wire; raises Fault if it could not be sent.

        It is sent at most once: the caller alone decides about a second try.
        """

    async def read(self) -> Mapping[int, DoorState]:
        """Ask the boards now. A board that does not answer gives `unknown` for its channels."""

    async def close(self) -> None:
        """Let go of the line."""
