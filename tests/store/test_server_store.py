"""One contract for the cloud's stores, in memory and on PostgreSQL; and what only PostgreSQL can show."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.server.clouds import (
    Cloud,
    announcement,
    confirm_recovery,
    enrol,
    instruction,
    open_cloud,
    read,
    runs,
    strays,
)
from tests.server.fake_bank import ORGANISATION, PARCEL, PARTY, PERSON, T0, FakeBank, adopt
from tests.server.test_projections import CASES

from latchwork.domain import entries as e
from latchwork.domain.bank import About
from latchwork.domain.words import (
    BankId,
    ClaimId,
    CompartmentId,
    CompartmentState,
    OpeningId,
    PersonId,
    Reason,
    StayId,
    StayState,
)
from latchwork.server import projections
from latchwork.store import rows
from latchwork.store.changes import Topic
from latchwork.store.memory import MemoryStore
from latchwork.store.postgres import PostgresStore
from latchwork.store.rows import (
    Announced,
    Append,
    Appended,
    AppendOperation,
    Head,
    Outcome,
    PartingRow,
    SendOrders,
    StrayRow,
)
from latchwork.sync.codec import encode_entry
from latchwork.sync.custody import Frontier, kept

BODIES: list[e.Body] = [body for body, _ in CASES]
AT_FIRST = [next(body for body in BODIES if isinstance(body, kind)) for kind in (e.Fitted, e.Expected, e.Wanted)]
AFTERWARDS = [*(body for body in BODIES if not isinstance(body, e.Wanted)), e.Fitted((), (CompartmentId("07"),))]


@pytest.fixture(params=["memory", "postgres"])
async def cloud(request: pytest.FixtureRequest) -> AsyncIterator[Cloud]:
    dsn = request.getfixturevalue("database") if request.param == "postgres" else ""
    async with open_cloud(request.param, dsn) as store:
        yield store


def append_of(head: Head, bank: FakeBank, until: int, organisation: str = ORGANISATION) -> Append:
    frontier = Frontier.of(head.size, head.peaks)
    raws, nodes = bank.journal.entries(head.size, until), []
    for raw in raws:
        frontier, completed = frontier.append(raw)
        nodes.append(completed)
    made = projections.rows(organisation, raws, nodes, T0)
    operation = AppendOperation(
        organisation, bank.id, head.session, head.epoch, head.size, head.root, 1, frontier.size, frontier.root(),
        frontier.to_bytes(), T0, made.orders_last, made.policy_version, made.software, made.boot,
    )  # fmt: skip
    return Append(operation, made)


async def welcomed(cloud: Cloud, bank: FakeBank) -> Head:
    head = await cloud.welcome(bank.id, T0, "software", "boot", 0, {})
    assert head is not None
    return head


async def test_an_append_states_where_the_log_must_stand(cloud: Cloud) -> None:
    bank = await FakeBank().build()
    await enrol(cloud, bank)
    head = await welcomed(cloud, bank)
    first = append_of(head, bank, 2)
    assert await cloud.append(first) is Appended.OK
    assert await cloud.append(first) is Appended.MOVED
    assert await cloud.append(append_of(head, bank, 3)) is Appended.MOVED
    newer = await welcomed(cloud, bank)
    assert (newer.session, newer.size, newer.epoch) == (head.session + 1, 2, 1)
    assert await cloud.append(append_of(head, bank, 3)) is Appended.STALE_SESSION
    assert await cloud.append(append_of(newer, bank, 3, "f" * 32)) is Appended.UNKNOWN_BANK
    assert await cloud.append(append_of(newer, bank, 3)) is Appended.OK
    assert await cloud.overlap(bank.id, 1, 1, 3) == bank.journal.entries(1, 3)
    assert not await cloud.divide(bank.id, head.session, "old news", 3, "1" * 32, T0)
    assert await cloud.divide(bank.id, newer.session, "why", 3, "2" * 32, T0)
    assert not await cloud.divide(bank.id, newer.session, "why again", 3, "3" * 32, T0)
    last = await cloud.head(bank.id)
    assert last is not None and last.divided == "why"
    assert await cloud.append(append_of(last, bank, 4)) is Appended.DIVIDED
    assert [task["detail"] for task in await read(cloud, "tasks")] == ["why"]
    assert (await welcomed(cloud, bank)).divided == "why"


async def test_what_a_bank_runs_is_its_living_sessions_word(cloud: Cloud) -> None:
    bank = await FakeBank().build()
    await enrol(cloud, bank)
    old, new = await welcomed(cloud, bank), await welcomed(cloud, bank)
    await cloud.runs(bank.id, new.session, '{"version": 2}')
    await cloud.runs(bank.id, old.session, '{"version": 1}')
    assert await runs(cloud, bank.id) == {"version": 2}


async def test_a_bank_is_divided_until_a_person_says_how_it_goes_on(cloud: Cloud) -> None:
    bank = await FakeBank().build()
    await enrol(cloud, bank)
    head = await welcomed(cloud, bank)
    assert await cloud.append(append_of(head, bank, 3)) is Appended.OK
    assert await cloud.lengths(bank.id) == {1: 3}
    beside = await cloud.nodes([(bank.id, 1, seq) for seq in (0, 2)])
    assert kept(beside[bank.id, 1])(0, 2) == bank.journal.node(0, 2)
    assert await cloud.parting(bank.id) is None and not await cloud.lift(bank.id, head.session, 1, 3)
    assert await cloud.divide(bank.id, head.session, "why", 3, "2" * 32, T0)
    for _ in range(2):
        await cloud.keep_strays(bank.id, 1, [StrayRow(2, T0, b"2"), StrayRow(3, T0, b"3")], T0)
        await cloud.keep_parting(bank.id, 1, 4, b"r", 2)
    assert await cloud.parting(bank.id) == PartingRow(bank.id, 1, 4, b"r", 2)
    assert not await cloud.lift(bank.id, head.session, 1, 3), "nobody has said so"
    await confirm_recovery(cloud, bank.id)
    await cloud.keep_parting(bank.id, 1, 5, b"s", 2)
    assert await cloud.parting(bank.id) == PartingRow(bank.id, 1, 5, b"s", 2, True)
    await cloud.refuse_recovery(bank.id, "no")
    assert await cloud.parting(bank.id) == PartingRow(bank.id, 1, 5, b"s", 2)
    await confirm_recovery(cloud, bank.id)
    assert not await cloud.lift(bank.id, head.session + 1, 1, 3) and not await cloud.lift(bank.id, head.session, 1, 2)
    assert await cloud.lift(bank.id, head.session, 1, 3)
    last = await cloud.head(bank.id)
    assert last is not None and last.divided is None and await cloud.parting(bank.id) is None
    assert await strays(cloud) == {b"2", b"3"}


@pytest.mark.parametrize("at_once", [True, False])
async def test_tasks_about_a_door_end_where_the_doubt_ends(cloud: Cloud, at_once: bool) -> None:
    bank = FakeBank()
    await enrol(cloud, bank)
    door, opening = CompartmentId("01"), OpeningId("6" * 32)
    broken = e.NotOpened(opening, door, Reason.COMPARTMENT_BROKEN, CompartmentState.NEEDS_CHECK)
    bodies: tuple[e.Body, ...] = (
        broken,
        e.Checked(door, CompartmentState.NEEDS_CHECK),
        e.Opened(opening, door, compartment_state=CompartmentState.OCCUPIED),
        broken,
        e.Checked(door, CompartmentState.OCCUPIED),
        broken,
    )
    for seq, body in enumerate(bodies):
        await bank.write(encode_entry(e.Entry(bank.id, 1, seq, T0, body)))
    seen = []
    for until in [len(bodies)] if at_once else range(1, len(bodies) + 1):
        assert await cloud.append(append_of(await welcomed(cloud, bank), bank, until)) is Appended.OK
        seen.append(sorted(row["kind"] for row in await read(cloud, "tasks") if row["closed_at"] is None))
    steps = [["not_opened"], ["missing", "not_opened"], ["missing"], ["missing", "not_opened"], [], ["not_opened"]]
    assert seen == (steps[-1:] if at_once else steps)
    assert sorted(row["seq"] for row in await read(cloud, "tasks")) == [0, 1, 3, 5]


async def test_a_stay_that_is_given_to_somebody_else_and_moved_says_so(cloud: Cloud) -> None:
    bank = FakeBank()
    await enrol(cloud, bank)
    stay, first, second = StayId("7" * 32), CompartmentId("01"), CompartmentId("02")
    wrong = About(PARCEL.id, PARTY, None, PersonId("e" * 32), in_reach=True)
    right = replace(wrong, recipient=PERSON)
    until = T0 + timedelta(days=3)
    bodies: tuple[e.Body, ...] = (
        e.Stored(stay, wrong, ClaimId("1" * 32), first, OpeningId("6" * 32), until, False),
        e.Amended(stay, right, StayState.DEPOSITED, Reason.REASSIGNED, until),
        e.Moved(stay, right, ClaimId("2" * 32), second, OpeningId("5" * 32), first, CompartmentState.VACANT),
    )
    for seq, body in enumerate(bodies):
        await bank.write(encode_entry(e.Entry(bank.id, 1, seq, T0, body)))
        assert await cloud.append(append_of(await welcomed(cloud, bank), bank, seq + 1)) is Appended.OK
    (row,) = await read(cloud, "stays")
    assert (row["recipient"], row["compartment"], row["deadline"], row["in_reach"]) == (PERSON, second, until, True)


@given(
    st.lists(st.sampled_from(AFTERWARDS), max_size=8).flatmap(
        lambda bodies: st.tuples(st.just([*AT_FIRST, *bodies]), st.sets(st.integers(1, len(bodies) + len(AT_FIRST))))
    )
)
def test_rows_do_not_depend_on_where_a_log_is_cut_into_batches(story: tuple[list[e.Body], set[int]]) -> None:
    bodies, cuts = story

    async def rows_after(ends: Iterable[int]) -> dict[str, Any]:
        bank, store = FakeBank(), MemoryStore()
        await enrol(store, bank)
        for seq, body in enumerate(bodies):
            await bank.write(encode_entry(e.Entry(bank.id, 1, seq, T0 + timedelta(seconds=seq), body)))
        for end in ends:
            assert await store.append(append_of(await welcomed(store, bank), bank, end)) is Appended.OK
        made = {
            name: await read(store, name) for name in ("stays", "stay_entries", "compartments", "openings", "passes")
        }
        open_tasks = [row for row in await read(store, "tasks") if row["closed_at"] is None]
        return made | {"tasks": sorted((row["kind"], row["about"]) for row in open_tasks)}

    one_by_one = asyncio.run(rows_after(range(1, len(bodies) + 1)))
    assert asyncio.run(rows_after(sorted(cuts | {len(bodies)}))) == one_by_one


async def test_an_announcement_is_made_once_per_key(cloud: Cloud) -> None:
    bank = FakeBank()
    await enrol(cloud, bank)
    first = announcement(bank.id, 1, key="k")
    assert await cloud.announce(first) == Announced(Outcome.CREATED)
    again = announcement(bank.id, 2, key="k")
    assert await cloud.announce(again) == Announced(Outcome.REPLAYED, 201, first.response)
    other = announcement(bank.id, 3, key="k")._replace(request_hash=b"another request")
    assert await cloud.announce(other) == Announced(Outcome.CONFLICT)
    assert await cloud.announce(announcement(bank.id, 4)) == Announced(Outcome.CREATED)
    assert [(row["id"][-1], row["seq"]) for row in await read(cloud, "stays")] == [("1", None), ("4", None)]
    assert len(await read(cloud, "instructions")) == 2


async def test_an_announcement_names_what_is_not_there(cloud: Cloud) -> None:
    bank = FakeBank()
    await enrol(cloud, bank)
    good = announcement(bank.id, 1, key="k")
    refused = {
        Outcome.UNKNOWN_BANK: good._replace(bank="f" * 32),
        Outcome.UNKNOWN_PARTY: good._replace(party="f" * 32),
        Outcome.UNKNOWN_RECIPIENT: good._replace(recipient="f" * 32),
    }
    for outcome, wrong in refused.items():
        assert await cloud.announce(wrong) == Announced(outcome)
    assert await cloud.announce(good._replace(organisation="f" * 32)) == Announced(Outcome.UNKNOWN_BANK)
    assert await read(cloud, "stays") == []
    assert await cloud.announce(good) == Announced(Outcome.CREATED), "a refusal does not use up the key"
    assert await cloud.announce(announcement(bank.id, 2)._replace(party=None, recipient=None)) == Announced(
        Outcome.CREATED
    )


async def test_numbers_follow_what_the_bank_holds(cloud: Cloud) -> None:
    bank = FakeBank()
    await enrol(cloud, bank)
    await cloud.instruct(instruction(bank.id, 1, adopt()))
    head = await cloud.welcome(bank.id, T0, "", "", 41, {"directory": 3})
    assert head is not None and dict(head.documents) == {"directory": 3}
    op = SendOrders(bank.id, ORGANISATION, head.session, T0, T0 - timedelta(seconds=10), 32)
    assert [order.number for order in await cloud.send_orders(op)] == [42]
    assert await cloud.send_orders(op) == [], "it was sent just now"
    assert await cloud.send_orders(op._replace(session=head.session - 1)) == []
    for n in range(2, 6):
        await cloud.instruct(instruction(bank.id, n, adopt()))
    assert [o.number for o in await cloud.send_orders(op._replace(orders_max=3))] == [42, 43, 44]
    assert [o.number for o in await cloud.send_orders(op)] == [42, 43, 44, 45, 46]
    assert not await cloud.instruct(instruction(BankId("f" * 32), 9, adopt()))


async def test_who_has_work(cloud: Cloud) -> None:
    bank = FakeBank()
    await enrol(cloud, bank)
    head = await welcomed(cloud, bank)
    held, before = [(bank.id, head.session)], T0 - timedelta(seconds=10)
    assert await cloud.work(held, before) == []
    await cloud.put_document(bank.id, "directory", 2, b"x")
    assert [(w.over, w.orders, w.documents) for w in await cloud.work(held, before)] == [(False, False, True)]
    assert [d.version for d in await cloud.documents(bank.id, {"directory": 1})] == [2]
    await cloud.holds(bank.id, head.session, {"directory": 2})
    assert await cloud.work(held, before) == []
    await cloud.instruct(instruction(bank.id, 1, adopt()))
    assert [(w.over, w.orders, w.documents) for w in await cloud.work(held, before)] == [(False, True, False)]
    await welcomed(cloud, bank)
    assert [w.over for w in await cloud.work(held, before)] == [True]


# Only on PostgreSQL


async def test_types_of_the_database_are_the_rows_of_the_code(database: str) -> None:
    async with await PostgresStore.connect(database) as store:
        records = await store.fetch(
            """
            SELECT t.typname, array_agg(a.attname::text ORDER BY a.attnum) AS columns
            FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid AND c.relkind = 'c'
            JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE t.typnamespace = 'public'::regnamespace GROUP BY 1
            """
        )
    renamed = {"pass": "pass_id"}
    types = {record["typname"]: [renamed.get(name, name) for name in record["columns"]] for record in records}
    assert types == {
        "append_operation": list(rows.AppendOperation._fields),
        "announcement": list(rows.Announcement._fields),
        "entry_row": list(rows.EntryRow._fields),
        "stay_row": list(rows.StayRow._fields),
        "stay_entry_row": list(rows.StayEntryRow._fields),
        "fitting_row": list(rows.FittingRow._fields),
        "removed_row": list(rows.RemovedRow._fields),
        "compartment_row": list(rows.CompartmentRow._fields),
        "opening_row": list(rows.OpeningRow._fields),
        "pass_row": list(rows.PassRow._fields),
        "answer_row": list(rows.AnswerRow._fields),
        "notice_row": list(rows.NoticeRow._fields),
        "task_row": list(rows.TaskRow._fields),
        "checked_row": list(rows.CheckedRow._fields),
    }


async def test_many_banks_in_one_call_fare_each_for_itself(database: str) -> None:
    async with await PostgresStore.connect(database) as store:
        banks = [await FakeBank(BankId(f"{n:032x}")).build() for n in range(20)]
        for bank in banks:
            await enrol(store, bank)
        heads = [await welcomed(store, bank) for bank in banks]
        for bank in banks[::5]:
            await welcomed(store, bank)  # makes their session old
        appends = [append_of(head, bank, 4) for head, bank in zip(heads, banks, strict=True)]
        statuses = await asyncio.gather(*(store.append(append) for append in appends))
        expected = [Appended.STALE_SESSION if n % 5 == 0 else Appended.OK for n in range(20)]
        assert statuses == expected
        counted = {r["bank"]: r["n"] for r in await store.fetch("SELECT bank, count(*) n FROM entries GROUP BY 1")}
        assert counted == {bank.id: 4 for n, bank in enumerate(banks) if n % 5}
        walls = await store.fetch("SELECT DISTINCT bank FROM compartments")
        assert {record["bank"] for record in walls} == set(counted)


async def test_of_two_processes_that_append_the_same_one_wins(database: str) -> None:
    async with await PostgresStore.connect(database) as one, await PostgresStore.connect(database) as two:
        bank = await FakeBank().build()
        await enrol(one, bank)
        for round_ in range(1, 5):
            head = await welcomed(one, bank)
            append = append_of(head, bank, round_)
            statuses = await asyncio.gather(*(store.append(append) for store in (one, two, one, two)))
            assert sorted(statuses) == [Appended.MOVED] * 3 + [Appended.OK]


async def test_of_many_with_one_key_one_announces(database: str) -> None:
    async with await PostgresStore.connect(database) as one, await PostgresStore.connect(database) as two:
        bank = FakeBank()
        await enrol(one, bank)
        keys = [f"key {n}" for n in range(10)]
        asked = [announcement(bank.id, 100 * k + n, key=key) for n in range(20) for k, key in enumerate(keys)]
        answers = await asyncio.gather(*((one, two)[n % 2].announce(a) for n, a in enumerate(asked)))
        created = [a for a, answer in zip(asked, answers, strict=True) if answer.outcome is Outcome.CREATED]
        assert sorted(a.idempotency_key or "" for a in created) == keys
        first = {a.idempotency_key: a.response for a in created}
        for a, answer in zip(asked, answers, strict=True):
            assert answer.outcome is Outcome.CREATED or answer.response == first[a.idempotency_key]
        assert len(await read(one, "stays")) == len(await read(one, "instructions")) == 10


async def test_batches_that_lock_each_others_banks_do_not_deadlock(database: str) -> None:
    async with await PostgresStore.connect(database) as one, await PostgresStore.connect(database) as two:
        banks = [await FakeBank(BankId(f"{n:032x}")).build() for n in range(12)]
        for bank in banks:
            await enrol(one, bank)
        size = banks[0].journal.size

        async def grow(n: int, bank: FakeBank, store: PostgresStore) -> None:
            for until in range(1, size + 1):
                await store.instruct(instruction(bank.id, n * 100 + until, adopt()))
                head = await store.head(bank.id)
                assert head is not None
                ops = [store.send_orders(SendOrders(bank.id, ORGANISATION, head.session, T0, T0, 32))]
                if head.size < until:
                    assert await store.append(append_of(head, bank, until)) in (Appended.OK, Appended.MOVED)
                await asyncio.gather(*ops)

        async with asyncio.timeout(30):
            here = [grow(n, bank, one) for n, bank in enumerate(banks)]
            there = [grow(n, bank, two) for n, bank in enumerate(reversed(banks), 50)]
            await asyncio.gather(*here, *there)
        assert {record["size"] for record in await one.fetch("SELECT size FROM banks")} == {size}
        numbers = await one.fetch("SELECT bank, max(number) m, count(number) c FROM instructions GROUP BY 1")
        assert all(record["m"] == record["c"] == 2 * size for record in numbers)


async def test_news_reach_listeners_here_and_elsewhere(database: str) -> None:
    async with await PostgresStore.connect(database) as here, await PostgresStore.connect(database) as there:
        bank = FakeBank()
        await enrol(here, bank)
        near, far = here.listen(Topic.ORDERS), there.listen(Topic.ORDERS)
        waiting = [asyncio.ensure_future(anext(near)), asyncio.ensure_future(anext(far))]
        for n in range(600):  # until the other's LISTEN stands
            await here.announce(announcement(bank.id, n + 1))
            done, _ = await asyncio.wait(waiting, timeout=0.1)
            if len(done) == 2:
                break
        assert [task.result() for task in waiting] == [bank.id, bank.id]


async def test_no_write_of_the_hot_path_notifies(database: str) -> None:
    async with await PostgresStore.connect(database) as store:
        records = await store.fetch("SELECT prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
        assert records and not any("notify" in record["prosrc"].lower() for record in records)
