"""Who else runs the walls: members and their roles, invitations, and help for those who lost their way in."""

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from latchwork.server.actions import accounts, links
from latchwork.server.actions.office import Office
from latchwork.server.web.operator.session import Form, Here, Seal, form_values
from latchwork.server.web.render import TheOffice, page, reader

TEAM = "/operator/team"


@get(TEAM, include_in_schema=False)
async def team_page(office: TheOffice, session: Here, seal: Seal) -> Response[str]:
    return await _team(office, session, seal)


@post(f"{TEAM}/invitations", include_in_schema=False, status_code=200)
async def invite(office: TheOffice, session: Here, seal: Seal, data: Form) -> Response[str]:
    email, role = form_values(data, "email", "role")
    made = await accounts.invite(office, session.who, email, role, reader().language)
    return await _team(office, session, seal, made)


@post(f"{TEAM}/invitations/{{link_id:str}}/withdraw", include_in_schema=False)
async def withdraw(office: TheOffice, session: Here, link_id: FromPath[str]) -> Redirect:
    accounts.owners_only(session.who)
    await links.withdraw(office, session.who, link_id)
    return Redirect(TEAM, status_code=303)


@post(f"{TEAM}/{{account_id:str}}/role", include_in_schema=False)
async def set_role(office: TheOffice, session: Here, account_id: FromPath[str], data: Form) -> Redirect:
    (role,) = form_values(data, "role")
    await accounts.set_role(office, session.who, account_id, role)
    return Redirect(TEAM, status_code=303)


@post(f"{TEAM}/{{account_id:str}}/remove", include_in_schema=False)
async def remove(office: TheOffice, session: Here, account_id: FromPath[str]) -> Redirect:
    await accounts.remove(office, session.who, account_id)
    return Redirect(TEAM, status_code=303)


@post(f"{TEAM}/{{account_id:str}}/recover", include_in_schema=False, status_code=200)
async def recover(office: TheOffice, session: Here, seal: Seal, account_id: FromPath[str]) -> Response[str]:
    made = await accounts.recover(office, session.who, account_id)
    return await _team(office, session, seal, made)


@post(f"{TEAM}/{{account_id:str}}/end-sessions", include_in_schema=False)
async def sign_out(office: TheOffice, session: Here, account_id: FromPath[str]) -> Redirect:
    await accounts.sign_out(office, session.who, account_id)
    return Redirect(TEAM, status_code=303)


async def _team(office: Office, session: Here, seal: str, made: links.Made | None = None) -> Response[str]:
    who = session.who
    return page(
        "operator/team.html",
        layer="operator",
        seal=seal,
        members=await accounts.team(office, who),
        invitations=await links.invitations(office, who),
        roles=accounts.ROLES,
        me=session.account,
        made=made,
    )


HANDLERS = [team_page, invite, withdraw, set_role, sign_out, remove, recover]
