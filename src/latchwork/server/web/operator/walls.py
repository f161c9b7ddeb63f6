"""Banks, a bank with its wall, a door, a stay."""

import asyncio
from typing import Any
from urllib.parse import quote

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, ServerSentEvent

from latchwork.domain.words import STAFF_REASONS, Reason
from latchwork.server.actions import banks, changes, configuration, places, receipts, stays, tasks, wall
from latchwork.server.actions.office import LIST_MAX, Declined, Office, Who
from latchwork.server.web.operator.session import Form, Operator, Seal
from latchwork.server.web.operator.tasks import told as task_told
from latchwork.server.web.render import AnyRequest, TheOffice, download, fresh, html, page
from latchwork.server.web.story import ASKED, told
from latchwork.ui.wall import Door, columns

REASONS = (Reason.CUSTOMER_HELP, Reason.INSPECTION, Reason.MAINTENANCE, Reason.EMERGENCY, Reason.OTHER)
assert set(REASONS) == STAFF_REASONS
STAYS_SHOWN = 100
NOTE_CHARACTERS_MAX = 1000


@get("/operator", include_in_schema=False)
async def all_banks(office: TheOffice, who: Operator, seal: Seal) -> Response[str]:
    found, counts, open_tasks = await asyncio.gather(
        banks.banks(office, who), banks.counts(office, who), tasks.tasks(office, who)
    )
    rows = [
        {"bank": x, "standing": _standing(office, x), "count": counts.get(x.id), "zone": places.zone(x.time_zone)}
        for x in found
    ]
    return page(
        "operator/banks.html",
        layer="operator",
        seal=seal,
        banks=rows,
        tasks=[task_told(x, who) for x in open_tasks if x.kind != "silent"],  # it is the row's standing already
    )


@get("/operator/banks/{bank_id:str}", include_in_schema=False)
async def one_bank(office: TheOffice, who: Operator, bank_id: FromPath[str], seal: Seal) -> Response[str]:
    return page("operator/bank.html", layer="operator", seal=seal, **await _bank(office, who, bank_id))


@get("/operator/banks/{bank_id:str}/events", include_in_schema=False)
async def bank_events(request: AnyRequest, office: TheOffice, who: Operator, bank_id: FromPath[str]) -> ServerSentEvent:
    await banks.bank(office, who, bank_id)

    async def render() -> str:
        return html("operator/bank_now.html", **await _bank(office, who, bank_id))

    return fresh(request, bank_id, render)


@get("/operator/banks/{bank_id:str}/doors/{door:str}", include_in_schema=False)
async def one_door(
    office: TheOffice,
    who: Operator,
    bank_id: FromPath[str],
    door: FromPath[str],
    seal: Seal,
    asked: FromQuery[str | None] = None,
) -> Response[str]:
    now = await _door(office, who, bank_id, door, asked)
    return page("operator/door.html", layer="operator", seal=seal, reasons=REASONS, asked=asked or "", **now)


@get("/operator/banks/{bank_id:str}/doors/{door:str}/events", include_in_schema=False)
async def door_events(
    request: AnyRequest,
    office: TheOffice,
    who: Operator,
    bank_id: FromPath[str],
    door: FromPath[str],
    asked: FromQuery[str | None] = None,
) -> ServerSentEvent:
    await wall.compartment(office, who, bank_id, door)

    async def render() -> str:
        return html("operator/door_now.html", **await _door(office, who, bank_id, door, asked))

    return fresh(request, bank_id, render)


@post("/operator/banks/{bank_id:str}/doors/{door:str}/open", include_in_schema=False)
async def open_door(
    office: TheOffice, who: Operator, bank_id: FromPath[str], door: FromPath[str], data: Form
) -> Redirect:
    if data.get("reason") not in set(REASONS):
        raise Declined(422, "no_access", "Choose a reason.")
    note = data.get("note", "").replace("\0", "").strip()[:NOTE_CHARACTERS_MAX]
    asked = await wall.open_door(office, who, bank_id, door, Reason(data["reason"]), note)
    return _back(bank_id, door, asked.instruction)


@post("/operator/banks/{bank_id:str}/doors/{door:str}/check", include_in_schema=False)
async def check_door(
    office: TheOffice, who: Operator, bank_id: FromPath[str], door: FromPath[str], data: Form
) -> Redirect:
    asked = await wall.check(office, who, bank_id, door, data.get("seen") == "empty")
    return _back(bank_id, door, asked.instruction)


@get("/operator/stays/{stay_id:str}", include_in_schema=False)
async def one_stay(office: TheOffice, who: Operator, stay_id: FromPath[str], seal: Seal) -> Response[str]:
    return page("operator/stay.html", layer="operator", seal=seal, **await _stay(office, who, stay_id))


