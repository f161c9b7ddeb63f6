"""The cloud's two stores with the same few rows in them, and one way to read the tables of either."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Protocol

from tests.server.fake_bank import ORGANISATION, PARCEL, PARTY, PERSON, SITE, T0, FakeBank

from latchwork.domain import commands as c
from latchwork.domain.bank import About
from latchwork.domain.words import BankId, Lookup, StayId
from latchwork.server.exchange import Exchange, ServerStore
from latchwork.server.reproject import reproject
from latchwork.store.memory import MemoryStore
from latchwork.store.postgres import PostgresStore
from latchwork.store.queries import load
from latchwork.store.rebuild import Rebuild
from latchwork.store.rows import Announced, Announcement, InstructionRow
from latchwork.sync.codec import body_hash, encode_instruction
from latchwork.sync.exchange import Down, Goodbye

TABLES: dict[str, tuple[str, ...]] = {
    "banks": (
        "organisation", "epoch", "size", "root", "peaks", "session", "orders_last", "divided", "heard_at",
        "appended_at", "software", "boot", "policy_version", "documents",
    ),
    "stays": (
        "id", "organisation", "bank", "service", "party", "thing", "recipient", "label", "tracking", "width_mm",
        "height_mm", "depth_mm", "state", "reason", "compartment", "announced", "presumed", "deadline", "pickup_pass",
        "pickup_n", "pickup_digits", "pickup_generation", "drop_off_pass", "drop_off_n", "drop_off_digits",
        "drop_off_generation", "asked_at", "expected_at", "reserved_at", "deposited_at", "expired_at", "ended_at",
        "epoch", "seq", "linked_to", "in_reach", "fallback",
    ),
    "stay_entries": ("stay", "bank", "epoch", "seq"),
    "compartments": (
        "bank", "id", "width_mm", "height_mm", "depth_mm", "climate", "reach_mm", "state", "why", "door", "claim",
        "stay", "epoch", "seq", "gate", "shelf", "behind", "looked_at",
    ),
    "openings": (
        "id", "bank", "compartment", "purpose", "state", "reason", "why", "by", "instruction", "pass", "claim", "stay",
        "attempts", "wanted_at", "unlocked_at", "opened_at", "closed_at", "epoch", "seq",
    ),
    "passes": (
        "id", "bank", "role", "party", "n", "digits", "generation", "valid_until", "state", "epoch", "seq", "stay",
        "recipient", "daily",
    ),
    "instructions": (
        "id", "bank", "number", "kind", "body", "sha256", "not_after", "state", "refusal", "about", "asked_at",
        "sent_at", "sent_session", "answered_at",
    ),
    "outbox": ("id", "kind", "stay", "person", "bank", "epoch", "seq", "due_at", "tries", "sent_at", "dead"),
    "tasks": ("id", "bank", "kind", "about", "detail", "epoch", "seq", "opened_at", "closed_at"),
    "entries": ("bank", "epoch", "seq", "at", "kind", "raw", "nodes"),
}  # fmt: skip

Table = list[dict[str, Any]]


class Cloud(ServerStore, Protocol):
    async def announce(self, announcement: Announcement, /) -> Announced: ...
    async def instruct(self, row: InstructionRow) -> bool: ...
    async def put_document(self, bank: BankId, name: str, version: int, body: bytes) -> None: ...


async def enrol(cloud: Cloud, bank: FakeBank, organisation: str = ORGANISATION) -> None:
    if isinstance(cloud, MemoryStore):
        cloud.add_bank(bank.id, organisation, bank.public)
        cloud.people.add((organisation, PERSON))
        cloud.parties.add((organisation, PARTY))
        return
    assert isinstance(cloud, PostgresStore)
    await cloud.fetch("INSERT INTO organisations VALUES ($1, 'Org') ON CONFLICT DO NOTHING", organisation)
    await cloud.fetch(
        "INSERT INTO sites VALUES ($1, $2, 'Site', '', 'Europe/Vienna') ON CONFLICT DO NOTHING", SITE, organisation
    )
    await cloud.fetch(
        "INSERT INTO people (id, organisation, site, name) VALUES ($1, $2, $3, 'Ada') ON CONFLICT DO NOTHING",
        PERSON, organisation, SITE,
    )  # fmt: skip
    await cloud.fetch("INSERT INTO parties VALUES ($1, $2, 'DHX') ON CONFLICT DO NOTHING", PARTY, organisation)
    await cloud.fetch(
        "INSERT INTO banks (id, organisation, site, name, device_key) VALUES ($1, $2, $3, 'Wall', $4)",
        bank.id, organisation, SITE, bank.public,
    )  # fmt: skip


async def revoke_key(cloud: Cloud, bank: BankId, at: datetime) -> None:
    if isinstance(cloud, MemoryStore):
        cloud.banks[bank]["key_revoked_at"] = at
    else:
        assert isinstance(cloud, PostgresStore)
        await cloud.fetch("UPDATE banks SET key_revoked_at = $2 WHERE id = $1", bank, at)


async def confirm_recovery(cloud: Cloud, bank: BankId) -> None:
    """A person says that a divided bank shall go on from the cloud's log."""
    if isinstance(cloud, MemoryStore):
        assert cloud.confirm_recovery(bank)
    else:
        assert isinstance(cloud, PostgresStore)
        assert await cloud.fetch(load("recovery")["confirm_recovery"], bank, ORGANISATION, T0, "token")


