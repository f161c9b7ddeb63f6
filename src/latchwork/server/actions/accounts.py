"""Accounts of the people who run walls: how they come to be, how they sign in, and who else is on the team.

An account belongs to one organisation. Whether an address has one is told to nobody who cannot read its mail.
"""

import hmac
import re
from dataclasses import dataclass
from datetime import datetime

from latchwork.server.access import STAFF
from latchwork.server.actions import factors, guesses, links, passwords, sessions
from latchwork.server.actions.links import Link, Purpose
from latchwork.server.actions.office import LIST_MAX, Declined, Office, Who, is_id, not_found
from latchwork.server.actions.sessions import Session, Stage
from latchwork.server.ledger import Gone

ROLES = STAFF
NAME_CHARACTERS_MAX = 100
_ADDRESS = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,189}")


@dataclass(frozen=True, slots=True)
class Account:
    id: str
    organisation: str
    email: str
    name: str
    role: str
    password: str | None
    app: int | None
    app_last: int
    recovery: int | None
    recovery_used: list[int]
    created_at: datetime
    app_at: datetime
    """When app and recovery codes were made, if they were."""
    recovery_at: datetime
    alarms: bool
    """Whether they want mails of what cannot wait at a wall."""
    language: str
    """Of mails to them."""
    passkeys: bool
    """Whether it has any."""

    @property
    def second_factor(self) -> bool:
        return self.app is not None or self.passkeys

    @property
    def recovery_left(self) -> int:
        return 0 if self.recovery is None else factors.RECOVERY_CODES - len(self.recovery_used)


@dataclass(frozen=True, slots=True)
class Member:
    id: str
    email: str
    name: str
    role: str
    used_at: datetime | None
    created_at: datetime


async def read(office: Office, account: str) -> Account:
    found = await office.tables.one(Account, "account", account)
    if found is None:
        raise not_found("account")
    return found


# Signing in


async def password_fits(office: Office, email: str, password: str, caller: str, device: str) -> Account | None:
    """None for a wrong address as for a wrong password. `device`: the mark that `known_device` made, if it sent one."""
    email = email.strip().lower()[:254]
    if _known(office, device, email):
        counted = [guesses.by(office, "browser", device)]
    else:
        counted = [guesses.by(office, "account", email), guesses.by_range(office, caller)]
    await guesses.count(office, counted)
    account = await office.tables.one(Account, "account_by_email", email)
    if not await passwords.fits(account.password if account else None, password):
        return None
    await guesses.right(office, counted)
    return account


async def begin_session(office: Office, account: Account, how: str, device: str, stage: Stage) -> str:
    return await sessions.begin(office, account.organisation, how, device, stage, account=account.id, token=None)


async def reads(office: Office, account: Account, language: str) -> None:
    """In which language they are mailed from now on."""
    await office.tables.do("reads", account.id, language)


async def second_fits(office: Office, account: Account, code: str) -> str | None:
    """With what the code proved them: the app or a recovery code."""
    counted = [guesses.by(office, "second", account.id)]
    await guesses.count(office, counted)
    if account.app is not None and await factors.check_app(office, account.id, account.app, code, account.app_at):
        how = "password and app"
    elif account.recovery is not None and await factors.check_recovery(
        office, account.id, account.recovery, code, account.recovery_at
    ):
        how = "password and recovery code"
    else:
        return None
    await guesses.right(office, counted)
    return how


def known_device(office: Office, account: Account) -> str:
    """A mark for a browser in which somebody has signed in: guesses of others do not slow it down."""
    text = office.draw(16).hex()
    return f"{text}.{office.vault.seal('known browser', f'{text} {account.email}')}"


def _known(office: Office, device: str, email: str) -> bool:
    text, _, seal = device.partition(".")
    return seal.isascii() and hmac.compare_digest(seal, office.vault.seal("known browser", f"{text} {email}"))


# Links


async def accept(office: Office, link: Link, name: str, email: str, password: str) -> Account:
    """The account that an invitation, or the link for a first owner, was made for."""
    email = (link.email or email).strip().lower()
    name = " ".join(name.split())
    if not is_address(email):
        raise Declined(422, "no_address", "Give a mail address.")
    if not 0 < len(name) <= NAME_CHARACTERS_MAX:
        raise Declined(422, "no_name", "Give your name.")
    await passwords.check(office.breached, password, email, name)
    row = (link.id, office.now(), office.new_id(), email, name, await passwords.hashed(password))
    async with office.tables.together() as tables:
        made = await tables.one(Account, "use_link_for_account", *row)
        if made is not None:
            office.note(Gone.LINK, made.organisation, link.id)
    if made is None:
        await links.find(office, office.vault.one_time(link.purpose, link.id))  # or else it is the link's fault
        raise _taken()
    return made


async def new_password(office: Office, link: Link, password: str) -> Account:
    """By mail the second factor stays; where another owner has asked, all factors go."""
    assert link.account is not None and link.purpose in (Purpose.RESET, Purpose.RECOVERY)
    account = await read(office, link.account)
    await passwords.check(office.breached, password, account.email, account.name)
    stored = await passwords.hashed(password)
    await links.use(office, link)
    if link.purpose == Purpose.RECOVERY:
        await _forget_factors(office, account)
    await _set_password(office, account, stored)
    await links.forget(office, Purpose.RESET, account.organisation, account.id)
    await sessions.end_all(office, account.organisation, account.id)
    return await read(office, account.id)


async def _forget_factors(office: Office, account: Account) -> None:
    now = office.now()
    async with office.acting(account.organisation).tables.together() as tables:
        for passkey in await tables.all(sessions.Id, "forget_factors", account.id, now):
            office.note(Gone.PASSKEY, account.organisation, passkey.id)
        office.note(Gone.APP, account.organisation, account.id, now)
        office.note(Gone.CODES, account.organisation, account.id, now)


