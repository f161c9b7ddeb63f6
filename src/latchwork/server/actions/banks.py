"""Banks: made with a one-time code, given a policy, and trusted until their key is taken back."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

import msgspec

from latchwork.domain import commands as c
from latchwork.domain.bank import Policy, Service
from latchwork.domain.words import BankId, Role, ServiceId
from latchwork.server.actions import people, places
from latchwork.server.actions.office import LIST_MAX, Asked, Declined, Office, Who, is_id, not_found, order
from latchwork.sync import keys

ENROLMENT_HOURS_MAX = 24
SERVICES_MAX = 20
WALL = "wall"
"""The document that tells a kiosk what its wall is called and where it stands."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A service as a bank offers it. With 0 hours a thing is past its time as soon as it is in."""

    id: str
    deposit_by: str
    collect_by: str
    pickup_hours_max: int


DEFAULT_SERVICES = (
    Offered("parcel", Role.COURIER, Role.PERSON, 72),
    Offered("return", Role.PERSON, Role.COURIER, 168),
    Offered("direct", Role.PERSON, Role.PERSON, 72),
)


@dataclass(frozen=True, slots=True)
class Bank:
    """`heard_at`: when it last spoke; everything we say of it is as of then. `device_key`: in hex, public; what the
    wall signs is checked against it, as it stands on the wall's sticker."""

    id: str
    name: str
    site: str
    site_name: str
    address: str
    time_zone: str
    enrolled: bool
    key_revoked: bool
    divided: str | None
    heard_at: datetime | None
    entries: int
    software: str | None
    created_at: datetime
    code_generation: int
    policy_asked: int
    policy_version: int
    device_key: str | None


@dataclass(frozen=True, slots=True)
class Invitation:
    """A code that enrols one controller, once. It is shown here and never again."""

    bank: str
    enrolment_code: str
    expires_at: datetime


async def create(
    office: Office, who: Who, site: str, name: str, services: Sequence[Offered] = DEFAULT_SERVICES
) -> Invitation:
    place = await places.site(office, who, site)
    _check(services)
    now, bank_id, code = office.now(), office.new_id(), _new_code(office)
    adopt = order(office, c.Adopt(1, _policy(office, services, place.time_zone, now)))
    until = now + timedelta(hours=ENROLMENT_HOURS_MAX)
    await office.tables.do(
        "create_bank",
        bank_id,
        who.organisation,
        site,
        name,
        now,
        *_columns(services),
        code_hash(code),
        until,
        adopt.id,
        adopt.body,
        adopt.sha256,
        who.token,
    )
    sign = msgspec.json.encode({"name": name, "site": place.name})
    await office.tables.do("put_document", bank_id, WALL, sign)
    await people.refresh_directory(office, bank_id)
    return Invitation(bank_id, code, until)


async def banks(office: Office, who: Who) -> list[Bank]:
    return await office.tables.all(Bank, "banks", who.organisation, None, LIST_MAX)


async def bank(office: Office, who: Who, bank_id: str) -> Bank:
    found = await office.tables.one(Bank, "banks", who.organisation, bank_id, 1) if is_id(bank_id) else None
    if found is None:
        raise not_found("bank")
    return found


def sticker(bank: Bank) -> str:
    """What is printed and stuck to the wall, in lines; nothing before a controller has enrolled."""
    return keys.sticker(BankId(bank.id), bytes.fromhex(bank.device_key)) if bank.device_key else ""


def witness(office: Office) -> str:
    """The key that we countersign with, as name+id+key."""
    return str(office.vault.witness)


async def services(office: Office, who: Who, bank_id: str) -> list[Offered]:
    await bank(office, who, bank_id)
    return await office.tables.all(Offered, "services", bank_id)


async def replace_services(office: Office, who: Who, bank_id: str, services: Sequence[Offered]) -> Asked:
    """Ask a bank to offer these from now on. It refuses while things are inside under a service that would go."""
    _check(services)
    found = await bank(office, who, bank_id)
    now = office.now()
    version = max(found.policy_asked, found.policy_version) + 1  # a restored server is behind its walls
    adopt = order(office, c.Adopt(version, _policy(office, services, found.time_zone, now)))
    done = await office.tables.do(
        "replace_services",
        bank_id,
        who.organisation,
        found.policy_asked,
        *_columns(services),
        adopt.id,
        adopt.body,
        adopt.sha256,
        now,
        who.token,
        version,
    )
    if not done:
        raise Declined(409, "changed_meanwhile", "Somebody changed this bank's services just now. Read them again.")
    office.seen.pop(f"bank {bank_id}", None)
    office.wake(bank_id)
    return Asked(adopt.id, bank_id, adopt.kind)


async def invite(office: Office, who: Who, bank_id: str) -> Invitation:
    """A new code, for a controller that lost its identity or is replaced. Earlier unused codes end."""
    await bank(office, who, bank_id)
    code, now = _new_code(office), office.now()
    until = now + timedelta(hours=ENROLMENT_HOURS_MAX)
    await office.tables.do("invite", bank_id, who.organisation, code_hash(code), until, now)
    return Invitation(bank_id, code, until)


async def revoke_key(office: Office, who: Who, bank_id: str) -> None:
    """From now on the controller that holds the key is nobody. The bank works on, and is heard no more."""
    await bank(office, who, bank_id)
    if not await office.tables.do("revoke_key", bank_id, who.organisation, office.now()):
        raise Declined(409, "not_enrolled", "No controller has enrolled as this bank yet.")
    office.wake(bank_id)


def code_hash(code: str) -> bytes:
    """Typed by people: case, spaces and dashes do not count."""
    return sha256("".join(x for x in code.upper() if x.isalnum()).encode()).digest()


def _new_code(office: Office) -> str:
    text = base64.b32encode(office.draw(15)).decode()  # 120 bits: no throttle has to protect it
    return "-".join(text[i : i + 4] for i in range(0, len(text), 4))


def _policy(office: Office, services: Sequence[Offered], time_zone: str, now: datetime) -> Policy:
    return Policy(
        services=tuple(
            Service(ServiceId(s.id), Role(s.deposit_by), Role(s.collect_by), s.pickup_hours_max) for s in services
        ),
        ticket_keys=office.vault.ticket_keys,
        utc_offsets=places.utc_offsets(time_zone, now),
    )


def _check(services: Sequence[Offered]) -> None:
    if not 0 < len(services) <= SERVICES_MAX or len({s.id for s in services}) != len(services):
        raise Declined(422, "bad_services", f"A bank offers 1 to {SERVICES_MAX} services, each once.")


def _columns(services: Sequence[Offered]) -> tuple[list[str], list[str], list[str], list[int]]:
    return (
        [s.id for s in services],
        [str(s.deposit_by) for s in services],
        [str(s.collect_by) for s in services],
        [s.pickup_hours_max for s in services],
    )
