"""Single sign-on: the way to an identity provider and back, and the page on which an owner names providers."""

from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from latchwork.server.actions import accounts, sessions, single_sign_on
from latchwork.server.actions.events import What
from latchwork.server.actions.office import Declined, Office
from latchwork.server.web.operator.session import (
    Form,
    Here,
    Seal,
    cookie,
    cookie_name,
    form_values,
    inside,
)
from latchwork.server.web.operator.sign_in import changed, signed_in
from latchwork.server.web.render import AnyRequest, TheOffice, page

PAGE = "/operator/single-sign-on"
GO = single_sign_on.PLACE


@get(f"{GO}/{{provider:str}}", include_in_schema=False)
async def go(office: TheOffice, provider: FromPath[str], to: FromQuery[str | None] = None) -> Redirect:
    return await _sent(office, provider, inside(to))


@get(f"{GO}/{{provider:str}}/callback", include_in_schema=False)
async def come_back(request: AnyRequest, office: TheOffice, provider: FromPath[str]) -> Response[Any]:
    asked, answer = request.cookies.get(cookie_name(office, "sso"), ""), dict(request.query_params)
    back = await single_sign_on.finish(office, provider, asked, answer)
    if back.connected:
        await changed(request, office, back.account, What.CONNECTED, back.provider)
    return await signed_in(request, office, back.account, back.provider, back.to)


@get(f"{PAGE}/{{provider:str}}/connect", include_in_schema=False)
async def connect(office: TheOffice, session: Here, provider: FromPath[str]) -> Redirect:
    """A link, not a form: no form of ours may lead to another site. It connects only who is signed in there."""
    sessions.check_recent(office, session)
    account = await accounts.own(office, session)
    return await _sent(office, provider, "/operator/account", account.id)


@get(PAGE, include_in_schema=False)
async def providers_page(office: TheOffice, session: Here, seal: Seal) -> Response[str]:
    return await _providers(office, session, seal)


@post(PAGE, include_in_schema=False)
async def add(office: TheOffice, session: Here, seal: Seal, data: Form) -> Response[Any]:
    name, issuer, client, secret, adds_as = form_values(data, "name", "issuer", "client", "secret", "adds_as")
    try:
        sessions.check_recent(office, session)
        await single_sign_on.add(office, session.who, name, issuer, client, secret, adds_as or None)
    except Declined as declined:
        if declined.status != 422:
            raise
        return await _providers(office, session, seal, declined, data)
    return Redirect(PAGE, status_code=303)


@post(f"{PAGE}/{{provider:str}}/remove", include_in_schema=False)
async def remove(office: TheOffice, session: Here, provider: FromPath[str]) -> Redirect:
    await single_sign_on.remove(office, session.who, provider)
    return Redirect(PAGE, status_code=303)


async def _sent(office: Office, provider: str, to: str, account: str | None = None) -> Redirect:
    there, asked = await single_sign_on.begin(office, provider, to, account)
    return Redirect(there, status_code=303, cookies=[cookie(office, "sso", asked)])


async def _providers(
    office: Office, session: Here, seal: str, declined: Declined | None = None, given: dict[str, str] | None = None
) -> Response[str]:
    accounts.owners_only(session.who)
    found = await single_sign_on.providers(office, session.who)
    return page(
        "operator/single_sign_on.html",
        declined.status if declined else 200,
        layer="operator",
        seal=seal,
        providers=found,
        callback=lambda provider: single_sign_on.callback(office, provider),
        go=f"{office.public_url}{GO}",
        address=f"{office.public_url}/operator/sign-in?at={session.organisation}",
        roles=accounts.ROLES,
        declined=declined,
        given=given or {},
    )


PUBLIC = [go, come_back]
HANDLERS = [connect, providers_page, add, remove]
