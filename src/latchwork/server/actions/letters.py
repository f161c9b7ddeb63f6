"""What a notice says, found out at the moment of sending: the outbox holds ids, never words or codes (rule 28)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from latchwork.domain.effects import Notice
from latchwork.domain.words import StayState
from latchwork.server.actions import parcel, stays
from latchwork.server.actions.changes import DelegateRow
from latchwork.server.actions.office import Declined, Office
from latchwork.server.actions.reminders import DELEGATED, OFFER, OPENED, OVERFLOW, REDIRECTED, REMINDER

STILL_TRUE: dict[str, frozenset[str]] = {
    Notice.READY: stays.WAITING,
    Notice.COLLECTED: frozenset({StayState.COLLECTED}),
    Notice.EXPIRED: frozenset({StayState.EXPIRED}),
    Notice.RECALLED: frozenset({StayState.RECALLED, StayState.RETURNED}),
    Notice.EXTENDED: stays.WAITING,
    Notice.MOVED: stays.WAITING,
    Notice.NOT_DELIVERED: frozenset({StayState.EXPECTED, StayState.CANCELLED}),
    Notice.RETURNED: frozenset({StayState.RETURNED}),
    REMINDER: frozenset({StayState.DEPOSITED}),
    DELEGATED: stays.WAITING,
    OFFER: frozenset({StayState.RESERVED}),
    OVERFLOW: frozenset({StayState.EXCEPTION, StayState.EXPECTED}),
    REDIRECTED: stays.COMING,
    OPENED: frozenset(StayState),
}
"""In which states of its stay a notice may still be sent (rule 11)."""
CODED = frozenset({Notice.READY, Notice.EXPIRED, Notice.EXTENDED, Notice.MOVED, REMINDER, DELEGATED})
"""Notices with a code in them; what a courier takes out, such as a return, has none for its recipient."""


@dataclass(frozen=True, slots=True)
class Addressee:
    name: str
    email: str | None
    language: str
    unwanted: Sequence[str]


@dataclass(frozen=True, slots=True)
class Letter:
    id: str
    kind: str
    to: str
    name: str
    parcel: parcel.Parcel
    language: str = "en"
    until: datetime | None = None
    """Instead of the parcel's own deadline."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """Why there is nothing to send: `outdated`, `no_address` or `unwanted`."""

    why: str


async def letter(office: Office, notice: str, kind: str, stay: str, person: str) -> Letter | NotSent:
    """`person`: of a mail to a delegate, their pass."""
    try:
        # That a courier could not put it in is true of that bank, wherever it is now.
        row = await stays.row(office, stay, None, follow=kind != Notice.NOT_DELIVERED)
    except Declined:
        return NotSent("outdated")
    if row.state not in STILL_TRUE.get(kind, frozenset()) or (kind in CODED and row.pickup_pass is None):
        return NotSent("outdated")
    told = parcel.told(office, row)
    if kind == DELEGATED:
        return await _to_delegate(office, notice, row, told, person)
    if person != row.recipient:  # it is somebody else's by now
        return NotSent("outdated")
    found = await office.tables.one(Addressee, "address", person)
    if found is None or not found.email:
        return NotSent("no_address")
    if kind in found.unwanted:
        return NotSent("unwanted")
    until = row.offered_until if kind == OFFER else None
    return Letter(notice, kind, found.email, found.name, told, found.language, _local(told, until))


async def _to_delegate(
    office: Office, notice: str, row: stays.Row, told: parcel.Parcel, pass_id: str
) -> Letter | NotSent:
    """Their own code, and not the parcel's page: that is the recipient's. Where the wall has not heard of them yet,
    a QR code alone."""
    found = await office.tables.one(DelegateRow, "delegates", None, pass_id)
    sent = found.shown(office) if found else None
    if sent is None or sent.ticket is None:
        return NotSent("outdated")
    if not sent.email:
        return NotSent("no_address")
    owner = await office.tables.one(Addressee, "address", row.recipient)
    theirs = replace(told, pin=sent.digits, qr=sent.ticket, page="")
    language = owner.language if owner else "en"
    return Letter(notice, DELEGATED, sent.email, sent.name, theirs, language, _local(told, sent.until))


def _local(told: parcel.Parcel, at: datetime | None) -> datetime | None:
    return at.astimezone(told.zone) if at else None
