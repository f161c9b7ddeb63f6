"""Drives the boards of one serial bus, whatever they speak: unlocks, polls, and says which doors changed.

One task owns the line and has at most one request on it, for the bus is half duplex. An unlock is sent once, and what a
board answers to it proves nothing: whether the door opened is for the polls to show and for the caller to judge. What a
board says unasked is a reason to look, no more.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from latchwork.domain.words import DoorState
from latchwork.edge.drivers.frames import Decoder
from latchwork.edge.drivers.line import Hearing, Line, gateway_in, open_line
from latchwork.edge.drivers.protocol import BoardLost, BusSettings, DoorsSeen, Fault, Reading

MISSES_MAX = 3
"""A read and its two retries. After that the board is lost."""
NOBODY_MISSES_MAX = 6
"""So many reads in a row that nobody on the bus answers are one cause, not one for each board. A board that is read
lock by lock has so many before it is lost, for it is asked so much more often."""
IDLE_POLL_S = 0.8
"""A door that is forced is to be told within a second, and a contact may have to be read twice."""
KNOCK_S = 2.0
"""One board that is lost is asked again so often: silence costs the others their time."""
WATCH_POLL_S = 0.1
WATCH_S = 3.0
"""How long a board is polled fast after a pulse or a change, to see the door go."""
POLL_GAP_S = 0.05
BUSY_S = 0.1
"""Nothing is sent for so long after an unlock, while the board throws a coil."""
CHARACTERS_OF_SILENCE = 3.5
"""A board lets go of the bus only some time after its last byte."""
BITS_PER_CHARACTER = 10
SECOND_ANSWER_S = 0.1
"""How long to listen on for a second board of the same address, where there is a reason to."""
DOORS_AT_ONCE = 4
"""So many shut doors, and no other, do not open between two reads: their common wire does."""
RECONNECT_FIRST_S = 0.25
RECONNECT_MAX_S = 10.0

_SHUT = (DoorState.CLOSED, DoorState.OPEN)
_OPEN = (DoorState.OPEN, DoorState.CLOSED)
"""What a contact says of a door that is so, and what one says that is turned."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Doors:
    """A board's answer to a read."""

    board: int
    states: Mapping[int, DoorState]
    """By channel."""
    items: Mapping[int, bool] = field(default_factory=dict)
    """Whether something lies inside, where eyes are fitted."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A board's answer to an unlock."""

    board: int
    channel: int | None = None
    """None where the answer does not name it."""


@dataclass(frozen=True, slots=True)
class Hint:
    """A board says unasked that a door moved."""

    board: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A board answers, and says no."""

    board: int
    why: str
    """Goes on after "board 1 refused"."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A board passes a check of how it is set."""

    board: int


@dataclass(frozen=True, slots=True)
class Unsound:
    """A board fails it, and is not used."""

    board: int
    why: str
    """Goes on after "board 1 is not used"."""


@dataclass(frozen=True, slots=True)
class Stale:
    """An answer to another request than the last."""

    board: int


Said = Doors | Acknowledged | Hint | Refused | Sound | Unsound | Stale

F_contra = TypeVar("F_contra", contravariant=True)


class Dialect(Protocol[F_contra]):
    """What one family of boards speaks: all that its driver has to bring along."""

    addresses: range
    """That a board can have."""
    reply_s: float
    """How long a board may take to answer a read."""
    ack_s: float
    """How long it may take to answer an unlock; 0 where it never does."""
    checked: bool
    """Whether frames carry a check. Without one, what a read says counts when a second read says the same."""

    def channels(self, board: int) -> Sequence[int]: ...

    def reads(self, board: int) -> Mapping[bytes, Collection[int]]:
        """The requests that together ask for all of a board, each with the channels that its answer covers."""

    def unlock(self, channel: int) -> bytes: ...

    def decoder(self) -> Decoder[Any]:
        """Finds what boards say."""

    def listener(self) -> Decoder[Any]:
        """Finds also what they are asked, for whoever only listens."""

    def said(self, frame: F_contra) -> Said | None:
        """What a frame means to us; None: nothing."""


