"""Room at a bank: whether there is any, who counts on it, and who waits for it.

Only a wall knows that a door is free. What is said here comes from the wall's own rule for choosing a compartment,
applied to what it told of itself, and is as of then. A hard reservation is the wall's; a soft one is a row of ours.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from latchwork.domain import commands as c
from latchwork.domain import policy
from latchwork.domain.bank import About, Bank, Compartment, Fitting, Policy
from latchwork.domain.table import Table
from latchwork.domain.words import (
    BankId,
    ClaimId,
    Climate,
    CompartmentId,
    CompartmentState,
    DoorState,
    Lookup,
    PartyId,
    PassId,
    PersonId,
    Reason,
    ServiceId,
    Size,
    StayId,
    ThingId,
)
from latchwork.server.actions import banks, parties, stays
from latchwork.server.actions.office import Asked, Declined, Office, Who, ask, is_id, not_found, order

SOFT_HOURS_MAX = 48
RACES_MAX = 20
RETRY = timedelta(minutes=1)
"""A wall that said no although it looked as if it had room is asked again after so long."""


@dataclass(frozen=True, slots=True)
class Availability:
    """An estimate, `as_of` when the wall was last heard. `fits`: the bank has a compartment that would do, free or not.
    `free`: how many such compartments nobody has, counts on or waits for. `reason`: why there is no
    room. `fallbacks`: where a thing goes instead."""

    bank: str
    as_of: datetime | None
    service: str
    fits: bool
    room: bool
    free: int
    waiting: int
    reason: str | None
    fallbacks: list[str]
    neighbour: str | None


@dataclass(frozen=True, slots=True)
class Soft:
    """Counted in every availability until it ends; no wall knows of it."""

    id: str
    bank: str
    service: str
    until: datetime


@dataclass(frozen=True, slots=True)
class _Fitting:
    id: str
    width_mm: int
    height_mm: int
    depth_mm: int
    climate: str
    reach_mm: int
    gate: bool
    shelf: bool
    state: str
    door: str


@dataclass(frozen=True, slots=True)
class _Counted:
    service: str
    width_mm: int | None
    height_mm: int | None
    depth_mm: int | None
    in_reach: bool

    def about(self) -> About:
        return About(ServiceId(self.service), size=_size(self), in_reach=self.in_reach)


@dataclass(frozen=True, slots=True)
class _Waiting:
    stay: str
    organisation: str
    bank: str
    minutes: int
    asked_by: str | None
    due: bool
    service: str
    party: str | None
    thing: str | None
    recipient: str | None
    label: str | None
    width_mm: int | None
    height_mm: int | None
    depth_mm: int | None
    in_reach: bool
    drop_off_pass: str | None
    epoch: int | None

    @property
    def known(self) -> StayId:
        return StayId(self.stay)


async def availability(office: Office, who: Who, new: stays.NewStay) -> Availability:
    """Whether something would find room, without booking it. To a party no other wall is named."""
    bank, rules = await banks.bank(office, who, new.bank), await banks.rules(office, who, new.bank)
    asked = replace(stays.theirs(who, new), recipient=new.recipient or "anybody")
    service = stays.chosen(await stays.facts_of(office, who, new.bank), asked)
    wanted = About(service.id, size=new.size, in_reach=new.in_reach)
    house, runs = _unseen(office, who)
    seen = await _seen(house, runs, bank.id)
    line = await house.tables.all(_Waiting, "queue", office.now(), bank.id)
    left = _less(seen, map(about, line))
    found, free = policy.choose(left, wanted), policy.places(left, wanted)
    return Availability(
        bank=bank.id,
        as_of=bank.heard_at,
        service=service.id,
        fits=not isinstance(policy.choose(_emptied(seen), wanted), Reason),
        room=free > 0,
        free=free,
        waiting=len(line),
        reason=found if isinstance(found, Reason) else None,
        fallbacks=rules.fallbacks,
        neighbour=None if who.party else rules.neighbour,
    )


async def announce(office: Office, who: Who, new: stays.NewStay, key: str, request: bytes) -> stays.Reply:
    """As `stays.announce`, with a place behind those who wait already for the room that it wants reserved."""
    who = await parties.at_wall(office, who, new.bank)
    if new.wait_minutes is not None and new.reserve_until is None:
        raise Declined(422, "no_reservation", "`wait` needs `reserve_until`: how long a compartment shall be kept.")
    if new.reserve_until is not None:
        service = stays.chosen(await stays.facts_of(office, who, new.bank), stays.theirs(who, new))
        ahead = await _others_first(office, who, new.bank, About(service.id, size=new.size, in_reach=new.in_reach))
        house, _ = _unseen(office, who)
        if ahead and not await house.tables.value("was_answered", who.organisation, stays.own(who, key)):
            if new.wait_minutes is None:
                raise _queued()
            new = replace(new, reserve_until=None)
    return await stays.announce(office, who, new, key, request)


async def _others_first(office: Office, who: Who, bank: str, wanted: About) -> bool:
    """Whether whoever waits already would have the room that this one wants."""
    office, who = _unseen(office, who)
    line = await office.tables.all(_Waiting, "queue", office.now(), bank)
    if not line:
        return False
    seen = await _seen(office, who, bank)
    return isinstance(policy.choose(_less(seen, map(about, line)), wanted), Reason)


def _unseen(office: Office, who: Who) -> tuple[Office, Who]:
    """A party sees neither a wall's other things nor who else waits, and is counted with them all the same."""
    return office.acting(who.organisation), replace(who, party=None)


