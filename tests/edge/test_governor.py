"""A wall cannot hurt itself, whatever is asked, crashes or breaks: real loop, governor and wall in pretend time."""

import ast
import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain.bank import Fitting
from latchwork.domain.words import (
    BankId,
    CompartmentId,
    DoorState,
    InstructionId,
    Lookup,
    OpeningId,
    PassId,
    Reason,
    Role,
    SessionId,
    Size,
)
from latchwork.edge import drivers
from latchwork.edge.clock import BankClock
from latchwork.edge.config import BadConfig, BusTable
from latchwork.edge.drivers.protocol import Fault, Reading
from latchwork.edge.governor import Coil, Governor, TooSoon
from latchwork.edge.keyring import Keyring
from latchwork.edge.loop import Loop
from latchwork.edge.registry import find
from latchwork.edge.wall import Wall, wall_of
from latchwork.store.memory import MemoryJournal
from latchwork.sync.codec import encode_instruction, read_entry
from latchwork.sync.exchange import Order

T0 = datetime(2026, 3, 1, tzinfo=UTC)
# The limits as the electrical notes have them, and not as the governor does.
RECOVER_SECONDS = 0.1
BURST_PULSES, BURST_SECONDS = 3, 30.0
REST_SECONDS_MIN = 5.0
DUTY_MAX = 0.1
SUPPLIES = ("left", "left", "right")
PULSES_S = (0.55, 1.5, 0.1)
"""By bus."""
WIRING = {CompartmentId(f"{bus}{channel}"): (bus, channel) for bus in range(3) for channel in range(2)}
COILS = {door: Coil(SUPPLIES[bus], PULSES_S[bus]) for door, (bus, _) in WIRING.items()}
FITTINGS = tuple(Fitting(door, Size(1, 1, 1)) for door in WIRING)
STAFF = Lookup("5" * 64)


class Crash(BaseException):
    pass


@dataclass
class Bus:
    """A driver that notes when its frames went out."""

    number: int
    world: "World"
    lost: bool = False
    slow_s: float = 0.0
    crashes: bool = False

    async def run(self, tell: Callable[[Reading], None]) -> None: ...

    async def pulse(self, channel: int) -> None:
        if self.lost:
            raise Fault("no line")
        self.world.now += self.slow_s
        self.world.pulses.append((self.world.now, CompartmentId(f"{self.number}{channel}")))
        if self.crashes:
            self.crashes = False
            raise Crash

    async def read(self) -> Mapping[int, DoorState]:
        return {}

    async def close(self) -> None: ...


