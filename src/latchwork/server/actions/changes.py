"""What is changed of a stay after its announcement: asked of its wall, which answers in its log."""

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

import msgspec

from latchwork.domain import commands as c
from latchwork.domain.words import CompartmentId, PassId, PersonId, Role, StayId, StayState
from latchwork.server.actions import banks, passes, people, places, stays
from latchwork.server.actions.office import LIST_MAX, Asked, Declined, Office, Order, Who, ask, not_found, order

HOLD_DAYS_MAX = 60
OWN_HOLD_DAYS_MAX = 14
"""So long somebody may hold their own parcel by its link."""
DELEGATE_DAYS_MAX = 30
DELEGATES_MAX = 10
REDIRECTED_HOURS = 24
"""So long room is kept at another bank for what found none at the first."""
HOLD_AGAIN = timedelta(minutes=10)
HERE = frozenset({*stays.WAITING, StayState.BLOCKED, StayState.EXCEPTION})
RECIPIENT = "recipient"
"""Who asked, where it was whoever has the parcel's link."""


@dataclass(frozen=True, slots=True)
class Delegate:
    """Somebody who may fetch one stay. `state`: asked, live, used, revoked or refused; `digits` once the wall made
    them. `ticket`: the text of a QR code, which opens its door also where the wall has not heard of them."""

    id: str
    name: str
    email: str | None
    until: datetime
    state: str
    digits: str | None
    ticket: str | None


@dataclass(frozen=True, slots=True)
class DelegateRow:
    id: str
    name: str
    email: str | None
    until: datetime
    asked_at: datetime
    state: str
    bank: str
    n: int | None
    digits: int | None
    generation: int | None
    own_pass: str | None
    """The recipient's; None: nobody is let in by it of whom the wall has not heard."""

    def shown(self, office: Office) -> Delegate:
        digits = ticket = None
        live = self.state == "live"
        if live and self.until > office.now() and self.n is not None and self.digits:
            digits = office.vault.digits(self.bank, self.generation or 1, self.id, self.n, self.digits)
        if (digits or (self.state == "asked" and self.own_pass)) and self.until > office.now():
            since = self.asked_at - timedelta(minutes=5)  # the same each time: a page is sent again where it changed
            ticket = office.vault.ticket(self.bank, self.id, since, self.until, None if live else self.own_pass)
        return Delegate(self.id, self.name, self.email, self.until, self.state, digits, ticket)


@dataclass(frozen=True, slots=True)
class Collection:
    """A thing that a carrier takes out, as of when its wall was last heard."""

    id: str
    bank: str
    bank_name: str
    site_name: str
    heard_at: datetime | None
    compartment: str | None
    state: str
    reason: str | None
    service: str
    party: str | None
    party_name: str | None
    tracking: str | None
    deadline: datetime | None
    width_mm: int | None
    height_mm: int | None
    depth_mm: int | None


@dataclass(frozen=True, slots=True)
class _Redirect:
    stay: str
    organisation: str
    bank: str
    instruction: str
    asked_by: str | None
    reserve_until: datetime | None
    let_go: bool
    refusal: str


@dataclass(frozen=True, slots=True)
class _Due:
    stay: str
    organisation: str
    until: datetime


@dataclass(frozen=True, slots=True)
class _Code:
    pickup_pass: str
    pickup_n: int
    pickup_digits: int
    pickup_generation: int


# A stay that is here


async def extend(office: Office, who: Who, stay: str, key: str | None = None) -> Asked:
    """More time by the service's own rule; the wall says no where there is none left. Once for one `key`."""
    row = await _here(office, who, stay, stays.WAITING)
    return await _ask(office, who, row, c.Extend(row.known), office.id_for(who, f"extend {row.known}", key))


async def hold(office: Office, who: Who, stay: str, until: datetime, days_max: int = HOLD_DAYS_MAX) -> Asked:
    row = await _here(office, who, stay, HERE)
    stays.in_time(office.now(), until, days_max, "until")
    return await _ask(office, who, row, c.Amend(row.known, until=until))


async def block(office: Office, who: Who, stay: str, blocked: bool) -> Asked:
    """Nobody can collect it, or they can again."""
    row = await _here(office, who, stay, HERE)
    return await _ask(office, who, row, c.Amend(row.known, blocked=blocked))