async def runs(cloud: Cloud, bank: BankId) -> object:
    """What is kept of the configuration that a bank says it runs."""
    if isinstance(cloud, MemoryStore):
        return json.loads(cloud.banks[bank]["configuration"])
    assert isinstance(cloud, PostgresStore)
    (record,) = await cloud.fetch("SELECT configuration FROM banks WHERE id = $1", bank)
    return json.loads(record["configuration"])


async def strays(cloud: Cloud) -> set[bytes]:
    """What is kept of banks' entries that are not of their logs."""
    if isinstance(cloud, MemoryStore):
        return {raw for *_, raw in cloud.strays}
    assert isinstance(cloud, PostgresStore)
    return {record["raw"] for record in await cloud.fetch("SELECT raw FROM strays")}


async def read(cloud: Cloud, table: str) -> Table:
    """Every row, with the columns that both stores have, in an order that does not depend on the store."""
    columns = TABLES[table]
    rows: Table
    if isinstance(cloud, MemoryStore):
        rows = _from_memory(cloud, table)
    else:
        assert isinstance(cloud, PostgresStore)
        quoted = ", ".join(f'"{column}"' for column in columns)
        rows = [dict(record) for record in await cloud.fetch(f"SELECT {quoted} FROM {table}")]
        for row in rows:
            if "documents" in row:
                row["documents"] = json.loads(row["documents"])
    return sorted(({column: row[column] for column in columns} for row in rows), key=repr)


def _from_memory(cloud: MemoryStore, table: str) -> Table:
    if table == "stay_entries":
        return [dict(zip(TABLES[table], row, strict=True)) for row in cloud.stay_entries]
    if table == "entries":
        return [row for log in cloud.logs.values() for row in log]
    rows = list(getattr(cloud, table).values())
    return [{**row, "pass": row["pass_id"]} for row in rows] if table == "openings" else rows


@asynccontextmanager
async def open_cloud(kind: str, dsn: str) -> AsyncIterator[Cloud]:
    if kind == "memory":
        yield MemoryStore()
        return
    async with await PostgresStore.connect(dsn) as store:
        yield store
    await hold_against_the_logs(dsn)


async def hold_against_the_logs(dsn: str) -> None:
    """Whatever a test did to banks, the rows that it leaves are those that `latchwork reproject` would make."""
    async with Rebuild.connect(dsn) as database:
        for bank in await database.banks(None, None):
            outcome = await reproject(database, bank, True, lambda: T0)
            assert not outcome.counts and not outcome.wrong, "\n".join(outcome.lines(True))


def announcement(bank: BankId, n: int, label: str | None = None, key: str | None = None) -> Announcement:
    stay = StayId(f"{n:032x}")
    about = About(PARCEL.id, PARTY, None, PERSON, Lookup(label) if label else None)
    body = encode_instruction(c.Expect(stay, about))
    return Announcement(
        ORGANISATION, key, b"request", 201, b"answer " + stay.encode(), bank, stay, PARCEL.id, PARTY, None, PERSON,
        label, "1Z 999", None, None, None, None, f"{n + 10**9:032x}", body, body_hash(body), None, T0,
    )  # fmt: skip


def instruction(bank: BankId, n: int, body: c.Instruction, not_after: datetime | None = None) -> InstructionRow:
    raw = encode_instruction(body)
    about = getattr(body, "pass_id", None)
    return InstructionRow(
        f"{n:032x}", ORGANISATION, bank, type(body).__name__, raw, body_hash(raw), T0, not_after, about
    )


class Farewelled(Exception):
    """The server said goodbye; its argument is why."""


async def greet(exchange: Exchange, bank: FakeBank) -> Down:
    down = await exchange.greet(bank.hello(), b"nonce")
    if isinstance(down, Goodbye):
        raise Farewelled(down.why)
    if not isinstance(down, Down):
        raise Farewelled("divided")
    await bank.hear(down)
    return down


async def talk(exchange: Exchange, bank: FakeBank) -> int:
    """Both ends say what they have to say until neither has more. How many messages went up."""
    for said in range(1000):
        assert bank.end is not None
        up = bank.up()
        if up is None:
            down = await exchange.deliver(bank.id, bank.end.session)
            if down is None:
                return said
            await bank.hear(down)
            continue
        answer = await exchange.take(bank.id, up)
        if isinstance(answer, Goodbye):
            raise Farewelled(answer.why)
        if answer is not None:
            assert isinstance(answer, Down)
            await bank.hear(answer)
    raise AssertionError("they never fall silent")
