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

LONGEST = {"name": 200, "unit": 60, "external_id": 60, "email": 254}
CALLED = {"name": "name", "unit": "unit", "external_id": "id", "email": "e-mail address"}
LANGUAGES = {"en": "en", "english": "en", "englisch": "en", "de": "de", "deutsch": "de", "german": "de"}
"""Whoever has another one is told in English."""

What = Literal["created", "changed", "unchanged", "left", "refused"]


@dataclass(frozen=True, slots=True)
class Change:
    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """`row`: of the spreadsheet; None for somebody who is in none. `person`: None for nobody that we keep."""

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


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody as they are kept."""

    id: str
    name: str
    unit: str = ""
    email: str | None = None
    external_id: str | None = None
    language: str = "en"
    site: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    outcomes: list[Outcome]
    created: list[Held]
    changed: list[Held]


@dataclass(frozen=True, slots=True)
class _Face:
    """What somebody is known again by. Case and blanks do not count."""

    external_id: str
    email: str
    name: str
    unit: str


@dataclass(slots=True, eq=False)
class _Row:
    number: int
    cells: Mapping[str, str]
    face: _Face
    why: str | None
    """It is refused."""
    held: Held | None = None


KEYS: Sequence[Callable[[_Face], tuple[str, ...]]] = (
    lambda face: (face.external_id,),
    lambda face: (face.email, face.name, face.unit),
    lambda face: (face.email, face.name),
    lambda face: (face.email,),
    lambda face: (face.name, face.unit),
)
"""How a row finds its person: by the first of these that only these two have. Households share an address, so names go
with it first. A key without its first word is nobody's."""


async def take_in(office: Office, who: Who, data: bytes, site: str | None, dry_run: bool) -> Imported:
    """The file is the whole list of the site, or without one of the organisation. All of its good rows or none.

    Declines as `spreadsheet.read` does.
    """
    sheet = await asyncio.to_thread(spreadsheet.read, data)
    if site is not None:
        await places.site(office, who, site)
    async with office.tables.together() as tables:
        await tables.do("one_import_at_a_time", who.organisation)
        held = await tables.all(Held, "roster", who.organisation)
        plan = await asyncio.to_thread(compare, sheet.rows, held, site, office.new_id)
        if not dry_run:
            await tables.do("add_people", who.organisation, _json(plan.created), office.now())
            await tables.do("change_people", who.organisation, _json(plan.changed))
    await looks.record(office, who, looks.What.LIST, [x.person for x in plan.outcomes if x.outcome != "created"])
    if not dry_run and (plan.created or plan.changed):
        await people.refresh_all(office, who)
    outcomes = [replace(x, person=None) if dry_run and x.outcome == "created" else x for x in plan.outcomes]
    counts: dict[What, int] = {what: sum(x.outcome == what for x in outcomes) for what in get_args(What)}
    return Imported(dry_run, counts, sheet.unused, outcomes)


def compare(
    sheet: Sequence[spreadsheet.Row], held: Sequence[Held], site: str | None, new_id: Callable[[], str]
) -> Plan:
    """What becomes of each row, and who is in none."""
    rows = [_Row(row.number, row.cells, _face(row.cells), _wrong(row.cells)) for row in sheet]
    bad = [row for row in rows if row.why is not None]
    _refuse_doubles([row for row in rows if row.why is None])
    here = [person for person in held if site is None or person.site in (site, None)]
    staying = _find([row for row in rows if row.why is None], held, here, ())
    staying = _find(bad, held, here, staying)  # nobody leaves for a wrong letter in their address
    plan = Plan([], [], [])
    for row in rows:
        plan.outcomes.append(_outcome(row, site, plan, new_id))
    gone = (person for person in here if person.id not in staying and site in (None, person.site))
    plan.outcomes.extend(Outcome(None, "left", person.name, person.unit, person.id) for person in gone)
    return plan


def _wrong(cells: Mapping[str, str]) -> str | None:
    if not cells["name"]:
        return "There is no name."
    for name, characters_max in LONGEST.items():
        cell = cells.get(name, "")
        if len(cell) > characters_max:
            return f"The {CALLED[name]} is longer than {characters_max} characters."
        if re.search(r"[\x00-\x1f\x7f]", cell):
            return f"The {CALLED[name]} has characters that cannot be shown."
    email = cells.get("email")
    if email and not re.fullmatch(people.EMAIL, email):
        return f"“{email}” is no e-mail address."
    return None


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
            row.why = f"The same person as in row {first.number}."
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
        for words, some in asking.items():
            ids = {row.face.external_id for row in some}
            fit = [x for x in there[words] if not (e := faces[x.id].external_id) or "" in ids or e in ids]
            if len(some) == len(fit) == 1:
                some[0].held = fit[0]
            elif fit and key is KEYS[-1]:
                for row in some:
                    row.why = row.why or f"It may mean any of {len(fit)} people here. An id or an address tells whom."
            else:
                continue
            staying |= {person.id for person in fit}
    return staying


def _outcome(row: _Row, site: str | None, plan: Plan, new_id: Callable[[], str]) -> Outcome:
    name, unit, held = row.cells["name"], row.cells.get("unit", ""), row.held
    if row.why is not None:
        return Outcome(row.number, "refused", name, unit, held.id if held else None, why=row.why)
    told = _told(row.cells, site)
    if held is None:
        person = Held(new_id(), **told)
        plan.created.append(person)
        return Outcome(row.number, "created", name, unit, person.id)
    if (told.get("email") or "").casefold() == (held.email or "").casefold():
        told.pop("email", None)
    person = replace(held, **told)
    changes = [Change(x, getattr(held, x), getattr(person, x)) for x in told if getattr(held, x) != getattr(person, x)]
    if not changes:
        return Outcome(row.number, "unchanged", name, unit, held.id)
    plan.changed.append(person)
    return Outcome(row.number, "changed", name, unit, held.id, changes)


def _told(cells: Mapping[str, str], site: str | None) -> dict[str, Any]:
    """What a row says. Without an address or a unit in its cell there is none; without an id or a language, nothing is
    said."""
    told: dict[str, Any] = {"name": cells["name"]}
    if "unit" in cells:
        told["unit"] = cells["unit"]
    if "email" in cells:
        told["email"] = cells["email"] or None
    if cells.get("external_id"):
        told["external_id"] = cells["external_id"]
    if language := LANGUAGES.get(re.split("[-_ ]", cells.get("language", "").casefold())[0]):
        told["language"] = language
    if site is not None:
        told["site"] = site
    return told


def _face(cells: Mapping[str, Any]) -> _Face:
    return _Face(*("".join((cells.get(x) or "").split()).casefold() for x in ("external_id", "email", "name", "unit")))


def _differ(*words: str) -> bool:
    """Whether of words given in pairs any two are there and not the same."""
    return any(one and other and one != other for one, other in zip(words[::2], words[1::2], strict=True))


def _json(some: Sequence[Held]) -> str:
    return msgspec.json.encode(some).decode()
