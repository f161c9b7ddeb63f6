"""One-time links: what makes the first owner, invites, resets a password, recovers an account, signs a token in.

The secret end of a link is computed from its row's id, so that no row opens anything. Whoever asks for a link by mail
never sees it; only where no mail is sent it is handed to the one who asked.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from latchwork.server.actions import guesses
from latchwork.server.actions.office import LIST_MAX, Declined, Office, Who, not_found
from latchwork.server.actions.sessions import Id
from latchwork.server.ledger import Gone

PLACE = "/operator/link"


class Purpose(StrEnum):
    OWNER = "owner"
    INVITATION = "invitation"
    RESET = "reset"
    RECOVERY = "recovery"
    SIGN_IN = "sign_in"
    CODE = "code"
    """No link: a recipient gets six digits, see `visits`."""
    NEWS = "news"
    """No link either: what happened to an account."""


LIFE = {
    Purpose.OWNER: timedelta(days=1),
    Purpose.INVITATION: timedelta(days=7),
    Purpose.RESET: timedelta(hours=1),
    Purpose.RECOVERY: timedelta(days=1),
    Purpose.SIGN_IN: timedelta(hours=12),
    Purpose.NEWS: timedelta(days=2),
}


@dataclass(frozen=True, slots=True)
class Link:
    id: str
    purpose: str
    organisation: str
    organisation_name: str
    account: str | None
    token: str | None
    email: str | None
    role: str | None
    about: str | None
    name: str | None
    created_at: datetime
    expires_at: datetime
    language: str


@dataclass(frozen=True, slots=True)
class Made:
    """`link`: its address, where it does not go by mail."""

    expires_at: datetime
    link: str | None


@dataclass(frozen=True, slots=True)
class Invitation:
    id: str
    purpose: str
    email: str
    role: str
    created_at: datetime
    expires_at: datetime
    sent_at: datetime | None
    last_error: str | None


async def make(
    office: Office,
    purpose: Purpose,
    organisation: str,
    by: str | None = None,
    *,
    account: str | None = None,
    token: str | None = None,
    email: str | None = None,
    role: str | None = None,
    language: str = "en",
) -> Made:
    now, link = office.now(), office.new_id()
    expires, mailed = now + LIFE[purpose], office.mails and (email or account) is not None
    row = (link, purpose, organisation, account, token, email, role, by, now, expires, mailed, language)
    await office.tables.do("make_link", *row)
    return Made(expires, None if mailed else address(office, purpose, link))


def address(office: Office, purpose: str, link: str) -> str:
    return f"{office.public_url}{PLACE}/{office.vault.one_time(purpose, link)}"


async def find(office: Office, token: str) -> Link:
    """Declines with 404 what is not a link of ours, or not any more."""
    link_id = office.vault.one_time_id(token)
    found = await office.tables.one(Link, "link", link_id, office.now()) if link_id else None
    fits = found is not None and office.vault.is_one_time(token, found.purpose, found.id, office.now())
    if found is None or not fits or found.purpose in (Purpose.CODE, Purpose.NEWS):
        office.guessed("link")
        raise Declined(404, "not_found", "This link was used already, or its time is over. Ask for a new one.")
    return found


@dataclass(frozen=True, slots=True)
class Letter:
    id: str
    purpose: str
    to: str
    name: str
    organisation: str
    role: str | None
    about: str | None
    created_at: datetime
    expires_at: datetime
    address: str
    """Or the digits of a code, or where the account is."""
    language: str


async def letter(office: Office, link_id: str) -> Letter | None:
    """What a mail says, found out at the moment of sending; None once it is not true any more."""
    found = await office.tables.one(Link, "link", link_id, office.now())
    if found is None or found.email is None:
        return None
    if found.purpose == Purpose.CODE:
        there = office.vault.mailed_code(found.id)
    elif found.purpose == Purpose.NEWS:
        there = f"{office.public_url}/operator/account"
    else:
        there = address(office, found.purpose, found.id)
    return Letter(
        found.id,
        found.purpose,
        found.email,
        found.name or "",
        found.organisation_name,
        found.role,
        found.about,
        found.created_at,
        found.expires_at,
        there,
        found.language,
    )


async def tell(office: Office, organisation: str, account: str, what: str) -> None:
    """By mail, where mails go out."""
    if office.mails:
        now = office.now()
        row = (office.new_id(), organisation, account, what, now, now + LIFE[Purpose.NEWS])
        await office.tables.do("make_news", *row)


async def use(office: Office, link: Link) -> None:
    async with office.acting(link.organisation).tables.together() as tables:
        if not await tables.do("use_link", link.id, office.now()):
            raise Declined(409, "link_used", "This link was used already.")
        office.note(Gone.LINK, link.organisation, link.id)


async def forget(
    office: Office, purpose: Purpose, organisation: str, account: str | None = None, email: str | None = None
) -> None:
    """Another one takes their place, or nothing does."""
    async with office.acting(organisation).tables.together() as tables:
        for link in await tables.all(Id, "forget_links", organisation, purpose, account, email, office.now()):
            office.note(Gone.LINK, organisation, link.id)


async def ask_reset(office: Office, email: str, caller: str) -> None:
    """Says nothing of whether there is such an account."""
    email = email.strip().lower()
    await guesses.count(office, [guesses.by(office, "reset", email, free=3), guesses.by_range(office, caller)])
    now = office.now()
    await office.tables.do("make_reset", office.new_id(), email, now, now + LIFE[Purpose.RESET])


async def sign_in_link(office: Office, who: Who) -> Made:
    """For somebody who holds an API token and wants to see the pages: it gives nothing that the token has not."""
    return await make(office, Purpose.SIGN_IN, who.organisation, who.token, token=who.token)


async def owner_link(office: Office) -> str | None:
    """What makes the owner of the installation, as long as there is none. The one before it loses its worth."""
    organisation = await office.tables.value("ownerless")
    if organisation is None:
        return None
    await forget(office, Purpose.OWNER, organisation)
    return (await make(office, Purpose.OWNER, organisation)).link


async def invitations(office: Office, who: Who) -> list[Invitation]:
    return await office.tables.all(Invitation, "invitations", who.organisation, office.now(), LIST_MAX)


async def withdraw(office: Office, who: Who, link: str) -> None:
    async with office.acting(who.organisation).tables.together() as tables:
        if not await tables.do("withdraw_invitation", who.organisation, link, office.now()):
            raise not_found("invitation")
        office.note(Gone.LINK, who.organisation, link)
