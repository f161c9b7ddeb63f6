"""What is held about a person: exported, erased with a receipt, forgotten in time; no restore brings them back."""

import asyncio
import json
import subprocess
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.server.authenticators import Authenticator, text
from tests.server.test_accounts import FIREFOX, GOOD, first_owner, with_app
from tests.server.town import Town, town

from latchwork.domain import commands as c
from latchwork.domain.words import ClaimId, OpeningId, StayId
from latchwork.server import jobs
from latchwork.server.actions import (
    accounts,
    factors,
    links,
    passkeys,
    passwords,
    people,
    privacy,
    sessions,
    tokens,
    visits,
)
from latchwork.server.actions.accounts import Account
from latchwork.server.actions.office import Declined, Office, Unavailable, Who
from latchwork.server.actions.sessions import Session, Stage
from latchwork.server.ledger import Gone, Ledger, Line
from latchwork.store.embedded import wheel_binaries

WORDS = ("Ada Lovelace", "Lovelace", "ada@example.org", "1Z999AA10123456784", "Grace Hopper", "grace@example.org")
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


async def asked_about(place: Town, stay: str) -> None:
    """A note about the door, and a mailed code."""
    door = (await place.ask("GET", f"stays/{stay}"))["compartment"]
    told = {"reason": "customer_help", "note": "Ada Lovelace rang"}
    await place.ask("POST", f"banks/{place.bank}/compartments/{door}/open", 202, json=told)
    await visits.ask_code(place.cloud.office, "ada@example.org", "192.0.2.7")


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
    await asked_about(place, stay)
    before = await everything(database)
    assert all(word in before for word in WORDS)
    receipt = await place.ask("DELETE", f"people/{place.person}")
    after = await everything(database)
    assert [word for word in WORDS if word in after] == []
    gone = {kind for kind, n in receipt["erased"].items() if n}
    assert gone >= {
        "person",
        "tracking numbers",
        "sent by them",
        "pictures",
        "names on passes",
        "mailed codes",
        "notes",
    }
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


async def test_a_backup_from_before_brings_nothing_back(database: str, tmp_path: Path) -> None:
    """By pg_dump, as the how-to says: who was erased, and whatever somebody could sign in or open with."""
    dump = tmp_path / "dump.sql"
    async with town(database, tmp_path) as place:
        await place.settle()
        await asked_about(place, await lived_in(place))
        office, owner = place.cloud.office, await first_owner(place.cloud.office)
        owner, _codes = await with_app(office, owner)
        key = Authenticator("localhost", "http://localhost")
        row = (text(key.id), owner.organisation, owner.id, b"", 0, "Phone", office.now(), 9)
        await office.tables.do("make_passkey", *row)
        session = await sessions.find(office, await accounts.begin_session(office, owner, "x", FIREFOX, Stage.FULL))
        assert session is not None
        made = await place.ask("POST", "tokens", json={"name": "auditors", "role": "auditor"})
        invited = await accounts.invite(office, session.who, "eve@example.org", "owner")
        assert invited.link is not None
        link = await links.find(office, invited.link.rsplit("/", 1)[1])
        second = await accounts.accept(office, link, "Eve", "", "nine yellow kettles hum")
        second, _codes = await with_app(office, second)
        await accounts.invite(office, session.who, "mallory@example.org", "owner")
        (unused,) = await links.invitations(office, session.who)
        invited = await accounts.invite(office, session.who, "trent@example.org", "owner")
        assert invited.link is not None
        to_trent = invited.link.rsplit("/", 1)[1]
        invited = await accounts.invite(office, session.who, "peggy@example.org", "owner")
        assert invited.link is not None
        to_peggy = invited.link.rsplit("/", 1)[1]
        other = (await place.ask("POST", "organisations", json={"name": "Post"}, headers=_root(place)))["token"]
        token, place.token = place.token, other
        party = (await place.ask("POST", "parties", json={"name": "Slow Post"}))["id"]
        place.token = token
        await place.ask("PUT", f"banks/{place.bank}/admissions/{party}")
        _dump(database, dump)

        await place.ask("DELETE", f"people/{place.person}")
        await place.ask("DELETE", f"banks/{place.bank}/key")
        await place.ask("DELETE", f"tokens/{made['id']}")
        await place.ask("DELETE", f"banks/{place.bank}/admissions/{party}")
        await accounts.set_role(office, session.who, second.id, "auditor")
        await accounts.change_password(office, session, "eight orange spoons ring", GOOD)
        await accounts.recovery_codes(office, session)
        await passkeys.remove(office, session, text(key.id))
        await links.withdraw(office, session.who, unused.id)
        await accounts.invite(office, session.who, "peggy@example.org", "auditor")
        third = await accounts.accept(office, await links.find(office, to_trent), "Trent", "", "six yellow kettles hum")
        await accounts.remove(office, session.who, third.id)
        await accounts.use_app(office, session, _code(office, await accounts.read(office, owner.id)))
        begun = await accounts.recover(office, session.who, second.id)
        assert begun.link is not None
        anew = await links.find(office, begun.link.rsplit("/", 1)[1])
        await accounts.new_password(office, anew, "ten yellow kettles hum")
        await accounts.change_password(office, session, "nine orange spoons ring", "eight orange spoons ring")
        with pytest.raises(Declined):
            await accounts.use_app(office, session, "not a code")
        assert office.ledger is not None
        assert await privacy.replay(office, office.ledger.read()) == 0, "a start without a restore changes nothing"
        assert (await accounts.read(office, owner.id)).app == 2
        person, wall = place.person, place.wall
    await _restore(database, dump)
    told = await everything(database)
    assert all(word in told for word in WORDS), "the backup is from before"

    async with town(database, tmp_path) as place:
        place.token, office = token, place.cloud.office
        told = await everything(database)
        assert [word for word in WORDS[:4] if word in told] == [], "Grace is somebody on the team, too"
        await place.ask("GET", f"people/{person}", 404)
        assert await passkeys.of(office, owner.id) == [] and await links.invitations(office, session.who) == []
        for link_used in (to_trent, to_peggy):
            with pytest.raises(Declined, match="used already"):
                await links.find(office, link_used)
        now = await accounts.read(office, owner.id)
        assert (now.password, now.app) == ("replaced", None) and now.recovery_left == 0
        assert await accounts.password_fits(office, owner.email, GOOD, "192.0.2.7", "") is None
        other = await accounts.read(office, second.id)
        assert (other.role, other.password, other.app, other.recovery_left) == ("auditor", "replaced", None, 0)
        assert await place.ask("GET", f"banks/{wall.id}/admissions") == []
        assert await office.store.fetch("TABLE sessions") == []
        rows = await office.store.fetch("SELECT FROM banks WHERE key_revoked_at IS NOT NULL")
        assert len(rows) == 1
        rows = await office.store.fetch("SELECT FROM tokens WHERE id = $1 AND revoked_at IS NOT NULL", made["id"])
        assert len(rows) == 1
        assert office.ledger is not None
        assert await privacy.replay(office, office.ledger.read()) == 0, "and once is enough"
        await _each_alone_stays_ended(office, other)
        await _nothing_is_done_that_the_ledger_cannot_hold(office, other, database)


