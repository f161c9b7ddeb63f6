"""A bank's machine in the pretend world: the real loop and the real talk, on ports that crash, fail and lie.

Its disk and its cabinet outlive it; everything else is gone with a crash. What the real edge does with asyncio
(desk, driver, link) is done here by a handful of coroutines that the schedule steps.
"""

from collections.abc import Sequence
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from latchwork.domain.bank import Bank, OpeningState
from latchwork.domain.commands import Command, Decision, Offer, See, SenseItems, SignOut
from latchwork.domain.entries import Entry
from latchwork.domain.words import BankId, CompartmentId, DoorState, Reason, SessionId
from latchwork.edge.clock import BankClock
from latchwork.edge.drivers.protocol import Fault
from latchwork.edge.keyring import Keyring
from latchwork.edge.loop import Loop, Unfit
from latchwork.edge.talk import Talk
from latchwork.simulator.cabinet import Cabinet
from latchwork.simulator.clock import WallClock
from latchwork.simulator.disk import Disk
from latchwork.simulator.schedule import Host, Promise, Signal, Turn, die, sleep, wait
from latchwork.simulator.wire import Cut, End, Silent
from latchwork.store.sqlite import DiskFull
from latchwork.sync.codec import Unreadable, read_entry
from latchwork.sync.exchange import SILENCE_SECONDS_MAX, Ask, Challenge, Down, Message, Page, pack, unpack

if TYPE_CHECKING:
    from latchwork.simulator.world import World

HEARTBEAT_S = 240.0
"""Rarer than in reality, where an idle line must not look dead to a firewall: nothing else hangs on it here."""
RETRY_S_MAX = 30.0
WAKE_S_MAX = 900.0
IDLE_S_MAX = 75.0
DOOR_OPEN_S_MAX = 180.0
BOOT_S = 4.0
UNDER_WAY = (OpeningState.WANTED, OpeningState.UNLOCKED, OpeningState.OPENED)


class Dark(Exception):
    """The screen is black: nobody knows what became of the last touch."""


