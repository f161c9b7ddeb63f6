"""Drives the Kerong CU16 boards of one bus: unlocks, polls, and says which doors changed.

One task owns the line and has at most one request on it, for the bus is half duplex. An unlock has no reply and is
sent once: whether the door opened is for the polls to show and for the caller to judge.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from latchwork.domain.words import DoorState
from latchwork.edge.drivers.kerong_cu16 import codec
from latchwork.edge.drivers.kerong_cu16.line import Line, gateway_in, open_line
from latchwork.edge.drivers.protocol import BoardLost, DoorsSeen, Fault, Reading

REPLY_S = 0.2
"""A reply takes 8 ms on the wire; the rest is for USB adapters and gateways."""
MISSES_MAX = 3
"""A read and its two retries. After that the board is lost."""
IDLE_POLL_S = 1.0
WATCH_POLL_S = 0.1
WATCH_S = 3.0
"""How long a board is polled fast after a pulse, to see the door go."""
TURNAROUND_S = 0.002
"""3.5 characters: a board lets go of the bus only some time after its last byte."""
POLL_GAP_S = 0.05
AFTER_UNLOCK_S = 0.1
"""Nothing is sent while the board is busy throwing a coil."""
COIL_S = 0.6
"""So long after an unlock the coil may still have power: a door pushed shut before springs open again."""
RECONNECT_FIRST_S = 0.25
RECONNECT_MAX_S = 10.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Board:
    number: int
    due: float = 0.0
    """When to poll it next, on the loop's clock."""
    watched_until: float = 0.0
    misses: int = 0
    lost: bool = False
    told: dict[int, DoorState] = field(default_factory=dict)
    coil_until: dict[int, float] = field(default_factory=dict)

    @property
    def channels(self) -> range:
        return range(self.number * codec.LOCKS_PER_BOARD, (self.number + 1) * codec.LOCKS_PER_BOARD)


@dataclass(slots=True)
class _Pulse:
    channel: int
    sent: asyncio.Future[None]


@dataclass(slots=True)
class _Ask:
    """One call of `read`, until every board has answered or failed to."""

    waiting: set[int]
    seen: dict[int, DoorState]
    answered: asyncio.Future[Mapping[int, DoorState]]