@dataclass(slots=True, eq=False)
class _Board:
    number: int
    channels: Sequence[int]
    reads: list["_Read"] = field(default_factory=list)
    unchecked: list[bytes] = field(default_factory=list)
    """What it is to be asked before it is used."""
    misses: int = 0
    """Reads in a row that it did not answer, whichever they were."""
    lost: bool = False
    why: str = ""
    """What it was last lost for."""
    now: dict[int, DoorState] = field(default_factory=dict)
    """What its reads have shown since it was last lost."""
    told: dict[int, DoorState] = field(default_factory=dict)
    items: dict[int, bool] = field(default_factory=dict)
    """What was told of things inside since it was last lost."""
    items_before: Mapping[int, bool] = field(default_factory=dict)
    """What the last answer said of them."""
    told_before: Mapping[int, DoorState] = field(default_factory=dict)
    """What was told until it was last lost."""
    doubted: Mapping[int, DoorState] = field(default_factory=dict)
    """What channels said that moved all at once: until one of them says it again, none is believed."""

    @property
    def misses_max(self) -> int:
        return MISSES_MAX if len(self.reads) == 1 else NOBODY_MISSES_MAX


@dataclass(slots=True, eq=False)
class _Read:
    """One request that is made again and again."""

    board: _Board
    request: bytes
    channels: Collection[int]
    due: float = 0.0
    """When to make it next, on the loop's clock."""
    watched_until: float = 0.0
    misses: int = 0
    before: Mapping[int, DoorState] = field(default_factory=dict)
    """What the last answer said."""
    asked: bytes = b""
    """What was sent last in its place."""
    hearing: Hearing[Any] | None = None


@dataclass(slots=True)
class _Pulse:
    channel: int
    sent: asyncio.Future[None]


@dataclass(slots=True)
class _Ask:
    """One call of `read`, until everything was asked."""

    waiting: set[_Read]
    seen: dict[int, DoorState]
    answered: asyncio.Future[Mapping[int, DoorState]]


