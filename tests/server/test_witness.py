"""What banks sign of their logs: checked against our copy, kept, countersigned, and never against each other."""

from datetime import datetime, timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.server.clouds import Farewelled, announcement, enrol, greet, talk
from tests.server.fake_bank import T0, FakeBank

from latchwork.domain import commands as c
from latchwork.server.exchange import Exchange, Signed
from latchwork.server.witness import Witness
from latchwork.store.memory import MemoryStore
from latchwork.store.postgres import PostgresStore
from latchwork.store.rows import CheckpointRow, Unavailable
from latchwork.sync.custody import Frontier
from latchwork.sync.exchange import Down, Goodbye, Up, pack, unpack
from latchwork.sync.notes import (
    Checkpoint,
    Key,
    Kind,
    Note,
    origin,
    read_checkpoint,
    read_note,
    signature,
    signed_checkpoint,
    signers,
)

OURS = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
WITNESS = Key("latchwork/witness/test", OURS.public_key().public_bytes_raw(), Kind.COSIGNATURE)


async def listening(bank: FakeBank) -> tuple[Exchange, list[Signed]]:
    cloud = MemoryStore()
    heard: list[Signed] = []
    exchange = Exchange(cloud, lambda: T0, heard.append)
    await enrol(cloud, await bank.build())
    await greet(exchange, bank)
    return exchange, heard


async def test_the_server_hears_of_what_a_bank_signed_of_its_whole_log() -> None:
    bank = FakeBank()
    exchange, heard = await listening(bank)
    await talk(exchange, bank)
    (signed,) = heard
    assert (signed.bank, signed.epoch, signed.key) == (bank.id, 1, bank.public)
    assert (signed.size, signed.root) == (bank.journal.size, bank.frontier.root())
    assert set(signers(signed.note, [Key(origin(bank.id, 1), bank.public)]))


async def test_a_bank_that_signed_another_log_than_it_sent_is_divided() -> None:
    bank = FakeBank()
    exchange, heard = await listening(bank)
    up = bank.up()
    assert up is not None
    lie = bank.signed(bank.journal.size, Frontier().append(b"other")[0].root())
    answer = await exchange.take(bank.id, msgspec.structs.replace(up, checkpoint=lie))
    assert answer == Goodbye("divided") and not heard
    with pytest.raises(Farewelled, match="divided"):
        await greet(exchange, bank)


async def test_a_checkpoint_that_is_none_is_not_believed_and_the_entries_count() -> None:
    for spoil in range(6):
        bank = FakeBank()
        exchange, heard = await listening(bank)
        up = bank.up()
        assert up is not None and up.checkpoint is not None
        size, root = bank.journal.size, bank.frontier.root()
        key = Key(origin(bank.id, 1), bank.public)
        text = Checkpoint(key.name, size, root).text
        stranger = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
        own = signature(text, key, bank.key.sign)
        elsewhere = Checkpoint("latchwork/elsewhere/1", size, root).text
        extended = Checkpoint(key.name, size, root, ("more",)).text
        bad = (
            b"nonsense",
            bytes(Note(text, (signature(text, key, stranger.sign),))),
            bytes(Note(text, (own, own))),
            bytes(Note(extended, (signature(extended, key, bank.key.sign),))),
            bytes(Note(elsewhere, (signature(elsewhere, key, bank.key.sign),))),
            signed_checkpoint(bank.id, 2, size, root, bank.public, bank.key.sign),
        )[spoil]
        answer = await exchange.take(bank.id, msgspec.structs.replace(up, checkpoint=bad))
        assert isinstance(answer, Down) and answer.size == size and not heard


async def test_peers_that_know_of_no_checkpoints_are_understood() -> None:
    bank = FakeBank()
    exchange, heard = await listening(bank)
    up = bank.up()
    assert up is not None and unpack(pack(up)) == up
    raw = msgspec.msgpack.decode(pack(up))
    del raw["checkpoint"]
    older = unpack(msgspec.msgpack.encode(raw))
    assert isinstance(older, Up) and older.checkpoint is None
    assert isinstance(await exchange.take(bank.id, older), Down) and not heard


