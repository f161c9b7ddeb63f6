"""`latchwork reproject` on a real database: what was damaged, what was not understood, and what is spared."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
import pytest
from tests.server.clouds import announcement, enrol
from tests.server.fake_bank import ORGANISATION, T0, FakeBank
from tests.server.test_exchange import connected, whole_story
from tests.store.test_server_store import append_of, welcomed

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain.words import BankId, CompartmentId, CompartmentState, InstructionId, OpeningId, Reason
from latchwork.main import main
from latchwork.server import projections
from latchwork.server.reproject import reproject
from latchwork.store.postgres import PostgresStore
from latchwork.store.rebuild import Head, Rebuild
from latchwork.store.rows import Append, Appended
from latchwork.sync.codec import encode_entry, read_envelope, read_instruction

Reproject = Callable[..., Awaitable[tuple[int, str]]]
Dump = dict[str, list[dict[str, Any]]]

TABLES = ("banks", "stays", "stay_entries", "compartments", "openings", "passes", "instructions", "tasks", "outbox")
DAMAGE = (
    "UPDATE stays SET state = 'blocked', ended_at = NULL, pickup_n = 9, deadline = now() WHERE seq IS NOT NULL",
    "UPDATE stays SET epoch = 9 WHERE asked_at IS NULL",
    "UPDATE stays SET service = 'x', party = NULL, width_mm = 1, announced = true WHERE asked_at IS NULL",
    "UPDATE compartments SET state = 'vacant', why = 'x', stay = 'y', width_mm = 7, epoch = 9 WHERE id <> '02'",
    "DELETE FROM compartments WHERE id = '02'",
    "INSERT INTO compartments (bank, id, epoch, seq) SELECT id, '99', 1, 1 FROM banks",
    "UPDATE openings SET attempts = 9, closed_at = NULL, purpose = 'check'",
    "DELETE FROM openings WHERE id = (SELECT min(id) FROM openings)",
    "DELETE FROM stay_entries WHERE seq % 2 = 0",
    "INSERT INTO stay_entries SELECT 'nobody', id, 1, 1 FROM banks",
    "UPDATE passes SET state = 'revoked', n = NULL, seq = 900 WHERE seq IS NOT NULL",
    "UPDATE instructions SET state = 'done', refusal = NULL WHERE state = 'refused'",
    "UPDATE instructions SET answered_at = now() WHERE state = 'done'",
    "UPDATE banks SET policy_version = 7, orders_last = 0",
)
ADMINISTRATION = (
    "UPDATE stays SET tracking = 'a word', reminded_to = now(), fallback = 'none'",
    "UPDATE openings SET told_at = opened_at",
    "UPDATE passes SET holder = 'Ada'",
    "UPDATE tasks SET closed_at = now(), closed_by = 'me', closed_why = 'seen', told_at = now()",
    "DELETE FROM outbox WHERE kind = 'collected'",
    "UPDATE outbox SET sent_at = now()",
)


@pytest.fixture
def command(database: str, capsys: pytest.CaptureFixture[str]) -> Reproject:
    async def run(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        status = await asyncio.to_thread(main, ["reproject", "--database", database, *words])
        said = capsys.readouterr()
        return status, said.out + said.err

    return run


async def dump(store: PostgresStore) -> Dump:
    rows = {name: await store.fetch(f"SELECT to_jsonb(x)::text FROM {name} x ORDER BY 1") for name in TABLES}
    return {name: [json.loads(record[0]) for record in records] for name, records in rows.items()}


async def damage_and_make_again(dsn: str) -> None:
    async with await PostgresStore.connect(dsn) as store:
        await store.fetch("UPDATE openings SET told_at = opened_at")
        whole = await dump(store)
        for statement in DAMAGE:
            await store.fetch(statement)
        assert await dump(store) != whole
        async with Rebuild.connect(dsn) as database:
            for bank in await database.banks(None, None):
                assert (await reproject(database, bank, False, lambda: T0)).counts
        assert await dump(store) == whole


async def test_rows_are_made_again_and_administration_is_spared(database: str, command: Reproject) -> None:
    async with await PostgresStore.connect(database) as store:
        bank = await whole_story(store)
        for statement in ADMINISTRATION:
            await store.fetch(statement)
        whole = await dump(store)
        status, said = await command("--check")
        assert (status, said.splitlines()[0]) == (
            0,
            f"bank {bank.id}: {bank.journal.size} entries; all rows are as they say.",
        )
        for statement in DAMAGE:
            await store.fetch(statement)
        damaged = await dump(store)
        status, said = await command("--check", "--bank", bank.id)
        assert status == 1 and "compartments 99: is there, and no entry explains it" in said
        assert (
            "compartments 02: is missing" in said
            and "1 of passes" in said
            and "width_mm is 7, the log says 400" in said
        )
        assert await dump(store) == damaged, "--check writes nothing"
        status, again = await command("--organisation", ORGANISATION)
        assert (status, again) == (0, said.replace("differed.", "differed, and were put right."))
        assert await dump(store) == whole
        assert (await command("--check"))[0] == 0
        assert await command("--bank", "f" * 32) == (2, "latchwork reproject: there is no such bank.\n")
    connection = await asyncpg.connect(database)
    await connection.execute("UPDATE schema_migration SET sha256 = 'x' WHERE number = 0")
    await connection.close()
    status, said = await command()
    assert status == 2 and "The database is an earlier version's." in said


async def test_what_an_earlier_version_could_not_read_is_made_by_a_later_one(database: str, command: Reproject) -> None:
    async with await PostgresStore.connect(database) as store:
        _, bank, _ = await connected(store)
        door, known = CompartmentId("03"), bank.journal.size
        stay, asked = await bank.deposit(), announcement(bank.id, 7)
        await store.announce(asked)
        expect = read_instruction(asked.instruction_body)
        told = (InstructionId(asked.instruction), asked.instruction_sha256, expect, T0, bank.offer())
        await bank.do(c.Instructed(3, *told))
        for body in (
            e.NotOpened(OpeningId("6" * 32), door, Reason.COMPARTMENT_BROKEN, CompartmentState.NEEDS_CHECK),
            e.Checked(door, CompartmentState.VACANT),
        ):
            await bank.write(encode_entry(e.Entry(bank.id, 1, bank.journal.size, T0, body)))
        await bank.write(msgspec.json.encode([7, bank.id, 1, bank.journal.size, T0, "Levitated", {}]))
        for seq in range(known, bank.journal.size):
            append = append_of(await welcomed(store, bank), bank, seq + 1)
            (raw,) = bank.journal.entries(seq, seq + 1)
            kind = read_envelope(raw).kind
            if kind in ("Answered", "Checked", "Stored"):  # in the eyes of an earlier version
                made = projections.bare(ORGANISATION, raw, append.rows.entries[0].nodes, T0, "unknown kind")
                append = Append(append.operation, made)
            assert await store.append(append) is Appended.OK
        open_tasks = "SELECT kind, about FROM tasks WHERE closed_at IS NULL ORDER BY 1, 2"
        unread = [("unreadable_entry", kind) for kind in ("Answered", "Checked", "Levitated", "Stored")]
        assert [tuple(r) for r in await store.fetch(open_tasks)] == [("not_opened", "03"), *unread]
        await store.fetch(DAMAGE[5])
        status, said = await command()
        assert status == 0 and "1 entries of kind Levitated cannot be read by this version" in said
        assert "Rows that no entry explains were left" in said
        await store.fetch("DELETE FROM compartments WHERE id = '99'")
        (row,) = await store.fetch("SELECT state, pickup_pass FROM stays WHERE id = $1", stay)
        assert row["state"] == "deposited" and row["pickup_pass"] is not None
        (row,) = await store.fetch("SELECT state, number FROM instructions WHERE id = $1", asked.instruction)
        assert row["state"] == "done" and await store.fetch("SELECT FROM stays WHERE id = $1 AND seq > 0", asked.stay)
        assert [tuple(r) for r in await store.fetch(open_tasks)] == [("unreadable_entry", "Levitated")]
        assert [r["kind"] for r in await store.fetch("SELECT kind FROM outbox WHERE sent_at IS NULL")] == ["ready"]
        again = await dump(store)
        await store.fetch("UPDATE outbox SET sent_at = now()")
        await store.fetch("DELETE FROM outbox")
        await store.fetch("DELETE FROM stay_entries")
        assert (await command())[0] == 0
        assert await dump(store) == again | {"outbox": []}, "nobody is told twice"


class Meanwhile(Rebuild):
    """Something happens between looking and putting right, and just before what was put right is kept."""

    between: Callable[[], Awaitable[object]]
    before_the_end: Callable[[], Awaitable[object]]

    @asynccontextmanager
    async def mending(self, bank: str) -> AsyncIterator[Head]:
        await self.between()
        async with super().mending(bank) as head:
            yield head
            await self.before_the_end()


async def test_a_bank_may_speak_meanwhile_and_who_dies_leaves_what_was(database: str, command: Reproject) -> None:
    async with await PostgresStore.connect(database) as store:
        bank = await whole_story(store)
        for statement in ADMINISTRATION:
            await store.fetch(statement)

        async def speak() -> None:
            await bank.write(encode_entry(e.Entry(bank.id, 1, bank.journal.size, T0, LATE)))
            append = append_of(await welcomed(store, bank), bank, bank.journal.size)
            assert await store.append(append) is Appended.OK

        async def die() -> None:
            raise ConnectionAbortedError

        async def live() -> None:
            pass

        await store.fetch(DAMAGE[3])
        await store.fetch(DAMAGE[6])
        damaged = await dump(store)
        async with Meanwhile.connect(database) as doomed:
            doomed.between, doomed.before_the_end = live, die
            with pytest.raises(ConnectionAbortedError):
                await reproject(doomed, bank.id, False, lambda: T0)
        assert await dump(store) == damaged
        async with Meanwhile.connect(database) as lucky:
            lucky.between, lucky.before_the_end = speak, live
            outcome = await reproject(lucky, bank.id, False, lambda: T0)
        assert set(outcome.counts) == {"compartments", "openings"} and outcome.entries == bank.journal.size
        assert (await command("--check"))[0] == 0
        (row,) = await store.fetch("SELECT state FROM compartments WHERE id = '01'")
        assert row["state"] == "out_of_service"

        async def erase() -> None:
            erasing.append(asyncio.create_task(store.fetch(ERASURE)))
            looking = await asyncpg.connect(database)
            async with asyncio.timeout(60):
                while not await looking.fetch(WAITING):
                    await asyncio.sleep(0.01)
            await looking.close()

        erasing: list[asyncio.Task[list[asyncpg.Record]]] = []
        for statement in (DAMAGE[0], DAMAGE[10]):
            await store.fetch(statement)
        async with Meanwhile.connect(database) as slow:
            slow.between, slow.before_the_end = live, erase
            outcome = await reproject(slow, bank.id, False, lambda: T0)
        assert {"stays", "passes"} <= set(outcome.counts)
        await erasing[0]
        assert await store.fetch("SELECT tracking FROM stays WHERE tracking IS NOT NULL") == []
        assert await store.fetch("SELECT holder FROM passes WHERE holder IS NOT NULL") == []
        assert (await command("--check"))[0] == 0


ERASURE = "WITH numbers AS (UPDATE stays SET tracking = NULL) UPDATE passes SET holder = NULL"
WAITING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
LATE = e.Withdrawn({CompartmentId("01"): CompartmentState.OUT_OF_SERVICE}, True)


async def test_a_log_that_is_not_whole_is_not_believed(database: str, command: Reproject) -> None:
    async with await PostgresStore.connect(database) as store:
        bank = await whole_story(store)
        other = await FakeBank(BankId("9" * 32)).build()
        await enrol(store, other)
        before = await dump(store)
        await store.fetch("UPDATE entries SET raw = 'x' WHERE bank = $1 AND seq = 6", bank.id)
        status, said = await command()
        assert status == 1 and f"bank {bank.id}: NOT looked at: 1/6 is not an entry: " in said
        await store.fetch("DELETE FROM entries WHERE bank = $1 AND seq = 5", bank.id)
        status, said = await command()
        assert status == 1 and f"bank {bank.id}: NOT looked at: an entry is missing before 1/6" in said
        assert f"bank {other.id}: 0 entries; all rows are as they say" in said
        await store.fetch("DELETE FROM entries WHERE bank = $1 AND seq >= 5", bank.id)
        status, said = await command("--bank", bank.id)
        assert status == 1 and f"should end with entry 1/{bank.journal.size - 1}" in said
        assert await dump(store) == before
