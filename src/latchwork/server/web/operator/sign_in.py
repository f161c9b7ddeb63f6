"""Signing in and out: password, second factor, forgotten passwords, one-time links."""

from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from latchwork.server.actions import accounts, events, links, passkeys, sessions, single_sign_on
from latchwork.server.actions.events import What
from latchwork.server.actions.links import Link, Purpose
from latchwork.server.actions.office import Declined, Office
from latchwork.server.actions.sessions import Session, Stage
from latchwork.server.web.operator.session import (
    DEVICE_SECONDS,
    PLACE,
    SECOND,
    SETUP,
    SIGN_IN,
    Form,
    Here,
    Seal,
    caller,
    cookie,
    cookie_name,
    device,
    form_values,
    inside,
    same_site,
    secure,
)
from latchwork.server.web.render import AnyRequest, TheOffice, page, reader


@get(SIGN_IN, include_in_schema=False)
async def sign_in_page(
    office: TheOffice,
    to: FromQuery[str | None] = None,
    again: FromQuery[str | None] = None,
    at: FromQuery[str | None] = None,
) -> Response[str]:
    return await _sign_in(office, inside(to), again=again is not None, at=at)


@post(SIGN_IN, include_in_schema=False)
async def sign_in(request: AnyRequest, office: TheOffice, data: Form) -> Response[Any]:
    same_site(request, office)
    email, password, to = form_values(data, "email", "password", "to")
    known = request.cookies.get(cookie_name(office, "browser"), "")
    try:
        account = await accounts.password_fits(office, email, password, caller(request), known)
    except Declined as declined:
        return await _sign_in(office, inside(to), email, declined)
    if account is None:
        await events.wrong_password(office, email, device(request))
        wrong = Declined(403, "wrong_password", "Address and password do not fit together.")
        return await _sign_in(office, inside(to), email, wrong)
    stage = Stage.SECOND if account.second_factor else Stage.SETUP
    begun = await accounts.begin_session(office, account, "password", device(request), stage)
    place = SETUP if stage is Stage.SETUP else f"{SECOND}?to={inside(to)}"
    return Redirect(place, status_code=303, cookies=[cookie(office, "session", begun)])


@get(SECOND, include_in_schema=False)
async def second_page(office: TheOffice, session: Here, seal: Seal, to: FromQuery[str | None] = None) -> Response[Any]:
    if session.stage != Stage.SECOND:
        return Redirect(PLACE, status_code=303)
    return await _second(office, session, seal, inside(to))


@post(SECOND, include_in_schema=False)
async def second(request: AnyRequest, office: TheOffice, session: Here, seal: Seal, data: Form) -> Response[Any]:
    account = await accounts.own(office, session)
    code, to = form_values(data, "code", "to")
    try:
        how = await accounts.second_fits(office, account, code) if session.stage == Stage.SECOND else None
        declined = None if how else Declined(403, "wrong_code", "This code is wrong, or was used already.")
    except Declined as error:
        how, declined = None, error
    if how is None:
        if declined and declined.status == 403:
            await events.note(office, account, What.WRONG_CODE, device(request))
        return await _second(office, session, seal, inside(to), declined)
    return await signed_in(request, office, account, how, inside(to), instead_of=session)


@post(f"{SECOND}/passkey", include_in_schema=False)
async def second_passkey(
    request: AnyRequest, office: TheOffice, session: Here, seal: Seal, data: Form
) -> Response[Any]:
    asked, to = request.cookies.get(cookie_name(office, "question"), ""), inside(data.get("to"))
    try:
        if session.stage != Stage.SECOND:
            raise Declined(403, "too_late", "You are signed in already.")
        account = await passkeys.show(office, asked, data.get("answer", ""), session.account)
    except Declined as declined:
        if declined.reason == "wrong_passkey":
            await events.note(office, await accounts.own(office, session), What.WRONG_PASSKEY, device(request))
        return await _second(office, session, seal, to, declined)
    return await signed_in(request, office, account, "password and passkey", to, instead_of=session)


@post(f"{SIGN_IN}/passkey", include_in_schema=False)
async def sign_in_passkey(request: AnyRequest, office: TheOffice, data: Form) -> Response[Any]:
    same_site(request, office)
    to = inside(data.get("to"))
    try:
        asked = request.cookies.get(cookie_name(office, "question"), "")
        account = await passkeys.show(office, asked, data.get("answer", ""))
    except Declined as declined:
        return await _sign_in(office, to, declined=declined)
    return await signed_in(request, office, account, "passkey", to)


async def changed(request: AnyRequest, office: Office, account: accounts.Account, what: What, how: str = "") -> None:
    await events.changed(office, account, what, device(request), how)


