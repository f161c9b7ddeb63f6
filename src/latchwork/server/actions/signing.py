"""What a guarded wall does only when it is signed: held here, given out for signing, sent on with its signatures.

The keys are elsewhere. What is checked here only spares the signer a refusal: the wall itself checks.
"""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from latchwork.domain import commands as c
from latchwork.domain.words import BankId, InstructionId
from latchwork.server.actions import banks
from latchwork.server.actions.office import LIST_MAX, Asked, Declined, Office, Who, ask, is_id, not_found
from latchwork.sync.codec import Signature, Signed, body_hash, encode_signed, is_plausible, read_signed
from latchwork.sync.keys import instruction_text, signed_in_hex


@dataclass(frozen=True, slots=True)
class ToSign:
    """`body`: what is signed, in base64. `signers`: whose signatures are there already, and end at `until`."""

    id: str
    bank: str
    bank_name: str
    kind: str
    body: str
    asked_at: datetime
    asked_by: str | None
    not_after: datetime | None
    guards: list[str]
    signers: list[str]
    until: datetime | None


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    bank: str
    bank_name: str
    kind: str
    body: bytes
    asked_at: datetime
    asked_by: str | None
    not_after: datetime | None
    guards: str


async def guards(office: Office, who: Who, bank_id: str) -> list[str]:
    await banks.bank(office, who, bank_id)
    return _keys(await office.tables.value("guards", who.organisation, bank_id))


async def ask_guard(office: Office, who: Who, bank_id: str, keys: list[str]) -> Asked:
    """Other guards, or none; of a wall that is guarded already it waits for a signature of one of the old."""
    await banks.bank(office, who, bank_id)
    return await ask(office, who, bank_id, c.Guard(tuple(keys)), bank_id)


async def ask_listen(office: Office, who: Who, bank_id: str) -> Asked:
    """Have a guarded wall open doors from afar again, after it was asked for too many."""
    if not await guards(office, who, bank_id):
        raise Declined(409, "no_access", "Only staff at the wall can say so, because this wall is not guarded.")
    return await ask(office, who, bank_id, c.Listen(), bank_id)


async def waiting(office: Office, who: Who, bank_id: str | None = None) -> list[ToSign]:
    rows = await office.tables.all(_Row, "unsigned", who.organisation, bank_id, None, office.now(), LIST_MAX)
    return [_shown(row) for row in rows]


async def sign(
    office: Office, who: Who, instruction: str, key: str, signature: str, until: datetime, more: bool = False
) -> None:
    """Goes to the wall with this signature, unless `more` are to come."""
    found = None
    if is_id(instruction):
        found = await office.tables.one(_Row, "unsigned", who.organisation, None, instruction, office.now(), 1)
    if found is None:
        raise not_found("instruction that waits for a signature")
    had = _signed(found)
    until = until.astimezone(UTC).replace(microsecond=0) if is_plausible(until) else office.now()
    if until <= office.now() or (had.signatures and until != had.until):
        raise Declined(422, "expired", "`until` lies ahead, and is the same for all signatures of an instruction.")
    text = instruction_text(BankId(found.bank), InstructionId(found.id), until, had.body)
    if key not in _keys(found.guards) or not signed_in_hex(key, signature, text):
        raise Declined(422, "unsigned", "This is not a signature over it by a key that guards this wall.")
    others = tuple(s for s in had.signatures if s.key != key)
    raw = encode_signed(Signed(had.body, until, (*others, Signature(key, signature))))
    changed = (who.organisation, found.id, raw, body_hash(raw), more, found.body)
    if await office.tables.value("sign", *changed) is None:
        raise Declined(409, "changed_meanwhile", "Somebody else signed it just now. Read it again.")
    office.wake(found.bank)


def _keys(said: str) -> list[str]:
    """The guards of a wall, where what it says of them can be read."""
    try:
        return msgspec.json.decode(said, type=list[str])
    except msgspec.ValidationError:
        return []


def _signed(row: _Row) -> Signed:
    return read_signed(row.body) or Signed(row.body, row.asked_at, ())


def _shown(row: _Row) -> ToSign:
    had = _signed(row)
    return ToSign(
        row.id,
        row.bank,
        row.bank_name,
        row.kind,
        base64.b64encode(had.body).decode(),
        row.asked_at,
        row.asked_by,
        row.not_after,
        _keys(row.guards),
        [s.key for s in had.signatures],
        had.until if had.signatures else None,
    )
