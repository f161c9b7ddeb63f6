"""A bank whose log has parted from the cloud's: it tells its own, takes the accepted one, and begins a new epoch.

What comes from the cloud lies beside the journal and counts for nothing until all of it is there, agrees with what this
bank has signed, and can be understood. Then one commit switches. Carries no bytes itself, as `talk`.
"""

import base64
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Protocol

import msgspec

from latchwork.domain import commands as c
from latchwork.domain.apply import apply
from latchwork.domain.bank import Bank
from latchwork.domain.entries import EpochBegan
from latchwork.edge.loop import Loop, Unfit
from latchwork.sync.codec import Unreadable, read_entry, read_envelope
from latchwork.sync.custody import Frontier
from latchwork.sync.exchange import ENTRIES_MAX, Accepted, Ask, Page, Staged, Told
from latchwork.sync.notes import BadNote, origin, read_checkpoint, read_note

ORIGINAL_BYTES_MAX = 11 * 1024
"""A longer entry does not fit into another one; its hash does."""


class Pile(Protocol):
    """What of a journal is read and written here. Writing raises the loop's `full`."""

    @property
    def size(self) -> int: ...
    @property
    def checkpoint(self) -> bytes | None: ...
    def entries(self, start: int, end: int) -> Sequence[bytes]: ...
    def frontier(self, size: int | None = None) -> Frontier: ...
    def past_epoch(self) -> int: ...
    def past_size(self, epoch: int) -> int: ...
    def past_frontier(self, epoch: int, size: int | None = None) -> Frontier: ...
    def load_past(self) -> Iterator[bytes]: ...
    def stage(self, epoch: int, raws: Sequence[bytes], nodes: Sequence[bytes]) -> None: ...
    def stage_own(self, epoch: int, size: int) -> None: ...
    def unstage(self) -> None: ...


class Refused(Exception):
    """This log is not taken over; says why, as a sentence without its full stop."""


class Offered(msgspec.Struct, frozen=True):
    """A log that the server brings to a guarded wall."""

    size: int
    """Of its newest epoch."""
    root: str
    """In hex."""
    same: int
    """So many entries of this wall's epoch are in both."""
    own: int
    """So many this wall has written since."""


