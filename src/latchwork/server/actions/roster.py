"""Whole lists of people: a site's or an organisation's spreadsheet compared with whom we know, row by row.

The same file twice changes nothing. Whoever is in no row has left: they are named, and nothing happens to them here.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import msgspec

from latchwork.server.actions import looks, people, places, spreadsheet
from latchwork.server.actions.office import Office, Who
from latchwork.ui.words import Sentence, languages, words

LANGUAGES = {called: language for language in languages() for called in words(language).called}
"""Whoever has another one is told in English."""
KINDS: Mapping[str, people.Kind] = {
    "resident": "resident", "bewohner": "resident", "bewohnerin": "resident", "mieter": "resident",
    "student": "student", "studentin": "student", "studierende": "student",
    "employee": "employee", "staff": "employee", "mitarbeiter": "employee", "mitarbeiterin": "employee",
    "department": "department", "abteilung": "department", "household": "household", "haushalt": "household",
}  # fmt: skip

What = Literal["created", "changed", "unchanged", "left", "refused"]


@dataclass(frozen=True, slots=True)
class Change:
    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """`row`: of the spreadsheet; None for somebody who is in none. `person`: None for nobody that we keep. `why`: it is
    refused; else what of it was left out."""

    row: int | None
    outcome: What
    name: str
    unit: str
    person: str | None = None
    changes: Sequence[Change] = ()
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    dry_run: bool
    counts: Mapping[What, int]
    unused_columns: Sequence[str]
    rows: Sequence[Outcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held(people.Details):
    """Somebody as they are kept."""

    id: str


@dataclass(frozen=True, slots=True)
class Plan:
    outcomes: list[Outcome]
    created: list[Held]
    changed: list[Held]


@dataclass(frozen=True, slots=True)
class _Face:
    """What somebody is known again by. Case, blanks, and the leading zeros that a spreadsheet drops from an id do not
    count."""

    external_id: str
    email: str
    name: str
    unit: str


@dataclass(slots=True, eq=False)
class _Row:
    number: int
    told: dict[str, Any]
    """What it says, by the fields of people.Details."""
    contact: str
    """As it is written."""
    face: _Face
    why: str | None
    """It is refused."""
    note: str | None
    """A number is left out: nobody stays without parcels for one."""
    held: Held | None = None
    id: str = ""


KEYS: Sequence[Callable[[_Face], tuple[str, ...]]] = (
    lambda face: (face.external_id,),
    lambda face: (face.email, face.name, face.unit),
    lambda face: (face.email, face.name),
    lambda face: (face.email,),
    lambda face: (face.name, face.unit),
)
"""How a row finds its person: by the first of these that only these two have. Households share an address, so names go
with it first. A key without its first word is nobody's."""


async def take_in(
    office: Office, who: Who, data: bytes, site: str | None, calling_code: str, dry_run: bool
) -> Imported:
    """The file is the whole list of the site, or without one of the organisation. All of its good rows or none.

    `calling_code`: of telephone numbers that say no country. Declines as `spreadsheet.read` does.
    """
    sheet = await asyncio.to_thread(spreadsheet.read, data)
    if site is not None:
        await places.site(office, who, site)
    async with office.tables.together() as tables:
        await tables.do("one_import_at_a_time", who.organisation)
        held = await tables.all(Held, "roster", who.organisation)
        plan = await asyncio.to_thread(compare, sheet.rows, held, site, calling_code, office.new_id)
        if not dry_run:
            await tables.do("add_people", who.organisation, _json(plan.created), office.now())
            await tables.do("change_people", who.organisation, _json(plan.changed))
    await looks.record(office, who, looks.What.LIST, [x.person for x in plan.outcomes if x.outcome != "created"])
    if not dry_run and (plan.created or plan.changed):
        await people.refresh_all(office, who.organisation)
    outcomes = [replace(x, person=None) if dry_run and x.outcome == "created" else x for x in plan.outcomes]
    counts: dict[What, int] = {what: sum(x.outcome == what for x in outcomes) for what in get_args(What)}
    return Imported(dry_run, counts, sheet.unused, outcomes)


def compare(
    sheet: Sequence[spreadsheet.Row],
    held: Sequence[Held],
    site: str | None,
    calling_code: str,
    new_id: Callable[[], str],
) -> Plan:
    """What becomes of each row, and who is in none."""
    rows = [_read(row, site, calling_code) for row in sheet]
    bad = [row for row in rows if row.why is not None]
    _refuse_doubles([row for row in rows if row.why is None])
    here = [person for person in held if site is None or person.site in (site, None)]
    staying = _find([row for row in rows if row.why is None], held, here, ())
    staying = _find(bad, held, here, staying)  # nobody leaves for a wrong letter in their address
    for row in rows:
        row.id = row.held.id if row.held else new_id()
    _find_contacts(rows, [person for person in held if person.id not in staying])
    plan = Plan([], [], [])
    for row in rows:
        plan.outcomes.append(_outcome(row, plan))
    gone = (person for person in here if person.id not in staying and site in (None, person.site))
    plan.outcomes.extend(Outcome(None, "left", person.name, person.unit, person.id) for person in gone)
    return plan


