"""The bank's journal: its log on its own disk, in SQLite's WAL with `synchronous=FULL`.

One call of `append` is one commit, and it has reached the disk when it returns: nothing is pulsed before. Beside each
entry lie the Merkle hashes it completes (`sync.custody`). Documents lie in a table of their own, erasable. One process
at a time holds a journal.

`entries` is the log of the epoch that this bank lives in. Logs of earlier epochs are `past`, which is also where an
accepted log is staged that the bank lacks. What it wrote on its own, and was not accepted, is kept as `strays`.
"""

import fcntl
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from latchwork.sync.custody import HASH_BYTES, Frontier, frontier_at, home

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (seq INTEGER PRIMARY KEY, raw BLOB NOT NULL, nodes BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS documents (name TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS head (
    single INTEGER PRIMARY KEY CHECK (single = 1), size INTEGER NOT NULL, checkpoint BLOB
) STRICT;
INSERT OR IGNORE INTO head SELECT 1, count(*), NULL FROM entries;
CREATE TABLE IF NOT EXISTS life (single INTEGER PRIMARY KEY CHECK (single = 1), epoch INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO life VALUES (1, 1);
CREATE TABLE IF NOT EXISTS past (
    epoch INTEGER NOT NULL, seq INTEGER NOT NULL, raw BLOB NOT NULL, nodes BLOB NOT NULL, PRIMARY KEY (epoch, seq)
) STRICT;
CREATE TABLE IF NOT EXISTS strays (
    epoch INTEGER NOT NULL, seq INTEGER NOT NULL, raw BLOB NOT NULL, nodes BLOB NOT NULL, PRIMARY KEY (epoch, seq)
) STRICT;
"""
_UNWRITABLE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
"""A disk that is full, has become read-only, or fails."""
RESERVE_BYTES = 4 * 1024 * 1024
"""Kept free on the journal's disk, so that collections still work when it is full."""


log = logging.getLogger(__name__)


class DiskFull(Exception):
    """The journal's disk has no room, or takes nothing any more: nothing was written."""


class JournalHeld(Exception):
    """Another process works on this journal."""


class SqliteJournal:
    """A journal in folder `folder`, made if it is not there. Raises JournalHeld, sqlite3.DatabaseError if damaged."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock = (folder / "journal.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise JournalHeld(f"another process works on {folder}") from None
        try:
            self._db, self._size = self._open()
        except BaseException:
            self._lock.close()
            raise
        self._checkpoint: bytes | None = None
        self._reserve()

    def _open(self) -> tuple[sqlite3.Connection, int]:
        """Opening takes room too, for the index of the WAL: on a full disk the reserve gives it."""
        path = self._folder / "journal.sqlite"
        try:
            return _opened(path)
        except sqlite3.OperationalError as error:
            if not _is_unwritable(error):
                raise
            self._give_up()
        try:
            return _opened(path)
        except sqlite3.OperationalError as error:
            if not _is_unwritable(error):
                raise
            raise DiskFull(f"the disk with {self._folder} is full, or cannot be written ({error})") from None

    @property
    def size(self) -> int:
        """Entries in it."""
        return self._size

    @property
    def tight(self) -> bool:
        """Whether the reserve is in use: take out, do not put in."""
        return not (self._folder / "reserve").exists() and not self._reserve()

    async def append(self, raws: Sequence[bytes], nodes: Sequence[bytes]) -> None:
        """Write entries, all or none, through to the disk. Raises DiskFull."""
        rows = [(self._size + i, raw, beside) for i, (raw, beside) in enumerate(zip(raws, nodes, strict=True))]

        def write() -> None:
            self._db.executemany("INSERT INTO entries VALUES (?, ?, ?)", rows)
            self._db.execute(
                "UPDATE head SET size = ?, checkpoint = coalesce(?, checkpoint)",
                (self._size + len(rows), self._checkpoint),
            )

        self._through(write)
        self._size += len(rows)

    def _through(self, write: Callable[[], object]) -> None:
        """In one commit, with the room of the reserve if there is no other. Raises DiskFull."""
        try:
            self._commit(write)
        except DiskFull:
            if not self._give_up():
                raise
            self._commit(write)

    def _give_up(self) -> bool:
        """Whether there was a reserve. Raises nothing: where it cannot be removed, nothing can be written either."""
        try:
            (self._folder / "reserve").unlink()
        except OSError:
            return False
        log.error("the disk with %s is full: its reserve is in use, and nothing is put in", self._folder)
        return True

    def _commit(self, write: Callable[[], object]) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            write()
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if _is_unwritable(error):
                raise DiskFull(str(error)) from None
            raise

    def entries(self, start: int, end: int) -> list[bytes]:
        """The bytes of entries [start, end), as they were written."""
        rows = self._db.execute("SELECT raw FROM entries WHERE seq >= ? AND seq < ? ORDER BY seq", (start, end))
        return [raw for (raw,) in rows]

    def load(self) -> Iterator[bytes]:
        """Every entry of every epoch, oldest first."""
        past = self._db.execute("SELECT raw FROM past WHERE epoch < (SELECT epoch FROM life) ORDER BY past.epoch, seq")
        return (raw for rows in (past, self._db.execute("SELECT raw FROM entries ORDER BY seq")) for (raw,) in rows)

    def node(self, level: int, index: int) -> bytes:
        seq, offset = home(level, index)
        found = self._db.execute("SELECT nodes FROM entries WHERE seq = ?", (seq,)).fetchone()
        return bytes(found[0][offset : offset + HASH_BYTES])

    def frontier(self, size: int | None = None) -> Frontier:
        return frontier_at(self.node, self._size if size is None else size)

    # Other epochs

    def past_epoch(self) -> int:
        """The newest of which anything is in the past, staged or taken over; 0 in a first life."""
        found: int = self._db.execute("SELECT coalesce(max(epoch), 0) FROM past").fetchone()[0]
        return found

    def past_size(self, epoch: int) -> int:
        found: int = self._db.execute(
            "SELECT coalesce(max(seq), -1) + 1 FROM past WHERE epoch = ?", (epoch,)
        ).fetchone()[0]
        return found

    def past(self, epoch: int, start: int, end: int) -> list[bytes]:
        rows = self._db.execute(
            "SELECT raw FROM past WHERE epoch = ? AND seq >= ? AND seq < ? ORDER BY seq", (epoch, start, end)
        )
        return [raw for (raw,) in rows]

    def past_frontier(self, epoch: int, size: int | None = None) -> Frontier:
        def node(level: int, index: int) -> bytes:
            seq, offset = home(level, index)
            row = self._db.execute("SELECT nodes FROM past WHERE epoch = ? AND seq = ?", (epoch, seq)).fetchone()
            return bytes(row[0][offset : offset + HASH_BYTES])

        return frontier_at(node, self.past_size(epoch) if size is None else size)

    def load_past(self) -> Iterator[bytes]:
        """With what is staged."""
        return (raw for (raw,) in self._db.execute("SELECT raw FROM past ORDER BY epoch, seq"))

    def stage(self, epoch: int, raws: Sequence[bytes], nodes: Sequence[bytes]) -> None:
        """Keep more of an accepted log, which counts for nothing yet. Raises DiskFull."""
        start = self.past_size(epoch)
        rows = [(epoch, start + i, raw, beside) for i, (raw, beside) in enumerate(zip(raws, nodes, strict=True))]
        self._commit(lambda: self._db.executemany("INSERT INTO past VALUES (?, ?, ?, ?)", rows))

    def stage_own(self, epoch: int, size: int) -> None:
        """The first `size` of our own entries are those of the accepted log. Raises DiskFull."""
        copy = "INSERT INTO past SELECT ?, seq, raw, nodes FROM entries WHERE seq < ?"
        self._commit(lambda: self._db.execute(copy, (epoch, size)))

    def unstage(self) -> None:
        """Drop what was staged. What was taken over before stays."""
        self._commit(lambda: self._db.execute("DELETE FROM past WHERE epoch >= (SELECT epoch FROM life)"))

    async def switch(self, epoch: int, fork: int, raws: Sequence[bytes], nodes: Sequence[bytes]) -> None:
        """Begin `epoch` with these entries, upon what is staged: all or nothing. Raises DiskFull.

        Of our own entries the first `fork` are staged, and the others are kept apart.
        """
        rows = [(seq, raw, beside) for seq, (raw, beside) in enumerate(zip(raws, nodes, strict=True))]

        def write() -> None:
            self._db.execute(
                "INSERT INTO strays SELECT life.epoch, seq, raw, nodes FROM entries, life WHERE seq >= ?", (fork,)
            )
            self._db.execute("DELETE FROM entries")
            self._db.executemany("INSERT INTO entries VALUES (?, ?, ?)", rows)
            self._db.execute("UPDATE head SET size = ?, checkpoint = NULL", (len(rows),))
            self._db.execute("UPDATE life SET epoch = ?", (epoch,))

        self._through(write)
        self._size, self._checkpoint = len(rows), None

    def strays(self) -> list[bytes]:
        """What this bank wrote and nobody accepted."""
        return [raw for (raw,) in self._db.execute("SELECT raw FROM strays ORDER BY epoch, seq")]

    @property
    def checkpoint(self) -> bytes | None:
        """The last that was signed."""
        found: bytes | None = self._db.execute("SELECT checkpoint FROM head").fetchone()[0]
        return self._checkpoint or found

    def documents(self) -> dict[str, int]:
        """Versions held, by name."""
        return dict(self._db.execute("SELECT name, version FROM documents"))

    def document(self, name: str) -> bytes | None:
        found = self._db.execute("SELECT body FROM documents WHERE name = ?", (name,)).fetchone()
        return None if found is None else bytes(found[0])

    def put_document(self, name: str, version: int, body: bytes) -> None:
        """Replace a document whole. A full disk loses only this: the server sends it again."""
        try:
            self._db.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", (name, version, body))
        except sqlite3.OperationalError as error:
            raise DiskFull(str(error)) from None

    def keep_checkpoint(self, note: bytes) -> None:
        """The last that was signed. It reaches the disk with the next entries, or when the journal is closed."""
        self._checkpoint = note

    def close(self) -> None:
        try:
            if self._checkpoint is not None:
                with suppress(sqlite3.Error):
                    self._db.execute("UPDATE head SET checkpoint = ?", (self._checkpoint,))
            self._db.close()
        finally:
            self._lock.close()

    def _reserve(self) -> bool:
        path = self._folder / "reserve"
        if path.exists():
            return True
        try:
            with path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
        except OSError:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            return False
        return True


def _is_unwritable(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF in _UNWRITABLE  # the rest of it is which kind of each


def _opened(path: Path) -> tuple[sqlite3.Connection, int]:
    """A connection, and how many entries there are."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.executescript(_SCHEMA)
        held, size = db.execute("SELECT (SELECT count(*) FROM entries), size FROM head").fetchone()
        if held < size:  # more is what an older version wrote, which knew of no head
            raise sqlite3.DatabaseError(
                f"{size} entries were written and {held} are left; `latchwork verify` says more"
            )
        return db, held
    except BaseException:
        db.close()
        raise
