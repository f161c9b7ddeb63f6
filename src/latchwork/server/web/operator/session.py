"""Signing in with an API token, until there are accounts. The session is a signed cookie that scripts cannot read."""

from typing import Any
from urllib.parse import urlsplit

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody
from litestar.response import Redirect

from latchwork.server.actions import access
from latchwork.server.actions.office import Declined, Office, Who
from latchwork.server.web.render import AnyRequest, TheOffice, page

COOKIE = "latchwork_operator"
PLACE = "/operator"
SIGN_IN = "/operator/sign-in"

Form = URLEncodedBody[dict[str, str]]

Operator = NamedDependency[Who]
Seal = NamedDependency[str]


class SignInFirst(Exception):
    """Becomes a redirect to the sign-in page."""


async def operator(request: AnyRequest) -> Who:
    """Who is signed in. A form must come from a page of this session, and from no other site."""
    office: Office = request.app.state.office
    session = request.cookies.get(COOKIE, "")
    who = await access.signed_in(office, session)
    if who is None:
        raise SignInFirst
    if request.method not in ("GET", "HEAD"):
        same_site(request, office)
        access.check_form(office, session, str((await request.form()).get("seal", "")))
    return who


async def operators_office(request: AnyRequest, who: Operator) -> Office:
    """Acting for whoever is signed in: other organisations' rows are not there."""
    office: Office = request.app.state.office
    return office.acting(who.organisation)


async def seal(request: AnyRequest, office: TheOffice) -> str:
    """What a form on this page carries."""
    return access.form_seal(office, request.cookies.get(COOKIE, ""))


def same_site(request: AnyRequest, office: Office) -> None:
    """A browser says where a form comes from; one that does not say it in the newer header does so in the older one,
    which our own Referrer-Policy blanks."""
    fetched = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin", "null")
    ours = {urlsplit(office.public_url).netloc, request.headers.get("host", "")}
    fine = fetched in ("same-origin", "none") if fetched else origin == "null" or urlsplit(origin).netloc in ours
    if not fine:
        raise Declined(403, "other_site", "This form came from another site. Nothing was done.")


@get(SIGN_IN, include_in_schema=False)
async def sign_in_page() -> Response[str]:
    return page("operator/sign_in.html", layer="operator", wrong=False)


@post(SIGN_IN, include_in_schema=False, status_code=200)
async def sign_in(request: AnyRequest, office: TheOffice, data: Form) -> Response[Any]:
    same_site(request, office)
    who = await access.who_is(office, data.get("token", "").strip())
    if who is None:
        office.guessed("API token")
        return page("operator/sign_in.html", status=403, layer="operator", wrong=True)
    cookie = Cookie(
        COOKIE,
        path=PLACE,
        value=access.sign_in(office, who),
        max_age=access.SESSION_HOURS_MAX * 3600,
        httponly=True,
        samesite="strict",
        secure=office.public_url.startswith("https:"),
    )
    return Redirect(PLACE, status_code=303, cookies=[cookie])


@post("/operator/sign-out", include_in_schema=False)
async def sign_out(who: Operator) -> Response[Any]:
    gone = Cookie(COOKIE, path=PLACE, value="", max_age=0, httponly=True, samesite="strict")
    return Redirect(SIGN_IN, status_code=303, cookies=[gone])


HANDLERS = [sign_in_page, sign_in, sign_out]
