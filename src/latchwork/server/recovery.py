"""A bank whose log has parted from ours: what it has of its own is kept, and where a person said so, it gets ours.

Coroutines that await nothing but the store, as `exchange`. It may be cut off at any message: the next connection asks
how far things are.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

from latchwork.domain.words import BankId
from latchwork.store.rows import Head, PartingRow, StrayRow
from latchwork.sync.codec import Unreadable, read_envelope
from latchwork.sync.custody import Frontier, frontier_at, homes, kept
from latchwork.sync.exchange import ENTRIES_MAX, Accepted, Ask, Farewell, Goodbye, Hello, Page, Staged, Told

log = logging.getLogger(__name__)

REFUSAL_CHARACTERS_MAX = 300


class RecoveryStore(Protocol):
    """What a recovery asks of a store. Every call may raise Unavailable."""

    async def lengths(self, bank: BankId) -> Mapping[int, int]: ...
    async def overlap(self, bank: BankId, epoch: int, start: int, end: int) -> list[bytes]: ...
    async def nodes(self, entries: Sequence[tuple[str, int, int]]) -> dict[tuple[str, int], dict[int, bytes]]: ...
    async def parting(self, bank: BankId) -> PartingRow | None: ...
    async def keep_parting(self, bank: BankId, epoch: int, size: int, root: bytes, fork: int) -> None: ...
    async def keep_strays(self, bank: BankId, epoch: int, strays: Sequence[StrayRow], now: datetime) -> None: ...
    async def refuse_recovery(self, bank: BankId, why: str) -> None: ...


class Recovery:
    """One connection of a parted bank. `head` is how our log stands, `hello` what the bank has shown."""

    def __init__(self, store: RecoveryStore, clock: Callable[[], datetime], head: Head, hello: Hello) -> None:
        self._store = store
        self._clock = clock
        self._bank, self._session = head.bank, head.session
        self._hello = hello
        self._accepted = Accepted(head.epoch, head.size, head.root)
        self._lengths: dict[int, int] = {}
        self._low, self._high = 0, 0
        """The logs are the same up to `_low` at least, and up to `_high` at most."""
        self._asked = 0
        self._branch: Frontier | None = None
        """The bank's log as far as we have heard it; None while the fork is sought."""
        self._fork = 0
        self._staged: tuple[int, int] | None = None
        """How far the bank has what it lacks: an epoch, and entries of it. None: it has not said, or not of our log."""

    async def begin(self) -> Ask | Page | Goodbye:
        self._lengths = {**await self._store.lengths(self._bank), self._accepted.epoch: self._accepted.size}
        known = await self._store.parting(self._bank)
        if known and (known.epoch, known.size, known.root) == (self._hello.epoch, self._hello.size, self._hello.root):
            self._fork = known.fork
            return self._decided(known)
        self._high = self._asked = min(self._hello.size, self._lengths.get(self._hello.epoch, 0))
        return self._ask(0)

    async def hear(self, message: Told | Staged) -> Ask | Page | Goodbye | None:
        """What to say now; None when the bank has begun a new epoch. Raises Unreadable for nonsense."""
        if message.session != self._session:
            return Goodbye(Farewell.SUPERSEDED)
        if isinstance(message, Staged):
            return await self._send_on(message)
        if message.start != self._asked:
            raise Unreadable(f"told of entry {message.start}, asked for {self._asked}")
        return await (self._seek(message) if self._branch is None else self._keep(self._branch, message))

    # What the bank has

    async def _seek(self, told: Told) -> Ask | Page | Goodbye:
        """Where the logs part: both are the same up to there, and at no place after."""
        ours = await self._frontier(self._hello.epoch, self._asked)
        if told.root == ours.root():
            self._low = self._asked
        else:
            self._high = self._asked - 1
        if self._low < self._high:
            self._asked = (self._low + self._high + 1) // 2
            return self._ask(0)
        self._fork = self._asked = self._low
        return await self._gather(
            ours if ours.size == self._low else await self._frontier(self._hello.epoch, self._low)
        )

    async def _keep(self, branch: Frontier, told: Told) -> Ask | Page | Goodbye:
        strays = []
        for seq, raw in enumerate(told.entries[: self._hello.size - branch.size], branch.size):
            envelope = read_envelope(raw)
            if (envelope.bank, envelope.epoch, envelope.seq) != (self._bank, self._hello.epoch, seq):
                raise Unreadable(f"entry {seq} calls itself {envelope.bank} {envelope.epoch}/{envelope.seq}")
            strays.append(StrayRow(seq, envelope.at, raw))
            branch = branch.append(raw)[0]
        if not strays:
            raise Unreadable(f"nothing told after entry {branch.size}, of {self._hello.size}")
        await self._store.keep_strays(self._bank, self._hello.epoch, strays, self._clock())
        self._asked = branch.size
        return await self._gather(branch)

    async def _gather(self, branch: Frontier) -> Ask | Page | Goodbye:
        self._branch = branch
        if branch.size < self._hello.size:
            return self._ask(ENTRIES_MAX)
        if branch.root() != self._hello.root:
            raise Unreadable("the log that was told has another root than the hello")
        shown = (self._hello.epoch, self._hello.size, self._hello.root, self._fork)
        await self._store.keep_parting(self._bank, *shown)
        known = await self._store.parting(self._bank)
        return self._decided(known) if known else Goodbye(Farewell.DIVIDED)

    def _ask(self, entries_max: int) -> Ask:
        return Ask(self._session, self._asked, entries_max)

    # What the bank lacks

    def _decided(self, known: PartingRow) -> Page | Goodbye:
        if not known.confirmed:
            return Goodbye(Farewell.DIVIDED)
        return self._page(self._hello.epoch, self._fork)

    async def _send_on(self, staged: Staged) -> Page | Goodbye | None:
        if staged.refused is not None:
            why = staged.refused.replace("\0", "")[:REFUSAL_CHARACTERS_MAX]
            log.error("bank %s will not go on from our log: %s", self._bank, why)
            await self._store.refuse_recovery(self._bank, why)
            return Goodbye(Farewell.DIVIDED)
        if staged.began:
            return None
        epoch, size = staged.epoch, staged.size
        if (epoch, size) == self._staged:
            return Goodbye(Farewell.DIVIDED)  # its disk is full, or somebody is at the wall: it comes back
        if self._staged is None and not await self._is_ours(staged):
            return self._page(self._hello.epoch, self._fork, anew=True)
        self._staged = epoch, size
        if size < self._lengths.get(epoch, 0):
            return self._page(epoch, size, await self._store.overlap(self._bank, epoch, size, size + ENTRIES_MAX))
        if epoch < self._accepted.epoch:
            return self._page(epoch + 1, 0, await self._store.overlap(self._bank, epoch + 1, 0, ENTRIES_MAX))
        return Goodbye(Farewell.DIVIDED)

    async def _is_ours(self, staged: Staged) -> bool:
        if staged.size > self._lengths.get(staged.epoch, 0):
            return False
        return (await self._frontier(staged.epoch, staged.size)).root() == staged.root

    def _page(self, epoch: int, start: int, entries: Sequence[bytes] = (), anew: bool = False) -> Page:
        return Page(self._session, self._accepted, epoch, start, tuple(entries), anew)

    async def _frontier(self, epoch: int, size: int) -> Frontier:
        """Of the first `size` entries of our log."""
        read = partial(frontier_at, size=size)
        wanted = [(self._bank, epoch, seq) for seq in sorted(homes(read))]
        beside = await self._store.nodes(wanted) if wanted else {}
        return read(kept(beside.get((self._bank, epoch), {})))
