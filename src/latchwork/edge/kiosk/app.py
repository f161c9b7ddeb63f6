"""The kiosk over HTTP: pages for browsers, the same screens as plain JSON for scripts.

`GET /` the page; `GET /screen` the present screen; `POST /act` a press (see `presses`); `GET /events` the screen
whenever it changes, as server-sent events; what a reader of the wall read comes there too, as `scan {"kind", "text"}`,
to the wall's own screen alone. Every answer about a screen is
`{"screen", "values", "html", "refusal", "now", "order"}`; a refusal is an answer like others (200), malformed input
is a problem (RFC 9457). Nothing secret is ever in an address or in the log.
"""

import asyncio
import itertools
import json
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie, State
from litestar.exceptions import HTTPException
from litestar.params import FromPath
from litestar.response import ServerSentEvent, ServerSentEventMessage
from litestar.static_files import create_static_files_router

from latchwork.domain.words import Role, SessionId, StayId
from latchwork.edge.kiosk import render as rendering
from latchwork.edge.kiosk.acts import act, tend
from latchwork.edge.kiosk.at import At
from latchwork.edge.kiosk.desk import Desk
from latchwork.edge.kiosk.papers import Papers, Person, read_papers, read_people
from latchwork.edge.kiosk.picture import Screen
from latchwork.edge.kiosk.presses import Press
from latchwork.edge.kiosk.render import Render, refusal_values
from latchwork.edge.kiosk.screens import show
from latchwork.edge.kiosk.seats import Seat, Seats, new_key
from latchwork.ui import pages
from latchwork.ui.words import languages

COOKIE = "latchwork_kiosk"
BODY_BYTES_MAX = 100_000
"""A photo in base64 is the longest press."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
TICK_S = 1.0
HEARTBEAT_S = 15.0
SCAN_S = 3.0
"""A scan that no screen has taken by then is nobody's: the next person must not find it."""

log = logging.getLogger(__name__)

_press = msgspec.json.Decoder(Press)
_camera = {"Permissions-Policy": "camera=(self), geolocation=(), microphone=()"}
_plain = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class Problem(HTTPException):
    """A client's mistake, as RFC 9457 words it."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


def kiosk_app(
    desk: Desk,
    *,
    bank_name: str,
    hosts: Collection[str] = LOOPBACK,
    language: str = "en",
    now: Callable[[], datetime] = _utc_now,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> Litestar:
    """`hosts`: names by which browsers may address this kiosk, without port. Others are refused, so that a page
    elsewhere cannot reach it under a name of its own."""
    kiosk = Kiosk(desk, bank_name, language, now, monotonic_s)

    def before(request: Request[Any, Any, State]) -> None:
        _check_host(request, frozenset(hosts))

    @asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        async with kiosk.running():
            yield

    return Litestar(
        [
            _page,
            _screen,
            _act,
            _events,
            _photo,
            create_static_files_router("/static", [rendering.STATIC, pages.STATIC]),
        ],
        before_request=before,
        exception_handlers={HTTPException: _as_problem},
        lifespan=[running],
        openapi_config=None,
        logging_config=None,
        request_max_body_size=BODY_BYTES_MAX,
        state=State({"kiosk": kiosk}),
    )


@dataclass(slots=True, eq=False)
class Listener:
    """One page that listens. `at_wall`: it is on this machine, as the wall's own screen is."""

    at_wall: bool
    scans: deque[tuple[float, dict[str, str]]] = field(default_factory=lambda: deque(maxlen=8))