def _queued() -> Declined:
    return Declined(409, "no_suitable_compartment", "Others wait already for that room. Let it `wait` too.")


async def reserve_softly(office: Office, who: Who, new: stays.NewStay, until: datetime, key: str | None = None) -> Soft:
    """Count on room for a while, once for one `key`. Declines with 409 where there is none."""
    now, name = office.now(), office.id_for(who, "soft reservation", key)
    if not now < until <= now + timedelta(hours=SOFT_HOURS_MAX):
        raise Declined(422, "expired", "`until` lies within the next {hours} hours.", hours=SOFT_HOURS_MAX)
    size = (new.size.width_mm, new.size.height_mm, new.size.depth_mm) if new.size else (None, None, None)
    for _ in range(RACES_MAX):
        if made := await office.tables.one(Soft, "soft_reservation", name, who.organisation):
            return made
        softs = await office.tables.value("softs", new.bank)
        found = await availability(office, who, new)
        if not found.room:
            raise Declined(409, found.reason or "no_suitable_compartment", "There is no room for it now.")
        values = (found.service, *size, new.in_reach, now, until, softs)
        if await office.tables.do("reserve_softly", name, who.organisation, new.bank, *values):
            return Soft(name, new.bank, found.service, until)
    raise Declined(503, "busy", "Too many ask for room here at once. Try again.", 1)


async def release_softly(office: Office, who: Who, soft: str) -> None:
    if not is_id(soft) or not await office.tables.do("release_softly", soft, who.organisation):
        raise not_found("soft reservation")


async def reserve(
    office: Office, who: Who, stay_id: str, until: datetime, wait: bool, minutes: int = stays.WAIT_MINUTES
) -> Asked | None:
    """Have a compartment reserved for a stay that is expected; `wait`: with a place in the queue. None where the wall
    is not asked yet, because others wait already."""
    row = await stays.row(office, stay_id, who.organisation)
    if row.state not in stays.COMING and not row.refused_for_room:
        raise Declined(
            409, "parcel_not_available", "Only an expected stay is reserved for; it is {state}.", state=row.state
        )
    stays.in_time(office.now(), until, stays.RESERVE_DAYS_MAX, "until")
    others = row.compartment is None and await _others_first(office, who, row.bank, about(row))
    if others and not wait:
        raise _queued()
    asked = order(office, _reservation(office, row, until))
    values = (asked.id, who.organisation, row.known, asked.kind, asked.body, asked.sha256, office.now(), who.token)
    if not wait:
        await office.tables.value("ask_once", *values)
    elif not await office.tables.do("wait", *values, minutes, until, not others):
        raise Declined(409, "already_waiting", "It has a place in the queue already.")
    office.wake(row.bank)
    return None if others else Asked(asked.id, row.bank, asked.kind, None, row.heard_at)


def _reservation(office: Office, row: "_Waiting | stays.Row", until: datetime) -> c.Instruction:
    """What asks the wall for a compartment; also to expect it at all, where it has refused that for want of room."""
    claim = ClaimId(office.new_id())
    if row.epoch is not None:
        return c.Reserve(row.known, claim, until)
    return replace(expectation(row), claim=claim, until=until)


def expectation(row: "_Waiting | stays.Row") -> c.Expect:
    return c.Expect(row.known, about(row), PassId(row.drop_off_pass) if row.drop_off_pass else None)


