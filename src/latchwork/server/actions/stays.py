"""Stays: announced, called off, read, and their story told from the banks' entries."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

import msgspec

from latchwork.domain import commands as c
from latchwork.domain import policy
from latchwork.domain.bank import About, Bank, Policy, Service
from latchwork.domain.words import (
    BankId,
    ClaimId,
    Lookup,
    PartyId,
    PassId,
    PersonId,
    Reason,
    Role,
    Size,
    StayId,
    StayState,
    ThingId,
)
from latchwork.server.actions import banks, looks
from latchwork.server.actions.office import LIST_MAX, Asked, Declined, Office, Who, ask, is_id, not_found, order
from latchwork.store.rows import Announcement, Outcome
from latchwork.sync.codec import Unreadable, read_entry

FACTS_SECONDS_MAX = 10
RESERVE_DAYS_MAX = 30
ENTRIES_MAX = 500
LINKS_MAX = 10
WAIT_MINUTES = 120
WAITING = frozenset({StayState.DEPOSITED, StayState.EXPIRED})
"""States in which the thing lies in its compartment, to be collected."""
COMING = frozenset({StayState.EXPECTED, StayState.RESERVED})
NO_ROOM = frozenset({Reason.NO_SUITABLE_COMPARTMENT, Reason.NONE_IN_REACH})


@dataclass(frozen=True, slots=True)
class NewStay:
    """What somebody announces."""

    bank: str
    service: str | None = None
    recipient: str | None = None
    party: str | None = None
    thing: str | None = None
    tracking: str | None = None
    size: Size | None = None
    in_reach: bool = False
    reserve_until: datetime | None = None
    wait_minutes: int | None = None
    """With a place in the queue should there be no room to reserve: an offer is then kept so long."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that stays the same when the request is repeated. It holds ids only: it is stored."""

    status: int
    body: bytes
    replayed: bool


@dataclass(frozen=True, slots=True)
class Accepted:
    """The wall has been asked; `GET stays/{id}` says what it answered."""

    id: str
    bank: str
    state: str
    instruction: str