async def _each_alone_stays_ended(office: Office, account: Account) -> None:
    """A session, a visit and a replaced token, where nothing else tells of a restore."""
    ledger, store = office.ledger, office.store
    who, secret = Who(account.id, account.organisation, account.name, False), "s" * 43
    assert ledger is not None

    async def signed_in() -> Session:
        found = await sessions.find(office, await accounts.begin_session(office, account, "x", FIREFOX, Stage.FULL))
        assert found is not None
        return found

    async def comes_back(table: str, name: str, end: Awaitable[object]) -> None:
        key = "person" if table == "visits" else "id"
        (row,) = await store.fetch(f"SELECT * FROM {table} WHERE {key} = $1", name)
        await end
        await store.fetch(f"DELETE FROM {table} WHERE {key} = $1", name)
        marks = ", ".join(f"${n + 1}" for n in range(len(row)))
        await store.fetch(f"INSERT INTO {table} ({', '.join(row.keys())}) VALUES ({marks})", *row.values())
        assert [await privacy.replay(office, ledger.read()) for _ in range(2)] == [1, 0], table

    here, other = await signed_in(), await signed_in()
    await comes_back("sessions", other.id, sessions.end(office, here, other.id))
    await comes_back("sessions", (await signed_in()).id, accounts.sign_out(office, who, account.id))
    person = await people.create_person(office.acting(who.organisation), who, people.Details(name="Alan Turing"))
    visit = person.id, office.now(), sha256(secret.encode()).digest(), office.now() + visits.LIFE
    await office.tables.do("begin_visit", *visit)
    await comes_back("visits", person.id, visits.leave(office, secret, everywhere=True))
    token = (await tokens.make(office, who, "till", "auditor", 300)).id
    await comes_back("tokens", token, tokens.rotate(office, who, token))


class Full(Ledger):
    """On a disk that takes no more."""

    def note(self, line: Line) -> None:
        raise OSError("no space left on device")


