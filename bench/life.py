"""One parcel's life as entries, ready but for its ids: what fake banks send, and what pgbench writes.

Three steps, as a bank that is online says them: expected, stored, collected.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex

from latchwork.domain import entries as e
from latchwork.domain.bank import About, Fitting, Grant
from latchwork.domain.words import (
    BankId,
    ClaimId,
    CompartmentId,
    InstructionId,
    Lookup,
    OpeningId,
    PartyId,
    PassId,
    PersonId,
    Purpose,
    Reason,
    Role,
    ServiceId,
    SessionId,
    Size,
    StayId,
    StayState,
)
from latchwork.sync.codec import encode_entry

COMPARTMENTS = 40
SERVICE = "parcel"
SIZE = Size(300, 80, 400)
AT = datetime(2026, 3, 1, 8, 0, 0, 123456, tzinfo=UTC)
NUMBER = 987_654_321
"""Stands for the instruction's number."""
SEQ = 0


def token(name: str) -> str:
    """Stands for an id, and is as long as one."""
    return f"@{name}".ljust(32, "@")


NAMES = ("stay", "claim", "way_in", "way_out", "carrier_session", "guest_session", "pickup", "instruction", "courier")
TOKENS = {name: token(name) for name in (*NAMES, "party", "person", "label")}
DOOR = CompartmentId("@door")
HASH = "@hash".ljust(64, "@")

_stay, _claim = StayId(TOKENS["stay"]), ClaimId(TOKENS["claim"])
_in, _out = OpeningId(TOKENS["way_in"]), OpeningId(TOKENS["way_out"])
_carrier, _guest = SessionId(TOKENS["carrier_session"]), SessionId(TOKENS["guest_session"])
_courier, _pickup = PassId(TOKENS["courier"]), PassId(TOKENS["pickup"])
_party, _person = PartyId(TOKENS["party"]), PersonId(TOKENS["person"])
_about = About(ServiceId(SERVICE), _party, None, _person, Lookup(TOKENS["label"]), SIZE)
_grant = Grant(_pickup, Role.PERSON, Lookup(token_hex(16)), 0, 6, 1, purpose=Purpose.COLLECT, stay=_stay, once=True)

STEPS: tuple[tuple[e.Body, ...], ...] = (
    (
        e.Expected(_stay, _about),
        e.Answered(NUMBER, InstructionId(TOKENS["instruction"]), HASH, None, _stay),
    ),
    (
        e.SessionBegan(_carrier, _courier, Role.COURIER, None, _party),
        e.Claimed(_claim, DOOR, _stay, _about, True, Reason.SMALLEST_FIT, _grant),
        e.Wanted(_in, DOOR, Purpose.DEPOSIT, _carrier, _courier, claim=_claim, stays=(_stay,)),
        e.Unlocked(_in, DOOR, 1),
        e.Opened(_in, DOOR),
        e.Closed(_in, DOOR),
        e.Stored(_stay, _about, _claim, DOOR, _in, AT, True, pickup=_grant),
        e.SessionEnded(_carrier, Reason.SIGNED_OUT),
    ),
    (
        e.SessionBegan(_guest, _pickup, Role.PERSON, Purpose.COLLECT, None, _stay),
        e.Wanted(_out, DOOR, Purpose.COLLECT, _guest, _pickup, claim=_claim, stays=(_stay,), ends=StayState.COLLECTED),
        e.Unlocked(_out, DOOR, 1),
        e.Opened(_out, DOOR),
        e.Closed(_out, DOOR),
        e.Collected(_stay, _about, _claim, DOOR, _out),
        e.SessionEnded(_guest, Reason.SIGNED_OUT),
    ),
)
ENTRIES_PER_LIFE = sum(map(len, STEPS))


def beginning(bank: BankId) -> list[bytes]:
    """The first entries of a fake bank's log."""
    wall = e.Fitted(tuple(Fitting(door(n), Size(380, 170, 640)) for n in range(COMPARTMENTS)))
    bodies: list[e.Body] = [e.EpochBegan(), e.Booted(token_hex(16), "bench"), wall]
    return [encode_entry(e.Entry(bank, 1, seq, AT, body)) for seq, body in enumerate(bodies)]


def door(n: int) -> CompartmentId:
    return CompartmentId(f"{n + 1:04}")


def raw(bank: BankId, body: e.Body) -> bytes:
    return encode_entry(e.Entry(bank, 1, SEQ, AT, body))


@dataclass(frozen=True, slots=True)
class Encoded:
    """Entries of one step and one bank that want only ids and a place in the log."""

    head: bytes
    tails: tuple[bytes, ...]

    def entries(self, start: int, ids: dict[bytes, bytes]) -> list[bytes]:
        return [b"%b%d%b" % (self.head, start + n, tail % ids) for n, tail in enumerate(self.tails)]


def encoded(bank: BankId, party: str, person: str) -> tuple[Encoded, ...]:
    return tuple(_encoded(bank, step, {"party": party, "person": person}) for step in STEPS)


def _encoded(bank: BankId, step: tuple[e.Body, ...], fixed: dict[str, str]) -> Encoded:
    head = b'[1,"%b",1,' % bank.encode()
    tails = []
    for body in step:
        whole = raw(bank, body)
        assert whole.startswith(head + b"0,") and b"%" not in whole
        tail = whole[len(head) + 1 :]
        for name, text in TOKENS.items():
            tail = tail.replace(text.encode(), fixed[name].encode() if name in fixed else b"%%(%b)b" % name.encode())
        tail = tail.replace(HASH.encode(), b"%(hash)b").replace(str(NUMBER).encode(), b"%(number)b")
        tails.append(tail.replace(DOOR.encode(), b"%(door)b"))
    return Encoded(head, tuple(tails))
