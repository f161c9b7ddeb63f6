"""What couriers take out: of one wall, of a site's, or of all."""

from litestar import Response, get
from litestar.params import FromQuery

from latchwork.server.actions import banks, changes, people, places
from latchwork.server.web.operator.session import Operator, Seal
from latchwork.server.web.render import TheOffice, page


@get("/operator/collections", include_in_schema=False)
async def show(
    office: TheOffice,
    who: Operator,
    seal: Seal,
    bank: FromQuery[str | None] = None,
    site: FromQuery[str | None] = None,
    party: FromQuery[str | None] = None,
) -> Response[str]:
    walls = [x for x in await banks.banks(office, who) if bank in (None, "", x.id) and site in (None, "", x.site)]
    things = await changes.collections(office, who, bank or None, site or None, party or None)
    carriers = {x.id: x.name for x in await people.parties(office, who)}
    return page(
        "operator/collections.html",
        layer="operator",
        seal=seal,
        bank=next(iter(walls), None) if bank else None,
        silent=[x for x in walls if x.enrolled and banks.silent(office, x.heard_at)],
        zones={x.id: places.zone(x.time_zone) for x in walls},
        things=things,
        sites={x.id: x.name for x in await places.sites(office, who)},
        carriers=carriers | {x.party: x.party_name or x.party[:8] for x in things if x.party},
        site=site or "",
        party=party or "",
    )


HANDLERS = [show]
