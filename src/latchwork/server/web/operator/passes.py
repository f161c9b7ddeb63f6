"""Who gets in at a wall: couriers, staff and households, with their codes."""

from datetime import date, datetime, time, timedelta, tzinfo

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from latchwork.domain.words import Role
from latchwork.server.actions import banks, parties, passes, people, places
from latchwork.server.actions.office import Declined, Office, Who
from latchwork.server.web.operator.session import Form, Operator, Seal, day_in
from latchwork.server.web.render import TheOffice, page

ENDED = ("revoked", "refused")


@get("/operator/banks/{bank_id:str}/passes", include_in_schema=False)
async def show(office: TheOffice, who: Operator, bank_id: FromPath[str], seal: Seal) -> Response[str]:
    bank = await banks.bank(office, who, bank_id)
    given = await passes.passes(office, who, bank_id)
    return page(
        "operator/passes.html",
        layer="operator",
        seal=seal,
        bank=bank,
        zone=places.zone(bank.time_zone),
        passes=[x for x in given if x.state not in ENDED],
        carriers=await _carriers(office, who, bank_id),
        now=office.now(),
    )


@post("/operator/banks/{bank_id:str}/passes", include_in_schema=False)
async def let_in(office: TheOffice, who: Operator, bank_id: FromPath[str], data: Form) -> Redirect:
    bank = await banks.bank(office, who, bank_id)
    told = {name: " ".join(data.get(name, "").split()) for name in ("holder", "recipient", "card")}
    if data.get("role") not in set(Role) or len(told["holder"]) > 200:
        raise Declined(422, "bad_form", "Open the page again and repeat it.")
    new = passes.NewPass(
        bank=bank.id,
        role=Role(data["role"]),
        party=data.get("party") or None,
        recipient=(await people.named(office, who, told["recipient"])).id if told["recipient"] else None,
        holder=told["holder"] or None,
        valid_until=_end_of(day_in(data), places.zone(bank.time_zone)) if data.get("day") else None,
        daily="daily" in data,
        card=passes.number_of(told["card"]) if told["card"] else None,
    )
    await passes.grant(office, who, new)
    return _back(bank.id)


@post("/operator/banks/{bank_id:str}/passes/{pass_id:str}/end", include_in_schema=False)
async def end(office: TheOffice, who: Operator, bank_id: FromPath[str], pass_id: FromPath[str]) -> Redirect:
    await passes.revoke(office, who, pass_id)
    return _back(bank_id)


async def _carriers(office: Office, who: Who, bank: str) -> dict[str, str]:
    """Names by party: one's own, and those of others that may use this wall."""
    admitted = {each.party: each.name for each in await parties.admissions(office, who, bank)}
    return {each.id: each.name for each in await people.parties(office, who)} | admitted


def _end_of(day: date, zone: tzinfo | None) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), zone)


def _back(bank: str) -> Redirect:
    return Redirect(f"/operator/banks/{bank}/passes", status_code=303)


HANDLERS = [show, let_in, end]
