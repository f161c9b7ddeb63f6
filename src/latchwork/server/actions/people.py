"""Recipients and carriers. Their names stay in rows, and in the directory that a bank's screen shows."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Literal

from latchwork.server.actions import documents, looks
from latchwork.server.actions.office import LIST_MAX, Declined, Office, Who, is_id, not_found

EMAIL = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$"
PHONE = r"^\+[1-9][0-9]{6,14}$"
"""E.164."""
Kind = Literal["resident", "student", "employee", "department", "household"]
GROUPS = frozenset({"department", "household"})
OTHERS_MAX = 5
"""Other addresses, and telephone numbers."""
DIRECTORY = "directory"
DIRECTORY_MAX = 10_000
AWAY_DAYS_MAX = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What is kept of somebody, or of a department or a household, beside their id."""

    name: str
    email: str | None = None
    """Notices go there."""
    unit: str = ""
    site: str | None = None
    language: str = "en"
    external_id: str | None = None
    """What they are called in the organisation's own list of them."""
    kind: Kind = "resident"
    other_emails: Sequence[str] = ()
    phones: Sequence[str] = ()
    """E.164. The best first, as of the other addresses."""
    contact: str | None = None
    """Who is told instead: of a department or household its key contact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person(Details):
    id: str
    created_at: datetime
    away_until: datetime | None = None
    """On holiday: until then whatever is here for them is held."""


@dataclass(frozen=True, slots=True)
class Party:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Listed:
    """As the kiosk's directory shows them: no more than a courier needs to spot the wrong flat."""

    id: str
    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class _Neighbour:
    id: str
    name: str
    unit: str
    kind: Kind

    def listed(self) -> Listed:
        """A department is no person, and found by its name."""
        return Listed(self.id, self.name if self.kind == "department" else initials(self.name), self.unit)


async def create_person(office: Office, who: Who, new: Details) -> Person:
    await _check_contact(office, who, new)
    made = Person(id=office.new_id(), created_at=office.now(), **asdict(new))
    if not await office.tables.do(
        "create_person", made.id, who.organisation, who.party, made.created_at, *asdict(new).values()
    ):
        raise _not_possible(new)
    if who.party is None:  # a party's own customers stand in nobody's directory
        await refresh_all(office, who.organisation)
    return made


async def change_person(office: Office, who: Who, person_id: str, new: Details) -> Person:
    """All of it anew."""
    await person(office, who, person_id)
    await _check_contact(office, who, new)
    if not await office.tables.do("change_person", who.organisation, person_id, *asdict(new).values()):
        raise _not_possible(new)
    await refresh_all(office, who.organisation)
    return await person(office, who, person_id)


async def _check_contact(office: Office, who: Who, new: Details) -> None:
    if new.contact is not None:
        await person(office, who, new.contact)


def _not_possible(new: Details) -> Declined:
    if new.external_id is None:
        return not_found("site")
    return Declined(409, "external_id_taken", "Somebody else has this external id, or there is no such site.")


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
    listed = [x.listed() for x in await office.tables.all(_Neighbour, "directory", bank, DIRECTORY_MAX)]
    await documents.put(office, bank, DIRECTORY, listed)


async def refresh_all(office: Office, organisation: str) -> None:
    for bank in await documents.banks_of(office, organisation):
        await refresh_directory(office, bank)