async def reassign(office: Office, who: Who, stay: str, recipient: str) -> Asked:
    """Give it to its right recipient, who is told. Whoever had a code for it has none any more."""
    who.needs("hand_over")
    row = await _here(office, who, stay, HERE)
    await people.person(office, who, recipient)
    return await _ask(office, who, row, c.Amend(row.known, recipient=PersonId(recipient)))


# Before it came


async def redirect(office: Office, who: Who, stay: str, bank: str) -> Asked:
    """To another bank. The first wall is asked to expect it no longer; when it has agreed, the second one is asked."""
    row = await stays.row(office, stay, who.organisation)
    if bank == row.bank or not (row.state in stays.COMING or row.adrift):
        raise Declined(409, "parcel_not_available", "Only what is still expected goes to another bank.")
    stays.chosen(await stays.facts_of(office, who, bank), again(row, bank))
    until = row.deadline if row.state == StayState.RESERVED else None
    if row.adrift:
        kind, until = "Expect", office.now() + timedelta(hours=REDIRECTED_HOURS)
        values = (row.known, who.organisation, bank, who.token, office.now(), until)
        found = await office.tables.value("redirect_adrift", *values)
    else:
        asked = order(office, c.Cancel(row.known))
        kind = asked.kind
        found = await office.tables.value("redirect", *_asking(office, who, row, asked), bank, until)
        office.wake(row.bank)
    if found is None:
        raise Declined(409, "already_asked", "It is on its way to another bank already.")
    return Asked(str(found), row.bank, kind, None, row.heard_at)


# Whoever has the parcel's link


async def by_link(office: Office, token: str) -> tuple[Office, Who, str]:
    """An office that acts for its holder, in whose name, and about which stay. Declines with 404."""
    acting, row = await stays.by_link(office, token)
    return acting, Who(RECIPIENT, row.organisation, RECIPIENT, False, RECIPIENT), row.id


async def extendable(office: Office, who: Who, stay: str) -> bool:
    row = await stays.row(office, stay, who.organisation)
    service = (await stays.facts_of(office, who, row.bank)).offered().get(row.service)
    return service is not None and service.extensions_max > 0


async def hold_until_day(office: Office, who: Who, stay: str, day: date, days_max: int = HOLD_DAYS_MAX) -> Asked:
    """To the end of that day at the site."""
    row = await stays.row(office, stay, who.organisation)
    end = datetime.combine(day, time(23, 59), places.zone(row.time_zone) or UTC)
    return await hold(office, who, stay, end, days_max)


# Whom a recipient sends


async def delegates(office: Office, who: Who, stay: str) -> list[Delegate]:
    return await _sent(*await _at_wall(office, who, stay))


async def delegate(
    office: Office, who: Who, stay: str, name: str, email: str | None, until: datetime, key: str | None = None
) -> Delegate:
    """One person for one stay until a time, once for one `key`. They need no account: the code comes by mail, or is
    passed on."""
    who.needs("hand_over")
    office, row = await _at_wall(office, who, stay)
    if row.ended_at is not None:
        raise Declined(409, "parcel_not_available", "There is nothing to fetch: it is {state}.", state=row.state)
    stays.in_time(office.now(), until, DELEGATE_DAYS_MAX, "until")
    if email is not None and not re.fullmatch(people.EMAIL, email):
        raise Declined(422, "bad_address", "That is not an e-mail address.")
    pass_id = PassId(office.id_for(who, f"delegate {row.known}", key))
    sent = [x for x in await _sent(office, row) if x.state in ("asked", "live")]
    if known := next((x for x in sent if x.id == pass_id), None):
        return known
    if len(sent) >= DELEGATES_MAX:
        raise Declined(409, "too_many", "One stay has at most {n} delegates.", n=DELEGATES_MAX)
    body = c.GrantPass(pass_id, Role.PERSON, valid_until=until, stay=row.known)
    await passes.request(office, who, row.bank, body, sent=name, email=email)
    made = await office.tables.one(DelegateRow, "delegates", row.known, pass_id)
    if made is None:  # given to somebody else meanwhile
        raise not_found("delegate")
    return made.shown(office)


async def dismiss(office: Office, who: Who, stay: str, pass_id: str) -> Asked:
    """Their code opens nothing any more, as soon as the wall has heard of it."""
    office, row = await _at_wall(office, who, stay)
    if await office.tables.one(DelegateRow, "delegates", row.known, pass_id) is None:
        raise not_found("delegate")
    return await passes.take_back(office, who, row.bank, pass_id)


# A bank


