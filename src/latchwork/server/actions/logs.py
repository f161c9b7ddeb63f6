"""A wall's logs as the server has them: how far each is signed, and the whole of one, to be checked without us."""

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

import msgspec

from latchwork.server.actions import banks
from latchwork.server.actions.office import Declined, Office, Who, not_found
from latchwork.sync.audit import LogHead
from latchwork.sync.keys import key_id

PAGE_ROWS = 500
MEDIA_TYPE = "application/jsonl"


@dataclass(frozen=True, slots=True)
class Log:
    """One unbroken life of a wall's log. `checkpoint` is what the wall signed of its first `signed` entries, with our
    countersignature; `key` is the device key that signed it, in hex."""

    epoch: int
    size: int
    signed: int
    signed_at: datetime | None
    key: str | None
    checkpoint: str | None

    @property
    def key_id(self) -> str:
        return key_id(bytes.fromhex(self.key)) if self.key else ""


@dataclass(frozen=True, slots=True)
class _Entry:
    raw: bytes


async def logs(office: Office, who: Who, bank_id: str) -> list[Log]:
    """The newest first."""
    await banks.bank(office, who, bank_id)
    return await office.tables.all(Log, "logs_of", bank_id)


async def export(office: Office, who: Who, bank_id: str, epoch: str) -> AsyncIterator[bytes]:
    """All that the wall has signed of a log, line by line: what it is, then each entry's bytes in base64."""
    found = next((log for log in await logs(office, who, bank_id) if str(log.epoch) == epoch), None)
    if found is None:
        raise not_found("log")
    if found.checkpoint is None or found.key is None:
        raise Declined(409, "not_signed_yet", "The wall has not signed anything of this log yet.")
    return _lines(office, found.signed, LogHead(bank_id, found.epoch, found.key, found.checkpoint))


async def _lines(office: Office, size: int, head: LogHead) -> AsyncIterator[bytes]:
    yield msgspec.json.encode(head) + b"\n"
    for start in range(0, size, PAGE_ROWS):
        end = min(start + PAGE_ROWS, size)
        rows = await office.tables.all(_Entry, "entries_of_log", head.bank, head.epoch, start, end)
        yield b"".join(base64.b64encode(row.raw) + b"\n" for row in rows)


def file_headers(bank_id: str, epoch: str) -> dict[str, str]:
    """For an answer that is to be kept as a file."""
    return {"Content-Disposition": f'attachment; filename="{file_name(bank_id, epoch)}"'}


def file_name(bank_id: str, epoch: str | int) -> str:
    return f"log-{bank_id[:8]}-{epoch}.jsonl"
