"""What machines may say: every string, number and list has its bounds here, and they stand in the OpenAPI document."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from latchwork.domain.words import Climate, Ending, Reason, Role, Shares
from latchwork.server.actions.people import EMAIL, OTHERS_MAX, PHONE, Kind, News
from latchwork.ui.words import languages

# Printable, in any script; a line may break only in an address or a note.
Line = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Short = Annotated[str, Meta(max_length=60, pattern=r"^[^\x00-\x1f\x7f]*$")]
Text = Annotated[str, Meta(max_length=1000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
Id = Annotated[str, Meta(min_length=32, max_length=32, pattern=r"^[0-9a-f]{32}$")]
Name = Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[a-z][a-z0-9_-]*$")]
Door = Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[^\x00-\x1f\x7f]*$")]
Card = Annotated[str, Meta(max_length=64, pattern=r"^ *([0-9A-Fa-f] *){4,32}$")]
Email = Annotated[str, Meta(max_length=254, pattern=EMAIL)]
Millimetres = Annotated[int, Meta(ge=1, le=10_000)]
Hours = Annotated[int, Meta(ge=0, le=8760)]
Moment = Annotated[datetime, Meta(tz=True)]
OfferMinutes = Annotated[int, Meta(ge=5, le=4320)]


Doors = Annotated[list[Door], Meta(max_length=2000)]


class NewOrganisation(Struct, frozen=True, forbid_unknown_fields=True):
    name: Line


class NewSite(Struct, frozen=True, forbid_unknown_fields=True):
    """`time_zone` is an IANA name, such as Europe/Berlin."""

    name: Line
    time_zone: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$")]
    address: Text = ""


class OuterSize(Struct, frozen=True, forbid_unknown_fields=True):
    width_mm: Millimetres
    height_mm: Millimetres
    depth_mm: Millimetres


class OpenHours(Struct, frozen=True, forbid_unknown_fields=True):
    """A span of one weekday (Monday is 0) in the site's own time, in minutes after midnight; `to` is not in it."""

    weekday: Annotated[int, Meta(ge=0, le=6)]
    since: Annotated[int, Meta(ge=0, le=1439)]
    to: Annotated[int, Meta(ge=1, le=1440)]


class ServiceOffered(Struct, frozen=True, forbid_unknown_fields=True):
    """`pickup_hours_max`: from deposit to expiry; with 0 a thing is past its time as soon as it is in. A service with
    a `party` or a `size_max` is for those only, and goes before the general one. What each field means to the wall
    stands in docs/reference/api.md."""

    id: Name
    deposit_by: Role
    collect_by: Role
    pickup_hours_max: Hours
    party: Id | None = None
    size_max: OuterSize | None = None
    climate: Climate | None = None
    shares: Shares = Shares.NONE
    walk_in: bool = False
    holds_unknown: bool = False
    hours: Annotated[list[OpenHours], Meta(max_length=50)] = []
    day_ends: Annotated[int, Meta(ge=1, le=1440)] | None = None
    reminder_hours: Annotated[list[Annotated[int, Meta(ge=1, le=8760)]], Meta(max_length=5)] = []
    extensions_max: Annotated[int, Meta(ge=0, le=100)] = 0
    extension_hours: Hours = 0
    room_min: Annotated[int, Meta(ge=0, le=10_000)] = 0
    late_collection: bool = True
    at_end: Ending = Ending.COURIER
    reopen_minutes: Annotated[int, Meta(ge=0, le=1440)] = 10


Services = Annotated[list[ServiceOffered], Meta(min_length=1, max_length=20)]


class NewBank(Struct, frozen=True, forbid_unknown_fields=True):
    """Without `services`: parcel, return and direct."""

    site: Id
    name: Line
    services: Services | None = None


class OfferedServices(Struct, frozen=True, forbid_unknown_fields=True):
    services: Services


class BankRules(Struct, frozen=True, forbid_unknown_fields=True):
    """`set_aside`: by door, the only services that may use it. `fallbacks`: where a thing goes that cannot be
    delivered, best first; `neighbour` is the bank that the word means. `directory`: what its screen shows couriers of
    people, beside their unit."""

    set_aside: Annotated[dict[Door, Annotated[list[Name], Meta(max_length=20)]], Meta(max_length=2000)] = {}
    in_reach_kept: Annotated[int, Meta(ge=0, le=2000)] = 0
    fallbacks: Annotated[list[Literal["neighbour", "shelf", "desk", "carrier"]], Meta(max_length=4)] = []
    neighbour: Id | None = None
    directory: Literal["initials", "names"] = "initials"


