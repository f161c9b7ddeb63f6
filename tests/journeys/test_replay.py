"""`latchwork replay` on a file with every oddity we could think of, and on some of the real one."""

import gzip
import os
import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from latchwork.domain.words import BankId, CompartmentId
from latchwork.simulator import reservations
from latchwork.simulator.reconciliation import Played, Seen, reconcile
from latchwork.simulator.reservations import Reservation, Unplayable

SHARED = Path(__file__).parents[3] / "shared/data/lockernyc/reservations_until_2025-03.csv.gz"

HEAD = (
    "Type,Status,Created Date,Delivery Date,Withdraw Date,Expire Date,Locker Name,Locker Box Door,Locker Size,longitude"
)


def row(
    c: str,
    d: str,
    w: str,
    e: str,
    *,
    at: str = "Corner",
    door: str = "2.0",
    size: str = "S",
    kind: str = "Receive",
) -> str:
    return f"{kind},Completed,{c},{d},{w},{e},{at},{door},{size},-73.9"


def on(day: int, time: str) -> str:
    return f"05/{day:02}/2024 {time}"


ODD = [
    # 1: as it should be; 2: the same door while it is inside; 3: after its time.
    row(on(1, "09:00:00 AM"), on(1, "10:00:00 AM"), on(2, "09:00:00 AM"), on(2, "10:00:00 AM")),
    row(on(1, "09:00:00 AM"), on(1, "11:00:00 AM"), on(1, "12:00:00 PM"), on(2, "11:00:00 AM")),
    row(on(3, "09:00:00 AM"), on(3, "10:00:00 AM"), on(5, "09:00:00 AM"), on(4, "10:00:00 AM"), door="1.0", size="L"),
    # 4, 5: dropped off by a person and taken by a courier; person to person, without a size.
    row(on(6, "09:00:00 AM"), on(6, "10:00:00 AM"), on(6, "03:00:00 PM"), on(7, "10:00:00 AM"), kind="Send"),
    row(on(6, "09:00:00 AM"), on(6, "10:00:00 AM"), on(6, "03:00:00 PM"), on(7, "10:00:00 AM"), kind="Direct", size=""),
    # 6: never delivered; 7: never collected; 8: no expiry, no door, a size nobody knows.
    row(on(8, "09:00:00 AM"), "", on(9, "09:00:00 AM"), ""),
    row(on(8, "09:00:00 AM"), on(8, "10:00:00 AM"), "", on(9, "10:00:00 AM"), door="3.0"),
    row(on(8, "09:00:00 AM"), on(8, "10:00:00 AM"), on(8, "11:00:00 AM"), "soon", door="", size="XXXL"),
    # 9: too big for whatever is free; 10, 11: the same row twice more.
    row(on(8, "09:00:00 AM"), on(8, "10:30:00 AM"), on(8, "10:40:00 AM"), "", door="", size="XL"),
    row(on(1, "09:00:00 AM"), on(1, "10:00:00 AM"), on(2, "09:00:00 AM"), on(2, "10:00:00 AM")),
    row(on(1, "09:00:00 AM"), on(1, "10:00:00 AM"), on(2, "09:00:00 AM"), on(2, "10:00:00 AM")),
    # 12 to 18: what cannot be played.
    row("", on(1, "10:00:00 AM"), on(2, "09:00:00 AM"), ""),
    row("yesterday", on(1, "10:00:00 AM"), on(2, "09:00:00 AM"), ""),
    row(on(2, "09:00:00 AM"), on(1, "10:00:00 AM"), on(3, "09:00:00 AM"), ""),
    row(on(1, "09:00:00 AM"), on(2, "10:00:00 AM"), on(1, "09:30:00 AM"), ""),
    row(on(1, "09:00:00 AM"), on(2, "10:00:00 AM"), on(3, "09:30:00 AM"), "", kind="Teleport"),
    row(on(1, "09:00:00 AM"), on(2, "10:00:00 AM"), on(3, "09:30:00 AM"), "", at=""),
    "Receive",
    # 19: into an hour that comes twice; 20: at a time that never was. 21: another locker, its door a slip of the pen.
    row("11/03/2024 01:50:00 AM", "11/03/2024 01:10:00 AM", "11/03/2024 09:00:00 AM", "11/04/2024 01:10:00 AM"),
    row("03/10/2024 01:50:00 AM", "03/10/2024 02:30:00 AM", "03/10/2024 09:00:00 AM", "03/11/2024 02:30:00 AM"),
    row(on(1, "09:00:00 AM"), on(1, "09:00:00 AM"), on(1, "09:00:00 AM"), "", at="Harbour", door="99999"),
]


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    path = tmp_path / "odd.csv"
    path.write_text("\n".join([HEAD, *ODD]) + "\n", encoding="utf-8")
    return path


def replay(path: Path, database: str, data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "latchwork.main", "replay", str(path), "--data", str(data), *words],
        env={**os.environ, "LATCHWORK_DATABASE_URL": database},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def classes(report: str) -> Counter[str]:
    """The lines under the table, down to the sum."""
    lines = report.split("\n\n")[1].splitlines()
    found = [re.fullmatch(r" *([\d,]+)  (.+)", line) for line in lines]
    return Counter({m[2]: int(m[1].replace(",", "")) for m in found if m is not None})


