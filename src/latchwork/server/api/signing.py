"""Guarded walls: what waits for a signature, and the signatures. `latchwork sign` speaks this."""

from litestar import get, post, put
from litestar.params import FromPath, FromQuery, JSONBody

from latchwork.server.actions import signing
from latchwork.server.actions.office import Asked
from latchwork.server.api.bodies import Guards, GuardSignature
from latchwork.server.api.guard import Asker, TheOffice

TAG = ["Guarded walls"]


@get("/signing", tags=TAG, summary="What waits for a signature, in the order of asking")
async def waiting(office: TheOffice, who: Asker, bank: FromQuery[str | None] = None) -> list[signing.ToSign]:
    return await signing.waiting(office, who, bank)


@post("/signing/{instruction_id:str}", tags=TAG, status_code=204, summary="A signature over it")
async def sign(office: TheOffice, who: Asker, instruction_id: FromPath[str], data: JSONBody[GuardSignature]) -> None:
    await signing.sign(office, who, instruction_id, data.key, data.signature, data.until, data.more)


@get("/banks/{bank_id:str}/guards", tags=TAG, summary="The keys that guard a wall, as it said last")
async def guards(office: TheOffice, who: Asker, bank_id: FromPath[str]) -> list[str]:
    return await signing.guards(office, who, bank_id)


@put("/banks/{bank_id:str}/guards", tags=TAG, status_code=202, summary="Ask a wall to be guarded by these keys")
async def ask_guard(office: TheOffice, who: Asker, bank_id: FromPath[str], data: JSONBody[Guards]) -> Asked:
    return await signing.ask_guard(office, who, bank_id, data.keys)


@post(
    "/banks/{bank_id:str}/listen",
    tags=TAG,
    status_code=202,
    summary="Ask a guarded wall to open doors from afar again",
)
async def ask_listen(office: TheOffice, who: Asker, bank_id: FromPath[str]) -> Asked:
    return await signing.ask_listen(office, who, bank_id)


HANDLERS = [waiting, sign, guards, ask_guard, ask_listen]