@dataclass(frozen=True, slots=True)
class Stay:
    """`confirmed`: the wall has spoken of it. `pending`: what it was asked and has not answered; `unsigned`: it
    waits for a signature. `heard_at`: when the wall was last heard, which is how old all this may be."""

    id: str
    bank: str
    bank_name: str
    site_name: str
    address: str
    time_zone: str
    heard_at: datetime | None
    service: str
    state: str
    reason: str | None
    confirmed: bool
    announced: bool
    presumed: bool
    compartment: str | None
    deadline: datetime | None
    recipient: str | None
    recipient_name: str | None
    party: str | None
    thing: str | None
    tracking: str | None
    size: Size | None
    pending: list[str]
    unsigned: bool
    linked_to: str | None
    drop_off_digits: str | None
    in_reach: bool
    fallback: str | None
    """Where it went when it could not be delivered: neighbour, shelf, desk, carrier, or none of them."""
    out_of_service: bool
    """Its compartment is: nothing opens it but staff at the wall."""
    waiting_position: int | None
    """Its place in the queue of a full bank, from 1."""
    offered_until: datetime | None
    """A compartment is asked for or kept so long for it, because it waited."""
    page: str | None
    """Address of the parcel's own page, which shows its code to whoever has the address. Like `drop_off_digits` it is
    told only to those who may see codes."""
    asked_at: datetime | None
    expected_at: datetime | None
    reserved_at: datetime | None
    deposited_at: datetime | None
    expired_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Brief:
    """A stay in a list."""

    id: str
    bank: str
    bank_name: str
    service: str
    recipient: str | None
    recipient_name: str | None
    tracking: str | None
    state: str
    reason: str | None
    compartment: str | None
    deadline: datetime | None
    announced: bool
    presumed: bool
    confirmed: bool
    changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a stay's story: `kind` as the bank's log words it; (bank, epoch, seq) is where it stands there.
    `asked`: what the wall said no to, where `kind` is Answered."""

    at: datetime
    kind: str
    compartment: str | None = None
    reason: str | None = None
    presumed: bool = False
    bank: str | None = None
    epoch: int | None = None
    seq: int | None = None
    asked: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A stay with all that the outside may need of it, passes included. Not to be shown as it is."""

    id: str
    organisation: str
    bank: str
    bank_name: str
    site_name: str
    address: str
    time_zone: str
    heard_at: datetime | None
    service: str
    party: str | None
    thing: str | None
    recipient: str | None
    recipient_name: str | None
    language: str | None
    """Of the recipient, where there is one."""
    label: str | None
    tracking: str | None
    width_mm: int | None
    height_mm: int | None
    depth_mm: int | None
    state: str
    reason: str | None
    compartment: str | None
    announced: bool
    presumed: bool
    deadline: datetime | None
    pickup_pass: str | None
    pickup_n: int | None
    pickup_digits: int | None
    pickup_generation: int | None
    drop_off_pass: str | None
    drop_off_n: int | None
    drop_off_digits: int | None
    drop_off_generation: int | None
    asked_at: datetime | None
    expected_at: datetime | None
    reserved_at: datetime | None
    deposited_at: datetime | None
    expired_at: datetime | None
    ended_at: datetime | None
    epoch: int | None
    linked_to: str | None
    shelf: bool
    """Whether it lies on a shelf, and behind no door of its own."""
    in_reach: bool
    fallback: str | None
    offered_until: datetime | None
    out_of_service: bool
    waiting_position: int | None
    pending: list[str]
    unsigned: bool
    same_code: bool
    """Whether a code that its recipient has at another bank opens it too."""
    also: tuple[str, ...] = ()
    """Other ids under which walls have had it; the last one is that of now."""

    @property
    def known(self) -> StayId:
        """Its id at its wall now."""
        return StayId(self.also[-1] if self.also else self.id)

    @property
    def size(self) -> Size | None:
        if self.width_mm is None or self.height_mm is None or self.depth_mm is None:
            return None
        return Size(self.width_mm, self.height_mm, self.depth_mm)

    @property
    def adrift(self) -> bool:
        """It never came, and no wall expects it."""
        return self.state == StayState.EXCEPTION and self.deposited_at is None

    @property
    def refused_for_room(self) -> bool:
        """Its wall had no compartment to reserve, and does not expect it."""
        return self.epoch is None and self.state == StayState.EXCEPTION and self.reason in NO_ROOM


@dataclass(frozen=True, slots=True)
class Facts:
    organisation: str
    code_generation: int
    services: list[str]

    def offered(self) -> dict[str, Service]:
        return {s.id: s for s in (msgspec.json.decode(said, type=Service) for said in self.services)}


@dataclass(frozen=True, slots=True)
class _EntryRow:
    bank: str
    epoch: int
    seq: int
    raw: bytes
    asked: str | None


def theirs(who: Who, new: NewStay) -> NewStay:
    """What a party announces, or asks about, is its own. Declines with 422."""
    if who.party is not None and new.party not in (None, who.party):
        raise Declined(422, "unknown_party", "There is no such party.")
    return replace(new, party=new.party or who.party)


