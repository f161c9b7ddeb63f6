"""What machines may say: every string, number and list has its bounds here, and they stand in the OpenAPI document."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from latchwork.domain.words import Reason, Role

# Printable, in any script; a line may break only in an address or a note.
Line = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Short = Annotated[str, Meta(max_length=60, pattern=r"^[^\x00-\x1f\x7f]*$")]
Text = Annotated[str, Meta(max_length=1000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
Id = Annotated[str, Meta(min_length=32, max_length=32, pattern=r"^[0-9a-f]{32}$")]
Name = Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[a-z][a-z0-9_-]*$")]
Email = Annotated[
    str, Meta(max_length=254, pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$")
]
Millimetres = Annotated[int, Meta(ge=1, le=10_000)]
Moment = Annotated[datetime, Meta(tz=True)]


class NewOrganisation(Struct, frozen=True, forbid_unknown_fields=True):
    name: Line


class NewSite(Struct, frozen=True, forbid_unknown_fields=True):
    """`time_zone` is an IANA name, such as Europe/Berlin."""

    name: Line
    time_zone: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$")]
    address: Text = ""


class ServiceOffered(Struct, frozen=True, forbid_unknown_fields=True):
    """`pickup_hours_max`: from deposit to expiry; with 0 a thing is past its time as soon as it is in."""

    id: Name
    deposit_by: Role
    collect_by: Role
    pickup_hours_max: Annotated[int, Meta(ge=0, le=8760)]


Services = Annotated[list[ServiceOffered], Meta(min_length=1, max_length=20)]


class NewBank(Struct, frozen=True, forbid_unknown_fields=True):
    """Without `services`: parcel, return and direct."""

    site: Id
    name: Line
    services: Services | None = None


class OfferedServices(Struct, frozen=True, forbid_unknown_fields=True):
    services: Services


class NewPerson(Struct, frozen=True, forbid_unknown_fields=True):
    """With a `site` only the banks there list the person; without, all banks of the organisation."""

    name: Line
    email: Email | None = None
    unit: Short = ""
    site: Id | None = None


class NewParty(Struct, frozen=True, forbid_unknown_fields=True):
    name: Line


class NewPass(Struct, frozen=True, forbid_unknown_fields=True):
    """`role`: courier or staff. A courier of no party may handle everybody's parcels."""

    bank: Id
    role: Role
    party: Id | None = None
    holder: Line | None = None
    valid_until: Moment | None = None


class OuterSize(Struct, frozen=True, forbid_unknown_fields=True):
    width_mm: Millimetres
    height_mm: Millimetres
    depth_mm: Millimetres


class NewStay(Struct, frozen=True, forbid_unknown_fields=True):
    """`tracking` is what stands on the label. `recipient` is needed where the service hands over to a person."""

    bank: Id
    service: Name = "parcel"
    recipient: Id | None = None
    party: Id | None = None
    thing: Id | None = None
    tracking: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")] | None = None
    size: OuterSize | None = None


class OpenDoor(Struct, frozen=True, forbid_unknown_fields=True):
    """`reason`: customer_help, inspection, maintenance, emergency or other. `note` stays erasable on our side."""

    reason: Reason
    note: Text = ""


class CheckDoor(Struct, frozen=True, forbid_unknown_fields=True):
    empty: bool


class Enrolment(Struct, frozen=True):
    """`public_key`: Ed25519, 32 bytes in hex. `signature`: 64 bytes in hex, by that key, over "latchwork enrol 1", a
    zero byte, the code as sent, a zero byte and the 32 bytes of the key.
    """

    code: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[\x20-\x7e]+$")]
    public_key: Annotated[str, Meta(min_length=64, max_length=64, pattern=r"^[0-9a-fA-F]{64}$")]
    signature: Annotated[str, Meta(min_length=128, max_length=128, pattern=r"^[0-9a-fA-F]{128}$")]