async def _nothing_is_done_that_the_ledger_cannot_hold(office: Office, account: Account, database: str) -> None:
    """What somebody believes to be gone is in the ledger already: else it is still there, and they were told so."""
    assert office.ledger is not None
    key = Authenticator("localhost", "http://localhost")
    row = (text(key.id), account.organisation, account.id, b"", 0, "Phone", office.now(), 9)
    await office.tables.do("make_passkey", *row)
    session = await sessions.find(office, await accounts.begin_session(office, account, "x", FIREFOX, Stage.FULL))
    assert session is not None
    await accounts.use_app(office, session, _code(office, await accounts.read(office, account.id)))
    code = _code(office, await accounts.read(office, account.id))
    who = replace(session.who, role="owner")
    invited = await accounts.invite(office, who, "mallory@example.org", "owner")
    assert invited.link is not None
    invitation = await links.find(office, invited.link.rsplit("/", 1)[1])
    token = (await tokens.make(office, who, "till", "auditor", 300)).id
    await office.tables.do("set_password", account.id, await passwords.hashed(GOOD), office.now())
    full = replace(office, ledger=Full(office.ledger.path))
    await jobs.step(office)  # the server's own work goes on meanwhile: now it finds nothing to do
    before = await everything(database)
    for done in (
        accounts.change_password(full, session, "eleven orange spoons ring", GOOD),
        accounts.use_app(full, session, code),
        accounts.recovery_codes(full, session),
        passkeys.remove(full, session, text(key.id)),
        accounts.sign_out(full, who, account.id),
        accounts.set_role(full, who, account.id, "attendant"),
        accounts.remove(full, who, account.id),
        sessions.end(full, session, session.id),
        links.withdraw(full, who, invitation.id),
        accounts.accept(full, invitation, "Mallory", "", "six yellow kettles hum"),
        tokens.rotate(full, who, token),
        tokens.revoke(full, who, token),
    ):
        with pytest.raises(Unavailable, match="no space"):
            await done
        after = await everything(database)
        assert set(after.splitlines()) == set(before.splitlines()), done


def _dump(database: str, to: Path) -> None:
    subprocess.run([wheel_binaries().program("pg_dump"), "-f", to, database], check=True)


async def _restore(database: str, dump: Path) -> None:
    connection = await asyncpg.connect(database)
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC")
    await connection.close()
    psql: list[str | Path] = [wheel_binaries().program("psql"), "-q", "-v", "ON_ERROR_STOP=1", "-f", dump, database]
    await asyncio.to_thread(subprocess.run, psql, check=True, stdout=subprocess.DEVNULL)


def _root(place: Town) -> dict[str, str]:
    return {"Authorization": f"Bearer {place.root}"}


def _code(office: Office, account: Account) -> str:
    """Of the app that would come next."""
    secret = office.vault.app_secret(account.id, accounts.next_app(account))
    return factors.totp(secret, factors.step_of(office.now()))


async def test_what_a_wall_took_before_it_heard_is_erased_when_it_tells(place: Town) -> None:
    stay = (await place.announce("LW-late"))["id"]
    await place.wall.sync()
    receipt = await place.ask("DELETE", f"people/{place.person}")
    await put_in_with_picture(place, stay)  # off line
    await place.wall.sync()
    await privacy.erase_late_pictures(place.cloud.office)
    await place.wall.sync()
    assert receipt["erased"]["pictures"] == 0
    assert json.loads(place.wall.journal.document("erased") or b"") == [PICTURE]
    version = place.wall.journal.documents()["erased"]
    await privacy.erase_late_pictures(place.cloud.office)
    await place.wall.sync()
    assert place.wall.journal.documents()["erased"] == version, "told once"


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
    # A notice may have come meanwhile, and nobody has sent it: what is not sent is not forgotten.
    await connection.execute("UPDATE outbox SET sent_at = due_at, due_at = now() - interval '6 days'")
    await privacy.forget(place.cloud.office)  # not twice in a night
    assert (await place.ask("GET", f"stays/{stay}"))["tracking"] is not None
    await connection.execute("UPDATE installation SET forgot_at = now() - interval '1 day'")
    await privacy.forget(place.cloud.office)
    assert (await place.ask("GET", f"stays/{stay}"))["tracking"] is None
    old = "SELECT count(*) FROM outbox WHERE due_at < now() - interval '5 days'"
    assert await connection.fetchval(old) == 0
    await connection.close()


async def test_a_recipient_reads_what_is_known_and_why(place: Town) -> None:
    stay = await lived_in(place)
    page = (await place.ask("GET", f"stays/{stay}"))["page"]
    told = (await place.http.get(f"{page}/about")).text
    assert all(word in told for word in ("Town", "Ada Lovelace", "ada@example.org", "1Z999AA10123456784", "90 days"))
    assert "sees your initials and unit, and nothing else" in told
    await place.ask("PUT", f"banks/{place.bank}/policy", 202, json={"directory": "names"})
    assert "sees your name and unit, and nothing else" in (await place.http.get(f"{page}/about")).text
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
