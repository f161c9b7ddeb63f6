"""API tokens of an organisation: what each may do is its role, it ends by itself, and it is shown once.

A token is replaced without a gap: the new one works at once, the old one for a while longer.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from latchwork.server.access import PARTIES, ROLES
from latchwork.server.actions.access import new_token, token_hash
from latchwork.server.actions.office import LIST_MAX, Declined, Office, Who, is_id, not_found
from latchwork.server.ledger import Gone

DAYS_MAX = 3650
OVERLAP = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Token:
    id: str
    name: str
    role: str
    party: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Made:
    """`token` is shown now and never again."""

    id: str
    token: str
    expires_at: datetime


async def tokens(office: Office, who: Who) -> list[Token]:
    return await office.tables.all(Token, "tokens", who.organisation, office.now(), LIST_MAX)


async def make(office: Office, who: Who, name: str, role: str, days: int, party: str | None = None) -> Made:
    if role not in ROLES or (role in PARTIES) != (party is not None):
        raise Declined(422, "unknown_role", "Choose a role; a carrier's or a shop's system also needs its party.")
    if not 0 < days <= DAYS_MAX:
        raise Declined(422, "bad_days", "A token lives for 1 to {days} days.", days=DAYS_MAX)
    if not (name.strip() and name.isprintable()):
        raise Declined(422, "no_name", "Say what the token is for.")
    token, made, now = new_token(office), office.new_id(), office.now()
    expires = now + timedelta(days=days)
    row = (made, who.organisation, token_hash(token), name.strip()[:100], role, party, now, expires, who.token)
    if not await office.tables.do("add_token", *row):
        raise not_found("party")
    return Made(made, token, expires)


async def rotate(office: Office, who: Who, token_id: str) -> Made:
    """The new one has the rights and the length of life of the old one, which ends within a week."""
    token, made, now = new_token(office), office.new_id(), office.now()
    row = (who.organisation, token_id, made, token_hash(token), now, now + OVERLAP, who.token, who.root)
    if not is_id(token_id):
        raise not_found("token")
    async with office.acting(who.organisation).tables.together() as tables:
        expires = await tables.value("rotate_token", *row)
        if expires is None:
            raise not_found("token")
        office.note(Gone.ROTATED, who.organisation, f"{token_id} {(now + OVERLAP).isoformat()}")
    return Made(made, token, expires)


async def revoke(office: Office, who: Who, token_id: str) -> None:
    """Ends its sessions and links too. Another process of the server may believe it for a few seconds longer."""
    async with office.acting(who.organisation).tables.together() as tables:
        hashed = await tables.value("revoke_token", who.organisation, token_id, office.now())
        if hashed is None:
            raise not_found("token")
        office.note(Gone.TOKEN, who.organisation, token_id)
    office.seen.pop(hashed.hex(), None)
