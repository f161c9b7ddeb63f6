"""Sessions of the operator's pages: rows that can be seen and ended. The cookie's secret is stored hashed."""

import base64
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from latchwork.server.actions.office import Declined, Office, Who, not_found
from latchwork.server.ledger import Gone

LIFE = timedelta(hours=12)
IDLE = timedelta(hours=1)
UNFINISHED = timedelta(minutes=15)
"""How long a second factor may take."""
RECENT = timedelta(minutes=15)
"""How long after signing in one may change how one signs in."""
NOTED = timedelta(minutes=1)
"""Use is noted at most so often."""
SHOWN_MAX = 50
KEPT = timedelta(days=2)
"""How long an expired link or an old guess is kept."""


class Stage(StrEnum):
    SECOND = "second"
    """A password was right; the second factor is still to come."""
    SETUP = "setup"
    """There is no second factor yet: nothing else can be done before there is."""
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Session:
    id: str
    stage: str
    how: str
    device: str
    created_at: datetime
    used_at: datetime
    account: str | None
    organisation: str
    speaker: str
    name: str
    role: str
    root: bool
    party: str | None

    @property
    def who(self) -> Who:
        return Who(self.speaker, self.organisation, self.name, self.root, self.role, self.party)


@dataclass(frozen=True, slots=True)
class Shown:
    id: str
    how: str
    device: str
    created_at: datetime
    used_at: datetime
    here: bool = False


@dataclass(frozen=True, slots=True)
class Id:
    id: str


async def begin(
    office: Office, organisation: str, how: str, device: str, stage: Stage, *, account: str | None, token: str | None
) -> str:
    """The cookie of a new session: never one that was known before signing in."""
    secret = base64.urlsafe_b64encode(office.draw(32)).decode().rstrip("=")
    now = office.now()
    ends = now + (LIFE if stage is Stage.FULL else UNFINISHED)
    row = (office.new_id(), _hash(secret), organisation, account, token, stage, how, described(device), now, ends)
    await office.tables.do("begin_session", *row)
    return secret


async def find(office: Office, secret: str, *, used: bool = True) -> Session | None:
    """`used`: somebody did something, as opposed to a page that keeps itself fresh."""
    if not re.fullmatch(r"[\w-]{43}", secret, re.ASCII):
        return None
    now = office.now()
    found = await office.tables.one(Session, "session", _hash(secret), now, now - IDLE)
    if found and used and now - found.used_at >= NOTED:
        await office.tables.do("session_used", found.id, now)
    return found


def check_recent(office: Office, session: Session) -> None:
    if office.now() - session.created_at > RECENT:
        raise Declined(403, "sign_in_again", "Sign in again before you change this.")


async def all_of(office: Office, session: Session) -> list[Shown]:
    now = office.now()
    found = await office.tables.all(Shown, "sessions", session.speaker, now, now - IDLE, SHOWN_MAX)
    return [replace(each, here=each.id == session.id) for each in found]


async def end_another(office: Office, session: Session, session_id: str) -> None:
    check_recent(office, session)
    await end(office, session, session_id)


async def end(office: Office, session: Session, session_id: str) -> None:
    async with office.acting(session.organisation).tables.together() as tables:
        if not await tables.do("end_session", session_id, session.speaker):
            raise not_found("session")
        if session.stage == Stage.FULL:
            office.note(Gone.SESSION, session.organisation, session_id)


async def end_others(office: Office, session: Session) -> None:
    check_recent(office, session)
    await end_all(office, session.organisation, session.speaker, session.id)


async def end_all(office: Office, organisation: str, speaker: str, but: str | None = None) -> None:
    """Of an account or a token."""
    async with office.acting(organisation).tables.together() as tables:
        for ended in await tables.all(Id, "end_sessions", speaker, but):
            office.note(Gone.SESSION, organisation, ended.id)


async def sweep(office: Office) -> None:
    """What nobody needs any more."""
    now = office.now()
    await office.tables.do("sweep_sign_in", now, now - KEPT)


def described(user_agent: str) -> str:
    """A browser as its owner would name it. Whatever it says of itself is taken as words and nothing else."""
    browsers = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrom": "Chrome", "Safari": "Safari"}
    systems = {"Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Windows": "Windows", "Mac OS": "Mac"}
    browser = next((name for sign, name in browsers.items() if sign in user_agent), "A browser")
    system = next((name for sign, name in (systems | {"Linux": "Linux"}).items() if sign in user_agent), "")
    return f"{browser} on {system}" if system else browser


def _hash(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
