"""The bank's part in the exchange: what it says of itself, what it sends, what it takes. Carries no bytes itself.

Imports no asyncio: `link` carries its messages over a socket, the simulator over a pretend wire.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from latchwork.domain.words import BankId, Reason
from latchwork.edge.loop import Loop
from latchwork.edge.recovery import Offered, Pile, Recovery
from latchwork.sync import keys
from latchwork.sync.exchange import (
    CODE_KEYS,
    HEARTBEAT_SECONDS,
    Ask,
    BankEnd,
    Challenge,
    Configuration,
    Down,
    Hello,
    Page,
    Staged,
    Told,
    Up,
)
from latchwork.sync.notes import signed_checkpoint

CHECKPOINT_SECONDS_MIN = 1.0
"""Between two checkpoints."""
NUMBERS_SKIPPED_MAX = 1000
"""Numbers are given at sending, so hardly any is skipped. A server that could use them all up would be the last one."""

log = logging.getLogger(__name__)


class Shelf(Pile, Protocol):
    """What of a journal the exchange reads, and where documents go."""

    def documents(self) -> Mapping[str, int]: ...
    def put_document(self, name: str, version: int, body: bytes) -> None: ...
    def past(self, epoch: int, start: int, end: int) -> Sequence[bytes]: ...
    def keep_checkpoint(self, note: bytes) -> None: ...


class Talk:
    """`sign` signs with the device key, whose public half is `public`. `consents`: see `Recovery`. `configuration`:
    what the bank says of its own."""

    def __init__(
        self,
        bank: BankId,
        loop: Loop,
        shelf: Shelf,
        public: bytes,
        sign: Callable[[bytes], bytes],
        boot: str,
        consents: Callable[[Offered], bool] = lambda _: False,
        configuration: Callable[[], Configuration | None] = lambda: None,
        heed: Callable[[str, bytes], None] = lambda _name, _body: None,
    ) -> None:
        self._bank = bank
        self._loop = loop
        self._shelf = shelf
        self._public = public
        self._sign = sign
        self._boot = boot
        self._configuration = configuration
        self._configuration_told: Configuration | None = None
        self._heed = heed
        """Does what a document wants done before we say that we hold it."""
        self._recovery = Recovery(loop, shelf, consents)
        self._end: BankEnd | None = None
        self._signed = (0, 0)
        """Of which epoch, and how many entries."""
        self._signed_at = float("-inf")
        self.server_differs = False
        """Whether the server states another history than ours: nothing that it asks is done."""

    def use_key(self, public: bytes, sign: Callable[[bytes], bytes]) -> None:
        """The device has another key from here on."""
        self._public, self._sign, self._signed = public, sign, (0, 0)

    @property
    def session(self) -> int | None:
        """Of the line that is open now."""
        return self._end.session if self._end else None

    def hello(self, challenge: Challenge, software: str) -> Hello:
        self._end = None
        self._signed = (0, 0)  # this server may have lost what we signed
        self._loop.hear_time(challenge.time, fresh=True)
        self._configuration_told = self._configuration()
        return Hello(
            self._bank,
            self._public,
            self._sign(keys.hello_text(self._bank, challenge.nonce)),
            self._loop.bank.epoch,
            self._shelf.size,
            self._loop.frontier.root(),
            self._loop.bank.instructions_through,
            self._shelf.documents(),
            self._boot,
            software,
            configuration=self._configuration_told,
        )

    async def hear(self, down: Down) -> None:
        """Take what the server sent: its clock, its documents, its instructions in their order."""
        if self._end is None:
            self._end = BankEnd.welcomed(down)
        elif down.session != self._end.session:
            return
        else:
            self._end.hear(down)
        self.server_differs = self._differs(down)
        self._turn_page(self._end, down)
        self._loop.hear_time(down.time)
        await self._loop.trust_clock()
        for document in down.documents:
            with suppress(self._loop.full, OSError):  # only this is lost, and the server sends it again
                self._heed(document.name, document.body)
                kept = b"" if document.name == CODE_KEYS else document.body  # a journal is shown to others
                self._shelf.put_document(document.name, document.version, kept)
        for order in () if self.server_differs else down.orders:
            if order.number > self._loop.bank.instructions_through + NUMBERS_SKIPPED_MAX:
                log.error("instruction %d is numbered far beyond the last: no server of ours did that", order.number)
                break
            refusal = (await self._loop.obey(order)).refusal
            if refusal is not None and refusal.reason is Reason.DISK_FULL:
                break  # it was not answered, so nothing after it may be: they come again together

    async def answer(self, message: Ask | Page) -> Told | Staged:
        """Where the logs have parted: what the server asks of ours, and what it brings of the accepted one."""
        return self._recovery.tell(message) if isinstance(message, Ask) else await self._recovery.take(message)

    def next_up(self, heartbeat: bool = False) -> Up | None:
        """What to send now; None while there is nothing to say, or our last word is unanswered."""
        end = self._end
        if end is None:
            return None
        size = self._size(end.epoch)
        configuration = self._configuration()
        news = configuration if configuration != self._configuration_told else None
        if not (end.wants_to_send(size, news is not None) or (heartbeat and end.awaiting is None)):
            return None
        self._configuration_told = configuration
        start, stop = end.span(size)
        root = self._root(end.epoch, stop)
        if end.epoch < self._loop.bank.epoch:
            past = self._shelf.past(end.epoch, start, stop)
            return end.up(start, past, root, self._shelf.documents(), configuration=news)
        checkpoint = self._checkpoint(root) if stop == size and not self.server_differs else None
        return end.up(start, self._shelf.entries(start, stop), root, self._shelf.documents(), checkpoint, news)

    def quiet_seconds(self) -> float:
        """How long to say nothing: until the next heartbeat, or until the newest entries may be signed."""
        end, epoch, size = self._end, self._loop.bank.epoch, self._shelf.size
        unsigned = size > 0 and (epoch, size) != self._signed
        if end is None or end.awaiting is not None or end.epoch != epoch or self.server_differs or not unsigned:
            return HEARTBEAT_SECONDS
        return max(0.0, self._signed_at + CHECKPOINT_SECONDS_MIN - self._loop.clock.monotonic())

    def _checkpoint(self, root: bytes) -> bytes | None:
        """Of the whole log, where it grew since the last one; it may have to wait for `quiet_seconds`."""
        epoch, size, now = self._loop.bank.epoch, self._shelf.size, self._loop.clock.monotonic()
        if (epoch, size) == self._signed or not size or now < self._signed_at + CHECKPOINT_SECONDS_MIN:
            return None
        note = signed_checkpoint(self._bank, epoch, size, root, self._public, self._sign)
        self._signed, self._signed_at = (epoch, size), now
        self._shelf.keep_checkpoint(note)
        return note

    def _differs(self, down: Down) -> bool:
        if down.epoch > self._loop.bank.epoch or down.size > self._size(down.epoch):
            return True
        return down.size > 0 and down.root != self._root(down.epoch, down.size)

    def _turn_page(self, end: BankEnd, down: Down) -> None:
        """A server that has all of an earlier epoch is told of the next; one that is ahead, how far we are."""
        own = self._loop.bank.epoch
        if end.epoch > own:
            end.turn_to(own, self._shelf.size)
        elif down.epoch == end.epoch < own and not self.server_differs and down.size == self._size(end.epoch):
            end.turn_to(end.epoch + 1)

    def _size(self, epoch: int) -> int:
        return self._shelf.size if epoch == self._loop.bank.epoch else self._shelf.past_size(epoch)

    def _root(self, epoch: int, size: int) -> bytes:
        if epoch != self._loop.bank.epoch:
            return self._shelf.past_frontier(epoch, size).root()
        whole = size == self._shelf.size
        return (self._loop.frontier if whole else self._shelf.frontier(size)).root()

    @property
    def overdue(self) -> bool:
        """Whether the server owes us an answer."""
        return self._end is not None and self._end.awaiting is not None
