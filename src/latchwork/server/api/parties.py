"""Carriers and shops: admitted to walls, and what they used."""

from litestar import Response, delete, get, put
from litestar.params import FromPath, FromQuery

from latchwork.server.actions import parties
from latchwork.server.api.guard import Asker, TheOffice

TAG = ["Parties"]


@get("/banks/{bank_id:str}/admissions", tags=TAG, summary="Which parties of others may use this bank")
async def admissions(office: TheOffice, who: Asker, bank_id: FromPath[str]) -> list[parties.Admission]:
    return await parties.admissions(office, who, bank_id)


@put(
    "/banks/{bank_id:str}/admissions/{party_id:str}", tags=TAG, summary="Admit a party that another organisation keeps"
)
async def admit(
    office: TheOffice, who: Asker, bank_id: FromPath[str], party_id: FromPath[str]
) -> list[parties.Admission]:
    return await parties.admit(office, who, bank_id, party_id)


@delete(
    "/banks/{bank_id:str}/admissions/{party_id:str}", tags=TAG, summary="Admit it no longer, once nothing of it is here"
)
async def dismiss(office: TheOffice, who: Asker, bank_id: FromPath[str], party_id: FromPath[str]) -> None:
    await parties.dismiss(office, who, bank_id, party_id)


@get("/parties/{party_id:str}/usage", tags=TAG, summary="What a party used, by month, bank, service and size")
async def usage(
    office: TheOffice,
    who: Asker,
    party_id: FromPath[str],
    since: FromQuery[str | None] = None,
    until: FromQuery[str | None] = None,
) -> list[parties.Used]:
    month = parties.this_month(office)
    return await parties.usage(office, who, party_id, since or month, until or month)


@get(
    "/parties/{party_id:str}/usage.csv", tags=TAG, media_type="text/csv", summary="The same as a file for a spreadsheet"
)
async def usage_csv(
    office: TheOffice,
    who: Asker,
    party_id: FromPath[str],
    since: FromQuery[str | None] = None,
    until: FromQuery[str | None] = None,
) -> Response[str]:
    month = parties.this_month(office)
    rows = await parties.usage(office, who, party_id, since or month, until or month)
    return _file("usage", since or month, parties.as_csv(parties.Used, rows))


@get(
    "/parties/{party_id:str}/usage/things.csv", tags=TAG, media_type="text/csv", summary="Thing by thing, times in UTC"
)
async def usage_things(
    office: TheOffice,
    who: Asker,
    party_id: FromPath[str],
    since: FromQuery[str | None] = None,
    until: FromQuery[str | None] = None,
) -> Response[str]:
    month = parties.this_month(office)
    rows = await parties.used_things(office, who, party_id, since or month, until or month)
    return _file("usage-things", since or month, parties.as_csv(parties.UsedThing, rows))


def _file(name: str, since: str, text: str) -> Response[str]:
    headers = {"Content-Disposition": f'attachment; filename="{name}-{since}.csv"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


HANDLERS = [admissions, admit, dismiss, usage, usage_csv, usage_things]
