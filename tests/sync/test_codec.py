"""Entry formats are permanent: every kind of version 1 is pinned by a line of a golden file."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sync.samples import ABOUT, AT, BANK, SAMPLES

from latchwork.domain import commands as c
from latchwork.domain.entries import Entry
from latchwork.domain.words import StayId
from latchwork.sync import codec

GOLDEN = Path(__file__).parent.parent / "golden" / "entries_v1.jsonl"


def test_every_kind_has_a_sample() -> None:
    assert {type(s).__name__ for s in SAMPLES} == set(codec.KINDS)


@pytest.mark.parametrize(("seq", "line"), list(enumerate(GOLDEN.read_bytes().splitlines())))
def test_golden_entries_are_read_and_written_the_same(seq: int, line: bytes) -> None:
    entry = Entry(BANK, 1, seq, AT, SAMPLES[seq])
    assert codec.read_entry(line) == entry
    assert codec.encode_entry(entry) == line


@pytest.mark.parametrize("line", GOLDEN.with_name("entries_v1_before.jsonl").read_bytes().splitlines())
def test_an_entry_from_before_a_field_was_added_stays_readable(line: bytes) -> None:
    assert codec.encode_entry(codec.read_entry(line)) != line


def test_the_golden_file_is_whole() -> None:
    assert len(GOLDEN.read_bytes().splitlines()) == len(SAMPLES)


def test_an_unknown_kind_keeps_its_envelope_and_names_itself() -> None:
    raw = codec.encode_entry(Entry(BANK, 1, 0, AT, SAMPLES[0])).replace(b"EpochBegan", b"Levitated_")
    assert codec.read_envelope(raw).kind == "Levitated_"
    with pytest.raises(codec.Unreadable, match="Levitated_"):
        codec.read_entry(raw)


def test_a_new_field_does_not_stop_an_old_reader() -> None:
    raw = codec.encode_entry(Entry(BANK, 1, 0, AT, SAMPLES[1])).replace(b'"boot":', b'"mood":"fine","boot":')
    assert codec.read_entry(raw).body == SAMPLES[1]


@given(st.binary(max_size=200))
def test_bytes_from_outside_are_an_entry_or_unreadable(raw: bytes) -> None:
    with pytest.raises(codec.Unreadable):
        codec.read_entry(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[" * 100_000,
        b'[1,"b",1,0,"2026-01-01T00:00:00Z","Booted"]',
        b'[1,"b",1,0,"2026-01-01T00:00:00","Booted",{"boot":"x","software":"y"}]',
        b'[1,"b",1,-1,"2026-01-01T00:00:00Z","Booted",{"boot":"x","software":"y"}]',
        b'[1,"b",1,1180591620717411303424,"2026-01-01T00:00:00Z","Booted",{"boot":"x","software":"y"}]',
        b'[1,"b",1,0,"2026-01-01T00:00:00Z","Booted",{"boot":"x\\u0000","software":"y"}]',
        b'[1,"b",1,0,"2026-01-01T00:00:00Z","Booted",{"boot":7,"software":"y"}]',
        b'[1,"b",1,0,"2026-01-01T00:00:00Z","Booted",{"boot":"' + b"x" * 17_000 + b'","software":"y"}]',
    ],
)
def test_malformed_entries_are_told_apart_from_none(raw: bytes) -> None:
    with pytest.raises(codec.Unreadable):
        codec.read_entry(raw)


def test_instructions_travel_and_unknown_ones_are_answerable() -> None:
    expect = c.Expect(StayId("a" * 32), ABOUT)
    raw = codec.encode_instruction(expect)
    assert codec.read_instruction(raw) == expect
    for strange in (b"", b"{}", b'{"Dance":{}}', b'{"Expect":{"stay":1}}', b"[1]", b"\xff", b'{"Cancel":{},"Open":{}}'):
        assert isinstance(codec.read_instruction(strange), c.NotUnderstood)
