"""What a bank says and believes: its checkpoints, and a server that states another history."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.edge.test_loop import BANK, PARCEL, T0, Edge

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain.bank import Policy
from latchwork.domain.words import CompartmentId, DoorState, InstructionId
from latchwork.edge.talk import NUMBERS_SKIPPED_MAX, Talk
from latchwork.sync.codec import Unreadable, encode_instruction
from latchwork.sync.custody import EMPTY_ROOT, Frontier
from latchwork.sync.exchange import HEARTBEAT_SECONDS, Challenge, Configuration, Down, Order, Up, pack, unpack
from latchwork.sync.notes import Key, origin, read_checkpoint, read_note, signers

DEVICE = Ed25519PrivateKey.from_private_bytes(b"d" * 32)
PUBLIC = DEVICE.public_key().public_bytes_raw()


class Line:
    """The bank's end of a line, and a server that acknowledges what it is told to."""

    def __init__(self, edge: Edge) -> None:
        self.edge = edge
        self.configuration: Configuration | None = None
        self.talk = Talk(
            BANK, edge.loop, edge.journal, PUBLIC, DEVICE.sign, "boot", configuration=lambda: self.configuration
        )
        self.n = 0

    async def say(self, size: int, root: bytes, re: int | None = None, *orders: Order) -> None:
        self.n += 1
        await self.talk.hear(Down(self.n, 1, 1, size, root, self.edge.time.wall(), re, orders))

    async def acknowledge(self, up: Up) -> None:
        await self.say(up.start + len(up.entries), up.root, up.n)

    async def greet(self) -> None:
        self.talk.hello(Challenge(b"nonce", self.edge.time.wall()), "test")
        await self.say(0, EMPTY_ROOT)

    async def up(self, heartbeat: bool = False) -> Up:
        up = self.talk.next_up(heartbeat)
        assert up is not None
        await self.acknowledge(up)
        return up

    async def see(self, door: DoorState) -> None:
        await self.edge.loop.do(c.See({CompartmentId("01"): door}))


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    edge = Edge(tmp_path / "journal")
    await edge.start()
    yield Line(edge)
    edge.journal.close()


def size_signed(up: Up) -> int | None:
    if up.checkpoint is None:
        return None
    note = read_note(up.checkpoint)
    assert set(signers(note, [Key(origin(BANK, 1), PUBLIC)]))
    checkpoint = read_checkpoint(note.text)
    assert checkpoint.root == up.root and len(note.signatures) == 1
    return checkpoint.size


async def test_the_whole_log_is_signed_at_most_once_a_second(line: Line) -> None:
    await line.greet()
    journal = line.edge.journal
    assert size_signed(await line.up()) == journal.size
    assert line.talk.quiet_seconds() == HEARTBEAT_SECONDS
    await line.see(DoorState.CLOSED)
    assert size_signed(await line.up()) is None
    assert line.talk.quiet_seconds() == pytest.approx(1.0)
    line.edge.time.seconds += 0.9
    assert size_signed(await line.up(heartbeat=True)) is None
    line.edge.time.seconds += 0.2
    assert line.talk.quiet_seconds() == 0.0
    assert size_signed(await line.up(heartbeat=True)) == journal.size
    assert line.talk.quiet_seconds() == HEARTBEAT_SECONDS
    line.edge.time.seconds += 100
    assert size_signed(await line.up(heartbeat=True)) is None, "nothing new to sign"


async def test_while_an_answer_is_due_nothing_spins(line: Line) -> None:
    await line.greet()
    await line.up()
    await line.see(DoorState.CLOSED)
    line.edge.time.seconds += 5
    assert line.talk.next_up() is not None
    assert line.talk.overdue and line.talk.quiet_seconds() == HEARTBEAT_SECONDS


