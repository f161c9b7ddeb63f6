"""Who asks: the bearer token, checked before anything of the request is read."""

import re
from typing import Annotated, Any

from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import HeaderParameter

from latchwork.server.actions import access, parties
from latchwork.server.actions.office import Declined, Office, Who, check_right
from latchwork.server.api.problems import AnyRequest

TheOffice = NamedDependency[Office]
Asker = NamedDependency[Who]

KEY_CHARACTERS_MAX = 255
Key = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        required=False,
        description='A quoted string of your choice, such as "order-4711": the same again gets the same answer.',
    ),
]


async def bearer(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    kind, _space, token = connection.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise Declined(401, "no_token", "Send an API token: `Authorization: Bearer lw_...`.")
    office: Office = connection.app.state.office
    who = await access.who_is(office, token.strip())
    if who is None:
        office.guessed("API token")
        raise Declined(401, "wrong_token", "This API token is unknown or was revoked.")
    office.asked_by(f"token {who.token}")
    check_right(who, str(connection.scope.get("method", "WS")), connection.scope["path_template"])
    connection.scope.setdefault("state", {})["who"] = who


async def asker(request: AnyRequest) -> Who:
    who: Who = request.scope["state"]["who"]
    office: Office = request.app.state.office
    for about in ("bank_id", "stay_id", "instruction_id"):
        if about in request.path_params:
            return await parties.at_wall(office.acting(who.organisation, who.party), who, request.path_params[about])
    return who


async def the_office(request: AnyRequest, who: Asker) -> Office:
    """Acting for whoever asks: other organisations' rows are not there."""
    office: Office = request.app.state.office
    return office.acting(who.organisation, who.party)


async def the_house(request: AnyRequest) -> Office:
    """For those who have nothing yet but a one-time code."""
    office: Office = request.app.state.office
    return office


def needed(said: str | None) -> str:
    """An idempotency key. Declines with 400 without one."""
    key = given(said)
    if key is None:
        raise _bad_key("missing")
    return key


def given(said: str | None) -> str | None:
    """A structured-field string (RFC 8941); without its quotes it is taken as well. Declines with 400."""
    text = (said or "").strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = re.sub(r"\\(.)", r"\1", text[1:-1])
    if len(text) > KEY_CHARACTERS_MAX or not re.fullmatch(r"[\x20-\x7e]*", text):
        raise _bad_key("malformed")
    return text or None


def _bad_key(what: str) -> Declined:
    return Declined(
        400,
        f"idempotency_key_{what}",
        f'Send an Idempotency-Key of 1 to {KEY_CHARACTERS_MAX} printable characters, such as "order-4711".',
    )
