"""Days on which room is short: what is kept for whom and why, who waits, and a bank that is taken out of service."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.journeys.days.wall import LARGE, SMALL, Days, Person, days

from latchwork.domain.bank import Fitting
from latchwork.domain.words import CompartmentId

NEAR = (
    Fitting(CompartmentId("01"), SMALL, reach_mm=900),
    Fitting(CompartmentId("02"), SMALL, reach_mm=900),
    Fitting(CompartmentId("03"), LARGE, reach_mm=1500),
)


async def why(here: Days, stay: str) -> tuple[str, str]:
    """Which door it has, and why that one, as its story tells."""
    events = await here.ask("GET", f"stays/{stay}/timeline")
    return next((x["compartment"], x["reason"]) for x in reversed(events) if x["kind"] == "Claimed")


async def turned_away(courier: Person, label: str, reason: str) -> None:
    await courier.press("label", label=label)
    await courier.press("agree")
    assert (courier.screen, courier.refused) == ("size", reason)
    await courier.then("cannot_deliver", "cannot_deliver")
    await courier.then("give_up", "courier", reason=reason)
    assert courier.values["told"]["fallback"] == "neighbour"


async def page(here: Days, stay: str) -> str:
    return (await here.place.http.get((await here.stay(stay))["page"])).text


async def test_what_is_kept_what_overflows_and_a_bank_out_of_service(database: str, tmp_path: Path) -> None:
    async with days(database, tmp_path) as here:
        far, near = here.wall, await here.build(fittings=NEAR)
        rules = {"fallbacks": ["neighbour", "desk"], "neighbour": far.bank, "in_reach_kept": 1}
        await here.ask("PUT", f"banks/{near.bank}/policy", 202, json=rules)
        await near.until(lambda: near.loop.bank.policy_version > 1)
        code, staff_code = await here.grant("courier", near, party=here.place.party), await here.grant("staff", near)
        one, two, three = [await here.announce(f"LW-{n}", bank=near.bank) for n in (1, 2, 3)]
        low, high = [await here.announce(f"LOW-{n}", bank=near.bank, in_reach=True) for n in (1, 2)]
        await near.cut()
        courier = await here.courier(near, code)
        assert [await courier.deliver(f"LW-{n}") for n in (1, 2)] == ["01", "03"]
        await turned_away(courier, "LW-3", "no_suitable_compartment")
        await near.power_cut()
        courier = await here.courier(near, code)
        assert await courier.deliver("LOW-1") == "02"
        await turned_away(courier, "LOW-2", "none_in_reach")
        await courier.press("sign_out")
        near.mend()
        for stay, door, reason in ((one, "01", "smallest_fit"), (two, "03", "in_reach_kept"), (low, "02", "in_reach")):
            await here.becomes(stay, "deposited")
            assert await why(here, stay) == (door, reason)

        # At the neighbour, which has no network either, the code of the parcel at the first bank opens it too.
        for stay in (three, high):
            await here.moved(stay, far)
        await far.until(lambda: any(x.grant.digits == 0 for x in far.loop.bank.passes.values()), "the code from there")
        await far.cut()
        courier = await here.courier()
        await courier.deliver("LW-3")
        await courier.deliver("LOW-2")
        await courier.press("sign_out")
        ada = await here.person(near.pickup(low), far)
        await ada.take()
        await ada.press("sign_out")
        far.mend()
        assert {(await here.becomes(x, "deposited", "collected"))["state"] for x in (three, high)} == {
            "deposited",
            "collected",
        }

        # Taken out of service unheard, and at once: what is inside is staff's, and everybody is told so.
        heard = (await here.stay(one))["heard_at"]
        await near.cut()
        asked = await here.ask("POST", f"banks/{near.bank}/withdraw", 202, json={"now": True})
        assert asked["heard_at"] >= heard and not (await here.stay(one))["out_of_service"]
        near.mend()
        await near.until(lambda: near.state("01") == "out_of_service")
        await near.cut()
        ada = await here.person(near.pickup(one), near)
        assert ada.refused == "out_of_service"
        await ada.press("sign_out")
        await here.pass_time(hours=80)
        await near.until(lambda: near.stay(one).state == "expired")
        courier = await here.courier(near, code)
        assert (await courier.then("take_out", "takeout"))["stays"] == []
        await courier.press("sign_out")
        near.mend()
        await here.becomes(one, "expired")
        await here.tend()
        assert set(await here.tasks("stranded", "stranded", "stranded")) == {one, two, low}
        assert "out of service" in await page(here, one)
        assert await here.ask("GET", f"banks/{near.bank}/collections") == []
        found = await here.ask("POST", f"banks/{near.bank}/availability", 200, json={})
        assert (found["fits"], found["room"]) == (True, False)
        staff = await here.person(staff_code, near, "staff")
        await staff.then("door", "why", door="03")
        await staff.then("remove", "open", stay=two, why="return_to_sender")
        await staff.take()
        await here.becomes(two, "returned")
        await here.ask("POST", f"banks/{near.bank}/bring-back", 202, json={})
        await near.until(lambda: near.state("01") == "occupied")
        await (await here.person(near.pickup(one), near)).take()
        await here.becomes(one, "collected")
        await here.tend()
        await here.tasks()


async def test_who_waits_sees_it_and_an_offer_ends(database: str, tmp_path: Path) -> None:
    """At a wall of one door; the network is gone whenever somebody hopes for it."""
    async with days(database, tmp_path, mail=True) as here:
        near = await here.build(fittings=NEAR[2:])
        code = await here.grant("courier", near, party=here.place.party)
        held = await here.announce("LW-0", bank=near.bank)
        courier = await here.courier(near, code)
        await courier.deliver("LW-0")
        await courier.press("sign_out")
        await here.becomes(held, "deposited")
        until = (here.time.utc() + timedelta(days=1)).isoformat()
        wish: dict[str, Any] = {"bank": near.bank, "reserve_until": until, "wait": True, "offer_minutes": 60}
        first, second = [(await here.place.announce(f"LW-{n}", **wish))["id"] for n in (1, 2)]
        await here.waits(first, 1)
        await here.waits(second, 2)
        assert "It is number 2 in line" in await page(here, second)
        await near.cut()
        await (await here.person(near.pickup(held), near)).take()
        near.mend()
        await here.pass_time(minutes=5)  # a wall that said no is not asked again at once
        offered = await here.becomes(first, "reserved")
        assert offered["offered_until"] and "is kept for it until" in await page(here, first)
        await here.waits(second, 1)
        await here.told("There is room for your parcel")
        await near.cut()
        await here.pass_time(minutes=70)
        near.mend()
        await here.becomes(first, "expected")
        assert (await here.becomes(second, "reserved"))["compartment"] == "03"
        courier = await here.courier(near, code)
        await courier.press("label", label="LW-1")
        await courier.press("agree")
        assert courier.refused == "no_suitable_compartment", "it is kept for the next in line"
        await courier.press("back")
        assert await courier.deliver("LW-2") == "03"
