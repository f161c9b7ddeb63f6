"""Passes of those who work at a wall: couriers and staff. Their digits are derived, never stored."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from latchwork.domain import commands as c
from latchwork.domain.words import PartyId, PassId, Role
from latchwork.server.actions.office import LIST_MAX, Asked, Declined, Office, Who, ask, is_id, not_found, order

VALID_DAYS_MAX = 3650


@dataclass(frozen=True, slots=True)
class Pass:
    """`state`: asked, live, revoked or refused. `digits` are known once the wall has granted it."""

    id: str
    bank: str
    role: str
    party: str | None
    holder: str | None
    state: str
    valid_until: datetime | None
    asked_at: datetime | None
    digits: str | None = None


@dataclass(frozen=True, slots=True)
class _PassRow:
    id: str
    bank: str
    role: str
    party: str | None
    holder: str | None
    state: str
    valid_until: datetime | None
    asked_at: datetime | None
    n: int | None
    digits: int | None
    generation: int | None


async def grant(
    office: Office,
    who: Who,
    bank: str,
    role: Role,
    party: str | None = None,
    holder: str | None = None,
    valid_until: datetime | None = None,
) -> Pass:
    if role is Role.PERSON:
        raise Declined(422, "no_access", "A person's pass comes with a stay. Announce one.")
    now, pass_id = office.now(), office.new_id()
    if valid_until is not None and not now < valid_until <= now + timedelta(days=VALID_DAYS_MAX):
        raise Declined(
            422, "code_expired", f"`valid_until` lies within the next {VALID_DAYS_MAX} days, or is left out."
        )
    body = c.GrantPass(PassId(pass_id), role, PartyId(party) if party else None, valid_until)
    asked = order(office, body)
    found = await office.tables.do(
        "ask_pass",
        pass_id,
        who.organisation,
        bank,
        role,
        party,
        holder,
        valid_until,
        now,
        asked.id,
        asked.body,
        asked.sha256,
        who.token,
    )
    if not found:
        raise not_found("bank or party")
    office.wake(bank)
    return Pass(pass_id, bank, role, party, holder, "asked", valid_until, now)


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
    return await ask(office, who, found.bank, c.RevokePass(PassId(pass_id)), pass_id)


def _shown(office: Office, row: _PassRow) -> Pass:
    digits = None
    if row.state == "live" and row.n is not None and row.digits is not None and row.generation is not None:
        digits = office.vault.digits(row.bank, row.generation, row.id, row.n, row.digits)
    return Pass(row.id, row.bank, row.role, row.party, row.holder, row.state, row.valid_until, row.asked_at, digits)
