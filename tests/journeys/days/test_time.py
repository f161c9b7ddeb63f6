"""Days about time: what comes due while nobody is there, the night of the clock change, and clocks that jump."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.journeys.days.test_recipients import delivered
from tests.journeys.days.wall import PARCEL, days

RETURNED: dict[str, Any] = {**PARCEL, "id": "returned", "pickup_hours_max": 24, "at_end": "return"}
FOOD: dict[str, Any] = {
    **PARCEL,
    "id": "food",
    "pickup_hours_max": 4,
    "at_end": "dispose",
    "late_collection": False,
    "size_max": {"width_mm": 300, "height_mm": 90, "depth_mm": 400},
}


async def test_what_nobody_fetched_goes_back_by_its_service(database: str, tmp_path: Path) -> None:
    async with days(database, tmp_path, PARCEL, RETURNED, FOOD) as here:
        wall = here.wall
        (parcel,) = await delivered(here, "LW-1", service="parcel")
        (sent_back,) = await delivered(here, "LW-2", service="returned")
        (food,) = await delivered(here, "LW-3", service="food")
        await wall.cut()
        await here.pass_time(hours=30)
        await wall.until(lambda: wall.stay(food).state == "expired")
        late = await here.person(wall.pickup(food))
        assert late.refused is not None and late.screen != "open"
        await late.press("sign_out")
        await wall.power_cut()
        await here.pass_time(hours=60)
        assert wall.loop.bank.clock_doubted, "no server since the power cut: nothing is taken away"
        assert wall.stay(parcel).state == "deposited"
        wall.mend()
        await here.becomes(parcel, "expired")
        await here.becomes(sent_back, "expired")
        tasks = await here.tasks("unclaimed", "unclaimed")
        assert set(tasks) == {sent_back, food}
        listed = await here.ask("GET", f"banks/{wall.bank}/collections")
        assert [x["id"] for x in listed] == [parcel]

        await wall.cut()
        courier = await here.courier()
        await courier.then("take_out", "takeout")
        assert [x["stay"] for x in courier.values["stays"]] == [parcel]
        await courier.then("take", "open", stay=parcel)
        await courier.take()
        await courier.press("sign_out")
        staff = await here.staff()
        for stay in (sent_back, food):
            door = wall.stay(stay).compartment
            await staff.then("door", "why", door=door)
            await staff.then("thing", "thing", stay=stay)
            if stay == food:
                await staff.then("remove", "second", stay=food, why="disposed")
                await staff.press("remove", stay=food, why="disposed", second=here.staff_codes[0])
                assert staff.refused == "second_person"
                await staff.then("remove", "open", stay=food, why="disposed", second=here.staff_codes[1])
            else:
                await staff.then("remove", "open", stay=stay, why="return_to_sender")
            await staff.take()
        wall.mend()
        assert (await here.becomes(food, "exception"))["reason"] == "disposed"
        await here.becomes(sent_back, "returned")
        await here.becomes(parcel, "recalled")
        await here.tasks()


async def test_a_day_with_twenty_five_hours_ends_at_midnight(database: str, tmp_path: Path) -> None:
    service = {**PARCEL, "pickup_hours_max": 24, "day_ends": 1440}
    eve = datetime(2027, 10, 30, 8, tzinfo=UTC)  # 10 o'clock in Berlin, which goes back an hour in this night
    async with days(database, tmp_path, service, at=eve) as here:
        (stay,) = await delivered(here, "LW-1")
        await here.wall.cut()
        said = (await here.stay(stay))["deadline"]
        assert datetime.fromisoformat(said) == datetime(2027, 10, 31, 23, tzinfo=UTC)
        await here.pass_time(hours=38, minutes=30)
        assert here.time.utc() < datetime(2027, 10, 31, 23, tzinfo=UTC)
        await here.pass_time(minutes=5)
        assert here.wall.stay(stay).state == "deposited"
        await here.pass_time(minutes=40)
        await here.wall.until(lambda: here.wall.stay(stay).state == "expired")
        here.wall.mend()
        await here.becomes(stay, "expired")


async def test_a_clock_that_jumps_takes_nothing_from_anybody(database: str, tmp_path: Path) -> None:
    async with days(database, tmp_path) as here:
        wall = here.wall
        one, two = await delivered(here, "LW-1", "LW-2")
        await wall.cut()
        wall.off_s = 400 * 86400.0
        await here.pass_time(seconds=70)
        await wall.until(lambda: wall.loop.bank.clock_doubted)
        await wall.power_cut()
        assert {x.state for x in wall.loop.bank.stays.values()} == {"deposited"}
        ada = await here.person(wall.pickup(one))
        await ada.take()
        await ada.press("sign_out")
        wall.off_s = -4000 * 86400.0
        await wall.power_cut()
        wall.mend()
        await here.becomes(one, "collected")
        await wall.until(lambda: not wall.loop.bank.clock_doubted)
        assert wall.loop.bank.at is not None and abs(wall.loop.bank.at - here.time.utc()) < timedelta(minutes=30)
        assert (await here.stay(two))["state"] == "deposited"
        await here.pass_time(hours=73)
        await here.becomes(two, "expired")
