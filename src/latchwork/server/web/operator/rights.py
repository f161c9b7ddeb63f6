"""The page that shows who may do what: the table of latchwork.server.access, as it is obeyed."""

from litestar import Response, get

from latchwork.server.access import RIGHTS, ROLES, WORDS
from latchwork.server.web.operator.session import Operator, Seal
from latchwork.server.web.render import page


@get("/operator/access", include_in_schema=False)
async def show(who: Operator, seal: Seal) -> Response[str]:
    shown = [each for each in RIGHTS if each.who & set(ROLES)]
    return page(
        "operator/access.html", layer="operator", seal=seal, rights=shown, roles=ROLES, words=WORDS, mine=who.role
    )


HANDLERS = [show]
