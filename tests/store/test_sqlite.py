"""The bank's journal: what it says it wrote is there, whoever dies and however full the disk is."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from latchwork.store.sqlite import RESERVE_BYTES, DiskFull, JournalHeld, SqliteJournal
from latchwork.sync.custody import Frontier


async def fill(journal: SqliteJournal, entries: list[bytes]) -> Frontier:
    frontier = journal.frontier()
    for raw in entries:
        frontier, nodes = frontier.append(raw)
        await journal.append([raw], [nodes])
    return frontier


async def test_it_gives_back_what_it_took(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    frontier = await fill(journal, [bytes([i]) for i in range(13)])
    journal.close()
    journal = SqliteJournal(tmp_path)
    assert list(journal.load()) == [bytes([i]) for i in range(13)]
    assert journal.entries(3, 5) == [b"\3", b"\4"] and journal.size == 13
    assert journal.frontier() == frontier and journal.frontier(5).size == 5
    journal.put_document("directory", 3, b"[]")
    journal.put_document("directory", 4, b"[1]")
    assert journal.documents() == {"directory": 4} and journal.document("directory") == b"[1]"
    assert journal.document("none") is None
    journal.close()


async def test_entries_that_are_gone_are_noticed_at_the_next_start(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    await fill(journal, [b"a", b"b", b"c"])
    journal.keep_checkpoint(b"signed")
    journal.close()
    db = sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)
    assert db.execute("SELECT size, checkpoint FROM head").fetchall() == [(3, b"signed")]
    db.execute("DELETE FROM entries WHERE seq = 2")
    with pytest.raises(sqlite3.DatabaseError, match="3 entries were written and 2 are left"):
        SqliteJournal(tmp_path)
    db.execute("INSERT INTO entries VALUES (2, x'00', x'00')")
    db.execute("DROP TABLE head")
    db.close()
    journal = SqliteJournal(tmp_path)  # as an older version left it
    assert journal.size == 3
    journal.close()


async def test_a_checkpoint_reaches_the_disk_with_the_next_entries(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    await fill(journal, [b"a"])
    journal.keep_checkpoint(b"signed")
    assert journal._db.execute("SELECT checkpoint FROM head").fetchone() == (None,)
    await fill(journal, [b"b"])
    assert journal._db.execute("SELECT size, checkpoint FROM head").fetchone() == (2, b"signed")
    journal.close()


def test_it_has_one_owner(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    with pytest.raises(JournalHeld, match="another process"):
        SqliteJournal(tmp_path)
    journal.close()
    SqliteJournal(tmp_path).close()


def test_it_syncs_every_commit(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    assert journal._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert journal._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    journal.close()


WRITER = """
import asyncio, sys
from pathlib import Path
from latchwork.store.sqlite import SqliteJournal
async def main():
    journal = SqliteJournal(Path(sys.argv[1]))
    frontier = journal.frontier()
    for i in range(journal.size, 10**6):
        frontier, nodes = frontier.append(b"%d" % i)
        await journal.append([b"%d" % i], [nodes])
        print(i, flush=True)
asyncio.run(main())
"""


def test_what_was_said_to_be_written_survives_kill_9(tmp_path: Path) -> None:
    said = -1
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        for line in writer.stdout:
            said = int(line)
            if said % 50 == 49:
                break
        writer.send_signal(signal.SIGKILL)
        said = max([said, *map(int, writer.stdout.read().split())])
        writer.wait()
        writer.stdout.close()
        journal = SqliteJournal(tmp_path)
        rows = list(journal.load())
        assert rows == [b"%d" % i for i in range(len(rows))] and len(rows) in (said + 1, said + 2)
        assert journal.frontier().size == len(rows)
        journal.close()


SWITCHER = """
import asyncio, os, signal, sys
from pathlib import Path
from latchwork.store.sqlite import SqliteJournal

journal, left = SqliteJournal(Path(sys.argv[1])), int(sys.argv[2])

def count(statement):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

