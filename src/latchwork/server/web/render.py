"""How our pages are made: templates with words, the headers they carry, and the stream that keeps them fresh."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.response import ServerSentEvent, ServerSentEventMessage
from markupsafe import Markup
from segno import make

from latchwork.server.actions.live import Live
from latchwork.server.actions.office import Declined, Office, Unavailable
from latchwork.server.actions.receipts import Receipt
from latchwork.ui.pages import PAGE_HEADERS, environment
from latchwork.ui.words import words

HERE = Path(__file__).parent
STATIC = HERE / "static"
RETRY_MS = 3_000

AnyRequest = Request[Any, Any, Any]
TheOffice = NamedDependency[Office]

_pages = environment(HERE / "resident" / "templates", HERE / "operator" / "templates")


def _moment(at: datetime | None, zone: tzinfo | None = None) -> str:
    return "" if at is None else f"{at.astimezone(zone) if zone else at:%a %-d %b %Y, %H:%M}"


def _second(at: datetime | None, zone: tzinfo | None = None) -> str:
    return "" if at is None else f"{at.astimezone(zone) if zone else at:%a %-d %b, %H:%M:%S}"


def _span(left: timedelta) -> str:
    hours = max(0, int(left.total_seconds() // 3600))
    count, unit = (hours // 24, "day") if hours >= 48 else (hours, "hour")
    return f"{count} {unit}{'' if count == 1 else 's'}" if hours else "less than an hour"


_pages.filters["span"] = _span
_pages.filters["moment"] = _moment
_pages.filters["day"] = lambda at: f"{at:%a %-d %b %Y}"
_pages.filters["second"] = _second


def html(template: str, **values: Any) -> str:
    return _pages.get_template(template).render(w=words("en"), **values)


def page(template: str, status: int = 200, **values: Any) -> Response[str]:
    """A whole page. Secret links and codes may be on it: no page of ours is stored, indexed or told of."""
    headers = {**PAGE_HEADERS, "X-Robots-Tag": "noindex, nofollow"}
    text = html(template, **values)
    return Response(text, status_code=status, media_type="text/html; charset=utf-8", headers=headers)


def drawn(text: str) -> Markup:
    """A QR code, black on white whatever the page's colours are: scanners want it so. The picture is ours, so it may be
    markup."""
    picture = make(text, error="m", boost_error=False)
    return Markup(picture.svg_inline(border=0, omitsize=True, dark="#000", light="#fff", lineclass=None, svgclass=None))


def download(receipt: Receipt) -> Response[bytes]:
    """A file to be kept."""
    headers = {**PAGE_HEADERS, **receipt.headers, "X-Robots-Tag": "noindex, nofollow"}
    return Response(receipt.body, media_type="application/json", headers=headers)


def fresh(request: AnyRequest, bank: str, render: Callable[[], Awaitable[str]]) -> ServerSentEvent:
    """Sends what `render` says at first and whenever it changed, until the reader's session ends. A reader that comes
    back gets what is true then, so the Last-Event-ID that it may send has nothing to add."""
    live: Live = request.app.state.live
    live.check_room()
    still: Callable[[], Awaitable[bool]] | None = request.scope.get("state", {}).get("still")

    async def events() -> AsyncIterator[ServerSentEventMessage]:
        last = ""
        number = 0
        async for _ in live.of(bank):
            try:
                if still is not None and not await still():
                    return
                now = await render()
            except (Unavailable, Declined):  # the page keeps what it shows
                now = last
            if now == last:
                yield ServerSentEventMessage(comment="still here")
                continue
            last, number = now, number + 1
            yield ServerSentEventMessage(data=now, event="html", id=number, retry=RETRY_MS)

    return ServerSentEvent(events(), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


async def the_office(request: AnyRequest) -> Office:
    office: Office = request.app.state.office
    return office
