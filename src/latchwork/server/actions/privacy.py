"""What we hold about a person, how it is forgotten, and what of a restored backup must not come back."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from latchwork.server.actions import documents, looks, passes, passkeys, people, sessions, stays
from latchwork.server.actions.office import LIST_MAX, Office, Who, is_id, not_found
from latchwork.server.ledger import Gone, Line

ERASED = "erased"
"""The document that names the pictures a bank is to erase."""
REPLY_DAYS = 30
"""How long an answer is kept for a request that is sent again with the same key."""
PICTURE_DAYS = 31
"""A day longer than a wall keeps a picture by itself, and so do we keep on asking it to erase one."""
FORGET_HOURS = 20
Days = Annotated[int, Meta(ge=1, le=3_650)]

log = logging.getLogger(__name__)


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Days after the end of a stay. Logs of walls hold no word about anybody, and are kept."""

    tracking_days: Days = 90
    notice_days: Days = 90


@dataclass(frozen=True, slots=True)
class AtBank:
    """`done`: this wall has said that it holds nothing of it any more. Else it will be told when it is on line."""

    bank: str
    name: str
    heard_at: datetime | None
    done: bool


@dataclass(frozen=True, slots=True)
class Erasure:
    """`erased`: how many, by kind. `person`: an id that is nobody's any more."""

    id: str
    person: str
    at: datetime
    asked_by: str
    erased: Mapping[str, int]
    banks: Sequence[AtBank] = ()


@dataclass(frozen=True, slots=True)
class _Erasure:
    id: str
    person: str
    at: datetime
    asked_by: str
    rows: str


@dataclass(frozen=True, slots=True)
class _Photo:
    bank: str
    sha256: str


@dataclass(frozen=True, slots=True)
class _Hash:
    sha256: str


@dataclass(frozen=True, slots=True)
class Received:
    """A stay that was for the person."""

    id: str
    bank: str
    service: str
    tracking: str | None
    state: str
    reason: str | None
    compartment: str | None
    announced: bool
    asked_at: datetime | None
    deposited_at: datetime | None
    deadline: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Sent:
    """Somebody whom the person sent to fetch something."""

    stay: str
    name: str
    email: str | None
    until: datetime
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Opening:
    """Of a door for something of the person's, or by staff while it was behind the door."""

    stay: str
    bank_name: str
    time_zone: str
    compartment: str
    purpose: str | None
    opened_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Notice:
    kind: str
    stay: str
    bank_name: str
    time_zone: str
    due_at: datetime
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class HeldPass:
    id: str
    bank: str
    holder: str | None
    state: str
    valid_until: datetime | None
    asked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Visit:
    """A browser in which the person looks at all their parcels."""

    created_at: datetime
    used_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Export:
    """All that is held about a person. Pictures of parcels stay at their walls, and show no person."""

    made_at: datetime
    organisation: str
    """Its name."""
    person: people.Person
    contact_for: Sequence[str]
    """Departments and households."""
    received: Sequence[Received]
    openings: Sequence[Opening]
    sent: Sequence[Sent]
    notices: Sequence[Notice]
    passes: Sequence[HeldPass]
    passkeys: Sequence[passkeys.Passkey]
    visits: Sequence[Visit]
    looks: Sequence[looks.Look]


async def erase(office: Office, who: Who, person_id: str) -> Erasure:
    """One action, and the receipt of it. The ledger is told first: from then on no backup brings the person back."""
    (receipt,) = await erase_several(office, who, [person_id])
    return receipt


async def erase_several(office: Office, who: Who, person_ids: Sequence[str]) -> list[Erasure]:
    """As `erase`, in one go. Declines with 404, and erases nobody, where one of them is not there."""
    for person_id in person_ids:
        await people.person(office, who, person_id)
    for person_id in person_ids:
        office.note(Gone.PERSON, who.organisation, person_id)
        for held in await office.tables.all(HeldPass, "passes_for", who.organisation, person_id):
            if held.state in ("asked", "live"):
                await passes.revoke(office, who, held.id)
    return await _erase(office, who.organisation, person_ids, who.name)


async def _erase(office: Office, organisation: str, person_ids: Sequence[str], asked_by: str) -> list[Erasure]:
    erased = [(person_id, await _erase_rows(office, organisation, person_id)) for person_id in person_ids]
    await people.refresh_all(office, organisation)
    receipts = []
    for person_id, counts in erased:
        name, rows = office.new_id(), msgspec.json.encode(counts).decode()
        await office.tables.do("note_erasure", name, organisation, person_id, office.now(), asked_by, rows)
        receipts.append(await _erasure(office, organisation, name))
    return receipts


async def _erase_rows(office: Office, organisation: str, person_id: str) -> dict[str, int]:
    """How many went, by kind."""
    photos = await office.tables.all(_Photo, "photos_of", organisation, person_id)
    erased = msgspec.json.decode(
        await office.tables.value("erase_person", organisation, person_id), type=dict[str, int]
    )
    erased["pictures"] = len(photos)
    await _erase_pictures(office, photos)
    return erased


async def _erase_pictures(office: Office, photos: Sequence[_Photo]) -> None:
    for bank in {photo.bank for photo in photos}:
        hashes = [photo.sha256 for photo in photos if photo.bank == bank]
        await office.tables.do("erase_photos", bank, hashes, office.now())
        named = [photo.sha256 for photo in await office.tables.all(_Hash, "erased_photos", bank)]
        await documents.put(office, bank, ERASED, named)


async def erase_late_pictures(office: Office) -> None:
    """What a wall took for somebody who was erased, and tells us of only now: it had not heard, or was offline."""
    await _erase_pictures(office, await office.tables.all(_Photo, "late_photos", office.now(), PICTURE_DAYS))