class NewPerson(Struct, frozen=True, forbid_unknown_fields=True):
    """With a `site` only the banks there list the person; without, all banks of the organisation. Notices go to
    `email`, or where there is a `contact`, to that person: so a department or a household has its key contact. Other
    addresses and `phones` (E.164) stand in the order of preference. `external_id`: in your own list of people.
    `unwanted`: mails that need not come."""

    name: Line
    email: Email | None = None
    unit: Short = ""
    site: Id | None = None
    language: Annotated[str, Meta(pattern=f"^({'|'.join(languages())})$")] = "en"
    external_id: Annotated[str, Meta(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]*$")] | None = None
    kind: Kind = "resident"
    other_emails: Annotated[list[Email], Meta(max_length=OTHERS_MAX)] = []
    phones: Annotated[list[Annotated[str, Meta(pattern=PHONE)]], Meta(max_length=OTHERS_MAX)] = []
    contact: Id | None = None
    unwanted: list[News] = []


class NewParty(Struct, frozen=True, forbid_unknown_fields=True):
    name: Line


class NewPass(Struct, frozen=True, forbid_unknown_fields=True):
    """`role`: courier or staff. A courier of no party may handle everybody's parcels. A person's pass opens everything
    of one `recipient`: their card, or somebody of their household. `card`: the number of a card, in hex or decimal.
    `code`: digits that they have from another bank. `daily`: another code every day."""

    bank: Id
    role: Role
    party: Id | None = None
    recipient: Id | None = None
    holder: Line | None = None
    valid_until: Moment | None = None
    daily: bool = False
    card: Card | None = None
    code: Annotated[str, Meta(pattern=r"^[0-9]{8,16}$")] | None = None


class NewStay(Struct, frozen=True, forbid_unknown_fields=True):
    """`tracking` is what stands on the label. `recipient` is needed where the service hands over to a person. Without a
    `service` it is the one for things that a courier brings to a person, for this party and size before for all.
    With `reserve_until` a compartment is reserved so long. Where there is none it is refused, or with `wait` it has a
    place in the bank's queue, and an offer is then kept for `offer_minutes`. `in_reach`: one that a wheelchair user
    reaches."""

    bank: Id
    service: Name | None = None
    recipient: Id | None = None
    party: Id | None = None
    thing: Id | None = None
    tracking: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")] | None = None
    size: OuterSize | None = None
    in_reach: bool = False
    reserve_until: Moment | None = None
    wait: bool = False
    offer_minutes: OfferMinutes = 120


class Until(Struct, frozen=True, forbid_unknown_fields=True):
    until: Moment


class Holiday(Struct, frozen=True, forbid_unknown_fields=True):
    """Without `until`: back again."""

    until: Moment | None = None


class Reassignment(Struct, frozen=True, forbid_unknown_fields=True):
    recipient: Id


class Redirection(Struct, frozen=True, forbid_unknown_fields=True):
    bank: Id


class NewDelegate(Struct, frozen=True, forbid_unknown_fields=True):
    """Without an `email` the code is for you to pass on."""

    name: Line
    until: Moment
    email: Email | None = None


class NewReservation(Struct, frozen=True, forbid_unknown_fields=True):
    """`wait`: with a place in the queue where there is no room. `offer_minutes`: how long one is then kept."""

    until: Moment
    wait: bool = False
    offer_minutes: OfferMinutes = 120


class Wish(Struct, frozen=True, forbid_unknown_fields=True):
    """What would be announced."""

    service: Name | None = None
    party: Id | None = None
    size: OuterSize | None = None
    in_reach: bool = False


class SoftWish(Wish, frozen=True, forbid_unknown_fields=True, kw_only=True):
    until: Moment


class Withdrawal(Struct, frozen=True, forbid_unknown_fields=True):
    """No `compartments`: the whole bank. `now`: even where something is inside, which only staff can then take out."""

    compartments: Doors = []
    now: bool = False


class BringBack(Struct, frozen=True, forbid_unknown_fields=True):
    compartments: Doors = []


class TakeTask(Struct, frozen=True, forbid_unknown_fields=True):
    """`by`: whose hands it is in; without, the name of the token."""

    by: Line | None = None


class CloseTask(Struct, frozen=True, forbid_unknown_fields=True):
    why: Line
    by: Line | None = None


class OpenDoor(Struct, frozen=True, forbid_unknown_fields=True):
    """`reason`: customer_help, inspection, maintenance, emergency or other. `note` stays erasable on our side."""

    reason: Reason
    note: Text = ""
    confirms: Id | None = None
    """An opening that somebody else asked for, and that takes two: the instruction that the wall refused so."""


class GuardSignature(Struct, frozen=True, forbid_unknown_fields=True):
    """`key` and `signature` are Ed25519, in hex. `more`: further signatures are to come before it is sent."""

    key: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    signature: Annotated[str, Meta(pattern="^[0-9a-f]{128}$")]
    until: Annotated[datetime, Meta(tz=True)]
    more: bool = False


class Guards(Struct, frozen=True, forbid_unknown_fields=True):
    """Public keys in hex, as `latchwork sign --make` prints them; none: not guarded."""

    keys: Annotated[list[Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]], Meta(max_length=8)]


class CheckDoor(Struct, frozen=True, forbid_unknown_fields=True):
    empty: bool


class Rotation(Struct, frozen=True):
    """Ed25519, in hex. Both signatures, by the present key and by the next, are over "latchwork rotation 1", a NUL
    byte, the bank, a NUL byte, the present public key and the next."""

    bank: Id
    public_key: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    next_key: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    signature: Annotated[str, Meta(pattern="^[0-9a-f]{128}$")]
    next_signature: Annotated[str, Meta(pattern="^[0-9a-f]{128}$")]


class Enrolment(Struct, frozen=True):
    """`public_key`: Ed25519, 32 bytes in hex. `signature`: 64 bytes in hex, by that key, over "latchwork enrol 1", a
    zero byte, the code as sent, a zero byte and the 32 bytes of the key.
    """

    code: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[\x20-\x7e]+$")]
    public_key: Annotated[str, Meta(min_length=64, max_length=64, pattern=r"^[0-9a-fA-F]{64}$")]
    signature: Annotated[str, Meta(min_length=128, max_length=128, pattern=r"^[0-9a-fA-F]{128}$")]