class KerongCu16:
    """The `Driver` of one bus.

    `port` is a serial device (its `/dev/serial/by-id/` name survives replugging) or `socket://host:port` of a KR-BU
    gateway. `boards` are the addresses set on the boards, 0 to 9. Raises ValueError where these cannot be.
    """

    def __init__(self, port: str, boards: Sequence[int] = (0,)) -> None:
        gateway_in(port)
        if not boards or len(set(boards)) != len(boards) or not set(boards) <= set(range(codec.BOARDS_MAX)):
            raise ValueError(f"boards {list(boards)} are not different addresses from 0 to {codec.BOARDS_MAX - 1}")
        self._port = port
        self._boards = {number: _Board(number) for number in boards}
        self._pulses: deque[_Pulse] = deque()
        self._asks: list[_Ask] = []
        self._line: Line | None = None
        self._wake = asyncio.Event()
        self._next_pulse_at = 0.0
        self._next_poll_at = 0.0
        self._closing = asyncio.Event()
        self._running = False
        self._stopped = asyncio.Event()
        self._stopped.set()

    @property
    def channels(self) -> tuple[int, ...]:
        return tuple(channel for board in self._boards.values() for channel in board.channels)

    async def run(self, tell: Callable[[Reading], None]) -> None:
        """Own the line until cancelled or closed: connect, poll, tell changes, and reconnect for ever."""
        assert not self._running, "a line has one owner"
        self._running = True
        self._stopped.clear()
        # Whoever runs a driver anew knows nothing yet.
        self._boards = {number: _Board(number) for number in self._boards}
        try:
            await self._keep_connected(tell)
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
        if channel < 0 or channel >> 4 not in self._boards:
            raise ValueError(f"channel {channel} is on none of the boards {list(self._boards)}")
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
        ask = _Ask(set(self._boards), seen, asyncio.get_running_loop().create_future())
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

    async def _keep_connected(self, tell: Callable[[Reading], None]) -> None:
        delay_s = RECONNECT_FIRST_S
        while not self._closing.is_set():
            try:
                async with open_line(self._port, self._wake.set) as line:
                    self._line = line
                    log.info("line %s is open", self._port)
                    await self._serve(line, tell)
            except Fault as fault:
                if self._closing.is_set():
                    return
                if self._line is not None and any(not board.lost for board in self._boards.values()):
                    # It worked until now, so the next attempt is as hopeful as the first.
                    delay_s = RECONNECT_FIRST_S
                self._let_down(str(fault))
                for board in self._boards.values():
                    self._lose(board, str(fault), tell)
            try:
                async with asyncio.timeout(delay_s):
                    await self._closing.wait()
            except TimeoutError:
                delay_s = min(delay_s * 2, RECONNECT_MAX_S)

    async def _serve(self, line: Line, tell: Callable[[Reading], None]) -> None:
        now = _now()
        self._next_pulse_at = self._next_poll_at = now
        for board in self._boards.values():
            board.due, board.misses = now, 0
        while True:
            line.check()
            self._wake.clear()
            now = _now()
            board = self._next_board()
            poll_at = max(self._next_poll_at, now if self._is_asked(board) else board.due)
            if pulse := self._next_pulse():
                if now < self._next_pulse_at:
                    await self._sleep(self._next_pulse_at - now)
                else:
                    await self._send(line, pulse)
            elif now < poll_at:
                await self._sleep(poll_at - now)
            else:
                await self._poll(line, board, tell)

    async def _send(self, line: Line, pulse: _Pulse) -> None:
        # The pulse stays first in the queue while it is sent. If that fails, the line goes down and takes the queue
        # with it, so nothing is ever sent twice and nobody is left waiting.
        await line.send(codec.unlock(pulse.channel))
        self._pulses.popleft()
        if not pulse.sent.done():
            pulse.sent.set_result(None)
        now = _now()
        board = self._boards[pulse.channel >> 4]
        board.watched_until = now + WATCH_S
        board.coil_until[pulse.channel] = now + COIL_S
        self._next_pulse_at = self._next_poll_at = board.due = now + AFTER_UNLOCK_S

    async def _poll(self, line: Line, board: _Board, tell: Callable[[Reading], None]) -> None:
        # A call of `read` that begins while this poll is under way wants a later one.
        asks = [ask for ask in self._asks if board.number in ask.waiting]
        began = _now()
        frame = await line.ask(codec.read_board(board.number), lambda frame: _reports(frame, board), REPLY_S)
        now = _now()
        self._next_pulse_at = now + TURNAROUND_S
        self._next_poll_at = now + POLL_GAP_S
        board.due = began + (WATCH_POLL_S if now < board.watched_until else IDLE_POLL_S)
        doors = codec.doors_in(frame) if frame is not None else None
        if doors is not None:
            states = _states(doors, board)
            self._see(board, states, tell)
            self._answer(asks, board, states)
            return
        board.misses += 1
        if board.misses < MISSES_MAX and not board.lost:
            board.due = self._next_poll_at
            return
        self._lose(board, f"board {board.number} did not answer {board.misses} times", tell)
        self._answer(asks, board, {})

    # What is told

    def _see(self, board: _Board, states: Mapping[int, DoorState], tell: Callable[[Reading], None]) -> None:
        board.misses, board.lost = 0, False
        # A leaf that only touches the latch while the coil holds it back is not shut; told so, its next move would look
        # like a break-in.
        changed = {
            channel: state
            for channel, state in states.items()
            if board.told.get(channel) is not state
            and not (board.told.get(channel) is DoorState.OPEN and _now() < board.coil_until.get(channel, 0.0))
        }
        board.told.update(changed)
        if changed:
            tell(DoorsSeen(changed))

    def _lose(self, board: _Board, why: str, tell: Callable[[Reading], None]) -> None:
        if board.lost:
            return
        board.lost = True
        board.told.clear()
        log.warning("board %d is lost: %s", board.number, why)
        tell(BoardLost(board.number, tuple(board.channels), why))

    def _answer(self, asks: Sequence[_Ask], board: _Board, states: Mapping[int, DoorState]) -> None:
        for ask in asks:
            ask.seen.update(states)
            ask.waiting.discard(board.number)
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

    def _next_board(self) -> _Board:
        return min(self._boards.values(), key=lambda board: (not self._is_asked(board), board.due))

    def _is_asked(self, board: _Board) -> bool:
        return any(board.number in ask.waiting for ask in self._asks)

    async def _sleep(self, duration_s: float) -> None:
        """Until `duration_s` have passed, or somebody wants something, or the line breaks."""
        try:
            async with asyncio.timeout(duration_s):
                await self._wake.wait()
        except TimeoutError:
            pass


def _now() -> float:
    return asyncio.get_running_loop().time()


def _reports(frame: codec.Frame, board: _Board) -> bool:
    # Only the answer to a single read: a report to every board was asked for by nobody on this bus.
    return frame.command == codec.Command.DOORS and frame.address == board.number << 4


def _states(doors: codec.Doors, board: _Board) -> dict[int, DoorState]:
    return {
        channel: DoorState.CLOSED if closed else DoorState.OPEN
        for channel, closed in zip(board.channels, doors.closed, strict=True)
    }
