"""A parcel as its recipient may see it, by the secret link: state, code, QR, where and until when. No account."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise

from latchwork.domain.words import StayState
from latchwork.server.actions import banks, places, stays
from latchwork.server.actions.office import Office

QR_DAYS_MAX = 14
"""A QR code outlives the deadline by so much, because an expired stay stays collectible (rule 14). It is also how
long an offline wall goes on believing a QR code that was revoked."""
DOORS_MAX = 2_000


@dataclass(frozen=True, slots=True)
class Place:
    """A door as a picture needs it; nothing of what is behind it."""

    id: str
    width_mm: int
    height_mm: int


@dataclass(frozen=True, slots=True)
class Parcel:
    """Times are in the site's own zone."""

    stay: str
    bank: str
    bank_name: str
    site_name: str
    address: str
    service: str
    state: str
    reason: str | None
    presumed: bool
    tracking: str | None
    recipient_name: str | None
    language: str | None
    """The recipient's."""
    compartment: str | None
    pin: str | None
    """Digits to collect with."""
    drop_off_pin: str | None
    qr: str | None
    """Text of the QR code that collects it."""
    deadline: datetime | None
    ended_at: datetime | None
    heard_at: datetime | None
    stale: bool
    """Whether the wall has been silent for a while."""
    page: str
    help: bool
    """Whether a person should look at it."""
    doors: "tuple[Place, ...]" = ()
    """The wall, for the picture; empty where there is nothing to find."""
    shelf: bool = False
    """The compartment is no door, but a place in the open or behind a gate."""
    zone: tzinfo | None = None
    fallback: str | None = None
    """Where it goes when it cannot be delivered here."""
    waiting_position: int | None = None
    kept_until: datetime | None = None
    """So long a compartment is reserved for it before it comes."""
    left: timedelta | None = None
    pending: tuple[str, ...] = ()
    """What its wall was asked and has not answered."""
    out_of_service: bool = False
    """Its compartment is: no code opens it."""
    same_code: bool = False
    """Whether a code that they have at another bank opens it too."""
    events: tuple[stays.Event, ...] = ()


async def parcel(office: Office, token: str, *, with_story: bool = True) -> Parcel:
    """Declines with 404 for a link that we did not make."""
    office, row = await stays.by_link(office, token)
    found = told(office, row, tuple(await stays.story(office, row)) if with_story else ())
    if found.compartment is None or found.shelf:
        return found
    return replace(found, doors=tuple(await office.tables.all(Place, "places", row.bank, DOORS_MAX)))


def told(office: Office, row: stays.Row, events: tuple[stays.Event, ...] = ()) -> Parcel:
    zone = places.zone(row.time_zone) or UTC
    pin, drop_off = stays.pickup_digits(office, row), stays.drop_off_digits(office, row)
    qr = None
    if pin is not None and row.pickup_pass and row.deposited_at and row.deadline:
        until = row.deadline + timedelta(days=QR_DAYS_MAX)
        qr = office.vault.ticket(row.bank, row.pickup_pass, row.deposited_at - timedelta(minutes=5), until)

    def local(at: datetime | None) -> datetime | None:
        return at.astimezone(zone) if at else None

    return Parcel(
        stay=row.id,
        bank=row.bank,
        bank_name=row.bank_name,
        site_name=row.site_name,
        address=row.address,
        service=row.service,
        state=row.state,
        reason=row.reason,
        presumed=row.presumed,
        tracking=row.tracking,
        recipient_name=row.recipient_name,
        language=row.language,
        compartment=row.compartment if row.state in _PLACED else None,
        shelf=row.shelf,
        pin=pin,
        drop_off_pin=drop_off,
        qr=qr,
        deadline=local(row.deadline) if row.state in stays.WAITING else None,
        ended_at=local(row.ended_at),
        heard_at=local(row.heard_at),
        stale=banks.silent(office, row.heard_at),
        page=stays.page(office, row.id),
        zone=zone,
        fallback=None if row.fallback == "neighbour" and row.also else row.fallback,  # this page is of the neighbour
        waiting_position=row.waiting_position,
        kept_until=local(row.deadline) if row.state == StayState.RESERVED else None,
        left=row.deadline - office.now() if row.deadline and row.state == StayState.DEPOSITED else None,
        pending=tuple(row.pending),
        help=row.state in (StayState.BLOCKED, StayState.EXCEPTION) and row.fallback is None,
        out_of_service=row.out_of_service and row.state in stays.WAITING,
        same_code=row.same_code,
        events=tuple(_local(event, local(event.at)) for event in events),
    )


_PLACED = frozenset({StayState.RESERVED, *stays.WAITING})


def _local(event: stays.Event, at: datetime | None) -> stays.Event:
    assert at is not None
    return replace(event, at=at)


def grouped(digits: str) -> str:
    """In threes and fours, as people read and type."""
    groups = -(-len(digits) // 4)
    size, longer = divmod(len(digits), groups)
    ends = (n * size + min(n, longer) for n in range(groups + 1))
    return " ".join(digits[a:b] for a, b in pairwise(ends))
