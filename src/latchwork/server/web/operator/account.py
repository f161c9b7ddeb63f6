"""One's own account: password, authenticator app, recovery codes, sessions."""

from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from latchwork.server.actions import accounts, alarms, events, factors, passkeys, sessions, single_sign_on
from latchwork.server.actions.events import What
from latchwork.server.actions.office import Declined, Office
from latchwork.server.actions.sessions import Stage
from latchwork.server.web.operator.session import (
    PLACE,
    SETUP,
    Form,
    Here,
    Seal,
    cookie,
    cookie_name,
    device,
    form_values,
)
from latchwork.server.web.operator.sign_in import changed, signed_in
from latchwork.server.web.render import AnyRequest, TheOffice, drawn, page

ACCOUNT = "/operator/account"


@get(ACCOUNT, include_in_schema=False)
async def account_page(office: TheOffice, session: Here, seal: Seal) -> Response[str]:
    return await _account(office, session, seal)


@post(f"{ACCOUNT}/password", include_in_schema=False)
async def change_password(
    request: AnyRequest, office: TheOffice, session: Here, seal: Seal, data: Form
) -> Response[Any]:
    old, password = form_values(data, "old", "password")
    try:
        account = await accounts.change_password(office, session, password, old)
    except Declined as declined:
        if declined.status != 422:
            raise
        return await _account(office, session, seal, declined)
    await changed(request, office, account, What.PASSWORD)
    return Redirect(ACCOUNT, status_code=303)


@post(f"{ACCOUNT}/password/remove", include_in_schema=False)
async def remove_password(request: AnyRequest, office: TheOffice, session: Here) -> Redirect:
    account = await accounts.change_password(office, session, None)
    await changed(request, office, account, What.NO_PASSWORD)
    return Redirect(ACCOUNT, status_code=303)


@post(f"{ACCOUNT}/passkeys", include_in_schema=False)
async def make_passkey(request: AnyRequest, office: TheOffice, session: Here, seal: Seal, data: Form) -> Response[Any]:
    """The first factor beside a password comes with recovery codes."""
    answer, name = data.get("answer", ""), data.get("name", "")
    try:
        account = await passkeys.make(
            office, session, request.cookies.get(cookie_name(office, "question"), ""), answer, name
        )
    except Declined as declined:
        if session.stage == Stage.SETUP:
            return await _app(office, session, seal, declined)
        if declined.reason == "sign_in_again":
            raise
        return await _account(office, session, seal, declined)
    if session.stage != Stage.SETUP:
        await changed(request, office, account, What.PASSKEY)
        return Redirect(ACCOUNT, status_code=303)
    await events.note(office, account, What.PASSKEY, device(request))
    codes = _codes(await accounts.new_codes(office, account))
    return await signed_in(request, office, account, "password and passkey", PLACE, instead_of=session, answer=codes)


@post(f"{ACCOUNT}/passkeys/{{passkey:str}}/remove", include_in_schema=False)
async def remove_passkey(request: AnyRequest, office: TheOffice, session: Here, passkey: FromPath[str]) -> Redirect:
    account = await passkeys.remove(office, session, passkey)
    await changed(request, office, account, What.PASSKEY_REMOVED)
    return Redirect(ACCOUNT, status_code=303)


@post(f"{ACCOUNT}/alarms", include_in_schema=False)
async def want_alarms(office: TheOffice, session: Here, data: Form) -> Redirect:
    await alarms.want(office, session, data.get("alarms") == "on")
    return Redirect(ACCOUNT, status_code=303)


@post(f"{ACCOUNT}/codes", include_in_schema=False, status_code=200)
async def new_codes(request: AnyRequest, office: TheOffice, session: Here) -> Response[str]:
    codes = await accounts.recovery_codes(office, session)
    await changed(request, office, await accounts.own(office, session), What.CODES)
    return _codes(codes)


@post(f"{ACCOUNT}/sessions/{{session_id:str}}/end", include_in_schema=False)
async def end_session(office: TheOffice, session: Here, session_id: FromPath[str]) -> Redirect:
    await sessions.end_another(office, session, session_id)
    return Redirect(ACCOUNT, status_code=303)


@post(f"{ACCOUNT}/sessions/end-others", include_in_schema=False)
async def end_others(office: TheOffice, session: Here) -> Redirect:
    await sessions.end_others(office, session)
    return Redirect(ACCOUNT, status_code=303)


@get(SETUP, include_in_schema=False)
async def app_page(office: TheOffice, session: Here, seal: Seal) -> Response[str]:
    return await _app(office, session, seal)


@post(SETUP, include_in_schema=False, status_code=200)
async def use_app(request: AnyRequest, office: TheOffice, session: Here, seal: Seal, data: Form) -> Response[Any]:
    (code,) = form_values(data, "code")
    try:
        codes = await accounts.use_app(office, session, code)
    except Declined as declined:
        if declined.status != 422:
            raise
        return await _app(office, session, seal, declined)
    answer, account = _codes(codes), await accounts.own(office, session)
    if session.stage != Stage.SETUP:
        await changed(request, office, account, What.APP)
    else:
        await events.note(office, account, What.APP, device(request))
        await signed_in(request, office, account, "password and app", PLACE, instead_of=session, answer=answer)
    return answer


async def _account(office: TheOffice, session: Here, seal: Seal, declined: Declined | None = None) -> Response[str]:
    account = await accounts.own(office, session) if session.account else None
    question = await passkeys.ask_to_make(office, session) if account else None
    answer = page(
        "operator/account.html",
        declined.status if declined else 200,
        layer="operator",
        seal=seal,
        session=session,
        account=account,
        passkeys=await passkeys.of(office, account.id) if account else [],
        question=question,
        mails=office.mails and bool(account) and alarms.concerns(session.role),
        providers=await single_sign_on.offered(office, session.organisation) if account else [],
        sessions=await sessions.all_of(office, session),
        events=await events.of(office, session) if account else [],
        kept_days=events.KEPT.days,
        declined=declined,
    )
    return _asking(office, answer, question)


async def _app(office: TheOffice, session: Here, seal: Seal, declined: Declined | None = None) -> Response[str]:
    account = await accounts.own(office, session)
    n = accounts.next_app(account)
    question = await passkeys.ask_to_make(office, session)
    answer = page(
        "operator/app.html",
        declined.status if declined else 200,
        layer="operator",
        seal=seal,
        first=session.stage == Stage.SETUP,
        key=factors.app_key(office, account.id, n),
        qr=drawn(factors.app_address(office, account.id, account.email, n)),
        question=question,
        declined=declined,
    )
    return _asking(office, answer, question)


def _asking(office: Office, answer: Response[str], question: passkeys.Question | None) -> Response[str]:
    if question:
        answer.set_cookie(cookie(office, "question", question.cookie))
    return answer


def _codes(codes: list[str]) -> Response[str]:
    return page("operator/codes.html", layer="operator", codes=codes)


PROVEN = [app_page, use_app, make_passkey]
HANDLERS = [
    account_page,
    change_password,
    remove_password,
    remove_passkey,
    want_alarms,
    new_codes,
    end_session,
    end_others,
]
