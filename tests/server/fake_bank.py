"""A bank without hardware: the real rules, the real tree and the real end of the exchange, driven by hand."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256

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
    Role,
    ServiceId,
    SessionId,
    Size,
    StayId,
)
from latchwork.store.memory import MemoryJournal
from latchwork.sync import keys
from latchwork.sync.codec import body_hash, encode_entry, read_instruction, read_signed
from latchwork.sync.custody import Frontier
from latchwork.sync.exchange import BankEnd, Down, Hello, Up
from latchwork.sync.notes import signed_checkpoint

T0 = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
ORGANISATION, SITE = "0" * 32, "5" * 32
PERSON, PARTY = PersonId("a" * 32), PartyId("d" * 32)
PARCEL = Service(ServiceId("parcel"), Role.COURIER, Role.PERSON, 72)
BANK = BankId("b" * 32)
COURIER = PassId("c" * 32)


@dataclass
class FakeBank:
    id: BankId = BANK
    doors: int = 3
    key: Ed25519PrivateKey = field(default_factory=lambda: Ed25519PrivateKey.from_private_bytes(b"k" * 32))
    now: datetime = T0
    end: BankEnd | None = None
    server_now: datetime | None = None
    fresh_ids: int = 0
    signs: bool = True
    """Whether it sends checkpoints."""

    def __post_init__(self) -> None:
        self.bank = Bank(self.id)
        self.journal = MemoryJournal()
        self.frontier = Frontier()

    @property
    def public(self) -> bytes:
        return self.key.public_key().public_bytes_raw()

    # At the wall

    async def do(self, command: c.Command) -> c.Decision:
        decision = decide(self.bank, command, self.now)
        for body in decision.entries:
            entry = e.Entry(self.id, self.bank.epoch or 1, self.bank.seq, self.now, body)
            self.bank = apply(self.bank, entry)
            await self.write(encode_entry(entry))
        return decision

    async def write(self, raw: bytes) -> None:
        """Also for bytes that no bank of ours would write."""
        self.frontier, nodes = self.frontier.append(raw)
        await self.journal.append([raw], [nodes])

    async def build(self) -> "FakeBank":
        """A wall with doors that closes them and waits for a courier; nothing of it came from a cloud."""
        await self.do(c.Begin())
        await self.do(c.Boot("boot-1", "latchwork-test"))
        doors = [CompartmentId(f"{n:02}") for n in range(1, self.doors + 1)]
        await self.do(c.Fit(tuple(Fitting(door, Size(400, 100 * n, 500)) for n, door in enumerate(doors, 1))))
        await self.do(c.See(dict.fromkeys(doors, DoorState.CLOSED)))
        return self

    def fresh(self) -> str:
        self.fresh_ids += 1
        return sha256(f"{self.id}/{self.fresh_ids}".encode()).hexdigest()[:32]

    def offer(self, pass_id: str | None = None) -> c.Offer:
        name = PassId(pass_id or self.fresh())
        return c.Offer(name, 1, 6, tuple(Lookup(sha256(f"{name}{n}".encode()).hexdigest()[:32]) for n in range(3)))

    async def swing(self) -> OpeningId:
        """Unlock what is wanted; the door opens and closes."""
        opening = next_opening(self.bank)
        assert opening is not None
        self.now += timedelta(seconds=1)
        await self.do(c.Unlock(opening.id, self.server_now))
        await self.do(c.See({opening.compartment: DoorState.OPEN}))
        await self.do(c.See({opening.compartment: DoorState.CLOSED}))
        return opening.id

    async def sign_in(self, pass_id: PassId) -> SessionId:
        session = SessionId(self.fresh())
        decision = await self.do(c.SignIn(session, self.bank.passes[pass_id].grant.lookup))
        assert decision.refusal is None
        return session

    async def deposit(self, stay: StayId | None = None, label: str | None = None) -> StayId:
        """A courier puts a parcel in: an expected one, or one that nobody announced."""
        session = await self.sign_in(COURIER)
        opening, stay = OpeningId(self.fresh()), stay or StayId(self.fresh())
        about = About(PARCEL.id, PARTY, None, PERSON, Lookup(label) if label else None, Size(300, 80, 400))
        claim = ClaimId(self.fresh())
        decision = await self.do(c.Deposit(session, opening, claim, stay, self.offer(), about))
        assert decision.refusal is None, decision.refusal
        await self.swing()
        await self.do(c.Confirm(session, opening))
        await self.do(c.SignOut(session))
        return stay

    async def collect(self, stay: StayId) -> None:
        pickup = self.bank.stays[stay].pickup
        assert pickup is not None
        session = await self.sign_in(pickup)
        decision = await self.do(c.Collect(session, OpeningId(self.fresh()), stay))
        assert decision.refusal is None, decision.refusal
        await self.swing()
        await self.do(c.SignOut(session))

    # The conversation

    def hello(self, nonce: bytes = b"nonce") -> Hello:
        self.end = None
        return Hello(
            self.id,
            self.public,
            self.key.sign(keys.hello_text(self.id, nonce)),
            self.bank.epoch,
            self.journal.size,
            self.frontier.root(),
            self.bank.instructions_through,
            self.journal.documents(),
            "boot-1",
            "latchwork-test",
        )

    async def hear(self, down: Down) -> None:
        if self.end is None:
            self.end = BankEnd.welcomed(down)
        else:
            self.end.hear(down)
        self.server_now = down.time
        for document in down.documents:
            self.journal.put_document(document.name, document.version, document.body)
        for order in down.orders:
            signed = read_signed(order.body)
            body = read_instruction(signed.body if signed else order.body)
            offered = body.pass_id if isinstance(body, c.GrantPass) else None
            signers = tuple(s.key for s in signed.signatures) if signed else ()
            command = c.Instructed(
                order.number,
                order.id,
                body_hash(order.body),
                body,
                down.time,
                self.offer(offered),
                order.void,
                signers,
                signed.until if signed else None,
            )
            await self.do(command)

    def up(self) -> Up | None:
        assert self.end is not None
        size = self.journal.size
        if not self.end.wants_to_send(size):
            return None
        start, stop = self.end.span(size)
        root = self.frontier.root() if stop == size else self.journal.frontier(stop).root()
        checkpoint = self.signed(size, root) if stop == size and self.signs else None
        return self.end.up(start, self.journal.entries(start, stop), root, self.journal.documents(), checkpoint)

    def signed(self, size: int, root: bytes) -> bytes:
        """What its device key says of a log."""
        return signed_checkpoint(self.id, self.bank.epoch, size, root, self.public, self.key.sign)


def adopt() -> c.Adopt:
    return c.Adopt(1, Policy((PARCEL,)))


def instruction_id(n: int) -> InstructionId:
    return InstructionId(f"{n:032x}")
