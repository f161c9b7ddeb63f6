"""The one conversation between a bank and the cloud: what I have, what you lack. Pure: no socket, no clock.

On a WebSocket of binary messages (MessagePack), the server speaks first:

    server  Challenge   a nonce to sign
    bank    Hello       who I am, and how far my log goes
    server  Down        session, what I have of your log; then instructions and documents that you lack
    bank    Up          entries from where the server said it stands
    ...

Each direction has at most one unanswered message. A message answers another by naming it in `re`; one with `re` None
wants an answer, and so does one that carries something. What each side has is stated afresh in every message and is
never a ratchet: a server restored from a backup says a smaller size and is sent the rest again.

Where the logs have parted, the server asks instead, and brings the log that is accepted once a person has said so:

    server  Ask         what is the root of your first so many entries, and what follows them
    bank    Told        ...
    server  Page        entries that the bank lacks
    bank    Staged      how far it has them now; at the end, that it has begun a new epoch upon them
    server  Down        and so on, as above
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from latchwork.domain.words import BankId, InstructionId
from latchwork.sync.codec import ENTRY_BYTES_MAX, Unreadable, is_plausible, read_envelope
from latchwork.sync.custody import Frontier

PROTOCOL = 1
ENTRIES_MAX = 256
INSTRUCTIONS_MAX = 32
MESSAGE_BYTES_MAX = ENTRIES_MAX * (ENTRY_BYTES_MAX + 64) + 4096
SILENCE_SECONDS_MAX = 30.0
"""An answer that takes longer counts as a broken line."""
HEARTBEAT_SECONDS = 20.0


CODE_KEYS = "code-keys"
"""The document of a bank's code keys in hex by generation: made at sending, and kept with the bank's identity."""
ADVICE_SECONDS_MAX = 3.0
"""So long a partner may take to answer about one label; a person is standing there."""
LABEL_CHARACTERS_MAX = 200
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Version = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class Challenge(msgspec.Struct, frozen=True, tag=True):
    nonce: bytes
    time: datetime
    protocol: int = PROTOCOL


class Configuration(msgspec.Struct, frozen=True):
    """What a bank says of the configuration that it runs, and of the last one that it would not take."""

    version: int
    """0 where it has none."""
    sha256: str
    """Of its text, in hex."""
    standing: str
    """Whose it is: `signed` by this controller, `changed` by hand, `strange` (another's), or `unsigned`."""
    asked: int = 0
    """The newest version that was asked for and that it has judged; 0: none yet."""
    refused: str | None = None
    """Why that one is not run, as a sentence without its full stop."""


class Hello(msgspec.Struct, frozen=True, tag=True):
    """`signature` is over `keys.hello_text(bank, nonce)` by the device key; `root` is that of the first `size`."""

    bank: BankId
    key: bytes
    signature: bytes
    epoch: _Count
    size: _Count
    root: bytes
    instructions_through: _Count
    documents: Mapping[str, int]
    boot: str
    software: str
    protocol: int = PROTOCOL
    configuration: Configuration | None = None


class Up(msgspec.Struct, frozen=True, tag=True):
    """Entries `start` .. of `epoch`; `root` is that of the log up to and with the last one carried."""

    n: _Count
    session: _Count
    epoch: _Count
    start: _Count
    entries: tuple[bytes, ...]
    root: bytes
    re: _Count | None = None
    documents: Mapping[str, int] = {}
    checkpoint: bytes | None = None
    """A signed note of `root`, by the device key, under the name `notes.origin(bank, epoch)`."""
    configuration: Configuration | None = None
    """Where it is not what was said last."""


class Order(msgspec.Struct, frozen=True):
    """An instruction on its way. `body` is what `codec.read_instruction` reads; `void`: it expired unsent."""

    number: _Count
    id: InstructionId
    body: bytes
    void: bool = False


class Document(msgspec.Struct, frozen=True):
    """Replaced whole. What only a screen needs; erasable, never in a log."""

    name: str
    version: _Version
    body: bytes


class Down(msgspec.Struct, frozen=True, tag=True):
    """What the server has of this epoch, and what the bank lacks. `time` is the server's clock at sending."""

    n: _Count
    session: _Count
    epoch: _Count
    size: _Count
    root: bytes
    time: datetime
    re: _Count | None = None
    orders: tuple[Order, ...] = ()
    documents: tuple[Document, ...] = ()


class Ask(msgspec.Struct, frozen=True, tag=True):
    """The logs have parted somewhere: what is the root of your first `start` entries, and what follows them?"""

    session: _Count
    start: _Count
    entries_max: _Count


class Told(msgspec.Struct, frozen=True, tag=True):
    """`root` is that of the first `start` entries; `entries` follow them."""

    session: _Count
    start: _Count
    root: bytes
    entries: tuple[bytes, ...] = ()


class Accepted(msgspec.Struct, frozen=True):
    """The log from which a parted bank goes on: so many entries of the newest epoch, and their root."""

    epoch: _Count
    size: _Count
    root: bytes


class Page(msgspec.Struct, frozen=True, tag=True):
    """Entries `start` .. of `epoch` of the accepted log. `anew`: what was staged before is not of it."""

    session: _Count
    accepted: Accepted
    epoch: _Count
    start: _Count
    entries: tuple[bytes, ...] = ()
    anew: bool = False


class Staged(msgspec.Struct, frozen=True, tag=True):
    """How far the bank has what it lacked: so many entries of `epoch`, whose root is `root`."""

    session: _Count
    epoch: _Count
    size: _Count
    root: bytes
    began: bool = False
    """It has taken all of it over, and begun a new epoch."""
    refused: str | None = None
    """Why it will not, as a sentence without its full stop."""


class Inquiry(msgspec.Struct, frozen=True, tag=True):
    """The bank: does this partner take in what bears this label? Asked beside the log, before a door opens."""

    session: _Count
    n: _Count
    party: Annotated[str, msgspec.Meta(max_length=64)]
    label: Annotated[str, msgspec.Meta(max_length=LABEL_CHARACTERS_MAX)]


class Advice(msgspec.Struct, frozen=True, tag=True):
    """The server to inquiry `n`. `takes` None: no answer in time, so the partner's rule as last heard counts."""

    session: _Count
    n: _Count
    takes: bool | None


class Goodbye(msgspec.Struct, frozen=True, tag=True):
    """The server will not talk to this bank now, and why. The bank works on and tries again later."""

    why: str


class Farewell(StrEnum):
    UNKNOWN_BANK = "unknown_bank"
    WRONG_KEY = "wrong_key"
    REVOKED_KEY = "revoked_key"
    DIVIDED = "divided"
    SUPERSEDED = "superseded"
    MALFORMED = "malformed"
    UNAVAILABLE = "unavailable"


Message = Challenge | Hello | Up | Down | Ask | Told | Page | Staged | Inquiry | Advice | Goodbye
_decoder = msgspec.msgpack.Decoder(Message)
_encoder = msgspec.msgpack.Encoder()


def pack(message: Message) -> bytes:
    return _encoder.encode(message)


def unpack(raw: bytes) -> Message:
    """Raises Unreadable for anything that is not a message of this protocol."""
    if len(raw) > MESSAGE_BYTES_MAX:
        raise Unreadable(f"a message of {len(raw)} bytes")
    try:
        message: Message = _decoder.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Unreadable(f"not a message: {error}") from None
    if isinstance(message, Up | Told | Page) and len(message.entries) > ENTRIES_MAX:
        raise Unreadable(f"{len(message.entries)} entries at once")
    if isinstance(message, Challenge | Down) and not is_plausible(message.time):
        raise Unreadable(f"a clock that shows {message.time}")
    return message


@dataclass(slots=True)
class BankEnd:
    """The bank's side of one connection: what the server said, and what may be sent now."""

    session: int
    epoch: int
    """Of the log that is being sent: an earlier one, where the server lacks the end of it."""
    server_size: int
    sent: int = 0
    awaiting: int | None = None
    """Number of our message that has no answer yet."""
    to_answer: int | None = None
    """Number of the server's message that wants an answer from us."""

    @staticmethod
    def welcomed(down: Down) -> "BankEnd":
        end = BankEnd(down.session, down.epoch, down.size)
        end.hear(down)
        return end

    def hear(self, down: Down) -> None:
        if down.session != self.session:
            return
        if down.epoch == self.epoch:
            self.server_size = down.size
        if down.re is not None and down.re == self.awaiting:
            self.awaiting = None
        if down.re is None or down.orders or down.documents:
            self.to_answer = down.n

    def turn_to(self, epoch: int, server_size: int = 0) -> None:
        """Speak of the log of another epoch from here on."""
        self.epoch, self.server_size = epoch, server_size

    def wants_to_send(self, size: int, more: bool = False) -> bool:
        """`more`: there is something to say besides entries."""
        return self.to_answer is not None or (self.awaiting is None and (more or size > self.server_size))

    def span(self, size: int) -> tuple[int, int]:
        """Which entries the next Up carries: none while an earlier Up is unanswered."""
        if self.awaiting is not None:
            return self.server_size, min(size, self.server_size)
        return self.server_size, min(size, self.server_size + ENTRIES_MAX)

    def up(
        self,
        start: int,
        entries: Sequence[bytes],
        root: bytes,
        documents: Mapping[str, int],
        checkpoint: bytes | None = None,
        configuration: Configuration | None = None,
    ) -> Up:
        self.sent += 1
        told = (start, tuple(entries), root, self.to_answer, documents, checkpoint, configuration)
        up = Up(self.sent, self.session, self.epoch, *told)
        self.to_answer = None
        if entries or up.re is None:
            self.awaiting = up.n
        return up


def wants_answer(up: Up) -> bool:
    """Whether the server owes a Down for this Up."""
    return up.re is None or bool(up.entries)


@dataclass(frozen=True, slots=True)
class Growth:
    """Checked news of a log: the entries that are new to us, what to keep beside each, and the log afterwards."""

    new: tuple[bytes, ...]
    nodes: tuple[bytes, ...]
    frontier: Frontier


@dataclass(frozen=True, slots=True)
class Gap:
    """It begins after what we have: say again how far we are."""


@dataclass(frozen=True, slots=True)
class Divided:
    """Its log is not a continuation of ours."""

    at: int
    why: str


def grow(bank: BankId, have: Frontier, up: Up, overlap: Sequence[bytes]) -> Growth | Gap | Divided:
    """What an Up adds to the log that we have. `overlap`: our entries from `up.start` on, as many as it repeats.

    Raises Unreadable where an entry is not well framed or does not stand where it says.
    """
    if up.start > have.size:
        return Gap()
    repeated = min(have.size - up.start, len(up.entries))
    for i in range(repeated):
        if up.entries[i] != overlap[i]:
            return Divided(up.start + i, "an entry differs from the one we have")
    new = up.entries[repeated:]
    frontier, nodes = have, []
    for seq, raw in enumerate(new, have.size):
        envelope = read_envelope(raw)
        if (envelope.bank, envelope.epoch, envelope.seq) != (bank, up.epoch, seq):
            raise Unreadable(f"entry {seq} calls itself {envelope.bank} {envelope.epoch}/{envelope.seq}")
        frontier, completed = frontier.append(raw)
        nodes.append(completed)
    if up.start + len(up.entries) >= have.size and up.root != frontier.root():
        return Divided(frontier.size, "the Merkle roots differ")
    return Growth(new, tuple(nodes), frontier)


def greets_divided(hello: Hello, epoch: int, have: Frontier) -> Divided | None:
    """Whether a hello already shows another history than the one we hold of `epoch` (0: none yet)."""
    if epoch == 0 or hello.epoch > epoch:  # it holds the end of ours, and will tell it first
        return None
    if hello.epoch < epoch:
        return Divided(0, f"speaks of epoch {hello.epoch}, we hold {epoch}")
    if hello.size < have.size:
        return Divided(hello.size, f"has {hello.size} entries, we hold {have.size}")
    if hello.size == have.size and hello.root != have.root():
        return Divided(hello.size, "the Merkle roots differ")
    return None
