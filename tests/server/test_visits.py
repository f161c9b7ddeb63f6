"""Recipients see all of their parcels by a mailed code or a passkey, without an account."""

import asyncio
import json
import re
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
from playwright.async_api import Page
from tests.server.authenticators import Authenticator
from tests.server.offices import Clock, an_office
from tests.server.test_accounts import first_owner
from tests.server.test_pages import PHONE, browsing, looking, shot
from tests.server.test_passkeys import HERE as THERE
from tests.server.test_sign_in_pages import HERE
from tests.server.town import Town, town

from latchwork.domain.words import StayId
from latchwork.server.actions import passkeys, visits
from latchwork.server.actions.office import Declined, Office

ADA = "ada@example.org"


async def person(office: Office, email: str = ADA, name: str = "Ada Lovelace") -> str:
    rows = await office.store.fetch("SELECT id FROM organisations LIMIT 1")
    organisation = rows[0]["id"] if rows else (await first_owner(office)).organisation
    made = office.new_id()
    await office.store.fetch(
        "INSERT INTO people (id, organisation, name, email) VALUES ($1, $2, $3, $4)", made, organisation, name, email
    )
    return made


async def code(office: Office) -> str:
    rows = await office.store.fetch("SELECT id FROM links WHERE purpose = 'code' ORDER BY created_at DESC LIMIT 1")
    return office.vault.mailed_code(rows[0]["id"])


async def enters(office: Office, cookie: str, digits: str) -> str | None:
    try:
        return await visits.enter(office, cookie, digits)
    except Declined:
        return None


async def test_a_code_lets_in_once_in_its_time_and_in_its_browser(database: str, tmp_path: Path) -> None:
    clock = Clock()
    async with an_office(database, tmp_path, clock, mails=True) as office:
        ada = await person(office, "Ada@Example.org")
        cookie = await visits.ask_code(office, f" {ADA.upper()}", "192.0.2.1")
        digits = await code(office)
        assert re.fullmatch(r"\d{6}", digits)
        assert await enters(office, cookie, "000000" if digits != "000000" else "111111") is None
        assert await enters(office, "", digits) is None
        secret = await enters(office, cookie, f"{digits[:3]} {digits[3:]}")
        assert secret is not None
        assert [visitor.id for visitor in await visits.visitors(office, secret)] == [ada]
        assert await enters(office, cookie, digits) is None, "used up"
        cookie = await visits.ask_code(office, ADA, "192.0.2.1")
        clock.move(minutes=11)
        assert await enters(office, cookie, await code(office)) is None, "too old"
        rows = str(await office.store.fetch("TABLE links")) + str(await office.store.fetch("TABLE visits"))
        assert secret not in rows and digits not in rows


async def test_guessing_a_code_is_slow_whatever_is_asked_anew(database: str, tmp_path: Path) -> None:
    clock = Clock()
    async with an_office(database, tmp_path, clock) as office:
        await person(office)
        tried, cookie = 0, await visits.ask_code(office, ADA, "192.0.2.1")
        for minute in range(24 * 60):
            clock.move(minutes=1)
            try:
                if minute % 9 == 0:
                    cookie = await visits.ask_code(office, ADA, f"198.51.{minute % 100}.1")
            except Declined:
                pass
            try:
                await visits.enter(office, cookie, "no")
            except Declined as declined:
                tried += declined.reason == "wrong_code"
        assert 20 < tried < 130, "in a day, against a million codes"


async def test_who_has_parcels_is_told_to_nobody(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path, mail=True) as place:
        await place.settle()
        answers = [
            await place.http.post("/me/code", data={"email": email}, headers=HERE)
            for email in ("ada@example.org", "nobody@example.org")
        ]
        assert answers[0].text == answers[1].text and answers[0].status_code == answers[1].status_code == 200
        lengths = [len(answer.headers["set-cookie"]) for answer in answers]
        assert lengths[0] == lengths[1]


