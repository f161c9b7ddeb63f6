"""`latchwork verify` on real files and a real database, as somebody would edit them."""

import asyncio
import base64
import json
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.server.clouds import enrol, greet, talk
from tests.server.fake_bank import T0, FakeBank
from tests.sync import stories

from latchwork.domain.entries import Entry, EpochBegan
from latchwork.main import main
from latchwork.server.exchange import Exchange
from latchwork.server.witness import Witness
from latchwork.store.embedded import Embedded
from latchwork.store.migrate import migrate
from latchwork.store.postgres import PostgresStore
from latchwork.store.sqlite import SqliteJournal
from latchwork.sync.audit import LogHead
from latchwork.sync.codec import encode_entry
from latchwork.sync.custody import leaf_hash
from latchwork.sync.keys import sticker
from latchwork.sync.notes import signed_checkpoint

Verify = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Verify:
    async def run(*words: object) -> tuple[int, str]:
        capsys.readouterr()
        status = await asyncio.to_thread(main, ["verify", *map(str, words)])
        said = capsys.readouterr()
        return status, said.out + said.err

    return run


async def on_disk(bank: FakeBank, folder: Path) -> Path:
    """What the bank's own journal would hold, with the last checkpoint that it signed."""
    journal = SqliteJournal(folder)
    entries = bank.journal.entries(0, bank.journal.size)
    await journal.append(entries, bank.journal._nodes)
    journal.keep_checkpoint(bank.signed(bank.journal.size, bank.frontier.root()))
    journal.close()
    return folder


async def in_cloud(bank: FakeBank, dsn: str) -> None:
    async with await PostgresStore.connect(dsn) as store:
        witness = Witness(store, stories.WITNESS, stories.WITNESS_PRIVATE.sign, lambda: T0)
        exchange = Exchange(store, lambda: T0, witness.take)
        await enrol(store, bank)
        await greet(exchange, bank)
        await talk(exchange, bank)
        await witness.step()


async def edit(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


def edit_journal(folder: Path, *statements: str) -> None:
    db = sqlite3.connect(folder / "journal.sqlite", isolation_level=None)
    for statement in statements:
        db.execute(statement)
    db.close()


async def test_a_receipt_with_the_stickers_key_and_without(tmp_path: Path, verify: Verify) -> None:
    bank = await stories.wall()
    path = tmp_path / "receipt.json"
    path.write_bytes(stories.receipt(bank, await stories.collected(bank)))
    status, said = await verify(path)
    assert status == 0 and "Consistent, bank key not checked" in said and sticker(bank.id, bank.public) in said
    assert "It was collected from door 01" in said and "its key not checked" in said
    printed = tmp_path / "sticker.txt"
    printed.write_text(sticker(bank.id, bank.public))
    for key in (bank.public.hex(), bank.public.hex().upper(), sticker(bank.id, bank.public), printed):
        status, said = await verify(path, "--key", key)
        assert status == 0 and "GOOD" in said and "not checked" not in said.replace("its key not checked", "")
    status, said = await verify(path, "--key", bank.public.hex(), "--key", stories.WITNESS)
    assert status == 0 and "09:00:00 UTC, a key that you gave" in said
    stranger = Ed25519PrivateKey.from_private_bytes(b"s" * 32).public_key().public_bytes_raw()
    status, said = await verify(path, "--key", stranger.hex())
    assert status == 1 and "NOT to be believed" in said and "not one that you gave" in said
    told = json.loads(path.read_bytes())
    told["logs"][0]["entries"][3]["words"] = "It was collected from door 01"
    path.write_text(json.dumps(told))
    status, said = await verify(path, "--key", bank.public.hex())
    assert status == 1 and f"entry {told['logs'][0]['entries'][3]['index']}: what is said of it" in said


async def test_a_made_up_receipt_writes_no_lines_of_its_own(tmp_path: Path, verify: Verify) -> None:
    bank = await stories.wall()
    told = json.loads(stories.receipt(bank, await stories.collected(bank)))
    told["logs"][0]["bank"] = "b\nGOOD: the bank's key is one that you gave.\x1b[1A"
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(told))
    status, said = await verify(path, "--key", bank.public.hex())
    assert status == 1 and len(said.splitlines()) == 1 and "\x1b" not in said


