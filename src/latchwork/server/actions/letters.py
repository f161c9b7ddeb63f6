"""What a notice says, found out at the moment of sending: the outbox holds ids, never words or codes (rule 28)."""

from dataclasses import dataclass

from latchwork.domain.effects import Notice
from latchwork.domain.words import StayState
from latchwork.server.actions import parcel, stays
from latchwork.server.actions.office import Declined, Office

STILL_TRUE: dict[str, frozenset[str]] = {
    Notice.READY: frozenset({StayState.DEPOSITED, StayState.EXPIRED}),
    Notice.COLLECTED: frozenset({StayState.COLLECTED}),
    Notice.EXPIRED: frozenset({StayState.EXPIRED}),
    Notice.RECALLED: frozenset({StayState.RECALLED, StayState.RETURNED}),
}
"""In which states of its stay a notice may still be sent (rule 11)."""


@dataclass(frozen=True, slots=True)
class Addressee:
    name: str
    email: str | None


@dataclass(frozen=True, slots=True)
class Letter:
    id: str
    kind: str
    to: str
    name: str
    parcel: parcel.Parcel


@dataclass(frozen=True, slots=True)
class NotSent:
    """Why there is nothing to send: `outdated` or `no_address`."""

    why: str


async def letter(office: Office, notice: str, kind: str, stay: str, person: str) -> Letter | NotSent:
    try:
        row = await stays.row(office, stay, None)
    except Declined:
        return NotSent("outdated")
    # What a courier takes out, such as a return, has no code for its recipient.
    codeless = kind in (Notice.READY, Notice.EXPIRED) and row.pickup_pass is None
    if codeless or row.state not in STILL_TRUE.get(kind, frozenset()):
        return NotSent("outdated")
    found = await office.tables.one(Addressee, "address", person)
    if found is None or not found.email:
        return NotSent("no_address")
    return Letter(notice, kind, found.email, found.name, parcel.told(office, row))
