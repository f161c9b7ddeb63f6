"""Rows from entries, each computed from the entry alone: one golden case a kind, and what a batch collapses to."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.server.fake_bank import BANK, ORGANISATION, PARCEL, PARTY, PERSON, T0, adopt

from latchwork.domain import entries as e
from latchwork.domain.bank import About, Fitting, Grant
from latchwork.domain.words import (
    ClaimId,
    CompartmentId,
    CompartmentState,
    DoorState,
    InstructionId,
    Lookup,
    OpeningId,
    PassId,
    PersonId,
    Purpose,
    Reason,
    Role,
    SessionId,
    Size,
    StayId,
    StayState,
    ThingId,
)
from latchwork.server import projections
from latchwork.store.rows import NEVER, Rows
from latchwork.sync.codec import Unreadable, encode_entry

STAY, CLAIM, OPENING, PASS, DOOR = (
    StayId("s" * 32),
    ClaimId("l" * 32),
    OpeningId("o" * 32),
    PassId("p" * 32),
    CompartmentId("07"),
)
NOW = T0 + timedelta(minutes=5)
ABOUT = About(PARCEL.id, PARTY, ThingId("t" * 32), PERSON, Lookup("1" * 32), Size(300, 80, 400))
PICKUP = Grant(PASS, Role.PERSON, Lookup("2" * 32), 1, 6, 3, Purpose.COLLECT, STAY, None, True)
ABOUT_COLUMNS = {
    "service": "parcel", "party": PARTY, "thing": "t" * 32, "recipient": PERSON, "label": "1" * 32,
    "width_mm": 300, "height_mm": 80, "depth_mm": 400, "in_reach": False,
}  # fmt: skip
PICKUP_COLUMNS = {"pickup_pass": PASS, "pickup_n": 1, "pickup_digits": 6, "pickup_generation": 3}
DEADLINE = T0 + timedelta(hours=72)

CLAIMED = e.Claimed(CLAIM, DOOR, STAY, ABOUT, True, Reason.SMALLEST_FIT, PICKUP)
STORED = e.Stored(STAY, ABOUT, CLAIM, DOOR, OPENING, DEADLINE, True, True, PICKUP)
WANTED = e.Wanted(
    OPENING, DOOR, Purpose.DEPOSIT, SessionId("n" * 32), PASS, InstructionId("i" * 32), CLAIM, (STAY,), None,
    Reason.INSPECTION, PersonId("y" * 32),
)  # fmt: skip
RELEASED = e.Released(CLAIM, DOOR, CompartmentState.NEEDS_CHECK, Reason.COMPARTMENT_BROKEN, STAY, StayState.EXPECTED)


def rows_of(*bodies: e.Body, first: int = 10) -> Rows:
    raws = [encode_entry(e.Entry(BANK, 2, seq, T0, body)) for seq, body in enumerate(bodies, first)]
    return projections.rows(ORGANISATION, raws, [b"nodes"] * len(raws), NOW)


TABLES = (
    "stays", "fittings", "removed", "compartments", "openings", "passes", "answers", "notices", "tasks", "checked",
)  # fmt: skip


def said(rows: Rows) -> dict[str, list[dict[str, Any]]]:
    """What is not as in an empty row, without what is the same in every case."""
    found: dict[str, list[dict[str, Any]]] = {}
    tables = [
        "stays",
        "fittings",
        "removed",
        "compartments",
        "openings",
        "passes",
        "answers",
        "notices",
        "tasks",
        "checked",
    ]
    for table in tables:
        shown = [
            {k: v for k, v in row._asdict().items() if v is not None and k not in ("bank", "organisation", "epoch")}
            for row in getattr(rows, table)
        ]
        if shown:
            found[table] = shown
    named = [row.stay for row in rows.stay_entries]
    if named:
        found["stay_entries"] = [{"stay": stay} for stay in named]
    return found


def compartment(**columns: Any) -> dict[str, list[dict[str, Any]]]:
    return {"compartments": [{"id": "07", **columns, "seq": 10}]}


def opening(**columns: Any) -> dict[str, list[dict[str, Any]]]:
    return {"openings": [{"id": OPENING, "compartment": "07", **columns, "seq": 10}]}


def stay(**columns: Any) -> dict[str, list[dict[str, Any]]]:
    return {"stays": [{"id": STAY, **columns, "seq": 10}], "stay_entries": [{"stay": STAY}]}


def told(kind: str) -> dict[str, list[dict[str, Any]]]:
    return {"notices": [{"kind": kind, "stay": STAY, "seq": 10, "due_at": NOW}]}


def task(kind: str, about: str, **columns: Any) -> dict[str, list[dict[str, Any]]]:
    name = projections.task_id(BANK, kind, about, 2, 10)
    return {"tasks": [{"id": name, "kind": kind, "about": about, **columns, "seq": 10, "opened_at": NOW}]}


def settled(*kinds: str) -> dict[str, list[dict[str, Any]]]:
    return {"checked": [{"compartment": "07", "kinds": kinds, "seq": 10, "at": NOW}]}


STAY_SETTLED = {
    "checked": [
        {
            "compartment": STAY,
            "kinds": ("wrong_recipient", "refused", "unknown_recipient", "unclaimed"),
            "seq": 10,
            "at": NOW,
        }
    ]
}
DOOR_SETTLED = settled("not_opened", "unresolved", "missing", "mismatch", "recovered", "will_not_close")
GONE = {"checked": [*STAY_SETTLED["checked"], *DOOR_SETTLED["checked"]]}
FREED = {"claim": "", "stay": ""}
NOWHERE = {"compartment": "", "pickup_pass": ""}
EXPECTED = {**NOWHERE, "state": "expected", "deadline": NEVER, "reserved_at": NEVER}
CANCELLED = {**NOWHERE, "state": "cancelled", "ended_at": T0}
CASES: list[tuple[e.Body, dict[str, list[dict[str, Any]]]]] = [
    (e.EpochBegan(), {}),
    (e.Booted("boot", "software"), {}),
    (
        e.Fitted((Fitting(DOOR, Size(1, 2, 3), reach_mm=4),), (CompartmentId("08"),)),
        {
            "fittings": [
                {
                    "id": "07", "width_mm": 1, "height_mm": 2, "depth_mm": 3, "climate": "ambient", "reach_mm": 4,
                    "seq": 10, "gate": False, "shelf": False,
                }
            ],
            "removed": [{"id": "08"}],
        },
    ),
    (e.Adopted(4, adopt().policy), {}),
    (e.ClockDoubted(), {}),
    (e.ClockConfirmed(), {}),
    (
        e.Answered(5, InstructionId("i" * 32), "h" * 64, Reason.ALREADY_HERE, STAY),
        {
            "answers": [
                {"id": "i" * 32, "number": 5, "sha256": "h" * 64, "refusal": "already_here", "about": STAY, "seq": 10,
                    "at": T0, "heard_at": NOW}
            ],
            "stay_entries": [{"stay": STAY}],
        },
    ),
    (
        e.Answered(5, InstructionId("i" * 32), "h" * 64, None, STAY),
        {"answers": [{"id": "i" * 32, "number": 5, "sha256": "h" * 64, "about": STAY, "seq": 10, "at": T0,
                "heard_at": NOW}]},
    ),
    (e.SessionBegan(SessionId("n"), PASS, Role.PERSON, stay=STAY), {"stay_entries": [{"stay": STAY}]}),
    (e.SessionBegan(SessionId("n"), PASS, Role.COURIER), {}),
    (e.SessionEnded(SessionId("n"), Reason.SIGNED_OUT), {}),
    (e.CodeRefused(3), {}),
    (e.Guarded(("ab" * 32,)), {}),
    (e.RemoteStopped(InstructionId("i")), task("remote_stopped", "")),
    (
        e.RemoteResumed(SessionId("n")),
        {"checked": [{"compartment": "", "kinds": ("remote_stopped",), "seq": 10, "at": NOW}]},
    ),
    (
        e.PassGranted(Grant(PASS, Role.COURIER, Lookup("2"), 0, 6, 1, party=PARTY, valid_until=DEADLINE)),
        {
            "passes": [
                {
                    "id": PASS, "role": "courier", "party": PARTY, "n": 0, "digits": 6, "generation": 1,
                    "valid_until": DEADLINE, "state": "live", "seq": 10, "daily": False,
                }
            ]
        },
    ),
    (
        e.PassGranted(Grant(PASS, Role.PERSON, Lookup("2"), 0, 0, 1, Purpose.COLLECT, recipient=PERSON, daily=True)),
        {
            "passes": [
                {
                    "id": PASS, "role": "person", "n": 0, "digits": 0, "generation": 1, "state": "live", "seq": 10,
                    "recipient": PERSON, "daily": True,
                }
            ]
        },
    ),
    (
        e.PassGranted(replace(PICKUP, purpose=Purpose.DEPOSIT)),
        stay(drop_off_pass=PASS, drop_off_n=1, drop_off_digits=6, drop_off_generation=3),
    ),
    (e.PassRevoked(PASS), {"passes": [{"id": PASS, "state": "revoked", "seq": 10}]}),
    (e.Expected(STAY, ABOUT), stay(**ABOUT_COLUMNS, **EXPECTED, announced=True, expected_at=T0)),
    (e.Cancelled(STAY), stay(**CANCELLED)),
    (
        CLAIMED,
        stay(
            **ABOUT_COLUMNS, state="reserved", compartment="07", announced=True, **PICKUP_COLUMNS, reserved_at=T0
        ) | compartment(state="reserved", why="smallest_fit", claim=CLAIM, stay=STAY),
    ),
    (
        RELEASED,
        stay(**EXPECTED, reason="compartment_broken")
        | compartment(state="needs_check", why="compartment_broken", **FREED),
    ),
    (
        e.Released(CLAIM, DOOR, CompartmentState.VACANT, Reason.TOO_BIG, STAY, None, OPENING),
        stay(**CANCELLED, reason="too_big")
        | compartment(state="vacant", why="too_big", **FREED) | settled("not_opened", "unresolved"),
    ),
    (
        e.Released(CLAIM, DOOR, CompartmentState.VACANT, Reason.CHANGED_MIND, STAY),
        stay(**CANCELLED, reason="changed_mind")
        | compartment(state="vacant", why="changed_mind", **FREED),
    ),
    (
        STORED,
        stay(
            **ABOUT_COLUMNS, state="deposited", compartment="07", announced=True, presumed=True, deadline=DEADLINE,
            **PICKUP_COLUMNS, deposited_at=T0,
        ) | compartment(state="occupied", claim=CLAIM, stay=STAY)
        | told("ready") | settled("not_opened", "unresolved"),
    ),
    (
        e.Collected(STAY, ABOUT, CLAIM, DOOR, OPENING),
        stay(**ABOUT_COLUMNS, state="collected", compartment="07", ended_at=T0)
        | compartment(state="vacant", **FREED) | told("collected") | GONE,
    ),
    (
        e.Recalled(STAY, ABOUT, CLAIM, DOOR, OPENING),
        stay(**ABOUT_COLUMNS, state="recalled", compartment="07", ended_at=T0)
        | compartment(state="vacant", **FREED) | told("recalled") | GONE,
    ),
    (e.Expired(STAY, DEADLINE), stay(state="expired", expired_at=T0) | told("expired")),
    (
        WANTED,
        opening(
            purpose="deposit", state="wanted", reason="inspection", by="y" * 32, instruction="i" * 32, pass_id=PASS,
            claim=CLAIM, stay=STAY, wanted_at=T0,
        ) | {"stay_entries": [{"stay": STAY}]},
    ),
    (e.Unlocked(OPENING, DOOR, 2), opening(state="unlocked", attempts=2, unlocked_at=T0)),
    (e.NoProof(OPENING, DOOR), opening(state="wanted")),
    (
        e.NotOpened(OPENING, DOOR, Reason.COMPARTMENT_BROKEN, CompartmentState.NEEDS_CHECK),
        opening(state="not_opened", why="compartment_broken")
        | compartment(state="needs_check", why="compartment_broken")
        | task("not_opened", "07", detail="compartment_broken"),
    ),
    (e.Opened(OPENING, DOOR, True), opening(state="opened", opened_at=T0) | compartment(door="open")),
    (
        e.Opened(OPENING, DOOR, compartment_state=CompartmentState.OCCUPIED),
        opening(state="opened", opened_at=T0) | compartment(state="occupied", door="open")
        | settled("not_opened", "unresolved"),
    ),
    (e.Closed(OPENING, DOOR), opening(state="shut", closed_at=T0) | compartment(door="closed")),
    (e.Lapsed(OPENING, DOOR, Reason.POWER_LOST), opening(state="lapsed", why="power_lost")),
    (
        e.Unresolved(OPENING, DOOR, CompartmentState.NEEDS_CHECK),
        opening(state="unresolved") | compartment(state="needs_check") | task("unresolved", "07"),
    ),
    (
        e.Sensed({DOOR: DoorState.OPEN}, (DOOR,), CompartmentState.OUT_OF_SERVICE),
        compartment(state="out_of_service", why="forced", door="open") | task("forced_door", "07"),
    ),
    (
        e.Sensed({DOOR: DoorState.OPEN}, (DOOR,), CompartmentState.NEEDS_CHECK),
        compartment(state="needs_check", why="forced", door="open") | task("forced_door", "07"),
    ),
    (e.BoardLost((DOOR,)), compartment(door="unknown") | task("board_lost", "07", detail="07")),
    (e.BoardFound((DOOR,)), settled("board_lost")),
    (e.LeftOpen(DOOR, 60), {}),
    (e.LeftOpen(DOOR, 600, True), task("left_open", "07")),
    (e.LeftOpen(DOOR, 600, True, compartment_state=CompartmentState.NEEDS_CHECK),
        compartment(state="needs_check", why="left_open") | task("left_open", "07")),
    (e.LeftOpen(DOOR, over=True), settled("left_open")),
    (e.LeftOpen(DOOR, over=True, compartment_state=CompartmentState.NEEDS_CHECK),
        compartment(state="needs_check", why="left_open")),
    (e.Tampered("07", True), task("tampered", "07")),
    (e.Tampered("07", True, alarm=False), {}),
    (e.Tampered("07", False, alarm=False), settled("tampered")),
    (e.BandCrossed("07", (DOOR,), False, 8.46), settled("climate") | task("climate", "07", detail="8.5 °C")),
    (e.BandCrossed("07", (DOOR,), None), settled("climate") | task("climate", "07", detail="no reading")),
    (e.BandCrossed("07", (DOOR,), True, 5.0), settled("climate")),
    (e.Maintained(T0, SessionId("s")), {}),
    (e.KeptAt(STAY, DOOR, 2.0, 8.0, 60, 0, 0), {"stay_entries": [{"stay": STAY}]}),
    (
        e.Checked(DOOR, CompartmentState.VACANT),
        compartment(state="vacant", looked_at=T0)
        | settled("not_opened", "unresolved", "missing", "mismatch", "recovered", "will_not_close", "forced_door",
                  "left_open"),
    ),
    (
        e.NotDelivered(STAY, ABOUT, Reason.TOO_BIG, False, SessionId("s")),
        stay(**ABOUT_COLUMNS, **CANCELLED, reason="too_big", announced=False) | told("not_delivered"),
    ),
    (
        e.Removed(STAY, ABOUT, ClaimId("c"), DOOR, OPENING, StayState.RETURNED, Reason.RETURN_TO_SENDER),
        stay(
            **ABOUT_COLUMNS, state="returned", reason="return_to_sender", compartment="07", ended_at=T0
        ) | told("returned")
        | compartment(state="vacant", **FREED) | GONE,
    ),
    (
        e.Reported(STAY, ABOUT, Reason.NOT_MINE, StayState.EXCEPTION, ClaimId("c"), DOOR, CompartmentState.OCCUPIED,
                   SessionId("s")),
        stay(
            **ABOUT_COLUMNS, state="exception", reason="not_mine", compartment="07")
        | compartment(state="occupied", claim="c", stay=STAY) | task("wrong_recipient", STAY, detail="not_mine"),
    ),
    (
        e.Reported(STAY, ABOUT, Reason.COMPARTMENT_EMPTY, StayState.EXCEPTION, None, DOOR,
                   CompartmentState.NEEDS_CHECK, SessionId("s"), ended=True),
        stay(
            **ABOUT_COLUMNS, state="exception", reason="compartment_empty", compartment="07", ended_at=T0
        ) | STAY_SETTLED
        | compartment(state="needs_check", why="compartment_empty", **FREED) | task("missing", "07", detail=STAY),
    ),
    (
        e.Amended(STAY, ABOUT, StayState.BLOCKED, Reason.BLOCKED, T0),
        stay(**ABOUT_COLUMNS, state="blocked", reason="blocked", deadline=T0) | STAY_SETTLED,
    ),
    (
        e.Moved(STAY, ABOUT, CLAIM, DOOR, OPENING, CompartmentId("08"), CompartmentState.NEEDS_CHECK),
        stay(compartment="07") | settled("not_opened", "unresolved") | told("moved")
        | {"compartments": [
            *compartment(state="occupied", claim=CLAIM, stay=STAY)["compartments"],
            {"id": "08", "state": "needs_check", **FREED, "seq": 10},
        ]},
    ),
    (e.ItemSensed({DOOR: True}, (DOOR,), (DOOR,)),
        compartment(state="needs_check", why="sensed") | task("mismatch", "07", detail="something inside")),
    (e.Withdrawn({DOOR: CompartmentState.OUT_OF_SERVICE}, True), compartment(state="out_of_service", why="withdrawn")),
    (e.Recovered(1, "h", doubted=DOOR), compartment(state="needs_check", why="recovered") | task("recovered", "07")),
    (
        e.Checked(DOOR, CompartmentState.NEEDS_CHECK),
        compartment(state="needs_check", looked_at=T0) | task("missing", "07"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), CASES, ids=lambda x: type(x).__name__ if not isinstance(x, dict) else "")
def test_golden(body: e.Body, expected: dict[str, list[dict[str, Any]]]) -> None:
    rows = rows_of(body)
    assert said(rows) == expected
    (entry,) = rows.entries
    assert (entry.bank, entry.epoch, entry.seq, entry.at, entry.kind) == (BANK, 2, 10, T0, type(body).__name__)
    for table in (rows.stays, rows.compartments, rows.openings, rows.passes):
        assert all((row.bank, row.epoch) == (BANK, 2) for row in table)


def test_every_kind_has_its_case() -> None:
    assert {type(body) for body, _ in CASES} == set(e.Body.__subclasses__())


def test_what_belongs_to_the_bank_itself() -> None:
    rows = rows_of(
        e.Booted("boot", "software"),
        e.Adopted(4, adopt().policy),
        e.Answered(7, InstructionId("i"), "h"),
        e.Answered(6, InstructionId("j"), "h"),
    )
    assert (rows.boot, rows.software, rows.policy_version, rows.orders_last) == ("boot", "software", 4, 7)


def test_a_batch_collapses_to_the_last_word_on_each_column() -> None:
    rows = rows_of(
        e.Expected(STAY, ABOUT),
        CLAIMED,
        WANTED,
        e.Unlocked(OPENING, DOOR, 1),
        e.Opened(OPENING, DOOR),
        e.Closed(OPENING, DOOR),
        STORED,
        e.Expired(STAY, DEADLINE),
    )
    (one,), (door,), (leaf,) = rows.stays, rows.compartments, rows.openings
    assert (one.state, one.expected_at, one.reserved_at, one.deposited_at, one.seq) == ("expired", T0, T0, T0, 17)
    assert (door.state, door.door, door.stay, door.why, door.seq) == ("occupied", "closed", STAY, None, 16)
    assert (leaf.state, leaf.purpose, leaf.attempts, leaf.closed_at, leaf.seq) == ("shut", "deposit", 1, T0, 15)
    assert [row.seq for row in rows.stay_entries] == [10, 11, 12, 16, 17]


def test_a_deposit_that_came_to_nothing_leaves_nothing_behind() -> None:
    (one,) = rows_of(e.Expected(STAY, ABOUT), CLAIMED, RELEASED).stays
    assert (one.state, one.compartment, one.pickup_pass, one.reserved_at) == ("expected", "", "", NEVER)
    (again,) = rows_of(e.Released(CLAIM, DOOR, CompartmentState.VACANT, Reason.TOO_BIG, STAY), CLAIMED).stays
    assert (again.state, again.ended_at, again.reason) == ("reserved", None, None)


@pytest.mark.parametrize(
    ("why", "kind"),
    [
        (Reason.COMPARTMENT_OCCUPIED, "missing"),
        (Reason.DOOR_WILL_NOT_CLOSE, "will_not_close"),
        (Reason.COMPARTMENT_BROKEN, "not_opened"),
    ],
)
def test_what_a_courier_says_of_a_compartment_is_on_somebodys_list(why: Reason, kind: str) -> None:
    doubtful = e.Released(CLAIM, DOOR, CompartmentState.NEEDS_CHECK, why, STAY, StayState.EXPECTED, OPENING)
    (task,) = rows_of(doubtful).tasks
    assert (task.kind, task.about, task.detail, task.closed_at) == (kind, "07", why.value, None)
    (looked,) = rows_of(doubtful, e.Checked(DOOR, CompartmentState.VACANT)).tasks
    assert looked.closed_at == NOW


def test_a_door_taken_off_the_wall_takes_its_changes_along() -> None:
    rows = rows_of(e.Fitted((Fitting(DOOR, Size(1, 2, 3)),)), e.BoardLost((DOOR,)), e.Fitted((), (DOOR,)))
    assert (rows.fittings, rows.compartments, [row.id for row in rows.removed]) == ([], [], ["07"])


def test_what_cannot_be_read_is_a_task_and_an_entry() -> None:
    raws = [
        b'[1,"%b",2,10,"2026-03-01T08:00:00Z","Levitated",{}]' % BANK.encode(),
        b'[9,"%b",2,11,"2026-03-01T08:00:00Z","Closed",{"opening":"o","compartment":"07"}]' % BANK.encode(),
        b'[1,"%b",2,12,"2026-03-01T08:00:00Z","Closed",{"opening":7}]' % BANK.encode(),
        encode_entry(e.Entry(BANK, 2, 13, T0, e.Closed(OPENING, DOOR))),
    ]
    rows = projections.rows(ORGANISATION, raws, [b""] * 4, NOW)
    assert [row.raw for row in rows.entries] == raws
    assert [(row.kind, row.about) for row in rows.tasks] == [
        ("unreadable_entry", "Levitated"),
        ("unreadable_entry", "Closed"),
        ("unreadable_entry", "Closed"),
    ]
    assert len({row.id for row in rows.tasks}) == 3
    assert [row.state for row in rows.openings] == ["shut"]


@pytest.mark.parametrize(
    ("at", "deadline"),
    [
        ("9999-12-31T23:59:59Z", "2026-03-01T08:00:00Z"),
        ("0001-01-01T00:00:00Z", "2026-03-01T08:00:00Z"),
        ("2026-03-01T08:00:00Z", "9999-12-31T23:59:59Z"),
        ("2026-03-01T08:00:00Z", "0001-01-01T00:00:00Z"),
        ("2026-03-01T08:00:00Z", "2026-03-01T08:00:00"),
        ("2026-03-01T08:00:00Z", "\\u0039999-12-31T23:59:59Z"),
    ],
)
def test_a_time_that_no_page_could_show_is_a_task_and_an_entry(at: str, deadline: str) -> None:
    entry = '[1,"%s",2,10,"%s","Expired",{"stay":"s","deadline":"%s"}]'
    good = (entry % (BANK, "1970-01-01T00:00:07Z", "2026-03-01T08:00:00+01:00")).encode()
    rows = projections.rows(ORGANISATION, [good], [b""], NOW)
    assert len(rows.entries) == len(rows.stays) == 1 and rows.tasks == []
    rows = projections.rows(ORGANISATION, [(entry % (BANK, at, deadline)).encode()], [b""], NOW)
    assert [row.kind for row in rows.tasks] == ["unreadable_entry"] and len(rows.entries) == 1 and rows.stays == []


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_outside_the_calendar_is_not_an_entry(at: str) -> None:
    with pytest.raises(Unreadable):
        projections.rows(ORGANISATION, [b'[1,"b",2,10,"%b","Closed",{}]' % at.encode()], [b""], NOW)
