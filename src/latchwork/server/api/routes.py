"""The API's routes and its OpenAPI document."""

from importlib.metadata import version
from typing import Any

import msgspec
from litestar import Request, Router
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from latchwork.server.api import (
    changes,
    configuration,
    enrolments,
    logs,
    parties,
    people,
    places,
    recovery,
    room,
    sign_in,
    signing,
    stays,
    tasks,
    tokens,
)
from latchwork.server.api.guard import asker, bearer, the_house, the_office
from latchwork.server.api.problems import PROBLEM, Problem

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
                *configuration.HANDLERS,
                *people.HANDLERS,
                *parties.HANDLERS,
                *stays.HANDLERS,
                *changes.HANDLERS,
                *room.HANDLERS,
                *tasks.HANDLERS,
                *sign_in.HANDLERS,
                *tokens.HANDLERS,
                *signing.HANDLERS,
                *logs.HANDLERS,
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
        render_plugins=[_Description()],
        components=Components(
            security_schemes={"token": SecurityScheme(type="http", scheme="bearer", description="An API token")}
        ),
    )


class _Description(JsonRenderPlugin):
    """The OpenAPI document, put together when it is first asked for: in it, whatever else is answered is a problem."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        (schema,), parts = msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")
        openapi_schema["components"]["schemas"] |= parts
        for path in openapi_schema["paths"].values():
            for operation in path.values():
                operation["responses"].pop("400", None)
                operation["responses"]["default"] = {
                    "description": "A problem (RFC 9457)",
                    "content": {PROBLEM: {"schema": schema}},
                }
        return super().render(request, openapi_schema)