async def let_go(office: Office, who: Who, stay_id: str) -> Asked | None:
    """No reservation and no place in the queue any more; None where the wall need not hear of it."""
    row = await stays.row(office, stay_id, who.organisation)
    await office.tables.do("stop_waiting", row.known, who.organisation, office.now())
    if row.state not in stays.COMING or (row.epoch is None and "Expect" not in row.pending):
        return None
    return await ask(office, who, row.bank, c.Reserve(row.known, ClaimId(office.new_id()), None), row.known)


async def offer(office: Office) -> None:
    """Ask the walls that seem to have room again for those who wait for them: first come, by what fits."""
    now = office.now()
    await office.tables.do("settled", now)
    await office.tables.do("back_in_line", now + RETRY)
    await office.tables.do("tell_offers", now)
    line: dict[str, list[_Waiting]] = {}
    for row in await office.tables.all(_Waiting, "queue", now, None):
        line.setdefault(row.bank, []).append(row)
    for bank, rows in line.items():
        acting, who = office.acting(rows[0].organisation), Who("", rows[0].organisation, "queue", False)
        left = await _seen(acting, who, bank)
        for row in rows:
            wanted = about(row)
            chosen = policy.choose(left, wanted) if wanted.service in left.services else Reason.UNKNOWN_SERVICE
            if isinstance(chosen, Reason):
                continue
            left = _with(left, chosen[0], CompartmentState.RESERVED)  # though it may not be asked for yet: it was first
            if row.due:
                await _offer(acting, row, now)


async def _offer(office: Office, row: _Waiting, now: datetime) -> None:
    until = now + timedelta(minutes=row.minutes)
    asked = order(office, _reservation(office, row, until))
    await office.tables.do(
        "offer", asked.id, row.organisation, row.stay, asked.kind, asked.body, asked.sha256, now, until
    )
    office.wake(row.bank)


async def _seen(office: Office, who: Who, bank: str) -> Bank:
    """The bank as the cloud sees it, with whatever is counted on taken."""
    facts, rules = await stays.facts_of(office, who, bank), await banks.rules(office, who, bank)
    fittings = await office.tables.all(_Fitting, "fittings", bank)
    seen = Bank(
        BankId(bank),
        policy=Policy(
            services=tuple(facts.offered().values()),
            set_aside={CompartmentId(x): tuple(map(ServiceId, names)) for x, names in rules.set_aside.items()},
            in_reach_kept=rules.in_reach_kept,
        ),
        compartments=Table({x.id: x for x in map(_compartment, fittings)}),
    )
    return _less(seen, (row.about() for row in await office.tables.all(_Counted, "counted_on", bank, office.now())))


def _compartment(row: _Fitting) -> Compartment:
    size = Size(row.width_mm, row.height_mm, row.depth_mm)
    fitting = Fitting(CompartmentId(row.id), size, Climate(row.climate), row.reach_mm, gate=row.gate, shelf=row.shelf)
    return Compartment(fitting, CompartmentState(row.state), door=DoorState(row.door))


def _less(bank: Bank, counted: Iterable[About]) -> Bank:
    for wanted in counted:
        chosen = policy.choose(bank, wanted) if wanted.service in bank.services else None
        if isinstance(chosen, tuple):
            bank = _with(bank, chosen[0], CompartmentState.RESERVED)
    return bank


def _with(bank: Bank, compartment: Compartment, state: CompartmentState) -> Bank:
    return replace(bank, compartments=bank.compartments.put(compartment.id, replace(compartment, state=state)))


def _emptied(bank: Bank) -> Bank:
    free = {x.id: replace(x, state=CompartmentState.VACANT, door=DoorState.CLOSED) for x in bank.compartments.values()}
    return replace(bank, compartments=Table(free), policy=replace(bank.policy, in_reach_kept=0))


def about(row: "_Waiting | stays.Row") -> About:
    return About(
        ServiceId(row.service),
        PartyId(row.party) if row.party else None,
        ThingId(row.thing) if row.thing else None,
        PersonId(row.recipient) if row.recipient else None,
        Lookup(row.label) if row.label else None,
        _size(row),
        row.in_reach,
    )


def _size(row: "_Counted | _Waiting | stays.Row") -> Size | None:
    if row.width_mm is None or row.height_mm is None or row.depth_mm is None:
        return None
    return Size(row.width_mm, row.height_mm, row.depth_mm)