async def token_session(office: Office, link: Link, device: str) -> str:
    assert link.token is not None
    await links.use(office, link)
    return await sessions.begin(office, link.organisation, "link", device, Stage.FULL, account=None, token=link.token)


# Of a signed-in person


async def change_password(office: Office, session: Session, password: str | None, old: str = "") -> Account:
    """Every other session ends. None: passkeys only, from now on. `old`: the present one, where there is one."""
    sessions.check_recent(office, session)
    account = await own(office, session)
    if password is not None and account.password is not None:
        counted = [guesses.by(office, "old password", account.id)]
        await guesses.count(office, counted)
        if not await passwords.fits(account.password, old):
            raise Declined(422, "wrong_password", "That is not the password that you have now.")
        await guesses.right(office, counted)
    if password is None and not account.passkeys:
        raise Declined(409, "last_factor", "Add a passkey first.")
    if password is not None:
        await passwords.check(office.breached, password, account.email, account.name)
    await _set_password(office, account, await passwords.hashed(password) if password else None)
    await sessions.end_all(office, session.organisation, session.speaker, session.id)
    return account


async def _set_password(office: Office, account: Account, stored: str | None) -> None:
    now = office.now()
    if account.password is not None:  # then its address is nobody else's
        office.note(Gone.PASSWORD, account.organisation, account.id, now)
    # Addresses are unique beyond organisations, so only the server itself can tell.
    if not await office.house().tables.do("set_password", account.id, stored, now):
        raise _taken()


async def own(office: Office, session: Session) -> Account:
    if session.account is None:
        raise Declined(403, "no_account", "You signed in with the link of an API token, which has no account.")
    return await read(office, session.account)


async def use_app(office: Office, session: Session, code: str) -> list[str]:
    """The app is the second factor from now on. The first time, and whenever it changes, with new recovery codes."""
    if session.stage == Stage.FULL:
        sessions.check_recent(office, session)
    account = await own(office, session)
    now = office.now()
    step = await factors.step_of_new_app(office, account.id, next_app(account), code, now)
    if account.app is not None:
        office.note(Gone.APP, account.organisation, account.id, now)
    await office.tables.do("set_app", account.id, next_app(account), step, now)
    return await new_codes(office, account)


async def recovery_codes(office: Office, session: Session) -> list[str]:
    sessions.check_recent(office, session)
    return await new_codes(office, await own(office, session))


async def new_codes(office: Office, account: Account) -> list[str]:
    """Shown once; those of before are worth nothing any more."""
    now = office.now()
    if account.recovery is not None:
        office.note(Gone.CODES, account.organisation, account.id, now)
    return await factors.new_recovery_codes(office, account.id, now)


def next_app(account: Account) -> int:
    """Never one that was given out before: it may be in hands that it was taken from."""
    return account.app_last + 1


# The team


async def team(office: Office, who: Who) -> list[Member]:
    return await office.tables.all(Member, "team", who.organisation, LIST_MAX)


async def invite(office: Office, who: Who, email: str, role: str, language: str = "en") -> links.Made:
    """A newer invitation of the same address takes the place of an older one."""
    owners_only(who)
    email = email.strip().lower()
    if not is_address(email):
        raise Declined(422, "no_address", "Give a mail address.")
    check_role(role)
    await links.forget(office, Purpose.INVITATION, who.organisation, email=email)
    given = {"email": email, "role": role, "language": language}
    return await links.make(office, Purpose.INVITATION, who.organisation, who.token, **given)


async def recover(office: Office, who: Who, account_id: str) -> links.Made:
    """Lets somebody who lost password or factors begin anew. It goes to their address, never to the one who asks."""
    owners_only(who)
    account = await _member(office, who, account_id)
    await links.forget(office, Purpose.RECOVERY, who.organisation, account.id)
    return await links.make(office, Purpose.RECOVERY, who.organisation, who.token, account=account.id)


async def sign_out(office: Office, who: Who, account_id: str) -> None:
    """Everywhere: a browser was lost, or left open."""
    owners_only(who)
    await _member(office, who, account_id)
    await sessions.end_all(office, who.organisation, account_id)


async def set_role(office: Office, who: Who, account_id: str, role: str) -> None:
    owners_only(who)
    check_role(role)
    await _member(office, who, account_id)
    async with office.acting(who.organisation).tables.together() as tables:
        if not await tables.do("set_role", who.organisation, account_id, role):
            raise _last_owner()
        office.note(Gone.ROLE, who.organisation, f"{account_id} {role}")


async def remove(office: Office, who: Who, account_id: str) -> None:
    """Their sessions end with them."""
    owners_only(who)
    await _member(office, who, account_id)
    async with office.acting(who.organisation).tables.together() as tables:
        if not await tables.do("remove_account", who.organisation, account_id):
            raise _last_owner()
        office.note(Gone.ACCOUNT, who.organisation, account_id)


def owners_only(who: Who) -> None:
    if who.role != "owner":
        raise Declined(403, "no_access", "Only an owner may do this.")


def is_address(text: str) -> bool:
    return _ADDRESS.fullmatch(text) is not None and text.isprintable()


async def _member(office: Office, who: Who, account_id: str) -> Account:
    found = await office.tables.one(Account, "account", account_id) if is_id(account_id) else None
    if found is None or found.organisation != who.organisation:
        raise not_found("account")
    return found


def check_role(role: str) -> None:
    if role not in ROLES:
        raise Declined(422, "unknown_role", "Choose a role.")


def _taken() -> Declined:
    return Declined(409, "address_taken", "This address has an account already. Use another address.")


def _last_owner() -> Declined:
    return Declined(409, "last_owner", "This is the only owner. Make somebody else an owner first.")