async def announce(office: Office, who: Who, new: NewStay, key: str, request: bytes) -> Reply:
    """Expect a thing. `request` identifies what was asked under `key`: the same again gets the same answer."""
    new = theirs(who, new)
    facts = await facts_of(office, who, new.bank)
    service = chosen(facts, new)
    stay, now = StayId(office.new_id()), office.now()
    label = office.vault.label(new.bank, facts.code_generation, new.tracking) if new.tracking else None
    if new.reserve_until is not None:
        in_time(now, new.reserve_until, RESERVE_DAYS_MAX, "reserve_until")
    drop_off = PassId(office.new_id()) if service.deposit_by is Role.PERSON else None
    claim = ClaimId(office.new_id()) if new.reserve_until else None
    asked = order(office, c.Expect(stay, _about(new, service, label), drop_off, claim, new.reserve_until))
    body = msgspec.json.encode(Accepted(stay, new.bank, "asked", asked.id))
    size = new.size
    done = await office.store.announce(
        Announcement(
            who.organisation,
            own(who, key),
            sha256(request).digest(),
            201,
            body,
            new.bank,
            stay,
            service.id,
            new.party,
            new.thing,
            new.recipient,
            label,
            new.tracking,
            size.width_mm if size else None,
            size.height_mm if size else None,
            size.depth_mm if size else None,
            drop_off,
            asked.id,
            asked.body,
            asked.sha256,
            who.token,
            now,
            new.in_reach,
            new.wait_minutes,
            new.reserve_until,
            who.party,
        )
    )
    if done.outcome is Outcome.REPLAYED:
        return Reply(done.status or 201, done.response or b"", True)
    if done.outcome is not Outcome.CREATED:
        raise _REFUSED[done.outcome]()
    return Reply(201, body, False)


def _about(new: NewStay, service: Service, label: Lookup | None) -> About:
    return About(
        service.id,
        PartyId(new.party) if new.party else None,
        ThingId(new.thing) if new.thing else None,
        PersonId(new.recipient) if new.recipient else None,
        label,
        new.size,
        new.in_reach,
    )


def own(who: Who, key: str) -> str:
    """An idempotency key apart from everybody else's at the same wall."""
    return f"{who.party} {key}" if who.party else key


_REFUSED = {
    Outcome.CONFLICT: lambda: Declined(
        422, "idempotency_key_reused", "This Idempotency-Key came with another request before. Use a new one."
    ),
    Outcome.UNKNOWN_BANK: lambda: not_found("bank"),
    Outcome.UNKNOWN_PARTY: lambda: Declined(422, "unknown_party", "There is no such party."),
    Outcome.UNKNOWN_RECIPIENT: lambda: Declined(422, "unknown_recipient", "There is no such recipient."),
}


def chosen(facts: Facts, new: NewStay) -> Service:
    """The service for it: the one named, else the one that the wall itself would take. Declines with 422."""
    offered = facts.offered()
    if new.service is None:
        bank = Bank(BankId(new.bank), policy=Policy(tuple(offered.values())))
        party = PartyId(new.party) if new.party else None
        try:
            service = offered[policy.service_for(bank, Role.COURIER, Role.PERSON, party, new.size)]
        except LookupError:
            raise Declined(422, "unknown_service", "This bank has no service for that: name a `service`.") from None
    elif new.service in offered:
        service = offered[new.service]
    else:
        raise Declined(422, "unknown_service", "This bank does not offer the service “{service}”.", service=new.service)
    if service.party not in (None, new.party):
        raise Declined(422, "unknown_service", "The service “{service}” is for another party.", service=service.id)
    if service.size_max is not None and new.size is not None and not new.size.fits_into(service.size_max):
        raise Declined(422, "too_big", "The service “{service}” takes nothing so large.", service=service.id)
    if service.collect_by is Role.PERSON and new.recipient is None:
        raise Declined(422, "unknown_recipient", "This service hands over to a person: name the `recipient`.")
    return service


def in_time(now: datetime, until: datetime, days_max: int, name: str) -> None:
    """Declines with 422."""
    if not now < until <= now + timedelta(days=days_max):
        raise Declined(422, "expired", "`{name}` lies within the next {days} days.", name=name, days=days_max)


async def cancel(office: Office, who: Who, stay_id: str) -> Asked:
    """Call off what has not come yet. The wall may find that it came just before."""
    found = await row(office, stay_id, who.organisation)
    if found.state not in COMING:
        raise Declined(
            409, "parcel_not_available", "Only an expected stay can be cancelled; it is {state}.", state=found.state
        )
    await office.tables.do("cancel_waiting", found.known, who.organisation, office.now())
    return await ask(office, who, found.bank, c.Cancel(found.known), found.known)


