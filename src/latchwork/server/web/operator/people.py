"""The people of a place: found, entered, changed, on holiday, and gone again."""

import re
from dataclasses import asdict
from typing import Any, get_args

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from latchwork.server.actions import people, places, privacy, stays
from latchwork.server.actions.office import Declined, Office, Who
from latchwork.server.web.operator.session import Form, Operator, Seal, day_in
from latchwork.server.web.render import TheOffice, attached, page, reader, unwanted
from latchwork.ui.words import languages, words

PEOPLE = "/operator/people"
SHOWN_MAX = 50
EVERYTHING = {f"mail_{kind}": "yes" for kind in get_args(people.News)}
FIELDS = ("name", "kind", "unit", "site", "external_id", "language", "emails", "phones", "contact")


@get(PEOPLE, include_in_schema=False)
async def people_page(
    office: TheOffice,
    who: Operator,
    seal: Seal,
    q: FromQuery[str] = "",
    after: FromQuery[str | None] = None,
    erased: FromQuery[str | None] = None,
) -> Response[str]:
    found = await people.people(office, who, q, after, SHOWN_MAX + 1)
    return page(
        "operator/people.html",
        layer="operator",
        seal=seal,
        people=found[:SHOWN_MAX],
        more=found[SHOWN_MAX - 1].id if len(found) > SHOWN_MAX else None,
        sites={site.id: site.name for site in await places.sites(office, who)},
        q=q,
        erased=erased is not None,
        now=office.now(),
    )


@get(f"{PEOPLE}/new", include_in_schema=False)
async def new_page(office: TheOffice, who: Operator, seal: Seal) -> Response[str]:
    return await _form(office, who, seal, {"kind": "resident", "language": reader().language, **EVERYTHING})


@post(PEOPLE, include_in_schema=False)
async def enter(office: TheOffice, who: Operator, seal: Seal, data: Form) -> Response[Any]:
    try:
        made = await people.create_person(office, who, await _read(office, who, data))
    except Declined as declined:
        return await _form(office, who, seal, data, declined)
    return _back(made.id)


@get(f"{PEOPLE}/{{person_id:str}}", include_in_schema=False)
async def person_page(office: TheOffice, who: Operator, person_id: FromPath[str], seal: Seal) -> Response[str]:
    return await _person(office, who, seal, await people.person(office, who, person_id))


@post(f"{PEOPLE}/{{person_id:str}}", include_in_schema=False)
async def change(office: TheOffice, who: Operator, person_id: FromPath[str], seal: Seal, data: Form) -> Response[Any]:
    found = await people.person(office, who, person_id)
    try:
        await people.change_person(office, who, person_id, await _read(office, who, data, found))
    except Declined as declined:
        return await _person(office, who, seal, found, data, declined)
    return _back(person_id)


@post(f"{PEOPLE}/{{person_id:str}}/holiday", include_in_schema=False)
async def holiday(office: TheOffice, who: Operator, person_id: FromPath[str], data: Form) -> Redirect:
    if data.get("do") == "back":
        await people.set_away(office, who, person_id, None)
    else:
        await people.set_away_until_day(office, who, person_id, day_in(data))
    return _back(person_id)


@get(f"{PEOPLE}/{{person_id:str}}/export", include_in_schema=False)
async def export(office: TheOffice, who: Operator, person_id: FromPath[str]) -> Response[Any]:
    held = msgspec.json.format(msgspec.json.encode(await privacy.export(office, who, person_id)))
    return attached(f"person-{person_id}.json", held, "application/json")


@post(f"{PEOPLE}/{{person_id:str}}/erase", include_in_schema=False)
async def erase(office: TheOffice, who: Operator, person_id: FromPath[str], data: Form) -> Redirect:
    if "sure" not in data:
        raise Declined(422, "not_sure", "Tick that they are to be erased. Nobody was erased.")
    await privacy.erase(office, who, person_id)
    return Redirect(f"{PEOPLE}?erased=yes", status_code=303)


async def _read(office: Office, who: Who, data: dict[str, str], found: people.Person | None = None) -> people.Details:
    """What a form says. A contact who is named as before stays the same one."""
    told = {name: " ".join(data.get(name, "").split()) for name in ("name", "unit", "external_id", "contact")}
    emails, numbers = _lines(data, "emails"), _lines(data, "phones")
    phones = {number: people.e164(number) for number in numbers}
    if wrong := people.wrong({**told, "phones": numbers}, emails, [x for x, right in phones.items() if right is None]):
        raise Declined(422, "bad_person", wrong)
    if data.get("kind") not in get_args(people.Kind) or data.get("language") not in languages():
        raise Declined(422, "bad_form", "Open the page again and repeat it.")
    contact = None
    if told["contact"]:
        before = await people.person(office, who, found.contact) if found and found.contact else None
        same = before is not None and before.name == told["contact"]
        contact = before if same else await people.named(office, who, told["contact"])
    return people.Details(
        name=told["name"],
        email=emails[0] if emails else None,
        unit=told["unit"],
        site=data.get("site") or None,
        language=data["language"],
        external_id=told["external_id"] or None,
        kind=data["kind"],  # type: ignore[arg-type]  # is one of them, as was seen above
        other_emails=emails[1:],
        phones=[number for number in phones.values() if number],
        contact=contact.id if contact else None,
        unwanted=unwanted(data),
    )


def _lines(data: dict[str, str], name: str) -> list[str]:
    return list(dict.fromkeys(x for part in re.split(r"[\n,;]", data.get(name, "")) if (x := part.strip())))


async def _form(
    office: Office, who: Who, seal: str, given: dict[str, str], declined: Declined | None = None
) -> Response[str]:
    values = await _fields(office, who, given)
    return page("operator/new_person.html", _status(declined), layer="operator", seal=seal, declined=declined, **values)


async def _person(
    office: Office,
    who: Who,
    seal: str,
    person: people.Person,
    given: dict[str, str] | None = None,
    declined: Declined | None = None,
) -> Response[str]:
    contact = await people.person(office, who, person.contact) if person.contact else None
    emails = [person.email, *person.other_emails] if person.email else person.other_emails
    told = {name: str(value or "") for name, value in asdict(person).items()} | {
        "emails": "\n".join(map(str, emails)),
        "phones": "\n".join(person.phones),
        "contact": contact.name if contact else "",
        **{f"mail_{kind}": "yes" for kind in get_args(people.News) if kind not in person.unwanted},
    }
    return page(
        "operator/person.html",
        _status(declined),
        layer="operator",
        seal=seal,
        person=person,
        contact=contact,
        looked_after=await people.looked_after(office, who, person.id),
        things=await stays.stays(office, who, live=True, recipient=person.id),
        zone=await people.zone_of(office, who, person),
        now=office.now(),
        declined=declined,
        **await _fields(office, who, given or told),
    )


async def _fields(office: Office, who: Who, given: dict[str, str]) -> dict[str, Any]:
    return {
        "optional": get_args(people.News),
        "unwanted": unwanted(given),
        "given": {name: given.get(name, "") for name in FIELDS},
        "kinds": get_args(people.Kind),
        "languages": [words(language) for language in languages()],
        "sites": await places.sites(office, who),
    }


def _status(declined: Declined | None) -> int:
    return declined.status if declined else 200


def _back(person_id: str) -> Redirect:
    return Redirect(f"{PEOPLE}/{person_id}", status_code=303)


HANDLERS = [people_page, new_page, enter, person_page, change, holiday, export, erase]
