"""What an operator changes of a stay, and of the doors of a wall. Everything is asked of the wall."""

from urllib.parse import quote

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from latchwork.server.actions import banks, changes, people, places, stays
from latchwork.server.actions.office import Declined, Office, Who
from latchwork.server.web.operator.session import Form, Operator, Seal, day_in
from latchwork.server.web.render import TheOffice, page


@get("/operator/stays/{stay_id:str}/change", include_in_schema=False)
async def change_page(office: TheOffice, who: Operator, stay_id: FromPath[str], seal: Seal) -> Response[str]:
    stay = await stays.read(office, who, stay_id)
    return page(
        "operator/change.html",
        layer="operator",
        seal=seal,
        stay=stay,
        here=stay.state in changes.HERE and stay.compartment is not None,
        waits=stay.state in stays.WAITING,
        coming=stay.state in stays.COMING,
        extendable=await changes.extendable(office, who, stay_id),
        gives=who.may("hand_over"),
        banks=[bank for bank in await banks.banks(office, who) if bank.id != stay.bank],
        zone=places.zone(stay.time_zone),
        delegates=await changes.delegates(office, who, stay_id),
        today=office.now().astimezone(places.zone(stay.time_zone)).date().isoformat(),
        once=office.new_id(),
    )


@post("/operator/stays/{stay_id:str}/change", include_in_schema=False)
async def change(office: TheOffice, who: Operator, stay_id: FromPath[str], data: Form) -> Redirect:
    await _do(office, who, stay_id, data)
    return Redirect(f"/operator/stays/{stay_id}", status_code=303)


async def _do(office: Office, who: Who, stay: str, data: dict[str, str]) -> None:
    match data.get("do"):
        case "extend":
            await changes.extend(office, who, stay, data.get("once", "")[:32] or None)
        case "hold":
            await changes.hold_until_day(office, who, stay, day_in(data))
        case "block" | "unblock" as what:
            await changes.block(office, who, stay, what == "block")
        case "reassign":
            await changes.reassign(office, who, stay, (await people.named(office, who, data.get("recipient", ""))).id)
        case "redirect":
            await changes.redirect(office, who, stay, data.get("bank", ""))
        case "dismiss":
            await changes.dismiss(office, who, stay, data.get("delegate", ""))
        case "cancel":
            await stays.cancel(office, who, stay)
        case _:
            raise Declined(422, "bad_form", "Open the page again and repeat it.")


@post("/operator/banks/{bank_id:str}/service", include_in_schema=False)
async def service(office: TheOffice, who: Operator, bank_id: FromPath[str], data: Form) -> Redirect:
    """Out of service and back, for one door or for all."""
    door, do = data.get("door", ""), data.get("do", "")
    if do not in ("withdraw", "withdraw_now", "bring_back"):
        raise Declined(422, "bad_form", "Open the page again and repeat it.")
    doors = [door] if door else []
    asked = await changes.withdraw(office, who, bank_id, doors, back=do == "bring_back", now=do == "withdraw_now")
    place = f"/operator/banks/{bank_id}"
    to = f"{place}/doors/{quote(door, safe='')}?asked={asked.instruction}" if door else place
    return Redirect(to, status_code=303)


HANDLERS = [change_page, change, service]