async def test_a_visit_ends_by_age_by_idleness_by_leaving_and_by_erasure(database: str, tmp_path: Path) -> None:
    clock = Clock()
    async with an_office(database, tmp_path, clock) as office:
        ada = await person(office)

        async def inside() -> str:
            clock.move(hours=1)
            cookie = await visits.ask_code(office, ADA, "192.0.2.1")
            secret = await enters(office, cookie, await code(office))
            assert secret is not None
            return secret

        idle, busy = await inside(), await inside()
        for _ in range(4):
            clock.move(days=6)
            assert await visits.visitors(office, busy)
        assert not await visits.visitors(office, idle)
        clock.move(days=6)
        assert not await visits.visitors(office, busy), "thirty days are over"
        one, other = await inside(), await inside()
        await visits.leave(office, one, everywhere=False)
        assert not await visits.visitors(office, one) and await visits.visitors(office, other)
        third = await inside()
        await visits.leave(office, third, everywhere=True)
        assert not await visits.visitors(office, other)
        last = await inside()
        await office.store.fetch("DELETE FROM people WHERE id = $1", ada)
        assert not await visits.visitors(office, last)
        for nonsense in ("", "x" * 43, "é" * 43):
            assert not await visits.visitors(office, nonsense)


async def test_everybody_with_one_mailbox_is_seen_and_nobody_else(database: str, tmp_path: Path) -> None:
    async with an_office(database, tmp_path, Clock()) as office:
        one, other = await person(office), await person(office, name="Byron Lovelace")
        await person(office, "grace@example.org")
        secret = await enters(office, await visits.ask_code(office, ADA, "192.0.2.1"), await code(office))
        assert secret is not None
        assert {visitor.id for visitor in await visits.visitors(office, secret)} == {one, other}


async def test_a_recipients_passkey_opens_their_parcels_and_no_operators_page(database: str, tmp_path: Path) -> None:
    async with an_office(database, tmp_path, Clock()) as office:
        ada = await person(office)
        secret = await enters(office, await visits.ask_code(office, ADA, "192.0.2.1"), await code(office))
        assert secret is not None
        (visitor,) = await visits.visitors(office, secret)
        device = Authenticator(THERE.id, THERE.origin)
        question = await visits.ask_to_keep(office, visitor)
        assert question is not None
        await visits.keep_passkey(office, visitor, question.cookie, device.make(question.options))
        question = await visits.ask_passkey(office)
        assert question is not None
        entered = await visits.enter_by_passkey(office, question.cookie, device.show(question.options))
        assert [each.id for each in await visits.visitors(office, entered)] == [ada]
        question = await passkeys.ask_to_show(office)
        assert question is not None
        with pytest.raises(Declined):
            await passkeys.show(office, question.cookie, device.show(question.options))
        await visits.leave(office, entered, everywhere=True)
        question = await visits.ask_passkey(office)
        assert question is not None
        with pytest.raises(Declined):
            await visits.enter_by_passkey(office, question.cookie, device.show(question.options))


async def test_a_form_of_another_visit_does_nothing(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path, mail=True) as place:
        await place.settle()
        async with httpx.AsyncClient(timeout=60, base_url=place.url, headers=HERE) as phone:
            await enter(place, phone)
            for seal in ("", "0" * 64):
                assert (await phone.post("/me/leave", data={"seal": seal})).status_code == 403
            cross = {"Sec-Fetch-Site": "cross-site"}
            assert (await phone.post("/me/code", data={"email": ADA}, headers=cross)).status_code == 403
            assert "Ada Lovelace" in (await phone.get("/me")).text
            assert (await phone.get("/operator")).status_code == 303


async def enter(place: Town, phone: httpx.AsyncClient) -> None:
    await phone.post("/me/code", data={"email": ADA})
    mail = (await place.mails(1))[0]
    digits = re.search(r"\b\d{6}\b", mail["text"])
    assert digits is not None
    assert (await phone.post("/me/enter", data={"code": digits[0]})).headers["location"] == "/me"


