"""Drives one networked relay device: checks that it ends its own pulses, polls it, and says which doors changed.

It knows no protocol. A pulse is sent once and waits for no poll; whether the door opened is for the polls to show.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from latchwork.domain.words import DoorState
from latchwork.edge.drivers.protocol import BoardLost, DoorsSeen, Fault, Reading

PULSE_UNIT_MS = 100
PULSE_MIN_MS = 100
PULSE_MAX_MS = 1_500
"""Longer, and a locker's solenoid may burn."""
REPLY_S = 2.0
"""How long a device may take for one answer."""
CHECK_S = 10.0
"""How long it may take to see whether a device is set up well."""
MISSES_MAX = 3
IDLE_POLL_S = 0.6
"""A door that is forced is to be told within a second."""
WATCH_POLL_S = 0.2
WATCH_S = 3.0
"""How long the device is polled fast after a pulse, to see the door go."""
SECOND_LOOK_S = 0.1
"""What a device says of its doors it says one after the other: before a change is believed, all are asked once more."""
COIL_MARGIN_S = 1.0
"""So long after a pulse should have ended, its relay may still be reported on: networks are slow."""
RECONNECT_FIRST_S = 0.25
RECONNECT_MAX_S = 10.0

log = logging.getLogger(__name__)
_T = TypeVar("_T")


class NoAnswer(Fault):
    """The device said nothing, or not enough, and may have heard us all the same."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which relays and inputs of a device are ours, counted from 0: input n is the door contact of relay n."""

    relays: range
    inputs: range
    pulse_ms: int

    @classmethod
    def of(cls, options: Mapping[str, Any], relays_max: int) -> "Layout":
        """Raises ValueError."""
        relays, inputs, pulse_ms = options["relays"], options["inputs"], options["pulse_ms"]
        if not 1 <= relays <= relays_max:
            raise ValueError(f"relays = {relays} is not from 1 to {relays_max}")
        if not 0 <= inputs <= relays:
            raise ValueError(f"inputs = {inputs} is not from 0 to {relays}, the number of relays")
        if not PULSE_MIN_MS <= pulse_ms <= PULSE_MAX_MS or pulse_ms % PULSE_UNIT_MS:
            raise ValueError(
                f"pulse_ms = {pulse_ms} is not a multiple of {PULSE_UNIT_MS} from {PULSE_MIN_MS} to {PULSE_MAX_MS}"
            )
        return cls(range(relays), range(inputs), pulse_ms)


class Device(Protocol):
    """One kind of device behind one transport. Everything raises Fault, with a sentence, where the device fails."""

    def connected(self) -> AbstractAsyncContextManager[object]:
        """Be able to talk, for as long as the context lasts."""

    async def check(self) -> None:
        """Raise Fault unless the device is set up so that it ends every pulse by itself and starts none."""

    async def contacts(self) -> Mapping[int, bool | None]:
        """By channel: whether the door's contact is closed; None where the device cannot tell."""

    async def powered(self) -> frozenset[int]:
        """The channels whose relay is on."""

    async def pulse(self, channel: int) -> None:
        """Ask for one pulse, once. NoAnswer is the only Fault after which the relay may have been pulsed."""

    async def switch_off(self, channel: int) -> None: ...


