"""Recipients and carriers. Their names stay in rows, and in the directory that a bank's screen shows."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Literal

from latchwork.server.actions import documents, looks, places
from latchwork.server.actions.office import LIST_MAX, Declined, Office, Who, is_id, not_found
from latchwork.sync import names
from latchwork.ui.words import Sentence

EMAIL = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$"
PHONE = r"^\+[1-9][0-9]{6,14}$"
"""E.164."""
Kind = Literal["resident", "student", "employee", "department", "household"]
News = Literal["reminder", "collected"]
"""News that somebody may do without. What tells that something is here, goes or was opened always comes."""
GROUPS = frozenset({"department", "household"})
LONGEST = {"name": 200, "unit": 60, "external_id": 60}
CALLED = {"name": "name", "unit": "unit", "external_id": "id"}
EMAIL_CHARACTERS_MAX = 254
OTHERS_MAX = 5
"""Other addresses, and telephone numbers."""
DIRECTORY = "directory"
DIRECTORY_MAX = 10_000
WORDS_MAX = 8
NAMED_MAX = 20
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
    unwanted: Sequence[News] = ()
    """What they need not be mailed."""


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
    """As the kiosk's directory shows them: no more than a courier needs to spot the wrong flat. `find`: what their name
    is found by, without standing there."""

    id: str
    name: str
    unit: str
    find: list[str]


@dataclass(frozen=True, slots=True)
class _Neighbour:
    id: str
    name: str
    unit: str
    kind: Kind
    shown: str

    def listed(self) -> Listed:
        """A department is no person, and shown by its name."""
        shown = self.name if self.shown == "names" or self.kind == "department" else initials(self.name)
        return Listed(self.id, shown, self.unit, names.beginnings(self.id, self.name))


def wrong(told: Mapping[str, Any], emails: Sequence[str], no_phones: Sequence[str]) -> Sentence | None:
    """What cannot be kept of somebody. `no_phones`: what was written as a telephone number, and is none."""
    if not told["name"]:
        return Sentence("There is no name.")
    for name, characters_max in LONGEST.items():
        cell = told.get(name) or ""
        if len(cell) > characters_max:
            return Sentence("The {field} is longer than {n} characters.", field=CALLED[name], n=characters_max)
        if re.search(r"[\x00-\x1f\x7f]", cell):
            return Sentence("The {field} has characters that cannot be shown.", field=CALLED[name])
    for email in emails:
        if len(email) > EMAIL_CHARACTERS_MAX or not re.fullmatch(EMAIL, email):
            return Sentence("“{email}” is no e-mail address.", email=email[:60])
    for number in no_phones:
        return Sentence("“{number}” is no telephone number, or does not say of which country.", number=number[:60])
    if max(len(emails) - 1, len(told.get("phones", ()))) > OTHERS_MAX:
        return Sentence("There are more than {n} telephone numbers or other addresses.", n=OTHERS_MAX)
    return None


def e164(number: str, calling_code: str = "") -> str | None:
    """None for what is no telephone number, or does not say of which country and no `calling_code` does."""
    number = re.sub(r"^[^\d+(]+|\s*\(?[^\W\d_]+\.?\)?$", "", number).replace("+ ", "+")  # "Tel. 030 1234567 (home)"
    number = re.sub(r"^([+0].*?)\(0\)", r"\1", number)
    digits = re.sub(r"[\s()./\u2010-\u2015-]", "", number)
    if digits.startswith("00"):
        digits = f"+{digits[2:]}"
    if calling_code and not digits.startswith("+"):
        # Spreadsheets like to drop the leading zero. In Italy it is dialled from abroad, too.
        digits = f"+{calling_code}{digits if calling_code == '39' else digits.removeprefix('0')}"
    return digits if re.fullmatch(PHONE, digits) else None


def apart(numbers: str) -> list[str]:
    """Telephone numbers of one cell, which had a line each: the next begins with a zero or a plus."""
    found = re.split(r"(?<=\d)\s+(?=\+|0)", numbers)
    return found if all(sum(map(str.isdigit, x)) >= 7 for x in found) else [numbers]


async def create_person(office: Office, who: Who, new: Details) -> Person:
    made = Person(id=office.new_id(), created_at=office.now(), **asdict(new))
    await _check_contact(office, who, made.id, new)
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
    await _check_contact(office, who, person_id, new)
    if not await office.tables.do("change_person", who.organisation, person_id, *asdict(new).values()):
        raise _not_possible(new)
    await refresh_all(office, who.organisation)
    return await person(office, who, person_id)


async def _check_contact(office: Office, who: Who, person_id: str, new: Details) -> None:
    if new.contact == person_id:
        raise Declined(422, "bad_contact", "Nobody is told instead of themselves.")
    if new.contact is not None:
        await person(office, who, new.contact)


def _not_possible(new: Details) -> Declined:
    if new.external_id is None:
        return not_found("site")
    return Declined(409, "external_id_taken", "Somebody else has this external id, or there is no such site.")


async def set_away(
    office: Office, who: Who, person_id: str, until: datetime | None, days_max: int = AWAY_DAYS_MAX
) -> Person:
    """On holiday until then, or back."""
    now = office.now()
    if until is not None and not now < until <= now + timedelta(days=days_max):
        raise Declined(422, "expired", "`until` lies within the next {days} days, or is null.", days=days_max)
    if not is_id(person_id) or not await office.tables.do("set_away", who.organisation, person_id, until):
        raise not_found("person")
    return await person(office, who, person_id)


async def set_away_until_day(
    office: Office, who: Who, person_id: str, day: date, days_max: int = AWAY_DAYS_MAX
) -> Person:
    """They are back on that day, where they live."""
    zone = await zone_of(office, who, await person(office, who, person_id))
    return await set_away(office, who, person_id, datetime.combine(day, time(), zone), days_max)


async def zone_of(office: Office, who: Who, found: Person) -> tzinfo:
    """Where they live; who is of no site, where the first of the sites is."""
    sites = [site for site in await places.sites(office, who) if found.site in (site.id, None)]
    return (places.zone(sites[0].time_zone) if sites else None) or UTC


async def people(
    office: Office, who: Who, words: str = "", after: str | None = None, limit: int = LIST_MAX
) -> list[Person]:
    """By name: those of whom each of the words is a part of name, unit, id or an address. `after`: whom the last list
    ended with."""
    found = await office.tables.all(
        Person,
        "people",
        who.organisation,
        min(limit, LIST_MAX),
        names.words(re.sub(r"[,\0]", " ", words))[:WORDS_MAX],
        after,
    )
    await looks.record(office, who, looks.What.LIST, [person.id for person in found])
    return found


async def person(office: Office, who: Who, person_id: str) -> Person:
    found = await office.tables.one(Person, "person", who.everywhere, person_id) if is_id(person_id) else None
    if found is None:
        raise not_found("person")
    await looks.record(office, who, looks.What.PERSON, [found.id])
    return found


async def named(office: Office, who: Who, text: str) -> Person:
    """The one person of this id, address or name, or whom alone these words are about. Declines with 422."""
    plain = text.strip().casefold()
    found = await people(office, who, text, limit=NAMED_MAX) if plain else []
    exact = [x for x in found if plain in {str(y).casefold() for y in (x.name, x.email, x.external_id)}] or found
    if len(exact) != 1:
        raise Declined(
            422, "unknown_person", "“{contact}” is not one person's id, e-mail address or name.", contact=text[:60]
        )
    return exact[0]


async def looked_after(office: Office, who: Who, person_id: str) -> list[Person]:
    """Departments and households whose key contact this is, and people who are told through them."""
    return await office.tables.all(Person, "looked_after", who.organisation, person_id)


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


async def refresh_directory(office: Office, bank: str, known: dict[_Neighbour, Listed] | None = None) -> None:
    """Send the bank whom a courier may pick, whole, if it changed. `known`: who was on the list of another bank."""
    known = {} if known is None else known
    found = await office.tables.all(_Neighbour, "directory", bank, DIRECTORY_MAX)
    known |= {x: x.listed() for x in found if x not in known}
    await documents.put(office, bank, DIRECTORY, [known[x] for x in found])


async def refresh_all(office: Office, organisation: str) -> None:
    known: dict[_Neighbour, Listed] = {}
    for bank in await documents.banks_of(office, organisation):
        await refresh_directory(office, bank, known)
