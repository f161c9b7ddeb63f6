"""Tokens and who they speak for; the seal on a session's forms; what is made at the very first start."""

import base64
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from latchwork.server.actions import links
from latchwork.server.actions.office import Declined, Office, Who

TOKEN_PREFIX = "lw_"
REMEMBER_SECONDS_MAX = 5
"""So long a token that was just seen is not looked up again: also how late its revocation may bite."""
_SEEN_MAX = 10_000


@dataclass(frozen=True, slots=True)
class FirstToken:
    organisation: str
    token: str
    owner_link: str
    """One-time, for a day: whoever opens it becomes the organisation's first owner."""


def new_token(office: Office) -> str:
    return TOKEN_PREFIX + base64.urlsafe_b64encode(office.draw(32)).decode().rstrip("=")


def token_hash(token: str) -> bytes:
    return sha256(token.encode()).digest()


@dataclass(frozen=True, slots=True)
class _Masters:
    marks: list[bytes]
    since: list[datetime]


@dataclass(frozen=True, slots=True)
class _Locked:
    purpose: str
    secret: bytes


@dataclass(frozen=True, slots=True)
class Older:
    """How much is still out that was made with a master secret before the newest."""

    codes: int
    walls: int
    """Have not taken their newest code key yet."""
    apps: int
    recovery_codes: int


async def vault_fits(office: Office) -> bool:
    """Whether the master secrets are those of this database: the first to ask decides the first, and a new one may
    stand behind those that are known. From then on it makes what is new, and every wall is told."""
    vault = office.vault
    await office.tables.value("master_mac", vault.marks[0])
    while True:
        known = await office.tables.one(_Masters, "masters")
        assert known is not None
        if known.marks != vault.marks[: len(known.marks)]:
            return False
        vault.since = known.since
        if len(known.marks) == vault.generation:
            break
        n = len(known.marks) + 1
        await office.tables.do("take_master", vault.marks[n - 1], office.now(), n)
    if vault.generation > 1:
        for row in await office.tables.all(_Locked, "locked"):
            again = vault.lock(row.purpose, vault.unlock(row.purpose, row.secret))
            await office.tables.do("lock_again", row.purpose, again, row.secret)
    return True


async def under_older(office: Office) -> Older | None:
    """None where there is one master secret."""
    if office.vault.generation == 1:
        return None
    return await office.tables.one(Older, "under_older", office.vault.generation, office.vault.since[-1])


async def begin(office: Office, keep: Callable[[str], None]) -> bool:
    """At the first start: an organisation, and the token that may make others. False if there are tokens already.

    `keep` gets the token before it is worth anything, so that a crash cannot leave one that nobody knows.
    """
    if await office.tables.value("tokens_exist"):
        return False
    token = new_token(office)
    keep(token)
    await _create(office, "First organisation", token, root=True)
    return True


async def create_organisation(office: Office, name: str) -> FirstToken:
    token = new_token(office)
    organisation = await _create(office, name, token, root=False)
    made = await links.make(office, links.Purpose.OWNER, organisation)
    assert made.link is not None, "without an address it is not mailed"
    return FirstToken(organisation, token, made.link)


async def _create(office: Office, name: str, token: str, *, root: bool) -> str:
    organisation = office.new_id()
    await office.tables.do(
        "create_organisation", organisation, name, office.new_id(), token_hash(token), root, office.now()
    )
    return organisation


async def who_is(office: Office, token: str) -> Who | None:
    if not token.startswith(TOKEN_PREFIX) or len(token) > 100:
        return None
    return await _remembered(office, token_hash(token))


def form_seal(office: Office, session: str) -> str:
    """What a form of this session carries, so that no other site can send it."""
    return office.vault.seal("operator form", session)


def check_form(office: Office, session: str, seal: str) -> None:
    if not (seal.isascii() and hmac.compare_digest(seal, form_seal(office, session))):
        raise Declined(403, "form_outdated", "This form is too old. Open the page again and repeat it.")


async def _remembered(office: Office, hashed: bytes) -> Who | None:
    now, key = office.now(), hashed.hex()
    known = office.seen.get(key)
    if known is not None and now - known[0] < timedelta(seconds=REMEMBER_SECONDS_MAX):
        return known[1] if isinstance(known[1], Who) else None
    who = await office.tables.one(Who, "token", hashed, now)
    if who is None:  # wrong ones are not remembered: they could fill the memory
        office.seen.pop(key, None)
        return None
    if len(office.seen) >= _SEEN_MAX:
        office.seen.clear()
    office.seen[key] = (now, who)
    await office.tables.do("token_used", who.token, now)
    return who
