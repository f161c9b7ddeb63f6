"""What a wall looks like, as of when it was last heard; and its doors opened and vouched for from afar."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from latchwork.domain import commands as c
from latchwork.domain.words import STAFF_REASONS, CompartmentId, OpeningId, PersonId, Reason
from latchwork.server.actions import banks
from latchwork.server.actions.office import Asked, Declined, Office, Who, ask, is_id, not_found
from latchwork.sync.codec import read_instruction

OPEN_SECONDS_MAX = 30
"""So long an order to open is worth anything, by our clock."""
SIGNED_OPEN_SECONDS_MAX = 900
"""Of a guarded wall, whose order waits for a signature."""
SECOND_SECONDS_MAX = 600
"""So long a second person may confirm what takes two."""
CHECK_SECONDS_MAX = 600
"""So long what somebody saw inside is worth anything."""
COMPARTMENTS_MAX = 2_000


@dataclass(frozen=True, slots=True)
class Compartment:
    id: str
    width_mm: int
    height_mm: int
    depth_mm: int
    climate: str
    reach_mm: int
    state: str
    why: str | None
    door: str
    stay: str | None
    gate: bool
    shelf: bool
    looked_at: datetime | None
    """When a person last said what is inside."""


@dataclass(frozen=True, slots=True)
class Wall:
    bank: str
    as_of: datetime | None
    """When the bank was last heard; None: never yet."""
    compartments: list[Compartment]


@dataclass(frozen=True, slots=True)
class Opening:
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


@dataclass(frozen=True, slots=True)
class Instruction:
    """`state`: asked, sent, done, refused or void. Done says that the wall took it; `opening_state` what came of it.
    `heard_at`: when the wall was last heard. `unsigned`: it waits for a signature."""

    id: str
    bank: str
    kind: str | None
    state: str
    refusal: str | None
    about: str | None
    not_after: datetime | None
    asked_at: datetime
    answered_at: datetime | None
    opening_state: str | None
    opening_why: str | None
    heard_at: datetime | None
    unsigned: bool


async def wall(office: Office, who: Who, bank_id: str) -> Wall:
    bank = await banks.bank(office, who, bank_id)
    found = await office.tables.all(Compartment, "compartments", bank.id, COMPARTMENTS_MAX)
    return Wall(bank.id, bank.heard_at, found)


async def compartment(office: Office, who: Who, bank_id: str, compartment_id: str) -> Compartment:
    found = await wall(office, who, bank_id)
    for compartment in found.compartments:
        if compartment.id == compartment_id:
            return compartment
    raise not_found("compartment")


async def openings(office: Office, who: Who, bank_id: str, compartment: str, limit: int = 20) -> list[Opening]:
    await banks.bank(office, who, bank_id)
    return await office.tables.all(Opening, "openings_of_door", bank_id, compartment, limit)


async def open_door(
    office: Office,
    who: Who,
    bank_id: str,
    compartment_id: str,
    reason: Reason,
    note: str = "",
    confirms: str | None = None,
) -> Asked:
    """Have a door opened now or not at all. The note stays with us; the log gets a hash of it.

    `confirms`: what somebody else asked for and the wall refused, because so many doors take two people.
    """
    if reason not in STAFF_REASONS:
        raise Declined(422, "no_access", "`reason` is one of {reasons}.", reasons=", ".join(sorted(STAFF_REASONS)))
    await compartment(office, who, bank_id, compartment_id)
    if not who.may("open_untold") and await office.tables.value("untold_behind", bank_id, compartment_id):
        raise Declined(
            403,
            "no_access",
            "What is behind this door is for somebody whom no mail can tell that staff opened it. A manager opens it.",
        )
    first = await _first_of_two(office, who, bank_id, compartment_id, confirms) if confirms else who.token
    guarded = await office.tables.value("guards", who.organisation, bank_id) != "[]"
    until = office.now() + timedelta(seconds=SIGNED_OPEN_SECONDS_MAX if guarded else OPEN_SECONDS_MAX)
    salt = office.draw(16) if note else None
    body = c.Open(
        OpeningId(office.new_id()),
        CompartmentId(compartment_id),
        reason,
        PersonId(first),
        until,
        sha256(salt + note.encode()).hexdigest() if salt else None,
        second=PersonId(who.token) if confirms else None,
    )
    return await ask(office, who, bank_id, body, body.opening, not_after=until, note=note or None, salt=salt)


async def _first_of_two(office: Office, who: Who, bank_id: str, compartment_id: str, confirms: str) -> str:
    since = office.now() - timedelta(seconds=SECOND_SECONDS_MAX)
    found = await office.tables.one(_ToSecond, "to_second", who.organisation, bank_id, confirms, who.token, since)
    asked = read_instruction(found.body) if found else None
    if found is None or not isinstance(asked, c.Open) or asked.compartment != compartment_id:
        raise Declined(
            409, "second_person", "Nobody else asked for this door within ten minutes and was refused for want of you."
        )
    return found.asked_by


@dataclass(frozen=True, slots=True)
class _ToSecond:
    asked_by: str
    body: bytes


async def check(office: Office, who: Who, bank_id: str, compartment_id: str, empty: bool) -> Asked:
    """Vouch for what is inside now: a wall that hears of it much later does not believe it."""
    await compartment(office, who, bank_id, compartment_id)
    until = office.now() + timedelta(seconds=CHECK_SECONDS_MAX)
    body = c.Check(CompartmentId(compartment_id), empty, PersonId(who.token), until)
    return await ask(office, who, bank_id, body, compartment_id, not_after=until)


async def instruction(office: Office, who: Who, instruction_id: str) -> Instruction:
    found = (
        await office.tables.one(Instruction, "instruction", who.organisation, instruction_id)
        if is_id(instruction_id)
        else None
    )
    if found is None:
        raise not_found("instruction")
    return found
