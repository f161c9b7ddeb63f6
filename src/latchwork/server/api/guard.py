"""Who asks: the bearer token, checked before anything of the request is read."""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler

from latchwork.server.actions import access
from latchwork.server.actions.office import Declined, Office, Who
from latchwork.server.api.problems import AnyRequest

TheOffice = NamedDependency[Office]
Asker = NamedDependency[Who]


async def bearer(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    kind, _space, token = connection.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise Declined(401, "no_token", "Send an API token: `Authorization: Bearer lw_...`.")
    office: Office = connection.app.state.office
    who = await access.who_is(office, token.strip())
    if who is None:
        office.guessed("API token")
        raise Declined(401, "wrong_token", "This API token is unknown or was revoked.")
    connection.scope.setdefault("state", {})["who"] = who


async def asker(request: AnyRequest) -> Who:
    who: Who = request.scope["state"]["who"]
    return who


async def the_office(request: AnyRequest, who: Asker) -> Office:
    """Acting for whoever asks: other organisations' rows are not there."""
    office: Office = request.app.state.office
    return office.acting(who.organisation)


async def the_house(request: AnyRequest) -> Office:
    """For those who have nothing yet but a one-time code."""
    office: Office = request.app.state.office
    return office
