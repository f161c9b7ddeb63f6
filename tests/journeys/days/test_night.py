"""The night in which the clocks go forward, at a wall without network: hours, codes and deadlines are the site's."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.journeys.days.test_recipients import delivered
from tests.journeys.days.wall import PARCEL, Days, days

EVE = datetime(2027, 3, 27, 9, tzinfo=UTC)
"""Ten o'clock on a Saturday in Berlin, where the clocks go forward an hour in this night."""
LENT: dict[str, Any] = {
    **PARCEL,
    "pickup_hours_max": 24,
    "day_ends": 1440,
    "hours": [{"weekday": day, "since": 420, "to": 1200} for day in range(7)],
    "reminder_hours": [3],
    "extensions_max": 1,
    "extension_hours": 24,
}


async def at(here: Days, day: int, hour: int, minute: int = 0) -> None:
    """In UTC."""
    then = datetime(2027, 3, day, hour, minute, tzinfo=UTC)
    assert then > here.time.utc(), "time does not go back"
    await here.pass_time(seconds=(then - here.time.utc()).total_seconds())


async def test_a_night_of_twenty_three_hours(database: str, tmp_path: Path) -> None:
    async with days(database, tmp_path, LENT, at=EVE, mail=True) as here:
        wall = here.wall
        one, two = await delivered(here, "LW-1", "LW-2")
        midnight = datetime(2027, 3, 28, 22, tzinfo=UTC)
        assert datetime.fromisoformat((await here.stay(one))["deadline"]) == midnight
        asked = await here.ask("POST", "passes", json={"bank": wall.bank, "role": "courier", "daily": True})

        async def digits() -> Any:
            return (await here.ask("GET", f"passes/{asked['id']}"))["digits"]

        today = await here.see(digits)
        await here.person(today, wall, "courier")
        await wall.cut()

        await at(here, 27, 20)
        late = await here.person(wall.pickup(one))
        assert (late.screen, late.refused) == ("mine", "outside_hours")
        assert datetime.fromisoformat(late.now["refusal"]["until"]) == datetime(2027, 3, 28, 5, tzinfo=UTC)
        await late.press("extend", stay=one)
        await late.press("sign_out")
        assert wall.stay(one).deadline == midnight + timedelta(days=1)

        await at(here, 27, 23, 5)
        await wall.until(lambda: here.time.utc().hour == 23, "half past midnight")
        assert (await here.person(today)).refused == "wrong_code", "it was yesterday's"
        courier = await here.person(await digits(), wall, "courier")
        await courier.press("sign_out")
        await at(here, 28, 4, 55)
        early = await here.person(wall.pickup(one))
        assert early.refused == "outside_hours"
        await early.press("sign_out")
        await at(here, 28, 5, 1)
        await (await here.person(wall.pickup(one))).take()
        await at(here, 28, 12)
        wall.mend()
        await here.becomes(one, "collected")
        await at(here, 28, 19, 1)
        await here.tend()
        await here.told("Please collect")

        # Somebody sets the wall's clock by hand, an hour wrong: it takes nothing away until it knows better.
        await wall.cut()
        await at(here, 28, 21, 50)
        wall.off_s = 3600.0
        await here.pass_time(seconds=70)
        await wall.until(lambda: wall.loop.bank.clock_doubted, "the doubt")
        await at(here, 28, 22, 10)
        assert wall.stay(two).state == "deposited"
        wall.off_s = 0.0
        wall.mend()
        await here.becomes(two, "expired")

        # Its power was gone for days, and its battery has forgotten the time: what comes then has its whole time.
        three = await here.announce("LW-3")
        await wall.stop()
        wall.off_s = -40 * 86400.0
        await here.pass_time(days=6)
        await wall.start()
        courier = await here.courier()
        await courier.deliver("LW-3")
        await courier.press("sign_out")
        put_in = here.time.utc()
        wall.off_s = 0.0
        wall.mend()
        found = await here.becomes(three, "deposited")
        end = datetime.fromisoformat(found["deadline"])
        assert timedelta(hours=24) <= end - put_in <= timedelta(hours=72), "its whole day, and up to midnight"
