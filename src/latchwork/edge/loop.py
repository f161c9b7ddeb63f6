"""The bank at work: take a command, decide, write, act. In that order, always.

Every entry of a step is on disk before the lock it speaks of is told. Steps are taken one at a time: whoever owns a
loop calls it from one place. It awaits only its ports and imports no asyncio, so that the simulator can step it in
pretend time.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from latchwork.domain import commands as c
from latchwork.domain.apply import apply
from latchwork.domain.bank import Bank, Fitting
from latchwork.domain.commands import Command, Decision, Refusal
from latchwork.domain.decide import decide
from latchwork.domain.effects import codes_due, next_deadline, next_opening, pulses
from latchwork.domain.entries import Body, Entry, EpochBegan, Wanted
from latchwork.domain.policy import GUARDS_MAX
from latchwork.domain.rules.pieces import maintained
from latchwork.domain.words import BankId, CompartmentId, DoorState, InstructionId, OpeningId, Reason, Role
from latchwork.edge.clock import BankClock
from latchwork.edge.drivers.protocol import Fault
from latchwork.edge.governor import Coil, Governor
from latchwork.edge.keyring import Keyring
from latchwork.sync import keys
from latchwork.sync.codec import (
    Signed,
    TooLarge,
    Unreadable,
    body_hash,
    encode_entry,
    read_entry,
    read_instruction,
    read_signed,
)
from latchwork.sync.custody import Frontier
from latchwork.sync.exchange import Order


class Journal(Protocol):
    @property
    def size(self) -> int: ...
    @property
    def tight(self) -> bool: ...
    async def append(self, raws: Sequence[bytes], nodes: Sequence[bytes]) -> None:
        """All or none, through to the disk. Raises OSError-like DiskFull of the store."""

    async def switch(self, epoch: int, fork: int, raws: Sequence[bytes], nodes: Sequence[bytes]) -> None:
        """Begin `epoch` with these, upon the log that is staged. As `append`."""

    def load(self) -> Iterable[bytes]: ...
    def frontier(self, size: int | None = None) -> Frontier: ...


class Board(Protocol):
    async def pulse(self, compartment: CompartmentId) -> None:
        """Returns when the unlock frame is on the wire. Raises Fault."""


Heard = c.See | c.Elapse | c.SenseItems | c.SenseTamper | c.SenseBand | c.SumUp
"""What nobody says again."""

FULL_RETRY_SECONDS = 1.0
"""How soon a full disk is tried again."""

WARN_SECONDS = 60
ALARM_SECONDS = 600
"""A door that stands open so long: people are asked to shut it, then the operator is told."""

UNWRITTEN_MAX = 1000
"""Moves of doors kept apart while the disk is full; beyond, only where each door ended is kept."""

FIRST_LOG, FIRST_LOG_MAX = datetime(2026, 1, 1, tzinfo=UTC), datetime(2060, 1, 1, tzinfo=UTC)
"""A log that begins too early comes right when the time is confirmed, and one that begins too late never does: by an
unconfirmed clock that cannot be right, it begins early."""

AHEAD_MAX = timedelta(days=1)
"""A clock that no server has confirmed may be so far ahead of the last entry; beyond, it is not believed."""

log = logging.getLogger(__name__)


class Unfit(Exception):
    """This journal cannot be worked with: the bank opens nothing, and says why."""


class Loop:
    """`full`: the exception by which the journal says that its disk is full. `coils`: those of its board."""

    def __init__(
        self,
        bank: BankId,
        journal: Journal,
        board: Board,
        clock: BankClock,
        keyring: Keyring,
        full: type[Exception] = OSError,
        coils: Mapping[CompartmentId, Coil] | None = None,
    ) -> None:
        self.bank = Bank(bank)
        self.journal = journal
        self.frontier = Frontier()
        self.keyring = keyring
        self.clock = clock
        self.full = full
        self.told: Callable[[], None] = lambda: None
        """Called after each step that changed the bank."""
        self._governor = Governor(board.pulse, coils or {}, clock.monotonic, rested=journal.size == 0)
        self._remote_at = clock.monotonic()
        """When something was last opened from afar; at a start, then."""
        self._proof_by: dict[OpeningId, float] = {}
        self._open_since: dict[CompartmentId, float] = {}
        self._doors: object = None
        """The compartments as they were when `_open_since` was made of them."""
        self._unwritten: list[Heard] = []
        """What the hardware said while the disk was full: it will not say it again."""
        self._beginning: tuple[Command, ...] = ()
        self._retry_at: float | None = None
        """When a full disk is tried again; None: it takes entries."""
        self._last_step_at = clock.monotonic()
        self._behind_s = 0.0

    async def start(self, boot: str, software: str, fittings: tuple[Fitting, ...]) -> None:
        """Fold the journal and settle what was under way. Pulses nothing. Raises Unfit."""
        self._fold()
        self._beginning = (c.Boot(boot, software), c.Fit(fittings))
        begin: list[Command] = [c.Begin()] if self.bank.epoch == 0 else []
        doubt = c.DoubtClock()  # nothing has confirmed the time since boot
        for command in (*begin, c.Boot(boot, software), doubt, c.Fit(fittings)):
            refused = (await self.do(command)).refusal
            if refused is not None and refused.reason is Reason.DISK_FULL:
                raise Unfit("the disk is full: what was under way cannot be settled")
            if refused is not None:
                raise Unfit("the configuration takes away a compartment that holds something")

    def _fold(self) -> None:
        try:
            for raw in self.journal.load():
                self.bank = apply(self.bank, read_entry(raw))
        except (Unreadable, AssertionError, KeyError) as error:
            raise Unfit(f"entry {self.bank.seq} of the journal cannot be understood: {error}") from error
        self.frontier = self.journal.frontier()

    async def do(self, command: Command) -> Decision:
        """One step: decide, and let the next lock go if the governor has a slot; write both; act.

        A full disk is a refusal; nothing happened. What the hardware said then is tried again by `wake`.
        """
        if self._unwritten and isinstance(command, Heard):  # in its order
            return self._put_off(command)
        if isinstance(command, c.Deposit) and self.journal.tight:
            return Decision(refusal=Refusal(Reason.DISK_FULL))
        batch = _Batch(self.bank, self.frontier, self._now())
        decision = batch.decide(command)
        self._grant(batch)
        if not batch.raws:
            return decision
        try:
            await self.journal.append(batch.raws, batch.nodes)
        except self.full:
            return self._put_off(command)
        self.bank, self.frontier = batch.bank, batch.frontier
        self._last_step_at = self.clock.monotonic()
        if self._retry_at is not None:
            self._retry_at = None
            log.warning("the disk takes entries again")
        if any(isinstance(body, Wanted) and body.debt_s is not None for body in batch.bodies):
            self._remote_at = self.clock.monotonic()
        await self._act(batch.bodies)
        self.told()
        return decision

    @property
    def busy(self) -> bool:
        """Whether somebody is at the wall, or a door is about to open, or something could not be written yet."""
        return bool(self.bank.sessions or self.bank.queue or self.bank.moving or self._unwritten)

    async def begin_anew(self, accepted: Bank, recover: c.Recover, fork: int) -> None:
        """Go on in a new epoch from `accepted`, with the doors as they are. Pulses nothing. Raises Unfit, or `full`.

        Of our own entries the first `fork` are those of the accepted log.
        """
        seen = {x.id: x.door for x in self.bank.compartments.values() if x.door is not DoorState.UNKNOWN}
        batch = _Batch(accepted, Frontier(), max(self._now(), accepted.at or self._now()))
        try:
            for command in (recover, *self._beginning, c.See(seen)):
                if batch.decide(command).refusal is not None:
                    raise Unfit("the configuration takes away a compartment that holds something")
        except TooLarge as error:
            raise Unfit(f"what has to be recorded is too large: {error}") from error
        await self.journal.switch(batch.bank.epoch, fork, batch.raws, batch.nodes)
        self.bank, self.frontier = batch.bank, batch.frontier
        self._last_step_at = self.clock.monotonic()
        self._proof_by.clear()
        self.told()

    def _now(self) -> datetime:
        """Bank time never runs backwards and never stands still, or no wait would end and no guess be forgiven.

        A clock behind the log lets it run on at half speed, until they meet. A clock that nobody confirmed and that is
        far ahead of the log is not followed: there would be no way back.
        """
        at, now = self.bank.at, self.clock.now()
        if at is None:
            return now if self.clock.server_now() is not None or now < FIRST_LOG_MAX else FIRST_LOG
        since = timedelta(seconds=max(0.0, self.clock.monotonic() - self._last_step_at))
        if self.clock.server_now() is None and now - at > AHEAD_MAX + since:
            return at + since
        return max(now, at + since / 2)

    def hear_time(self, server_time: datetime, fresh: bool = False) -> None:
        before = self._now()
        self.clock.confirm(server_time, fresh)
        self._behind_s = (self._now() - before).total_seconds() + (self._behind_s if self.bank.clock_doubted else 0.0)

    async def trust_clock(self) -> None:
        """What the server says has confirmed it."""
        if self.bank.clock_doubted:
            await self.do(c.TrustClock(self._behind_s))

    def _put_off(self, command: Command) -> Decision:
        if self._retry_at is None:
            log.error("nothing can be written, so nothing is opened: the disk is full, or broken")
        self._retry_at = self.clock.monotonic() + FULL_RETRY_SECONDS
        last = self._unwritten[-1] if self._unwritten else None
        if (
            isinstance(command, c.See)
            and isinstance(last, c.See)
            and command.lost == last.lost
            and (len(self._unwritten) > UNWRITTEN_MAX or not set(command.doors) & set(last.doors))
        ):
            self._unwritten[-1] = c.See({**last.doors, **command.doors}, last.lost)
        elif isinstance(command, Heard):
            self._unwritten.append(command)
        return Decision(refusal=Refusal(Reason.DISK_FULL))

    def _grant(self, batch: "_Batch") -> None:
        """The next lock, if the governor has a slot now. One a step: it counts from when the pulse is out."""
        while (opening := next_opening(batch.bank)) is not None:
            if self._governor.not_before(opening.compartment) > self.clock.monotonic():
                return
            if pulses(batch.decide(c.Unlock(opening.id, self.clock.server_now())).entries):
                return

    async def _act(self, committed: Iterable[Body]) -> None:
        for unlocked in pulses(committed):
            proof_s = self.bank.policy.open_seconds_max
            # Set before as well: whatever becomes of this call, the opening must come to an end.
            self._proof_by[unlocked.opening] = self.clock.monotonic() + proof_s
            try:
                await self._governor.pulse(unlocked.compartment)
            except Fault:
                del self._proof_by[unlocked.opening]
                await self.do(c.Elapse(unlocked.opening, unsent=True))
            else:
                self._proof_by[unlocked.opening] = self.clock.monotonic() + proof_s

    async def obey(self, order: Order) -> Decision:
        """An instruction as the exchange brought it."""
        signed = read_signed(order.body)
        body = read_instruction(signed.body if signed else order.body)
        named = body.pass_id if isinstance(body, c.GrantPass) else body.drop_off if isinstance(body, c.Expect) else None
        instructed = c.Instructed(
            order.number,
            order.id,
            body_hash(order.body),
            body,
            self.clock.server_now(),
            # The cloud derives the digits from the pass that it named, so its codes must be made from that one.
            self.keyring.offer(self.bank, named, body.role if isinstance(body, c.GrantPass) else Role.PERSON),
            order.void,
            self._signers(order.id, signed) if signed else (),
            signed.until if signed else None,
            self.clock.monotonic() - self._remote_at,
        )
        try:
            return await self.do(instructed)
        except TooLarge:  # it must be answered, or it would come again for ever
            return await self.do(replace(instructed, body=c.NotUnderstood()))

    def _signers(self, instruction: InstructionId, signed: Signed) -> tuple[str, ...]:
        """Each guard whose signature is good, once."""
        text = keys.instruction_text(self.bank.id, instruction, signed.until, signed.body)
        good = (s.key for s in signed.signatures[:GUARDS_MAX] if keys.signed_in_hex(s.key, s.signature, text))
        return tuple(key for key in dict.fromkeys(good) if key in self.bank.shield.guards)

    async def wake(self) -> None:
        """Do what time has made due."""
        unwritten, self._unwritten = self._unwritten, []
        for command in unwritten:
            await self.do(command)
        parted = self.clock.parted_seconds()
        if parted is not None:
            if not self.bank.clock_doubted:
                log.warning("this machine's clock has jumped by %.0f s: nothing expires until it is confirmed", parted)
            await self.do(c.DoubtClock(parted))
        for opening, by in list(self._proof_by.items()):
            if self.clock.monotonic() >= by:
                del self._proof_by[opening]
                await self.do(c.Elapse(opening))
        for door, alarm, left in self._standing_open():
            if left <= 0:
                await self.do(c.Linger(door, ALARM_SECONDS if alarm else WARN_SECONDS, alarm))
        now = self._now()
        await self.do(c.Tick(tuple(self.keyring.todays(self.bank, x, now) for x in codes_due(self.bank, now))))

    def wake_in(self) -> float | None:
        """Seconds until `wake` has something to do; None: nothing is waiting."""
        now = self.clock.monotonic()
        if self._retry_at is not None and self._retry_at > now:
            return self._retry_at - now
        times = [by - now for by in self._proof_by.values()]
        times += [left for _, _, left in self._standing_open()]
        opening = next_opening(self.bank)
        if opening is not None:
            times.append(self._governor.not_before(opening.compartment) - now)
        deadline = next_deadline(self.bank)
        if deadline is not None:
            times.append((deadline - self._now()).total_seconds())
        if self._unwritten:
            times.append(0.0)
        return max(0.0, min(times)) if times else None

    def _standing_open(self) -> list[tuple[CompartmentId, bool, float]]:
        """Open doors, whether a warning or an alarm comes next, and in how many seconds. None while a technician works.

        How long they stood open before this run, nobody knows.
        """
        if maintained(self.bank, self._now()):
            self._open_since, self._doors = {}, None
            return []
        now, table = self.clock.monotonic(), self.bank.compartments
        if table is not self._doors:
            doors = (x for x in table.values() if x.door is DoorState.OPEN and not x.left_open)
            self._open_since = {x.id: self._open_since.get(x.id, now) for x in doors}
            self._doors = table
        warned = {door: table[door].left_open is False for door in self._open_since}
        return [
            (door, warned[door], since + (ALARM_SECONDS if warned[door] else WARN_SECONDS) - now)
            for door, since in self._open_since.items()
        ]


class _Batch:
    """What one step adds to the log, before it is written."""

    def __init__(self, bank: Bank, frontier: Frontier, now: datetime) -> None:
        self.bank = bank
        self.frontier = frontier
        self.bodies: list[Body] = []
        self.raws: list[bytes] = []
        self.nodes: list[bytes] = []
        self._now = now

    def decide(self, command: Command) -> Decision:
        decision = decide(self.bank, command, self._now)
        for body in decision.entries:
            first = isinstance(body, EpochBegan)
            epoch, seq = (self.bank.epoch + 1, 0) if first else (self.bank.epoch, self.bank.seq)
            entry = Entry(self.bank.id, epoch, seq, self._now, body)
            raw = encode_entry(entry)
            self.frontier, completed = self.frontier.append(raw)
            self.bank = apply(self.bank, entry)
            self.bodies.append(body)
            self.raws.append(raw)
            self.nodes.append(completed)
        return decision