@dataclass
class World:
    now: float = 1000.0
    pulses: list[tuple[float, CompartmentId]] = field(default_factory=list)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    boots: list[float] = field(default_factory=list)
    orders: int = 0

    def __post_init__(self) -> None:
        self.buses = [Bus(number, self) for number in range(3)]

    async def boot(self) -> None:
        clock = BankClock(lambda: T0 + timedelta(seconds=self.now), lambda: self.now)
        wall = Wall(self.buses, WIRING, coils=COILS)
        keyring = Keyring(b"k" * 32, 1, lambda: uuid4().hex)
        self.loop = Loop(BankId("b" * 32), self.journal, wall, clock, keyring, coils=wall.coils)
        self.boots.append(self.now)
        sent = len(self.pulses)
        await self.loop.start(uuid4().hex, "test", FITTINGS)
        clock.confirm(T0 + timedelta(seconds=self.now))
        await self.loop.wake()
        if len(self.boots) == 1:
            await self.obey(c.GrantPass(PassId("5" * 32), Role.STAFF, lookup=STAFF))
        await self.loop.do(c.SignIn(SessionId(uuid4().hex), STAFF))
        assert len(self.pulses) == sent, "something was pulsed at start-up"

    async def obey(self, body: c.Instruction) -> c.Decision:
        self.orders += 1
        return await self.loop.obey(Order(self.orders, InstructionId(uuid4().hex), encode_instruction(body)))

    async def want(self, door: CompartmentId) -> None:
        session = max(self.loop.bank.sessions)
        await self.loop.do(c.Visit(session, OpeningId(uuid4().hex), door, Reason.INSPECTION))

    async def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (delay := self.loop.wake_in()) is not None and self.now + delay < until:
            self.now += delay + 1e-6
            await self.loop.wake()
        self.now = max(self.now, until)
        await self.loop.wake()

    async def surviving(self, step: Awaitable[object]) -> None:
        """A crash is a boot some time later, whoever pressed what before."""
        try:
            await step
        except Crash:
            self.now += 2.0
            await self.boot()

    def bodies(self) -> list[e.Body]:
        return [read_entry(raw).body for raw in self.journal.load()]

    def check(self) -> None:
        for (before, coil), (after, _) in self.on_each_supply():
            assert after - before >= COILS[coil].pulse_s + RECOVER_SECONDS - 1e-9, "two coils of one supply at once"
        for door in WIRING:
            times = [at for at, coil in self.pulses if coil == door]
            pulse_s = COILS[door].pulse_s
            rest = max(REST_SECONDS_MIN, pulse_s / DUTY_MAX - pulse_s)
            for first, third, fourth in zip(times, times[BURST_PULSES - 1 :], times[BURST_PULSES:], strict=False):
                assert third - first >= BURST_SECONDS or fourth - third >= rest - 1e-9, "a coil got no rest"

    def on_each_supply(self) -> Iterator[tuple[tuple[float, CompartmentId], tuple[float, CompartmentId]]]:
        for supply in set(SUPPLIES):
            mine = [(at, coil) for at, coil in self.pulses if COILS[coil].supply == supply]
            yield from pairwise(mine)


@dataclass(frozen=True)
class Step:
    what: str
    door: CompartmentId = FITTINGS[0].id
    state: DoorState = DoorState.OPEN
    seconds: float = 31.0

    async def take(self, world: World) -> None:
        bus = world.buses[WIRING[self.door][0]]
        match self.what:
            case "want":
                await world.surviving(world.want(self.door))
            case "see":
                await world.surviving(world.loop.do(c.See({self.door: self.state})))
            case "wait":
                await world.surviving(world.wait(self.seconds))
            case "lose":
                bus.lost = not bus.lost
            case "slow":
                bus.slow_s = 0.8 - bus.slow_s
            case "crash in a pulse":
                bus.crashes = True
            case "crash":
                world.now += 0.5
                await world.boot()


STEPS = st.builds(
    Step,
    st.sampled_from(("want", "want", "want", "wait", "wait", "see", "lose", "slow", "crash", "crash in a pulse")),
    st.sampled_from((CompartmentId("00"), CompartmentId("10"), *sorted(WIRING))),
    st.sampled_from((DoorState.OPEN, DoorState.CLOSED)),
    st.sampled_from((0.1, 0.7, 1.6, 5.0, 31.0)),
)


async def live(steps: list[Step]) -> World:
    world = World()
    await world.boot()
    for step in steps:
        await step.take(world)
        world.check()
    return world


@settings(max_examples=150)
@given(st.lists(STEPS, max_size=60))
def test_whatever_happens_no_coil_and_no_supply_is_asked_too_much(steps: list[Step]) -> None:
    asyncio.run(live(steps))


@pytest.mark.parametrize("door", sorted(WIRING))
@pytest.mark.parametrize("slow", [False, True])
def test_whoever_hammers_at_one_door_gets_it_as_often_as_its_coil_bears(door: CompartmentId, slow: bool) -> None:
    moves = [Step("see", door, x) for x in (DoorState.OPEN, DoorState.CLOSED)]
    again = [Step("want", door), *moves, Step("wait", door, seconds=1.6)]
    world = asyncio.run(live([*again, *([Step("slow", door)] if slow else [])] * 20))
    assert len(world.pulses) > BURST_PULSES


