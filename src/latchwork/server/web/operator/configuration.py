"""The page on which an operator sees what a wall's controller runs, and asks it to run something else."""

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from latchwork.server.actions import banks, configuration, places
from latchwork.server.web.operator.session import Form, Operator, Seal
from latchwork.server.web.render import TheOffice, page


@get("/operator/banks/{bank_id:str}/configuration", include_in_schema=False)
async def show(office: TheOffice, who: Operator, bank_id: FromPath[str], seal: Seal) -> Response[str]:
    bank = await banks.bank(office, who, bank_id)
    found = await configuration.configuration(office, who, bank_id)
    zone = places.zone(bank.time_zone)
    return page("operator/configuration.html", layer="operator", seal=seal, bank=bank, found=found, zone=zone)


@post(
    "/operator/banks/{bank_id:str}/configuration",
    include_in_schema=False,
    request_max_body_size=4 * configuration.TEXT_BYTES_MAX,
)
async def ask(office: TheOffice, who: Operator, bank_id: FromPath[str], data: Form) -> Redirect:
    text = data.get("toml", "").replace("\r\n", "\n")  # as forms send their lines
    await configuration.ask(office, who, bank_id, text)
    return Redirect(f"/operator/banks/{bank_id}/configuration", status_code=303)


HANDLERS = [show, ask]