class Kiosk:
    """The seats, the papers, and a bell that rings when the wall or the time has changed something."""

    def __init__(
        self, desk: Desk, bank_name: str, language: str, now: Callable[[], datetime], monotonic_s: Callable[[], float]
    ) -> None:
        self.desk = desk
        self.seats = Seats(desk, language)
        self.render = Render(bank_name)
        self.now = now
        self.monotonic_s = monotonic_s
        self.closing = False
        self.bell = asyncio.Event()
        self.listeners: list[Listener] = []
        self._orders = itertools.count(1)
        """Numbers the answers, so that a page can tell which of two is the newer one."""
        self._directory: tuple[bytes | None, tuple[Person, ...]] = (None, ())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        watching = asyncio.create_task(self._watch(), name="kiosk watch")
        try:
            yield
        finally:
            self.close()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self) -> None:
        change: asyncio.Task[None] | None = None
        try:
            while True:
                change = change or asyncio.create_task(self.desk.changed(), name="kiosk change")
                await asyncio.wait({change}, timeout=TICK_S)
                if change.done():
                    if change.exception() is not None:
                        log.error("the desk cannot tell of changes", exc_info=change.exception())
                        await asyncio.sleep(TICK_S)
                    change = None
                try:
                    await self.seats.tend(self.now(), self.monotonic_s())
                except Exception:
                    log.exception("tending the kiosk's sessions failed; it goes on")
                    await asyncio.sleep(TICK_S)
                self.ring()
        finally:
            if change is not None:
                change.cancel()
                await asyncio.gather(change, return_exceptions=True)

    def close(self) -> None:
        """Ends the event streams, which otherwise keep a server that is shutting down waiting for them."""
        self.closing = True
        self.ring()

    def ring(self) -> None:
        bell, self.bell = self.bell, asyncio.Event()
        bell.set()

    def scan(self, kind: str, text: str) -> None:
        """What a reader of the wall has read: for the screen that was opened last on this machine, and no other."""
        screen = next((x for x in reversed(self.listeners) if x.at_wall), None)
        if screen is None:
            log.warning("something was scanned, and no screen of this machine is there to take it")
            return
        screen.scans.append((self.monotonic_s(), {"kind": kind, "text": text}))
        self.ring()

    async def press(self, seat: Seat, press: Press) -> None:
        async with seat.lock:
            key = new_key()
            at = At(self.desk, self.papers(), key, languages(), unclaimed=self.seats.unclaimed())
            before = seat.turn.session
            seat.touched_s = self.monotonic_s()
            seat.turn = await act(at, seat.turn, press, self.now())
            seat.touched_s = self.monotonic_s()
            if seat.turn.session is not None and seat.turn.session != before:
                self.seats.renew(seat, key)  # a new right, a new cookie: nobody can have planted it before
        self.ring()

    async def look(self, seat: Seat) -> Screen:
        if not seat.lock.locked():
            async with seat.lock:
                seat.turn = await tend(self.desk, seat.turn, self.now())
        return show(self.desk.bank, seat.turn, self.papers())

    def answer(self, seat: Seat, screen: Screen) -> dict[str, Any]:
        return {
            "screen": screen.name,
            "values": screen.values,
            "html": self.render.screen(self.desk.bank, seat.turn, self.papers(), screen),
            "refusal": refusal_values(self.desk.bank, seat.turn),
            "now": self.now().isoformat(),
            "order": next(self._orders),
        }

    def papers(self) -> Papers:
        directory = self.desk.document("directory")
        if directory != self._directory[0]:
            self._directory = (directory, read_people(directory))
        rules = self.desk.document("partner rules")
        papers = read_papers(self._directory[1], self.desk.document("wall"), rules, self.desk.link_heard_at())
        return replace(papers, troubles=self.desk.troubles)


# Routes


def _kiosk(request: Request[Any, Any, State]) -> Kiosk:
    kiosk: Kiosk = request.app.state.kiosk
    return kiosk


def _seat(request: Request[Any, Any, State]) -> Seat:
    kiosk = _kiosk(request)
    return kiosk.seats.find(request.cookies.get(COOKIE), kiosk.monotonic_s())


def _cookie(request: Request[Any, Any, State], seat: Seat) -> list[Cookie]:
    if request.cookies.get(COOKIE) == seat.key:
        return []
    secure = request.url.scheme == "https"
    return [Cookie(COOKIE, path="/", value=seat.key, httponly=True, samesite="strict", secure=secure)]


@get("/", media_type=MediaType.HTML)
async def _page(request: Request[Any, Any, State]) -> Response[str]:
    kiosk, seat = _kiosk(request), _seat(request)
    screen = await kiosk.look(seat)
    html = kiosk.render.page(kiosk.desk.bank, seat.turn, kiosk.papers(), screen)
    return Response(
        html, media_type=MediaType.HTML, headers={**pages.PAGE_HEADERS, **_camera}, cookies=_cookie(request, seat)
    )


@get("/screen")
async def _screen(request: Request[Any, Any, State]) -> Response[dict[str, Any]]:
    kiosk, seat = _kiosk(request), _seat(request)
    answer = kiosk.answer(seat, await kiosk.look(seat))
    return Response(answer, headers=_plain, cookies=_cookie(request, seat))


@post("/act", status_code=200)
async def _act(request: Request[Any, Any, State]) -> Response[dict[str, Any]]:
    _check_own_page(request)
    kiosk = _kiosk(request)
    try:
        press = _press.decode(await request.body())
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Problem(f"This is no press that the kiosk knows: {error}", status_code=400) from None
    seat = _seat(request)
    await kiosk.press(seat, press)
    answer = kiosk.answer(seat, await kiosk.look(seat))
    return Response(answer, headers=_plain, cookies=_cookie(request, seat))