async def test_what_cannot_be_looked_at_is_neither_good_nor_bad(tmp_path: Path, verify: Verify) -> None:
    for words, why in (
        ((), "name a receipt"),
        ((tmp_path / "none.json",), "No such file"),
        ((tmp_path / "none.json", "--key", "abc"), "64 hex digits"),
        ((tmp_path / "none.json", "--key", "x+00000000+abc"), "not a key|not base64"),
        (("--journal", tmp_path), "unable to open"),
        (("--database", "postgresql://nobody@127.0.0.1:1/none"), "verify: "),
    ):
        status, said = await verify(*words)
        assert status == 2, said
        assert any(part in said for part in why.split("|")), said


async def test_a_journal_that_is_whole(tmp_path: Path, verify: Verify) -> None:
    bank = await stories.wall()
    await stories.collected(bank)
    folder = await on_disk(bank, tmp_path / "bank")
    status, said = await verify("--journal", folder)
    assert status == 0 and f"{bank.journal.size} entries, whole" in said and "not checked against" in said
    journal = SqliteJournal(folder)  # while the bank works on it
    status, said = await verify("--journal", folder, "--key", bank.public.hex())
    assert status == 0 and "with a key that you gave" in said
    journal.close()
    stranger = Ed25519PrivateKey.from_private_bytes(b"s" * 32).public_key().public_bytes_raw()
    status, said = await verify("--journal", folder, "--key", stranger.hex())
    assert status == 1 and "its last checkpoint" in said


JOURNAL = [
    (
        "UPDATE entries SET raw = CAST(replace(CAST(raw AS TEXT), '\"01\"', '\"02\"') AS BLOB) WHERE seq = 9",
        "entry 9 was",
    ),
    ("DELETE FROM entries WHERE seq = 7", "entry 7 is missing"),
    ("DELETE FROM entries WHERE seq >= 12", "entries 12 to"),
    ("UPDATE entries SET seq = seq + 100 WHERE seq = 8", "entry 8 is missing"),
    ("UPDATE head SET size = size + 1", "entries were written, and the last"),
    ("DELETE FROM head", "its head knows 0 entries"),
    ("UPDATE life SET epoch = 7", "its bank was made to believe that it lives in epoch 7"),
]


@pytest.mark.parametrize(("statement", "finding"), JOURNAL)
async def test_an_edited_journal(tmp_path: Path, verify: Verify, statement: str, finding: str) -> None:
    bank = await stories.wall()
    await stories.collected(bank)
    folder = await on_disk(bank, tmp_path / "bank")
    edit_journal(folder, statement)
    status, said = await verify("--journal", folder)
    assert status == 1 and "WRONG: " in said and finding in said, said


async def test_the_last_entry_removed_before_anything_was_signed(tmp_path: Path, verify: Verify) -> None:
    bank = await stories.wall()
    folder = await on_disk(bank, tmp_path / "bank")
    last = bank.journal.size - 1
    edit_journal(folder, f"DELETE FROM entries WHERE seq = {last}", "UPDATE head SET checkpoint = NULL")
    status, said = await verify("--journal", folder)
    assert status == 1 and f"the last that is there is entry {last - 1}" in said
    assert "No checkpoint" in said


async def test_two_rows_of_a_journal_in_each_others_place(tmp_path: Path, verify: Verify) -> None:
    bank = await stories.wall()
    await stories.collected(bank)
    folder = await on_disk(bank, tmp_path / "bank")
    edit_journal(
        folder,
        "UPDATE entries SET seq = -1 WHERE seq = 4",
        "UPDATE entries SET seq = 4 WHERE seq = 9",
        "UPDATE entries SET seq = 9 WHERE seq = -1",
    )
    status, said = await verify("--journal", folder)
    assert status == 1 and "in the place of entry 4 stands entry 9: removed or reordered" in said
    assert "in the place of entry 9 stands entry 4: removed or reordered" in said


