"""Which readings of a sensor are believed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latchwork.edge.drivers.protocol import Fault
from latchwork.edge.sensors.reading import Doubted, Limits, Reading


class Scripted:
    """Says one thing after the other, a minute apart."""

    def __init__(self, *said: Reading | float) -> None:
        self._said = [each if isinstance(each, Reading) else Reading(each) for each in said]
        self.at = 0.0

    async def read(self) -> Reading:
        self.at += 60.0
        return self._said.pop(0)

    def now(self) -> float:
        return self.at


async def believed(*said: Reading | float, limits: Limits | None = None) -> list[float | None]:
    script = Scripted(*said)
    sensor = Doubted(script, script.now, limits)
    heard: list[float | None] = []
    for _ in said:
        try:
            heard.append((await sensor.read()).celsius)
        except Fault:
            heard.append(None)
    return heard


async def test_what_changes_slowly_is_believed() -> None:
    assert await believed(4.0, 4.5, 9.0, 12.0, 3.0) == [4.0, 4.5, 9.0, 12.0, 3.0]


@pytest.mark.parametrize("celsius", [-40.1, 80.1, 1000.0, -3276.8, math.nan, math.inf])
async def test_what_cannot_be_is_not_believed(celsius: float) -> None:
    assert await believed(4.0, celsius, 4.0) == [4.0, None, 4.0]


@pytest.mark.parametrize("humidity", [-0.1, 100.1, 6553.5])
async def test_neither_is_a_humidity_that_cannot_be(humidity: float) -> None:
    assert await believed(Reading(4.0, humidity), Reading(4.0, 99.0)) == [None, 4.0]


async def test_a_single_jump_is_not_believed() -> None:
    assert await believed(4.0, 20.0, 4.0, 4.0) == [4.0, None, 4.0, 4.0]


async def test_a_jump_that_stays_is_believed_when_so_much_could_have_changed() -> None:
    assert await believed(4.0, 30.0, 30.0, 30.0, 30.0) == [4.0, None, None, 30.0, 30.0]


@given(st.lists(st.floats(), max_size=30))
async def test_nothing_outside_the_limits_is_ever_believed(said: list[float]) -> None:
    limits = Limits(celsius_min=-25.0, celsius_max=30.0)
    heard = [celsius for celsius in await believed(*said, limits=limits) if celsius is not None]
    assert all(-25.0 <= celsius <= 30.0 for celsius in heard)
