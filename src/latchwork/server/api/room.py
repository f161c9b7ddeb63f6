"""Whether there is room, who counts on it, and doors taken out of service."""

from typing import Any

from litestar import delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from latchwork.domain.words import Size
from latchwork.server.actions import changes, room, stays
from latchwork.server.actions.office import Asked
from latchwork.server.api.bodies import BringBack, SoftWish, Wish, Withdrawal
from latchwork.server.api.guard import Asker, Key, TheOffice, given

TAG = ["Room"]


@post("/banks/{bank_id:str}/availability", tags=TAG, status_code=200, summary="Whether it fits and finds room now")
async def availability(
    office: TheOffice, who: Asker, bank_id: FromPath[str], data: JSONBody[Wish]
) -> room.Availability:
    return await room.availability(office, who, _new(bank_id, data))


@post("/banks/{bank_id:str}/soft-reservations", tags=TAG, summary="Count on room for a while; no wall hears of it")
async def reserve_softly(
    office: TheOffice, who: Asker, bank_id: FromPath[str], data: JSONBody[SoftWish], idempotency_key: Key = None
) -> room.Soft:
    return await room.reserve_softly(office, who, _new(bank_id, data), data.until, given(idempotency_key))


@delete("/soft-reservations/{soft_id:str}", tags=TAG, summary="Count on it no longer")
async def release_softly(office: TheOffice, who: Asker, soft_id: FromPath[str]) -> None:
    await room.release_softly(office, who, soft_id)


@get("/collections", tags=TAG, summary="What a carrier takes out of all walls: expired, refused, returned")
async def all_collections(
    office: TheOffice,
    who: Asker,
    bank: FromQuery[str | None] = None,
    site: FromQuery[str | None] = None,
    party: FromQuery[str | None] = None,
) -> list[changes.Collection]:
    return await changes.collections(office, who, bank, site, party)


@get("/banks/{bank_id:str}/collections", tags=TAG, summary="What a carrier takes out of this wall")
async def collections(
    office: TheOffice, who: Asker, bank_id: FromPath[str], party: FromQuery[str | None] = None
) -> list[changes.Collection]:
    return await changes.collections(office, who, bank_id, party=party)


@post("/banks/{bank_id:str}/withdraw", tags=TAG, status_code=202, summary="Take compartments out of service")
async def withdraw(office: TheOffice, who: Asker, bank_id: FromPath[str], data: JSONBody[Withdrawal]) -> Asked:
    return await changes.withdraw(office, who, bank_id, data.compartments, now=data.now)


@post("/banks/{bank_id:str}/bring-back", tags=TAG, status_code=202, summary="Bring compartments back into service")
async def bring_back(office: TheOffice, who: Asker, bank_id: FromPath[str], data: JSONBody[BringBack]) -> Asked:
    return await changes.withdraw(office, who, bank_id, data.compartments, back=True)


def _new(bank: str, wish: Any) -> stays.NewStay:
    size = Size(wish.size.width_mm, wish.size.height_mm, wish.size.depth_mm) if wish.size else None
    return stays.NewStay(bank, wish.service, party=wish.party, size=size, in_reach=wish.in_reach)


HANDLERS = [availability, reserve_softly, release_softly, all_collections, collections, withdraw, bring_back]
