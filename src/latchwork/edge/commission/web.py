"""Commissioning in a browser on this machine: the questions of the terminal, on a page with forms and no script.

Served on loopback. The link that the terminal prints works once, and gives the browser a cookie; nobody else gets in.
"""

import asyncio
import secrets
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.datastructures import Cookie, State
from litestar.exceptions import HTTPException
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect
from litestar.static_files import create_static_files_router

from latchwork.edge.commission import words
from latchwork.edge.commission.sitting import Sitting
from latchwork.edge.commission.survey import (
    CameBack,
    Describe,
    Described,
    Moved,
    PassOver,
    PulseNext,
    Senseless,
    ShutAgain,
    Yes,
)
from latchwork.edge.config import BadConfig
from latchwork.edge.drivers.protocol import Fault
from latchwork.ui.pages import PAGE_HEADERS, STATIC, environment
from latchwork.ui.words import words as spoken

COOKIE = "latchwork_commission"
HOSTS = frozenset({"127.0.0.1", "localhost"})

AnyRequest = Request[Any, Any, State]
Form = URLEncodedBody[dict[str, str]]


class Page:
    """What one browser sees. `token` lets it in, once."""

    def __init__(self, sitting: Sitting, token: str) -> None:
        self.sitting = sitting
        self.token: str | None = token
        self._turn = asyncio.Lock()
        self.key = secrets.token_urlsafe(32)
        self.said: list[str] = []
        """To be shown once."""
        self.written: list[str] = []
        self.not_back = False
        """The doors are said to be shut, and a contact does not say so."""
        self._template = environment(Path(__file__).parent / "templates").get_template("commission/page.html")

    def show(self) -> str:
        sitting, said = self.sitting, [*self.sitting.troubles(), *self.said]
        self.said = []
        asked = sitting.question
        return self._template.render(
            w=spoken("en"),
            layer="operator",
            kind=type(asked).__name__,
            title=words.asked(asked, sitting.survey),
            asked=asked,
            size=words.size_before(sitting.survey),
            not_back=self.not_back,
            said=said,
            written=self.written,
            tried=len(sitting.survey.probes),
            places=len(sitting.survey.places),
            summary=words.summary(sitting.survey, sitting.expected),
            doors=[(table.id, *words.described(table)) for table in sitting.survey.compartments],
        )

    async def press(self, form: Mapping[str, str]) -> None:
        async with self._turn:  # a second press, or another tab, waits until a pulse is over
            self.not_back, self.written = False, []
            try:
                await self._press(form)
            except (Senseless, Fault, BadConfig, OSError) as error:
                self.said.append(str(error))

    async def _press(self, form: Mapping[str, str]) -> None:
        sitting = self.sitting
        match form.get("do"), sitting.question:
            case "yes", _:
                sitting.answer(Yes())
            case "pulse", PulseNext(place) if form.get("channel") == f"{place.bus}/{place.channel}":
                await sitting.pulse(place)
            case "pass", _:
                sitting.answer(PassOver())
            case "rest", _:
                sitting.answer(PassOver(rest=True))
            case "moved", _:
                labels = tuple(form.get("doors", "").split())
                if not labels:
                    raise Senseless("name the door, or say that none opened")
                sitting.answer(Moved(labels))
            case "none moved", _:
                sitting.answer(Moved())
            case "shut", ShutAgain():
                self.not_back = not await sitting.shut()
            case "not back", _:
                sitting.answer(CameBack(False))
            case "describe", Describe(door):
                table = words.description(door, form.get("size", ""), form.get("reach", ""), form.get("more", ""))
                sitting.answer(Described(table))
            case "again", _:
                sitting.again(*words.place_of(form.get("channel", "")))
            case "describe again", _:
                sitting.describe_again(form.get("door", "").strip())
            case "write", _:
                made, paths = sitting.write()
                self.written = [f"Configuration {made.version}, sha256 {made.sha256}", *map(str, paths)]
            case _:
                raise Senseless("that is not asked any more")


def app(page: Page) -> Litestar:
    return Litestar(
        [_show, _press, create_static_files_router("/static", [STATIC])],
        before_request=_check_host,
        exception_handlers={HTTPException: _refuse},
        openapi_config=None,
        logging_config=None,
        request_max_body_size=10_000,
        state=State({"page": page}),
    )


async def serve(sitting: Sitting, port: int, say: Callable[[str], None]) -> None:
    """Until a signal. Raises OSError where the port is taken."""
    page = Page(sitting, secrets.token_urlsafe(32))
    config = uvicorn.Config(app(page), log_level="warning", ws="none", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", port)) as listener:
        say("Open this on the same machine (it works once); Ctrl-C ends:")
        say(f"http://127.0.0.1:{listener.getsockname()[1]}/?token={page.token}")
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await asyncio.shield(serving)
        finally:
            server.should_exit = True
            await serving


@get("/", media_type=MediaType.HTML)
async def _show(request: AnyRequest, token: FromQuery[str | None] = None) -> Response[Any]:
    page: Page = request.app.state.page
    if token is not None and page.token is not None and secrets.compare_digest(token, page.token):
        page.token = None
        return Redirect("/", status_code=303, cookies=[_cookie(page)])
    _check_cookie(request)
    return Response(page.show(), media_type=MediaType.HTML, headers=dict(PAGE_HEADERS))


@post("/")
async def _press(request: AnyRequest, data: Form) -> Redirect:
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise HTTPException("This form came from another page. Nothing was done.", status_code=403)
    _check_cookie(request)
    await request.app.state.page.press(data)
    return Redirect("/", status_code=303)


def _cookie(page: Page) -> Cookie:
    return Cookie(COOKIE, path="/", value=page.key, httponly=True, samesite="strict")


def _check_cookie(request: AnyRequest) -> None:
    if not secrets.compare_digest(request.cookies.get(COOKIE, ""), request.app.state.page.key):
        raise HTTPException("This link was used already, or is not the one in the terminal.", status_code=403)


def _check_host(request: AnyRequest) -> None:
    """A page elsewhere could give its own name this machine's address."""
    try:
        name = urlsplit(f"//{request.headers.get('host', '')}").hostname
    except ValueError:
        name = None
    if name not in HOSTS:
        raise HTTPException("Commissioning is not reached by that name.", status_code=421)


def _refuse(_: AnyRequest, error: HTTPException) -> Response[str]:
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return Response(f"{error.detail}\n", status_code=error.status_code, media_type="text/plain", headers=headers)
