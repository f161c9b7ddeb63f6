"""How a controller becomes a bank of ours: it trades a one-time code and its public key for an identity."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from latchwork.server.actions.banks import code_hash
from latchwork.server.actions.office import Declined, Office
from latchwork.sync.keys import enrol_text, signed_by

FREE_FAILURES = 10
FAILURE_WINDOW = timedelta(minutes=1)
CALLERS_MAX = 10_000


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


@dataclass(slots=True)
class Throttle:
    """Wrong codes by caller's address, in this process. A code has 120 bits; this only keeps the noise down."""

    failures: dict[str, list[datetime]] = field(default_factory=dict)

    def check(self, caller: str, now: datetime) -> None:
        recent = [at for at in self.failures.get(caller, ()) if now - at < FAILURE_WINDOW]
        if len(recent) >= FREE_FAILURES:
            wait_s = int((recent[0] + FAILURE_WINDOW - now).total_seconds()) + 1
            raise Declined(429, "slow_down", "Too many wrong codes from here. Wait a moment.", wait_s)

    def failed(self, caller: str, now: datetime) -> None:
        if len(self.failures) >= CALLERS_MAX:
            self.failures.clear()
        recent = [at for at in self.failures.get(caller, ()) if now - at < FAILURE_WINDOW]
        self.failures[caller] = [*recent, now]


async def enrol(
    office: Office, throttle: Throttle, caller: str, code: str, public_key: bytes, signature: bytes
) -> Enrolled:
    """Asked again with the same code and key, it answers the same: the first answer may have been lost on its way."""
    now = office.now()
    throttle.check(caller, now)
    found: _Keyed | None = None
    signed = signed_by(public_key, signature, enrol_text(code, public_key))
    for _ in range(2):  # of two that race, the second does not see what the first has just done
        if signed and found is None:
            found = await office.tables.one(_Keyed, "enrol", code_hash(code), public_key, now)
    if found is None:
        throttle.failed(caller, now)
        raise Declined(403, "wrong_code", "This enrolment code is unknown, used or expired. Ask the operator for one.")
    key = office.vault.code_key(found.id, found.code_generation)
    return Enrolled(found.id, key.hex(), found.code_generation, found.name, found.site)
