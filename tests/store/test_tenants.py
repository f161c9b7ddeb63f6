"""Organisations are kept apart by the database: every table, as the wrong tenant, as nobody, and as each role."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from tests.server.clouds import announcement, enrol, instruction
from tests.server.fake_bank import ORGANISATION, T0, FakeBank, adopt
from tests.store.test_server_store import append_of, welcomed

from latchwork.domain.words import BankId
from latchwork.store import copies, roles
from latchwork.store.lanes import Connection
from latchwork.store.migrate import migrate
from latchwork.store.postgres import PostgresStore, Scope
from latchwork.store.rows import Appended, Outcome, SendOrders

if TYPE_CHECKING:
    from latchwork.store.postgres import Borrowed

NO_TENANTS = {
    "installation": "the mark of our master secret: one row, which only the server itself reads",
    "guesses": "counted before anybody knows who it is: only the server itself reads it",
    "spent_ceremonies": "answers to questions that were asked before anybody knew whom: only the server itself",
    "schema_migration": "which migrations were applied: only the owner reaches it",
}
"""Tables of which pages and API see nothing, and why."""
BATCHED = {"append_entries", "announce_stays", "send_orders"}
ROLES = (roles.PAGES, roles.LANES, roles.HOUSE, roles.BATCHES)


@dataclass
class Tenant:
    """An organisation with one row in every table, by the place where it lies."""

    letter: str
    rows: dict[str, str] = field(default_factory=dict)

    def value(self, table: str, column: str, kind: str) -> Any:
        named = {"organisation": "organisations", "site": "sites", "bank": "banks", "stay": "stays", "party": "parties"}
        if (table, column) == ("tokens", "party"):
            return None  # only a carrier's or a shop's has one
        if column == "id" or column in named:
            return self.id(table if column == "id" else named[column])
        if kind == "text":
            return f"{self.letter}{secrets.token_hex(8)}"
        return {
            "bytea": secrets.token_bytes(8),
            "timestamp with time zone": T0,
            "jsonb": "{}",
            "boolean": False,
            "date": T0.date(),
        }.get(kind, ord(self.letter))

    def id(self, table: str) -> str:
        return (self.letter + table.encode().hex()).ljust(32, "0")[:32]


A, B = "a", "b"


@pytest.fixture
async def owner(database: str) -> AsyncIterator[Connection]:
    connection: Connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


async def tables(owner: Connection) -> list[str]:
    found = await owner.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    )
    return sorted(row[0] for row in found)


async def columns(owner: Connection, table: str) -> list[tuple[str, str]]:
    """What a row must have, and what says whose it is."""
    found = await owner.fetch(
        """
        SELECT column_name, data_type FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name = $1 AND is_identity = 'NO'
            AND (is_nullable = 'NO' AND column_default IS NULL
                OR column_name IN ('organisation', 'bank', 'stay', 'party'))
        """,
        table,
    )
    return [(row[0], row[1]) for row in found]


async def insert(connection: "Connection | Borrowed", table: str, values: dict[str, Any]) -> str:
    names = ", ".join(f'"{name}"' for name in values)
    places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
    row = await connection.fetch(
        f"INSERT INTO {table} ({names}) VALUES ({places}) RETURNING ctid::text", *values.values()
    )
    return str(row[0][0])


async def settle(owner: Connection, letter: str) -> tuple[Tenant, dict[str, dict[str, Any]]]:
    tenant, given = Tenant(letter), {}
    await owner.execute("SET session_replication_role = replica")  # in any order, so without foreign keys
    for table in set(await tables(owner)) - NO_TENANTS.keys():
        given[table] = {name: tenant.value(table, name, kind) for name, kind in await columns(owner, table)}
        tenant.rows[table] = await insert(owner, table, given[table])
    await owner.execute("SET session_replication_role = DEFAULT")
    return tenant, given


async def test_the_roles_are_what_they_should_be(owner: Connection, database: str) -> None:
    found = await owner.fetch("SELECT * FROM pg_roles WHERE rolname = ANY ($1::text[])", list(ROLES))
    assert {row["rolname"] for row in found} == set(ROLES)
    for row in found:
        for power in ("rolsuper", "rolbypassrls", "rolcreaterole", "rolcreatedb", "rolcanlogin", "rolreplication"):
            assert not row[power], (row["rolname"], power)
    owned = await owner.fetch(
        "SELECT relname FROM pg_class WHERE pg_get_userbyid(relowner) = ANY ($1::text[])", [*ROLES, roles.LOGIN]
    )
    assert owned == []
    for role in ROLES:
        others = [other for other in ROLES if other != role]
        for other in others:
            assert not await owner.fetchval("SELECT pg_has_role($1, $2, 'MEMBER')", role, other)
    by_owner = await owner.fetch("SELECT proname, pg_get_userbyid(proowner) AS by FROM pg_proc WHERE prosecdef")
    assert {row["proname"]: row["by"] for row in by_owner} == dict.fromkeys(BATCHED | {"used"}, roles.BATCHES)
    for role, calls in ((roles.PAGES, {"used"}), (roles.HOUSE, set()), (roles.LANES, BATCHED)):
        may = await owner.fetch(
            "SELECT proname FROM pg_proc WHERE prosecdef AND has_function_privilege($1, oid, 'EXECUTE')", role
        )
        assert {row[0] for row in may} == calls, role
    reachable = await owner.fetch(
        """
        SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
            AND has_table_privilege($1, oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
        """,
        roles.LANES,
    )
    assert reachable == []


async def test_whoever_connects_has_nothing_and_cannot_become_the_owner(owner: Connection, database: str) -> None:
    login: Connection = await asyncpg.connect(await roles.make_login(database))
    try:
        for name in await tables(owner):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await login.fetch(f"SELECT FROM {name}")
        for role in (roles.BATCHES, urlsplit(database).username):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await login.execute(f"SET ROLE {role}")
    finally:
        await login.close()


async def test_the_store_works_as_its_roles(database: str) -> None:
    async with await PostgresStore.connect(await roles.make_login(database)) as store:
        who = "SELECT current_user::text AS who, session_user::text AS login"
        assert tuple((await store.fetch(who))[0]) == (roles.HOUSE, roles.LOGIN)
        assert tuple((await store.fetch(who, scope=Scope("a1")))[0]) == (roles.PAGES, roles.LOGIN)
        lane = await store._connection(roles.LANES)
        assert tuple((await lane.fetch(who))[0]) == (roles.LANES, roles.LOGIN)
        await lane.close()


async def test_every_table_is_kept_apart_or_says_why_not(owner: Connection) -> None:
    for table in await tables(owner):
        row = await owner.fetchrow(
            "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = $1::text::regclass", table
        )
        assert row is not None
        pages = await owner.fetchval(
            "SELECT count(*) FROM pg_policies WHERE tablename = $1 AND $2 = ANY (roles)", table, roles.PAGES
        )
        granted = await owner.fetchval(
            "SELECT has_table_privilege($1, $2::text::regclass, 'SELECT, INSERT, UPDATE, DELETE')", roles.PAGES, table
        )
        if table in NO_TENANTS:
            assert not granted and not pages, f"{table} is reached by pages, though {NO_TENANTS[table]}"
        else:
            assert all(row), f"{table}: say whose its rows are, by keep_apart in its migration"
            assert pages and granted, f"{table}: no page sees it; give the reason in NO_TENANTS"


async def test_the_wrong_tenant_and_nobody_find_nothing_in_any_table(owner: Connection, database: str) -> None:
    (ours, given), (theirs, _) = await settle(owner, A), await settle(owner, B)
    async with await PostgresStore.connect(await roles.make_login(database)) as store:
        mine, other = Scope(ours.id("organisations")), Scope(theirs.id("organisations"))
        for table in sorted(ours.rows):
            everything = f"SELECT ctid::text FROM {table}"
            assert [row[0] for row in await store.fetch(everything, scope=mine)] == [ours.rows[table]], table
            assert [row[0] for row in await store.fetch(everything, scope=other)] == [theirs.rows[table]], table
            assert await store.fetch(everything, scope=Scope("0" * 32)) == [], table
            async with store._pages.acquire() as nobody:
                assert await nobody.fetch(everything) == [], f"{table}: without a word of whom one acts for"
            assert len(await store.fetch(everything)) == 2, f"{table}: the server itself sees all"

            column = next(iter(given[table]))
            for change in (f'UPDATE {table} SET "{column}" = "{column}"', f"DELETE FROM {table}"):
                try:
                    assert await store.fetch(f"{change} RETURNING ctid", scope=Scope("0" * 32)) == [], (table, change)
                except asyncpg.InsufficientPrivilegeError:
                    continue  # pages may not do that to anybody's
                assert (
                    await store.fetch(f"{change} WHERE ctid = '{ours.rows[table]}' RETURNING ctid", scope=other) == []
                )
            async with store.borrowed(other) as connection:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await insert(connection, table, given[table])
                await connection.execute("ROLLBACK")


async def test_nothing_of_a_scope_stays_in_the_connection(database: str) -> None:
    async with await PostgresStore.connect(await roles.make_login(database)) as store:
        asked = "SELECT tenant() AS who"
        assert (await store.fetch(asked, scope=Scope("a1")))[0]["who"] == "a1"
        with pytest.raises(asyncpg.DivisionByZeroError):
            await store.fetch("SELECT 1 / 0", scope=Scope("a2"))
        slow = asyncio.create_task(store.fetch("SELECT pg_sleep(30)", scope=Scope("a3")))
        await asyncio.sleep(0.05)
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        async with store._pages.acquire() as connection:
            assert not connection.is_in_transaction()
            assert (await connection.fetch(asked))[0]["who"] is None


async def test_lanes_compare_the_organisation_of_each_operation_with_the_banks_own(database: str) -> None:
    banks = [await FakeBank(id=BankId(f"{n:032x}")).build() for n in (1, 2)]
    organisations = (ORGANISATION, "f" * 32)
    async with await PostgresStore.connect(await roles.make_login(database), lanes=1) as store:
        for bank, organisation in zip(banks, organisations, strict=True):
            await enrol(store, bank, organisation)
            assert await store.instruct(
                replace(instruction(bank.id, int(bank.id, 16), adopt()), organisation=organisation)
            )
        heads = [await welcomed(store, bank) for bank in banks]
        # One lane: what is asked at once goes as one batch.
        wrong = [
            append_of(head, bank, 2, other)
            for head, bank, other in zip(heads, banks, reversed(organisations), strict=True)
        ]
        right = append_of(heads[0], banks[0], 2)
        said = await asyncio.gather(store.append(wrong[1]), store.append(right))
        assert list(said) == [Appended.UNKNOWN_BANK, Appended.OK]
        assert (await store.fetch("SELECT DISTINCT bank FROM entries"))[0][0] == banks[0].id

        def send(bank: FakeBank, organisation: str) -> SendOrders:
            return SendOrders(bank.id, organisation, 1, T0, T0 - timedelta(seconds=10), 32)

        sent = await asyncio.gather(
            store.send_orders(send(banks[0], ORGANISATION)), store.send_orders(send(banks[1], ORGANISATION))
        )
        assert [len(orders) for orders in sent] == [1, 0]
        asked = [announcement(bank.id, 7 + n) for n, bank in enumerate(banks)]
        told = await asyncio.gather(*(store.announce(each) for each in asked))
        assert [each.outcome for each in told] == [Outcome.CREATED, Outcome.UNKNOWN_BANK]


async def test_a_user_who_may_not_make_roles_is_told_what_an_administrator_runs(
    owner: Connection, empty_database: str
) -> None:
    user = f"limited_{os.getpid()}"
    url = urlsplit(empty_database)
    name = url.path.lstrip("/")
    dsn = urlunsplit(url._replace(netloc=f"{user}:pw@{url.netloc.rpartition('@')[2]}"))
    await owner.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'pw'")
    await owner.execute(f"ALTER DATABASE {name} OWNER TO {user}")
    try:
        with pytest.raises(roles.NoRoles, match="latchwork server --roles-sql USER"):
            await migrate(dsn)
        await owner.execute(roles.script(user))
        assert await migrate(dsn)
        async with await PostgresStore.connect(dsn) as store:
            bank = await FakeBank().build()
            await enrol(store, bank)
            assert await store.append(append_of(await welcomed(store, bank), bank, 2)) is Appended.OK
        assert await asyncio.to_thread(_sizes, dsn) == [2]
    finally:
        await owner.execute(f"ALTER DATABASE {name} OWNER TO CURRENT_USER")
        admin: Connection = await asyncpg.connect(empty_database)
        await admin.execute(f"REASSIGN OWNED BY {user} TO CURRENT_USER; DROP OWNED BY {user}; DROP ROLE {user}")
        await admin.close()


def _sizes(dsn: str) -> list[int | None]:
    with copies.cloud(dsn) as cloud:
        return [log.size for log in cloud.logs()]