class SerialBus:
    """The `Driver` of one bus whose boards speak `dialect`.

    The port is a serial device (its `/dev/serial/by-id/` name survives replugging) or `socket://host:port` of a
    gateway; the boards are the addresses set on them. Of the options it knows `baud` and `local_echo`. Raises
    ValueError where these cannot be.

    `checks`: what a board is asked whenever it is met: it says that it is `Sound`, or `Unsound`.
    `stamped`: a request as it is sent, where no two may be the same.
    """

    def __init__(
        self,
        dialect: Dialect[Any],
        settings: BusSettings,
        busy_s: float = BUSY_S,
        checks: Callable[[int], Sequence[bytes]] = lambda board: (),
        stamped: Callable[[bytes], bytes] = lambda request: request,
    ) -> None:
        gateway_in(settings.port)
        numbers, allowed = settings.boards, dialect.addresses
        if not numbers or len(set(numbers)) != len(numbers) or not set(numbers) <= set(allowed):
            raise ValueError(f"boards {list(numbers)} are not different addresses from {allowed[0]} to {allowed[-1]}")
        self.channels = tuple(channel for number in numbers for channel in dialect.channels(number))
        self._dialect = dialect
        self._port = settings.port
        self._baud: int = settings.options["baud"]
        if self._baud <= 0:
            raise ValueError(f"baud = {self._baud} is no speed")
        self._local_echo: bool = settings.options.get("local_echo", False)
        self._turned = settings.turned
        self._numbers = numbers
        self._busy_s = busy_s
        self._checks = checks
        self._stamped = stamped
        self._boards: list[_Board] = []
        self._reads: list[_Read] = []
        self._pulses: deque[_Pulse] = deque()
        self._asks: list[_Ask] = []
        self._line: Line[Any] | None = None
        self._tell: Callable[[Reading], None] = lambda reading: None
        self._wake = asyncio.Event()
        self._next_pulse_at = 0.0
        self._next_poll_at = 0.0
        self._closing = asyncio.Event()
        self._running = False
        self._stopped = asyncio.Event()
        self._stopped.set()

    @property
    def noisy(self) -> frozenset[int]:
        """Boards that were asked and brought bytes which are no answer, nor an echo."""
        reads = (read for read in self._reads if read.misses and read.hearing is not None)
        return frozenset(x.board.number for x in reads if x.hearing and bytes(x.hearing.heard) not in (b"", x.asked))

    @property
    def dialect(self) -> Dialect[Any]:
        """What its boards speak, for whoever only listens to them."""
        return self._dialect

    async def run(self, tell: Callable[[Reading], None]) -> None:
        """Own the line until cancelled or closed: connect, poll, tell changes, and reconnect for ever."""
        assert not self._running, "a line has one owner"
        self._running = True
        self._stopped.clear()
        self._tell = tell
        # Whoever runs a driver anew knows nothing yet.
        self._boards = [_Board(number, self._dialect.channels(number)) for number in self._numbers]
        for board in self._boards:
            reads = self._dialect.reads(board.number)
            board.reads = [_Read(board, request, channels) for request, channels in reads.items()]
            board.unchecked = [*self._checks(board.number)]
        self._reads = [read for board in self._boards for read in board.reads]
        try:
            await self._keep_connected()
        finally:
            self._let_down("the driver is stopped")
            self._running = False
            self._stopped.set()

    async def pulse(self, channel: int) -> None:
        """Send one unlock, before any queued poll; returns when its last byte is out.

        Raises Fault if there is no line or it broke meanwhile (then the lock may have been pulsed all the same), and
        ValueError for a channel that is on none of the boards. Cancelling the call before the frame is sent takes it
        back.
        """
        if channel not in self.channels:
            raise ValueError(f"channel {channel} is on none of the boards {list(self._numbers)}")
        if self._line is None:
            raise Fault(f"no line at {self._port}")
        pulse = _Pulse(channel, asyncio.get_running_loop().create_future())
        self._pulses.append(pulse)
        self._wake.set()
        await pulse.sent

    async def read(self) -> Mapping[int, DoorState]:
        """Ask every board now. A board that does not answer, or a line that is not there, gives `unknown`."""
        seen = dict.fromkeys(self.channels, DoorState.UNKNOWN)
        if self._line is None:
            return seen
        ask = _Ask(set(self._reads), seen, asyncio.get_running_loop().create_future())
        self._asks.append(ask)
        self._wake.set()
        return await ask.answered

    async def close(self) -> None:
        """Let go of the line; `run` returns."""
        self._closing.set()
        if self._line is not None:
            self._line.break_off("the driver is closed")
            self._wake.set()
        await self._stopped.wait()

    # The owner of the line

    async def _keep_connected(self) -> None:
        delay_s = RECONNECT_FIRST_S
        while not self._closing.is_set():
            line = Line(self._dialect.decoder(), self._wake.set, self._overhear, local_echo=self._local_echo)
            try:
                async with open_line(line, self._port, self._baud):
                    self._line = line
                    log.info("line %s is open", self._port)
                    await self._serve(line)
            except Fault as fault:
                if self._closing.is_set():
                    return
                if self._line is not None and any(not board.lost for board in self._boards):
                    # It worked until now, so the next attempt is as hopeful as the first.
                    delay_s = RECONNECT_FIRST_S
                self._let_down(str(fault))
                self._lose(self._boards, str(fault))
            try:
                async with asyncio.timeout(delay_s):
                    await self._closing.wait()
            except TimeoutError:
                delay_s = min(delay_s * 2, RECONNECT_MAX_S)

    async def _serve(self, line: Line[Any]) -> None:
        now = _now()
        self._next_pulse_at = self._next_poll_at = now
        for read in self._reads:
            read.due, read.misses, read.board.misses, read.hearing = now, 0, 0, None
        while True:
            line.check()
            self._wake.clear()
            now = _now()
            read = self._next_read(now)
            poll_at = max(self._next_poll_at, now if self._is_asked(read) else read.due)
            if pulse := self._next_pulse():
                if now < self._next_pulse_at:
                    await self._sleep(self._next_pulse_at - now)
                else:
                    await self._send(line, pulse)
            elif now < poll_at:
                await self._sleep(poll_at - now)
            else:
                await self._poll(line, read)

    async def _send(self, line: Line[Any], pulse: _Pulse) -> None:
        def acknowledges(frame: Any) -> bool:
            match self._dialect.said(frame):
                case Acknowledged(number, channel):
                    return number == board.number and channel in (None, pulse.channel)
                case Refused(number):
                    return number == board.number
            return False

        board = next(read.board for read in self._reads if pulse.channel in read.channels)
        if board.unchecked:
            self._pulses.popleft()
            pulse.sent.set_exception(Fault(f"how board {board.number} is set was not seen yet, or is wrong"))
            return
        # The pulse stays first in the queue while it is sent. If that fails, the line goes down and takes the queue
        # with it, so nothing is ever sent twice and nobody is left waiting.
        hearing = await line.ask(self._stamped(self._dialect.unlock(pulse.channel)), acknowledges)
        await line.drain()
        self._pulses.popleft()
        if not pulse.sent.done():
            pulse.sent.set_result(None)
        self._watch(pulse.channel)
        busy_until = _now() + self._busy_s
        if self._dialect.ack_s:
            answer = await hearing.answer(self._dialect.ack_s)
            said = None if answer is None else self._dialect.said(answer)
            if isinstance(said, Refused):
                log.warning("board %d refuses to unlock channel %d%s", board.number, pulse.channel, said.why)
            elif said is None:
                log.info("board %d did not acknowledge an unlock", board.number)
        self._next_pulse_at = self._next_poll_at = max(busy_until, _now() + POLL_GAP_S)

    async def _poll(self, line: Line[Any], read: _Read) -> None:
        # A call of `read` that begins while this poll is under way wants a later one.
        asks = [ask for ask in self._asks if read in ask.waiting]
        board, now = read.board, _now()
        # Before asking, since a hint that comes with the answer brings it forward.
        read.due = now + (WATCH_POLL_S if now < read.watched_until else IDLE_POLL_S)
        if board.lost:
            read.due = now + KNOCK_S * sum(each.lost for each in self._boards)
        # A board that was lost, or was heard twice last time, gets time to be heard twice.
        listen_on = board.lost or (read.hearing is not None and read.hearing.contradicted)
        checking = bool(board.unchecked)
        read.asked = self._stamped(board.unchecked[0] if checking else read.request)
        wanted = self._settles if checking else self._answers
        hearing = read.hearing = await line.ask(read.asked, lambda frame: wanted(frame, read))
        frame = await hearing.answer(self._dialect.reply_s)
        if frame is not None and listen_on:
            await asyncio.sleep(SECOND_ANSWER_S)
        now = _now()
        self._next_pulse_at = now + CHARACTERS_OF_SILENCE * BITS_PER_CHARACTER / self._baud
        self._next_poll_at = now + POLL_GAP_S
        doors = self._dialect.said(frame) if frame is not None else None
        if isinstance(doors, Sound | Unsound) and not (listen_on and hearing.contradicted):
            self._check_off(read, doors, asks)
            return
        if not isinstance(doors, Doors) or (listen_on and hearing.contradicted):
            self._miss(read)
            if board.lost:  # then it is not asked for its other locks as well
                self._answer(asks, board.reads, dict.fromkeys(board.channels, DoorState.UNKNOWN))
            elif not board.told or read.misses >= MISSES_MAX:  # else it is asked again
                self._answer(asks, (read,), {})
            return
        states = {channel: doors.states[channel] for channel in read.channels}
        before, read.before = read.before, states
        read.misses = board.misses = 0
        if not self._dialect.checked:
            states = {channel: state for channel, state in states.items() if before.get(channel) is state}
        self._see(read, states)
        self._see_items(board, doors.items)
        if len(states) < len(read.channels):
            read.due = -math.inf  # the second read is the next
            return
        self._answer(asks, (read,), {} if board.doubted else states)

    def _answers(self, frame: Any, read: _Read) -> bool:
        said = self._dialect.said(frame)
        return isinstance(said, Doors) and said.board == read.board.number and set(read.channels) <= set(said.states)

    def _settles(self, frame: Any, read: _Read) -> bool:
        said = self._dialect.said(frame)
        return isinstance(said, Sound | Unsound) and said.board == read.board.number

    def _check_off(self, read: _Read, said: Sound | Unsound, asks: Sequence[_Ask]) -> None:
        board = read.board
        read.misses = board.misses = 0
        if isinstance(said, Sound):
            board.unchecked.pop(0)
            read.due = -math.inf
            return
        self._lose([board], f"board {board.number} is not used{said.why}")
        self._answer(asks, board.reads, dict.fromkeys(board.channels, DoorState.UNKNOWN))

    def _overhear(self, frame: Any) -> None:
        """A frame that is no answer to what was asked last."""
        said = self._dialect.said(frame)
        if isinstance(said, Hint):
            for board in self._boards:
                if board.number == said.board:
                    self._look_at(board)
            self._wake.set()

    # What is told

    def _see(self, read: _Read, states: Mapping[int, DoorState]) -> None:
        board = read.board
        if board.doubted:
            if not any(states.get(channel) is state for channel, state in board.doubted.items()):
                self._look_on(board)
                return
            board.doubted = {}
        board.now.update(states)
        if len(board.now) < len(board.channels):
            for other in board.reads:
                if not board.now.keys() >= set(other.channels):
                    other.due = min(other.due, _now())
            return
        shut = {x: said for x, said in (board.told or board.told_before).items() if said is _SHUT[x in self._turned]}
        opened = [channel for channel in shut if board.now[channel] is _OPEN[channel in self._turned]]
        if len(shut) >= DOORS_AT_ONCE and len(opened) == len(shut):
            self._lose(
                [board], f"board {board.number} says that every shut door opened at once: look at their common wire"
            )
            board.doubted, board.unchecked = shut, []
            self._look_on(board)
            return
        if opened and len(shut) >= DOORS_AT_ONCE and self._look_at_another(read, shut, states):
            return
        changed = {channel: state for channel, state in board.now.items() if board.told.get(channel) is not state}
        if board.told:
            for channel in changed:
                self._watch(channel)
        board.told.update(changed)
        if board.lost:
            board.lost, board.told_before = False, {}
            # What brought it back may have brought back others.
            for each in self._boards:
                if each.lost:
                    each.reads[0].due = _now()
        if changed:
            self._tell(DoorsSeen(changed))

    def _look_at_another(self, read: _Read, shut: Mapping[int, DoorState], states: Mapping[int, DoorState]) -> bool:
        """Lock by lock there is no "at once": has a door opened, or has the wire of all? Another that was shut tells.

        Whether it is asked. Not where the board is read whole, or this read has shown one that is shut still.
        """
        board = read.board
        if board.lost or any(states.get(channel) is said for channel, said in shut.items()):
            return False
        still = [x for x in board.reads if any(board.now[y] is shut.get(y) for y in x.channels)]
        if still:
            min(still, key=lambda each: each.due).due = -math.inf
        return bool(still)

    def _miss(self, read: _Read) -> None:
        """A read that nobody answered. Is it the lock, the board, or the bus? One telling for one cause."""
        board = read.board
        read.misses += 1
        board.misses += 1
        if board.lost:
            board.unchecked = [*self._checks(board.number)]
            if read is not board.reads[0]:
                read.due = math.inf
            return
        if read.misses < MISSES_MAX:
            read.due = self._next_poll_at
        standing = [each for each in self._boards if not each.lost]
        suspects = [each for each in standing if each.misses]
        nobody = suspects == standing and sum(each.misses for each in suspects) >= NOBODY_MISSES_MAX
        if nobody or all(each.misses >= each.misses_max for each in suspects):
            self._lose(suspects, self._troubles(suspects))
        elif read.misses >= MISSES_MAX and board.misses < read.misses:
            # It has answered for other locks meanwhile.
            if read.misses == MISSES_MAX:
                log.warning("board %d does not speak of channels %s", board.number, list(read.channels))
            self._see(read, dict.fromkeys(read.channels, DoorState.UNKNOWN))
        elif board.misses == 1:
            # Who else is silent? Their turn is next, and that of this board's other locks.
            for each in standing:
                others = [other for other in each.reads if not other.misses]
                if others and (each is board or not each.misses):
                    min(others, key=lambda other: other.due).due = -math.inf

    def _troubles(self, boards: Sequence[_Board]) -> str:
        """Of boards that are lost together."""
        by_trouble: dict[str, list[_Board]] = {}
        for board in boards:
            by_trouble.setdefault(self._trouble(board), []).append(board)
        said = []
        for trouble, its in by_trouble.items():
            names = ", ".join(str(board.number) for board in its)
            silent = f"did not answer {max(board.misses for board in its)} times"
            said.append(f"board{'s' if len(its) > 1 else ''} {names} {trouble or silent}")
        return "; ".join(said)

    def _trouble(self, board: _Board) -> str:
        """What its last missing answer was instead; empty: nothing at all."""
        read = max(board.reads, key=lambda each: each.misses)
        assert read.hearing is not None
        if read.hearing.contradicted:
            return "answered twice, and not the same: there are two of that address"
        if not read.hearing.heard:
            return ""
        if bytes(read.hearing.heard) == read.asked:
            return "did not answer, and the adapter echoes what is sent"
        said = self._dialect.said(read.hearing.other) if read.hearing.other is not None else None
        if isinstance(said, Refused) and said.board == read.board.number:
            return f"refused{said.why}"
        if isinstance(said, Stale) and said.board == read.board.number:
            return "answered with another transaction number than it was asked with"
        if isinstance(said, Doors) and said.board == read.board.number:
            return "has fewer locks than the configuration says"
        if said is not None and said.board != read.board.number:
            return f"did not answer, but board {said.board} did: look at the addresses"
        if self._dialect.checked:
            for frame in self._dialect.listener().feed(bytes(read.hearing.heard)):
                doors = self._dialect.said(frame)
                if isinstance(doors, Doors) and doors.board == board.number and len(doors.states) > 1:
                    return "answered for another number of locks than the configuration says"
        return "answered with garbage: look at baud rate, A and B, and for two boards of one address"

    def _see_items(self, board: _Board, items: Mapping[int, bool]) -> None:
        """An eye may wink: what two answers in a row say is told."""
        before, board.items_before = board.items_before, items
        changed = {x: item for x, item in items.items() if before.get(x) is item and board.items.get(x) is not item}
        if changed and board.told:
            board.items.update(changed)
            self._tell(DoorsSeen({}, changed))

    def _lose(self, boards: Sequence[_Board], why: str) -> None:
        """Of boards that were lost already, another reason is only logged."""
        lost = [board for board in boards if not board.lost]
        if any(not board.lost or board.why != why for board in boards):
            log.warning("%s", why)
        for board in boards:
            board.why = why
            board.unchecked = [*self._checks(board.number)]
        for board in lost:
            board.lost = True
            board.told_before = dict(board.told)
            board.now.clear()
            board.told.clear()
            board.items.clear()
            board.items_before = {}
            for read in board.reads:
                read.before = {}
                if read is not board.reads[0]:  # one knock now and then is enough
                    read.due = math.inf
        if lost:
            channels = tuple(channel for board in lost for channel in board.channels)
            self._tell(BoardLost(lost[0].number if len(lost) == 1 else None, channels, why))

    def _answer(self, asks: Sequence[_Ask], reads: Collection[_Read], states: Mapping[int, DoorState]) -> None:
        for ask in asks:
            ask.seen.update(states)
            ask.waiting.difference_update(reads)
            if not ask.waiting:
                self._asks.remove(ask)
                if not ask.answered.done():
                    ask.answered.set_result(ask.seen)

    def _let_down(self, why: str) -> None:
        """Nothing waits for a line that is not there: least of all an unlock."""
        self._line = None
        while self._pulses:
            pulse = self._pulses.popleft()
            if not pulse.sent.done():
                pulse.sent.set_exception(Fault(why))
        while self._asks:
            ask = self._asks.pop()
            if not ask.answered.done():
                ask.answered.set_result({**ask.seen})

    # What is next

    def _next_pulse(self) -> _Pulse | None:
        while self._pulses and self._pulses[0].sent.done():
            self._pulses.popleft()
        return self._pulses[0] if self._pulses else None

    def _next_read(self, now: float) -> _Read:
        """Boards that are lost give way to the others for a while, for their silence costs time."""
        return min(
            self._reads,
            key=lambda read: (
                not self._is_asked(read),
                max(read.due, now),
                read.board.lost and now < read.due + KNOCK_S,
                read.due,
            ),
        )

    def _is_asked(self, read: _Read) -> bool:
        return any(read in ask.waiting for ask in self._asks)

    def _look_at(self, board: _Board) -> None:
        for read in board.reads:
            if not read.misses:
                read.due = min(read.due, _now())

    def _look_on(self, board: _Board) -> None:
        """A board that is doubted answers, so it is asked for all its locks, and not with one knock."""
        for read in board.reads:
            if read.due == math.inf:
                read.due = _now()

    def _watch(self, channel: int) -> None:
        for read in self._reads:
            if channel in read.channels:
                read.watched_until = _now() + WATCH_S
                read.due = min(read.due, _now() + WATCH_POLL_S)

    async def _sleep(self, duration_s: float) -> None:
        """Until `duration_s` have passed, or somebody wants something, or the line breaks."""
        try:
            async with asyncio.timeout(duration_s):
                await self._wake.wait()
        except TimeoutError:
            pass


def _now() -> float:
    return asyncio.get_running_loop().time()
