"""One Chromium for all page tests of the kiosk, at three sizes."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from tests.edge.kiosk.browsing import QUIET, SIZES, Served, serving
from tests.edge.kiosk.desk import TestDesk


@pytest.fixture
def wall() -> TestDesk:
    return TestDesk()


@pytest.fixture
def served(wall: TestDesk) -> Iterator[Served]:
    with serving(wall) as served:
        yield served


@pytest.fixture(scope="module")
def chromium(chromium_path: str) -> Iterator[Browser]:
    args = [*QUIET, "--no-sandbox"] if os.geteuid() == 0 else QUIET
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=args)
        yield browser
        browser.close()


@pytest.fixture(params=SIZES)
def page(request: pytest.FixtureRequest, chromium: Browser, served: Served) -> Iterator[Page]:
    width, height = SIZES[request.param]
    context = chromium.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce")
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("response", lambda answer: wrong.append(str(answer.request.post_data)) if answer.status >= 400 else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(served.url)
    page.set_default_timeout(30_000)
    page.latchwork_size = request.param  # type: ignore[attr-defined]
    yield page
    context.close()
    assert wrong == []
