"""A small desk for tests: a bank in memory over decide and apply, with a pretend board and real keys."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain.apply import apply
from latchwork.domain.bank import About, Bank, Fitting, Policy, Service
from latchwork.domain.decide import decide
from latchwork.domain.effects import next_opening
from latchwork.domain.words import (
    BankId,
    ClaimId,
    CompartmentId,
    DoorState,
    InstructionId,
    Lookup,
    OpeningId,
    PartyId,
    PassId,
    PersonId,
    Reason,
    Role,
    ServiceId,
    SessionId,
    Size,
    StayId,
    StayState,
)
from latchwork.edge.kiosk.desk import Trouble
from latchwork.sync import keys

T0 = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
KEY = b"k" * 32
SIGNER = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
PUBLIC = SIGNER.public_key().public_bytes_raw()
TICKET_KEYS = {keys.key_id(PUBLIC): PUBLIC.hex()}
DHX = PartyId("d" * 32)
JANE, MAX = PersonId("1" * 32), PersonId("2" * 32)

SMALL, MEDIUM, LARGE = Size(380, 80, 640), Size(380, 190, 640), Size(380, 410, 640)
PARCEL = Service(ServiceId("parcel"), Role.COURIER, Role.PERSON, 72)
RETURN = Service(ServiceId("return"), Role.PERSON, Role.COURIER, 168)

DIRECTORY = (
    b'[{"id":"' + JANE.encode() + b'","name":"J. D.","unit":"12"},'
    b'{"id":"' + MAX.encode() + b'","name":"M. A.","unit":"3b"}]'
)
WALL = b'{"name":"Elm Court","site":"Elm Street 4, back entrance","help":"+49 30 5550123"}'


def fittings(small: int = 10, medium: int = 8, large: int = 4) -> tuple[Fitting, ...]:
    built = [SMALL] * small + [MEDIUM] * medium + [LARGE] * large
    return tuple(Fitting(CompartmentId(f"{n:02d}"), size) for n, size in enumerate(built, 1))


class TestDesk:
    """`jammed` doors never open; `hands` False: doors open and close only when the test says so."""

    __test__ = False

    def __init__(
        self, built: tuple[Fitting, ...] = fittings(), *, hands: bool = False, policy: Policy | None = None
    ) -> None:
        self._bank = Bank(BankId("b" * 32))
        self.log: list[e.Body] = []
        self.now = T0
        self.jammed: set[str] = set()
        self.silent = False
        self.trouble: list[Trouble] = []
        self.looked_for_trouble = 0
        self.hands = hands
        self.full = False
        self.photos: list[bytes] = []
        self.advised: dict[str, bool] = {}
        self.documents: dict[str, bytes] = {"directory": DIRECTORY, "wall": WALL}
        self._ids = itertools.count(1)
        self._change = asyncio.Event()
        self.decide(c.Begin())
        self.decide(c.Fit(built))
        self.instruct(c.Adopt(1, policy or Policy((PARCEL, RETURN), TICKET_KEYS)))
        self.instruct(c.GrantPass(PassId("c" * 32), Role.COURIER, DHX))
        self.instruct(c.GrantPass(PassId("e" * 32), Role.STAFF))
        self.decide(c.See({f.id: DoorState.CLOSED for f in built if not f.shelf}))

    # What the kiosk uses

    @property
    def bank(self) -> Bank:
        return self._bank

    async def do(self, command: c.Command) -> c.Decision:
        if self.full and isinstance(command, c.Deposit):
            return c.Decision(refusal=c.Refusal(Reason.DISK_FULL))
        decision = self.decide(command)
        self.board()
        return decision

    def new_id(self) -> str:
        return f"{next(self._ids):032x}"

    def offer(self) -> c.Offer:
        return keys.offer(KEY, 1, PassId(self.new_id()), 6)

    def code(self, digits: str) -> Lookup:
        return keys.code_lookup(KEY, digits)

    def card(self, number: str) -> Lookup:
        return keys.card_lookup(KEY, number)

    def label(self, text: str) -> Lookup:
        return keys.label_lookup(KEY, text)

    def ticket(self, text: str) -> c.Ticket:
        return keys.read_ticket(text, dict(self._bank.policy.ticket_keys))

    def document(self, name: str) -> bytes | None:
        return self.documents.get(name)

    async def advice(self, party: str, label: str) -> bool | None:
        return self.advised.get(label)

    def keep_photo(self, jpeg: bytes) -> str | None:
        self.photos.append(jpeg)
        return f"{len(self.photos):064x}"

    def photo(self, name: str) -> bytes | None:
        return self.photos[int(name, 16) - 1]

    def troubles(self) -> list[Trouble]:
        self.looked_for_trouble += 1
        return self.trouble

    def link_heard_at(self) -> datetime | None:
        return None

    async def changed(self) -> None:
        await self._change.wait()
        self._change.clear()

    # What tests use

    def decide(self, command: c.Command) -> c.Decision:
        decision = decide(self._bank, command, self.now)
        for body in decision.entries:
            seq = 0 if isinstance(body, e.EpochBegan) else self._bank.seq
            self._bank = apply(self._bank, e.Entry(self._bank.id, 1, seq, self.now, body))
            self.log.append(body)
        self._change.set()
        return decision

    def instruct(self, body: c.Instruction) -> None:
        number = self._bank.instructions_through + 1
        wanted = (
            body.pass_id if isinstance(body, c.GrantPass) else body.drop_off if isinstance(body, c.Expect) else None
        )
        offer = keys.offer(KEY, 1, wanted or PassId(self.new_id()), 6)
        self.decide(c.Instructed(number, InstructionId(self.new_id()), "0" * 64, body, self.now, offer))

    def board(self) -> None:
        """Grants every opening its pulse; doors that are not jammed prove themselves at once."""
        while not self.silent and (opening := next_opening(self._bank)) is not None:
            self.decide(c.Unlock(opening.id, self.now))
            if opening.compartment in self.jammed:
                self.decide(c.Elapse(opening.id))
                continue
            self.decide(c.See({opening.compartment: DoorState.OPEN}))
            if self.hands:
                self.decide(c.See({opening.compartment: DoorState.CLOSED}))

    def swing(self, door: str, state: DoorState = DoorState.CLOSED) -> None:
        self.decide(c.See({CompartmentId(door): state}))

    def digits(self, pass_id: PassId) -> str:
        grant = self._bank.passes[pass_id].grant
        return keys.digits_of(KEY, pass_id, grant.n, grant.digits)

    @property
    def courier(self) -> str:
        return self.digits(PassId("c" * 32))

    @property
    def staff(self) -> str:
        return self.digits(PassId("e" * 32))

    def expect(self, label: str, size: Size | None = SMALL, recipient: PersonId = JANE) -> StayId:
        stay = StayId(self.new_id())
        self.instruct(c.Expect(stay, About(PARCEL.id, DHX, None, recipient, self.label(label), size)))
        return stay

    def expect_return(self, size: Size | None = SMALL, label: str = "R-1") -> tuple[StayId, str]:
        """A return that somebody will drop off; its stay and their code."""
        stay, drop_off = StayId(self.new_id()), PassId(self.new_id())
        self.instruct(c.Expect(stay, About(RETURN.id, DHX, None, None, self.label(label), size), drop_off))
        return stay, self.digits(drop_off)

    def pickup(self, stay: StayId) -> str:
        pass_id = self._bank.stays[stay].pickup
        assert pass_id is not None
        return self.digits(pass_id)

    def ticket_for(self, stay: StayId) -> str:
        pass_id = self._bank.stays[stay].pickup
        assert pass_id is not None
        ticket = c.Ticket(self._bank.id, pass_id, T0, T0 + timedelta(days=3))
        return keys.sign_ticket(SIGNER, ticket)

    def stored(self, label: str = "JD0001", size: Size | None = SMALL, recipient: PersonId = JANE) -> StayId:
        """A parcel that a courier has put in."""
        stay = self.expect(label, size, recipient)
        session = SessionId(self.new_id())
        opening = OpeningId(self.new_id())
        self.decide(c.SignIn(session, self.code(self.courier)))
        self.decide(c.Deposit(session, opening, ClaimId(self.new_id()), stay, self.offer()))
        self.decide(c.Unlock(opening, self.now))
        door = self._bank.openings[opening].compartment
        self.decide(c.See({door: DoorState.OPEN}))
        self.decide(c.See({door: DoorState.CLOSED}))
        self.decide(c.Confirm(session, opening))
        self.decide(c.SignOut(session))
        assert self._bank.stays[stay].state is StayState.DEPOSITED
        return stay

    def late(self, stay: StayId) -> None:
        deadline = self._bank.stays[stay].deadline
        assert deadline is not None
        self.now = max(self.now, deadline)
        self.decide(c.Tick())

    def power_cut(self) -> None:
        self.decide(c.Boot(self.new_id(), "test"))
