"""The parcel page: what it is, its code, where and until when; fresh by itself, and calm once all is done."""

from datetime import timedelta
from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect, ServerSentEvent

from latchwork.server.actions import changes, parcel, privacy, receipts
from latchwork.server.actions.office import Declined, Office, Who
from latchwork.server.actions.stays import COMING, WAITING
from latchwork.server.web.operator.session import Form, day_in, same_site
from latchwork.server.web.render import AnyRequest, TheOffice, download, drawn, fresh, html, page, speak
from latchwork.server.web.story import told
from latchwork.ui.wall import Door, columns

NAME_CHARACTERS_MAX = 200
DAYS = ("1", "3", "7")
"""So long somebody may send another person."""


@get("/p/{token:str}", include_in_schema=False)
async def parcel_page(office: TheOffice, token: FromPath[str]) -> Response[str]:
    found = await _found(office, token)
    return page("resident/parcel.html", layer="phone", live=f"/p/{token}/events", **await _values(office, found, token))


@get("/p/{token:str}/about", include_in_schema=False)
async def about(office: TheOffice, token: FromPath[str]) -> Response[str]:
    """What is known about the person, and why."""
    known = await privacy.known(office, token)
    speak(known.person.language if known.person else None)
    return page("resident/about.html", layer="phone", known=known, here=f"/p/{token}")


@get("/p/{token:str}/events", include_in_schema=False)
async def parcel_events(request: AnyRequest, office: TheOffice, token: FromPath[str]) -> ServerSentEvent:
    found = await _found(office, token, with_story=False)

    async def render() -> str:
        return html("resident/card.html", **await _values(office, await parcel.parcel(office, token), token))

    return fresh(request, found.bank, render)


@get("/p/{token:str}/receipt", include_in_schema=False)
async def parcel_receipt(office: TheOffice, token: FromPath[str]) -> Response[bytes]:
    return download(await receipts.of_link(office, token))


@get("/p/{token:str}/change", include_in_schema=False)
async def change_page(office: TheOffice, token: FromPath[str]) -> Response[str]:
    found = await _found(office, token, with_story=False)
    office, who, stay = await changes.by_link(office, token)
    today = office.now().astimezone(found.zone).date()
    return page(
        "resident/change.html",
        layer="phone",
        parcel=found,
        here=f"/p/{token}",
        once=office.new_id(),
        waits=found.state in WAITING,
        extendable=await changes.extendable(office, who, stay),
        delegates=await changes.delegates(office, who, stay),
        today=today.isoformat(),
        last_day=(today + timedelta(days=changes.OWN_HOLD_DAYS_MAX)).isoformat(),
    )


@post("/p/{token:str}/extend", include_in_schema=False)
async def extend(request: AnyRequest, office: TheOffice, token: FromPath[str], data: Form) -> Redirect:
    office, who, stay = await _asker(request, office, token)
    await changes.extend(office, who, stay, _once(data))
    return _back(token)


@post("/p/{token:str}/hold", include_in_schema=False)
async def hold(request: AnyRequest, office: TheOffice, token: FromPath[str], data: Form) -> Redirect:
    office, who, stay = await _asker(request, office, token)
    await changes.hold_until_day(office, who, stay, day_in(data), changes.OWN_HOLD_DAYS_MAX + 1)
    return _back(token)


@post("/p/{token:str}/delegates", include_in_schema=False)
async def delegate(request: AnyRequest, office: TheOffice, token: FromPath[str], data: Form) -> Redirect:
    office, who, stay = await _asker(request, office, token)
    name, email = " ".join(data.get("name", "").split()), data.get("email", "").strip()
    days = data.get("days", "")
    if not name.isprintable() or not 0 < len(name) <= NAME_CHARACTERS_MAX or days not in DAYS:
        raise Declined(422, "bad_form", "Say who it is, and for how long.")
    until = office.now() + timedelta(days=int(days))
    await changes.delegate(office, who, stay, name, email or None, until, _once(data))
    return _back(token)


@post("/p/{token:str}/delegates/{pass_id:str}/dismiss", include_in_schema=False)
async def dismiss(request: AnyRequest, office: TheOffice, token: FromPath[str], pass_id: FromPath[str]) -> Redirect:
    office, who, stay = await _asker(request, office, token)
    await changes.dismiss(office, who, stay, pass_id)
    return _back(token)


async def _found(office: Office, token: str, *, with_story: bool = True) -> parcel.Parcel:
    found = await parcel.parcel(office, token, with_story=with_story)
    speak(found.language)
    return found


async def _asker(request: AnyRequest, office: Office, token: str) -> tuple[Office, Who, str]:
    same_site(request, office)
    await _found(office, token, with_story=False)
    return await changes.by_link(office, token)


def _once(data: dict[str, str]) -> str | None:
    """What a form carries, so that pressing it twice asks once."""
    return data.get("once", "")[:32] or None


def _back(token: str) -> Redirect:
    return Redirect(f"/p/{token}", status_code=303)


async def _values(office: Office, found: parcel.Parcel, token: str) -> dict[str, Any]:
    here = found.compartment
    doors = [Door(door.id, door.width_mm, door.height_mm, here=door.id == here) for door in found.doors]
    office, who, stay = await changes.by_link(office, token)
    sent = await changes.delegates(office, who, stay)
    return {
        "parcel": found,
        "qr": drawn(found.qr) if found.qr else None,
        "wall": columns(doors) if any(door.here for door in doors) else (),
        "receipt": f"/p/{token}/receipt",
        "story": told(found.events, "recipient", found.zone),
        "here": f"/p/{token}",
        "actions": found.pin is not None or (found.state in COMING and found.drop_off_pin is None),
        "delegates": sent,
        "unheard": {each.id: drawn(each.ticket) for each in sent if each.ticket and each.state == "asked"},
    }


HANDLERS = [parcel_page, about, parcel_events, parcel_receipt, change_page, extend, hold, delegate, dismiss]
