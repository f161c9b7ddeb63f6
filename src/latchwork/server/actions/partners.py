"""What a carrier or shop says of the returns that people bring: by a rule that walls keep, and when asked about one.

A wall asks us before a door opens, and we ask the partner. Whoever does not answer in time, or cannot be reached, is
spoken for by the rule, which every wall has as a document. What stands on a parcel is in neither log.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from latchwork.server.actions import outward, people
from latchwork.server.actions.office import Declined, Office, Who, is_id, not_found
from latchwork.server.actions.outward import NotReached
from latchwork.sync.exchange import ADVICE_SECONDS_MAX

DOCUMENT = "partner rules"
PREFIXES_MAX = 100

log = logging.getLogger(__name__)


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`prefixes`: a label that begins so is taken in; `otherwise`: what becomes of every other one. `ask`: an https
    address that is asked about each label first, by POST of a form with `label` and `bank`, and answers
    `{"accept": true}` or `{"accept": false}` within 3 seconds; `secret`: the password that we show there, as the
    user "latchwork", and show nobody else."""

    prefixes: Annotated[list[Annotated[str, Meta(min_length=1, max_length=40)]], Meta(max_length=PREFIXES_MAX)] = []
    otherwise: Literal["accept", "refuse"] = "accept"
    ask: Annotated[str, Meta(max_length=500)] | None = None
    secret: Annotated[str, Meta(min_length=8, max_length=200)] | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    rule: str
    ask_secret: bytes | None

    def read(self) -> Rule:
        return msgspec.json.decode(self.rule, type=Rule)


@dataclass(frozen=True, slots=True)
class _Bank:
    id: str


async def rule(office: Office, who: Who, party: str) -> Rule:
    """Without its secret."""
    row = await office.tables.one(_Row, "partner_rules", who.organisation, party) if is_id(party) else None
    if row is None:
        raise not_found("party")
    return row.read()


async def set_rule(office: Office, who: Who, party: str, wanted: Rule) -> Rule:
    """The walls hear of it within seconds."""
    await people.party(office, who, party)
    if wanted.ask is not None and not wanted.ask.startswith(("https://", "http://")):
        raise Declined(422, "bad_address", "`ask` begins with https://.")
    sealed = office.vault.lock(f"party {party}", wanted.secret.encode()) if wanted.secret else None
    shown = msgspec.structs.replace(wanted, secret=None)
    await office.tables.do("set_partner_rule", who.organisation, party, msgspec.json.encode(shown).decode(), sealed)
    told = _document(await office.tables.all(_Row, "partner_rules", who.organisation, None))
    for bank in await office.tables.all(_Bank, "bank_ids", who.organisation):
        if await office.tables.do("put_document", bank.id, DOCUMENT, told):
            office.wake(bank.id)
    return shown


async def begin(office: Office, who: Who, bank: str) -> None:
    """What a new wall has to know."""
    told = _document(await office.tables.all(_Row, "partner_rules", who.organisation, None))
    await office.tables.do("put_document", bank, DOCUMENT, told)


def _document(rows: Sequence[_Row]) -> bytes:
    rules = {row.id: row.read() for row in rows}
    return msgspec.json.encode({x: {"prefixes": r.prefixes, "otherwise": r.otherwise} for x, r in rules.items()})


async def advise(office: Office, bank: str, party: str, label: str) -> bool | None:
    """What the partner answers about one label; None where there is nobody to ask, or no answer in time."""
    row = await office.tables.one(_Row, "partner_rule_at", bank, party)
    asked = row.read().ask if row is not None else None
    if row is None or asked is None:
        return None
    user = None
    if row.ask_secret is not None:
        user = ("latchwork", office.vault.unlock(f"party {party}", row.ask_secret).decode())
    try:
        async with asyncio.timeout(ADVICE_SECONDS_MAX):
            said = (await outward.ask(office, asked, {"label": label, "bank": bank}, user)).get("accept")
    except (NotReached, TimeoutError) as error:
        log.warning("a partner was asked about a label and did not answer: %s", error or "no answer in time")
        return None
    return said if isinstance(said, bool) else None
