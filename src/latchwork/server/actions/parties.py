"""Carriers and shops at walls that others run: admitted to a wall, and told what they used."""

import csv
import io
import re
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import TypeVar

from latchwork.server.actions import banks, people
from latchwork.server.actions.office import LIST_MAX, Declined, Office, Who, is_id, not_found
from latchwork.server.ledger import Gone

Line = TypeVar("Line")
MONTHS_MAX = 24
THINGS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Admission:
    party: str
    name: str
    admitted_at: datetime


@dataclass(frozen=True, slots=True)
class Used:
    """`compartment_hours`: from each deposit until it was taken out or now, within the month (UTC)."""

    month: str
    party: str | None
    party_name: str | None
    bank: str
    bank_name: str
    site_name: str
    service: str
    size: str
    deposits: int
    compartment_hours: float


@dataclass(frozen=True, slots=True)
class UsedThing:
    """One line of what the statement sums up. `compartment` and `size`: where it was last."""

    month: str
    party: str | None
    party_name: str | None
    bank: str
    bank_name: str
    site_name: str
    service: str
    stay: str
    tracking: str | None
    compartment: str | None
    size: str
    state: str
    deposited_at: datetime
    ended_at: datetime | None
    deposits: int
    compartment_hours: float


async def at_wall(office: Office, who: Who, about: str) -> Who:
    """A party as it acts at the wall that a bank, a stay or an instruction is of, which others may run."""
    if who.party is None or not is_id(about):
        return who
    organisation = await office.tables.value("wall_of", about)
    return replace(who, organisation=organisation) if organisation else who


async def admissions(office: Office, who: Who, bank: str) -> list[Admission]:
    """Those that others keep; one's own parties are admitted everywhere."""
    await banks.bank(office, who, bank)
    return await office.tables.all(Admission, "admissions", bank, LIST_MAX)


async def admit(office: Office, who: Who, bank: str, party: str) -> list[Admission]:
    """By the id that the party tells: nobody can look others' parties up."""
    await banks.bank(office, who, bank)
    if not is_id(party) or await office.house().tables.value("is_party", party) is None:
        raise not_found("party")
    await office.tables.do("admit", bank, party, office.now(), who.token)
    return await admissions(office, who, bank)


async def dismiss(office: Office, who: Who, bank: str, party: str) -> None:
    if party not in {each.party for each in await admissions(office, who, bank)}:
        raise not_found("admission")
    async with office.acting(who.organisation).tables.together() as tables:
        if not await tables.do("dismiss_party", bank, party):
            raise Declined(
                409, "compartment_occupied", "Something of theirs is here or expected. Wait until it has gone."
            )
        office.note(Gone.ADMISSION, who.organisation, f"{bank} {party}")


@dataclass(frozen=True, slots=True)
class UsedDay:
    day: int
    deposits: int


async def usage(office: Office, who: Who, party: str | None, since: str, until: str) -> list[Used]:
    """By month, such as 2026-11, both included. Without a party of all, and of what is of no party."""
    return await _used(office, who, Used, "usage", party, since, until)


async def used_things(office: Office, who: Who, party: str | None, since: str, until: str) -> list[UsedThing]:
    """Thing by thing. Declines with 413 where there are too many for one file."""
    found = await _used(office, who, UsedThing, "used_things", party, since, until, THINGS_MAX + 1)
    if len(found) > THINGS_MAX:
        raise Declined(413, "too_large", "There are more than {n} things. Ask for fewer months.", n=THINGS_MAX)
    return found


async def used_days(office: Office, month: str) -> list[int]:
    """How many were put in on each day (UTC) of a month, from the first."""
    first = _month(month)
    found = await office.tables.all(UsedDay, "used_days", first, office.now())
    put_in = {each.day: each.deposits for each in found}
    return [put_in.get(day, 0) for day in range(1, monthrange(first.year, first.month)[1] + 1)]


def months(office: Office) -> list[str]:
    """Of which a statement can be seen at once, the latest first."""
    now = office.now().astimezone(UTC)
    last = now.year * 12 + now.month - 1
    return [f"{n // 12}-{n % 12 + 1:02d}" for n in range(last, last - MONTHS_MAX, -1)]


async def _used(
    office: Office, who: Who, kind: type[Line], query: str, party: str | None, since: str, until: str, *more: object
) -> list[Line]:
    first, last = _month(since), _month(until)
    if not 0 <= (last.year - first.year) * 12 + last.month - first.month < MONTHS_MAX:
        raise Declined(422, "bad_month", "Ask for at most {n} months, the earlier one first.", n=MONTHS_MAX)
    known = party is None or is_id(party)
    found = await office.tables.all(kind, query, party, first, last, office.now(), *more) if known else []
    if not found and party is not None:
        await people.party(office, who, party)
    return found


def as_csv(kind: "type[Used | UsedThing]", rows: "Sequence[Used | UsedThing]") -> str:
    """As spreadsheets take it: marked as UTF-8, and with a mark in front of what they would take for a formula."""
    out = io.StringIO("\ufeff")
    out.seek(1)
    writer = csv.writer(out)
    writer.writerow([field.name for field in fields(kind)])
    writer.writerows([_cell(x) for x in asdict(row).values()] for row in rows)
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return f"'{value}" if str(value).startswith(("=", "+", "-", "@", "\t")) else value


def this_month(office: Office) -> str:
    return months(office)[0]


def _month(text: str) -> datetime:
    if not re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", text):
        raise Declined(422, "bad_month", "A month is written like 2026-11.")
    return datetime(int(text[:4]), int(text[5:]), 1, tzinfo=UTC)