async def collections(
    office: Office, who: Who, bank: str | None = None, site: str | None = None, party: str | None = None
) -> list[Collection]:
    """Of one wall, of a site's, or of all: wall by wall, door by door."""
    if bank is not None:
        await banks.bank(office, who, bank)
    return await office.tables.all(Collection, "collections", who.everywhere, bank, site, party, LIST_MAX)


async def withdraw(
    office: Office, who: Who, bank: str, compartments: list[str], *, back: bool = False, now: bool = False
) -> Asked:
    """Take compartments, or the whole bank, out of service or back into it."""
    await banks.bank(office, who, bank)
    body = c.Withdraw(tuple(map(CompartmentId, sorted(set(compartments)))), back, now)
    return await ask(office, who, bank, body, compartments[0] if len(compartments) == 1 else bank)


# By and by


async def forward(office: Office) -> None:
    """Whatever the first wall has let go is announced at the second."""
    for due in await office.tables.all(_Redirect, "redirects_due"):
        to, refusal = None, None if due.let_go else due.refusal
        if due.let_go:
            acting, who = office.acting(due.organisation), Who(due.asked_by or "", due.organisation, "redirect", False)
            row = await stays.row(acting, due.stay, due.organisation)
            try:
                new = replace(again(row, due.bank), reserve_until=due.reserve_until)
                reply = await stays.announce(acting, who, new, f"redirect {due.instruction}", due.stay.encode())
                to = msgspec.json.decode(reply.body, type=stays.Accepted).id
                await _same_code(acting, who, row, due.bank, to)
            except Declined as no:
                refusal = no.reason
        await office.tables.do("redirected", due.stay, to, office.now(), refusal)
        if due.let_go and to is None:
            await office.tables.do("nowhere", due.stay, due.organisation, office.now())


async def hold_for_the_absent(office: Office) -> None:
    now = office.now()
    for due in await office.tables.all(_Due, "away", now, now - HOLD_AGAIN):
        with suppress(Declined):
            who = Who("", due.organisation, "holiday", False)
            await hold(office.acting(due.organisation), who, due.stay, due.until)


async def _same_code(office: Office, who: Who, row: stays.Row, bank: str, stay: str) -> None:
    """A code that its recipient has at the first bank opens it at the second too, where nobody there has it."""
    code = await office.tables.one(_Code, "code_at", row.recipient, row.bank, who.organisation)
    if code is None:
        return
    digits = office.vault.digits(row.bank, code.pickup_generation, code.pickup_pass, code.pickup_n, code.pickup_digits)
    lookup = office.vault.code(bank, (await stays.facts_of(office, who, bank)).code_generation, digits)
    pass_id = PassId(office.id_for(who, "same code", stay))
    await passes.request(office, who, bank, c.GrantPass(pass_id, Role.PERSON, stay=StayId(stay), lookup=lookup))


def again(row: stays.Row, bank: str) -> stays.NewStay:
    """The same thing at another bank."""
    return stays.NewStay(bank, row.service, row.recipient, row.party, row.thing, row.tracking, row.size, row.in_reach)


async def _at_wall(office: Office, who: Who, stay: str) -> tuple[Office, stays.Row]:
    """A stay that they see. Who else may fetch it is kept for whoever runs its wall."""
    row = await stays.row(office, stay, who.organisation)
    return office.acting(who.organisation), row


async def _sent(office: Office, row: stays.Row) -> list[Delegate]:
    return [x.shown(office) for x in await office.tables.all(DelegateRow, "delegates", row.known, None)]


async def _here(office: Office, who: Who, stay: str, states: frozenset[StayState]) -> stays.Row:
    row = await stays.row(office, stay, who.organisation)
    if row.state not in states:
        raise Declined(409, "parcel_not_available", "It is not in a compartment: it is {state}.", state=row.state)
    return row


async def _ask(office: Office, who: Who, row: stays.Row, body: c.Instruction, name: str | None = None) -> Asked:
    asked = order(office, body, name)
    found = await office.tables.value("ask_once", *_asking(office, who, row, asked))
    if found is None:
        raise not_found("stay")
    office.wake(row.bank)
    return Asked(str(found), row.bank, asked.kind, None, row.heard_at)


def _asking(office: Office, who: Who, row: stays.Row, asked: Order) -> tuple[object, ...]:
    return (asked.id, who.organisation, row.known, asked.kind, asked.body, asked.sha256, office.now(), who.token)
