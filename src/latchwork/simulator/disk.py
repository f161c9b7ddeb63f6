"""A controller's disk: a journal that survives crashes, between two moments at which the power may go."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from latchwork.edge import loop
from latchwork.edge.talk import Shelf
from latchwork.store.sqlite import DiskFull
from latchwork.sync.custody import Frontier


class Journal(loop.Journal, Shelf, Protocol):
    """What MemoryJournal and SqliteJournal have in common."""

    def close(self) -> None: ...


class Disk:
    """Wraps a journal. `open_journal` opens what is on the disk, as a controller does when it starts.

    `moment` is awaited before and after each commit; `wrote` hears of each, whatever becomes of the machine. `reborn`
    hears first of one that goes on from another log than the one before.
    """

    def __init__(
        self,
        open_journal: Callable[[], Journal],
        moment: Callable[[], Awaitable[None]],
        wrote: Callable[[Sequence[bytes]], None],
        reborn: Callable[[], None],
    ) -> None:
        self._open = open_journal
        self._moment = moment
        self._wrote = wrote
        self._reborn = reborn
        self.journal = open_journal()
        self.is_tight = False
        self.is_full = False

    def reopen(self) -> None:
        self.journal.close()
        self.journal = self._open()

    @property
    def size(self) -> int:
        return self.journal.size

    @property
    def tight(self) -> bool:
        return self.is_tight or self.is_full or self.journal.tight

    async def append(self, raws: Sequence[bytes], nodes: Sequence[bytes]) -> None:
        await self._moment()
        if self.is_full:
            raise DiskFull("pretend disk")
        await self.journal.append(raws, nodes)
        self._wrote(raws)
        await self._moment()

    async def switch(self, epoch: int, fork: int, raws: Sequence[bytes], nodes: Sequence[bytes]) -> None:
        await self._moment()
        if self.is_full:
            raise DiskFull("pretend disk")
        await self.journal.switch(epoch, fork, raws, nodes)
        self._reborn()
        self._wrote(raws)
        await self._moment()

    def load(self) -> Iterable[bytes]:
        return self.journal.load()

    def load_past(self) -> Iterator[bytes]:
        return self.journal.load_past()

    def past_epoch(self) -> int:
        return self.journal.past_epoch()

    def past_size(self, epoch: int) -> int:
        return self.journal.past_size(epoch)

    def past(self, epoch: int, start: int, end: int) -> Sequence[bytes]:
        return self.journal.past(epoch, start, end)

    def past_frontier(self, epoch: int, size: int | None = None) -> Frontier:
        return self.journal.past_frontier(epoch, size)

    def stage(self, epoch: int, raws: Sequence[bytes], nodes: Sequence[bytes]) -> None:
        if self.is_full:
            raise DiskFull("pretend disk")
        self.journal.stage(epoch, raws, nodes)

    def stage_own(self, epoch: int, size: int) -> None:
        if self.is_full:
            raise DiskFull("pretend disk")
        self.journal.stage_own(epoch, size)

    def unstage(self) -> None:
        self.journal.unstage()

    @property
    def checkpoint(self) -> bytes | None:
        return self.journal.checkpoint

    def entries(self, start: int, end: int) -> Sequence[bytes]:
        return self.journal.entries(start, end)

    def frontier(self, size: int | None = None) -> Frontier:
        return self.journal.frontier(size)

    def documents(self) -> Mapping[str, int]:
        return self.journal.documents()

    def put_document(self, name: str, version: int, body: bytes) -> None:
        if self.is_full:
            raise DiskFull("pretend disk")
        self.journal.put_document(name, version, body)

    def keep_checkpoint(self, note: bytes) -> None:
        self.journal.keep_checkpoint(note)

    def close(self) -> None:
        self.journal.close()
