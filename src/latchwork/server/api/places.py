"""Organisations, sites, banks and their walls."""

from typing import Annotated

import msgspec
from litestar import delete, get, post, put
from litestar.params import FromPath, JSONBody, QueryParameter

from latchwork.server.actions import access, banks, places, wall
from latchwork.server.actions.office import Asked
from latchwork.server.api.bodies import (
    BankRules,
    CheckDoor,
    NewBank,
    NewOrganisation,
    NewSite,
    OfferedServices,
    OpenDoor,
    Services,
)
from latchwork.server.api.guard import Asker, TheOffice

TAG = ["Places"]
WALL = ["Walls"]


@post("/organisations", tags=TAG, summary="Create an organisation (first token only)")
async def create_organisation(office: TheOffice, who: Asker, data: JSONBody[NewOrganisation]) -> access.FirstToken:
    return await places.create_organisation(office, who, data.name)


@get("/organisations", tags=TAG, summary="The organisation of this token")
async def organisations(office: TheOffice, who: Asker) -> list[places.Organisation]:
    return [await places.organisation(office, who)]


@post("/sites", tags=TAG, summary="Create a site")
async def create_site(office: TheOffice, who: Asker, data: JSONBody[NewSite]) -> places.Site:
    return await places.create_site(office, who, data.name, data.address, data.time_zone)


@get("/sites", tags=TAG, summary="Sites")
async def sites(office: TheOffice, who: Asker) -> list[places.Site]:
    return await places.sites(office, who)


@get("/sites/{site_id:str}", tags=TAG, summary="A site")
async def site(office: TheOffice, who: Asker, site_id: FromPath[str]) -> places.Site:
    return await places.site(office, who, site_id)


@post("/banks", tags=TAG, summary="Create a bank; its one-time enrolment code is shown here and never again")
async def create_bank(office: TheOffice, who: Asker, data: JSONBody[NewBank]) -> banks.Invitation:
    return await banks.create(office, who, data.site, data.name, _offered(data.services))


@get("/banks", tags=TAG, summary="Banks")
async def all_banks(office: TheOffice, who: Asker) -> list[banks.Bank]:
    return await banks.banks(office, who)


@get("/banks/{bank_id:str}", tags=TAG, summary="A bank, as of when it was last heard")
async def bank(office: TheOffice, who: Asker, bank_id: FromPath[str]) -> banks.Bank:
    return await banks.bank(office, who, bank_id)


@get("/banks/{bank_id:str}/services", tags=TAG, summary="The services that a bank was asked to offer")
async def services(office: TheOffice, who: Asker, bank_id: FromPath[str]) -> list[banks.Service]:
    return await banks.services(office, who, bank_id)


@put("/banks/{bank_id:str}/services", tags=TAG, status_code=202, summary="Ask a bank to offer these services")
async def replace_services(
    office: TheOffice, who: Asker, bank_id: FromPath[str], data: JSONBody[OfferedServices]
) -> Asked:
    return await banks.replace_services(office, who, bank_id, _offered(data.services))


@post("/banks/{bank_id:str}/enrolment-codes", tags=TAG, summary="A new enrolment code; earlier ones end")
async def invite(office: TheOffice, who: Asker, bank_id: FromPath[str]) -> banks.Invitation:
    return await banks.invite(office, who, bank_id)


@delete("/banks/{bank_id:str}/key", tags=TAG, summary="Take back the trust in a bank's controller")
async def revoke_key(office: TheOffice, who: Asker, bank_id: FromPath[str]) -> None:
    await banks.revoke_key(office, who, bank_id)


@get("/banks/{bank_id:str}/compartments", tags=WALL, summary="A bank's compartments, `as_of` when it was last heard")
async def compartments(office: TheOffice, who: Asker, bank_id: FromPath[str]) -> wall.Wall:
    return await wall.wall(office, who, bank_id)


@get("/banks/{bank_id:str}/compartments/{compartment_id:str}/openings", tags=WALL, summary="What a door did lately")
async def openings(
    office: TheOffice,
    who: Asker,
    bank_id: FromPath[str],
    compartment_id: FromPath[str],
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 20,
) -> list[wall.Opening]:
    found = await wall.compartment(office, who, bank_id, compartment_id)
    return await wall.openings(office, who, bank_id, found.id, limit)


@post(
    "/banks/{bank_id:str}/compartments/{compartment_id:str}/open",
    tags=WALL,
    status_code=202,
    summary="Have a door opened within 30 seconds or not at all",
)
async def open_door(
    office: TheOffice, who: Asker, bank_id: FromPath[str], compartment_id: FromPath[str], data: JSONBody[OpenDoor]
) -> Asked:
    return await wall.open_door(office, who, bank_id, compartment_id, data.reason, data.note, data.confirms)


@post(
    "/banks/{bank_id:str}/compartments/{compartment_id:str}/check",
    tags=WALL,
    status_code=202,
    summary="Vouch for what is inside a compartment",
)
async def check(
    office: TheOffice, who: Asker, bank_id: FromPath[str], compartment_id: FromPath[str], data: JSONBody[CheckDoor]
) -> Asked:
    return await wall.check(office, who, bank_id, compartment_id, data.empty)


@get("/instructions/{instruction_id:str}", tags=WALL, summary="What became of something that a wall was asked")
async def instruction(office: TheOffice, who: Asker, instruction_id: FromPath[str]) -> wall.Instruction:
    return await wall.instruction(office, who, instruction_id)


@get("/banks/{bank_id:str}/policy", tags=TAG, summary="What a bank was asked to observe beside its services")
async def rules(office: TheOffice, who: Asker, bank_id: FromPath[str]) -> banks.Rules:
    return await banks.rules(office, who, bank_id)


@put("/banks/{bank_id:str}/policy", tags=TAG, status_code=202, summary="Ask a bank to observe these rules")
async def replace_rules(office: TheOffice, who: Asker, bank_id: FromPath[str], data: JSONBody[BankRules]) -> Asked:
    return await banks.replace_rules(office, who, bank_id, msgspec.convert(data, banks.Rules, from_attributes=True))


def _offered(services: Services | None) -> tuple[banks.Service, ...]:
    if services is None:
        return banks.DEFAULT_SERVICES
    return tuple(msgspec.convert(s, banks.Service, from_attributes=True) for s in services)


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
    rules,
    replace_rules,
    invite,
    revoke_key,
    compartments,
    openings,
    open_door,
    check,
    instruction,
]
