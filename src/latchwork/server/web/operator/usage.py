"""What carriers, shops and everybody else used in a month: a page, and the same as files for a spreadsheet."""

from dataclasses import dataclass
from datetime import date
from itertools import groupby

from litestar import Response, get
from litestar.params import FromQuery

from latchwork.server.actions import parties
from latchwork.server.web.operator.session import Operator, Seal
from latchwork.server.web.render import TheOffice, attached, page

USAGE = "/operator/usage"
CSV = "text/csv; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Statement:
    """Of one party; without an id, of what is of no party."""

    party: str | None
    name: str | None
    lines: list[parties.Used]

    @property
    def deposits(self) -> int:
        return sum(line.deposits for line in self.lines)

    @property
    def hours(self) -> float:
        return sum(line.compartment_hours for line in self.lines)


@get(USAGE, include_in_schema=False)
async def show(office: TheOffice, who: Operator, seal: Seal, month: FromQuery[str | None] = None) -> Response[str]:
    month = month or parties.this_month(office)
    used = await parties.usage(office, who, None, month, month)
    by_party = groupby(used, lambda line: (line.party, line.party_name))
    return page(
        "operator/usage.html",
        layer="operator",
        seal=seal,
        month=month,
        months={each: date.fromisoformat(f"{each}-01") for each in parties.months(office)},
        statements=[Statement(party, name, list(lines)) for (party, name), lines in by_party],
        days=await parties.used_days(office, month) if used else [],
    )


@get(f"{USAGE}.csv", include_in_schema=False)
async def as_file(
    office: TheOffice, who: Operator, month: FromQuery[str | None] = None, party: FromQuery[str | None] = None
) -> Response[str]:
    month = month or parties.this_month(office)
    used = await parties.usage(office, who, party, month, month)
    return attached(f"usage-{month}.csv", parties.as_csv(parties.Used, used), CSV)


@get(f"{USAGE}/things.csv", include_in_schema=False)
async def things(
    office: TheOffice, who: Operator, month: FromQuery[str | None] = None, party: FromQuery[str | None] = None
) -> Response[str]:
    month = month or parties.this_month(office)
    used = await parties.used_things(office, who, party, month, month)
    return attached(f"usage-things-{month}.csv", parties.as_csv(parties.UsedThing, used), CSV)


HANDLERS = [show, as_file, things]
