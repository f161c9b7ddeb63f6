"""Walls' logs: how far they are signed, and the whole of one."""

from litestar import get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from litestar.response import Stream

from latchwork.server.actions import logs
from latchwork.server.api.guard import Asker, TheOffice

TAG = ["Walls"]


@get("/banks/{bank_id:str}/logs", tags=TAG, summary="A wall's logs, and what it signed of each")
async def all_logs(office: TheOffice, who: Asker, bank_id: FromPath[str]) -> list[logs.Log]:
    return await logs.logs(office, who, bank_id)


@get(
    "/banks/{bank_id:str}/logs/{epoch:str}",
    tags=TAG,
    summary="All that a wall has signed of a log, for `latchwork verify --log`",
    responses={200: ResponseSpec(str, media_type=logs.MEDIA_TYPE, description="A line for each entry: keep its bytes")},
)
async def take_log(office: TheOffice, who: Asker, bank_id: FromPath[str], epoch: FromPath[str]) -> Stream:
    lines = await logs.export(office, who, bank_id, epoch)
    return Stream(lines, media_type=logs.MEDIA_TYPE, headers=logs.file_headers(bank_id, epoch))


HANDLERS = [all_logs, take_log]
