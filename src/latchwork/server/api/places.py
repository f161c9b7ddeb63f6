"""Organisations, sites, banks and their walls."""

from typing import Annotated

from litestar import delete, get, post, put
from litestar.params import Parameter

from latchwork.server.actions import access, banks, places, wall
from latchwork.server.actions.office import Asked, Office, Who
from latchwork.server.api.bodies import (
    CheckDoor,
    NewBank,
    NewOrganisation,
    NewSite,
    OfferedServices,
    OpenDoor,
    Services,
)

TAG = ["Places"]
WALL = ["Walls"]


@post("/organisations", tags=TAG, summary="Create an organisation (first token only)")
async def create_organisation(office: Office, who: Who, data: NewOrganisation) -> access.FirstToken:
    return await places.create_organisation(office, who, data.name)


@get("/organisations", tags=TAG, summary="The organisation of this token")
async def organisations(office: Office, who: Who) -> list[places.Organisation]:
    return [await places.organisation(office, who)]


@post("/sites", tags=TAG, summary="Create a site")
async def create_site(office: Office, who: Who, data: NewSite) -> places.Site:
    return await places.create_site(office, who, data.name, data.address, data.time_zone)


@get("/sites", tags=TAG, summary="Sites")
async def sites(office: Office, who: Who) -> list[places.Site]:
    return await places.sites(office, who)


@get("/sites/{site_id:str}", tags=TAG, summary="A site")
async def site(office: Office, who: Who, site_id: str) -> places.Site:
    return await places.site(office, who, site_id)


@post("/banks", tags=TAG, summary="Create a bank; its one-time enrolment code is shown here and never again")
async def create_bank(office: Office, who: Who, data: NewBank) -> banks.Invitation:
    return await banks.create(office, who, data.site, data.name, _offered(data.services))


@get("/banks", tags=TAG, summary="Banks")
async def all_banks(office: Office, who: Who) -> list[banks.Bank]:
    return await banks.banks(office, who)


@get("/banks/{bank_id:str}", tags=TAG, summary="A bank, as of when it was last heard")
async def bank(office: Office, who: Who, bank_id: str) -> banks.Bank:
    return await banks.bank(office, who, bank_id)


@get("/banks/{bank_id:str}/services", tags=TAG, summary="The services that a bank was asked to offer")
async def services(office: Office, who: Who, bank_id: str) -> list[banks.Offered]:
    return await banks.services(office, who, bank_id)


@put("/banks/{bank_id:str}/services", tags=TAG, status_code=202, summary="Ask a bank to offer these services")
async def replace_services(office: Office, who: Who, bank_id: str, data: OfferedServices) -> Asked:
    return await banks.replace_services(office, who, bank_id, _offered(data.services))


@post("/banks/{bank_id:str}/enrolment-codes", tags=TAG, summary="A new enrolment code; earlier ones end")
async def invite(office: Office, who: Who, bank_id: str) -> banks.Invitation:
    return await banks.invite(office, who, bank_id)


@delete("/banks/{bank_id:str}/key", tags=TAG, summary="Take back the trust in a bank's controller")
async def revoke_key(office: Office, who: Who, bank_id: str) -> None:
    await banks.revoke_key(office, who, bank_id)


@get("/banks/{bank_id:str}/compartments", tags=WALL, summary="A bank's compartments, `as_of` when it was last heard")
async def compartments(office: Office, who: Who, bank_id: str) -> wall.Wall:
    return await wall.wall(office, who, bank_id)


@get("/banks/{bank_id:str}/compartments/{compartment_id:str}/openings", tags=WALL, summary="What a door did lately")
async def openings(
    office: Office,
    who: Who,
    bank_id: str,
    compartment_id: str,
    limit: Annotated[int, Parameter(ge=1, le=200)] = 20,
) -> list[wall.Opening]:
    found = await wall.compartment(office, who, bank_id, compartment_id)
    return await wall.openings(office, who, bank_id, found.id, limit)


@post(
    "/banks/{bank_id:str}/compartments/{compartment_id:str}/open",
    tags=WALL,
    status_code=202,
    summary="Have a door opened within 30 seconds or not at all",
)
async def open_door(office: Office, who: Who, bank_id: str, compartment_id: str, data: OpenDoor) -> Asked:
    return await wall.open_door(office, who, bank_id, compartment_id, data.reason, data.note)


@post(
    "/banks/{bank_id:str}/compartments/{compartment_id:str}/check",
    tags=WALL,
    status_code=202,
    summary="Vouch for what is inside a compartment",
)
async def check(office: Office, who: Who, bank_id: str, compartment_id: str, data: CheckDoor) -> Asked:
    return await wall.check(office, who, bank_id, compartment_id, data.empty)


@get("/banks/{bank_id:str}/tasks", tags=WALL, summary="What a person has to look at")
async def tasks(office: Office, who: Who, bank_id: str) -> list[wall.Task]:
    return await wall.tasks(office, who, (await banks.bank(office, who, bank_id)).id)


@get("/instructions/{instruction_id:str}", tags=WALL, summary="What became of something that a wall was asked")
async def instruction(office: Office, who: Who, instruction_id: str) -> wall.Instruction:
    return await wall.instruction(office, who, instruction_id)


def _offered(services: Services | None) -> tuple[banks.Offered, ...]:
    if services is None:
        return banks.DEFAULT_SERVICES
    return tuple(banks.Offered(s.id, s.deposit_by, s.collect_by, s.pickup_hours_max) for s in services)


HANDLERS = [
    create_organisation,
    organisations,
    create_site,
    sites,
    site,
    create_bank,
    all_banks,
    bank,
    services,
    replace_services,
    invite,
    revoke_key,
    compartments,
    openings,
    open_door,
    check,
    tasks,
    instruction,
]
