"""What a carrier or shop says of the returns that people bring: by a rule that walls keep, and when asked about one.

A wall asks us before a door opens, and we ask the partner. Whoever does not answer in time, or cannot be reached, is
spoken for by the rule, which every wall has as a document. What stands on a parcel is in neither log.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from latchwork.server.actions import documents, outward, people
from latchwork.server.actions.office import Declined, Office, Who, is_id, not_found
from latchwork.server.actions.outward import NotReached
from latchwork.sync.exchange import ADVICE_SECONDS_MAX

DOCUMENT = "partner rules"
WALL = "wall"
"""The document that tells a kiosk what its wall is called, where it stands, and what carriers are called."""
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
class _Sign:
    id: str
    name: str
    site: str


async def create(office: Office, who: Who, name: str) -> people.Party:
    party = people.Party(office.new_id(), name)
    await office.tables.do("create_party", party.id, who.organisation, name)
    await _name_carriers(office, who)
    return party


async def _name_carriers(office: Office, who: Who, only: str | None = None) -> None:
    carriers = {party.id: party.name for party in await people.parties(office, who)}
    for bank in await office.tables.all(_Sign, "signs", who.organisation, only):
        await documents.put(office, bank.id, WALL, {"name": bank.name, "site": bank.site, "carriers": carriers})


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
    said = msgspec.json.encode(shown).decode()
    if not await office.tables.do("set_partner_rule", who.organisation, party, said, sealed):
        raise not_found("party")
    await documents.put_everywhere(office, who.organisation, DOCUMENT, await _told(office, who))
    return shown


async def begin(office: Office, who: Who, bank: str) -> None:
    """What a new wall has to know."""
    await documents.put(office, bank, DOCUMENT, await _told(office, who))
    await _name_carriers(office, who, bank)


async def _told(office: Office, who: Who) -> dict[str, dict[str, Any]]:
    rows = await office.tables.all(_Row, "partner_rules", who.organisation, None)
    rules = {row.id: row.read() for row in rows}
    return {party: {"prefixes": rule.prefixes, "otherwise": rule.otherwise} for party, rule in rules.items()}


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
