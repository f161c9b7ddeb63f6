"""A courier's bad days, through the screen, with the network cut."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.journeys.days.wall import PARCEL, Person, days

TOGETHER: dict[str, Any] = {**PARCEL, "shares": "recipient", "pickup_hours_max": 24}


async def test_a_round_with_every_exception_while_the_network_is_gone(database: str, tmp_path: Path) -> None:
    async with days(database, tmp_path, {**PARCEL, "holds_unknown": True}) as here:
        wall = here.wall
        rules = {"fallbacks": ["desk"]}
        await here.ask("PUT", f"banks/{wall.bank}/policy", json=rules)
        await wall.until(lambda: bool(wall.loop.bank.policy.fallbacks))
        stays = {x: await here.announce(x) for x in ("LW-1", "LW-2", "LW-3", "LW-4")}
        stays["LW-5"] = await here.announce("LW-5", size={"width_mm": 390, "height_mm": 420, "depth_mm": 640})
        await wall.cut()
        courier = await here.courier()

        first = await courier.deliver("LW-1")
        await courier.then("label", "confirm", label="LW-2")
        wall.jammed.add("02")
        await courier.then("agree", "not_opened")
        assert courier.door == "02"
        await courier.then("did_not_open", "open")
        second = await courier.put_in("LW-2")

        await courier.then("label", "confirm", label="LW-3")
        await courier.then("agree", "open")
        tight = courier.door
        await courier.then("too_small", "open")
        wall.shut(tight)
        third = courier.door
        assert (third, wall.state(tight)) == ("07", "vacant")
        await wall.power_cut()  # before an open door
        wall.shut(third)
        await courier.shows("closed", "unresolved")
        await courier.press("confirm")
        assert wall.stay(stays["LW-3"]).compartment == third

        await courier.then("label", "confirm", label="LW-4")
        strange = (await courier.then("agree", "open"))["door"]
        stiff = (await courier.then("occupied", "open"))["door"]
        wall.shut(strange)
        await courier.then("will_not_close", "open")
        await courier.put_in("LW-4")
        await courier.press("label", label="LW-5")
        await courier.press("agree")
        assert courier.refused == "no_suitable_compartment"
        assert (await courier.then("cannot_deliver", "cannot_deliver"))["fallbacks"] == ["desk"]
        await courier.press("give_up", reason="no_suitable_compartment")
        assert courier.values["told"]["fallback"] == "desk"
        await courier.press("sign_out")
        await wall.power_cut()
        wall.shut(stiff)

        wall.mend()
        for tracking in ("LW-1", "LW-2", "LW-3", "LW-4"):
            await here.becomes(stays[tracking], "deposited")
        assert (await here.stay(stays["LW-1"]))["compartment"] == first
        assert (await here.stay(stays["LW-2"]))["compartment"] == second
        left = await here.becomes(stays["LW-5"], "expected")
        assert (left["reason"], left["fallback"]) == ("no_suitable_compartment", "desk")
        tasks = await here.tasks("not_opened", "missing", "will_not_close")
        assert set(tasks) == {"02", strange, stiff}

        wall.jammed.clear()
        await wall.cut()
        staff = await here.staff()
        for door in sorted(tasks):
            await staff.then("door", "why", door=door)
            await staff.then("visit", "open", reason="inspection")
            wall.shut(door)
            await staff.shows("look")
            await staff.press("seen", empty=True)
            assert wall.state(door) == "vacant"
        wall.mend()
        await here.tasks()


async def test_several_together_for_a_household_and_the_power_goes_in_the_middle(database: str, tmp_path: Path) -> None:
    """Nobody announced anything: names are typed. The screen comes back without its cookie: codes are typed again."""
    async with days(database, tmp_path, TOGETHER) as here:
        wall, ada, grace = here.wall, here.people["Ada"], here.people["Grace"]
        card = {"bank": wall.bank, "role": "person", "recipient": ada, "card": "04A2 7F11", "holder": "Bo"}
        await here.ask("POST", "passes", json=card)
        household = await here.grant("person", recipient=ada, holder="Cy")
        await wall.until(lambda: len(wall.desk.document("directory") or b"") > 100, "the directory")
        await wall.cut()
        courier = await here.courier()
        doors = []
        for label, name in (("N-1", "lovelace"), ("N-2", "ada lov"), ("N-3", "hopper 12")):
            await courier.then("label", "recipient", label=label)
            await courier.name(name)
            doors.append(await courier.put_in(label))
        assert doors[0] == doors[1] != doors[2] and courier.values["stored"] == 3
        await courier.then("no_label", "photo")
        await courier.press("no_photo")
        await courier.name("Ada")
        await courier.shows("open")
        assert courier.values["shared"] and courier.door == doors[0]
        await wall.power_cut()
        wall.shut(doors[0])
        again = await here.person(here.place.courier)
        await again.shows("closed", "unresolved")
        await again.press("confirm")
        assert (again.screen, again.values["stored"]) == ("courier", 4)
        await again.then("label", "recipient", label="N-5")
        await again.press("search", text="nobody")
        assert again.values["people"] == [] and not again.values["held"]
        await again.press("unknown_recipient")
        assert again.refused == "unknown_recipient"
        await again.press("cannot_deliver")
        await again.press("give_up", reason="unknown_recipient")
        assert (again.values["stored"], again.values["undelivered"]) == (4, 1)
        await again.press("sign_out")

        mine = [str(x.id) for x in wall.loop.bank.stays.values() if x.about.recipient == ada]
        bo = Person(wall)
        await bo.press("card", card="04a27f11")
        await bo.shows("open")
        assert bo.door == doors[0] and set(bo.values["stays"]) == set(mine)
        await bo.press("report", what="left_behind")
        assert bo.screen == "which"
        await bo.press("report", what="left_behind", stay=mine[2])
        await bo.press("report", what="damaged", left=False, stay=mine[1])
        wall.shut(doors[0])
        await bo.shows("mine")
        assert [x["stay"] for x in bo.values["stays"]] == [mine[2]]
        await bo.then("again", "open")
        wall.shut(doors[0])
        await bo.shows("mine")
        await bo.press("sign_out")
        await wall.power_cut()
        await here.pass_time(hours=2)
        wall.mend()
        await here.told_of(*mine)
        await here.becomes(mine[0], "collected")
        assert (await here.becomes(mine[1], "collected"))["reason"] == "damaged"
        await here.becomes(mine[2], "deposited")

        # What is left for a day goes back: one of two behind one door, a return list of one carrier, an empty box.
        await here.pass_time(hours=24)
        (graces,) = [str(x.id) for x in wall.loop.bank.stays.values() if x.about.recipient == grace]
        await here.becomes(graces, "expired")
        await here.becomes(mine[2], "expired")
        await wall.cut()
        cy = await here.person(household)
        await cy.take()
        last = await here.courier()
        await last.then("take_out", "takeout")
        assert [x["stay"] for x in last.values["stays"]] == [graces]
        await last.then("take", "open", stay=graces)
        await wall.power_cut()
        wall.shut(doors[2])
        last = await here.courier()
        await last.shows("courier")
        await last.press("sign_out")
        wall.mend()
        assert (await here.becomes(mine[2], "collected"))["presumed"] is False
        await here.becomes(graces, "recalled")
        await here.tasks()


async def test_many_couriers_at_once_get_a_door_each_and_the_last_one_goes_to_one(
    database: str, tmp_path: Path
) -> None:
    """As phones at one wall do; and many at the cloud ask for the same last compartment."""
    async with days(database, tmp_path) as here:
        wall = here.wall
        stays = [await here.announce(f"LW-{n}") for n in range(12)]
        couriers = [await here.courier() for _ in range(9)]
        for n, each in enumerate(couriers[:8]):
            await each.press("label", label=f"LW-{min(n, 6)}")  # the last two have the same parcel
        await asyncio.gather(*(each.press("agree") for each in couriers[:8]))
        (second,) = [x for x in couriers[6:8] if x.refused]
        assert second.refused == "already_here"
        first = [x for x in couriers[:8] if x is not second]
        for each in first:
            await each.shows("open")
        doors = [x.door for x in first]
        assert len(set(doors)) == 7
        for each in first:
            await each.put_in()

        # One is free. At the cloud, then at the wall.
        until = (here.time.utc() + timedelta(hours=2)).isoformat()
        asked = [here.ask("POST", f"stays/{x}/reservation", 202, json={"until": until}) for x in stays[8:]]
        await asyncio.gather(*asked)
        (kept,) = await here.see(lambda: here.in_state("reserved", stays[8:]))
        await here.ask("DELETE", f"stays/{kept}", 202)
        await here.becomes(kept, "cancelled")
        await wall.cut()
        last = couriers[6:9]
        await last[0].press("label", label="LW-7")
        for each in last[1:]:
            await each.press("no_label")
            await each.press("no_photo")
            await each.press("search", text="ada")
            await each.press("recipient", id=here.place.person)
        await asyncio.gather(*(each.press("agree") for each in last))
        await asyncio.gather(*(each.press("deposit") for each in last if each.screen == "size"))
        (winner,) = [x for x in last if x.refused is None]
        assert {x.refused for x in last if x is not winner} == {"no_suitable_compartment"}
        await winner.put_in()
        assert all(x.state == "occupied" for x in wall.loop.bank.compartments.values())
