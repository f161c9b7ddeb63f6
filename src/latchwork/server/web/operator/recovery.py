"""The page on which a person decides how a divided wall goes on."""

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from latchwork.server.actions import banks, places, recovery
from latchwork.server.web.operator.session import Operator, Seal
from latchwork.server.web.render import TheOffice, page


@get("/operator/banks/{bank_id:str}/recovery", include_in_schema=False)
async def show(office: TheOffice, who: Operator, bank_id: FromPath[str], seal: Seal) -> Response[str]:
    bank = await banks.bank(office, who, bank_id)
    parted = await recovery.recovery(office, who, bank_id)
    zone = places.zone(bank.time_zone)
    return page("operator/recovery.html", layer="operator", seal=seal, bank=bank, parted=parted, zone=zone)


@post("/operator/banks/{bank_id:str}/recovery", include_in_schema=False)
async def confirm(office: TheOffice, who: Operator, bank_id: FromPath[str]) -> Redirect:
    await recovery.confirm(office, who, bank_id)
    return Redirect(f"/operator/banks/{bank_id}/recovery", status_code=303)


HANDLERS = [show, confirm]
