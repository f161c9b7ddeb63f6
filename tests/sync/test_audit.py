"""Stored rows, tampered with: the entry is named, and nothing else is."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sync.samples import AT

from latchwork.domain.entries import ClockConfirmed, Entry
from latchwork.domain.words import BankId
from latchwork.sync.audit import FINDINGS_MAX, Row, Stated, audit, differences
from latchwork.sync.codec import encode_entry, read_envelope
from latchwork.sync.custody import EMPTY_ROOT, Frontier, leaf_hash

BANK = BankId("b" * 32)
LOG = (BANK, 1)


def rows_of(count: int, bank: BankId = BANK, epoch: int = 1, later: timedelta = timedelta()) -> list[Row]:
    frontier, rows = Frontier(), []
    for seq in range(count):
        raw = encode_entry(Entry(bank, epoch, seq, AT + timedelta(seconds=seq) + later, ClockConfirmed()))
        frontier, nodes = frontier.append(raw)
        rows.append(Row(seq, raw, nodes, AT + timedelta(seconds=seq) + later, "ClockConfirmed"))
    return rows


def root_of(rows: list[Row], size: int) -> bytes:
    frontier = Frontier()
    for row in rows[:size]:
        frontier, _ = frontier.append(row.raw)
    return frontier.root()


def other(row: Row) -> Row:
    """The same entry with other bytes, and nothing else changed."""
    return row._replace(raw=row.raw.replace(b"T", b" ", 1))


def findings(rows: list[Row], *stated: Stated) -> list[str]:
    return audit(rows, stated, LOG).findings


@given(st.integers(0, 70), st.data())
def test_a_log_that_is_whole_is_found_whole(count: int, data: st.DataObject) -> None:
    rows = rows_of(count)
    size = data.draw(st.integers(0, count))
    assert findings(rows, Stated("a", size, root_of(rows, size)), Stated("b", count, root_of(rows, count))) == []


@given(st.integers(1, 70), st.data())
def test_the_entry_whose_bytes_were_changed_is_named(count: int, data: st.DataObject) -> None:
    rows = rows_of(count)
    at = data.draw(st.integers(0, count - 1))
    rows[at] = other(rows[at])
    (finding,) = findings(rows)
    assert finding.startswith(f"entry {at} was changed: ")


@given(st.integers(2, 70), st.data())
def test_the_entries_that_were_removed_are_named(count: int, data: st.DataObject) -> None:
    whole = rows_of(count)
    first = data.draw(st.integers(0, count - 2))
    last = data.draw(st.integers(first, count - 2))
    (finding,) = findings(whole[:first] + whole[last + 1 :])
    assert finding == (f"entry {first} is missing" if first == last else f"entries {first} to {last} are missing")
    tail = findings(whole[:first], Stated("the bank", count, root_of(whole, count)))
    expected = f"entry {first} is" if first == count - 1 else f"entries {first} to {count - 1} are"
    assert tail == [f"{expected} missing at the end, says the bank"]


@given(st.integers(2, 70), st.booleans(), st.data())
def test_entries_in_each_others_places_are_named(count: int, with_hashes: bool, data: st.DataObject) -> None:
    rows = rows_of(count)
    one, two = sorted(data.draw(st.lists(st.integers(0, count - 1), min_size=2, max_size=2, unique=True)))
    moved = [(one, rows[two]), (two, rows[one])]
    for at, row in moved:
        nodes = row.nodes if with_hashes else rows[at].nodes
        rows[at] = row._replace(seq=at, nodes=nodes)
    found = findings(rows)
    for at, row in moved:
        stands = read_envelope(row.raw).seq
        assert f"in the place of entry {at} stands entry {stands}: removed or reordered" in found
    assert len(found) == 2


@given(st.integers(2, 70), st.data())
def test_entries_renumbered_over_a_removed_one_are_named(count: int, data: st.DataObject) -> None:
    rows = rows_of(count)
    gone = data.draw(st.integers(0, count - 2))
    closed = rows[:gone] + [row._replace(seq=row.seq - 1) for row in rows[gone + 1 :]]
    found = findings(closed)
    assert found[0] == f"in the place of entry {gone} stands entry {gone + 1}: removed or reordered"
    assert len(found) == count - 1 - gone


@given(st.integers(2, 70), st.data())
def test_an_entry_changed_with_its_own_hash_is_narrowed_down(count: int, data: st.DataObject) -> None:
    """Whoever knows how it works has to change the hashes above as well: then another copy or a signed root tells."""
    rows = rows_of(count)
    at = data.draw(st.integers(0, count - 1))
    forged = other(rows[at])
    rows[at] = forged._replace(nodes=leaf_hash(forged.raw) + forged.nodes[32:])
    found = findings(rows)
    if at == count - 1 and count % 2:
        assert found == []  # nothing above it yet: only what was signed knows better
    else:
        assert len(found) == 1 and f"the entries {at - at % 2} to {at + 1 - at % 2} " in found[0]
    signed = Stated("the bank", count, root_of(rows_of(count), count))
    assert len(findings(rows, signed)) == 1


@given(st.integers(1, 70), st.data())
def test_a_hash_that_was_changed_is_named(count: int, data: st.DataObject) -> None:
    rows = rows_of(count)
    at = data.draw(st.integers(0, count - 1))
    level = data.draw(st.integers(0, len(rows[at].nodes) // 32 - 1))
    nodes = bytearray(rows[at].nodes)
    nodes[level * 32] ^= 1
    rows[at] = rows[at]._replace(nodes=bytes(nodes))
    (finding,) = findings(rows)
    assert f"entry {at} was changed" in finding or f" to {at} was changed together with its hash, or a hash" in finding


def test_hashes_cut_short_or_made_longer_are_named() -> None:
    nodes = rows_of(9)[3].nodes
    for spoilt in (nodes[:-32], nodes + b"x" * 32, nodes[:-1]):
        rows = rows_of(9)
        rows[3] = rows[3]._replace(nodes=spoilt)
        (finding,) = findings(rows)
        assert "3 was changed" in finding or "3 were changed" in finding
    rows = rows_of(9)
    rows[4] = rows[4]._replace(nodes=rows[4].nodes + b"x" * 32)
    assert findings(rows) == ["the hashes kept beside entry 4 were changed"]


def test_a_log_that_was_rewritten_whole_is_told_by_what_was_signed_of_it() -> None:
    forged = rows_of(20)
    true = Stated("the bank", 13, root_of(forged, 13))
    again = [
        row if n < 10 else made for n, (row, made) in enumerate(zip(forged, rows_of(20, later=AN_HOUR), strict=True))
    ]
    frontier, rewritten = Frontier(), []
    for row in again:
        frontier, nodes = frontier.append(row.raw)
        rewritten.append(row._replace(nodes=nodes))
    assert findings(rewritten) == []
    (finding,) = findings(rewritten, true)
    assert finding.startswith(
        "one of the first 13 entries was changed together with all hashes above it, says the bank"
    )
    assert next(differences(forged, rewritten)) == "entry 10 is one in the journal and another in the database"


AN_HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"at": AT}, "the row of entry 5 was changed: its time or kind"),
        ({"kind": "Opened"}, "the row of entry 5 was changed: its time or kind"),
        ({"raw": b"nonsense"}, "entry 5 was changed: it is not an entry"),
        ({"raw": rows_of(6, BankId("c" * 32))[5].raw}, "entry 5 is of another log: bank cccc"),
        ({"raw": rows_of(6, epoch=2)[5].raw}, "entry 5 is of another log"),
    ],
)
def test_a_row_that_is_not_what_it_says_is_named(changes: dict[str, bytes | str | datetime], finding: str) -> None:
    rows = rows_of(9)
    rows[5] = rows[5]._replace(**changes)  # type: ignore[arg-type]
    (found,) = findings(rows)
    assert found.startswith(finding)


def test_of_a_ruin_the_beginning_is_told() -> None:
    rows = [row._replace(raw=b"") for row in rows_of(2 * FINDINGS_MAX)]
    assert len(findings(rows)) == FINDINGS_MAX + 1 and findings(rows)[-1] == "there may be more"
    assert audit([], [], LOG).size == 0 and findings([], Stated("it", 0, EMPTY_ROOT)) == []


def test_two_copies_are_compared_as_far_as_the_clouds_goes() -> None:
    journal = rows_of(8)
    assert list(differences(journal, journal[:5])) == []
    assert list(differences(journal[:2], journal[:4])) == [
        "entry 2 is in the database and not in the journal",
        "entry 3 is in the database and not in the journal",
    ]
    assert list(differences(journal, journal[:2] + journal[3:])) == [
        "entry 2 is in the journal and not in the database"
    ]
    assert list(differences(journal[1:], journal[:2])) == ["entry 0 is in the database and not in the journal"]
    assert list(differences(journal, [other(journal[0])])) == [
        "entry 0 is one in the journal and another in the database"
    ]