class Scene:
    """A bank, PostgreSQL and a witness."""

    def __init__(self, store: PostgresStore) -> None:
        self.store = store
        self.now = T0
        self.bank = FakeBank()
        self.witness = Witness(store, WITNESS, OURS.sign, lambda: self.now)
        self.exchange = Exchange(store, lambda: self.now, self.witness.take)

    async def begin(self) -> "Scene":
        await enrol(self.store, await self.bank.build())
        await greet(self.exchange, self.bank)
        await talk(self.exchange, self.bank)
        return self

    async def grow(self, n: int) -> None:
        await self.store.announce(announcement(self.bank.id, n))
        await talk(self.exchange, self.bank)

    async def kept(self) -> CheckpointRow:
        (row,) = await self.store.checkpoints([(self.bank.id, 1)])
        return row

    async def tasks(self) -> list[str]:
        return [row["kind"] for row in await self.store.fetch("SELECT kind FROM tasks")]

    def countersigned(self, row: CheckpointRow) -> tuple[int, datetime]:
        note = read_note(row.note)
        found = signers(note, [Key(origin(self.bank.id, 1), row.key), WITNESS])
        assert len(note.signatures) == len(found) == 2
        return read_checkpoint(note.text).size, found[WITNESS].at


async def test_the_newest_checkpoint_is_kept_and_countersigned(database: str) -> None:
    async with await PostgresStore.connect(database) as store:
        scene = await Scene(store).begin()
        assert await store.checkpoints([(scene.bank.id, 1)]) == []
        await scene.witness.step()
        first = await scene.kept()
        assert scene.countersigned(first) == (scene.bank.journal.size, T0) and first.key == scene.bank.public
        scene.now += timedelta(seconds=5)
        await scene.witness.step()
        assert await scene.kept() == first
        for n in range(1, 12):
            await scene.grow(n)
        await scene.witness.step()
        newest = await scene.kept()
        assert scene.countersigned(newest) == (scene.bank.journal.size, scene.now) and newest.size > first.size
        await store.keep_checkpoints([first])
        assert await scene.kept() == newest and await scene.tasks() == []


async def test_nothing_is_countersigned_that_does_not_continue_the_last(database: str) -> None:
    async with await PostgresStore.connect(database) as store:
        scene = await Scene(store).begin()
        await scene.grow(1)
        await scene.witness.step()
        first = await scene.kept()
        await store.fetch("UPDATE entries SET nodes = sha256('other') || substr(nodes, 33)")
        await scene.grow(2)
        await scene.witness.step()
        assert await scene.kept() == first and await scene.tasks() == ["inconsistent"]


async def test_a_countersigned_checkpoint_that_was_replaced_is_noticed(database: str) -> None:
    async with await PostgresStore.connect(database) as store:
        scene = await Scene(store).begin()
        await scene.witness.step()
        stranger = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
        for forged in (
            b"nonsense",
            signed_checkpoint(scene.bank.id, 1, 1, b"r" * 32, scene.bank.public, stranger.sign),
        ):
            await store.fetch("UPDATE checkpoints SET note = $1, size = 1", forged)
            await scene.grow(1 + len(forged))
            await scene.witness.step()
            assert (await scene.kept()).note == forged
        assert await scene.tasks() == ["inconsistent"]


async def test_while_the_database_is_away_nothing_is_lost() -> None:
    class Away(PostgresStore):
        def __init__(self) -> None:
            self.asked = 0

        async def checkpoints(self, logs: object) -> list[CheckpointRow]:
            self.asked += 1
            raise Unavailable("away")

    bank, store = FakeBank(), Away()
    witness = Witness(store, WITNESS, OURS.sign, lambda: T0)
    exchange, heard = await listening(bank)
    await talk(exchange, bank)
    await witness.step()
    assert store.asked == 0
    witness.take(heard[0])
    for _ in range(3):
        with pytest.raises(Unavailable):
            await witness.step()
    assert store.asked == 3


async def test_an_older_checkpoint_changes_nothing(database: str) -> None:
    async with await PostgresStore.connect(database) as store:
        scene = await Scene(store).begin()
        older: list[Signed] = []
        bank = FakeBank()
        await enrol(cloud := MemoryStore(), await bank.build())
        exchange = Exchange(cloud, lambda: T0, older.append)
        await greet(exchange, bank)
        await talk(exchange, bank)
        await scene.grow(1)
        await scene.bank.do(c.Tick())
        await scene.witness.step()
        newest = await scene.kept()
        assert older[0].size < newest.size
        scene.witness.take(older[0])
        await scene.witness.step()
        assert await scene.kept() == newest and await scene.tasks() == []
