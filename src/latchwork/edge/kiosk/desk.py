"""What the kiosk needs of the edge. The kiosk holds no key, opens no lock and writes no log: it asks its desk."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from latchwork.domain.bank import Bank
from latchwork.domain.commands import Command, Decision, Offer, Ticket
from latchwork.domain.words import Lookup


class Trouble(StrEnum):
    """What is wrong with the controller itself, for staff to see."""

    TURNED_AWAY = "turned_away"
    """The cloud does not take it for this wall any more."""
    ACCEPT = "accept"
    """Something waits for a yes that is said at the controller, and not at the screen."""
    DISK_FULL = "disk_full"


class Desk(Protocol):
    @property
    def bank(self) -> Bank:
        """As it is now; frozen."""
        ...

    async def do(self, command: Command) -> Decision:
        """Decides, writes, acts. A full disk comes back as a refusal, DISK_FULL."""
        ...

    def new_id(self) -> str:
        """32 random hex digits."""
        ...

    def offer(self) -> Offer: ...

    def code(self, digits: str) -> Lookup: ...

    def card(self, number: str) -> Lookup: ...

    def label(self, text: str) -> Lookup: ...

    def ticket(self, text: str) -> Ticket:
        """Raises `latchwork.sync.keys.BadTicket`."""
        ...

    def document(self, name: str) -> bytes | None:
        """JSON. `directory`: [{"id", "name": "J. D.", "unit": "12", "find": hashes}]. `wall`: {"name", "site", and
        perhaps "help" (a phone number), "columns" (lists of door labels, left to right, each from the top) and
        "carriers" (names by party)}. `partner rules`: {party: {"prefixes": [...], "otherwise": "accept" or "refuse"}},
        of labels of returns."""
        ...

    async def advice(self, party: str, label: str) -> bool | None:
        """What a partner answers about a label now, within some seconds; None: nothing, so its rule counts."""
        ...

    def keep_photo(self, jpeg: bytes) -> str | None:
        """The hash by which entries speak of this picture; None: there is no room for it."""
        ...

    def photo(self, name: str) -> bytes | None:
        """The picture of that hash, while nobody has erased it."""
        ...

    def troubles(self) -> Sequence[Trouble]: ...

    def link_heard_at(self) -> datetime | None:
        """When the cloud was last heard in this run."""
        ...

    async def changed(self) -> None:
        """Returns when the bank has changed since the last call began."""
        ...
