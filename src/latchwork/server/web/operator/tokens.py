"""API tokens: who has which, until when; each shown once."""

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from latchwork.server.access import STAFF
from latchwork.server.actions import sessions, tokens
from latchwork.server.actions.office import Office
from latchwork.server.web.operator.session import Form, Here, Seal, form_values
from latchwork.server.web.render import TheOffice, page

TOKENS = "/operator/tokens"
DAYS = (30, 90, 365)


@get(TOKENS, include_in_schema=False)
async def tokens_page(office: TheOffice, session: Here, seal: Seal) -> Response[str]:
    return await _tokens(office, session, seal)


@post(TOKENS, include_in_schema=False, status_code=200)
async def make(office: TheOffice, session: Here, seal: Seal, data: Form) -> Response[str]:
    sessions.check_recent(office, session)
    name, role, days = form_values(data, "name", "role", "days")
    made = await tokens.make(office, session.who, name, role, int(days) if days in map(str, DAYS) else 0)
    return await _tokens(office, session, seal, made)


@post(f"{TOKENS}/{{token_id:str}}/rotate", include_in_schema=False, status_code=200)
async def rotate(office: TheOffice, session: Here, seal: Seal, token_id: FromPath[str]) -> Response[str]:
    sessions.check_recent(office, session)
    return await _tokens(office, session, seal, await tokens.rotate(office, session.who, token_id))


@post(f"{TOKENS}/{{token_id:str}}/revoke", include_in_schema=False)
async def revoke(office: TheOffice, session: Here, token_id: FromPath[str]) -> Redirect:
    await tokens.revoke(office, session.who, token_id)
    return Redirect(TOKENS, status_code=303)


async def _tokens(office: Office, session: Here, seal: str, made: tokens.Made | None = None) -> Response[str]:
    found = await tokens.tokens(office, session.who)
    return page("operator/tokens.html", layer="operator", seal=seal, tokens=found, roles=STAFF, days=DAYS, made=made)


HANDLERS = [tokens_page, make, rotate, revoke]