def _read(row: spreadsheet.Row, site: str | None, calling_code: str) -> _Row:
    """Without an address, a unit or a number in its cell there is none; an empty id, language or kind says nothing."""
    cells = row.cells
    told: dict[str, Any] = {"name": cells["name"]}
    emails = _each(cells, "email", "other_emails")
    numbers = [x for cell in _each(cells, "mobile", "phone") for x in people.apart(cell)]
    phones = {number: people.e164(number, calling_code) for number in numbers}
    if "email" in cells:
        told["email"] = emails[0] if emails else None
    if "other_emails" in cells or len(emails) > 1:
        told["other_emails"] = emails[1:]
    if cells.keys() & {"mobile", "phone"}:
        told["phones"] = list(dict.fromkeys(x for x in phones.values() if x))
    if "unit" in cells:
        told["unit"] = cells["unit"]
    if cells.get("external_id"):
        told["external_id"] = cells["external_id"]
    if language := LANGUAGES.get(re.split("[-_ ]", cells.get("language", "").casefold())[0]):
        told["language"] = language
    if kind := KINDS.get(cells.get("kind", "").casefold()):
        told["kind"] = kind
    if site is not None:
        told["site"] = site
    why = people.wrong(told, emails, ())
    none = next((number for number, right in phones.items() if right is None), None)
    note = none and Sentence(
        "“{number}” is no telephone number, or does not say of which country: left out.", number=none[:60]
    )
    return _Row(row.number, told, cells.get("contact", ""), _face(told), why, note)


def _each(cells: Mapping[str, str], *names: str) -> list[str]:
    """Cells may hold several."""
    found = (x.strip() for name in names for x in re.split("[,;]", cells.get(name, "")))
    return list({x.casefold(): x for x in found if x}.values())


def _refuse_doubles(rows: Sequence[_Row]) -> None:
    """Of the same person twice the first counts. Two people of one name may live together: then an id or an address
    tells them apart."""
    by_id: dict[str, _Row] = {}
    at_home: dict[tuple[str, str], list[_Row]] = defaultdict(list)
    for row in rows:
        face = row.face
        others = at_home[face.name, face.unit]
        first = by_id.get(face.external_id) or next(
            (x for x in others if not _differ(face.external_id, x.face.external_id, face.email, x.face.email)), None
        )
        if first is not None:
            row.why = Sentence("The same person as in row {row}.", row=first.number)
            continue
        others.append(row)
        if face.external_id:
            by_id[face.external_id] = row


def _find(
    rows: Sequence[_Row], held: Sequence[Held], here: Sequence[Held], staying: Collection[str]
) -> Collection[str]:
    """Gives rows their people; whom no row may take any more, or may mean. An id counts beyond the site."""
    staying = set(staying)
    faces = {person.id: _face(asdict(person)) for person in held}
    for key in KEYS:
        there: dict[tuple[str, ...], list[Held]] = defaultdict(list)
        for person in held if key is KEYS[0] else here:
            if person.id not in staying:
                there[key(faces[person.id])].append(person)
        asking: dict[tuple[str, ...], list[_Row]] = defaultdict(list)
        for row in rows:
            if row.held is None and key(row.face)[0]:
                asking[key(row.face)].append(row)
        for face, some in asking.items():
            ids = {row.face.external_id for row in some}
            fit = [x for x in there[face] if not (e := faces[x.id].external_id) or "" in ids or e in ids]
            if len(some) == len(fit) == 1:
                some[0].held = fit[0]
            elif fit and key is KEYS[-1]:
                for row in some:
                    row.why = row.why or Sentence(
                        "It may mean any of {n} people here. An id or an address tells whom.", n=len(fit)
                    )
            else:
                continue
            staying |= {person.id for person in fit}
    return staying


def _find_contacts(rows: Sequence[_Row], others: Sequence[Held]) -> None:
    """Of departments and households, by an id, an address or a name that only one person has."""
    known: dict[str, set[str]] = defaultdict(set)
    faces = [(row.id, row.face) for row in rows if row.why is None and not _is_group(row)]
    faces += [(person.id, _face(asdict(person))) for person in others if person.kind not in people.GROUPS]
    for person, face in faces:
        for word in (face.external_id, face.email, face.name):
            known[word].add(person)
    for row in rows:
        if row.why is not None or not row.contact or not _is_group(row):
            continue
        found = known.get(_plain(row.contact), set())
        if len(found) == 1:
            (row.told["contact"],) = found
        else:
            row.why = Sentence("“{contact}” is not one person's id, e-mail address or name.", contact=row.contact[:60])


def _is_group(row: _Row) -> bool:
    return row.told.get("kind", row.held.kind if row.held else "resident") in people.GROUPS


def _outcome(row: _Row, plan: Plan) -> Outcome:
    told, held = row.told, row.held
    name, unit = told["name"], told.get("unit", "")
    if row.why is not None:
        return Outcome(row.number, "refused", name, unit, held.id if held else None, why=row.why)
    if held is None:
        plan.created.append(Held(id=row.id, **told))
        return Outcome(row.number, "created", name, unit, row.id, why=row.note)
    was = _face(asdict(held))
    for field in ("email", "external_id"):  # another way to write the same is no change
        if getattr(row.face, field) == getattr(was, field):
            told.pop(field, None)
    person = replace(held, **told)
    changes = [Change(x, _said(held, x), _said(person, x)) for x in told if _said(held, x) != _said(person, x)]
    if not changes:
        return Outcome(row.number, "unchanged", name, unit, held.id, why=row.note)
    plan.changed.append(person)
    return Outcome(row.number, "changed", name, unit, held.id, changes, row.note)


def _said(person: Held, name: str) -> str | None:
    value = getattr(person, name)
    return value if value is None or isinstance(value, str) else ", ".join(value)


def _face(told: Mapping[str, Any]) -> _Face:
    external_id, *others = (_plain(told.get(x) or "") for x in ("external_id", "email", "name", "unit"))
    return _Face(external_id.lstrip("0") or external_id, *others)


def _plain(text: str) -> str:
    return "".join(text.split()).casefold()


def _differ(*words: str) -> bool:
    """Whether of words given in pairs any two are there and not the same."""
    return any(one and other and one != other for one, other in zip(words[::2], words[1::2], strict=True))


def _json(some: Sequence[Held]) -> str:
    return msgspec.json.encode(some).decode()