async def erasures(office: Office, who: Who) -> list[Erasure]:
    """The latest first, without what each wall says of it."""
    return [_shown(row) for row in await office.tables.all(_Erasure, "erasures", who.organisation, None, LIST_MAX)]


async def erasure(office: Office, who: Who, name: str) -> Erasure:
    if not is_id(name):
        raise not_found("erasure")
    return await _erasure(office, who.organisation, name)


async def _erasure(office: Office, organisation: str, name: str) -> Erasure:
    row = await office.tables.one(_Erasure, "erasures", organisation, name, 1)
    if row is None:
        raise not_found("erasure")
    return _shown(row, await office.tables.all(AtBank, "erasure_banks", name, organisation))


def _shown(row: _Erasure, banks: Sequence[AtBank] = ()) -> Erasure:
    return Erasure(row.id, row.person, row.at, row.asked_by, msgspec.json.decode(row.rows), banks)


async def export(office: Office, who: Who, person_id: str) -> Export:
    of, tables = (who.organisation, person_id), office.tables
    found = await people.person(office, who, person_id)
    await looks.record(office, who, looks.What.EXPORT, [found.id])
    run_by = await tables.one(_Named, "organisation_name", who.organisation)
    return Export(
        office.now(),
        run_by.name if run_by else "",
        found,
        [group.name for group in await tables.all(_Named, "contact_for", *of)],
        await tables.all(Received, "stays_for", *of),
        await tables.all(Opening, "openings_for", *of),
        await tables.all(Sent, "sent_by", *of),
        await tables.all(Notice, "notices_to", *of),
        await tables.all(HeldPass, "passes_for", *of),
        await tables.all(passkeys.Passkey, "person_passkeys", person_id),
        await tables.all(Visit, "visits_of", *of),
        await looks.looks(office, *of),
    )


@dataclass(frozen=True, slots=True)
class Known:
    """What a parcel's page tells of the person whom it is for. `person`: None where nobody is named."""

    organisation: str
    person: people.Person | None
    tracking: str | None
    kept: Retention
    looks: list[looks.Look]
    shown: str
    """What a courier sees at the wall: `initials` or `names`."""


@dataclass(frozen=True, slots=True)
class _Named:
    name: str


async def known(office: Office, link: str) -> Known:
    """For whoever has a parcel's secret link."""
    acting, row = await stays.by_link(office, link)
    person = None
    if row.recipient is not None:
        person = await acting.tables.one(people.Person, "person", row.organisation, row.recipient)
    run_by = await acting.tables.one(_Named, "organisation_name", row.organisation)
    kept = await retention(acting, row.organisation)
    seen = await looks.looks(acting, row.organisation, row.recipient) if row.recipient else []
    shown = await acting.tables.value("shown", row.bank)
    return Known(run_by.name if run_by else "", person, row.tracking, kept, seen, shown)


async def retention(office: Office, organisation: str) -> Retention:
    said: Any = await office.tables.value("retention", organisation)
    return msgspec.json.decode(said or "{}", type=Retention)


async def set_retention(office: Office, who: Who, wanted: Retention) -> Retention:
    await office.tables.do("set_retention", who.organisation, msgspec.json.encode(wanted).decode())
    return wanted


async def forget(office: Office) -> None:
    """Once a night, by whichever process comes first."""
    now = office.now()
    if not await office.tables.do("time_to_forget", now, FORGET_HOURS):
        return
    ours = Retention()
    gone = await office.tables.value("forget", now, ours.tracking_days, ours.notice_days, REPLY_DAYS, PICTURE_DAYS)
    log.info("too old, and forgotten: %s", gone)


async def replay(office: Office, lines: Sequence[Line]) -> int:
    """What the ledger says is gone goes once more; how many had come back. For the server itself, at its start."""
    back = 0
    roles = {line.id.split()[0]: line for line in lines if line.what is Gone.ROLE}
    for line in lines:
        if line.what is not Gone.ROLE or roles[line.id.split()[0]] is line:
            back += await _again(office, line)
    if back:
        log.warning("a backup had brought back %d things that were erased or revoked: they are gone again", back)
        await office.tables.do("end_all_sessions")
    return back


async def _again(office: Office, line: Line) -> bool:
    do, told = office.tables.do, line.id.split()
    match line.what:
        case Gone.PERSON:
            if not await do("person", line.organisation, line.id):
                return False
            await _erase(office, line.organisation, [line.id], "the ledger of what is gone")
            return True
        case Gone.KEY:
            return await do("revoke_again", line.id, line.at)
        case Gone.TOKEN:
            return await do("revoke_token", line.organisation, line.id, line.at)
        case Gone.ACCOUNT:
            return await do("remove_account", line.organisation, line.id)
        case Gone.ROLE:
            return await do("role_gone", *told)
        case Gone.PASSWORD:
            return await do("password_gone", line.id, line.at)
        case Gone.APP:
            return await do("app_gone", line.id, line.at)
        case Gone.CODES:
            return await do("recovery_gone", line.id, line.at)
        case Gone.PASSKEY:
            return await do("passkey_gone", line.id, line.at)
        case Gone.PROVIDER:
            return await do("provider_gone", line.id)
        case Gone.LINK:
            return await do("use_link", line.id, line.at)
        case Gone.ROTATED:
            return await do("token_ends", told[0], datetime.fromisoformat(told[1]))
        case Gone.SESSION:
            return office.now() - line.at < sessions.LIFE and await do("session_gone", line.id)
        case Gone.VISITS:
            return await do("visits_gone", line.id, line.at)
        case Gone.ADMISSION:
            return await do("admission_gone", *told, line.at)
