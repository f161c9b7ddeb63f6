"""Stays: announced once whatever the network does, read, called off."""

from typing import Annotated, Any

from litestar import Response, delete, get, post
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from latchwork.domain.words import Size
from latchwork.server.actions import notices, receipts, room, stays
from latchwork.server.actions.office import Asked
from latchwork.server.api.bodies import NewStay
from latchwork.server.api.guard import Asker, Key, TheOffice, needed
from latchwork.server.api.problems import AnyRequest

TAG = ["Stays"]


@post(
    "/stays",
    tags=TAG,
    summary="Expect a thing",
    responses={201: ResponseSpec(stays.Accepted, description="Accepted; also the answer to a repeat")},
)
async def announce(
    request: AnyRequest, office: TheOffice, who: Asker, data: JSONBody[NewStay], idempotency_key: Key = None
) -> Response[bytes]:
    key = needed(idempotency_key)
    size = Size(data.size.width_mm, data.size.height_mm, data.size.depth_mm) if data.size else None
    new = stays.NewStay(
        data.bank,
        data.service,
        data.recipient,
        data.party,
        data.thing,
        data.tracking,
        size,
        data.in_reach,
        data.reserve_until,
        data.offer_minutes if data.wait else None,
    )
    said = f"POST {request.url.path}\n".encode() + await request.body()
    reply = await room.announce(office, who, new, key, said)
    headers = {"Idempotent-Replayed": "true"} if reply.replayed else {}
    return Response(reply.body, status_code=reply.status, media_type="application/json", headers=headers)


@get(
    "/stays",
    tags=TAG,
    summary="The latest stays, of one bank or recipient or of all; with `live` only those that have not ended",
)
async def all_stays(
    office: TheOffice,
    who: Asker,
    bank: FromQuery[str | None] = None,
    live: FromQuery[bool] = False,
    limit: Annotated[int, QueryParameter(ge=1, le=500)] = 100,
    recipient: FromQuery[str | None] = None,
) -> list[stays.Brief]:
    return await stays.stays(office, who, bank, live, limit, recipient)


@get("/stays/{stay_id:str}", tags=TAG, summary="A stay, as of when its wall was last heard")
async def stay(office: TheOffice, who: Asker, stay_id: FromPath[str]) -> stays.Stay:
    return await stays.read(office, who, stay_id)


@get("/stays/{stay_id:str}/timeline", tags=TAG, summary="A stay's story, from the wall's own log")
async def timeline(office: TheOffice, who: Asker, stay_id: FromPath[str]) -> list[stays.Event]:
    return await stays.timeline(office, who, stay_id)


@get(
    "/stays/{stay_id:str}/receipt",
    tags=TAG,
    summary="A stay's receipt: its entries with their proof, for `latchwork verify` and the page /verify",
    responses={200: ResponseSpec(dict[str, Any], description="Made to be verified as it is: keep its bytes")},
)
async def receipt(office: TheOffice, who: Asker, stay_id: FromPath[str]) -> Response[bytes]:
    found = await receipts.of_stay(office, who, stay_id)
    return Response(found.body, media_type="application/json", headers=found.headers)


@delete("/stays/{stay_id:str}", tags=TAG, status_code=202, summary="Ask the wall to expect a thing no longer")
async def cancel(office: TheOffice, who: Asker, stay_id: FromPath[str]) -> Asked:
    return await stays.cancel(office, who, stay_id)


@get("/notices", tags=TAG, summary="What recipients were told; with `dead` only what could not be delivered")
async def all_notices(
    office: TheOffice,
    who: Asker,
    dead: FromQuery[bool] = False,
    limit: Annotated[int, QueryParameter(ge=1, le=500)] = 100,
) -> list[notices.Told]:
    return await notices.notices(office, who, dead, limit)


HANDLERS = [announce, all_stays, stay, timeline, receipt, cancel, all_notices]
