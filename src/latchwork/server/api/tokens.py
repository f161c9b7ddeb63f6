"""API tokens: made, replaced, revoked."""

from typing import Annotated

from litestar import delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from latchwork.server.access import Audience
from latchwork.server.actions import tokens
from latchwork.server.api.bodies import Id, Line
from latchwork.server.api.guard import Asker, TheOffice

TAG = ["Signing in"]


class NewToken(Struct, frozen=True, forbid_unknown_fields=True):
    """`role` says what it may do, see the page on access; `party` whose things a carrier's or a shop's system sees."""

    name: Line
    role: Audience
    days: Annotated[int, Meta(ge=1, le=tokens.DAYS_MAX)] = 365
    party: Id | None = None


@get("/tokens", tags=TAG, summary="API tokens that work")
async def all_tokens(office: TheOffice, who: Asker) -> list[tokens.Token]:
    return await tokens.tokens(office, who)


@post("/tokens", tags=TAG, summary="Make an API token; it is shown here and never again")
async def make(office: TheOffice, who: Asker, data: JSONBody[NewToken]) -> tokens.Made:
    return await tokens.make(office, who, data.name, data.role, data.days, data.party)


@post("/tokens/{token_id:str}/rotate", tags=TAG, summary="Replace an API token; the old one works for a week longer")
async def rotate(office: TheOffice, who: Asker, token_id: FromPath[str]) -> tokens.Made:
    return await tokens.rotate(office, who, token_id)


@delete("/tokens/{token_id:str}", tags=TAG, summary="Revoke an API token at once", status_code=204)
async def revoke(office: TheOffice, who: Asker, token_id: FromPath[str]) -> None:
    await tokens.revoke(office, who, token_id)


HANDLERS = [all_tokens, make, rotate, revoke]
