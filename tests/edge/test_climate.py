"""Temperature reaches the bank as bands that were left and a summary for each stay; the readings stay at the wall."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.edge.kiosk.desk import TestDesk, fittings

from latchwork.domain import commands as c
from latchwork.domain.bank import Bank
from latchwork.domain.words import CompartmentId, OpeningId, SessionId, StayId
from latchwork.edge.climate import GAP_SECONDS, Climate, Zone
from latchwork.edge.drivers.protocol import Fault
from latchwork.edge.sensors.reading import Reading
from latchwork.store import climate as store
from latchwork.store.climate import KEEP_SECONDS, ClimateTable, Kept, Unkept

T0 = datetime(2026, 3, 1, 8, tzinfo=UTC)
ONE = CompartmentId("01")


class Fridge:
    """Says what it is told to say."""

    celsius: float | None = 5.0

    async def read(self) -> Reading:
        if self.celsius is None:
            raise Fault("the wire is cut")
        return Reading(self.celsius)


class Desk:
    def __init__(self, real: TestDesk) -> None:
        self.real = real
        self.told: list[c.Command] = []
        self.event = asyncio.Event()

    @property
    def bank(self) -> Bank:
        return self.real.bank

    def tell(self, said: c.Command) -> None:
        self.told.append(said)
        self.real.decide(said)

    def next_change(self) -> asyncio.Event:
        return self.event


class House:
    def __init__(self, folder: Path) -> None:
        self.now = T0
        self.desk = Desk(TestDesk(fittings(2, 0, 0)))
        self.table = ClimateTable(folder)
        self.fridge = Fridge()
        self.zone = Zone("fridge", self.fridge, (ONE,), 2.0, 8.0)
        self.climate = Climate([self.zone], self.table, self.desk, lambda: self.now)

    async def minutes(self, n: int, celsius: float | None) -> None:
        self.fridge.celsius = celsius
        for _ in range(n):
            self.now += timedelta(minutes=1)
            await self.climate.read(self.zone)

    def take_out(self, stay: StayId) -> None:
        real = self.desk.real
        session, opening = SessionId(real.new_id()), OpeningId(real.new_id())
        real.decide(c.SignIn(session, real.code(real.pickup(stay))))
        real.decide(c.Collect(session, opening, stay))
        real.board()
        real.swing("01")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.table.close()


async def test_a_band_that_is_left_is_told_once_and_a_moment_is_not(house: House) -> None:
    await house.minutes(3, 5.0)
    await house.minutes(1, 12.0)  # a door stood open
    await house.minutes(2, 6.0)
    assert house.desk.real.bank.off_band == {}
    await house.minutes(5, 9.04)
    assert house.desk.real.bank.off_band == {"fridge": False}
    await house.minutes(2, None)
    assert house.desk.real.bank.off_band == {"fridge": False}
    await house.minutes(3, None)
    assert house.desk.real.bank.off_band == {"fridge": None}
    await house.minutes(2, 5.0)
    assert house.desk.real.bank.off_band == {}
    kinds = [type(body).__name__ for body in house.desk.real.log]
    assert kinds.count("BandCrossed") == 3


async def test_one_summary_for_each_stay(house: House) -> None:
    stay = house.desk.real.stored()
    assert house.desk.real.bank.stays[stay].compartment == ONE
    house.climate.follow()
    await house.minutes(10, 5.0)
    await house.minutes(5, 10.0)
    await house.minutes(20, None)
    await house.minutes(10, 4.0)
    house.climate.follow()
    assert not [x for x in house.desk.told if isinstance(x, c.SumUp)]
    house.now += timedelta(minutes=1)
    house.take_out(stay)
    house.climate.follow()
    house.climate.follow()
    (summed,) = [x.kept for x in house.desk.told if isinstance(x, c.SumUp)]
    assert (summed.stay, summed.compartment, summed.celsius_min, summed.celsius_max) == (stay, ONE, 4.0, 10.0)
    assert summed.seconds == 46 * 60
    assert summed.seconds_outside == 4 * 60 + GAP_SECONDS, "the last warm reading speaks until nobody knows"
    assert summed.seconds_unknown == 60 + 21 * 60 - GAP_SECONDS, "before the first reading, and the cut wire"
    assert house.table.kept() == []


async def test_what_lay_there_over_a_restart_is_summed_up_whole(house: House, tmp_path: Path) -> None:
    stay = house.desk.real.stored()
    house.climate.follow()
    await house.minutes(5, 5.0)
    house.table.close()
    house.table = ClimateTable(tmp_path)
    house.climate = Climate([house.zone], house.table, house.desk, lambda: house.now)
    await house.minutes(5, 7.0)
    house.take_out(stay)
    house.climate.follow()
    (summed,) = [x.kept for x in house.desk.told if isinstance(x, c.SumUp)]
    assert (summed.celsius_min, summed.celsius_max, summed.seconds) == (5.0, 7.0, 600)


def test_readings_are_bounded_in_time_and_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "ROWS_MAX", 50)
    table = ClimateTable(tmp_path)
    for at in range(1, 200):
        table.note("a", at, 5.0)
    assert len(table.readings("a", 0, 10**12)) == 50
    table.note("a", KEEP_SECONDS + 1_000, 5.0)
    assert table.readings("a", 0, 10**12) == [(KEEP_SECONDS + 1_000, 5.0)]
    table.begin(Kept(StayId("s"), ONE, "a", 3))
    assert table.kept() == [Kept(StayId("s"), ONE, "a", 3)]
    table.close()


async def test_a_disk_that_takes_nothing_costs_a_gap_and_no_second_summary(house: House, tmp_path: Path) -> None:
    house.table.close()
    house.table = ClimateTable(tmp_path / "later")
    house.climate = Climate([house.zone], house.table, house.desk, lambda: house.now)
    stay = house.desk.real.stored()
    await house.minutes(2, 5.0)
    with pytest.raises(Unkept):
        house.climate.follow()
    (tmp_path / "later").mkdir()
    house.climate.follow()
    await house.minutes(2, 6.0)
    house.take_out(stay)
    house.table._db.execute("PRAGMA query_only = ON")
    for _ in range(2):
        with pytest.raises(Unkept):
            house.climate.follow()
    assert not [x for x in house.desk.told if isinstance(x, c.SumUp)]
    house.table._db.execute("PRAGMA query_only = OFF")
    house.climate.follow()
    house.climate.follow()
    (summed,) = [x.kept for x in house.desk.told if isinstance(x, c.SumUp)]
    assert (summed.celsius_min, summed.seconds) == (6.0, 120)


async def test_it_runs_and_a_sensor_that_fails_stops_nobody(house: House) -> None:
    house.fridge.celsius = None
    task = asyncio.create_task(house.climate.run(0.01))
    async with asyncio.timeout(30):
        while house.desk.real.bank.off_band != {"fridge": None}:
            await asyncio.sleep(0.01)
        house.fridge.celsius = 5.0
        while house.desk.real.bank.off_band:
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
