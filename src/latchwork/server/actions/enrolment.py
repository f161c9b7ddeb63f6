"""How a controller becomes a bank of ours: it trades a one-time code and its public key for an identity."""

from dataclasses import dataclass

from latchwork.domain.words import BankId
from latchwork.server.actions.banks import code_hash
from latchwork.server.actions.office import Declined, Office, is_id
from latchwork.sync.keys import enrol_text, rotation_text, signed_by


@dataclass(frozen=True, slots=True)
class Enrolled:
    bank: str
    code_key: str
    generation: int
    name: str
    site: str


@dataclass(frozen=True, slots=True)
class _Keyed:
    id: str
    name: str
    site: str
    code_generation: int


async def rotate(office: Office, bank: str, old: bytes, new: bytes, by_old: bytes, by_new: bytes) -> None:
    """A controller's next key takes the place of its present one. Asked again, it answers the same."""
    text = rotation_text(BankId(bank), old, new)
    signed = is_id(bank) and signed_by(old, by_old, text) and signed_by(new, by_new, text)
    if not signed or not await office.tables.value("rotate_key", bank, old, new):
        office.guessed("device key")
        raise Declined(403, "wrong_key", "This is not the key of that controller, or it was revoked.")


async def enrol(office: Office, code: str, public_key: bytes, signature: bytes) -> Enrolled:
    """Asked again with the same code and key, it answers the same: the first answer may have been lost on its way."""
    now = office.now()
    found: _Keyed | None = None
    signed = signed_by(public_key, signature, enrol_text(code, public_key))
    for _ in range(2):  # of two that race, the second does not see what the first has just done
        if signed and found is None:
            found = await office.tables.one(_Keyed, "enrol", code_hash(code), public_key, now, office.vault.generation)
    if found is None:
        office.guessed("enrolment code")
        raise Declined(403, "wrong_code", "This enrolment code is unknown, used or expired. Ask the operator for one.")
    key = office.vault.code_key(found.id, found.code_generation)
    return Enrolled(found.id, key.hex(), found.code_generation, found.name, found.site)
