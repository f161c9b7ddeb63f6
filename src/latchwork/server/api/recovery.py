"""A divided bank, and how it goes on."""

from litestar import get, post
from litestar.params import FromPath

from latchwork.server.actions import recovery
from latchwork.server.api.guard import Asker, TheOffice

TAG = ["Places"]


@get("/banks/{bank_id:str}/recovery", tags=TAG, summary="How a divided bank's log and ours have parted")
async def show(office: TheOffice, who: Asker, bank_id: FromPath[str]) -> recovery.Recovery:
    return await recovery.recovery(office, who, bank_id)


@post(
    "/banks/{bank_id:str}/recovery",
    tags=TAG,
    status_code=202,
    summary="Have a divided bank go on from our log, in a new epoch",
)
async def confirm(office: TheOffice, who: Asker, bank_id: FromPath[str]) -> recovery.Recovery:
    return await recovery.confirm(office, who, bank_id)


HANDLERS = [show, confirm]
