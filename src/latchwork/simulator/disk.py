"""A controller's disk: a journal that survives crashes, between two moments at which the power may go."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol

from latchwork.store.sqlite import DiskFull
from latchwork.sync.custody import Frontier


class Journal(Protocol):
    """What MemoryJournal and SqliteJournal have in common."""

    @property
    def size(self) -> int: ...
    @property
    def tight(self) -> bool: ...
    async def append(self, raws: Sequence[bytes], nodes: Sequence[bytes]) -> None: ...
    def load(self) -> Iterable[bytes]: ...
    def entries(self, start: int, end: int) -> Sequence[bytes]: ...
    def frontier(self, size: int | None = None) -> Frontier: ...
    def documents(self) -> Mapping[str, int]: ...
    def put_document(self, name: str, version: int, body: bytes) -> None: ...
    def keep_checkpoint(self, note: bytes) -> None: ...
    def close(self) -> None: ...


class Disk:
    """Wraps a journal. `open_journal` opens what is on the disk, as a controller does when it starts.

    `moment` is awaited before and after each commit; `wrote` hears of each, whatever becomes of the machine.
    """

    def __init__(
        self,
        open_journal: Callable[[], Journal],
        moment: Callable[[], Awaitable[None]],
        wrote: Callable[[Sequence[bytes]], None],
    ) -> None:
        self._open = open_journal
        self._moment = moment
        self._wrote = wrote
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

    def load(self) -> Iterable[bytes]:
        return self.journal.load()

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
