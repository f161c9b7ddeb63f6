"""A stay's receipt: what the banks wrote of it, with the proof, for anybody who has a stake in it."""

import logging
from dataclasses import dataclass
from functools import partial

from latchwork.domain.words import BankId
from latchwork.server.actions import stays
from latchwork.server.actions.office import Declined, Office, Who
from latchwork.store.rows import CheckpointRow
from latchwork.sync import receipts
from latchwork.sync.codec import Unreadable
from latchwork.sync.custody import homes, inclusion_path, kept
from latchwork.sync.notes import BadNote, read_note

ENTRIES_MAX = 20_000
"""Looked at for one receipt; few of them are in it."""
RETRY_SECONDS = 2

Log = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Receipt:
    """`body` is JSON, as `latchwork verify` and the page /verify read it."""

    stay: str
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """For an answer that is to be kept as a file."""
        return {"Content-Disposition": f'attachment; filename="receipt-{self.stay[:8]}.json"'}


@dataclass(frozen=True, slots=True)
class _EntryRow:
    bank: str
    epoch: int
    seq: int
    raw: bytes
    newest_epoch: int


async def of_stay(office: Office, who: Who, stay_id: str) -> Receipt:
    """Declines with 404, and with 409 while the wall has not signed what it wrote of it."""
    return await _receipt(office, await stays.row(office, stay_id, who.organisation))


async def of_link(office: Office, token: str) -> Receipt:
    """For whoever has the parcel's own link."""
    return await _receipt(*await stays.by_link(office, token))


async def _receipt(office: Office, row: stays.Row) -> Receipt:
    try:
        return Receipt(row.id, await _body(office, [row.id, *row.also]))
    except (BadNote, Unreadable, receipts.BadReceipt) as error:
        logging.getLogger(__name__).error("no receipt of stay %s: %s", row.id, error)
        raise Declined(409, "not_proven", "What is stored of it is not what the wall signed.") from None


async def _body(office: Office, named: list[str]) -> bytes:
    logs = await _logs(office, named)
    if not logs:
        raise Declined(409, "nothing_to_prove", "The wall has written nothing of it yet.")
    signed = {(each.bank, each.epoch): each for each in await office.store.checkpoints(list(logs))}
    for each, entries in logs.items():
        covered = signed[each].size if each in signed else 0
        last = entries[-1]
        if last.seq >= covered and last.epoch == last.newest_epoch:
            raise Declined(
                409,
                "not_signed_yet",
                "The wall has not signed its newest entries yet. Try again in a few seconds.",
                RETRY_SECONDS,
            )
        # Of an epoch that is over, nobody can sign any more what was written in its last second.
        logs[each] = [entry for entry in entries if entry.seq < covered]
    body = receipts.build(named, await _proven(office, signed, logs))
    receipts.verify(body)
    return body


async def _logs(office: Office, named: list[str]) -> dict[Log, list[_EntryRow]]:
    """By log and in its order, the entries that speak of these stays."""
    found = await office.tables.all(_EntryRow, "entries_naming", named, ENTRIES_MAX)
    asked = []
    for row in found:
        _, kind, body = receipts.body_of(row.raw)
        if kind == "Wanted":
            asked.append((body.get("opening"), row.bank, row.epoch, row.seq))
    if asked:
        columns = map(list, zip(*asked, strict=True))
        found += await office.tables.all(_EntryRow, "entries_of_openings", *columns, ENTRIES_MAX)
    subject = receipts.Subject(named)
    logs: dict[Log, list[_EntryRow]] = {}
    for (bank, epoch, _), row in sorted({(row.bank, row.epoch, row.seq): row for row in found}.items()):
        if subject.concerns(receipts.body_of(row.raw)[2]):
            logs.setdefault((bank, epoch), []).append(row)
    return logs


async def _proven(
    office: Office, signed: dict[Log, CheckpointRow], logs: dict[Log, list[_EntryRow]]
) -> list[receipts.Proven]:
    paths = {
        (*each, entry.seq): partial(inclusion_path, index=entry.seq, size=signed[each].size)
        for each, entries in logs.items()
        for entry in entries
    }
    wanted = {(bank, epoch, seq) for (bank, epoch, _), path in paths.items() for seq in homes(path)}
    beside = await office.store.nodes(sorted(wanted)) if wanted else {}
    names = {each: {by.name for by in read_note(row.note).signatures} for each, row in signed.items()}
    return [
        receipts.Proven(
            BankId(each[0]),
            each[1],
            signed[each].key,
            read_note(signed[each].note),
            next((key for key in office.vault.witnesses if key.name in names[each]), None),
            [(entry.raw, paths[*each, entry.seq](kept(beside.get(each, {})))) for entry in entries],
        )
        for each, entries in logs.items()
        if entries
    ]
