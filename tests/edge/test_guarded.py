"""A server that lies to a real bank: it opens no more doors than the limit, and nothing at all where it is guarded."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import structs
from tests.edge.test_loop import BANK, FITTINGS, Edge

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain import policy
from latchwork.domain.words import BankId, DoorState, InstructionId, OpeningId, PassId, PersonId, Reason, Role
from latchwork.edge.consent import Consent
from latchwork.edge.recovery import Offered, Recovery
from latchwork.store.sqlite import DiskFull, SqliteJournal
from latchwork.sync.codec import Signature, Signed, encode_instruction, encode_signed, read_entry
from latchwork.sync.custody import Frontier
from latchwork.sync.exchange import Accepted, Order, Page
from latchwork.sync.keys import instruction_text

DEVICE = Ed25519PrivateKey.from_private_bytes(b"d" * 32)
GUARD = Ed25519PrivateKey.from_private_bytes(b"g" * 32)
THIEF = Ed25519PrivateKey.from_private_bytes(b"t" * 32)
DOOR = FITTINGS[0].id


def hex_of(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    edge = Edge(tmp_path / "bank")
    yield edge
    edge.journal.close()


async def told(edge: Edge, body: bytes, name: str | None = None) -> Reason | None:
    """What the wall answers."""
    edge.number = edge.loop.bank.instructions_through + 1
    await edge.loop.obey(Order(edge.number, InstructionId(name or uuid4().hex), body))
    answers = [x for x in (read_entry(raw).body for raw in edge.journal.load()) if isinstance(x, e.Answered)]
    return answers[-1].refusal


async def settle(edge: Edge) -> None:
    """Doors that were pulsed open and are shut again."""
    while (opening := edge.loop.bank.moving) or edge.loop.bank.queue:
        if opening:
            at = edge.loop.bank.openings[opening].compartment
            await edge.loop.do(c.See({at: DoorState.OPEN}))
            await edge.loop.do(c.See({at: DoorState.CLOSED}))
        edge.time.seconds += 40
        await edge.loop.wake()


def door(edge: Edge, second: str | None = None) -> bytes:
    now = edge.loop.clock.server_now()
    assert now is not None
    until, other = now + timedelta(minutes=30), PersonId(second) if second else None
    return encode_instruction(
        c.Open(OpeningId(uuid4().hex), DOOR, Reason.OTHER, PersonId("thief"), until, second=other)
    )


def signed(body: bytes, name: str, until: datetime, *keys: Ed25519PrivateKey, bank: BankId = BANK) -> bytes:
    text = instruction_text(bank, InstructionId(name), until, body)
    return encode_signed(Signed(body, until, tuple(Signature(hex_of(key), key.sign(text).hex()) for key in keys)))


async def test_a_lying_server_opens_no_more_than_the_limit_whatever_it_says_of_the_time(edge: Edge) -> None:
    await edge.start()
    await edge.loop.do(c.See({DOOR: DoorState.CLOSED}))
    for n in range(60):
        await told(edge, door(edge, second="accomplice"))
        await settle(edge)
        # A day later, it says, and hangs up, and greets anew.
        edge.loop.clock.confirm(edge.time.wall() + timedelta(days=n), fresh=n % 2 == 0)
        if n == 30:  # and waits for the power to fail
            edge.journal.close()
            edge.open()
            await edge.start()
    assert len(edge.board.pulsed) == policy.REMOTE_MAX
    assert edge.loop.bank.shield.stopped
    log = [read_entry(raw).body for raw in edge.journal.load()]
    assert sum(isinstance(body, e.RemoteStopped) for body in log) == 1


async def test_a_restart_forgives_nothing(edge: Edge) -> None:
    await edge.start()
    await edge.loop.do(c.See({DOOR: DoorState.CLOSED}))
    for _ in range(policy.REMOTE_ALONE_MAX):
        assert await told(edge, door(edge)) is None
        await settle(edge)
    edge.journal.close()
    edge.open()
    await edge.start()
    assert await told(edge, door(edge)) is Reason.SECOND_PERSON


async def test_a_guarded_wall_obeys_the_exact_bytes_that_were_signed_for_it_and_nothing_else(edge: Edge) -> None:
    await edge.start()
    await edge.loop.do(c.Guard((hex_of(GUARD),)))
    until = edge.time.wall().replace(microsecond=0) + timedelta(hours=1)
    grant = encode_instruction(c.GrantPass(PassId("5" * 32), Role.STAFF))
    other = encode_instruction(c.GrantPass(PassId("6" * 32), Role.STAFF))
    good = signed(grant, "i" * 32, until, GUARD)
    lies: dict[str, Callable[[], tuple[bytes, str]]] = {
        "unsigned": lambda: (grant, "i" * 32),
        "another's key": lambda: (signed(grant, "i" * 32, until, THIEF), "i" * 32),
        "another body": lambda: (good.replace(_base64(grant), _base64(other)), "i" * 32),
        "another id": lambda: (good, "j" * 32),
        "another wall's": lambda: (signed(grant, "i" * 32, until, GUARD, bank=BankId("a" * 32)), "i" * 32),
        "a later end": lambda: (good.replace(_text(until), _text(until + timedelta(days=1))), "i" * 32),
        "no signature": lambda: (encode_signed(Signed(grant, until, ())), "i" * 32),
        "nonsense": lambda: (encode_signed(Signed(grant, until, (Signature(hex_of(GUARD), "x"),))), "i" * 32),
    }
    for name, lie in lies.items():
        body, instruction = lie()
        assert await told(edge, body, instruction) is Reason.UNSIGNED, name
        edge.loop.bank = replace(edge.loop.bank, answered=())  # as after many others
    assert not edge.loop.bank.passes
    assert await told(edge, good, "i" * 32) is None
    assert PassId("5" * 32) in edge.loop.bank.passes


async def test_an_old_signature_is_worth_nothing_though_the_server_sets_its_clock_back(edge: Edge) -> None:
    await edge.start()
    await edge.loop.do(c.Guard((hex_of(GUARD),)))
    until = edge.time.wall().replace(microsecond=0) + timedelta(minutes=15)
    kept = signed(door(edge), "i" * 32, until, GUARD)
    edge.time.seconds += 3600
    await edge.loop.do(c.See({DOOR: DoorState.CLOSED}))
    edge.loop.clock.confirm(until - timedelta(minutes=14), fresh=True)
    assert await told(edge, kept, "i" * 32) is Reason.EXPIRED
    assert not edge.board.pulsed


class Stuck:
    """A pile on a disk that was just filled: what is staged cannot be dropped."""

    def __init__(self, journal: SqliteJournal) -> None:
        self.journal = journal

    def __getattr__(self, name: str) -> Any:
        return getattr(self.journal, name)

    def unstage(self) -> None:
        raise DiskFull


async def test_a_guarded_wall_goes_on_from_a_servers_log_only_when_somebody_at_the_controller_says_so(
    edge: Edge, tmp_path: Path
) -> None:
    await edge.start()
    assert await told(edge, encode_instruction(c.GrantPass(PassId("4" * 32), Role.COURIER))) is None
    theirs = list(edge.journal.load())
    await edge.loop.do(c.Guard((hex_of(GUARD),)))
    frontier = Frontier()
    for raw in theirs:
        frontier, _ = frontier.append(raw)
    accepted = Accepted(1, len(theirs), frontier.root())
    page = Page(1, accepted, 1, len(theirs))

    assert (await Recovery(edge.loop, Stuck(edge.journal)).take(page)).refused, "also on a disk that is full by then"
    consent = Consent(tmp_path)
    recovery = Recovery(edge.loop, edge.journal, consent.to_log)
    refused = await recovery.take(page)
    assert refused.refused is not None and "latchwork edge accept" in refused.refused
    offered = consent.offered
    assert offered == Offered(len(theirs), frontier.root().hex(), len(theirs), 1)
    consent.accept_log(structs.replace(offered, root="00" * 32))
    assert (await recovery.take(page)).refused and edge.loop.bank.epoch == 1
    consent.accept_log(offered)
    assert (await recovery.take(page)).began and consent.offered is None
    assert not consent.to_log(offered), "a yes is said once"
    assert (edge.loop.bank.epoch, edge.loop.bank.shield.guards) == (2, (hex_of(GUARD),))


def _base64(raw: bytes) -> bytes:
    return encode_signed(Signed(raw, datetime.fromtimestamp(0, UTC), ())).split(b'"')[5]


def _text(at: datetime) -> bytes:
    return at.isoformat().replace("+00:00", "Z").encode()
