"""Recipients, carriers, and the passes of couriers and staff."""

from dataclasses import dataclass
from typing import Annotated

import msgspec
from litestar import Response, delete, get, post, put
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter, RawBody

from latchwork.server.actions import looks, partners, passes, people, privacy, roster, spreadsheet
from latchwork.server.actions.office import Asked
from latchwork.server.api.bodies import Holiday, NewParty, NewPass, NewPerson
from latchwork.server.api.guard import Asker, Key, TheOffice, given

TAG = ["People"]
PASSES = ["Passes"]


@dataclass
class _TakesCsv(Operation):
    """Its body is a file, which Litestar itself does not describe."""

    def __post_init__(self) -> None:
        self.request_body = RequestBody({"text/csv": OpenAPIMediaType(Schema(type=OpenAPIType.STRING))}, required=True)


@post("/people", tags=TAG, summary="Create a person who receives things")
async def create_person(office: TheOffice, who: Asker, data: JSONBody[NewPerson]) -> people.Person:
    return await people.create_person(office, who, msgspec.convert(data, people.Details, from_attributes=True))


@post(
    "/people/import",
    tags=TAG,
    status_code=200,
    operation_class=_TakesCsv,
    request_max_body_size=spreadsheet.BYTES_MAX,
    summary="Compare a spreadsheet with the people of a site, or of all; unless it is a dry run, take it over",
)
async def import_people(
    office: TheOffice,
    who: Asker,
    body: RawBody,
    site: FromQuery[str | None] = None,
    calling_code: Annotated[str, QueryParameter(pattern="^([1-9][0-9]{0,2})?$")] = "",
    dry_run: FromQuery[bool] = True,
) -> roster.Imported:
    return await roster.take_in(office, who, body, site, calling_code, dry_run)


@get("/people", tags=TAG, summary="People by name, 500 at a time; `q`: words of a name, a unit, an id or an address")
async def all_people(
    office: TheOffice,
    who: Asker,
    q: Annotated[str, QueryParameter(max_length=200)] = "",
    after: Annotated[
        str | None, QueryParameter(pattern="^[0-9a-f]{32}$", description="Whom the last list ended with")
    ] = None,
) -> list[people.Person]:
    return await people.people(office, who, q, after)


@get("/people/{person_id:str}", tags=TAG, summary="A person")
async def person(office: TheOffice, who: Asker, person_id: FromPath[str]) -> people.Person:
    return await people.person(office, who, person_id)


@put("/people/{person_id:str}", tags=TAG, summary="Change a person: all of it anew")
async def change_person(
    office: TheOffice, who: Asker, person_id: FromPath[str], data: JSONBody[NewPerson]
) -> people.Person:
    new = msgspec.convert(data, people.Details, from_attributes=True)
    return await people.change_person(office, who, person_id, new)


@put("/people/{person_id:str}/holiday", tags=TAG, summary="Hold whatever is here for a person until they are back")
async def holiday(office: TheOffice, who: Asker, person_id: FromPath[str], data: JSONBody[Holiday]) -> people.Person:
    return await people.set_away(office, who, person_id, data.until)


@delete(
    "/people/{person_id:str}",
    tags=TAG,
    status_code=200,
    summary="Erase a person, and get the receipt of it; what happened at the walls stays provable",
)
async def erase_person(office: TheOffice, who: Asker, person_id: FromPath[str]) -> privacy.Erasure:
    return await privacy.erase(office, who, person_id)


@get("/people/{person_id:str}/export", tags=TAG, summary="All that is held about a person, as one file")
async def export(office: TheOffice, who: Asker, person_id: FromPath[str]) -> Response[privacy.Export]:
    headers = {"Content-Disposition": f'attachment; filename="person-{person_id}.json"'}
    return Response(await privacy.export(office, who, person_id), headers=headers)


@get("/people/{person_id:str}/looks", tags=TAG, summary="Who of the staff saw a person's name, a line a day")
async def looked(office: TheOffice, who: Asker, person_id: FromPath[str]) -> list[looks.Look]:
    return await looks.at(office, who, person_id)


@get("/erasures", tags=TAG, summary="Who was erased, by ids that are nobody's any more")
async def all_erasures(office: TheOffice, who: Asker) -> list[privacy.Erasure]:
    return await privacy.erasures(office, who)


@get(
    "/erasures/{erasure_id:str}",
    tags=TAG,
    summary="An erasure, and which walls still have to hear of it",
)
async def erasure(office: TheOffice, who: Asker, erasure_id: FromPath[str]) -> privacy.Erasure:
    return await privacy.erasure(office, who, erasure_id)


@get("/retention", tags=TAG, summary="How long what need not be kept is kept")
async def retention(office: TheOffice, who: Asker) -> privacy.Retention:
    return await privacy.retention(office, who.organisation)


@put("/retention", tags=TAG, summary="Keep it longer or less long")
async def set_retention(office: TheOffice, who: Asker, data: JSONBody[privacy.Retention]) -> privacy.Retention:
    return await privacy.set_retention(office, who, data)


@post("/parties", tags=TAG, summary="Create a carrier or shop whose things come here")
async def create_party(office: TheOffice, who: Asker, data: JSONBody[NewParty]) -> people.Party:
    return await partners.create(office, who, data.name)


@get("/parties", tags=TAG, summary="Carriers and shops")
async def parties(office: TheOffice, who: Asker) -> list[people.Party]:
    return await people.parties(office, who)


@get("/parties/{party_id:str}", tags=TAG, summary="A carrier or shop")
async def party(office: TheOffice, who: Asker, party_id: FromPath[str]) -> people.Party:
    return await people.party(office, who, party_id)


@get("/parties/{party_id:str}/rule", tags=TAG, summary="Which returns of a carrier or shop are taken in")
async def rule(office: TheOffice, who: Asker, party_id: FromPath[str]) -> partners.Rule:
    return await partners.rule(office, who, party_id)


@put("/parties/{party_id:str}/rule", tags=TAG, summary="Say which returns are taken in, and whom to ask")
async def set_rule(
    office: TheOffice, who: Asker, party_id: FromPath[str], data: JSONBody[partners.Rule]
) -> partners.Rule:
    return await partners.set_rule(office, who, party_id, data)


@post("/passes", tags=PASSES, status_code=202, summary="Ask a wall to let somebody in")
async def grant(office: TheOffice, who: Asker, data: JSONBody[NewPass], idempotency_key: Key = None) -> passes.Pass:
    new = msgspec.convert(data, passes.NewPass, from_attributes=True)
    return await passes.grant(office, who, new, given(idempotency_key))


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
    change_person,
    import_people,
    all_people,
    rule,
    set_rule,
    person,
    holiday,
    erase_person,
    export,
    looked,
    all_erasures,
    erasure,
    retention,
    set_retention,
    create_party,
    parties,
    party,
    grant,
    all_passes,
    one_pass,
    revoke,
]