class Recovery:
    """`consents`: whether somebody at the controller lets a guarded bank go on from this log."""

    def __init__(self, loop: Loop, pile: Pile, consents: Callable[[Offered], bool] = lambda _: False) -> None:
        self._loop = loop
        self._pile = pile
        self._consents = consents

    def tell(self, ask: Ask) -> Told:
        start = min(ask.start, self._pile.size)
        entries = self._pile.entries(start, start + min(ask.entries_max, ENTRIES_MAX))
        return Told(ask.session, start, self._pile.frontier(start).root(), tuple(entries))

    async def take(self, page: Page) -> Staged:
        """Stage what is new; once all of it is there and nobody is at the wall, go on from it."""
        began, refused = False, None
        try:
            self._stage(page)
            epoch, size = self._staged()
            whole = (epoch, size) == (page.accepted.epoch, page.accepted.size)
            if whole and not self._loop.busy:
                await self._switch(page.accepted)
                began = True
        except self._loop.full:
            pass  # what was asked for is asked for again
        except Refused as error:
            with suppress(self._loop.full):  # it counts for nothing where it stays, too
                self._pile.unstage()
            refused = str(error)
        epoch, size = (page.accepted.epoch, page.accepted.size) if began else self._staged()
        return Staged(page.session, epoch, size, self._pile.past_frontier(epoch, size).root(), began, refused)

    def _staged(self) -> tuple[int, int]:
        epoch = max(self._pile.past_epoch(), self._loop.bank.epoch)
        return epoch, self._pile.past_size(epoch)

    def _stage(self, page: Page) -> None:
        if page.anew:
            self._pile.unstage()
        own = self._loop.bank.epoch
        if self._staged() == (own, 0) and page.epoch == own and page.start:
            self._pile.stage_own(own, min(page.start, self._pile.size))
        epoch, size = self._staged()
        follows = (page.epoch, page.start) in ((epoch, size), (epoch + 1, 0))
        if not follows or not page.entries:
            return
        frontier, nodes = self._pile.past_frontier(page.epoch), []
        for seq, raw in enumerate(page.entries, page.start):
            try:
                envelope = read_envelope(raw)
            except Unreadable as error:
                raise Refused(f"entry {page.epoch}/{seq} of the log that the server sent is {error}") from None
            if (envelope.bank, envelope.epoch, envelope.seq) != (self._loop.bank.id, page.epoch, seq):
                raise Refused(f"entry {page.epoch}/{seq} of the log that the server sent says that it is another")
            frontier, completed = frontier.append(raw)
            nodes.append(completed)
        self._pile.stage(page.epoch, page.entries, nodes)

    async def _switch(self, accepted: Accepted) -> None:
        """Raises Refused, or the loop's `full`."""
        own = self._loop.bank.epoch
        if self._pile.past_frontier(accepted.epoch).root() != accepted.root:
            raise Refused("what the server sent is not the log whose root it states")
        self._agrees_with_what_was_signed()
        bank = self._fold()
        fork = self._fork(own)
        offered = Offered(accepted.size, accepted.root.hex(), fork, self._pile.size - fork)
        if self._loop.bank.shield.guards and not self._consents(offered):
            raise Refused(
                f"this wall is guarded, so a technician has to accept the {accepted.size} entries that the server "
                "brings at the controller: latchwork edge accept"
            )
        branch = []
        for seq, raw in enumerate(self._pile.entries(fork, self._pile.size), fork):
            original = base64.b64encode(raw).decode() if len(raw) <= ORIGINAL_BYTES_MAX else ""
            branch.append(c.Lived(seq, sha256(raw).hexdigest(), original, read_entry(raw).body))
        try:
            recover = c.Recover(accepted.size, accepted.root.hex(), tuple(branch), self._loop.bank.shield)
            await self._loop.begin_anew(bank, recover, fork)
        except Unfit as error:
            raise Refused(str(error)) from None

    def _agrees_with_what_was_signed(self) -> None:
        if self._pile.checkpoint is None:
            return
        try:
            checkpoint = read_checkpoint(read_note(self._pile.checkpoint).text)
        except BadNote:
            return  # nothing that we have signed
        own = self._loop.bank.epoch
        if checkpoint.origin != origin(self._loop.bank.id, own):
            return
        if checkpoint.size > self._pile.past_size(own):
            raise Refused(f"the server's log has fewer entries than the {checkpoint.size} that this bank has signed")
        if self._pile.past_frontier(own, checkpoint.size).root() != checkpoint.root:
            raise Refused(f"the server's log is another than the one that this bank has signed at {checkpoint.size}")

    def _fold(self) -> Bank:
        """What is staged must be understood, and each epoch must begin upon the one before."""
        bank = Bank(self._loop.bank.id)
        try:
            for raw in self._pile.load_past():
                entry = read_entry(raw)
                if isinstance(entry.body, EpochBegan) and bank.epoch:
                    before = (bank.epoch, bank.seq, self._pile.past_frontier(bank.epoch).root().hex())
                    if before != (entry.body.previous, entry.body.size, entry.body.root):
                        raise Refused(f"epoch {entry.epoch} of the server's log does not begin upon the one before")
                bank = apply(bank, entry)
        except (Unreadable, AssertionError, KeyError) as error:
            raise Refused(f"entry {bank.epoch}/{bank.seq} of the server's log cannot be understood: {error}") from error
        return bank

    def _fork(self, own: int) -> int:
        """How many of our own entries are those of the accepted log."""
        low, high = 0, min(self._pile.size, self._pile.past_size(own))
        while low < high:
            middle = (low + high + 1) // 2
            same = self._pile.frontier(middle).root() == self._pile.past_frontier(own, middle).root()
            low, high = (middle, high) if same else (low, middle - 1)
        return low