def test_every_odd_row_lands_in_a_named_class(odd: Path, database: str, tmp_path: Path) -> None:
    done = replay(odd, database, tmp_path / "data", "--jobs", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    found = classes(done.stdout)
    assert found.pop(f"in all; rows read: {len(ODD)}") == len(ODD)
    assert found.total() == len(ODD)
    assert found == {
        "stored and collected in time": 8,
        "stored, and collected after expiry": 1,
        "stored, and not collected in the file": 1,
        "announced, never delivered in the file": 1,
        "the same as an earlier row: announced once": 2,
        "refused: no_suitable_compartment": 1,
        "not played: no date of creation": 1,
        "not played: a date cannot be read": 1,
        "not played: delivered before it was created": 1,
        "not played: collected before it was delivered": 1,
        "not played: unknown type": 1,
        "not played: names no locker": 2,
    }
    assert "shared a compartment in the file: behind a door of its own here" in done.stdout
    assert "equal the bank's journal, entry for entry and root for root: 2 of 2" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("14 of 14 rows")

    again = replay(odd, database, tmp_path / "again", "--jobs", "1")
    assert again.returncode == 0 and classes(again.stdout) == classes(done.stdout), "the database may hold a replay"


def test_a_file_of_something_else_is_refused_with_a_sentence(tmp_path: Path, database: str) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    done = replay(tmp_path / "other.csv", database, tmp_path / "data")
    assert done.returncode == 1
    assert done.stderr == "latchwork replay: This is no file of reservations: it has no column 'Type'.\n"
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"x" * 5000)[:20])
    assert "cannot be read" in replay(tmp_path / "cut.csv.gz", database, tmp_path / "data").stderr
    packed = bytearray(gzip.compress(bytes(range(256)) * 20))
    packed[40] ^= 0xFF
    (tmp_path / "bent.csv.gz").write_bytes(packed)
    with pytest.raises(reservations.WrongFile, match="cannot be read"):
        reservations.read(tmp_path / "bent.csv.gz")
    assert "No such file" in replay(tmp_path / "none.csv", database, tmp_path / "data").stderr


def test_a_reconciliation_that_does_not_fit_the_rows_is_an_error(odd: Path, database: str, tmp_path: Path) -> None:
    """The server's rows are believed, so what they do not say must show."""
    file = reservations.read(odd)
    names = {r.locker for r in file.reservations}
    nothing = [Played(BankId("b" * 32), name, 3, 1, 5, b"", {}, frozenset(), {}, {}) for name in names]
    account = reconcile(file, nothing, Seen((), ()))
    assert not account.adds_up
    assert account.total.total() == len(ODD) and account.total["DISCREPANCY"] == len(file.reservations)


def test_local_times_are_put_in_order_by_the_zone(odd: Path) -> None:
    file = reservations.read(odd)
    by_row = {r.row: r for r in file.reservations}
    assert by_row[1].delivered == datetime(2024, 5, 1, 14, 0, tzinfo=UTC)
    # Announced at the first 1:50, so delivered at the second 1:10.
    assert by_row[19].created == datetime(2024, 11, 3, 5, 50, tzinfo=UTC)
    assert by_row[19].delivered == datetime(2024, 11, 3, 6, 10, tzinfo=UTC)
    assert by_row[20].delivered == datetime(2024, 3, 10, 7, 30, tzinfo=UTC)
    assert by_row[20].hours == 23, "2:30 to 2:30, over the night in which 2:30 never was"
    assert [u.why for u in file.unplayed][:2] == [Unplayable.NO_CREATION, Unplayable.GARBLED]


def test_a_wall_has_every_door_up_to_the_highest_and_the_largest_size_seen() -> None:
    at = datetime(2024, 5, 1, tzinfo=UTC)

    def stay(number: int, door: str | None, size: str | None) -> Reservation:
        kind = reservations.Kind.RECEIVE
        label = None if door is None else CompartmentId(door)
        return Reservation(number, "Corner", kind, at, at, at, at, label, size, "")

    wall = reservations.fittings([stay(1, "04", "S"), stay(2, "02", "M"), stay(3, "02", "S"), stay(4, "04", None)])
    assert [(f.id, f.size) for f in wall] == [
        (name, reservations.SIZES[size]) for name, size in (("01", "S"), ("02", "M"), ("03", "S"), ("04", "S"))
    ]


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data does not lie beside this checkout")
def test_the_first_two_hundred_real_rows_add_up(database: str, tmp_path: Path) -> None:
    done = replay(SHARED, database, tmp_path / "data", "--limit", "200", "--jobs", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    found = classes(done.stdout)
    assert found.pop("in all; rows read: 200") == 200
    assert found == {"stored and collected in time": 161, "stored, and collected after expiry": 39}
    assert "judged otherwise here: 0" in done.stdout
