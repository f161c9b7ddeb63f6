"""Recipients, carriers, and the passes of couriers and staff."""

from litestar import delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from latchwork.server.actions import passes, people
from latchwork.server.actions.office import Asked
from latchwork.server.api.bodies import NewParty, NewPass, NewPerson
from latchwork.server.api.guard import Asker, TheOffice

TAG = ["People"]
PASSES = ["Passes"]


@post("/people", tags=TAG, summary="Create a person who receives things")
async def create_person(office: TheOffice, who: Asker, data: JSONBody[NewPerson]) -> people.Person:
    return await people.create_person(office, who, data.name, data.email, data.unit, data.site)


@get("/people", tags=TAG, summary="People")
async def all_people(office: TheOffice, who: Asker) -> list[people.Person]:
    return await people.people(office, who)


@get("/people/{person_id:str}", tags=TAG, summary="A person")
async def person(office: TheOffice, who: Asker, person_id: FromPath[str]) -> people.Person:
    return await people.person(office, who, person_id)


@delete("/people/{person_id:str}", tags=TAG, summary="Erase a person; what happened at the walls stays provable")
async def erase_person(office: TheOffice, who: Asker, person_id: FromPath[str]) -> None:
    await people.erase_person(office, who, person_id)


@post("/parties", tags=TAG, summary="Create a carrier or shop whose things come here")
async def create_party(office: TheOffice, who: Asker, data: JSONBody[NewParty]) -> people.Party:
    return await people.create_party(office, who, data.name)


@get("/parties", tags=TAG, summary="Carriers and shops")
async def parties(office: TheOffice, who: Asker) -> list[people.Party]:
    return await people.parties(office, who)


@get("/parties/{party_id:str}", tags=TAG, summary="A carrier or shop")
async def party(office: TheOffice, who: Asker, party_id: FromPath[str]) -> people.Party:
    return await people.party(office, who, party_id)


@post("/passes", tags=PASSES, status_code=202, summary="Ask a wall to let a courier or a member of staff in")
async def grant(office: TheOffice, who: Asker, data: JSONBody[NewPass]) -> passes.Pass:
    return await passes.grant(office, who, data.bank, data.role, data.party, data.holder, data.valid_until)


@get("/passes", tags=PASSES, summary="Passes, of one bank or of all")
async def all_passes(office: TheOffice, who: Asker, bank: FromQuery[str | None] = None) -> list[passes.Pass]:
    return await passes.passes(office, who, bank)


@get("/passes/{pass_id:str}", tags=PASSES, summary="A pass, with its digits once the wall has granted it")
async def one_pass(office: TheOffice, who: Asker, pass_id: FromPath[str]) -> passes.Pass:
    return await passes.read(office, who, pass_id)


@delete("/passes/{pass_id:str}", tags=PASSES, status_code=202, summary="Ask the wall to believe a pass no longer")
async def revoke(office: TheOffice, who: Asker, pass_id: FromPath[str]) -> Asked:
    return await passes.revoke(office, who, pass_id)


HANDLERS = [
    create_person,
    all_people,
    person,
    erase_person,
    create_party,
    parties,
    party,
    grant,
    all_passes,
    one_pass,
    revoke,
]