class Controller(Host):
    def __init__(self, world: "World", bank: BankId, cabinet: Cabinet, key: Ed25519PrivateKey, code_key: bytes) -> None:
        super().__init__(f"bank {bank[:4]}")
        self.world = world
        self.bank = bank
        self.cabinet = cabinet
        self.disk = Disk(partial(world.stores.journal, bank), self._moment, self._wrote, self._reborn)
        self.changed: Signal = Signal(world.schedule)
        self.kiosk_queue = Turn(world.schedule)
        """People stand in line, also in front of a black screen."""
        self.wall_clock = WallClock(world.time)
        self.loop: Loop | None = None
        self.crashes = 0
        self.keyring = Keyring(code_key, 1, world.new_id)
        self._key = key
        self._promises: dict[Promise[Decision], None] = {}
        self._touched: dict[SessionId, float] = {}
        self._turn = Turn(world.schedule)
        self._boots = 0
        self._written: list[Entry] = []
        """By the step that is being taken."""

    @property
    def random(self) -> Random:
        return self.world.random

    # Power

    def boot(self) -> None:
        self.world.schedule.spawn(self._run(), f"{self.name} boots", self)

    def crash(self, why: str) -> None:
        if self.loop is not None or self.tasks:
            self.crashes += 1
            self.world.happened("crashes")
            self.world.say(self.name, f"crashes {why}")
            self.world.told("crashed", self.bank)
        self.loop = None
        for task in list(self.tasks):
            self.world.schedule.kill(task)
        for promise in list(self._promises):
            promise.fail(Dark())
        self._promises.clear()
        delay = self.random.uniform(1, 5) if self.world.settling else self.random.choice((2.0, 20.0, 60.0, 900.0))
        boots = self._boots = self._boots + 1
        self.world.schedule.call_in(delay, lambda: self.boot() if boots == self._boots else None)

    def lose_disk(self, replaced: bool) -> None:
        """It comes back from an old image; or another one is put in its place, and enrolled."""
        self.crash("and loses its disk")
        self.world.happened("disks lost")
        if replaced:
            self._key = Ed25519PrivateKey.from_private_bytes(self.random.randbytes(32))
        self.world.stores.lose_disk(self.bank, self._key.public_key().public_bytes_raw() if replaced else None)
        self.disk.reopen()
        self.world.reborn(self.bank, [read_entry(raw) for raw in self.disk.load()])

    def _reborn(self) -> None:
        self.world.reborn(self.bank, [read_entry(raw) for raw in self.disk.load_past()])
        self.world.told("went_on", self.bank)

    async def _moment(self) -> None:
        """Between two lines of code: time passes, and the power may go."""
        if self.random.random() < self.world.weather.bank_crash_at_await:
            await die("between two steps")
        await sleep(self.random.uniform(0, 0.01))

    def _wrote(self, raws: Sequence[bytes]) -> None:
        self._written += self.world.wrote(self.bank, raws)

    async def _run(self) -> None:
        await sleep(BOOT_S)
        world, self._turn = self.world, Turn(self.world.schedule)
        self.disk.reopen()
        boot = world.new_id()
        while True:
            clock = BankClock(self.wall_clock, world.time.seconds)
            loop = world.cast.loop(self.bank, self.disk, self, clock, self.keyring, DiskFull)
            try:
                await loop.start(boot, "simulated", self.cabinet.fittings)
            except Unfit:
                if not self.disk.is_full:  # the one thing that a pretend disk has against starting
                    raise
                await sleep(30)
            else:
                break
        loop.told = self.changed.fire
        self.loop = loop
        self._touched = dict.fromkeys(sorted(loop.bank.sessions), world.time.now)
        public = self._key.public_key().public_bytes_raw()
        talk = Talk(self.bank, loop, self.disk, public, self._key.sign, boot)
        world.told("booted", self.bank)
        for work, name in (
            (self._drive(), "driver"),
            (self._wake(loop), "timer"),
            (self._link(talk), "link"),
            (self._tend(loop), "kiosk"),
        ):
            world.schedule.spawn(work, f"{self.name} {name}", self)

    # The kiosk, as people use it

    @property
    def screen(self) -> Bank:
        """What is to be seen. Raises Dark."""
        if self.loop is None:
            raise Dark
        return self.loop.bank

    def offer(self) -> Offer:
        return self.keyring.offer(self.screen)

    async def do(self, command: Command) -> Decision:
        """A touch. Raises Dark where the machine is off, or goes off meanwhile."""
        if self.loop is None:
            raise Dark
        session = getattr(command, "session", None)
        if session is not None:
            self._touched[session] = self.world.time.now
        promise: Promise[Decision] = Promise(self.world.schedule)
        self._promises[promise] = None
        self.world.schedule.spawn(self._serve(self.loop, command, promise), f"{self.name} touch", self)
        return await promise.get()

    async def _serve(self, loop: Loop, command: Command, promise: Promise[Decision]) -> None:
        async with self._turn:
            self._written = []
            decision = await loop.do(command)
            self.world.told("decided", self.bank, command, decision, self._written)
        self._promises.pop(promise, None)
        promise.keep(decision)

    async def _tend(self, loop: Loop) -> None:
        """Signs out who is gone; not in front of an open door, for a while."""
        while True:
            if not loop.bank.sessions:
                await wait(self.changed)
                continue
            for session in sorted(loop.bank.sessions):
                idle = self.world.time.now - self._touched.setdefault(session, self.world.time.now)
                busy = any(o.session == session and o.state in UNDER_WAY for o in loop.bank.openings.values())
                if idle >= (DOOR_OPEN_S_MAX if busy else IDLE_S_MAX):
                    async with self._turn:
                        await loop.do(SignOut(session, Reason.TIMED_OUT))
            await sleep(10)

    # Doors

    async def pulse(self, compartment: CompartmentId) -> None:
        """The loop's board. Raises Fault."""
        await self._moment()
        if self.cabinet.board(compartment) in self.cabinet.lost:
            raise Fault("no line to the board")
        self.world.elements.strike(self.cabinet, compartment)
        self.world.pulsed(self.bank, compartment)
        self.cabinet.pulse(compartment)
        if self.random.random() < self.world.weather.fault_after_pulse:
            raise Fault("the line broke; the frame may have gone out")
        await self._moment()

    async def _drive(self) -> None:
        told: dict[CompartmentId, DoorState] = {}
        lost: dict[int, None] = {}
        felt: dict[CompartmentId, bool] = {}
        while True:
            await self._poll(told, lost)
            if self.cabinet.sensors:
                await self._feel(felt)
            fast = self.cabinet.watched_until > self.world.time.now or self.cabinet.flapping
            await wait(self.cabinet.moved, 0.5 if fast else None)
            await sleep(self.random.uniform(0, self.world.weather.poll_s))

    async def _poll(self, told: dict[CompartmentId, DoorState], lost: dict[int, None]) -> None:
        """Look at every door; tell what differs from what was told last."""
        for board in sorted({self.cabinet.board(x) for x in self.cabinet.channels}):
            doors = {x: self.cabinet.reading(x) for x in self.cabinet.channels if self.cabinet.board(x) == board}
            if board in self.cabinet.lost:
                if board not in lost:
                    lost[board] = None
                    told.update(doors)
                    await self._tell(See(doors, lost=True))
                continue
            lost.pop(board, None)
            news = {x: door for x, door in doors.items() if told.get(x) is not door}
            told.update(news)
            if news:
                await self._tell(See(news))

    async def _feel(self, felt: dict[CompartmentId, bool]) -> None:
        """What sensors behind shut doors say, when it is another thing than before; some of it is not so."""
        shut = [x for x in self.cabinet.channels if not self.cabinet.is_open(x)]
        news = {x: bool(self.cabinet.inside[x]) for x in shut}
        news = {x: item for x, item in news.items() if felt.get(x) is not item}
        felt.update(news)
        for x in news:
            if self.random.random() < self.world.weather.sensor_lies:
                news[x] = not news[x]
        if news:
            await self._tell(SenseItems(news))

    async def _tell(self, see: See | SenseItems) -> None:
        loop = self.loop
        assert loop is not None
        async with self._turn:
            await loop.do(see)

    # Time

    async def _wake(self, loop: Loop) -> None:
        while True:
            async with self._turn:
                await loop.wake()
                delay = loop.wake_in()
            await wait(self.changed, min(delay + 0.001 if delay is not None else WAKE_S_MAX, WAKE_S_MAX))

    # The line to the server

    async def _link(self, talk: Talk) -> None:
        delay = 0.5
        while True:
            try:
                near = await self.world.office.dial(self.bank)
            except Cut:
                near = None
            if near is not None:
                began = self.world.time.now
                try:
                    await self._converse(talk, near)
                except (Cut, Silent, Unreadable) as error:
                    self.world.say(self.name, f"loses its line: {type(error).__name__}")
                near.close()
                if self.world.time.now - began > 60:
                    delay = 0.5
            await sleep(delay * self.random.uniform(0.5, 1.5))
            delay = min(delay * 2, RETRY_S_MAX)

    async def _converse(self, talk: Talk, near: End) -> None:
        challenge = unpack(await near.receive(SILENCE_SECONDS_MAX))
        if not isinstance(challenge, Challenge):
            raise Cut
        async with self._turn:
            hello = talk.hello(challenge, "simulated")
        near.send(pack(hello))
        sender = self.world.schedule.spawn(self._send(talk, near), f"{self.name} sends", self)
        try:
            while True:
                message: Message = unpack(await near.receive(HEARTBEAT_S + SILENCE_SECONDS_MAX))
                if isinstance(message, Ask | Page):
                    async with self._turn:
                        answer = await talk.answer(message)
                    near.send(pack(answer))
                    continue
                if not isinstance(message, Down):
                    raise Cut
                async with self._turn:
                    await talk.hear(message)
                self.world.told("acknowledged", self.bank, message.epoch, message.size)
                self.changed.fire()
        finally:
            self.world.schedule.kill(sender)

    async def _send(self, talk: Talk, near: End) -> None:
        due_by: float | None = None
        while True:
            changed = await wait(self.changed, SILENCE_SECONDS_MAX if talk.overdue else HEARTBEAT_S)
            async with self._turn:
                up = talk.next_up(heartbeat=not changed)
            if up is not None:
                try:
                    near.send(pack(up))
                except Cut:
                    return
            if not talk.overdue:
                due_by = None
            elif due_by is None:
                due_by = self.world.time.now + SILENCE_SECONDS_MAX
            elif self.world.time.now >= due_by:
                near.close()
                return
