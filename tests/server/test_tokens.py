"""API tokens end, are replaced without a gap, are revoked at once, and are never shown twice."""

import re
from pathlib import Path

import pytest
from tests.server.offices import Clock, an_office
from tests.server.test_pages import DESK, PHONE, browsing, looking, shot
from tests.server.town import town

from latchwork.server.actions import access, links, tokens
from latchwork.server.actions.office import Declined, Office, Who


async def first(office: Office) -> tuple[Who, str]:
    kept: list[str] = []
    await access.begin(office, kept.append)
    who = await access.who_is(office, kept[0])
    assert who is not None
    return who, kept[0]


async def test_a_token_ends_by_itself_and_its_links_and_sessions_with_it(database: str, tmp_path: Path) -> None:
    clock = Clock()
    async with an_office(database, tmp_path, clock) as office:
        who, _ = await first(office)
        made = await tokens.make(office, who, "Shop front", "auditor", 30)
        theirs = await access.who_is(office, made.token)
        assert theirs is not None and (theirs.role, theirs.name, theirs.root) == ("auditor", "Shop front", False)
        clock.move(days=30, minutes=-1)
        link = (await links.sign_in_link(office, theirs)).link
        assert link is not None and await access.who_is(office, made.token)
        clock.move(minutes=2)
        assert await access.who_is(office, made.token) is None
        with pytest.raises(Declined):
            await links.find(office, link.rsplit("/", 1)[1])
        assert made.id not in [each.id for each in await tokens.tokens(office, who)]
        assert made.token not in str(await office.store.fetch("TABLE tokens"))


async def test_both_work_for_a_week_after_one_is_replaced(database: str, tmp_path: Path) -> None:
    clock = Clock()
    async with an_office(database, tmp_path, clock) as office:
        who, _ = await first(office)
        old = await tokens.make(office, who, "ERP", "manager", 90)
        new = await tokens.rotate(office, who, old.id)
        assert new.token != old.token and (new.expires_at - clock()).days == 90
        replaced = await access.who_is(office, new.token)
        assert replaced is not None and (replaced.role, replaced.name) == ("manager", "ERP")
        clock.move(days=6)
        assert await access.who_is(office, old.token)
        clock.move(days=2)
        assert await access.who_is(office, old.token) is None and await access.who_is(office, new.token)
        with pytest.raises(Declined):
            await tokens.rotate(office, who, old.id)


async def test_a_revoked_token_is_refused_at_once(database: str, tmp_path: Path) -> None:
    async with an_office(database, tmp_path, Clock()) as office:
        who, _ = await first(office)
        made = await tokens.make(office, who, "Lost", "owner", 90)
        assert await access.who_is(office, made.token)
        await tokens.revoke(office, who, made.id)
        assert await access.who_is(office, made.token) is None
        with pytest.raises(Declined):
            await tokens.revoke(office, who, made.id)


async def test_the_first_tokens_power_is_not_had_by_replacing_it(database: str, tmp_path: Path) -> None:
    async with an_office(database, tmp_path, Clock()) as office:
        who, _ = await first(office)
        other = await tokens.make(office, who, "Another owner", "owner", 90)
        theirs = await access.who_is(office, other.token)
        assert theirs is not None
        with pytest.raises(Declined):
            await tokens.rotate(office, theirs, who.token)
        newer = await access.who_is(office, (await tokens.rotate(office, who, who.token)).token)
        assert newer is not None and newer.root


@pytest.mark.parametrize(
    ("role", "days", "party"), [("root", 1, None), ("carrier", 1, None), ("owner", 0, None), ("owner", 9999, None)]
)
async def test_nonsense_makes_no_token(database: str, tmp_path: Path, role: str, days: int, party: str | None) -> None:
    async with an_office(database, tmp_path, Clock()) as office:
        who, _ = await first(office)
        with pytest.raises(Declined):
            await tokens.make(office, who, "x", role, days, party)


async def test_tokens_through_the_api_and_on_the_page(database: str, tmp_path: Path, chromium_path: str) -> None:
    async with (
        town(database, tmp_path) as place,
        browsing(chromium_path) as browser,
        looking(browser, DESK) as page,
    ):
        await place.settle()
        made = await place.ask("POST", "tokens", json={"name": "Carrier", "role": "carrier", "party": place.party})
        mine, place.token = place.token, made["token"]
        assert await place.ask("GET", "tokens", 403)
        place.token = mine
        listed = await place.ask("GET", "tokens")
        assert "token" not in listed[1] and listed[1]["name"] == "Carrier"
        elsewhere = (await place.ask("POST", "organisations", json={"name": "E"}, headers=_bearer(place.root)))["token"]
        place.token = elsewhere
        for method, path in (("POST", f"tokens/{made['id']}/rotate"), ("DELETE", f"tokens/{made['id']}")):
            await place.ask(method, path, 404)
        party = {"name": "Theirs", "role": "carrier", "party": place.party}
        await place.ask("POST", "tokens", 404, json=party)
        place.token = mine
        await place.ask("DELETE", f"tokens/{made['id']}")

        await page.goto(await place.sign_in_link())
        await page.get_by_role("button", name="Sign in").click()
        await page.goto(f"{place.url}/operator/tokens")
        await page.get_by_label("What it is for").fill("Reports")
        await page.get_by_role("button", name="Make a token").click()
        token = await page.locator("#token").inner_text()
        assert re.fullmatch(r"lw_[\w-]{43}", token)
        await shot(page, "tokens-1280")
        await page.set_viewport_size(PHONE)
        await shot(page, "tokens-390")
        await page.goto(f"{place.url}/operator/tokens")
        assert token not in await page.content()


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
