"""Entry formats are permanent: every kind of version 1 is pinned by a line of a golden file."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sync.samples import ABOUT, AT, BANK, SAMPLES

from latchwork.domain import commands as c
from latchwork.domain.entries import Entry
from latchwork.domain.words import StayId
from latchwork.sync import codec
from latchwork.sync.custody import EMPTY_ROOT
from latchwork.sync.exchange import Challenge, Down, pack, unpack

SERVICE = {"id": "parcel", "deposit_by": "courier", "collect_by": "person", "pickup_hours_max": 72}
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
    assert {field.name for field in fields(codec.read_entry(line).body)} > json.loads(line)[6].keys()


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


@pytest.mark.parametrize(
    "said",
    [
        {"GrantPass": {"pass_id": "p", "role": "courier", "valid_until": "2026-11-21T09:00:00"}},
        {"GrantPass": {"pass_id": "p", "role": "courier", "valid_until": "9999-12-31T23:59:59Z"}},
        {"Reserve": {"stay": "s", "claim": "c", "until": "0001-01-01T00:00:00Z"}},
        {"Adopt": {"version": 1, "policy": {"services": [SERVICE | {"pickup_hours_max": 10**9}]}}},
        {"Adopt": {"version": 1, "policy": {"services": [SERVICE | {"reminder_hours": [1, -(10**30)]}]}}},
        {"Adopt": {"version": 1, "policy": {"utc_offsets": [["2026-01-01T00:00:00", 60]]}}},
        {"Adopt": {"version": 1, "policy": {"open_seconds_max": 1e308}}},
    ],
)
def test_a_server_that_states_what_cannot_be_reckoned_with_is_not_understood(said: dict[str, Any]) -> None:
    assert codec.read_instruction(json.dumps(said).encode()) == c.NotUnderstood()
    assert (
        codec.read_instruction(b'{"Reserve": {"stay": "s", "claim": "c", "until": "2026-11-21T09:00:00Z"}}')
        != c.NotUnderstood()
    )


def test_a_clock_without_a_zone_or_of_another_age_is_no_message() -> None:
    for time in (AT.replace(tzinfo=None), AT.replace(year=9999), AT.replace(year=1)):
        for message in (Challenge(b"nonce", time), Down(1, 1, 1, 0, EMPTY_ROOT, time)):
            with pytest.raises(codec.Unreadable, match="a clock that shows"):
                unpack(pack(message))
