"""Who of the staff looked at whom: written whenever a name is shown to them, one line a day for who, whom and where."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from latchwork.server.access import STAFF
from latchwork.server.actions.office import LIST_MAX, Office, Who, is_id, not_found

SEEN_MAX = 10_000


class What(StrEnum):
    LIST = "list"
    PERSON = "person"
    STAY = "stay"
    EXPORT = "export"


@dataclass(frozen=True, slots=True)
class Look:
    """`at`: the first time on that day."""

    at: datetime
    person: str
    person_name: str | None
    by_name: str
    role: str
    what: str


async def record(office: Office, who: Who, what: What, people: Iterable[str | None]) -> None:
    """Before the names are shown. A party's system looks at its own customers only: that is not written down."""
    if who.role not in STAFF or who.party is not None:
        return
    now = office.now()
    fresh = {f"look {who.token} {what} {now:%F} {person}": person for person in people if person}
    for known in fresh.keys() & office.seen.keys():
        del fresh[known]
    if not fresh:
        return
    if len(office.seen) + len(fresh) > SEEN_MAX:
        office.seen.clear()
    await office.tables.do(
        "look", who.organisation, sorted(set(fresh.values())), who.token, what, now, who.name, who.role
    )
    office.seen.update(dict.fromkeys(fresh, (now, None)))


async def at(office: Office, who: Who, person: str) -> list[Look]:
    """Also at somebody who was erased since. Declines with 404."""
    if not is_id(person):
        raise not_found("person")
    found = await looks(office, who.organisation, person)
    if not found and not await office.tables.do("person", who.organisation, person):
        raise not_found("person")
    return found


async def looks(office: Office, organisation: str, person: str | None = None) -> list[Look]:
    return await office.tables.all(Look, "looks", organisation, person, LIST_MAX)
