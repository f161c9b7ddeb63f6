"""Recipients and carriers. Their names stay in rows, and in the directory that a bank's screen shows."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from latchwork.server.actions import looks
from latchwork.server.actions.office import LIST_MAX, Declined, Office, Who, is_id, not_found

EMAIL = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$"
DIRECTORY = "directory"
DIRECTORY_MAX = 10_000
AWAY_DAYS_MAX = 60


@dataclass(frozen=True, slots=True)
class Person:
    id: str
    name: str
    unit: str
    email: str | None
    site: str | None
    created_at: datetime
    language: str = "en"
    away_until: datetime | None = None
    """On holiday: until then whatever is here for them is held."""
    external_id: str | None = None
    """What they are called in the organisation's own list of them."""


@dataclass(frozen=True, slots=True)
class Party:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A person as the kiosk's directory shows them: no more than a courier needs to spot the wrong flat."""

    id: str
    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class _BankId:
    id: str


async def create_person(
    office: Office,
    who: Who,
    name: str,
    email: str | None = None,
    unit: str = "",
    site: str | None = None,
    language: str = "en",
) -> Person:
    person = Person(office.new_id(), name, unit, email, site, office.now(), language)
    made = await office.tables.do(
        "create_person", person.id, who.organisation, site, name, unit, email, person.created_at, language, who.party
    )
    if not made:
        raise not_found("site")
    if who.party is None:  # a party's own customers stand in nobody's directory
        await refresh_all(office, who)
    return person


async def set_away(office: Office, who: Who, person_id: str, until: datetime | None) -> Person:
    """On holiday until then, or back."""
    now = office.now()
    if until is not None and not now < until <= now + timedelta(days=AWAY_DAYS_MAX):
        raise Declined(422, "expired", f"`until` lies within the next {AWAY_DAYS_MAX} days, or is null.")
    if not is_id(person_id) or not await office.tables.do("set_away", who.organisation, person_id, until):
        raise not_found("person")
    return await person(office, who, person_id)


async def people(office: Office, who: Who) -> list[Person]:
    found = await office.tables.all(Person, "people", who.organisation, None, LIST_MAX)
    await looks.record(office, who, looks.What.LIST, [person.id for person in found])
    return found


async def person(office: Office, who: Who, person_id: str) -> Person:
    found = await office.tables.one(Person, "people", who.organisation, person_id, 1) if is_id(person_id) else None
    if found is None:
        raise not_found("person")
    await looks.record(office, who, looks.What.PERSON, [found.id])
    return found


async def create_party(office: Office, who: Who, name: str) -> Party:
    party = Party(office.new_id(), name)
    await office.tables.do("create_party", party.id, who.organisation, name)
    return party


async def parties(office: Office, who: Who) -> list[Party]:
    return await office.tables.all(Party, "parties", None, None, LIST_MAX)


async def party(office: Office, who: Who, party_id: str) -> Party:
    found = await office.tables.one(Party, "parties", None, party_id, 1) if is_id(party_id) else None
    if found is None:
        raise not_found("party")
    return found


def initials(name: str) -> str:
    """ "Ada Lovelace" is "A. L." at the wall."""
    return " ".join(f"{word[0].upper()}." for word in name.replace("-", " ").split()[:3])


async def refresh_directory(office: Office, bank: str) -> None:
    """Send the bank whom a courier may pick, whole, if it changed."""
    people = await office.tables.all(Listed, "directory", bank, DIRECTORY_MAX)
    listed = [replace(person, name=initials(person.name)) for person in people]
    if await office.tables.do("put_document", bank, DIRECTORY, msgspec.json.encode(listed)):
        office.wake(bank)


async def refresh_all(office: Office, who: Who) -> None:
    for bank in await office.tables.all(_BankId, "bank_ids", who.organisation):
        await refresh_directory(office, bank.id)
