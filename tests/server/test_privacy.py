"""What is held about a person: exported, erased with a receipt, forgotten in time; no restore brings them back."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.server.town import Town, town

from latchwork.domain import commands as c
from latchwork.domain.words import ClaimId, OpeningId, StayId
from latchwork.server.actions import privacy
from latchwork.server.ledger import Gone, Ledger, Line

WORDS = ("Ada", "Lovelace", "ada@example.org", "1Z999AA10123456784", "Grace Hopper", "grace@example.org")
PICTURE = "5b" * 32


@pytest.fixture
async def place(database: str, tmp_path: Path) -> Any:
    async with town(database, tmp_path) as place:
        yield await place.settle()


async def lived_in(place: Town) -> str:
    """A stay with a tracking number, a picture, a delegate, and a code for a household member."""
    stay: str = (await place.announce("1Z999AA10123456784"))["id"]
    await place.wall.sync()
    await put_in_with_picture(place, stay)
    await place.wall.sync()
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    sent = {"name": "Grace Hopper", "email": "grace@example.org", "until": until}
    await place.ask("POST", f"stays/{stay}/delegates", json=sent)
    held = {"bank": place.bank, "role": "person", "recipient": place.person, "holder": "Grace Hopper"}
    await place.ask("POST", "passes", json=held)
    await place.wall.sync()
    return stay


async def put_in_with_picture(place: Town, stay: str) -> None:
    wall = place.wall
    session = await wall.sign_in(wall.pass_with(place.courier))
    opening = OpeningId(wall.fresh())
    decision = await wall.do(c.Deposit(session, opening, ClaimId(wall.fresh()), StayId(stay), wall.offer()))
    assert decision.refusal is None
    await wall.swing()
    await wall.do(c.Confirm(session, opening, PICTURE))
    await wall.do(c.SignOut(session))


async def everything(database: str) -> str:
    """All rows of all tables, as text."""
    connection = await asyncpg.connect(database)
    try:
        tables = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        )
        told = []
        for (name,) in tables:
            for row in await connection.fetch(f'SELECT * FROM "{name}"'):
                cells = (x.decode("utf-8", "replace") if isinstance(x, bytes) else str(x) for x in row.values())
                told.append(f"{name}: {' | '.join(cells)}")
        return "\n".join(told)
    finally:
        await connection.close()


async def test_one_action_erases_a_person_everywhere_and_leaves_a_receipt(place: Town, database: str) -> None:
    stay = await lived_in(place)
    before = await everything(database)
    assert all(word in before for word in WORDS)
    receipt = await place.ask("DELETE", f"people/{place.person}")
    after = await everything(database)
    assert [word for word in WORDS if word in after] == []
    gone = {kind for kind, n in receipt["erased"].items() if n}
    assert gone >= {"person", "tracking numbers", "sent by them", "pictures", "names on passes"}
    assert [bank["done"] for bank in receipt["banks"]] == [False]
    await place.wall.sync()
    assert json.loads(place.wall.journal.document("erased") or b"") == [PICTURE]
    assert b"A. L." not in (place.wall.journal.document("directory") or b"A. L.")
    await place.wall.sync()
    told = await place.ask("GET", f"erasures/{receipt['id']}")
    assert [bank["done"] for bank in told["banks"]] == [True]
    assert [each["id"] for each in await place.ask("GET", "erasures")] == [receipt["id"]]
    assert (await place.ask("GET", f"stays/{stay}"))["state"] == "deposited"  # what lies there still lies there
    await place.ask("DELETE", f"people/{place.person}", 404)
    await place.ask("GET", f"erasures/{'0' * 32}", 404)


async def test_a_restored_backup_does_not_bring_anybody_back(place: Town, database: str) -> None:
    connection = await asyncpg.connect(database)
    (row,) = await connection.fetch("SELECT * FROM people WHERE id = $1", place.person)
    await place.ask("DELETE", f"people/{place.person}")
    columns = ", ".join(row.keys())
    marks = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await connection.execute(f"INSERT INTO people ({columns}) VALUES ({marks})", *row.values())
    await connection.close()
    assert (await place.ask("GET", f"people/{place.person}"))["name"] == "Ada Lovelace"
    ledger = place.cloud.office.ledger
    assert ledger is not None
    assert await privacy.replay(place.cloud.office, ledger.read()) == 1
    await place.ask("GET", f"people/{place.person}", 404)
    assert await privacy.replay(place.cloud.office, ledger.read()) == 0


async def test_a_restored_backup_does_not_believe_a_revoked_controller(place: Town, database: str) -> None:
    await place.ask("DELETE", f"banks/{place.bank}/key")
    connection = await asyncpg.connect(database)
    await connection.execute("UPDATE banks SET key_revoked_at = NULL")
    ledger = place.cloud.office.ledger
    assert ledger is not None and await privacy.replay(place.cloud.office, ledger.read()) == 1
    assert await connection.fetchval("SELECT key_revoked_at IS NOT NULL FROM banks")
    await connection.close()


async def test_a_restored_backup_does_not_believe_a_revoked_token(place: Town, database: str) -> None:
    made = await place.ask("POST", "tokens", json={"name": "auditors", "role": "auditor"})
    await place.ask("DELETE", f"tokens/{made['id']}")
    connection = await asyncpg.connect(database)
    await connection.execute("UPDATE tokens SET revoked_at = NULL")
    ledger = place.cloud.office.ledger
    assert ledger is not None and await privacy.replay(place.cloud.office, ledger.read()) == 1
    assert await connection.fetchval("SELECT revoked_at IS NOT NULL FROM tokens WHERE id = $1", made["id"])
    await connection.close()


async def test_all_that_is_held_about_a_person_is_one_file(place: Town) -> None:
    stay = await lived_in(place)
    told = await place.ask("GET", f"people/{place.person}/export")
    assert all(word in json.dumps(told) for word in WORDS)
    assert told["person"]["unit"] == "12" and [x["id"] for x in told["received"]] == [stay]
    assert [x["kind"] for x in told["notices"]] == ["ready"]
    await place.ask("GET", f"people/{'0' * 32}/export", 404)


async def test_what_is_too_old_is_forgotten_by_the_organisations_own_days(place: Town, database: str) -> None:
    await place.ask("PUT", "retention", 400, json={"tracking_days": 0})
    assert (await place.ask("GET", "retention"))["tracking_days"] == 90
    await place.ask("PUT", "retention", json={"tracking_days": 7, "notice_days": 5})
    stay = await lived_in(place)
    connection = await asyncpg.connect(database)
    await connection.execute("UPDATE outbox SET sent_at = due_at")
    await connection.execute("UPDATE stays SET ended_at = now() - interval '6 days'")
    await connection.execute("UPDATE installation SET forgot_at = NULL")
    await privacy.forget(place.cloud.office)
    assert (await place.ask("GET", f"stays/{stay}"))["tracking"] is not None
    await connection.execute("UPDATE stays SET ended_at = now() - interval '8 days'")
    await connection.execute("UPDATE outbox SET due_at = now() - interval '6 days'")
    await privacy.forget(place.cloud.office)  # not twice in a night
    assert (await place.ask("GET", f"stays/{stay}"))["tracking"] is not None
    await connection.execute("UPDATE installation SET forgot_at = now() - interval '1 day'")
    await privacy.forget(place.cloud.office)
    assert (await place.ask("GET", f"stays/{stay}"))["tracking"] is None
    assert await connection.fetchval("SELECT count(*) FROM outbox") == 0
    await connection.close()


async def test_a_recipient_reads_what_is_known_and_why(place: Town) -> None:
    stay = await lived_in(place)
    page = (await place.ask("GET", f"stays/{stay}"))["page"]
    told = (await place.http.get(f"{page}/about")).text
    assert all(word in told for word in ("Town", "Ada Lovelace", "ada@example.org", "1Z999AA10123456784", "90 days"))
    assert (await place.http.get(f"{place.url}/p/nonsense/about")).status_code == 404


def test_a_ledger_survives_a_cut_and_says_where_it_is_damaged(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "gone.jsonl")
    assert ledger.read() == []
    line = Line(datetime(2026, 11, 21, tzinfo=UTC), Gone.PERSON, "0a" * 16, "0b" * 16)
    ledger.note(line)
    with ledger.path.open("ab") as file:
        file.write(b'{"at":"2026-')
    assert ledger.read() == [line]
    assert ledger.path.stat().st_mode & 0o077 == 0
    ledger.path.write_bytes(b"nonsense\n")
    with pytest.raises(ValueError, match=r"gone\.jsonl"):
        ledger.read()
