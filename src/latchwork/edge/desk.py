"""The one place where commands queue for the bank: kiosk, hardware, link and timers all come here, and take turns."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from latchwork.domain.bank import Bank
from latchwork.domain.commands import Command, Decision, Offer, Ticket
from latchwork.domain.words import Lookup
from latchwork.edge.keyring import Keyring
from latchwork.edge.kiosk.desk import Trouble
from latchwork.edge.kiosk.photos import ERASED, Photos
from latchwork.edge.loop import Loop
from latchwork.store.sqlite import SqliteJournal
from latchwork.sync import keys
from latchwork.sync.exchange import Farewell

WAKE_SECONDS_MAX = 60.0
TURNED_AWAY = frozenset({Farewell.UNKNOWN_BANK, Farewell.WRONG_KEY, Farewell.REVOKED_KEY})
"""Said of the controller itself, and not of this line."""

log = logging.getLogger(__name__)


class EdgeDesk:
    """`turn` is held by whoever works with the loop; it is the bank's single thread of steps.

    `photos`: the folder where pictures of what was put in are kept; without one there are none.
    """

    def __init__(self, loop: Loop, journal: SqliteJournal, photos: Path | None = None) -> None:
        self.turn = asyncio.Lock()
        self.heard_at: datetime | None = None
        """When the cloud was last heard, by this machine's clock."""
        self.turned_away: str | None = None
        """Why the cloud does not want to hear this controller, where it said so last."""
        self.partner: Callable[[str, str], Awaitable[bool | None]] | None = None
        """Asks a partner about a label while there is a line."""
        self.waits_for_yes: Callable[[], bool] = lambda: False
        """Whether something is to be accepted at the controller."""
        self._loop = loop
        loop.told = self.stir
        self._journal = journal
        self._photos = Photos(photos, *_photo_keys(loop.keyring)) if photos else None
        self._changed = asyncio.Event()
        self._seen: asyncio.Queue[Command] = asyncio.Queue()

    @property
    def bank(self) -> Bank:
        return self._loop.bank

    async def do(self, command: Command) -> Decision:
        async with self.turn:
            return await self._loop.do(command)

    def tell(self, said: Command) -> None:
        """Hardware's word; taken in its order as soon as the loop is free."""
        self._seen.put_nowait(said)
        self.stir()

    async def run(self) -> None:
        """Feed the loop with what the doors do and what time makes due, until cancelled."""
        while True:
            change = self.next_change()
            while not self._seen.empty():
                await self.do(self._seen.get_nowait())
            async with self.turn:
                await self._loop.wake()
                delay = self._loop.wake_in()
                if self._photos and not self.bank.clock_doubted:
                    with suppress(OSError):  # a disk that takes nothing: in an hour again
                        self._photos.forget(self._loop.clock.now())
            with suppress(TimeoutError):
                async with asyncio.timeout(min(delay if delay is not None else WAKE_SECONDS_MAX, WAKE_SECONDS_MAX)):
                    await change.wait()

    def next_change(self) -> asyncio.Event:
        """Set at the first change from now on."""
        return self._changed

    async def changed(self) -> None:
        await self._changed.wait()

    def stir(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def new_id(self) -> str:
        return self._loop.keyring.new_id()

    def offer(self) -> Offer:
        return self._loop.keyring.offer(self.bank)

    def code(self, digits: str) -> Lookup:
        return self._loop.keyring.code(digits, self.bank.codes)

    def card(self, number: str) -> Lookup:
        return self._loop.keyring.card(number, self.bank.codes)

    def label(self, text: str) -> Lookup:
        return self._loop.keyring.label(text, self.bank.labels)

    def ticket(self, text: str) -> Ticket:
        """Raises keys.BadTicket."""
        return self._loop.keyring.ticket(self.bank, text)

    def use_keys(self, keyring: Keyring) -> None:
        self._loop.keyring = keyring
        if self._photos is not None:
            self._photos.use_keys(*_photo_keys(keyring))

    def document(self, name: str) -> bytes | None:
        return self._journal.document(name)

    async def advice(self, party: str, label: str) -> bool | None:
        return await self.partner(party, label) if self.partner is not None else None

    def keep_photo(self, jpeg: bytes) -> str | None:
        if self._photos is None or self._journal.tight:
            return None
        try:
            return self._photos.keep(jpeg)
        except OSError as error:
            log.warning("a photo could not be kept: %s", error.strerror)
            return None

    def photo(self, name: str) -> bytes | None:
        return self._photos.find(name) if self._photos else None

    def heed(self, document: str, body: bytes) -> None:
        """What a new document wants done before we say that we hold it. Raises OSError: it is not held yet."""
        if document == ERASED and self._photos:
            self._photos.erase_all(body)

    def link_heard_at(self) -> datetime | None:
        return self.heard_at

    def troubles(self) -> list[Trouble]:
        found = {
            Trouble.TURNED_AWAY: self.turned_away in TURNED_AWAY,
            Trouble.ACCEPT: self.waits_for_yes(),
            Trouble.DISK_FULL: self._journal.tight,
        }
        return [trouble for trouble, is_so in found.items() if is_so]


def _photo_keys(keyring: Keyring) -> tuple[bytes, ...]:
    return tuple(keys.photo_key(key) for key in (keyring.code_key, *keyring.older))
