"""What is changed of a stay after its announcement. Everything is asked of its wall: accepted is not done."""

from litestar import delete, get, post
from litestar.params import FromPath, JSONBody

from latchwork.server.actions import changes, room
from latchwork.server.actions.office import Asked
from latchwork.server.api.bodies import NewDelegate, NewReservation, Reassignment, Redirection, Until
from latchwork.server.api.guard import Asker, Key, TheOffice, given

TAG = ["Changes"]


@post("/stays/{stay_id:str}/extend", tags=TAG, status_code=202, summary="More time, by the service's own rule")
async def extend(office: TheOffice, who: Asker, stay_id: FromPath[str], idempotency_key: Key = None) -> Asked:
    return await changes.extend(office, who, stay_id, given(idempotency_key))


@post("/stays/{stay_id:str}/hold", tags=TAG, status_code=202, summary="Keep it until a time of yours")
async def hold(office: TheOffice, who: Asker, stay_id: FromPath[str], data: JSONBody[Until]) -> Asked:
    return await changes.hold(office, who, stay_id, data.until)


@post("/stays/{stay_id:str}/block", tags=TAG, status_code=202, summary="Nobody can collect it any more")
async def block(office: TheOffice, who: Asker, stay_id: FromPath[str]) -> Asked:
    return await changes.block(office, who, stay_id, True)


@post("/stays/{stay_id:str}/unblock", tags=TAG, status_code=202, summary="It can be collected again")
async def unblock(office: TheOffice, who: Asker, stay_id: FromPath[str]) -> Asked:
    return await changes.block(office, who, stay_id, False)


@post("/stays/{stay_id:str}/reassign", tags=TAG, status_code=202, summary="Give it to its right recipient")
async def reassign(office: TheOffice, who: Asker, stay_id: FromPath[str], data: JSONBody[Reassignment]) -> Asked:
    return await changes.reassign(office, who, stay_id, data.recipient)


@post("/stays/{stay_id:str}/redirect", tags=TAG, status_code=202, summary="To another bank, before it arrives")
async def redirect(office: TheOffice, who: Asker, stay_id: FromPath[str], data: JSONBody[Redirection]) -> Asked:
    return await changes.redirect(office, who, stay_id, data.bank)


@post(
    "/stays/{stay_id:str}/reservation",
    tags=TAG,
    status_code=202,
    summary="Have a compartment reserved, or wait; null where others wait first",
)
async def reserve(
    office: TheOffice, who: Asker, stay_id: FromPath[str], data: JSONBody[NewReservation]
) -> Asked | None:
    return await room.reserve(office, who, stay_id, data.until, data.wait, data.offer_minutes)


@delete(
    "/stays/{stay_id:str}/reservation",
    tags=TAG,
    status_code=202,
    summary="No reservation and no place in the queue; null where the wall need not hear of it",
)
async def let_go(office: TheOffice, who: Asker, stay_id: FromPath[str]) -> Asked | None:
    return await room.let_go(office, who, stay_id)


@get("/stays/{stay_id:str}/delegates", tags=TAG, summary="Who else may fetch it")
async def delegates(office: TheOffice, who: Asker, stay_id: FromPath[str]) -> list[changes.Delegate]:
    return await changes.delegates(office, who, stay_id)


@post("/stays/{stay_id:str}/delegates", tags=TAG, status_code=202, summary="Let one person fetch it until a time")
async def delegate(
    office: TheOffice, who: Asker, stay_id: FromPath[str], data: JSONBody[NewDelegate], idempotency_key: Key = None
) -> changes.Delegate:
    return await changes.delegate(office, who, stay_id, data.name, data.email, data.until, given(idempotency_key))


@delete("/stays/{stay_id:str}/delegates/{pass_id:str}", tags=TAG, status_code=202, summary="Send them no longer")
async def dismiss(office: TheOffice, who: Asker, stay_id: FromPath[str], pass_id: FromPath[str]) -> Asked:
    return await changes.dismiss(office, who, stay_id, pass_id)


HANDLERS = [
    extend,
    hold,
    block,
    unblock,
    reassign,
    redirect,
    reserve,
    let_go,
    delegates,
    delegate,
    dismiss,
]
