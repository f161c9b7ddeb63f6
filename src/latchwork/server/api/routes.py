"""The API's routes and its OpenAPI document."""

from importlib.metadata import version

from litestar import Router
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from latchwork.server.api import changes, enrolments, people, places, recovery, room, stays, tasks
from latchwork.server.api.guard import asker, bearer, the_house, the_office

BODY_BYTES_MAX = 64 * 1024
HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


def routers() -> list[Router]:
    """Without a token one may only enrol; a test walks the table and sees to it."""
    return [
        Router(
            "/api/v1",
            route_handlers=[
                *places.HANDLERS,
                *recovery.HANDLERS,
                *people.HANDLERS,
                *stays.HANDLERS,
                *changes.HANDLERS,
                *room.HANDLERS,
                *tasks.HANDLERS,
            ],
            guards=[bearer],
            dependencies={"office": Provide(the_office), "who": Provide(asker)},
            security=[{"token": []}],
            request_max_body_size=BODY_BYTES_MAX,
            response_headers=HEADERS,
        ),
        Router(
            "/api/v1",
            route_handlers=enrolments.HANDLERS,
            dependencies={"office": Provide(the_house)},
            request_max_body_size=BODY_BYTES_MAX,
            response_headers=HEADERS,
        ),
    ]


def openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Latchwork",
        version=version("latchwork"),
        description="What a locker wall is asked, and what it said. Errors are RFC 9457 problems. Everything about a "
        "wall is as of when it was last heard: accepted is not done.",
        path="/api",
        render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        components=Components(
            security_schemes={"token": SecurityScheme(type="http", scheme="bearer", description="An API token")}
        ),
    )