async def test_a_recipient_enters_on_a_phone_and_keeps_a_passkey(
    database: str, tmp_path: Path, chromium_path: str
) -> None:
    async with (
        town(database, tmp_path, mail=True) as place,
        browsing(chromium_path) as browser,
        looking(browser, PHONE, refused=True) as page,
    ):
        await place.settle()
        stay = (await place.announce("LW-2041 7733"))["id"]
        await place.wall.sync()
        await _authenticator(page)
        url = place.url.replace("127.0.0.1", "localhost")
        await page.goto(f"{url}/me")
        await shot(page, "me-door-390")
        await page.get_by_label("The mail address").fill(ADA)
        await page.get_by_role("button", name="Mail me a code").click()
        await page.get_by_role("heading", name="Look at your mails").wait_for()
        await shot(page, "me-code-390")
        await page.get_by_label("The six digits").fill("000000")
        await page.get_by_role("button", name="Go on").click()
        await page.get_by_text("This code is wrong").wait_for()
        digits = re.search(r"\b\d{6}\b", (await place.mails(1))[0]["text"])
        assert digits is not None
        await page.get_by_label("The six digits").fill(digits[0])
        await page.get_by_role("button", name="Go on").click()
        await page.get_by_role("link", name="LW-2041 7733").wait_for()
        await shot(page, "me-parcels-390")
        await page.get_by_role("button", name="Keep a passkey").click()
        await page.get_by_text("Next time this device lets you in.").wait_for()
        back = datetime.now(ZoneInfo("Europe/Berlin")).date() + timedelta(days=9)
        await page.get_by_label("Back on").fill(back.isoformat())
        await page.get_by_role("button", name="Keep everything for me until then").click()
        assert f" {back.day} " in await page.get_by_text("You are away until").inner_text()
        away = (await place.ask("GET", f"people/{place.person}"))["away_until"]
        assert datetime.fromisoformat(away) == datetime.combine(back, time(), ZoneInfo("Europe/Berlin"))
        await shot(page, "me-away-390")
        await page.get_by_role("button", name="I am back").click()
        await page.get_by_label("Back on").wait_for()
        assert (await place.ask("GET", f"people/{place.person}"))["away_until"] is None
        await page.get_by_label("Language").select_option("de")
        await page.get_by_label("A mail when something was collected").uncheck()
        await page.get_by_role("button", name="Keep it so").click()
        await page.get_by_role("heading", name="Meine Pakete").wait_for()
        assert not await page.get_by_label("wenn etwas abgeholt wurde").is_checked()
        await shot(page, "me-german-390")
        await page.get_by_role("button", name="Hier abmelden").click()
        await page.get_by_role("button", name="Use a passkey").click()
        await page.get_by_role("link", name="LW-2041 7733").click()
        await page.get_by_role("heading", name="Unterwegs").wait_for()
        assert place.cloud.office.vault.link(stay) in page.url

        await place.wall.put_in(place.courier, stay)
        await place.wall.collect(StayId(stay))
        await place.wall.sync()
        async with asyncio.timeout(30):  # it is collected by now, so that it is ready is not told any more either
            while {x["kind"]: x["last_error"] for x in await place.ask("GET", "notices")}.get(
                "collected"
            ) != "unwanted":
                await asyncio.sleep(0.1)
        assert len(await place.mails(1)) == 1

        # What was done is told to whom it is about: doors, messages, and which of the staff saw the name.
        await page.goto(f"{url}/me")
        await page.get_by_role("link", name="Was über Sie verzeichnet ist").click()
        await page.get_by_role("heading", name="Town").wait_for()
        told = await page.inner_text("main")
        assert told.count("Lobby, Fach 01, ") == 2 and ADA in told and "Ihr Paket wurde abgeholt" in told
        await shot(page, "record-german-390")
        async with page.expect_download() as loading:
            await page.get_by_role("link", name="Alles als Datei").click()
        (held,) = json.loads((await (await loading.value).path()).read_text())
        assert [x["purpose"] for x in held["openings"]] == ["deposit", "collect"]
        assert len(held["visits"]) == len(held["passkeys"]) == 1 and held["received"][0]["id"] == stay
        assert not any(look["by_name"] for look in held["looks"]), "staff have a privacy, too"


async def _authenticator(page: Page) -> None:
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("WebAuthn.enable")
    about = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    options = about | {"isUserVerified": True, "automaticPresenceSimulation": True}
    await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
