"""What people were told, and what could not be delivered."""

from dataclasses import dataclass
from datetime import datetime

from latchwork.server.actions.office import LIST_MAX, Office, Who


@dataclass(frozen=True, slots=True)
class Told:
    """`dead`: it will not be tried again; `last_error` says why, or that it was outdated or had no address."""

    id: str
    kind: str
    stay: str
    bank: str
    due_at: datetime
    tries: int
    last_error: str | None
    sent_at: datetime | None
    dead: bool


async def notices(office: Office, who: Who, dead: bool = False, limit: int = 100) -> list[Told]:
    return await office.tables.all(Told, "notices", who.organisation, dead, min(limit, LIST_MAX))
