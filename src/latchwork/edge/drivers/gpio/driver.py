"""Drives relays on the pins of this computer: a pulse is a pin on and off again, a door is a pin that is read.

Nobody but this process ends a pulse. A thread does it, so that a busy event loop cannot make one long. Nothing here
helps against a process that is killed, or a kernel that hangs, inside one.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import gpiozero  # type: ignore[import-untyped]

from latchwork.domain.words import DoorState
from latchwork.edge.drivers.protocol import BoardLost, BusSettings, DoorsSeen, Fault, Reading

PORT = "gpio"
PULSE_MAX_MS = 1_500
"""Longer, and a locker's solenoid may burn."""
POLL_S = 0.05
"""What two looks in a row show alike is told; contacts bounce for less."""
RETRY_S = 5.0

log = logging.getLogger(__name__)


class Gpio:
    """The `Driver` of these pins, numbered as the chip does (BCM). Channel n is `relays[n]` with `contacts[n]`, if any.

    A relay is on while its pin is high, or low with `active_high` false. A contact is closed while it pulls its pin to
    ground. `factory` makes the pins; None takes what gpiozero finds.
    """

    def __init__(
        self,
        relays: Sequence[int],
        contacts: Sequence[int],
        pulse_ms: int,
        *,
        active_high: bool,
        factory: gpiozero.Factory | None = None,
    ) -> None:
        pins = [*relays, *contacts]
        if not relays or len(contacts) > len(relays) or len(set(pins)) != len(pins):
            raise ValueError(f"relays = {list(relays)}, contacts = {list(contacts)}: give different pins, one a relay")
        if not all(isinstance(pin, int) and pin >= 0 for pin in pins):
            raise ValueError(f"pins are numbers, and {pins} are not")
        if not 0 < pulse_ms <= PULSE_MAX_MS:
            raise ValueError(f"pulse_ms = {pulse_ms} is not from 1 to {PULSE_MAX_MS}")
        self.channels = tuple(range(len(relays)))
        self._relay_pins, self._contact_pins = relays, contacts
        self._pulse_s = pulse_ms / 1000
        self._active_high = active_high
        self._factory = factory
        self._relays: list[gpiozero.DigitalOutputDevice] = []
        self._contacts: list[gpiozero.DigitalInputDevice] = []
        self._closing = asyncio.Event()
        self._stopped = asyncio.Event()
        self._stopped.set()

    async def run(self, tell: Callable[[Reading], None]) -> None:
        """Own the pins until cancelled or closed, look at the contacts, and tell changes."""
        assert self._stopped.is_set(), "pins have one owner"
        self._stopped.clear()
        lost = False
        try:
            while not self._closing.is_set():
                try:
                    with self._opened():
                        await self._watch(tell)
                except (gpiozero.GPIOZeroError, OSError) as error:
                    log.warning("the pins cannot be used: %s", error)
                    if not lost:
                        tell(BoardLost(0, self.channels, f"the pins cannot be used: {error}"))
                    lost = True
                    await self._pause(RETRY_S)
        finally:
            self._stopped.set()

    async def pulse(self, channel: int) -> None:
        """Switch one relay on, and have it switched off again. Raises Fault, and ValueError for no channel of ours."""
        if channel not in self.channels:
            raise ValueError(f"channel {channel} is not in 0..{len(self.channels) - 1}")
        if not self._relays:
            raise Fault("the pins cannot be used")
        relay = self._relays[channel]
        # Who ends the pulse is there before it begins.
        end = threading.Timer(self._pulse_s, self._switch_off, (relay,))
        end.daemon = True
        end.start()
        try:
            relay.on()
        except (gpiozero.GPIOZeroError, OSError) as error:
            raise Fault(f"pin {self._relay_pins[channel]}: {error}") from error

    async def read(self) -> Mapping[int, DoorState]:
        return self._look()

    async def close(self) -> None:
        """Switch every relay off and let go of the pins; `run` returns."""
        self._closing.set()
        await self._stopped.wait()

    def _switch_off(self, relay: gpiozero.DigitalOutputDevice) -> None:
        """In a thread: again and again until it is off, or let go of."""
        failed = False
        while not relay.closed:
            try:
                relay.off()
                return
            except (gpiozero.GPIOZeroError, OSError) as error:
                if not failed and not relay.closed:
                    log.error("%s cannot be switched off, and is tried again: %s", relay, error)
                failed = True
            time.sleep(POLL_S)

    async def _watch(self, tell: Callable[[Reading], None]) -> None:
        told: dict[int, DoorState] = {}
        before: Mapping[int, DoorState] = {}
        waited = False
        while not self._closing.is_set():
            now = self._look()
            changed = {
                channel: state
                for channel, state in now.items()
                if before.get(channel) is state and told.get(channel) is not state
            }
            # Pins are read one after the other, so their common wire may break in the middle of a look.
            waited = bool(changed) and not waited and now != before
            if changed and not waited:
                tell(DoorsSeen(changed))
                told.update(changed)
            before = now
            await self._pause(POLL_S)

    def _look(self) -> dict[int, DoorState]:
        states = dict.fromkeys(self.channels, DoorState.UNKNOWN)
        for channel, contact in enumerate(self._contacts):
            states[channel] = DoorState.CLOSED if contact.is_active else DoorState.OPEN
        return states

    @contextmanager
    def _opened(self) -> Iterator[None]:
        with ExitStack() as stack:
            stack.callback(self._forget)
            for pin in self._relay_pins:
                relay = gpiozero.DigitalOutputDevice(
                    pin, active_high=self._active_high, initial_value=False, pin_factory=self._factory
                )
                self._relays.append(stack.enter_context(relay))
                stack.callback(relay.off)
            for pin in self._contact_pins:
                contact = gpiozero.DigitalInputDevice(pin, pull_up=True, pin_factory=self._factory)
                self._contacts.append(stack.enter_context(contact))
            yield

    def _forget(self) -> None:
        self._relays, self._contacts = [], []

    async def _pause(self, duration_s: float) -> None:
        try:
            async with asyncio.timeout(duration_s):
                await self._closing.wait()
        except TimeoutError:
            pass


def make(settings: BusSettings) -> Gpio:
    options = settings.options
    if settings.port != PORT:
        raise ValueError(f'port should be "{PORT}"')
    return Gpio(options["relays"], options["contacts"], options["pulse_ms"], active_high=options["active_high"])
