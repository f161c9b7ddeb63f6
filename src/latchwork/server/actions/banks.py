"""Banks: made with a one-time code, given a policy, and trusted until their key is taken back."""

import base64
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

import msgspec

from latchwork.domain import commands as c
from latchwork.domain.bank import Policy
from latchwork.domain.bank import Service as Service
from latchwork.domain.words import BankId, CompartmentId, Role, ServiceId
from latchwork.server.actions import partners, people, places
from latchwork.server.actions.office import LIST_MAX, Asked, Declined, Office, Who, is_id, not_found, order
from latchwork.server.ledger import Gone
from latchwork.sync import keys

ENROLMENT_HOURS_MAX = 24
SERVICES_MAX = 20
RENEWED_AFTER = timedelta(days=365)
FRESH = timedelta(minutes=2)
"""A wall that was heard within this is spoken of in the present tense."""


DEFAULT_SERVICES = (
    Service(ServiceId("parcel"), Role.COURIER, Role.PERSON, 72),
    Service(ServiceId("return"), Role.PERSON, Role.COURIER, 168),
    Service(ServiceId("direct"), Role.PERSON, Role.PERSON, 72),
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a bank's policy says beside its services.

    `set_aside`: compartments that only these services may use. `in_reach_kept`: so many compartments within reach of a
    wheelchair are kept for those who need one. `fallbacks`: where a thing goes that cannot be delivered here, best
    first. `neighbour`: the bank that the fallback "neighbour" means. `directory`: whether its screen shows couriers
    people's `initials` or their `names`.
    """

    set_aside: dict[str, list[str]] = field(default_factory=dict)
    in_reach_kept: int = 0
    fallbacks: list[str] = field(default_factory=list)
    neighbour: str | None = None
    directory: str = "initials"


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
class ServiceRow:
    said: str

    def service(self) -> Service:
        return msgspec.json.decode(self.said, type=Service)


@dataclass(frozen=True, slots=True)
class _RulesRow:
    policy: str
    neighbour: str | None


@dataclass(frozen=True, slots=True)
class _Due:
    bank: str
    organisation: str


@dataclass(frozen=True, slots=True)
class Invitation:
    """A code that enrols one controller, once. It is shown here and never again."""

    bank: str
    enrolment_code: str
    expires_at: datetime


async def create(
    office: Office, who: Who, site: str, name: str, services: Sequence[Service] = DEFAULT_SERVICES
) -> Invitation:
    place = await places.site(office, who, site)
    await _check(office, who, services, Rules())
    now, bank_id, code = office.now(), office.new_id(), _new_code(office)
    adopt = order(office, c.Adopt(1, _policy(office, services, Rules(), place.time_zone, now)))
    until = now + timedelta(hours=ENROLMENT_HOURS_MAX)
    sign = msgspec.json.encode({"name": name, "site": place.name})
    async with office.tables.together() as tables:
        made = (bank_id, who.organisation, site, name, now, adopt.id, adopt.body, adopt.sha256, who.token)
        await tables.do("create_bank", *made)
        await tables.do("offer_services", bank_id, *_columns(services))
        await tables.do("invite", bank_id, who.organisation, code_hash(code), until, now)
        await tables.do("put_document", bank_id, partners.WALL, sign)
    await people.refresh_directory(office, bank_id)
    await partners.begin(office, who, bank_id)
    return Invitation(bank_id, code, until)


async def banks(office: Office, who: Who) -> list[Bank]:
    return await office.tables.all(Bank, "banks", who.everywhere, None, LIST_MAX)


def silent(office: Office, heard_at: datetime | None) -> bool:
    return heard_at is None or office.now() - heard_at > FRESH


@dataclass(frozen=True, slots=True)
class Count:
    """Of one bank, now. `doors`: compartments, not shelves or gates; `vacant`: the free ones that are known to be shut;
    `waiting`: things inside for their recipients; `overdue`: those whose time is over."""

    bank: str
    doors: int
    vacant: int
    waiting: int
    overdue: int


async def counts(office: Office, who: Who) -> dict[str, Count]:
    """By bank; none of one that has not told of its wall yet."""
    return {x.bank: x for x in await office.tables.all(Count, "counts", who.everywhere)}


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


async def services(office: Office, who: Who, bank_id: str) -> list[Service]:
    await bank(office, who, bank_id)
    return [row.service() for row in await office.tables.all(ServiceRow, "services", bank_id)]


async def rules(office: Office, who: Who, bank_id: str) -> Rules:
    await bank(office, who, bank_id)
    row = await office.tables.one(_RulesRow, "rules", bank_id)
    assert row is not None
    return msgspec.convert({**msgspec.json.decode(row.policy), "neighbour": row.neighbour}, Rules)


async def replace_services(office: Office, who: Who, bank_id: str, services: Sequence[Service]) -> Asked:
    """Ask a bank to offer these from now on. It refuses while things are inside under a service that would go."""
    found, rest = await bank(office, who, bank_id), await rules(office, who, bank_id)
    return await _adopt(office, who, found, services, rest)


async def replace_rules(office: Office, who: Who, bank_id: str, rules: Rules) -> Asked:
    found, offered = await bank(office, who, bank_id), await services(office, who, bank_id)
    if rules.neighbour == bank_id:
        raise Declined(422, "bad_policy", "A bank is not its own neighbour.")
    if rules.neighbour is not None:
        await bank(office, who, rules.neighbour)
    asked = await _adopt(office, who, found, offered, rules)
    await people.refresh_directory(office, bank_id)
    return asked


async def _adopt(office: Office, who: Who, found: Bank, services: Sequence[Service], rules: Rules) -> Asked:
    await _check(office, who, services, rules)
    now = office.now()
    version = max(found.policy_asked, found.policy_version) + 1  # a restored server is behind its walls
    adopt = order(office, c.Adopt(version, _policy(office, services, rules, found.time_zone, now)))
    said = asdict(rules)
    neighbour = said.pop("neighbour")
    done = await office.tables.do(
        "replace_policy",
        found.id,
        who.organisation,
        found.policy_asked,
        *_columns(services),
        adopt.id,
        adopt.body,
        adopt.sha256,
        now,
        who.token,
        version,
        msgspec.json.encode(said).decode(),
        neighbour,
    )
    if not done:
        raise Declined(409, "changed_meanwhile", "Somebody changed this bank's policy just now. Read it again.")
    office.seen.pop(f"bank {found.id}", None)
    office.wake(found.id)
    return Asked(adopt.id, found.id, adopt.kind, None, found.heard_at)


async def renew(office: Office) -> None:
    """Every bank is told its policy once a year: the site's clock stands in it for `places.YEARS_AHEAD` only."""
    for due in await office.tables.all(_Due, "policies_due", office.now() - RENEWED_AFTER):
        acting, who = office.acting(due.organisation), Who("", due.organisation, "renewal", False)
        found, offered = await bank(acting, who, due.bank), await services(acting, who, due.bank)
        with suppress(Declined):  # somebody changes it just now
            await _adopt(acting, who, found, offered, await rules(acting, who, due.bank))


async def invite(office: Office, who: Who, bank_id: str) -> Invitation:
    """A new code, for a controller that lost its identity or is replaced. Earlier unused codes end."""
    await bank(office, who, bank_id)
    code, now = _new_code(office), office.now()
    until = now + timedelta(hours=ENROLMENT_HOURS_MAX)
    await office.tables.do("invite", bank_id, who.organisation, code_hash(code), until, now)
    return Invitation(bank_id, code, until)


async def revoke_key(office: Office, who: Who, bank_id: str) -> None:
    """From now on the controller that holds the key is nobody. The bank works on, and is heard no more."""
    found = await bank(office, who, bank_id)
    if found.device_key is not None:
        office.note(Gone.KEY, who.organisation, found.device_key)
    if not await office.tables.do("revoke_key", bank_id, who.organisation, office.now()):
        raise Declined(409, "not_enrolled", "No controller has enrolled as this bank yet.")
    office.wake(bank_id)


def code_hash(code: str) -> bytes:
    """Typed by people: case, spaces and dashes do not count."""
    return sha256("".join(x for x in code.upper() if x.isalnum()).encode()).digest()


def _new_code(office: Office) -> str:
    text = base64.b32encode(office.draw(15)).decode()  # 120 bits: no throttle has to protect it
    return "-".join(text[i : i + 4] for i in range(0, len(text), 4))


def _policy(office: Office, services: Sequence[Service], rules: Rules, time_zone: str, now: datetime) -> Policy:
    return Policy(
        services=tuple(services),
        ticket_keys=office.vault.ticket_keys,
        utc_offsets=places.utc_offsets(time_zone, now),
        set_aside={CompartmentId(x): tuple(map(ServiceId, names)) for x, names in rules.set_aside.items()},
        in_reach_kept=rules.in_reach_kept,
        fallbacks=tuple(rules.fallbacks),
    )


async def _check(office: Office, who: Who, services: Sequence[Service], rules: Rules) -> None:
    offered = {s.id for s in services}
    if not 0 < len(services) <= SERVICES_MAX or len(offered) != len(services):
        raise Declined(422, "bad_services", "A bank offers 1 to {n} services, each once.", n=SERVICES_MAX)
    known = {party.id for party in await people.parties(office, who)} if any(s.party for s in services) else set()
    for service in services:
        if wrong := _wrong_with(service):
            raise Declined(422, "bad_services", "Service {service}: {wrong}.", service=service.id, wrong=wrong)
        if service.party is not None and service.party not in known:
            raise Declined(
                422,
                "unknown_party",
                "Service {service}: there is no party {party}.",
                service=service.id,
                party=service.party,
            )
    missing = {name for names in rules.set_aside.values() for name in names} - offered
    if missing:
        raise Declined(
            422,
            "bad_policy",
            "`set_aside` names what the bank does not offer: {missing}.",
            missing=", ".join(sorted(missing)),
        )
    if "neighbour" in rules.fallbacks and rules.neighbour is None:
        raise Declined(422, "bad_policy", "The fallback `neighbour` needs the `neighbour` bank's id.")


def _wrong_with(service: Service) -> str | None:
    if service.extensions_max and not service.extension_hours:
        return "`extensions_max` without `extension_hours` extends by nothing"
    if any(hours.since >= hours.to for hours in service.hours):
        return "`hours` begin before they end; a span over midnight is two"
    if service.walk_in and service.deposit_by is not Role.PERSON:
        return "`walk_in` is for what people put in: `deposit_by` is person"
    return None


def _columns(services: Sequence[Service]) -> tuple[list[str], list[str], list[str], list[int], list[str]]:
    return (
        [s.id for s in services],
        [str(s.deposit_by) for s in services],
        [str(s.collect_by) for s in services],
        [s.pickup_hours_max for s in services],
        [msgspec.json.encode(s).decode() for s in services],
    )