async def read(office: Office, who: Who, stay_id: str) -> Stay:
    found = await row(office, stay_id, who.organisation)
    await looks.record(office, who, looks.What.STAY, [found.recipient])
    return shown(office, who, found)


async def stays(
    office: Office,
    who: Who,
    bank: str | None = None,
    live: bool = False,
    limit: int = 100,
    recipient: str | None = None,
) -> list[Brief]:
    """The latest first."""
    if bank is not None:
        await banks.bank(office, who, bank)
    found = await office.tables.all(Brief, "stays_of", who.everywhere, bank, live, min(limit, LIST_MAX), recipient)
    await looks.record(office, who, looks.What.LIST, [each.recipient for each in found])
    return found


async def by_link(office: Office, token: str) -> tuple[Office, Row]:
    """The stay whose secret link somebody has, and an office that acts for its organisation. Declines with 404."""
    stay = office.stay_of(token)
    organisation = await office.tables.value("organisation_of_stay", stay)
    if organisation is None:
        raise not_found("parcel")
    acting = office.acting(organisation)
    return acting, await row(acting, stay, None)


async def row(office: Office, stay_id: str, organisation: str | None, *, follow: bool = True) -> Row:
    """A stay; where its wall had the thing unannounced, or it went to another bank, with what became of that.
    Declines with 404.

    `organisation` None: for whoever proved a secret link.
    """
    found = await office.tables.one(Row, "stays", organisation, stay_id) if is_id(stay_id) else None
    if found is None:
        raise not_found("stay")
    last, also = found, list[str]()
    while follow and last.linked_to is not None and len(also) < LINKS_MAX:
        other = await office.tables.one(Row, "stays", organisation, last.linked_to)
        if other is None:
            break
        last = other
        also.append(other.id)
    if last is found:
        return found
    return replace(
        last,
        id=found.id,
        linked_to=last.id,
        also=tuple(also),
        announced=True,
        tracking=found.tracking,
        recipient=last.recipient or found.recipient,
        recipient_name=last.recipient_name or found.recipient_name,
        fallback=last.fallback or found.fallback,
        asked_at=found.asked_at,
    )


def shown(office: Office, who: Who, row: Row) -> Stay:
    codes = who.may("see_codes")
    return Stay(
        id=row.id,
        bank=row.bank,
        bank_name=row.bank_name,
        site_name=row.site_name,
        address=row.address,
        time_zone=row.time_zone,
        heard_at=row.heard_at,
        service=row.service,
        state=row.state,
        reason=row.reason,
        confirmed=row.epoch is not None,
        announced=row.announced,
        presumed=row.presumed,
        compartment=row.compartment,
        deadline=row.deadline,
        recipient=row.recipient,
        recipient_name=row.recipient_name,
        party=row.party,
        thing=row.thing,
        tracking=row.tracking,
        size=row.size,
        pending=row.pending,
        unsigned=row.unsigned,
        linked_to=row.linked_to,
        drop_off_digits=drop_off_digits(office, row) if codes else None,
        in_reach=row.in_reach,
        fallback=row.fallback,
        out_of_service=row.out_of_service,
        waiting_position=row.waiting_position,
        offered_until=row.offered_until,
        page=page(office, row.id) if codes else None,
        asked_at=row.asked_at,
        expected_at=row.expected_at,
        reserved_at=row.reserved_at,
        deposited_at=row.deposited_at,
        expired_at=row.expired_at,
        ended_at=row.ended_at,
    )


def page(office: Office, stay: str) -> str:
    return f"{office.public_url}/p/{office.vault.link(stay)}"