@get("/photo/{stay:str}", media_type="image/jpeg")
async def _photo(request: Request[Any, Any, State], stay: FromPath[str]) -> Response[bytes]:
    """What the courier saw, for staff at this wall."""
    bank, turn = _kiosk(request).desk.bank, _seat(request).turn
    session, thing = bank.sessions.get(turn.session or SessionId("")), bank.stays.get(StayId(stay))
    allowed = session is not None and session.role is Role.STAFF
    found = _kiosk(request).desk.photo(thing.photo_sha256) if allowed and thing and thing.photo_sha256 else None
    if found is None:
        raise Problem("There is no such picture.", status_code=404)
    return Response(found, headers=_plain)


@get("/events")
async def _events(request: Request[Any, Any, State]) -> ServerSentEvent | Response[None]:
    """204 for a cookie that is not known: somebody signed in while this request was on its way, and its answer must
    not take the new cookie from them. `GET /screen` gives a seat."""
    key = request.cookies.get(COOKIE)
    if key is not None and not _kiosk(request).seats.knows(key):
        return Response(None, status_code=204)
    seat = _seat(request)
    listener = Listener(request.client is not None and request.client.host in LOOPBACK)
    changes = _changes(_kiosk(request), seat, listener)
    return ServerSentEvent(changes, headers=dict(_plain), cookies=_cookie(request, seat))


async def _changes(kiosk: Kiosk, seat: Seat, listener: Listener) -> AsyncGenerator[ServerSentEventMessage]:
    kiosk.listeners.append(listener)
    try:
        async for message in _messages(kiosk, seat, listener):
            yield message
    finally:
        kiosk.listeners.remove(listener)


async def _messages(kiosk: Kiosk, seat: Seat, listener: Listener) -> AsyncIterator[ServerSentEventMessage]:
    sent: tuple[Any, ...] = ()
    quiet_since_s = kiosk.monotonic_s()
    while not kiosk.closing:
        bell = kiosk.bell  # taken before looking, so that nothing rings unheard
        screen = show(kiosk.desk.bank, seat.turn, kiosk.papers())
        state = (screen, seat.turn.refusal, seat.turn.language, seat.turn.large)
        if state != sent:
            sent, quiet_since_s = state, kiosk.monotonic_s()
            yield ServerSentEventMessage(data=json.dumps(kiosk.answer(seat, screen)), event="screen")
        while listener.scans:
            at, scan = listener.scans.popleft()
            if kiosk.monotonic_s() - at < SCAN_S:
                yield ServerSentEventMessage(data=json.dumps(scan), event="scan")
        if kiosk.monotonic_s() - quiet_since_s >= HEARTBEAT_S:
            quiet_since_s = kiosk.monotonic_s()
            yield ServerSentEventMessage(comment="still here")
        try:
            await asyncio.wait_for(bell.wait(), HEARTBEAT_S)
        except TimeoutError:
            pass


# The door of this little house


def _check_host(connection: ASGIConnection[Any, Any, Any, Any], hosts: frozenset[str]) -> None:
    """A page elsewhere could give its own name this machine's address, and then read what it likes."""
    name = urlsplit(f"//{connection.headers.get('host', '')}").hostname if _well_formed(connection) else None
    if name not in hosts:
        raise Problem("This kiosk is not reached by that name.", status_code=421)


def _well_formed(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    try:
        urlsplit(f"//{connection.headers.get('host', '')}")
    except ValueError:
        return False
    return True


def _check_own_page(request: Request[Any, Any, State]) -> None:
    """No press from somebody else's page. Scripts outside a browser send no Origin, and hold no cookie of others."""
    origin = request.headers.get("origin")
    if origin is not None and origin != f"{request.url.scheme}://{request.headers.get('host', '')}":
        raise Problem("Presses come from the kiosk's own page.", status_code=403)
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Problem("Presses come from the kiosk's own page.", status_code=403)
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise Problem("Presses are sent as application/json.", status_code=415)


def _as_problem(_: Request[Any, Any, State], error: HTTPException) -> Response[bytes]:
    body = {"type": "about:blank", "title": error.__class__.__name__, "status": error.status_code}
    body |= {"title": _TITLES.get(error.status_code, "Not possible"), "detail": str(error.detail)[:500]}
    return Response(
        json.dumps(body).encode(),
        status_code=error.status_code,
        media_type="application/problem+json",
        headers=dict(_plain),
    )


_TITLES = {
    400: "Malformed press",
    403: "Not from this page",
    404: "No such page",
    405: "Not this way",
    413: "Too long",
    415: "Not JSON",
    421: "Wrong name",
}
