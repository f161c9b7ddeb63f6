"""The page on which those who run the walls see who of the staff looked at whom."""

from litestar import Response, get

from latchwork.server.actions import looks
from latchwork.server.web.operator.session import Operator, Seal
from latchwork.server.web.render import TheOffice, page


@get("/operator/looks", include_in_schema=False)
async def show(office: TheOffice, who: Operator, seal: Seal) -> Response[str]:
    found = await looks.looks(office, who.organisation)
    return page("operator/looks.html", layer="operator", seal=seal, looks=found)


HANDLERS = [show]