journal._db.set_trace_callback(count)
asyncio.run(journal.switch(2, 2, [b"began", b"booted"], [b"n" * 32, b"n" * 64]))
print("done", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_new_epoch_begins_whole_or_not_at_all(tmp_path: Path) -> None:
    own, accepted = [b"a", b"b", b"mine"], [b"a", b"b", b"c", b"d"]
    done = False
    for statement in range(1, 50):
        folder = tmp_path / str(statement)
        journal = SqliteJournal(folder)
        asyncio.run(fill(journal, own))
        journal.keep_checkpoint(b"signed")
        journal.stage_own(1, 2)
        frontier = journal.past_frontier(1)
        for raw in accepted[2:]:
            frontier, nodes = frontier.append(raw)
            journal.stage(1, [raw], [nodes])
        assert (journal.past_epoch(), journal.past_size(1), journal.size) == (1, 4, 3)
        assert list(journal.load()) == own and list(journal.load_past()) == accepted
        journal.close()
        arguments = [sys.executable, "-c", SWITCHER, str(folder), str(statement)]
        told = subprocess.run(arguments, capture_output=True, text=True, check=False)
        assert told.returncode == -signal.SIGKILL, told.stderr
        done = "done" in told.stdout
        journal = SqliteJournal(folder)
        assert journal.past(1, 1, 3) == [b"b", b"c"] and journal.past_frontier(1) == frontier
        if done:
            assert list(journal.load()) == [*accepted, b"began", b"booted"]
            assert journal.strays() == [b"mine"] and (journal.size, journal.checkpoint) == (2, None)
            journal.unstage()
            assert journal.past_size(1) == 4, "what was taken over is no stage any more"
        else:
            assert list(journal.load()) == own and journal.strays() == []
            assert (journal.size, journal.checkpoint) == (3, b"signed")
            journal.unstage()
            assert journal.past_epoch() == 0
        journal.close()
        if done:
            break
    assert done and statement > 6


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 24 MiB, where this machine lets us have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("no right to mount a small file system here: the full disk is only tried as root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def tight(journal: SqliteJournal) -> bool:
    return journal.tight


def stuff(folder: Path) -> Path:
    """Leaves no room at all."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(b"\0" * 4096)
    return filler


async def test_a_bank_starts_with_a_full_disk(small_disk: Path) -> None:
    journal = SqliteJournal(small_disk)
    await fill(journal, [b"before"])
    journal.close()
    filler = stuff(small_disk)
    journal = SqliteJournal(small_disk)
    assert list(journal.load()) == [b"before"] and tight(journal)
    await fill(journal, [b"a collection"])
    journal.close()
    SqliteJournal(small_disk).close()
    filler.unlink()
    journal = SqliteJournal(small_disk)
    assert journal.size == 2 and not tight(journal)
    journal.close()


def test_a_damaged_journal_is_let_go(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"not a database, and long enough to be looked at" * 100)
    for _ in range(2):  # the second time nobody holds it
        with pytest.raises(sqlite3.DatabaseError):
            SqliteJournal(tmp_path)


async def test_a_full_disk_uses_its_reserve_then_refuses_then_recovers(small_disk: Path) -> None:
    journal = SqliteJournal(small_disk)
    assert not tight(journal)
    filler = stuff(small_disk)
    await fill(journal, [os.urandom(8000) for _ in range(20)])
    assert tight(journal) and journal.size == 20, "the reserve was spent, and the entries went in"
    with pytest.raises(DiskFull):
        await fill(journal, [os.urandom(16000) for _ in range(RESERVE_BYTES // 8000)])
    size, frontier = journal.size, journal.frontier()
    assert len(list(journal.load())) == size == frontier.size
    filler.unlink()
    await fill(journal, [b"after"])
    assert journal.size == size + 1 and not tight(journal)
    journal._db.execute("PRAGMA query_only = ON")  # as a card that has become read-only
    with pytest.raises(DiskFull):
        await fill(journal, [b"lost"])
    with pytest.raises(DiskFull):
        journal.put_document("wall", 1, b"{}")
    journal._db.execute("PRAGMA query_only = OFF")
    await fill(journal, [b"after that"])
    assert journal.size == size + 2
    journal.close()


async def test_a_full_disk_without_a_reserve_is_told_as_one(small_disk: Path) -> None:
    stuff(small_disk)
    with pytest.raises(DiskFull, match="is full, or cannot be written"):
        SqliteJournal(small_disk)
