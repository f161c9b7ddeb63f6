"""The page on which an organisation admits other organisations' parties to a wall."""

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from latchwork.server.actions import banks, parties
from latchwork.server.actions.office import Declined
from latchwork.server.web.operator.session import Form, Operator, Seal
from latchwork.server.web.render import TheOffice, page


@get("/operator/banks/{bank_id:str}/parties", include_in_schema=False)
async def show(office: TheOffice, who: Operator, bank_id: FromPath[str], seal: Seal) -> Response[str]:
    return page(
        "operator/parties.html",
        layer="operator",
        seal=seal,
        bank=await banks.bank(office, who, bank_id),
        admitted=await parties.admissions(office, who, bank_id),
    )


@post("/operator/banks/{bank_id:str}/parties", include_in_schema=False)
async def change(office: TheOffice, who: Operator, bank_id: FromPath[str], data: Form) -> Redirect:
    party = data.get("party", "").strip().lower()
    match data.get("do"):
        case "admit":
            await parties.admit(office, who, bank_id, party)
        case "dismiss":
            await parties.dismiss(office, who, bank_id, party)
        case _:
            raise Declined(422, "bad_form", "Open the page again and repeat it.")
    return Redirect(f"/operator/banks/{bank_id}/parties", status_code=303)


HANDLERS = [show, change]