class DeviceDriver:
    """The `Driver` of one device. Its channels are its relays, from 0; `name` is what messages call it."""

    def __init__(self, name: str, device: Device, layout: Layout) -> None:
        self.channels = tuple(layout.relays)
        self._name = name
        self._device = device
        self._coil_s = layout.pulse_ms / 1000 + COIL_MARGIN_S
        self._tell: Callable[[Reading], None] | None = None
        self._told: dict[int, DoorState] = {}
        self._unusable: str | None = "the driver is not running"
        """Why the device cannot be used now."""
        self._lost = False
        self._coil_until: dict[int, float] = {}
        self._to_be_off: set[int] = set()
        """Channels whose relay is still to be seen off, once its time is over."""
        self._held: set[int] = set()
        """Channels whose relay stayed on against our will: not used until the device was away."""
        self._watched_until = 0.0
        self._looking = asyncio.Lock()
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._stopped = asyncio.Event()
        self._stopped.set()

    async def run(self, tell: Callable[[Reading], None]) -> None:
        """Own the device until cancelled or closed: connect, check, poll, tell changes, and reconnect for ever."""
        assert self._tell is None, "a device has one owner"
        self._tell = tell
        self._stopped.clear()
        self._told.clear()
        self._lost = False
        try:
            await self._keep_connected()
        finally:
            self._unusable = "the driver is stopped"
            self._tell = None
            self._stopped.set()

    async def pulse(self, channel: int) -> None:
        """Ask for one pulse, and return when the device has it or may have it.

        Raises Fault where it surely has not: it is lost, refuses, or did not end this relay's last pulse. Raises
        ValueError for a channel that it does not have.
        """
        if channel not in self.channels:
            raise ValueError(f"channel {channel} is not in 0..{len(self.channels) - 1}")
        if self._unusable is not None:
            raise Fault(f"{self._name}: {self._unusable}")
        if channel in self._held:
            raise Fault(f"{self._name}: relay {channel} did not end its last pulse")
        self._to_be_off.add(channel)
        self._expect_coil(channel)
        try:
            async with asyncio.timeout(REPLY_S):
                await self._device.pulse(channel)
        except (NoAnswer, TimeoutError) as error:
            log.warning("%s may or may not have heard the pulse of relay %d: %s", self._name, channel, error)
        self._expect_coil(channel)
        self._watched_until = _now() + WATCH_S
        self._wake.set()

    async def read(self) -> Mapping[int, DoorState]:
        """Ask the device now. One that does not answer gives `unknown`."""
        if self._unusable is None:
            try:
                return await self._look()
            except Fault as fault:
                log.info("%s: %s", self._name, fault)
        return dict.fromkeys(self.channels, DoorState.UNKNOWN)

    async def close(self) -> None:
        """Let go of the device; `run` returns."""
        self._closing.set()
        self._wake.set()
        await self._stopped.wait()

    async def _keep_connected(self) -> None:
        delay_s = RECONNECT_FIRST_S
        while not self._closing.is_set():
            try:
                async with self._device.connected():
                    async with asyncio.timeout(CHECK_S):
                        await self._device.check()
                    # A pulse of an earlier life may not be over yet.
                    self._to_be_off, self._held = set(self.channels), set()
                    for channel in self.channels:
                        self._expect_coil(channel)
                    await self._look()
                    log.info("%s is ready", self._name)
                    self._unusable, delay_s = None, RECONNECT_FIRST_S
                    await self._serve()
            except (Fault, TimeoutError) as fault:
                self._lose(str(fault) or f"its check took longer than {CHECK_S:g} s")
            try:
                async with asyncio.timeout(delay_s):
                    await self._closing.wait()
            except TimeoutError:
                delay_s = min(delay_s * 2, RECONNECT_MAX_S)

    async def _serve(self) -> None:
        misses = 0
        while not self._closing.is_set():
            self._wake.clear()
            began = _now()
            try:
                await self._look()
                misses = 0
            except Fault:
                misses += 1
                if misses == MISSES_MAX:
                    raise
            every_s = WATCH_POLL_S if misses or began < self._watched_until else IDLE_POLL_S
            try:
                async with asyncio.timeout(began + every_s - _now()):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _look(self) -> Mapping[int, DoorState]:
        async with self._looking:
            contacts = await _in_time(self._device.contacts())
            if any(self._told.get(channel) not in (None, _state(closed)) for channel, closed in contacts.items()):
                await asyncio.sleep(SECOND_LOOK_S)
                contacts = await _in_time(self._device.contacts())
            await self._see_relays_off()
        states = {channel: _state(contacts.get(channel)) for channel in self.channels}
        self._see(states)
        return states

    async def _see_relays_off(self) -> None:
        """A relay that is still on after its pulse burns its coil: the device did not time it, so we end it."""
        if not any(self._is_over(channel) for channel in self._to_be_off):
            return
        on = await _in_time(self._device.powered())
        for channel in [each for each in self._to_be_off if self._is_over(each)]:
            if channel not in on:
                self._to_be_off.discard(channel)
                continue
            if channel not in self._held:
                log.error("%s: relay %d is on beyond its pulse; it is switched off and left alone", self._name, channel)
                self._held.add(channel)
            await _in_time(self._device.switch_off(channel))

    def _see(self, states: Mapping[int, DoorState]) -> None:
        self._lost = False
        changed = {channel: state for channel, state in states.items() if self._told.get(channel) is not state}
        self._told.update(changed)
        if changed and self._tell is not None:
            self._tell(DoorsSeen(changed))

    def _lose(self, why: str) -> None:
        self._unusable = why
        if self._lost:
            return
        self._lost = True
        self._told.clear()
        log.warning("%s is lost: %s", self._name, why)
        if self._tell is not None:
            self._tell(BoardLost(0, self.channels, f"{self._name}: {why}"))

    def _expect_coil(self, channel: int) -> None:
        self._coil_until[channel] = _now() + self._coil_s

    def _is_over(self, channel: int) -> bool:
        return _now() >= self._coil_until.get(channel, 0.0)


async def _in_time(answer: Awaitable[_T]) -> _T:
    try:
        async with asyncio.timeout(REPLY_S):
            return await answer
    except TimeoutError:
        raise NoAnswer(f"no answer within {REPLY_S:g} s") from None


def _state(closed: bool | None) -> DoorState:
    if closed is None:
        return DoorState.UNKNOWN
    return DoorState.CLOSED if closed else DoorState.OPEN


def _now() -> float:
    return asyncio.get_running_loop().time()
