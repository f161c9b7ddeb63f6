"""A kiosk served to a real Chromium, and what every screen must hold there. Screenshots go to var/screenshots."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from playwright.sync_api import Page, expect
from tests.edge.kiosk.desk import TestDesk

from latchwork.edge.kiosk.app import Kiosk, kiosk_app

SHOTS = Path(__file__).parents[3] / "var" / "screenshots"
SIZES = {"tall": (1080, 1920), "wide": (1024, 600), "phone": (390, 844)}
expect.set_options(timeout=30_000)  # a busy machine is no failure
QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


@dataclass
class Served:
    desk: TestDesk
    url: str
    loop: asyncio.AbstractEventLoop
    kiosk: Kiosk

    def wall(self, what: Any, *args: Any) -> None:
        """Something happens at the wall, in the thread where the kiosk lives."""
        done = threading.Event()

        def call() -> None:
            what(*args)
            done.set()

        self.loop.call_soon_threadsafe(call)
        assert done.wait(60)


@contextmanager
def serving(desk: TestDesk) -> Iterator[Served]:
    listener = socket.create_server(("127.0.0.1", 0))
    app = kiosk_app(desk, bank_name="Elm Court", now=lambda: desk.now)
    config = uvicorn.Config(
        app,
        log_level="warning",
        timeout_graceful_shutdown=1,
        ws="none",
    )
    server, loop = uvicorn.Server(config), asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(server.serve([listener])))
    thread.start()
    try:
        yield Served(desk, f"http://127.0.0.1:{listener.getsockname()[1]}", loop, app.state.kiosk)
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()
        loop.close()
        assert not thread.is_alive()


def shot(page: Page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"kiosk-{name}-{page.latchwork_size}.png")  # type: ignore[attr-defined]
    fits(page)


def fits(page: Page) -> None:
    """Nothing is cut off sideways, and every target on the wall's own screen is big enough for a finger."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "scrolls sideways"
    small = page.evaluate(
        """[...document.querySelectorAll('button, input')]
            .map((e) => [e.textContent.trim() || e.ariaLabel || e.id, e.getBoundingClientRect()])
            .filter(([, r]) => r.width && (r.width < 63.5 || r.height < 63.5))
            .map(([name, r]) => `${name} ${r.width}x${r.height}`)"""
    )
    assert small == []
    nameless = page.evaluate(
        """[...document.querySelectorAll('button')].filter((e) => !e.textContent.trim() && !e.ariaLabel).length"""
    )
    assert nameless == 0 and page.locator("h1").count() == 1


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)