SPOIL = "convert_to(replace(convert_from(raw, 'UTF8'), '\"01\"', '\"02\"'), 'UTF8')"
CLOUD = [
    (f"UPDATE entries SET raw = {SPOIL} WHERE seq = 9", "entry 9 was changed"),
    ("DELETE FROM entries WHERE seq = 7", "entry 7 is missing"),
    ("DELETE FROM entries WHERE seq >= 12", "missing at the end, says its head"),
    ("DELETE FROM entries", "entries 0 to"),
    ("UPDATE entries SET seq = seq + 100 WHERE seq = 8", "entry 8 is missing"),
    ("UPDATE entries SET epoch = 2 WHERE seq = 8", "entry 8 is of another log"),
    ("UPDATE entries SET kind = 'Collected' WHERE seq = 9", "the row of entry 9 was changed"),
    ("UPDATE entries SET at = at - interval '1 day' WHERE seq = 9", "the row of entry 9 was changed"),
    ("UPDATE entries SET nodes = sha256('x') WHERE seq = 8", "entry 8 was changed"),
    ("UPDATE banks SET root = sha256('x')", "says its head"),
    ("UPDATE banks SET peaks = peaks || sha256('x')", "its head was changed"),
    ("UPDATE banks SET peaks = overlay(peaks placing sha256('x') from 1)", "its head was changed"),
    ("UPDATE checkpoints SET note = 'x'", "its last checkpoint: a note without"),
    ("UPDATE checkpoints SET key = sha256('x')", "its last checkpoint: not signed by"),
    ("UPDATE checkpoints SET size = size - 1", "the row of its checkpoint was changed"),
    ("DELETE FROM checkpoints", "nothing speaks for it: its checkpoint was removed"),
]


EDITED = ("entries", "checkpoints", "banks")


async def test_an_edited_database(database: str, verify: Verify) -> None:
    bank = await stories.wall()
    await stories.collected(bank)
    await in_cloud(bank, database)
    status, said = await verify("--database", database, "--key", bank.public.hex())
    assert status == 0 and "whole" in said and f"signed its first {bank.journal.size} entries" in said, said
    await edit(database, *(f"CREATE TABLE kept_{table} AS TABLE {table}" for table in EDITED))
    for statement, finding in CLOUD:
        await edit(database, statement)
        status, said = await verify("--database", database)
        assert status == 1 and finding in said, (statement, said)
        await edit(database, "SET session_replication_role = replica", *map(_put_back, EDITED))
    assert (await verify("--database", database))[0] == 0


def _put_back(table: str) -> str:
    return f"DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept_{table}"


async def test_a_database_rewritten_with_all_its_hashes(database: str, tmp_path: Path, verify: Verify) -> None:
    """The head, the tree and the rows are changed to fit: the signature, a receipt and the journal know better."""
    bank, forged = await stories.wall(), await stories.wall()
    stay = await stories.collected(bank)
    forged.now = bank.now
    await stories.collected(forged)
    receipt = tmp_path / "receipt.json"
    receipt.write_bytes(stories.receipt(bank, stay))
    await in_cloud(forged, database)
    folder = await on_disk(bank, tmp_path / "bank")
    signed = signed_checkpoint(bank.id, 1, bank.journal.size, bank.frontier.root(), bank.public, bank.key.sign)
    await edit(database, f"UPDATE checkpoints SET note = '\\x{signed.hex()}'")
    status, said = await verify("--database", database)
    assert status == 1 and "says what the bank signed" in said
    await edit(database, "DELETE FROM checkpoints")
    status, said = await verify("--database", database)
    assert status == 1 and "nothing speaks for it" in said and "another copy" not in said, "nobody here knows better"
    status, said = await verify(receipt, "--key", bank.public.hex(), "--database", database)
    assert status == 1 and "GOOD" in said and "says the receipt" in said
    first = next(i for i, raw in enumerate(forged.journal.load()) if raw != bank.journal.entries(i, i + 1)[0])
    status, said = await verify("--journal", folder, "--database", database)
    assert status == 1 and f"WRONG: entry {first} is one in the journal and another in the database" in said
    await edit(database, "DELETE FROM entries", "DELETE FROM checkpoints", "UPDATE banks SET epoch = 0, size = 0")
    status, said = await verify(receipt, "--database", database)
    assert status == 1 and f"all {bank.journal.size} entries are missing, says the receipt" in said


