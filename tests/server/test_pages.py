"""The parcel page and the operator's pages in a real browser, on a phone and on a desk, by themselves up to date."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from playwright.async_api import Browser, Page, ViewportSize, async_playwright
from tests.server.town import Town, town

from latchwork.domain import commands as c
from latchwork.domain.words import CompartmentId, DoorState, Reason, StayId
from latchwork.server.actions.tasks import LOOKS, WORDS, find_silent
from latchwork.store.rows import Task
from latchwork.ui.words import words

SCREENSHOTS = Path(__file__).parents[2] / "var" / "screenshots"
PHONE: ViewportSize = {"width": 390, "height": 844}
DESK: ViewportSize = {"width": 1280, "height": 800}


@asynccontextmanager
async def browsing(path: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = await playwright.chromium.launch(executable_path=path, args=sandbox)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def looking(
    browser: Browser, size: Any, dark: bool = False, refused: bool = False, language: str | None = None
) -> AsyncIterator[Page]:
    """A page that may not complain of anything. `refused`: but for answers that are meant to be a no."""
    context = await browser.new_context(viewport=size, color_scheme="dark" if dark else "light", locale=language)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        yield page
    finally:
        await context.close()
    fine = ["ERR_INCOMPLETE_CHUNKED", *(["with a status of 4"] if refused else [])]
    assert [c for c in complaints if not any(each in c for each in fine)] == []


async def shot(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    await page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
    assert wide <= 0, f"{name} scrolls sideways by {wide} px"


async def parcel_page(place: Town, stay: str) -> str:
    return str((await place.ask("GET", f"stays/{stay}"))["page"])


async def test_a_recipient_follows_a_parcel_on_a_phone(database: str, tmp_path: Path, chromium_path: str) -> None:
    async with town(database, tmp_path) as place, browsing(chromium_path) as browser:
        await place.settle()
        stay = (await place.announce("LW-2041 7733"))["id"]
        await place.wall.sync()
        async with looking(browser, PHONE) as page:
            await page.goto(await parcel_page(place, stay))
            await page.get_by_role("heading", name="On its way").wait_for()
            await shot(page, "parcel-expected-390")

            await place.wall.put_in(place.courier, stay)
            await place.wall.sync()
            await page.get_by_role("heading", name="Ready to collect").wait_for(timeout=30_000)
            await page.get_by_role("status").filter(has_text="Ready to collect").wait_for(state="attached")
            assert "Ready to collect" in await page.title()
            digits = "".join(x for x in await page.locator(".digits").inner_text() if x.isdigit())
            assert place.wall.bank.passes[place.wall.pass_with(digits)].grant.stay == stay
            assert await page.get_by_role("img", name="QR code").count() == 1
            await shot(page, "parcel-ready-390")
            await page.set_viewport_size(DESK)
            await shot(page, "parcel-ready-1280")
            await page.set_viewport_size(PHONE)

            await place.wall.take_out(digits)
            await place.wall.sync()
            await page.get_by_role("heading", name="Collected").wait_for(timeout=30_000)
            assert await page.locator(".digits").count() == 0
            await shot(page, "parcel-collected-390")
        async with looking(browser, PHONE, dark=True, refused=True) as page:
            await page.goto(await parcel_page(place, stay))
            await shot(page, "parcel-collected-dark-390")
            await page.route("**/events", lambda route: route.fulfill(status=404))
            await page.reload()
            await page.get_by_role("alert").filter(has_text="may be out of date").wait_for()
            await shot(page, "parcel-stale-dark-390")


async def test_an_operator_watches_a_wall_and_opens_a_door(database: str, tmp_path: Path, chromium_path: str) -> None:
    async with town(database, tmp_path) as place, browsing(chromium_path) as browser:
        await place.settle()
        stays = [(await place.announce(f"LW-{n}"))["id"] for n in (1, 2, 3, 4, 5, "$&")]
        await place.wall.sync()
        for stay in stays[:4]:
            await place.wall.put_in(place.courier, stay)
        await place.wall.collect(stays[0])
        await place.wall.sync()
        async with looking(browser, DESK) as page:
            await page.goto(await place.sign_in_link())
            await page.get_by_role("button", name="Sign in").click()
            await shot(page, "operator-banks-1280")
            await page.get_by_role("link", name="Lobby").click()
            await page.get_by_role("link", name="LW-3", exact=True).wait_for()
            await shot(page, "operator-bank-1280")

            await page.get_by_text("As a list").click()
            await place.wall.put_in(place.courier, stays[4])
            await place.wall.sync()
            await page.locator("[data-doors] button.wall__door--occupied").nth(3).wait_for(timeout=30_000)
            await page.locator("details[open]").get_by_role("link", name="08").wait_for()
            assert await page.evaluate("document.activeElement.textContent") == "As a list"
            await page.set_viewport_size(PHONE)
            await page.get_by_text("The wall's key, for its sticker").click()
            await page.get_by_text("countersigns as").wait_for()
            await shot(page, "operator-bank-390")
            await page.set_viewport_size(DESK)

            await page.get_by_role("button", name="08").click()
            await page.get_by_role("heading", name="Door 08").wait_for()
            await page.get_by_label("Inspection").check()
            await page.get_by_label("Note").fill("Sounds odd")
            await page.get_by_role("button", name="Open door 08").click()
            await page.get_by_text("The wall has not answered yet.").wait_for()
            await place.wall.sync()
            await place.wall.swing()
            await place.wall.sync()
            await page.locator("main").get_by_text("The door opened and was closed again.").wait_for(timeout=30_000)
            await shot(page, "operator-door-1280")
            await page.set_viewport_size(PHONE)
            await shot(page, "operator-door-390")
            await page.set_viewport_size(DESK)

            await page.get_by_role("link", name="Lobby").click()
            await page.get_by_role("link", name="LW-$&", exact=True).click()
            title = await page.title()
            await place.wall.put_in(place.courier, stays[5])
            await place.wall.sync()
            await page.locator("h1 + .badge", has_text="In the locker").wait_for(timeout=30_000)
            assert "LW-$&" in title == await page.title()
            await page.get_by_role("link", name="Lobby").click()
            await page.get_by_role("link", name="LW-1", exact=True).click()
            await page.get_by_role("heading", name="LW-1").wait_for()
            await shot(page, "operator-stay-1280")
            await page.get_by_role("button", name="Sign out").click()
            await page.get_by_role("heading", name="Sign in").wait_for()
            await page.goto(f"{place.url}/operator/banks/{place.bank}")
            await page.get_by_role("heading", name="Sign in").wait_for()


async def test_a_recipient_keeps_a_parcel_and_sends_somebody(database: str, tmp_path: Path, chromium_path: str) -> None:
    async with town(database, tmp_path) as place, browsing(chromium_path) as browser:
        await place.settle()
        service = {"id": "parcel", "deposit_by": "courier", "collect_by": "person", "pickup_hours_max": 72}
        service |= {"extensions_max": 1, "extension_hours": 24}
        await place.ask("PUT", f"banks/{place.bank}/services", json={"services": [service]})
        stay = await place.deposit("LW-2041 7733")
        async with looking(browser, PHONE) as page:
            await page.goto(await parcel_page(place, stay))
            await page.get_by_role("link", name="More time, or somebody else").click()
            await page.get_by_role("heading", name="Keep it until a day").wait_for()
            await shot(page, "parcel-change-390")
            await page.set_viewport_size(DESK)
            await shot(page, "parcel-change-1280")
            await page.set_viewport_size(PHONE)
            await page.get_by_role("button", name="Ask for more time").click()
            await page.get_by_text("The locker was asked, and has not answered yet.").wait_for()
            await place.wall.sync()
            await page.get_by_text("It got more time.").wait_for(timeout=30_000)
            await page.get_by_role("link", name="More time, or somebody else").click()
            await page.get_by_label("Their name").fill("Bo Larsen")
            await page.get_by_role("button", name="Send them").click()
            await page.get_by_text("Bo Larsen").wait_for()
            await place.wall.sync()
            code = page.locator("li .digits")
            await code.wait_for(timeout=30_000)
            digits = "".join(x for x in await code.inner_text() if x.isdigit())
            assert place.wall.bank.passes[place.wall.pass_with(digits)].grant.stay == stay
            await shot(page, "parcel-delegated-390")
            await page.get_by_role("link", name="More time, or somebody else").click()
            await page.get_by_role("button", name="Do not send Bo Larsen").click()
            await page.get_by_role("heading", name="Ready to collect").wait_for()
            await place.wall.sync()
            await page.get_by_text("revoked").wait_for(timeout=30_000)


async def test_an_operator_settles_what_a_person_must(database: str, tmp_path: Path, chromium_path: str) -> None:
    async with town(database, tmp_path) as place, browsing(chromium_path) as browser:
        await place.settle()
        grace = {"name": "Grace Hopper", "unit": "14"}
        await place.ask("POST", "people", json=grace)
        stay, coming = [(await place.announce(key))["id"] for key in ("LW-1", "LW-2")]
        await place.wall.sync()
        wall = place.wall
        await wall.put_in(place.courier, stay)
        await wall.collect(stay)
        pickup = await wall.sign_in(next(p.grant.pass_id for p in wall.bank.passes.values() if p.took))
        told = await wall.do(c.Report(pickup, StayId(stay), Reason.NOT_MINE))
        assert told.refusal is None
        await wall.sync()
        async with looking(browser, DESK) as page:
            await page.goto(await place.sign_in_link())
            await page.get_by_role("button", name="Sign in").click()
            await page.get_by_role("link", name="Tasks", exact=True).first.click()
            await page.get_by_role("button", name="I take it").click()
            await page.get_by_role("button", name="Take it over").wait_for()
            await shot(page, "operator-tasks-1280")
            await page.set_viewport_size(PHONE)
            await shot(page, "operator-tasks-390")
            await page.set_viewport_size(DESK)
            await page.get_by_role("link", name="LW-1: it seems to be somebody else's").click()
            await page.get_by_role("link", name="Change something").click()
            await shot(page, "operator-change-1280")
            await page.set_viewport_size(PHONE)
            await shot(page, "operator-change-390")
            await page.set_viewport_size(DESK)
            await page.get_by_label("Give it to").fill("Grace Hopper, 14")
            await page.get_by_role("button", name="Give it to them").click()
            await page.get_by_text("Asked: to change it.").wait_for()
            await wall.sync()
            await page.get_by_text("Grace Hopper").wait_for(timeout=30_000)
            await page.get_by_role("link", name="Tasks", exact=True).first.click()
            await page.get_by_text("Nothing to look at.").wait_for()

            await page.goto(f"{place.url}/operator/banks/{place.bank}/doors/05")
            await page.get_by_role("button", name="Out of service when empty").click()
            await page.get_by_text("The wall has not answered yet.").wait_for()
            await wall.sync()
            await page.locator("main").get_by_text("In or out of service: the wall took it.").wait_for(timeout=30_000)
            await shot(page, "operator-door-service-1280")
            await page.goto(f"{place.url}/operator/banks/{place.bank}/audit")
            await page.get_by_role("row", name="05 Out of service").wait_for()
            await shot(page, "operator-audit-1280")
            await page.goto(f"{place.url}/operator/stays/{coming}/change")
            await page.get_by_role("button", name="Cancel it").click()
            await page.get_by_text("Asked: to expect it no longer.").wait_for()
            await wall.do(c.See({CompartmentId("07"): DoorState.OPEN}))
            await wall.sync()
            await page.goto(f"{place.url}/operator")
            await page.get_by_role("heading", name="1 thing needs somebody").wait_for()
            await shot(page, "operator-banks-tasks-1280")
            await page.get_by_role("link", name="Door 07 opened without an order").click()
            await page.get_by_text("Look inside, and say").wait_for()
            await page.goto(f"{place.url}/operator/stays/{coming}")
            await page.get_by_role("heading", name="What happened").wait_for()
            assert await page.get_by_text("without an order").count() == 0, "another door's task"
            await page.goto(f"{place.url}/operator/banks/{place.bank}")
            await page.get_by_text("The whole bank out of service, or back").click()
            await shot(page, "operator-bank-service-1280")

            await place.cloud.office.store.fetch(
                "UPDATE banks SET heard_at = now() - interval '9 min', appended_at = NULL"
            )
            place.cloud.office.unheard[place.bank] = LOOKS
            await find_silent(place.cloud.office)
            await page.reload()
            await page.get_by_text("The wall is not heard any more").wait_for()
            assert await page.get_by_text("has not been heard since").count() == 0, "it is told once"
            for size, name in ((DESK, "1280"), (PHONE, "390")):
                await page.set_viewport_size(size)
                for path in ("", f"/banks/{place.bank}", "/tasks"):
                    await page.goto(f"{place.url}/operator{path}")
                    await shot(page, f"operator-silent-{path[1:5]}-{name}")
            await page.goto(f"{place.url}/operator/collections")
            await page.get_by_text("What happened there since is not in this list.").wait_for()
        await read_in_german(place, browser, coming)


async def read_in_german(place: Town, browser: Browser, stay: str) -> None:
    """Every page that a link of an operator's page leads to, and a recipient's: none has an English sentence."""
    english = [text for text, told in words("de").sentences.items() if " " in text and len(text) > 10 and text != told]
    async with httpx.AsyncClient(
        timeout=60, base_url=place.url, headers={"Accept-Language": "de-AT,en;q=0.5"}
    ) as reader:

        async def read(path: str) -> str:
            answer = await reader.get(path)
            if answer.headers.get("content-disposition", "").startswith("attachment"):
                return ""
            text = unescape(re.sub("<[^>]*>", "|", answer.text))
            assert '<html lang="de"' in answer.text and [x for x in english if f"|{x}" in text] == [], path
            return answer.text

        await read("/operator/sign-in")
        await read("/operator/forgot")
        await place.sign_in(reader)
        seen, todo = set[str](), ["/operator"]
        while todo:
            path = todo.pop()
            if path not in seen:
                seen.add(path)
                todo += re.findall(r'href="(/operator[^"?#]*)', await read(path))
        assert len(seen) > 15 and "/operator/people/new" in seen
        await read("/operator/banks/nope")
        about = await parcel_page(place, stay)
        assert '<html lang="en"' in (await reader.get(about)).text, "whom it is for reads English"
        await place.ask("PUT", f"people/{place.person}", json={"name": "Ada Lovelace", "language": "de"})
        for path in (about, f"{about}/change", f"{about}/about", "/me", "/p/nothing"):
            await read(path)
    async with looking(browser, PHONE) as page:
        await page.goto(about)
        await shot(page, "parcel-german-390")
        await page.goto(f"{about}/about")
        await shot(page, "about-german-390")
        await page.set_extra_http_headers({"Accept-Language": "de"})
        await page.goto(await place.sign_in_link())
        await page.get_by_role("button", name="Anmelden").click()
        await page.goto(f"{place.url}/operator/banks/{place.bank}")
        await shot(page, "operator-bank-german-390")
        await page.set_viewport_size(DESK)
        await shot(page, "operator-bank-german-1280")
        await page.goto(f"{place.url}/operator/people/{place.person}")
        await shot(page, "person-german-1280")


def test_every_task_has_words() -> None:
    assert set(WORDS) == set(Task)


async def test_a_parcel_page_tells_nobody(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        stay = (await place.announce("LW-1"))["id"]
        address = await parcel_page(place, stay)
        page = await place.http.get(address)
        assert page.headers["referrer-policy"] == "no-referrer"
        assert "noindex" in page.headers["x-robots-tag"]
        assert page.headers["cache-control"] == "no-store"
        policy = page.headers["content-security-policy"]
        assert "unsafe-inline" not in policy and "default-src 'self'" in policy
        assert "set-cookie" not in page.headers
        assert place.token not in page.text and place.person not in page.text
        token = address.rsplit("/", 1)[1]
        for wrong in (token[:-1], token[:-1] + ("A" if token[-1] != "A" else "B"), "x" * 43, "%00", "0" * 32, stay):
            assert (await place.http.get(f"/p/{wrong}")).status_code == 404
            assert (await place.http.get(f"/p/{wrong}/events")).status_code == 404


async def test_events_begin_with_what_is_true_now_whatever_was_seen_before(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        address = await parcel_page(place, (await place.announce("LW-1"))["id"])
        async with place.http.stream("GET", f"{address}/events", headers={"Last-Event-ID": "nonsense"}) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.aiter_lines()
            seen = [await asyncio.wait_for(anext(lines), 60) for _ in range(5)]
        assert "event: html" in seen
        assert any("On its way" in line for line in seen)


async def test_a_form_from_elsewhere_does_nothing(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        door = f"/operator/banks/{place.bank}/doors/01"
        async with httpx.AsyncClient(timeout=60, base_url=place.url) as browser:
            other = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
            link = await place.sign_in_link()
            told = await browser.post(link, headers=other)
            assert told.status_code == 403 and "set-cookie" not in told.headers
            signed = await browser.post(link)
            cookie = signed.headers["set-cookie"].lower()
            assert signed.status_code == 303
            assert "httponly" in cookie and "samesite=lax" in cookie and place.token not in cookie
            page = await browser.get(door)
            seal = page.text.split('name="seal" value="')[1].split('"')[0]
            good = {"seal": seal, "reason": "other", "note": ""}
            assert (await browser.post(f"{door}/open", data={**good, "seal": "0" * 64})).status_code == 403
            assert (await browser.post(f"{door}/open", data={"reason": "other"})).status_code == 403
            assert (await browser.post(f"{door}/open", data=good, headers=other)).status_code == 403
            assert (await browser.post(f"{door}/open", data={**good, "reason": "because"})).status_code == 422
            assert (await browser.post(f"{door}/open", data=good)).status_code == 303
            assert (await browser.get("/operator/banks/nope")).status_code == 404
            owner = await asyncpg.connect(database)
            await owner.execute("ALTER TABLE banks ADD CONSTRAINT no_cellar CHECK (name <> 'Cellar')")
            new = {"seal": seal, "name": "Cellar", "site_name": "Elm Court", "zone": "UTC"}
            assert (await browser.post("/operator/banks", data=new)).status_code == 500
            await owner.execute("ALTER TABLE banks DROP CONSTRAINT no_cellar")
            assert (await browser.post("/operator/banks", data=new)).status_code == 200
            made = await owner.fetch("SELECT FROM sites WHERE name = 'Elm Court'")
            await owner.close()
            assert len(made) == 1, "of what failed nothing is there"
            place.cloud.office.tally.requests_max = 1
            answers = [await browser.get("/operator") for _ in range(4)]  # a minute may end among them
            refused = next(answer.text for answer in answers if answer.status_code == 429)
            assert "Back to the banks" in refused and "My parcels" not in refused
        orders = await place.cloud.office.store.fetch("SELECT kind FROM instructions WHERE kind = 'Open'")
        assert len(orders) == 1


async def test_who_may_do_what_is_a_page(database: str, tmp_path: Path, chromium_path: str) -> None:
    async with town(database, tmp_path) as place, browsing(chromium_path) as browser:
        await place.settle()
        for size, name in ((DESK, "access-desk"), (PHONE, "access-phone")):
            async with looking(browser, size) as page:
                await page.goto(await place.sign_in_link())
                await page.get_by_role("button", name="Sign in").click()
                await page.get_by_role("link", name="Rights").click()
                await page.get_by_role("heading", name="Who may do what").wait_for()
                row = page.get_by_role("row", name="Throw a thing away")
                assert "by two" in await row.inner_text()
                await shot(page, name)
