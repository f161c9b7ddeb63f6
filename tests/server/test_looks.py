"""Staff leave traces: whoever sees a name is written down, and whoever's door they open is told."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
from tests.server.test_access import token_of
from tests.server.test_pages import DESK, PHONE, browsing, looking, parcel_page, shot
from tests.server.town import Town, town

from latchwork.store.postgres import Scope


async def staff(place: Town, database: str, role: str) -> str:
    place.token = await token_of(database, (await place.ask("GET", "organisations"))[0]["id"], role)
    return place.token


async def test_whoever_sees_a_name_is_written_down_and_shown(database: str, tmp_path: Path, chromium_path: str) -> None:
    async with town(database, tmp_path) as place, browsing(chromium_path) as browser:
        await place.settle()
        owner, stay = place.token, (await place.announce("LW-1"))["id"]
        await place.wall.sync()
        link = await parcel_page(place, stay)
        other = (await place.ask("POST", "people", json={"name": "Grace Hopper"}))["id"]
        await staff(place, database, "attendant")
        for _ in range(3):
            await place.ask("GET", f"stays/{stay}")
            await place.ask("GET", f"people/{place.person}")
        await place.ask("GET", "people")
        await place.ask("GET", f"people/{place.person}/looks", 403)
        await staff(place, database, "auditor")
        seen = await place.ask("GET", f"people/{place.person}/looks")
        assert sorted((x["by_name"], x["what"]) for x in seen if x["role"] == "attendant") == [
            ("attendant", "list"),
            ("attendant", "person"),
            ("attendant", "stay"),
        ], "one line a day for each"
        assert {x["what"] for x in await place.ask("GET", f"people/{other}/looks")} == {"list"}
        place.token = owner
        async with looking(browser, PHONE) as page:
            await page.goto(f"{link}/about")
            assert "attendant, your entry" in await page.inner_text("main")
            assert "Grace" not in await page.inner_text("main")
            await shot(page, "about-390")
        async with looking(browser, DESK) as page:
            await page.goto(await place.sign_in_link())
            await page.get_by_role("button", name="Sign in").click()
            await page.get_by_role("link", name="Rights").click()
            await page.get_by_role("link", name="Who looked at whom").click()
            await page.get_by_role("row", name="attendant (attendant) Ada Lovelace their entry").wait_for()
            await shot(page, "looks-1280")


async def test_nobody_takes_a_look_back(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        await place.ask("GET", "people")
        organisation = (await place.ask("GET", "organisations"))[0]["id"]
        store = place.cloud.office.store
        assert len(await store.fetch("SELECT FROM looks", scope=Scope(organisation))) == 1
        for change in ("DELETE FROM looks", "UPDATE looks SET by_name = 'nobody'"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await store.fetch(change, scope=Scope(organisation))


async def test_whoevers_door_staff_open_is_told_and_told_once(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path, mail=True) as place:
        await place.settle()
        await place.deposit()
        await place.mails(1)
        owner = place.token
        await staff(place, database, "attendant")
        door = f"banks/{place.bank}/compartments"
        for number in ("01", "02"):  # the second is empty: nobody to tell
            await place.ask("POST", f"{door}/{number}/open", 202, json={"reason": "inspection"})
            await place.wall.sync()
            await place.wall.swing()
            await place.wall.sync()
        told = await place.mails(2)
        assert [mail["subject"] for mail in told] == [
            "Staff opened the door of your parcel: Lobby",
            "Your parcel is ready: Lobby",
        ]
        (opening,) = await place.ask("GET", f"{door}/01/openings?limit=1")
        assert (opening["purpose"], opening["reason"]) == ("service", "inspection")
        store = place.cloud.office.store
        async with asyncio.timeout(30):  # until the second was gone through as well
            while await store.fetch("SELECT FROM openings WHERE purpose = 'service' AND told_at IS NULL"):
                await asyncio.sleep(0.1)
        assert [row["kind"] for row in await store.fetch("SELECT kind FROM outbox WHERE kind = 'opened'")] == ["opened"]
        place.token = owner
        held = await place.ask("GET", f"people/{place.person}/export")
        assert [(x["purpose"], x["compartment"]) for x in held["openings"]] == [("deposit", "01"), ("service", "01")]


async def test_a_thing_whose_recipient_cannot_be_told_is_a_managers_business(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        mute = (await place.ask("POST", "people", json={"name": "No Mail"}))["id"]
        await place.deposit(recipient=mute)
        owner, door = place.token, f"banks/{place.bank}/compartments/01/open"
        for role in ("attendant", "technician"):
            place.token = owner
            await staff(place, database, role)
            refused = await place.ask("POST", door, 403, json={"reason": "customer_help"})
            assert "A manager opens it" in refused["detail"]
        place.token = owner
        await staff(place, database, "manager")
        await place.ask("POST", door, 202, json={"reason": "customer_help"})