@get("/operator/stays/{stay_id:str}/events", include_in_schema=False)
async def stay_events(request: AnyRequest, office: TheOffice, who: Operator, stay_id: FromPath[str]) -> ServerSentEvent:
    found = await stays.read(office, who, stay_id)

    async def render() -> str:
        return html("operator/stay_now.html", **await _stay(office, who, stay_id))

    return fresh(request, found.bank, render)


@get("/operator/stays/{stay_id:str}/receipt", include_in_schema=False)
async def stay_receipt(office: TheOffice, who: Operator, stay_id: FromPath[str]) -> Response[bytes]:
    return download(await receipts.of_stay(office, who, stay_id))


@get("/operator/banks/{bank_id:str}/audit", include_in_schema=False)
async def audit(office: TheOffice, who: Operator, bank_id: FromPath[str], seal: Seal) -> Response[str]:
    bank = await banks.bank(office, who, bank_id)
    doors = [x for x in (await wall.wall(office, who, bank_id)).compartments if not (x.gate or x.shelf)]
    return page(
        "operator/audit.html",
        layer="operator",
        seal=seal,
        bank=bank,
        zone=places.zone(bank.time_zone),
        compartments=sorted(doors, key=lambda x: (x.looked_at is not None, x.looked_at or bank.created_at)),
        labels={x.id: x.tracking for x in await _stays(office, who, bank_id, live=True, limit=LIST_MAX) if x.tracking},
    )


async def _bank(office: Office, who: Who, bank_id: str) -> dict[str, Any]:
    bank = await banks.bank(office, who, bank_id)
    picture, here, open_tasks, runs = await asyncio.gather(
        wall.wall(office, who, bank_id),
        _stays(office, who, bank_id, live=False, limit=STAYS_SHOWN),
        tasks.tasks(office, who, bank_id),
        configuration.configuration(office, who, bank_id),
    )
    doors = [Door(c.id, c.width_mm, c.height_mm, c.state, c.door) for c in picture.compartments]
    return {
        "bank": bank,
        "standing": _standing(office, bank),
        "sticker": banks.sticker(bank),
        "witness": banks.witness(office),
        "zone": places.zone(bank.time_zone),
        "compartments": picture.compartments,
        "wall": columns(doors),
        "stays": here,
        "tasks": [task_told(x, who) for x in open_tasks],
        "configuration": runs,
    }


def _standing(office: Office, bank: banks.Bank) -> str:
    if bank.divided:
        return "divided"
    if bank.key_revoked:
        return "key_revoked"
    if not bank.enrolled:
        return "not_enrolled"
    return "off_line" if banks.silent(office, bank.heard_at) else "on_line"


async def _stays(office: Office, who: Who, bank_id: str, *, live: bool, limit: int) -> list[stays.Brief]:
    """None for those who keep the wall working and see nobody's name."""
    return await stays.stays(office, who, bank_id, live, limit) if who.may("see_stays") else []


async def _door(office: Office, who: Who, bank_id: str, door: str, asked: str | None) -> dict[str, Any]:
    bank = await banks.bank(office, who, bank_id)
    order = await wall.instruction(office, who, asked) if asked else None
    compartment, openings, open_tasks = await asyncio.gather(
        wall.compartment(office, who, bank_id, door),
        wall.openings(office, who, bank_id, door),
        tasks.tasks(office, who, bank_id),
    )
    return {
        "bank": bank,
        "zone": places.zone(bank.time_zone),
        "door": compartment,
        "openings": openings,
        "order": order if order and order.bank == bank_id else None,
        "tasks": [task_told(x, who) for x in open_tasks if x.about == door],
    }


async def _stay(office: Office, who: Who, stay_id: str) -> dict[str, Any]:
    stay = await stays.read(office, who, stay_id)
    zone = places.zone(stay.time_zone)
    sent, open_tasks, story = await asyncio.gather(
        changes.delegates(office, who, stay_id),
        tasks.tasks(office, who, stay.bank),
        stays.timeline(office, who, stay_id),
    )
    return {
        "stay": stay,
        "zone": zone,
        "asked": [ASKED.get(kind, kind) for kind in stay.pending],
        "delegates": [x.name for x in sent if x.state == "live"],
        "tasks": [task_told(x, who) for x in open_tasks if x.stay and x.stay in (stay.id, stay.linked_to)],
        "story": told(story, "operator", zone),
    }


def _back(bank_id: str, door: str, asked: str) -> Redirect:
    return Redirect(f"/operator/banks/{bank_id}/doors/{quote(door, safe='')}?asked={asked}", status_code=303)


HANDLERS = [
    all_banks,
    one_bank,
    bank_events,
    one_door,
    door_events,
    open_door,
    check_door,
    one_stay,
    stay_events,
    stay_receipt,
    audit,
]
