"""A first or further bank: the place where it stands, its name, and the code by which its controller becomes ours."""

from zoneinfo import available_timezones

from litestar import Response, get, post
from litestar.params import FromPath

from latchwork.server.actions import banks, places
from latchwork.server.actions.office import Declined, Office, Who
from latchwork.server.web.operator.session import Form, Operator, Seal, form_values
from latchwork.server.web.render import TheOffice, page

NAME_CHARACTERS_MAX = 200
ADDRESS_CHARACTERS_MAX = 1000


@get("/operator/banks/new", include_in_schema=False)
async def new(office: TheOffice, who: Operator, seal: Seal) -> Response[str]:
    return await _form(office, who, seal, {})


@post("/operator/banks", include_in_schema=False, status_code=200)
async def create(office: TheOffice, who: Operator, seal: Seal, data: Form) -> Response[str]:
    try:
        made = await _made(office, who, data)
    except Declined as declined:
        return await _form(office, who, seal, data, declined)
    return await _invited(office, who, seal, made)


@post("/operator/banks/{bank_id:str}/enrolment-code", include_in_schema=False, status_code=200)
async def invite(office: TheOffice, who: Operator, bank_id: FromPath[str], seal: Seal) -> Response[str]:
    return await _invited(office, who, seal, await banks.invite(office, who, bank_id))


async def _made(office: Office, who: Who, data: dict[str, str]) -> banks.Invitation:
    """The bank, and its site if that is new: both or neither, so that the form can be sent again."""
    given = form_values(data, "name", "site_name", "zone")
    name, site_name, zone = (" ".join(x.split())[:NAME_CHARACTERS_MAX] for x in given)
    address = data.get("address", "").replace("\0", "").replace("\r", "").strip()[:ADDRESS_CHARACTERS_MAX]
    site = data.get("site", "")
    if not name or not (site or site_name):
        raise Declined(422, "bad_form", "Give the bank and its site a name.")
    async with office.together() as at_once:
        if not site:
            site = (await places.create_site(at_once, who, site_name, address, zone)).id
        return await banks.create(at_once, who, site, name)


async def _form(
    office: Office, who: Who, seal: str, given: dict[str, str], declined: Declined | None = None
) -> Response[str]:
    return page(
        "operator/new_bank.html",
        declined.status if declined else 200,
        layer="operator",
        seal=seal,
        sites=await places.sites(office, who),
        zones=sorted(available_timezones()),
        given=dict.fromkeys(("name", "site", "site_name", "address", "zone"), "") | given,
        declined=declined,
    )


async def _invited(office: Office, who: Who, seal: str, made: banks.Invitation) -> Response[str]:
    bank = await banks.bank(office, who, made.bank)
    zone = places.zone(bank.time_zone)
    return page("operator/invited.html", layer="operator", seal=seal, bank=bank, made=made, zone=zone)


HANDLERS = [new, create, invite]
