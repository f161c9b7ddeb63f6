"""A courier's bad days, through the screen, with the network cut."""

from pathlib import Path

from tests.journeys.days.wall import PARCEL, days


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
        assert wall.loop.bank.stays[stays["LW-3"]].compartment == third  # type: ignore[index]

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
