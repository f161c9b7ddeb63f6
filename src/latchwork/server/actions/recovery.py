"""A wall whose controller was replaced, or set back to an old image: a person says that it goes on from our log."""

from dataclasses import dataclass
from datetime import datetime

from latchwork.server.actions import banks
from latchwork.server.actions.office import Declined, Office, Who


@dataclass(frozen=True, slots=True)
class Recovery:
    """How a controller's log and ours have parted, by what it has shown of its own."""

    confirmed: bool
    """It is told to go on from our log as soon as it is on line and nobody is at the wall."""
    refused: str | None
    """Why the controller would not: then somebody has to look at it."""
    lost: int
    """Entries of our log that it lacks."""
    lost_since: datetime | None
    own: int
    """Entries that it wrote and we did not have: kept as evidence, and told again in its new epoch."""
    own_since: datetime | None


async def recovery(office: Office, who: Who, bank_id: str) -> Recovery:
    bank = await banks.bank(office, who, bank_id)
    if bank.divided is None:
        raise Declined(409, "not_divided", "This wall's log is a continuation of ours. There is nothing to decide.")
    found = await office.tables.one(Recovery, "recovery", bank_id)
    if found is None:
        detail = "The controller has not told yet what it has of its own. It does so when it next comes on line."
        raise Declined(409, "not_heard_yet", detail)
    return found


async def confirm(office: Office, who: Who, bank_id: str) -> Recovery:
    """Let the controller that is enrolled now go on from our log, in a new epoch. Asked again, it changes nothing."""
    await recovery(office, who, bank_id)
    if not await office.tables.do("confirm_recovery", bank_id, who.organisation, office.now(), who.token):
        raise Declined(409, "key_revoked", "The controller's key is revoked. Enrol a controller first.")
    return await recovery(office, who, bank_id)
