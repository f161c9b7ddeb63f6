"""The API's routes and its OpenAPI document."""

from importlib.metadata import version

import msgspec
from litestar import Litestar, Router
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, OpenAPIMediaType, OpenAPIResponse, Reference, Schema, SecurityScheme

from latchwork.server.api import (
    changes,
    configuration,
    enrolments,
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


def describe_problems(app: Litestar) -> None:
    """In the OpenAPI document, whatever else an operation answers is a problem."""
    document = app.openapi_schema
    (schema,), parts = msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")
    document.components.schemas |= {name: Schema(**part) for name, part in parts.items()}
    content = {PROBLEM: OpenAPIMediaType(schema=Reference(ref=schema["$ref"]))}
    for path in (document.paths or {}).values():
        for operation in (path.get, path.put, path.post, path.patch, path.delete):
            if operation is not None and operation.responses is not None:
                operation.responses.pop("400", None)
                operation.responses["default"] = OpenAPIResponse("A problem (RFC 9457)", content=content)