async def test_a_new_line_gets_the_checkpoint_anew(line: Line) -> None:
    await line.greet()
    assert size_signed(await line.up()) == line.edge.journal.size
    line.edge.time.seconds += 2
    await line.greet()
    await line.say(line.edge.journal.size, line.edge.loop.frontier.root())
    up = line.talk.next_up()
    assert up is not None and up.entries == () and size_signed(up) == line.edge.journal.size


async def test_part_of_a_log_is_not_signed(line: Line) -> None:
    for n in range(300):
        await line.see((DoorState.OPEN, DoorState.CLOSED)[n % 2])
    await line.greet()
    first = await line.up()
    assert len(first.entries) == 256 and size_signed(first) is None
    assert size_signed(await line.up()) == line.edge.journal.size


async def test_the_last_checkpoint_is_kept_on_the_disk(line: Line) -> None:
    await line.greet()
    up = await line.up()
    line.edge.journal.close()
    line.edge.open()
    kept = line.edge.journal._db.execute("SELECT checkpoint FROM head").fetchone()
    assert kept == (up.checkpoint,)


async def test_a_server_that_states_another_history_is_not_obeyed(line: Line) -> None:
    await line.greet()
    up = await line.up()
    size, through = line.edge.journal.size, line.edge.loop.bank.instructions_through
    order = Order(through + 1, InstructionId("9" * 32), encode_instruction(c.Adopt(1, Policy((PARCEL,)))))
    other = Frontier().append(b"other")[0].root()
    for size_bad in (-1, -300, 2**60):
        with pytest.raises(Unreadable):
            unpack(pack(Down(9, 1, 1, size_bad, other, T0)))
    for stated, root in ((size, other), (3, other), (size + 1, up.root), (size, EMPTY_ROOT)):
        await line.say(stated, root, None, order)
        assert line.talk.server_differs
        line.edge.time.seconds += 5
        assert line.talk.quiet_seconds() == HEARTBEAT_SECONDS, "nothing is signed for it, and nothing spins"
        assert line.talk.next_up() is not None, "it still hears what we have"
    assert line.edge.bodies(e.Adopted) == [] and line.edge.loop.bank.instructions_through == through
    await line.say(3, line.edge.journal.frontier(3).root(), None, order)
    assert not line.talk.server_differs and len(line.edge.bodies(e.Adopted)) == 1
    assert line.edge.loop.bank.at is not None and line.edge.loop.bank.at > T0


async def test_a_server_cannot_use_up_the_numbers_of_instructions(line: Line) -> None:
    await line.greet()
    through = line.edge.loop.bank.instructions_through
    adopt = encode_instruction(c.Adopt(1, Policy((PARCEL,))))
    size, root = line.edge.journal.size, line.edge.loop.frontier.root()
    for number in (2**53, through + NUMBERS_SKIPPED_MAX + 1):
        await line.say(size, root, None, Order(number, InstructionId("9" * 32), adopt))
    assert line.edge.loop.bank.instructions_through == through
    await line.say(size, root, None, Order(through + NUMBERS_SKIPPED_MAX, InstructionId("9" * 32), adopt))
    assert len(line.edge.bodies(e.Adopted)) == 1


async def test_another_configuration_is_told_at_once_and_only_once(line: Line) -> None:
    line.configuration = Configuration(1, "ab" * 32, "signed")
    assert line.talk.hello(Challenge(b"nonce", line.edge.time.wall()), "test").configuration == line.configuration
    await line.say(0, EMPTY_ROOT)
    while line.talk.next_up() is not None:
        await line.acknowledge(Up(1, 1, 1, 0, tuple(line.edge.journal.load()), line.edge.loop.frontier.root()))
    line.configuration = Configuration(1, "ab" * 32, "signed", 2, "it is no good")
    up = await line.up()
    assert up.configuration == line.configuration and unpack(pack(up)) == up
    assert line.talk.next_up() is None
    assert (await line.up(heartbeat=True)).configuration is None
    assert line.talk.hello(Challenge(b"nonce", line.edge.time.wall()), "test").configuration == line.configuration
