"""Commissioning in a real Chromium, at simulated boards; and who does not get in. Screenshots go to var/screenshots."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, ViewportSize, async_playwright
from tests.edge.commission.walls import Installer, kerong_wall, new_file

from latchwork.edge.commission import web
from latchwork.edge.commission.sitting import sitting
from latchwork.edge.config import read_tables
from latchwork.simulator.boards.front import LiveWall

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ptys as Linux has them")

SHOTS = Path(__file__).parents[3] / "var" / "screenshots"
DESK: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
PATIENCE_MS = 60_000.0


@asynccontextmanager
async def served(path: Path) -> AsyncIterator[str]:
    """The link that the terminal shows."""
    said: list[str] = []
    async with sitting(path, anew=False, say=said.append) as here:
        serving = asyncio.create_task(web.serve(here, 0, said.append))
        try:
            async with asyncio.timeout(60):
                while not (serving.done() or (said[-1:] and said[-1].startswith("http://"))):
                    await asyncio.sleep(0.01)
            yield said[-1]
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving


async def shot(page: Page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


async def press(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name, exact=True).click()


async def one_door(page: Page, live: LiveWall, label: str, size: str | None) -> None:
    await press(page, "Pulse it once")
    await page.get_by_label("The label on the door").fill(label)
    if label == "01":
        await shot(page, "commission-which-1280")
    await press(page, "This door opened")
    await page.get_by_role("heading", name=f"Shut door {label}.").wait_for()
    await Installer(live).shut_all()
    await press(page, "It is shut")
    if size is not None:
        await page.get_by_label("Inner width, height and depth").fill(size)
    await page.get_by_label("Height of the door's middle").fill("900")
    if label == "01":
        await shot(page, "commission-describe-1280")
    await press(page, f"That is door {label}")


async def test_a_wall_is_commissioned_in_a_browser(tmp_path: Path, chromium_path: str) -> None:
    path = new_file(tmp_path, locks=2)
    async with kerong_wall(tmp_path, locks=2) as (live, _), served(path) as link, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
        page = await browser.new_page(viewport=DESK)
        page.set_default_timeout(PATIENCE_MS)
        await page.goto(link)
        await press(page, "All are shut")
        await shot(page, "commission-pulse-1280")
        await one_door(page, live, "01", "380 190 640")
        await press(page, "Pulse it once")
        await press(page, "This door opened")
        await page.get_by_text("name the door, or say that none opened").wait_for()
        await press(page, "No door opened")
        await press(page, "It is shut")
        await page.get_by_text("Its contact has not gone back.").wait_for()
        await page.set_viewport_size(PHONE)
        await shot(page, "commission-not-back-390")
        await Installer(live).shut_all()
        await press(page, "Look again")
        await one_door(page, live, "03", None)
        await shot(page, "commission-pulse-390")
        await press(page, "Pass over all that are left")
        await page.get_by_text("Look at its latch and its wires").wait_for()
        await shot(page, "commission-finished-390")
        await page.get_by_text("Once more").click()
        await page.get_by_label("Channel (17").fill("1")
        await press(page, "Try it again")
        await press(page, "All are shut")
        await one_door(page, live, "02", None)
        await press(page, "Write the configuration")
        await page.get_by_role("heading", name="It is written").wait_for()
        await page.set_viewport_size(DESK)
        await shot(page, "commission-written-1280")
        await browser.close()
    assert [(table.id, table.channel) for table in read_tables(path).compartment] == [("01", 0), ("02", 1), ("03", 48)]


async def test_who_does_not_get_in(tmp_path: Path) -> None:
    path = new_file(tmp_path)
    async with (
        kerong_wall(tmp_path) as (live, _),
        served(path) as link,
        httpx.AsyncClient(timeout=60, trust_env=False) as browser,
    ):
        home = link.partition("?")[0]
        assert (await browser.get(home)).status_code == 403
        assert (await browser.get(f"{home}?token=guess")).status_code == 403
        assert (await browser.post(home, data={"do": "yes"})).status_code == 403
        assert (await browser.get(link, headers={"Host": "evil.example"})).status_code == 421
        assert (await browser.get(link)).status_code == 303
        assert "Are all of them shut?" in (await browser.get(home)).text
        async with httpx.AsyncClient(timeout=60, trust_env=False) as another:
            assert (await another.get(link)).status_code == 403, "the link works once"
        elsewhere = {"Sec-Fetch-Site": "cross-site"}
        assert (await browser.post(home, data={"do": "yes"}, headers=elsewhere)).status_code == 403
        assert (await browser.post(home, data={"do": "yes"})).status_code == 303
        for senseless in ({"do": "pulse", "channel": "0/48"}, {"do": "shut"}, {"do": "write"}, {}):
            await browser.post(home, data={"x": "y", **senseless})
            assert "notice--warn" in (await browser.get(home)).text
        assert sum(door.pulses for door in live.wall) == 0
