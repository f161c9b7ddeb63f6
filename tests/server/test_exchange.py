"""Two real ends of the conversation, over each of the cloud's stores."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.server.clouds import (
    TABLES,
    Cloud,
    Farewelled,
    announcement,
    enrol,
    greet,
    instruction,
    open_cloud,
    read,
    revoke_key,
    talk,
)
from tests.server.fake_bank import COURIER, PARCEL, PARTY, T0, FakeBank, adopt

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain.bank import About
from latchwork.domain.words import (
    BankId,
    CompartmentId,
    DoorState,
    InstructionId,
    OpeningId,
    PersonId,
    Reason,
    Role,
    StayId,
)
from latchwork.server.exchange import Exchange
from latchwork.store.memory import MemoryStore
from latchwork.store.postgres import PostgresStore
from latchwork.store.rows import Append, Appended, Failed, Unavailable
from latchwork.sync.codec import encode_entry
from latchwork.sync.exchange import Ask, Down, Goodbye, Hello, Up


class Clock:
    def __init__(self) -> None:
        self.now = T0

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(params=["memory", "postgres"])
async def cloud(request: pytest.FixtureRequest) -> AsyncIterator[Cloud]:
    dsn = request.getfixturevalue("database") if request.param == "postgres" else ""
    async with open_cloud(request.param, dsn) as store:
        yield store


async def connected(cloud: Cloud, bank: FakeBank | None = None) -> tuple[Exchange, FakeBank, Clock]:
    clock = Clock()
    exchange = Exchange(cloud, clock)
    bank = await (bank or FakeBank()).build()
    await enrol(cloud, bank)
    await cloud.instruct(instruction(bank.id, 1, adopt()))
    await cloud.instruct(instruction(bank.id, 2, c.GrantPass(COURIER, Role.COURIER, PARTY)))
    await greet(exchange, bank)
    await talk(exchange, bank)
    return exchange, bank, clock


async def whole_story(cloud: Cloud) -> FakeBank:
    exchange, bank, clock = await connected(cloud)
    first = announcement(bank.id, 7, label="1" * 32)
    await cloud.announce(first)
    await cloud.announce(announcement(bank.id, 8))
    assert await exchange.deliver(bank.id, 99) is None
    await talk(exchange, bank)
    stay = await bank.deposit(StayId(first.stay))
    await talk(exchange, bank)
    await bank.collect(stay)
    await talk(exchange, bank)

    # Somebody puts in what nobody announced; its announcement comes after it.
    surprise = await bank.deposit(label="2" * 32)
    await cloud.announce(announcement(bank.id, 9, label="2" * 32))
    clock.now += timedelta(minutes=1)
    await talk(exchange, bank)
    bank.now += timedelta(hours=80)
    await bank.do(c.Tick())
    opened = c.Open(
        OpeningId("6" * 32),
        CompartmentId("03"),
        Reason.INSPECTION,
        PersonId("e" * 32),
        clock.now + timedelta(minutes=1),
    )
    await cloud.instruct(instruction(bank.id, 3, opened, opened.not_after))
    await talk(exchange, bank)
    await bank.swing()
    await bank.do(c.See({CompartmentId("03"): DoorState.OPEN}))
    await bank.do(c.See({CompartmentId("03"): DoorState.CLOSED}))
    await talk(exchange, bank)
    assert surprise in bank.bank.stays
    return bank


async def test_both_stores_tell_the_same_story(database: str) -> None:
    tables = []
    for kind in ("memory", "postgres"):
        async with open_cloud(kind, database) as cloud:
            await whole_story(cloud)
            tables.append({name: await read(cloud, name) for name in TABLES})
    for name in TABLES:
        assert tables[0][name] == tables[1][name], name
    story = tables[0]
    states = {row["id"]: (row["state"], row["linked_to"]) for row in story["stays"]}
    assert states[f"{7:032x}"] == ("collected", None)
    assert states[f"{8:032x}"] == ("expected", None)
    state, surprise = states[f"{9:032x}"]
    assert (state, states[surprise]) == ("expected", ("expired", None))
    held = next(row for row in story["stays"] if row["id"] == surprise)
    assert held["tracking"] == "1Z 999" and held["deposited_at"] and held["expired_at"] and held["pickup_pass"]
    assert sorted(row["kind"] for row in story["outbox"]) == ["collected", "expired", "ready", "ready"]
    assert [row["kind"] for row in story["tasks"]] == ["forced_door"]
    doors = {row["id"]: (row["state"], row["stay"], row["door"]) for row in story["compartments"]}
    assert doors["01"] == ("occupied", surprise, "closed")
    assert doors["03"] == ("needs_check", None, "closed")
    assert {row["state"] for row in story["instructions"]} == {"done", "refused"}
    assert [row["state"] for row in story["passes"]] == ["live"]
    assert {row["state"] for row in story["openings"]} == {"shut"}


async def test_the_copy_is_the_log(cloud: Cloud) -> None:
    bank = await whole_story(cloud)
    log = sorted(await read(cloud, "entries"), key=lambda row: int(row["seq"]))
    assert [row["raw"] for row in log] == list(bank.journal.load())
    head = await cloud.head(bank.id)
    assert head is not None and (head.size, head.root) == (bank.journal.size, bank.frontier.root())


async def test_who_may_not_speak(cloud: Cloud) -> None:
    exchange, bank, clock = await connected(cloud)
    hello = bank.hello()
    stranger = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
    refused = {
        "unknown_bank": replaced(hello, bank=BankId("f" * 32)),
        "wrong_key": replaced(hello, key=stranger.public_key().public_bytes_raw()),
        "malformed": replaced(hello, epoch=2**40),
    }
    for why, wrong in refused.items():
        assert await exchange.greet(wrong, b"nonce") == Goodbye(why)
    assert await exchange.greet(hello, b"another nonce") == Goodbye("wrong_key")
    clock.now += timedelta(hours=1)
    assert await exchange.greet(refused["wrong_key"], b"nonce") == Goodbye("wrong_key")
    assert [task["kind"] for task in await read(cloud, "tasks")] == ["wrong_key"]
    head = await cloud.head(bank.id)
    assert head is not None and head.session == 1
    await revoke_key(cloud, bank.id, clock.now)
    assert await exchange.greet(hello, b"nonce") == Goodbye("revoked_key")


async def test_the_newer_connection_is_the_one_that_counts(cloud: Cloud) -> None:
    exchange, bank, clock = await connected(cloud)
    await bank.do(c.DoubtClock())
    old = bank.up()
    assert old is not None
    elsewhere = Exchange(cloud, clock)
    await greet(elsewhere, bank)
    assert await exchange.take(bank.id, old) == Goodbye("superseded")
    await talk(elsewhere, bank)
    assert await exchange.take(bank.id, old) == Goodbye("superseded")
    head = await cloud.head(bank.id)
    assert head is not None and (head.session, head.size) == (2, bank.journal.size)


async def test_a_gap_is_answered_with_how_far_we_are(cloud: Cloud) -> None:
    exchange, bank, _ = await connected(cloud)
    size = bank.journal.size
    await bank.do(c.DoubtClock())
    await bank.do(c.TrustClock())
    up = bank.up()
    assert up is not None
    answer = await exchange.take(bank.id, replaced(up, start=up.start + 1, entries=up.entries[1:]))
    assert isinstance(answer, Down) and (answer.size, answer.re) == (size, up.n)
    await bank.hear(answer)
    await talk(exchange, bank)
    head = await cloud.head(bank.id)
    assert head is not None and head.size == size + 2


@pytest.mark.parametrize(("number", "differs"), [(3, False), (3, True), (4, False)])
async def test_an_answer_to_something_else_than_was_asked_is_a_task(cloud: Cloud, number: int, differs: bool) -> None:
    exchange, bank, _ = await connected(cloud)
    asked = announcement(bank.id, 7)
    await cloud.announce(asked)
    assert bank.end is not None
    down = await exchange.deliver(bank.id, bank.end.session)
    assert down is not None and [order.number for order in down.orders] == [3]
    hashed = "0" * 64 if differs else asked.instruction_sha256
    answer = e.Answered(number, InstructionId(asked.instruction), hashed)
    await bank.write(encode_entry(e.Entry(bank.id, 1, bank.journal.size, T0, answer)))
    bank.bank = replace(bank.bank, seq=bank.journal.size)
    await talk(exchange, bank)
    wrong = [(row["kind"], row["about"]) for row in await read(cloud, "tasks")]
    assert wrong == ([("instruction_mismatch", asked.instruction)] if differs or number != 3 else [])


async def test_what_is_repeated_must_be_the_same(cloud: Cloud) -> None:
    exchange, bank, _ = await connected(cloud)
    await bank.do(c.DoubtClock())
    up = bank.up()
    assert up is not None
    for _ in range(2):  # the second time all of it is known
        answer = await exchange.take(bank.id, up)
        assert isinstance(answer, Down) and answer.size == bank.journal.size
    other = replaced(up, entries=(up.entries[0].replace(b"null", b"1.50"),))
    assert other.entries != up.entries
    assert await exchange.take(bank.id, other) == Goodbye("divided")
    assert [task["kind"] for task in await read(cloud, "tasks")] == ["divided"]
    assert isinstance(await exchange.greet(bank.hello(), b"nonce"), Ask)
    assert len(await read(cloud, "tasks")) == 1


async def test_a_bank_restored_from_an_old_image_is_divided(cloud: Cloud) -> None:
    exchange, bank, _ = await connected(cloud)
    old = await FakeBank().build()
    await cloud.announce(announcement(bank.id, 7))
    assert old.journal.size < bank.journal.size
    down = await greet(exchange, old)
    assert not down.orders, "nothing goes down while it is in doubt"
    with pytest.raises(Farewelled, match="divided"):
        await talk(exchange, old)
    assert [task["kind"] for task in await read(cloud, "tasks")] == ["divided"]


async def test_an_old_hello_that_comes_late_divides_nothing(cloud: Cloud) -> None:
    exchange, bank, clock = await connected(cloud)
    late = bank.hello()
    await greet(exchange, bank)
    await bank.do(c.DoubtClock())
    await talk(exchange, bank)
    assert isinstance(await Exchange(cloud, clock).greet(late, b"nonce"), Down)
    await greet(exchange, bank)
    await talk(exchange, bank)
    assert await read(cloud, "tasks") == []


async def test_another_history_of_the_same_length_is_divided(cloud: Cloud) -> None:
    exchange, bank, _ = await connected(cloud)
    await bank.do(c.DoubtClock())
    await talk(exchange, bank)
    twin = FakeBank()
    twin.fresh_ids = 500
    for raw in bank.journal.entries(0, bank.journal.size - 1):
        await twin.write(raw)
    twin.bank = bank.bank
    await twin.write(encode_entry(e.Entry(bank.id, 1, bank.journal.size - 1, T0, e.ClockConfirmed())))
    with pytest.raises(Farewelled, match="divided"):
        await greet(exchange, twin)


async def test_nonsense_is_not_stored(cloud: Cloud) -> None:
    exchange, bank, _ = await connected(cloud)
    size = bank.journal.size
    assert bank.end is not None
    await bank.write(b"[1, 2, 3]")
    up = bank.end.up(size, [b"[1, 2, 3]"], bank.frontier.root(), {})
    assert await exchange.take(bank.id, up) == Goodbye("malformed")
    head = await cloud.head(bank.id)
    assert head is not None and head.size == size


async def test_an_unknown_kind_is_stored_and_becomes_a_task(cloud: Cloud) -> None:
    exchange, bank, _ = await connected(cloud)
    seq = bank.journal.size
    raw = msgspec.json.encode([7, bank.id, 1, seq, T0, "Levitated", {"height_mm": 3}])
    await bank.write(raw)
    assert bank.end is not None
    answer = await exchange.take(bank.id, bank.end.up(seq, [raw], bank.frontier.root(), {}))
    assert isinstance(answer, Down) and answer.size == seq + 1
    (task,) = await read(cloud, "tasks")
    assert (task["kind"], task["about"]) == ("unreadable_entry", "Levitated")


async def test_an_entry_that_no_column_can_hold_or_that_contradicts_itself_is_stored_and_becomes_a_task(
    database: str,
) -> None:
    async with await PostgresStore.connect(database) as cloud:
        exchange, bank, _ = await connected(cloud)
        seq = bank.journal.size
        bodies: tuple[e.Body, ...] = (
            e.Adopted(2**60, adopt().policy),
            e.Expected(StayId("".join(f"{7**n:x}" for n in range(160))), About(PARCEL.id)),
            e.ItemSensed({}, (CompartmentId("01"),)),
            e.ClockDoubted(),
        )
        raws = [encode_entry(e.Entry(bank.id, 1, seq + i, T0, body)) for i, body in enumerate(bodies)]
        for raw in raws:
            await bank.write(raw)
        assert bank.end is not None
        answer = await exchange.take(bank.id, bank.end.up(seq, raws, bank.frontier.root(), {}))
        assert isinstance(answer, Down) and answer.size == seq + len(raws)
        assert [task["kind"] for task in await read(cloud, "tasks")] == ["unreadable_entry"] * 3
        head = await cloud.head(bank.id)
        assert head is not None and head.root == bank.frontier.root()


async def test_instructions_go_down_in_order_until_they_are_answered(cloud: Cloud) -> None:
    exchange, bank, clock = await connected(cloud)
    assert bank.end is not None
    session = bank.end.session
    for n in (10, 11, 12):
        await cloud.announce(announcement(bank.id, n))
    down = await exchange.deliver(bank.id, session)
    assert down is not None and [order.number for order in down.orders] == [3, 4, 5]
    assert await exchange.deliver(bank.id, session) is None, "one unanswered message at a time"

    # The line breaks before the bank hears of it; what is new comes after what was sent.
    await cloud.announce(announcement(bank.id, 13))
    again = await greet(exchange, bank)
    assert [order.number for order in again.orders] == [3, 4, 5, 6]
    assert [order.id for order in again.orders[:3]] == [order.id for order in down.orders]
    await talk(exchange, bank)
    assert {row["state"] for row in await read(cloud, "instructions")} == {"done"}
    assert bank.bank.instructions_through == 6
    clock.now += timedelta(hours=1)
    assert await exchange.deliver(bank.id, bank.end.session) is None


async def test_an_unanswered_instruction_goes_down_again_after_a_while(cloud: Cloud) -> None:
    exchange, bank, clock = await connected(cloud)
    assert bank.end is not None
    await cloud.announce(announcement(bank.id, 10))
    first = await exchange.deliver(bank.id, bank.end.session)
    assert first is not None
    await exchange.take(bank.id, bank.end.up(bank.journal.size, [], bank.frontier.root(), {}))
    deaf = replaced(bank.end.up(bank.journal.size, [], bank.frontier.root(), {}), re=first.n)
    assert await exchange.take(bank.id, deaf) is None
    assert await exchange.deliver(bank.id, bank.end.session) is None
    clock.now += timedelta(seconds=11)
    again = await exchange.deliver(bank.id, bank.end.session)
    assert again is not None and again.orders == first.orders


async def test_an_opening_that_expired_unsent_goes_down_void(cloud: Cloud) -> None:
    exchange, bank, clock = await connected(cloud)
    until = clock.now + timedelta(seconds=30)
    body = c.Open(OpeningId("6" * 32), CompartmentId("01"), Reason.OTHER, PersonId("e" * 32), until)
    await cloud.instruct(instruction(bank.id, 3, body, until))
    clock.now = until
    await talk(exchange, bank)
    row = next(row for row in await read(cloud, "instructions") if row["kind"] == "Open")
    assert (row["state"], row["refusal"]) == ("void", "expired")
    assert await read(cloud, "openings") == []


async def test_a_server_restored_from_a_backup_learns_the_rest_again(cloud: Cloud) -> None:
    """Its copy is shorter, an answered instruction is unknown to it, and its next number is taken already."""
    exchange, bank, _ = await connected(MemoryStore())
    exchange_lost, lost = exchange, exchange._store
    assert isinstance(lost, MemoryStore)
    await lost.announce(announcement(bank.id, 7))
    await talk(exchange_lost, bank)
    stay = await bank.deposit(StayId(f"{7:032x}"))
    await talk(exchange_lost, bank)

    await enrol(cloud, bank)
    exchange = Exchange(cloud, Clock())
    await cloud.announce(announcement(bank.id, 8))
    await greet(exchange, bank)
    await talk(exchange, bank)
    restored = {row["number"]: row for row in await read(cloud, "instructions")}
    assert {number: row["state"] for number, row in restored.items()} == dict.fromkeys((1, 2, 3, 4), "done")
    assert restored[4]["about"] == f"{8:032x}" and restored[1]["kind"] is None
    stays = {row["id"]: row["state"] for row in await read(cloud, "stays")}
    assert stays[stay] == "deposited"
    assert [row["kind"] for row in await read(cloud, "outbox")] == ["ready"]
    before = {row["id"] for row in await read(lost, "outbox")}
    assert {row["id"] for row in await read(cloud, "outbox")} == before, "the same notice has the same id"


async def test_a_restored_server_reads_the_answers_before_it_asks_again(cloud: Cloud) -> None:
    exchange, bank, _ = await connected(MemoryStore())
    before = exchange._store
    assert isinstance(before, MemoryStore)
    await before.announce(announcement(bank.id, 7))
    await talk(exchange, bank)

    await enrol(cloud, bank)
    await cloud.announce(announcement(bank.id, 7))  # in the backup it was asked, and not sent yet
    exchange = Exchange(cloud, Clock())
    assert (await greet(exchange, bank)).orders == ()
    await talk(exchange, bank)
    (asked,) = (row for row in await read(cloud, "instructions") if row["kind"] == "Expect")
    assert (asked["state"], asked["sent_at"]) == ("done", None)
    answers = [raw for raw in bank.journal.load() if b'"Answered"' in raw]
    assert len(answers) == 3
    await cloud.announce(announcement(bank.id, 8))
    await talk(exchange, bank)
    assert {row["state"] for row in await read(cloud, "instructions")} == {"done"}


async def test_documents_go_down_once_and_when_they_changed(cloud: Cloud) -> None:
    exchange, bank, _ = await connected(cloud)
    await cloud.put_document(bank.id, "directory", 1, b"one")
    await cloud.put_document(bank.id, "wordings", 4, b"hello")
    await talk(exchange, bank)
    assert bank.journal.documents() == {"directory": 1, "wordings": 4}
    await cloud.put_document(bank.id, "directory", 2, b"two")
    await cloud.put_document(bank.id, "wordings", 3, b"older")
    await greet(exchange, bank)
    await talk(exchange, bank)
    assert bank.journal.documents() == {"directory": 2, "wordings": 4}
    assert bank.journal.document("directory") == b"two"
    bank.journal.put_document("directory", 2**31 - 1, b"of a server that lied")
    await greet(exchange, bank)
    await talk(exchange, bank)
    assert bank.journal.documents() == {"directory": 2, "wordings": 4}
    assert bank.journal.document("directory") == b"two"


async def test_a_hostile_bank_cannot_touch_rows_of_another(cloud: Cloud) -> None:
    exchange, bank, _ = await connected(cloud)
    await cloud.announce(announcement(bank.id, 7))
    hostile = await FakeBank(BankId("9" * 32), key=Ed25519PrivateKey.from_private_bytes(b"h" * 32)).build()
    await enrol(cloud, hostile, "1" * 32)
    asked = announcement(bank.id, 7)
    about = About(PARCEL.id)
    bodies: tuple[e.Body, ...] = (
        e.Expected(StayId(asked.stay), about),
        e.Cancelled(StayId(asked.stay)),
        e.Answered(1, InstructionId(asked.instruction), asked.instruction_sha256, Reason.UNKNOWN_SERVICE),
        e.PassRevoked(COURIER),
    )
    for body in bodies:
        await hostile.write(encode_entry(e.Entry(hostile.id, 1, hostile.journal.size, T0, body)))
    before = {table: await read(cloud, table) for table in ("stays", "passes", "instructions")}
    await greet(exchange, hostile)
    await talk(exchange, hostile)
    assert {table: await read(cloud, table) for table in before} == before
    head = await cloud.head(hostile.id)
    assert head is not None and head.size == hostile.journal.size


class Flaky(MemoryStore):
    """Refuses, or is away, as often as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.troubles: list[Exception] = []

    async def append(self, append: Append) -> Appended:
        if self.troubles:
            raise self.troubles.pop(0)
        return await super().append(append)


async def test_a_database_that_is_away_is_a_goodbye_and_nothing_is_lost() -> None:
    cloud = Flaky()
    exchange, bank, _ = await connected(cloud)
    await bank.do(c.DoubtClock())
    cloud.troubles = [Unavailable("away")]
    with pytest.raises(Farewelled, match="unavailable"):
        await talk(exchange, bank)
    assert exchange.held() == []
    await greet(exchange, bank)
    await talk(exchange, bank)
    head = await cloud.head(bank.id)
    assert head is not None and head.root == bank.frontier.root()


async def test_only_the_entry_at_fault_stays_without_rows() -> None:
    cloud = Flaky()
    exchange, bank, _ = await connected(cloud)
    await bank.do(c.DoubtClock())
    await bank.deposit()
    cloud.troubles = [Failed("the batch"), Failed("its first entry")]
    await talk(exchange, bank)
    (task,) = await read(cloud, "tasks")
    assert (task["about"], task["detail"]) == ("ClockDoubted", "its first entry")
    assert [row["state"] for row in await read(cloud, "stays")] == ["deposited"]


M = TypeVar("M", Hello, Up)


def replaced(message: M, **changes: Any) -> M:
    return msgspec.structs.replace(message, **changes)
