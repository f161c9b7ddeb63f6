"""How our pages are made: templates with words, the headers they carry, and the stream that keeps them fresh."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from datetime import date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, get_args

from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.response import ServerSentEvent, ServerSentEventMessage
from markupsafe import Markup, escape
from segno import make

from latchwork.server import access
from latchwork.server.access import Audience
from latchwork.server.actions import people
from latchwork.server.actions.live import Live
from latchwork.server.actions.office import Declined, Office, Unavailable
from latchwork.server.actions.receipts import Receipt
from latchwork.ui.pages import PAGE_HEADERS, environment
from latchwork.ui.words import Sentence, Words, languages, spoken, words

HERE = Path(__file__).parent
STATIC = HERE / "static"
RETRY_MS = 3_000

AnyRequest = Request[Any, Any, Any]
TheOffice = NamedDependency[Office]

_pages = environment(HERE / "resident" / "templates", HERE / "operator" / "templates")
_language: ContextVar[str] = ContextVar("language", default="")
"""Of whoever reads the page of this request."""
_role: ContextVar[str] = ContextVar("role", default=Audience.ANYBODY)


async def hear(request: AnyRequest) -> None:
    """For the rest of the request. It is async for that: another thread would forget it."""
    listen_to(request)


def listen_to(request: AnyRequest) -> None:
    """Until it is known who reads: what their browser asks for."""
    if not _language.get():
        speak(spoken(request.headers.get("accept-language", "")))


def speak(language: str | None) -> None:
    """To somebody whose language is known, or (None) as before."""
    if language is not None:
        _language.set(language if language in languages() else "en")


def reader() -> Words:
    return words(_language.get() or "en")


def tell(english: str, /, **values: object) -> Markup:
    """A sentence for the reader, with its values; one that is a sentence itself is told, too."""
    w = reader()
    if isinstance(english, Sentence):
        values, english = dict(english.values), english.english
    said = {name: w.tell(x) if isinstance(x, str) and x in w.sentences else x for name, x in values.items()}
    return Markup(escape(w.sentence(english, **values))).format(**said)


def moment(at: datetime | None, zone: tzinfo | None = None, pattern: str = "moment") -> str:
    if at is None:
        return ""
    w, there = reader(), at.astimezone(zone) if zone else at
    return w.say(
        f"date.{pattern}",
        weekday=w.say("date.weekdays").split()[there.weekday()],
        day=there.day,
        month=_month(there),
        year=there.year,
        time=f"{there:%H:%M}",
        second=f"{there:%S}",
    )


def _month(at: date) -> str:
    return reader().say("date.months").split()[at.month - 1]


def second(at: datetime | None, zone: tzinfo | None = None) -> str:
    return moment(at, zone, "second")


def _left(left: timedelta) -> str:
    hours = max(0, int(left.total_seconds() // 3600))
    if hours >= 48:
        return tell("{n} day left|{n} days left", n=hours // 24)
    return tell("{n} hour left|{n} hours left", n=hours) if hours else tell("less than an hour left")


_pages.globals |= {"_": tell, "may": lambda key: access.may(_role.get(), key)}
_pages.filters |= {
    "_": tell,
    "left": _left,
    "moment": moment,
    "second": second,
    "day": lambda at: moment(at, pattern="day"),
    "month": lambda first: reader().say("date.month", month=_month(first), year=first.year),
}


def working_as(role: str) -> None:
    """The page shows what this role may do, and leads nowhere else."""
    _role.set(role)


def html(template: str, **values: Any) -> str:
    return _pages.get_template(template).render(w=reader(), **values)


def page(template: str, status: int = 200, **values: Any) -> Response[str]:
    """A whole page. Secret links and codes may be on it: no page of ours is stored, indexed or told of."""
    headers = {**PAGE_HEADERS, "X-Robots-Tag": "noindex, nofollow"}
    text = html(template, **values)
    return Response(text, status_code=status, media_type="text/html; charset=utf-8", headers=headers)


def unwanted(data: dict[str, str]) -> list[people.News]:
    """What of `mails.html` is not ticked."""
    return [kind for kind in get_args(people.News) if f"mail_{kind}" not in data]


def drawn(text: str) -> Markup:
    """A QR code, black on white whatever the page's colours are: scanners want it so. The picture is ours, so it may be
    markup."""
    picture = make(text, error="m", boost_error=False)
    return Markup(picture.svg_inline(border=0, omitsize=True, dark="#000", light="#fff", lineclass=None, svgclass=None))


def download(receipt: Receipt) -> Response[bytes]:
    """A file to be kept."""
    headers = {**PAGE_HEADERS, **receipt.headers, "X-Robots-Tag": "noindex, nofollow"}
    return Response(receipt.body, media_type="application/json", headers=headers)


def attached(name: str, body: str | bytes, media_type: str) -> Response[Any]:
    """A file to be kept, which is nobody else's."""
    headers = {**PAGE_HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(body, media_type=media_type, headers=headers)


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
