"""The pages' routes, and what a person sees when something is not there."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from litestar import Response, Router, get
from litestar.di import Provide
from litestar.exceptions import HTTPException, NotFoundException
from litestar.response import Redirect
from litestar.static_files import create_static_files_router

from latchwork.server.actions.office import Declined, Unavailable
from latchwork.server.web.operator import (
    account,
    changes,
    collections,
    configuration,
    logs,
    looks,
    new_bank,
    parties,
    passes,
    people,
    recovery,
    rights,
    roster,
    session,
    sign_in,
    single_sign_on,
    tasks,
    team,
    tokens,
    usage,
    walls,
)
from latchwork.server.web.render import STATIC, AnyRequest, TheOffice, hear, listen_to, page, tell, the_office
from latchwork.server.web.resident import me, parcel
from latchwork.server.web.verify import verify_page
from latchwork.ui.pages import STATIC as SHARED
from latchwork.ui.words import languages

log = logging.getLogger(__name__)

FORM_BYTES_MAX = 16 * 1024
SECURITY_TXT_LIFE = timedelta(days=180)


@get("/", include_in_schema=False)
async def front() -> Redirect:
    return Redirect(session.PLACE, status_code=303)


@get("/robots.txt", include_in_schema=False, sync_to_thread=False)
def robots() -> Response[str]:
    return Response("User-agent: *\nDisallow: /\n", media_type="text/plain")


@get("/.well-known/security.txt", include_in_schema=False)
async def security_txt(request: AnyRequest, office: TheOffice) -> Response[str]:
    """RFC 9116. The installation's operator says whom to tell; without that there is none to show."""
    contact: str | None = request.app.state.security_contact
    if contact is None:
        raise NotFoundException
    expires = office.now() + SECURITY_TXT_LIFE
    lines = (
        f"Contact: {contact}",
        f"Expires: {expires:%Y-%m-%dT%H:%M:%SZ}",
        f"Preferred-Languages: {', '.join(languages())}",
        f"Canonical: {office.public_url}/.well-known/security.txt",
    )
    return Response("".join(f"{line}\n" for line in lines), media_type="text/plain")


def _router(handlers: list[Any], who: Callable[..., Any] | None = None) -> Router:
    """`who`: how far somebody has to be signed in. Who is so wholly sees the rows of their organisation only."""
    given = {"office": Provide(session.operators_office if who is session.full_session else the_office)}
    if who is not None:
        given |= {"session": Provide(who), "who": Provide(session.operator), "seal": Provide(session.seal)}
    return Router(
        "/", route_handlers=handlers, dependencies=given, before_request=hear, request_max_body_size=FORM_BYTES_MAX
    )


def routers() -> list[Router]:
    return [
        create_static_files_router(path="/static", directories=[SHARED], include_in_schema=False),
        create_static_files_router(path="/assets", directories=[STATIC], include_in_schema=False),
        _router(
            [
                front,
                robots,
                security_txt,
                verify_page,
                *parcel.HANDLERS,
                *me.HANDLERS,
                *sign_in.PUBLIC,
                *single_sign_on.PUBLIC,
            ]
        ),
        _router(sign_in.HALF, session.any_session),
        _router(account.PROVEN, session.proven_session),
        _router(
            [
                *account.HANDLERS,
                *team.HANDLERS,
                *single_sign_on.HANDLERS,
                *tokens.HANDLERS,
                *new_bank.HANDLERS,
                *walls.HANDLERS,
                *changes.HANDLERS,
                *tasks.HANDLERS,
                *logs.HANDLERS,
                *looks.HANDLERS,
                *parties.HANDLERS,
                *usage.HANDLERS,
                *passes.HANDLERS,
                *collections.HANDLERS,
                *people.HANDLERS,
                *roster.HANDLERS,
                *recovery.HANDLERS,
                *configuration.HANDLERS,
                *rights.HANDLERS,
            ],
            session.full_session,
        ),
    ]


TITLES = {
    400: "This cannot be read",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible here",
    409: "Not possible now",
    413: "Too large",
    422: "That does not do",
    429: "Too often",
    500: "Something went wrong",
    502: "Not reached",
    503: "Not now",
}
LOST = "This link leads nowhere. Look for the newest message about your parcel, and copy its link whole."
AWAY = "The database is away for the moment. Try again in a few seconds."
BROKEN = "Something went wrong on our side. It has been written down."
NOTHING = "Nothing is here, or nothing for you."


def _way_out(path: str) -> tuple[str, str]:
    if path != session.PLACE and not path.startswith(f"{session.PLACE}/"):
        return me.ME, tell("My parcels")
    if path.startswith((f"{session.PLACE}/link/", f"{session.PLACE}/sso/", session.SIGN_IN)):
        return session.SIGN_IN, tell("Back to signing in")
    return session.PLACE, tell("Back to the banks")


def excuse(error: Exception, request: AnyRequest) -> Response[Any]:
    """The page for whatever went wrong on the way to one."""
    listen_to(request)
    if isinstance(error, session.SignInFirst):
        return Redirect(error.place, status_code=303)
    if isinstance(error, Declined) and error.reason == "sign_in_again":
        return Redirect(f"{session.SIGN_IN}?again=yes&to={account.ACCOUNT}", status_code=303)
    status, detail, headers = 500, tell(BROKEN), {}
    if isinstance(error, Declined):
        status, detail = error.status, tell(error.detail)
        if error.retry_after_s is not None:
            headers = {"Retry-After": str(error.retry_after_s)}
    elif isinstance(error, Unavailable):
        status, detail, headers = 503, tell(AWAY), {"Retry-After": "2"}
    elif isinstance(error, HTTPException):
        status, detail = error.status_code, tell(NOTHING)
    else:
        log.error("a page could not be shown", exc_info=error)  # without its address, which may be a secret
    if status == 404 and request.url.path.startswith("/p/"):
        detail = tell(LOST)
    title = tell(TITLES.get(status, TITLES[500]))
    place, where = _way_out(request.url.path)
    answer = page(
        "resident/excuse.html", status=status, layer="phone", title=title, detail=detail, place=place, where=where
    )
    answer.headers.update(headers)
    return answer
