"""Passes of couriers, of staff and of households. Digits are derived, never stored."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from latchwork.domain import commands as c
from latchwork.domain.words import PartyId, PassId, PersonId, Role
from latchwork.server.actions import places, stays
from latchwork.server.actions.office import LIST_MAX, Asked, Declined, Office, Who, ask, is_id, not_found, order
from latchwork.sync import keys

VALID_DAYS_MAX = 3650


@dataclass(frozen=True, slots=True)
class Pass:
    """`state`: asked, live, revoked or refused. `digits` are known once the wall has granted it. `predicted`: its code
    changes daily, and the wall has not told today's yet: this is the one that it takes unless somebody there has it.
    `before`: then the last one that it told, and keeps to where it has started anew since and does not know the time.
    `pending`: what the wall was asked and has not answered; `unsigned`: it waits for a signature. `heard_at`: when the
    wall was last heard."""

    id: str
    bank: str
    role: str
    party: str | None
    recipient: str | None
    holder: str | None
    state: str
    valid_until: datetime | None
    daily: bool
    asked_at: datetime | None
    heard_at: datetime | None
    pending: list[str]
    unsigned: bool
    digits: str | None
    predicted: bool
    before: str | None


@dataclass(frozen=True, slots=True)
class _PassRow:
    id: str
    bank: str
    role: str
    party: str | None
    recipient: str | None
    holder: str | None
    state: str
    valid_until: datetime | None
    daily: bool
    asked_at: datetime | None
    heard_at: datetime | None
    pending: list[str]
    unsigned: bool
    n: int | None
    digits: int | None
    generation: int | None
    newest: int
    """The generation of the code key that the wall makes codes with now."""
    time_zone: str


@dataclass(frozen=True, slots=True)
class NewPass:
    """A courier's or a staff member's; or a person's for everything of one `recipient`, such as their card."""

    bank: str
    role: Role
    party: str | None = None
    recipient: str | None = None
    holder: str | None = None
    valid_until: datetime | None = None
    daily: bool = False
    card: str | None = None
    code: str | None = None
    """Digits that they have from another bank."""


def number_of(card: str) -> str:
    """As a reader says it, with whatever stands between the digits left out. Declines with 422."""
    number = re.sub(r"[\s:.-]", "", card)
    if not re.fullmatch(r"[0-9A-Fa-f]{4,32}", number):
        raise Declined(422, "bad_card", "A card has a number of 4 to 32 digits, in hex or decimal.")
    return number


async def grant(office: Office, who: Who, new: NewPass, key: str | None = None) -> Pass:
    """Once for one `key`."""
    if (new.role is Role.PERSON) is not (new.recipient is not None):
        raise Declined(422, "no_access", "A person's pass names the `recipient` whose things it opens; no other does.")
    if new.daily and (new.role is Role.PERSON or new.valid_until or new.card or new.code):
        raise Declined(422, "no_access", "A code that changes daily is a courier's or staff's, and has no end or card.")
    if new.card and new.code:
        raise Declined(422, "no_access", "A pass has a `card` or a `code`; for both, ask for two.")
    valid(office, new.valid_until)
    pass_id = PassId(office.id_for(who, "pass", key))
    lookup = None
    if new.card or new.code:
        generation = (await stays.facts_of(office, who, new.bank)).code_generation
        made_of = office.vault.card if new.card else office.vault.code
        lookup = made_of(new.bank, generation, new.card or new.code or "")
    body = c.GrantPass(
        pass_id,
        new.role,
        PartyId(new.party) if new.party else None,
        new.valid_until,
        recipient=PersonId(new.recipient) if new.recipient else None,
        daily=new.daily,
        lookup=lookup,
    )
    await request(office, who, new.bank, body, holder=new.holder)
    return await read(office, who, pass_id)


def valid(office: Office, until: datetime | None) -> None:
    """Declines with 422."""
    if until is not None and not office.now() < until <= office.now() + timedelta(days=VALID_DAYS_MAX):
        raise Declined(
            422, "code_expired", "`valid_until` lies within the next {n} days, or is left out.", n=VALID_DAYS_MAX
        )


async def request(
    office: Office,
    who: Who,
    bank: str,
    body: c.GrantPass,
    *,
    holder: str | None = None,
    sent: str | None = None,
    email: str | None = None,
) -> None:
    """Ask a bank for a pass, and note whose it is. Declines with 404."""
    asked = order(office, body)
    found = await office.tables.do(
        "ask_pass",
        body.pass_id,
        who.organisation,
        bank,
        body.role,
        body.party,
        holder,
        body.valid_until,
        office.now(),
        asked.id,
        asked.body,
        asked.sha256,
        who.token,
        body.stay,
        body.recipient,
        body.daily,
        sent,
        email,
    )
    if not found:
        raise not_found("bank, party or recipient")
    office.wake(bank)


async def passes(office: Office, who: Who, bank: str | None = None) -> list[Pass]:
    rows = await office.tables.all(_PassRow, "passes", who.organisation, None, bank, LIST_MAX)
    return [_shown(office, row) for row in rows]


async def read(office: Office, who: Who, pass_id: str) -> Pass:
    row = await office.tables.one(_PassRow, "passes", who.organisation, pass_id, None, 1) if is_id(pass_id) else None
    if row is None:
        raise not_found("pass")
    return _shown(office, row)


async def revoke(office: Office, who: Who, pass_id: str) -> Asked:
    """Asked, not done: a wall that is offline goes on believing the pass until it hears of it."""
    found = await read(office, who, pass_id)
    return await take_back(office, who, found.bank, pass_id)


async def take_back(office: Office, who: Who, bank: str, pass_id: str) -> Asked:
    """Also where the wall was not told of it yet because a signature is missing: none is taken for it any more."""
    await office.tables.do("forestall_grant", who.organisation, bank, pass_id, office.now())
    return await ask(office, who, bank, c.RevokePass(PassId(pass_id)), pass_id)


def _shown(office: Office, row: _PassRow) -> Pass:
    zone, told, today = places.zone(row.time_zone), _digits(office, row, row.generation, row.n), None
    if row.daily and row.valid_until is not None and row.valid_until <= office.now() and zone is not None:
        day = office.now().astimezone(zone).date().toordinal()
        today = _digits(office, row, row.newest, day * keys.CODES_OFFERED)
    return Pass(
        row.id,
        row.bank,
        row.role,
        row.party,
        row.recipient,
        row.holder,
        row.state,
        row.valid_until,
        row.daily,
        row.asked_at,
        row.heard_at,
        row.pending,
        row.unsigned,
        today or told,
        today is not None,
        told if today else None,
    )


def _digits(office: Office, row: _PassRow, generation: int | None, n: int | None) -> str | None:
    if row.state != "live" or n is None or not row.digits or generation is None:
        return None
    return office.vault.digits(row.bank, generation, row.id, n, row.digits)
