"""The parcel page: what it is, its code, where and until when; fresh by itself, and calm once all is done."""

from typing import Any

from litestar import Response, get
from litestar.params import FromPath
from litestar.response import ServerSentEvent
from markupsafe import Markup
from segno import make

from latchwork.server.actions import parcel, receipts
from latchwork.server.web.render import AnyRequest, TheOffice, download, fresh, html, page
from latchwork.server.web.story import told
from latchwork.ui.wall import Door, columns


@get("/p/{token:str}", include_in_schema=False)
async def parcel_page(office: TheOffice, token: FromPath[str]) -> Response[str]:
    found = await parcel.parcel(office, token)
    return page("resident/parcel.html", layer="phone", live=f"/p/{token}/events", **_values(found, token))


@get("/p/{token:str}/events", include_in_schema=False)
async def parcel_events(request: AnyRequest, office: TheOffice, token: FromPath[str]) -> ServerSentEvent:
    found = await parcel.parcel(office, token, with_story=False)

    async def render() -> str:
        return html("resident/card.html", **_values(await parcel.parcel(office, token), token))

    return fresh(request, found.bank, render)


@get("/p/{token:str}/receipt", include_in_schema=False)
async def parcel_receipt(office: TheOffice, token: FromPath[str]) -> Response[bytes]:
    return download(await receipts.of_link(office, token))


def _values(found: parcel.Parcel, token: str) -> dict[str, Any]:
    here = found.compartment
    doors = [Door(door.id, door.width_mm, door.height_mm, here=door.id == here) for door in found.doors]
    return {
        "parcel": found,
        "qr": _qr(found.qr) if found.qr else None,
        "wall": columns(doors) if any(door.here for door in doors) else (),
        "receipt": f"/p/{token}/receipt",
        "story": told(found.events, "recipient", found.zone),
    }


def _qr(text: str) -> Markup:
    """Black on white whatever the page's colours are: scanners want it so. The picture is ours, so it may be markup."""
    picture = make(text, error="m", boost_error=False)
    return Markup(picture.svg_inline(border=0, omitsize=True, dark="#000", light="#fff", lineclass=None, svgclass=None))


HANDLERS = [parcel_page, parcel_events, parcel_receipt]