async def signed_in(
    request: AnyRequest,
    office: Office,
    account: accounts.Account,
    how: str,
    to: str,
    instead_of: Session | None = None,
    answer: Response[Any] | None = None,
) -> Response[Any]:
    """A new session with a new secret, and a mark for the browser; the half-finished session ends."""
    if instead_of is not None:
        await sessions.end(office, instead_of, instead_of.id)
    await events.note(office, account, What.SIGNED_IN, device(request), how)
    await accounts.reads(office, account, reader().language)
    begun = await accounts.begin_session(office, account, how, device(request), Stage.FULL)
    answer = answer or Redirect(to, status_code=303)
    answer.set_cookie(cookie(office, "session", begun))
    answer.set_cookie(cookie(office, "browser", accounts.known_device(office, account), DEVICE_SECONDS))
    return answer


@post("/operator/sign-out", include_in_schema=False)
async def sign_out(office: TheOffice, session: Here) -> Response[Any]:
    await sessions.end(office, session, session.id)
    answer = Redirect(SIGN_IN, status_code=303, cookies=[cookie(office, "session", "", 0)])
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    return answer


@get("/operator/forgot", include_in_schema=False)
async def forgot_page(office: TheOffice) -> Response[str]:
    return page("operator/forgot.html", layer="operator", mails=office.mails, asked=False)


@post("/operator/forgot", include_in_schema=False, status_code=200)
async def forgot(request: AnyRequest, office: TheOffice, data: Form) -> Response[str]:
    same_site(request, office)
    (email,) = form_values(data, "email")
    await links.ask_reset(office, email, caller(request))
    return page("operator/forgot.html", layer="operator", mails=office.mails, asked=True)


@get(f"{links.PLACE}/{{token:str}}", include_in_schema=False)
async def link_page(office: TheOffice, token: FromPath[str]) -> Response[str]:
    """Only looked at: programs that check the links in mails use nothing up."""
    return _link(await links.find(office, token), token)


@post(f"{links.PLACE}/{{token:str}}", include_in_schema=False)
async def use_link(request: AnyRequest, office: TheOffice, token: FromPath[str], data: Form) -> Response[Any]:
    same_site(request, office)
    link = await links.find(office, token)
    if link.purpose == Purpose.SIGN_IN:
        begun = await accounts.token_session(office, link, device(request))
        return Redirect(PLACE, status_code=303, cookies=[cookie(office, "session", begun)])
    name, email, password = form_values(data, "name", "email", "password")
    try:
        if link.account is None:
            account = await accounts.accept(office, link, name, email, password)
        else:
            account = await accounts.new_password(office, link, password)
            what = What.BEGAN_ANEW if link.purpose == Purpose.RECOVERY else What.PASSWORD
            await changed(request, office, account, what, "a link by mail")
    except Declined as declined:
        if declined.status == 422 or declined.reason == "address_taken":
            return _link(link, token, declined, name, email)
        raise
    if account.second_factor:
        return Redirect(SIGN_IN, status_code=303)
    begun = await accounts.begin_session(office, account, "password", device(request), Stage.SETUP)
    return Redirect(SETUP, status_code=303, cookies=[cookie(office, "session", begun)])


async def _sign_in(
    office: Office,
    to: str,
    email: str = "",
    declined: Declined | None = None,
    *,
    again: bool = False,
    at: str | None = None,
) -> Response[str]:
    """`at`: of which organisation the identity providers are shown."""
    question = await passkeys.ask_to_show(office)
    answer = page(
        "operator/sign_in.html",
        declined.status if declined else 200,
        layer="operator",
        to=to,
        email=email,
        declined=declined,
        again=again,
        plain=not secure(office),
        question=question,
        providers=await single_sign_on.offered(office, at),
    )
    if question:
        answer.set_cookie(cookie(office, "question", question.cookie))
    if declined and declined.retry_after_s:
        answer.headers["Retry-After"] = str(declined.retry_after_s)
    return answer


async def _second(
    office: Office, session: Session, seal: str, to: str, declined: Declined | None = None
) -> Response[str]:
    account = await accounts.own(office, session)
    question = await passkeys.ask_to_show(office, account.id)
    answer = page(
        "operator/second.html",
        declined.status if declined else 200,
        layer="operator",
        seal=seal,
        to=to,
        declined=declined,
        question=question,
        app=account.app is not None,
        codes=account.app is not None or account.recovery is not None,
    )
    if question:
        answer.set_cookie(cookie(office, "question", question.cookie))
    return answer


def _link(link: Link, token: str, declined: Declined | None = None, name: str = "", email: str = "") -> Response[str]:
    status = declined.status if declined else 200
    values = {"link": link, "token": token, "declined": declined, "name": name, "email": link.email or email}
    return page("operator/link.html", status, layer="operator", **values)


PUBLIC = [sign_in_page, sign_in, sign_in_passkey, forgot_page, forgot, link_page, use_link]
HALF = [second_page, second, second_passkey, sign_out]
