"""People from a spreadsheet: what would become of each row, then what became of it, and who has left."""

import base64
import binascii
import re

from litestar import Response, get, post
from litestar.datastructures import UploadFile

from latchwork.server.actions import places, privacy, roster, spreadsheet
from latchwork.server.actions.office import Declined, Office, Who
from latchwork.server.web.operator.session import Operator, Seal
from latchwork.server.web.render import AnyRequest, TheOffice, page

PEOPLE = "/operator/people"
IMPORT = f"{PEOPLE}/import"
NAMES = {
    "name": "name",
    "unit": "unit",
    "external_id": "id",
    "email": "e-mail",
    "other_emails": "other addresses",
    "phones": "telephone numbers",
    "language": "language",
    "kind": "kind",
    "site": "site",
    "contact": "key contact",
}
"""Of what changed."""
FORM_BYTES_MAX = spreadsheet.BYTES_MAX * 4 // 3 + 16 * 1024
"""The file once more, in base64."""
ERASED_BYTES_MAX = 64 * spreadsheet.ROWS_MAX


@get(IMPORT, include_in_schema=False)
async def import_page(office: TheOffice, who: Operator, seal: Seal) -> Response[str]:
    return await _page(office, who, seal)


@post(IMPORT, include_in_schema=False, status_code=200, request_max_body_size=FORM_BYTES_MAX)
async def take_in(request: AnyRequest, office: TheOffice, who: Operator, seal: Seal) -> Response[str]:
    form = await request.form()
    uploaded, site = form.get("file"), str(form.get("site", "")) or None
    code = str(form.get("calling_code", "")).strip().removeprefix("+")
    if code and not re.fullmatch("[1-9][0-9]{0,2}", code):
        raise Declined(422, "bad_calling_code", "A calling code has up to three digits, such as 49.")
    if isinstance(uploaded, UploadFile):
        data, dry_run = await uploaded.read(), True
    else:
        data, dry_run = _carried(str(form.get("carried", ""))), False
    done = await roster.take_in(office, who, data, site, code, dry_run)
    carried = base64.b64encode(data).decode() if dry_run else ""
    return await _page(office, who, seal, done=done, carried=carried, site=site, code=code)


@post(f"{PEOPLE}/erase", include_in_schema=False, status_code=200, request_max_body_size=ERASED_BYTES_MAX)
async def erase(request: AnyRequest, office: TheOffice, who: Operator, seal: Seal) -> Response[str]:
    form = await request.form()
    left = [str(x) for x in form.getall("person", [])]
    if form.get("do") == "all":
        left = str(form.get("left", "")).split()
        if str(form.get("count", "")).strip() != str(len(left)):
            raise Declined(422, "not_sure", "Type how many people are to be erased. Nobody was erased.")
    if not left:
        raise Declined(422, "nobody", "Tick who is to be erased. Nobody was erased.")
    return await _page(office, who, seal, erased=len(await privacy.erase_several(office, who, left)))


async def _page(
    office: Office,
    who: Who,
    seal: str,
    done: roster.Imported | None = None,
    carried: str = "",
    site: str | None = None,
    code: str = "",
    erased: int = 0,
) -> Response[str]:
    return page(
        "operator/roster.html",
        layer="operator",
        seal=seal,
        sites=await places.sites(office, who),
        done=done,
        carried=carried,
        site=site,
        code=code,
        erased=erased,
        names=NAMES,
    )


def _carried(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Declined(422, "no_file", "Choose a file.") from None


HANDLERS = [import_page, take_in, erase]