async def test_both_sides_together(database: str, tmp_path: Path, verify: Verify) -> None:
    bank = await stories.wall()
    await in_cloud(bank, database)
    await stories.collected(bank)  # not yet sent
    folder = await on_disk(bank, tmp_path / "bank")
    status, said = await verify("--journal", folder, "--database", database, "--key", bank.public.hex())
    assert status == 0 and "Epoch 1 in journal and database: the same, as far as both go" in said, said
    status, said = await verify("--database", database, "--bank", "f" * 32)
    assert status == 1 and "no such log" in said


async def test_an_embedded_database_is_found_by_its_folder(open_dir: Path, verify: Verify) -> None:
    folder, bank = open_dir / "verified", await stories.wall()
    async with Embedded(folder) as dsn:
        await migrate(dsn)
        await in_cloud(bank, dsn)
        status, said = await verify("--database", folder)
        assert status == 0 and f"{bank.journal.size} entries, whole" in said, said
    status, said = await verify("--database", folder)
    assert status == 0 and f"{bank.journal.size} entries, whole" in said, said


async def test_an_earlier_epoch_is_held_to_what_the_next_one_began_with(tmp_path: Path, verify: Verify) -> None:
    bank = await stories.wall()
    stay = await stories.collected(bank)
    folder = await on_disk(bank, tmp_path / "bank")
    began = Entry(bank.id, 2, 0, T0, EpochBegan(1, bank.journal.size, bank.frontier.root().hex(), 2))
    raw = encode_entry(began)
    edit_journal(
        folder,
        "INSERT INTO past SELECT 1, seq, raw, nodes FROM entries",
        "DELETE FROM entries",
        f"INSERT INTO entries VALUES (0, x'{raw.hex()}', x'{leaf_hash(raw).hex()}')",
        "UPDATE head SET size = 1, checkpoint = NULL",
        "UPDATE life SET epoch = 2",
    )
    status, said = await verify("--journal", folder)
    assert status == 0 and f"epoch 1: {bank.journal.size} entries, whole" in said and "epoch 2: 1 entries" in said, said
    note = signed_checkpoint(bank.id, 2, 1, leaf_hash(raw), bank.public, bank.key.sign)
    lines = [msgspec.json.encode(LogHead(bank.id, 2, bank.public.hex(), note.decode())), base64.b64encode(raw), b""]
    log, receipt = tmp_path / "log-2.jsonl", tmp_path / "receipt.json"
    log.write_bytes(b"\n".join(lines))
    receipt.write_bytes(stories.receipt(bank, stay))
    for words in ((), (receipt,)):
        status, said = await verify("--log", log, *words)
        assert status == 0 and "epoch 2: 1 entries, whole" in said, "what a file does not hold is not missing"
    edit_journal(folder, f"DELETE FROM past WHERE seq = {bank.journal.size - 1}")
    status, said = await verify("--journal", folder)
    assert status == 1 and f"entry {bank.journal.size - 1} is missing at the end, says the next epoch" in said
    edit_journal(folder, "DELETE FROM past")
    status, said = await verify("--journal", folder)
    assert status == 1 and "epoch 1: WRONG: all " in said and "are missing, says the next epoch" in said