def test_the_schedules_do_pulse() -> None:
    """Or the test above would show nothing."""
    wants = [Step("want", door) for door in sorted(WIRING)] * 3
    steps = [step for want in wants for step in (want, Step("wait"))]
    world = asyncio.run(live([*steps, Step("crash"), *steps]))
    assert len(world.pulses) > 2 * len(wants)


async def test_a_pulse_too_soon_is_not_sent_whoever_asks() -> None:
    sent: list[str] = []

    async def pulse(coil: str) -> None:
        sent.append(coil)

    now = 0.0
    governor = Governor(pulse, {"a": Coil("x", 0.5), "b": Coil("x", 0.5), "c": Coil("y", 0.5)}, lambda: now)
    with pytest.raises(TooSoon):
        await governor.pulse("a")  # the process has just begun: perhaps a coil still has power
    now = REST_SECONDS_MIN
    await governor.pulse("a")
    with pytest.raises(TooSoon):
        await governor.pulse("b")
    await governor.pulse("c")
    assert sent == ["a", "c"]
    assert governor.not_before("b") == now + 0.5 + RECOVER_SECONDS


async def test_two_at_once_on_one_supply_is_one() -> None:
    gate = asyncio.Event()
    sent: list[str] = []

    async def pulse(coil: str) -> None:
        sent.append(coil)
        await gate.wait()

    governor: Governor[str] = Governor(pulse, {}, lambda: 0.0, rested=True)
    first = asyncio.create_task(governor.pulse("a"))
    await asyncio.sleep(0)
    with pytest.raises(TooSoon):
        await governor.pulse("b")
    gate.set()
    await first
    assert sent == ["a"]


def test_a_bus_may_not_be_set_to_burn_its_coils_and_coils_know_their_supply() -> None:
    bus = BusTable("gpio", "gpio", options={"relays": [5, 6], "pulse_ms": 1_600, "accept_host_timed": True})
    with pytest.raises(BadConfig, match="1600 is not from 1 to 1500"):
        wall_of([bus], {})
    with pytest.raises(BadConfig, match="accept_host_timed = true"):
        wall_of([BusTable("gpio", "gpio", options={"relays": [5]})], {})
    wall = wall_of([BusTable("kerong-cu16", "/dev/x", (0,), supply="left")], {CompartmentId("1"): (0, 3)})
    assert wall.coils == {CompartmentId("1"): Coil("left", 0.55)}


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in Path(*drivers.__path__).glob("*/manifest.toml")))
def test_a_coil_that_this_computer_times_needs_to_be_accepted(folder: str) -> None:
    manifest = find(folder.replace("_", "-")).manifest
    assert (manifest.capabilities.pulse == "host-timed") is ("accept_host_timed" in manifest.options)
    assert manifest.options.get("accept_host_timed") is not True


def test_nobody_pulses_but_the_governor() -> None:
    """By source: a driver's or a wall's `.pulse` is spoken of only where the governor is given its way to it."""
    edge = Path(*drivers.__path__).parent
    strays = []
    for path in edge.rglob("*.py"):
        if edge / "drivers" in path.parents or path.name in ("governor.py", "wall.py"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        given: list[ast.AST] = [
            x.args[0] for x in ast.walk(tree) if isinstance(x, ast.Call) and ast.unparse(x.func) == "Governor"
        ]
        ways = {way.attr for way in given if isinstance(way, ast.Attribute)}
        given += [x for x in ast.walk(tree) if isinstance(x, ast.AsyncFunctionDef) and x.name in ways]
        allowed = {inner for way in given for inner in ast.walk(way)}
        strays += [
            f"{path.name}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and node.attr == "pulse"
            and node not in allowed
            and not ast.unparse(node.value).endswith(("governor", "capabilities", "wires", "sitting"))
        ]
    assert not strays
