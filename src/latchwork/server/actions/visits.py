"""Recipients who look at all of their parcels: they prove their mailbox by a mailed code, or show a passkey.

They need no account: who they are is the row that staff or a carrier's system made, and its mail address.
"""

import base64
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from hashlib import sha256

from latchwork.server.actions import ceremonies, guesses, passkeys, people, places, privacy, stays
from latchwork.server.actions.changes import OWN_HOLD_DAYS_MAX, RECIPIENT
from latchwork.server.actions.office import Declined, Office, Who
from latchwork.server.ledger import Gone

CODE_LIFE = timedelta(minutes=10)
LIFE = timedelta(days=30)
IDLE = timedelta(days=7)
NOTED = timedelta(hours=1)
"""Use is noted at most so often."""
ENDED = timedelta(days=30)
"""How long something that ended is still listed."""
STAYS_MAX = 100


@dataclass(frozen=True, slots=True)
class Visitor:
    id: str
    name: str
    email: str | None
    language: str
    unwanted: Sequence[str]
    away_until: datetime | None
    """On holiday."""
    organisation: str
    created_at: datetime
    used_at: datetime


@dataclass(frozen=True, slots=True)
class Parcel:
    page: str
    state: str
    deadline: datetime | None
    tracking: str | None
    bank_name: str
    site_name: str
    zone: tzinfo | None


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    state: str
    deadline: datetime | None
    tracking: str | None
    bank_name: str
    site_name: str
    time_zone: str


# The mailed code


async def ask_code(office: Office, email: str, caller: str) -> str:
    """The cookie of the question. Says nothing of whether anybody has this address."""
    email = email.strip().lower()[:254]
    await guesses.count(office, [guesses.by(office, "code mail", email, free=3), guesses.by_range(office, caller)])
    link, now = office.new_id(), office.now()
    await office.tables.do("make_code", link, email, now, now + CODE_LIFE)
    return ceremonies.begin(office, "code", f"{link}:{office.vault.seal('code of', email)[:32]}")


async def enter(office: Office, cookie: str, digits: str) -> str:
    """The cookie of the visit. Wrong ones are counted by address, whatever code they are for."""
    link, address = ceremonies.read(office, "code", cookie).split(":")
    counted = [guesses.by(office, "code", address)]
    await guesses.count(office, counted)
    typed = "".join(digits.split())
    fits = hmac.compare_digest(office.vault.mailed_code(link).encode(), typed.encode())
    secret = _new_secret(office)
    now = office.now()
    if not fits or not await office.tables.do("begin_visits", link, now, _hash(secret), now + LIFE):
        raise Declined(403, "wrong_code", "This code is wrong, used or too old. Look at the newest mail.")
    await guesses.right(office, counted)
    return secret


# Passkeys


async def ask_passkey(office: Office) -> passkeys.Question | None:
    return await passkeys.ask_to_show(office, purpose="show recipient's passkey")


async def enter_by_passkey(office: Office, cookie: str, answer: str) -> str:
    person = await passkeys.shown(office, "person_passkey", "show recipient's passkey", cookie, answer)
    secret, now = _new_secret(office), office.now()
    if not await office.tables.do("begin_visit", person, now, _hash(secret), now + LIFE):
        raise Declined(403, "wrong_passkey", "This passkey is not known here any more.")
    return secret


async def ask_to_keep(office: Office, visitor: Visitor) -> passkeys.Question | None:
    known = await office.tables.all(passkeys.Passkey, "person_passkeys", visitor.id)
    user = passkeys.User(visitor.id, visitor.email or visitor.name, visitor.name)
    return passkeys.question_to_make(office, "make recipient's passkey", user, known)


async def keep_passkey(office: Office, visitor: Visitor, cookie: str, answer: str) -> None:
    made = await passkeys.made(office, "make recipient's passkey", visitor.id, cookie, answer)
    row = (made.id, visitor.organisation, visitor.id, made.public_key, made.sign_count, "", office.now())
    if not await office.tables.do("make_person_passkey", *row, passkeys.KEYS_MAX):
        raise Declined(409, "passkey_known", "This passkey is known already, or there are too many.")


# The visit


async def visitors(office: Office, secret: str) -> list[Visitor]:
    """Nobody, where the cookie is none of ours or the visit is over."""
    if not re.fullmatch(r"[\w-]{43}", secret, re.ASCII):
        return []
    now = office.now()
    found = await office.tables.all(Visitor, "visitors", _hash(secret), now, now - IDLE)
    if found:
        office.asked_by(f"person {found[0].id}")
    if found and now - found[0].used_at >= NOTED:
        await office.tables.do("visit_used", _hash(secret), now)
    return found


async def parcels(office: Office, who: list[Visitor]) -> list[Parcel]:
    people = [visitor.id for visitor in who]
    rows = await office.tables.all(_Row, "visited_stays", people, office.now() - ENDED, STAYS_MAX)
    return [
        Parcel(
            stays.page(office, row.id),
            row.state,
            row.deadline if row.state in stays.WAITING else None,
            row.tracking,
            row.bank_name,
            row.site_name,
            places.zone(row.time_zone),
        )
        for row in rows
    ]


async def records(office: Office, who: list[Visitor]) -> list[privacy.Export]:
    """All that is held about them, in each organisation. Of the staff who looked their roles, and no names."""
    held = [await privacy.export(*_acting(office, visitor), visitor.id) for visitor in who]
    return [replace(each, looks=[replace(look, by_name="") for look in each.looks]) for each in held]


async def prefer(office: Office, who: list[Visitor], language: str, unwanted: Sequence[people.News]) -> None:
    """In which language they are told, and of what not."""
    await office.tables.do("prefer", [visitor.id for visitor in who], language, unwanted)


async def stay_away(office: Office, who: list[Visitor], day: date | None) -> None:
    """On holiday until that day, or back: what is here for them, or comes meanwhile, is held."""
    for visitor in who:
        acting, asker = _acting(office, visitor)
        if day is None:
            await people.set_away(acting, asker, visitor.id, None)
        else:
            await people.set_away_until_day(acting, asker, visitor.id, day, OWN_HOLD_DAYS_MAX + 1)


async def away_until(office: Office, visitor: Visitor) -> datetime | None:
    """Where they live."""
    if visitor.away_until is None or visitor.away_until <= office.now():
        return None
    acting, asker = _acting(office, visitor)
    found = await people.person(acting, asker, visitor.id)
    return visitor.away_until.astimezone(await people.zone_of(acting, asker, found))


def _acting(office: Office, visitor: Visitor) -> tuple[Office, Who]:
    return office.acting(visitor.organisation), Who(RECIPIENT, visitor.organisation, RECIPIENT, False, RECIPIENT)


async def leave(office: Office, secret: str, *, everywhere: bool) -> None:
    """Everywhere: on every device, and no passkey lets anybody in any more."""
    if everywhere:
        people = await visitors(office, secret)
        for visitor in people:
            office.note(Gone.VISITS, visitor.organisation, visitor.id)
            for passkey in await office.tables.all(passkeys.Passkey, "person_passkeys", visitor.id):
                office.note(Gone.PASSKEY, visitor.organisation, passkey.id)
        await office.tables.do("remove_person_passkeys", [visitor.id for visitor in people])
    await office.tables.do("end_visits", _hash(secret), everywhere)


async def sweep(office: Office) -> None:
    await office.tables.do("sweep_visits", office.now())


def _new_secret(office: Office) -> str:
    return base64.urlsafe_b64encode(office.draw(32)).decode().rstrip("=")


def _hash(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
