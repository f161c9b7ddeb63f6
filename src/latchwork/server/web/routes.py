"""The pages' routes, and what a person sees when something is not there."""

from http import HTTPStatus
from typing import Any

from litestar import Response, Router, get
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.response import Redirect
from litestar.static_files import create_static_files_router

from latchwork.server.actions.office import Declined, Unavailable
from latchwork.server.web.operator import recovery, session, walls
from latchwork.server.web.render import STATIC, page, the_office
from latchwork.server.web.resident import parcel
from latchwork.server.web.verify import verify_page
from latchwork.ui.pages import STATIC as SHARED

FORM_BYTES_MAX = 16 * 1024


@get("/", include_in_schema=False)
async def front() -> Redirect:
    return Redirect(session.PLACE, status_code=303)


@get("/robots.txt", include_in_schema=False, sync_to_thread=False)
def robots() -> Response[str]:
    return Response("User-agent: *\nDisallow: /\n", media_type="text/plain")


def routers() -> list[Router]:
    return [
        create_static_files_router(path="/static", directories=[SHARED], include_in_schema=False),
        create_static_files_router(path="/assets", directories=[STATIC], include_in_schema=False),
        Router(
            "/",
            route_handlers=[front, robots, verify_page, *parcel.HANDLERS, session.sign_in_page, session.sign_in],
            dependencies={"office": Provide(the_office)},
            request_max_body_size=FORM_BYTES_MAX,
        ),
        Router(
            "/",
            route_handlers=[session.sign_out, *walls.HANDLERS, *recovery.HANDLERS],
            dependencies={
                "office": Provide(session.operators_office),
                "who": Provide(session.operator),
                "seal": Provide(session.seal),
            },
            request_max_body_size=FORM_BYTES_MAX,
        ),
    ]


def excuse(error: Exception, path: str) -> Response[Any]:
    """The page for whatever went wrong on the way to one."""
    if isinstance(error, session.SignInFirst):
        return Redirect(session.SIGN_IN, status_code=303)
    detail = "Something went wrong on our side. It has been written down."
    headers = {}
    if isinstance(error, Declined):
        status, detail = error.status, error.detail
    elif isinstance(error, Unavailable):
        status, detail, headers = (
            503,
            "The database is away for the moment. Try again in a few seconds.",
            {"Retry-After": "2"},
        )
    elif isinstance(error, HTTPException):
        status, detail = error.status_code, HTTPStatus(error.status_code).description
    else:
        status = 500
    if path.startswith("/p/") and status == 404:
        detail = "This link leads nowhere. Look for the newest message about your parcel, and copy its link whole."
    answer = page("resident/excuse.html", status=status, layer="phone", title=HTTPStatus(status).phrase, detail=detail)
    answer.headers.update(headers)
    return answer
