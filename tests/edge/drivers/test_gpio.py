"""Relays on pins, with gpiozero's mock pins."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest
from gpiozero.pins.mock import MockFactory, MockPin  # type: ignore[import-untyped]

from latchwork.domain.words import DoorState
from latchwork.edge import registry
from latchwork.edge.config import BadConfig, BusTable
from latchwork.edge.drivers.gpio.driver import Gpio
from latchwork.edge.drivers.protocol import BoardLost, DoorsSeen, Driver, Fault, Reading

PATIENCE_S = 30.0
RELAYS, CONTACTS = (5, 6), (17, 27)


async def until(what: Callable[[], bool]) -> None:
    """Wait for something to become true of things that have nothing to wait on."""
    async with asyncio.timeout(PATIENCE_S):
        while not what():
            await asyncio.sleep(0.005)


@pytest.fixture
def pins() -> Iterator[Any]:
    factory = MockFactory()
    yield factory
    factory.reset()


@asynccontextmanager
async def running(driver: Gpio) -> AsyncIterator[list[Reading]]:
    readings: list[Reading] = []
    task = asyncio.create_task(driver.run(readings.append))
    try:
        await until(lambda: readings != [])
        yield readings
    finally:
        await driver.close()
        await task


def gpio(pins: Any, *, pulse_ms: int = 300, contacts: tuple[int, ...] = CONTACTS, active_high: bool = False) -> Gpio:
    return Gpio(RELAYS, contacts, pulse_ms, active_high=active_high, factory=pins)


def levels(pins: Any, pin: int) -> list[bool]:
    """What a pin was made to be, each change once."""
    states = [bool(each.state) for each in pins.pin(pin).states]
    return [state for state, before in zip(states, [None, *states], strict=False) if state is not before]


def test_it_is_a_driver(pins: Any) -> None:
    driver: Driver = gpio(pins)
    assert driver


async def test_the_first_telling_names_every_door_and_then_only_changes(pins: Any) -> None:
    async with running(gpio(pins)) as readings:
        # Nothing pulls the mock pins down yet.
        assert readings == [DoorsSeen({0: DoorState.OPEN, 1: DoorState.OPEN})]
        pins.pin(27).drive_low()
        await until(lambda: readings[1:] == [DoorsSeen({1: DoorState.CLOSED})])


@pytest.mark.parametrize("active_high", [True, False])
async def test_a_pulse_is_one_pin_on_and_off_again(pins: Any, active_high: bool) -> None:
    driver = gpio(pins, active_high=active_high)
    async with running(driver):
        on, off = active_high, not active_high
        assert (pins.pin(5).state, pins.pin(6).state) == (off, off)
        pins.pin(6).clear_states()
        await driver.pulse(1)
        await until(lambda: levels(pins, 6) == [off, on, off])
        assert pins.pin(5).state == off
        ended = pins.pin(6).states[-1].timestamp
        assert ended >= 0.29, "the clocks of loop and pins differ a little"


async def test_a_busy_program_does_not_keep_a_coil_on(pins: Any) -> None:
    driver = gpio(pins, active_high=True)
    async with running(driver):
        await driver.pulse(0)
        deadline = time.monotonic() + PATIENCE_S
        while levels(pins, 5)[-2:] != [True, False] and time.monotonic() < deadline:
            time.sleep(0.01)  # noqa: ASYNC251 - the event loop is to do nothing else
        assert levels(pins, 5)[-2:] == [True, False]


class Wired(MockPin):  # type: ignore[misc]  # gpiozero has no types
    """Contacts of one common wire, which breaks while one of them is being read."""

    breaks_at: ClassVar[str] = ""

    def _get_state(self) -> bool:
        if self.info.name == self.breaks_at:
            Wired.breaks_at = ""
            for contact in FIVE:
                self.factory.pin(contact).drive_high()
        return bool(super()._get_state())


FIVE = (17, 27, 22, 23, 24)


async def test_a_common_wire_that_breaks_in_the_middle_of_a_look_is_told_as_one_change() -> None:
    pins = MockFactory(pin_class=Wired)
    driver = Gpio((5, 6, 7, 8, 9), FIVE, 300, active_high=True, factory=pins)
    shut, opened = (DoorsSeen(dict.fromkeys(range(5), state)) for state in (DoorState.CLOSED, DoorState.OPEN))
    async with running(driver) as readings:
        for contact in FIVE:
            pins.pin(contact).drive_low()
        await until(lambda: readings[1:] == [shut])
        Wired.breaks_at = "GPIO22"
        await until(lambda: readings[2:] != [])
        assert readings[2:] == [opened]


class Flaky(MockPin):  # type: ignore[misc]  # gpiozero has no types
    """Pins whose chip fails at times."""

    failures: ClassVar[list[bool]] = []
    """The next levels that cannot be set, each once."""

    def _set_state(self, value: float) -> None:
        if bool(value) in self.failures:
            self.failures.remove(bool(value))
            raise OSError("the chip does not answer")
        super()._set_state(value)


async def test_a_pin_that_cannot_be_set_is_a_fault_and_one_that_cannot_be_reset_is_tried_again() -> None:
    pins = MockFactory(pin_class=Flaky)
    driver = gpio(pins, active_high=True)
    async with running(driver):
        Flaky.failures = [True]
        with pytest.raises(Fault, match="pin 5: the chip does not answer"):
            await driver.pulse(0)
        assert not pins.pin(5).state
        Flaky.failures = [False] * 3
        await driver.pulse(0)
        await until(lambda: levels(pins, 5)[-2:] == [True, False])
        assert Flaky.failures == []


async def test_stopping_inside_a_pulse_ends_it(pins: Any) -> None:
    driver = gpio(pins, pulse_ms=1_500, active_high=True)
    async with running(driver):
        await driver.pulse(0)
        await until(lambda: bool(pins.pin(5).state))
    assert levels(pins, 5)[-2:] == [True, False]
    with pytest.raises(Fault):
        await driver.pulse(0)


async def test_a_contact_that_bounces_is_told_when_it_rests(pins: Any) -> None:
    async with running(gpio(pins)) as readings:
        pins.pin(17).drive_low()
        pins.pin(17).drive_high()
        pins.pin(17).drive_low()
        await until(lambda: len(readings) > 1)
        assert readings[1:] == [DoorsSeen({0: DoorState.CLOSED})]


async def test_doors_without_a_contact_are_unknown(pins: Any) -> None:
    driver = gpio(pins, contacts=(17,))
    async with running(driver):
        assert await driver.read() == {0: DoorState.OPEN, 1: DoorState.UNKNOWN}


async def test_pins_that_cannot_be_had_are_a_lost_board(pins: Any) -> None:
    holder = gpio(pins)
    async with running(holder):
        driver = gpio(pins)
        async with running(driver) as readings:
            assert [type(reading) for reading in readings] == [BoardLost]
            with pytest.raises(Fault):
                await driver.pulse(0)
        with pytest.raises(ValueError, match="channel"):
            await holder.pulse(2)


def test_it_is_refused_unless_its_danger_is_accepted() -> None:
    family = registry.find("gpio")
    assert family.manifest.capabilities.pulse == "host-timed"
    wired: dict[str, Any] = {"relays": [5], "contacts": [17]}
    with pytest.raises(BadConfig, match="accept_host_timed = true"):
        family.driver(BusTable("gpio", "gpio", options=wired))
    assert family.driver(BusTable("gpio", "gpio", options={**wired, "accept_host_timed": True}))


@pytest.mark.parametrize(
    ("port", "options", "why"),
    [
        ("/dev/gpiochip0", {"relays": [5]}, "port"),
        ("gpio", {}, "relays"),
        ("gpio", {"relays": [5, 5]}, "different pins"),
        ("gpio", {"relays": [5], "contacts": [5]}, "different pins"),
        ("gpio", {"relays": [5], "contacts": [17, 27]}, "different pins"),
        ("gpio", {"relays": ["GPIO5"]}, "numbers"),
        ("gpio", {"relays": [5], "pulse_ms": 2_000}, "pulse_ms"),
    ],
)
def test_settings_that_cannot_be_are_refused(port: str, options: dict[str, Any], why: str) -> None:
    with pytest.raises(BadConfig, match=why):
        registry.find("gpio").driver(BusTable("gpio", port, options={**options, "accept_host_timed": True}))
