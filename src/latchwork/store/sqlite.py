"""The bank's journal: its log on its own disk, in SQLite's WAL with `synchronous=FULL`.

One call of `append` is one commit, and it has reached the disk when it returns: nothing is pulsed before. Beside each
entry lie the Merkle hashes it completes (`sync.custody`). Documents lie in a table of their own, erasable. One process
at a time holds a journal.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
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
"""
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)
RESERVE_BYTES = 4 * 1024 * 1024
"""Kept free on the journal's disk, so that collections still work when it is full."""


class DiskFull(Exception):
    """The journal's disk has no room: nothing was written."""


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
            reserve = self._folder / "reserve"
            if error.sqlite_errorcode not in _NO_ROOM or not reserve.exists():
                raise
            reserve.unlink()
            return _opened(path)

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
        try:
            self._commit(rows)
        except DiskFull:
            reserve = self._folder / "reserve"
            if not reserve.exists():
                raise
            reserve.unlink()
            self._commit(rows)
        self._size += len(rows)

    def _commit(self, rows: list[tuple[int, bytes, bytes]]) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT INTO entries VALUES (?, ?, ?)", rows)
            self._db.execute(
                "UPDATE head SET size = ?, checkpoint = coalesce(?, checkpoint)",
                (self._size + len(rows), self._checkpoint),
            )
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if error.sqlite_errorcode in _NO_ROOM:
                raise DiskFull(str(error)) from None
            raise

    def entries(self, start: int, end: int) -> list[bytes]:
        """The bytes of entries [start, end), as they were written."""
        rows = self._db.execute("SELECT raw FROM entries WHERE seq >= ? AND seq < ? ORDER BY seq", (start, end))
        return [raw for (raw,) in rows]

    def load(self) -> Iterator[bytes]:
        """Every entry, oldest first."""
        return (raw for (raw,) in self._db.execute("SELECT raw FROM entries ORDER BY seq"))

    def node(self, level: int, index: int) -> bytes:
        seq, offset = home(level, index)
        found = self._db.execute("SELECT nodes FROM entries WHERE seq = ?", (seq,)).fetchone()
        return bytes(found[0][offset : offset + HASH_BYTES])

    def frontier(self, size: int | None = None) -> Frontier:
        return frontier_at(self.node, self._size if size is None else size)

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
            path.unlink(missing_ok=True)
            return False
        return True


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
