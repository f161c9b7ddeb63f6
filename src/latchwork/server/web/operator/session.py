"""Who is signed in, by a cookie that scripts cannot read; and the guard against forms from elsewhere."""

import re
from datetime import date
from urllib.parse import urlsplit

from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody

from latchwork.server.actions import access, sessions
from latchwork.server.actions.office import Declined, Office, Who, check_right
from latchwork.server.actions.sessions import Session, Stage
from latchwork.server.web.render import AnyRequest, TheOffice, working_as

PLACE = "/operator"
SIGN_IN = "/operator/sign-in"
SECOND = "/operator/sign-in/second"
SETUP = "/operator/app"
DEVICE_SECONDS = 365 * 86_400

Form = URLEncodedBody[dict[str, str]]

Operator = NamedDependency[Who]
Here = NamedDependency[Session]
Seal = NamedDependency[str]


class SignInFirst(Exception):
    """Becomes a redirect to the page that comes first."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place


async def any_session(request: AnyRequest) -> Session:
    """Signed in, perhaps not wholly. A form must come from a page of this session, and from no other site."""
    office: Office = request.app.state.office
    cookie = request.cookies.get(cookie_name(office, "session"), "")
    path = request.url.path
    session = await sessions.find(office, cookie, used=not path.endswith("/events"))
    if session is None:
        leads_back = request.method == "GET" and path == inside(path) != PLACE
        raise SignInFirst(f"{SIGN_IN}?to={path}" if leads_back else SIGN_IN)
    working_as(session.who.role)
    office.asked_by(f"account {session.who.token}")
    check_right(session.who, request.method, request.scope["path_template"])
    if request.method not in ("GET", "HEAD"):
        same_site(request, office)
        access.check_form(office, cookie, str((await request.form()).get("seal", "")))
    return session


async def proven_session(request: AnyRequest) -> Session:
    """Every factor that there is was shown."""
    session = await any_session(request)
    if session.stage == Stage.SECOND:
        raise SignInFirst(SECOND)
    return session


async def full_session(request: AnyRequest) -> Session:
    session = await proven_session(request)
    if session.stage == Stage.SETUP:
        raise SignInFirst(SETUP)

    office: Office = request.app.state.office
    secret = request.cookies[cookie_name(office, "session")]

    async def still() -> bool:
        return await sessions.find(office, secret, used=False) is not None

    request.scope.setdefault("state", {})["still"] = still
    return session


async def operator(session: Here) -> Who:
    return session.who


async def operators_office(request: AnyRequest, who: Operator) -> Office:
    """Acting for whoever is signed in: other organisations' rows are not there."""
    office: Office = request.app.state.office
    return office.acting(who.organisation, who.party)


async def seal(request: AnyRequest, office: TheOffice) -> str:
    """What a form on this page carries."""
    return access.form_seal(office, request.cookies.get(cookie_name(office, "session"), ""))


def day_in(data: dict[str, str]) -> date:
    """The `day` of a form. Declines with 422."""
    try:
        return date.fromisoformat(data.get("day", ""))
    except ValueError:
        raise Declined(422, "bad_day", "Choose a day.") from None


def same_site(request: AnyRequest, office: Office) -> None:
    """A browser says where a form comes from; one that does not say it in the newer header does so in the older one,
    which our own Referrer-Policy blanks."""
    fetched = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin", "null")
    ours = {urlsplit(office.public_url).netloc, request.headers.get("host", "")}
    fine = fetched in ("same-origin", "none") if fetched else origin == "null" or urlsplit(origin).netloc in ours
    if not fine:
        raise Declined(403, "other_site", "This form came from another site. Nothing was done.")


def inside(to: str | None) -> str:
    """Where to go after signing in: a page of ours and nothing else."""
    return to if to and re.fullmatch(r"/operator(/[A-Za-z0-9_-]{1,64}){1,6}", to) else PLACE


def cookie_name(office: Office, what: str) -> str:
    """The prefix makes browsers refuse it from other hosts and over plain HTTP, where it could not be set at all."""
    return f"{'__Host-' if secure(office) else ''}latchwork-{what}"


def cookie(office: Office, what: str, value: str, seconds: int | None = None) -> Cookie:
    """Lax: a link in a mail leads to a page, and a form from elsewhere does nothing (`same_site`, `check_form`)."""
    return Cookie(
        cookie_name(office, what),
        value=value,
        path="/",
        max_age=seconds,
        httponly=True,
        samesite="lax",
        secure=secure(office),
    )


def secure(office: Office) -> bool:
    return office.public_url.startswith("https:")


def device(request: AnyRequest) -> str:
    return str(request.headers.get("user-agent", ""))


def caller(request: AnyRequest) -> str:
    return request.client.host if request.client else ""


def form_values(data: dict[str, str], *names: str) -> tuple[str, ...]:
    return tuple(data.get(name, "").replace("\0", "")[:1000] for name in names)