def pickup_digits(office: Office, row: Row) -> str | None:
    """The code that collects it, while it waits."""
    if row.state not in WAITING or not row.pickup_pass:
        return None
    if row.pickup_n is None or row.pickup_digits is None or row.pickup_generation is None:
        return None
    return office.vault.digits(row.bank, row.pickup_generation, row.pickup_pass, row.pickup_n, row.pickup_digits)


def drop_off_digits(office: Office, row: Row) -> str | None:
    """The code that lets somebody put it in, until it is in."""
    if row.state != StayState.EXPECTED or not row.drop_off_pass:
        return None
    if row.drop_off_n is None or row.drop_off_digits is None or row.drop_off_generation is None:
        return None
    return office.vault.digits(
        row.bank, row.drop_off_generation, row.drop_off_pass, row.drop_off_n, row.drop_off_digits
    )


async def timeline(office: Office, who: Who, stay_id: str) -> list[Event]:
    return await story(office, await row(office, stay_id, who.organisation))


async def story(office: Office, row: Row) -> list[Event]:
    """What the banks' entries say of it, and what its doors did, in order of time."""
    ids = [row.id, *row.also]
    events = [Event(row.asked_at, "Announced")] if row.asked_at else []
    for found in await office.tables.all(_EntryRow, "entries_of_stay", ids, ENTRIES_MAX):
        try:
            entry = read_entry(found.raw)
        except Unreadable:  # written by a newer bank: the log has it, and a task says so
            continue
        kind = type(entry.body).__name__
        if kind == "Cancelled" and getattr(entry.body, "stay", None) != row.known:
            kind = "Redirected"
        if kind == "Wanted":  # what its door really did follows below
            continue
        reason = getattr(entry.body, "refusal", None) or getattr(entry.body, "why", None)
        stored = getattr(entry.body, "stored", None)
        events.append(
            Event(
                entry.at,
                kind,
                getattr(stored or entry.body, "compartment", None),
                str(reason) if reason else None,
                bool(getattr(entry.body, "presumed", False)),
                found.bank,
                found.epoch,
                found.seq,
                found.asked,
            )
        )
    for door in await office.tables.all(_Door, "openings_of_stay", ids, ENTRIES_MAX):
        events += door.events()
    # Of one instant, the door before what it meant.
    return sorted(events, key=lambda event: (event.at, event.seq is not None))


@dataclass(frozen=True, slots=True)
class _Door:
    id: str
    compartment: str
    purpose: str | None
    state: str
    reason: str | None
    why: str | None
    wanted_at: datetime | None
    unlocked_at: datetime | None
    opened_at: datetime | None
    closed_at: datetime | None

    def events(self) -> list[Event]:
        found = []
        if self.opened_at:
            found.append(Event(self.opened_at, "Opened", self.compartment))
        if self.closed_at:
            found.append(Event(self.closed_at, "Closed", self.compartment))
        at = self.unlocked_at or self.wanted_at
        if at and self.state in ("not_opened", "unresolved", "lapsed"):
            kind = {"not_opened": "NotOpened", "unresolved": "Unresolved", "lapsed": "Lapsed"}[self.state]
            found.append(Event(at, kind, self.compartment, self.why or self.reason))
        return found


async def facts_of(office: Office, who: Who, bank: str) -> Facts:
    """Kept for some seconds: what is announced in great numbers asks about few banks."""
    now, key = office.now(), f"bank {bank}"
    known = office.seen.get(key)
    if known is not None and now - known[0] < timedelta(seconds=FACTS_SECONDS_MAX) and isinstance(known[1], Facts):
        facts: Facts | None = known[1]
    else:
        facts = await office.tables.one(Facts, "bank_facts", bank) if is_id(bank) else None
        if facts is not None:
            office.seen[key] = (now, facts)
    if facts is None or facts.organisation != who.organisation:
        raise not_found("bank")
    if who.party is not None:
        await banks.bank(office, who, bank)  # kept answers know nothing of admissions
    return facts
