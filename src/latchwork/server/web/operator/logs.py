"""The page of a wall's logs: how far they are signed, and how to check them without this server."""

from litestar import Response, get
from litestar.params import FromPath
from litestar.response import Stream

from latchwork.server.actions import banks, logs, places
from latchwork.server.web.operator.session import Operator, Seal
from latchwork.server.web.render import TheOffice, page
from latchwork.ui.pages import PAGE_HEADERS


@get("/operator/banks/{bank_id:str}/logs", include_in_schema=False)
async def all_logs(office: TheOffice, who: Operator, bank_id: FromPath[str], seal: Seal) -> Response[str]:
    bank = await banks.bank(office, who, bank_id)
    found = await logs.logs(office, who, bank_id)
    return page(
        "operator/logs.html",
        layer="operator",
        seal=seal,
        bank=bank,
        zone=places.zone(bank.time_zone),
        logs=found,
        file=logs.file_name(bank_id, found[0].epoch) if found else "",
        sticker=banks.sticker(bank),
        witness=banks.witness(office),
    )


@get("/operator/banks/{bank_id:str}/logs/{epoch:str}", include_in_schema=False)
async def take_log(office: TheOffice, who: Operator, bank_id: FromPath[str], epoch: FromPath[str]) -> Stream:
    lines = await logs.export(office, who, bank_id, epoch)
    return Stream(lines, media_type=logs.MEDIA_TYPE, headers={**PAGE_HEADERS, **logs.file_headers(bank_id, epoch)})


HANDLERS = [all_logs, take_log]
