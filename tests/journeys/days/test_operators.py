"""An operator's bad days: what is changed from afar while the wall cannot be heard, and what staff does there."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.journeys.days.test_recipients import delivered
from tests.journeys.days.wall import days


async def test_late_orders_meet_what_has_happened_meanwhile(database: str, tmp_path: Path) -> None:
    """Two days without network, with a restart: the door wins, and every order gets its answer."""
    async with days(database, tmp_path) as here:
        wall = here.wall
        (there,) = await delivered(here, "LW-1")
        coming = await here.announce("LW-2")
        await wall.cut()
        soon = (here.time.utc() + timedelta(hours=1)).isoformat()
        unheard = (await here.place.announce("LW-3", reserve_until=soon))["id"]
        ada = await here.person(wall.pickup(there))
        await ada.take()
        await ada.press("sign_out")
        courier = await here.courier()
        await courier.deliver("LW-2")
        await courier.then("label", "recipient", label="LW-9")
        await courier.then("search", "recipient", text="12")
        await courier.press("recipient", id=here.place.person)
        while courier.screen in ("confirm", "size"):
            await courier.press("agree" if courier.screen == "confirm" else "deposit")
        await courier.put_in("LW-9")
        await courier.press("sign_out")
        await here.pass_time(days=2)
        await wall.power_cut()

        asked = {
            "block": await here.ask("POST", f"stays/{there}/block", 202),
            "cancel": await here.ask("DELETE", f"stays/{coming}", 202),
        }
        late = await here.place.announce("LW-9")
        assert (await here.stay(coming))["pending"] == ["Cancel"]
        opened = await here.ask(
            "POST", f"banks/{wall.bank}/compartments/05/open", 202, json={"reason": "inspection", "note": "x"}
        )
        granted = await here.ask("POST", "passes", 202, json={"bank": wall.bank, "role": "courier"})
        orders = [*asked.values(), opened, granted, await here.ask("GET", f"instructions/{opened['instruction']}")]
        heard = {order["heard_at"] for order in orders}
        assert heard == {(await here.stay(there))["heard_at"]}, (
            "whatever is asked of a wall says when that was last heard"
        )
        await here.pass_time(minutes=10)
        wall.mend()
        await here.becomes(there, "collected")
        await here.becomes(coming, "deposited")
        assert (await here.becomes(unheard, "expected"))["reason"] is None, "nothing is reserved, and it comes"
        found = await here.becomes(late["id"], "deposited")
        assert found["tracking"] == "LW-9" and found["linked_to"]
        for order in asked.values():
            answer = await here.ask("GET", f"instructions/{order['instruction']}")
            assert answer["refusal"] in ("parcel_not_available", "already_here"), answer

        told = await here.ask("GET", f"stays/{there}/timeline")
        assert [x["asked"] for x in told if x["kind"] == "Answered"] == ["Amend"]
        page = (await here.place.http.get((await here.stay(there))["page"])).text
        assert "Asked to change it, the locker said no" in page and "with this code" not in page

        async def void() -> dict[str, Any] | None:
            answer = await here.ask("GET", f"instructions/{opened['instruction']}")
            return answer if answer["refusal"] else None

        assert (await here.see(void))["refusal"] == "expired"
        assert not wall.open, "an old order opens nothing"
        task = (await here.tasks("too_late"))[there]
        assert (task["detail"], task["by_hand"]) == ("on hold", True) and task["heard_at"]


async def test_blocked_moved_withdrawn_and_audited(database: str, tmp_path: Path) -> None:
    async with days(database, tmp_path) as here:
        wall = here.wall
        one, two = await delivered(here, "LW-1", "LW-2")
        await here.ask("POST", f"stays/{one}/block", 202)
        await here.becomes(one, "blocked")
        await here.ask("POST", f"banks/{wall.bank}/withdraw", 202, json={"compartments": ["02", "03"]})
        await here.compartment("03", "out_of_service")
        await wall.cut()
        ada = await here.person(wall.pickup(two))
        await ada.shows("open")
        wall.shut(ada.door)
        await ada.shows("mine", "thanks")
        await ada.press("report", what="left_behind")
        await ada.press("sign_out")
        blocked = await here.person(wall.pickup(one))
        assert blocked.refused == "blocked"
        await blocked.press("sign_out")
        staff = await here.staff()
        await staff.then("door", "why", door="02")
        await staff.then("thing", "thing", stay=two)
        await staff.then("move", "open", stay=two)
        old = staff.door
        await staff.shows("open")
        await wall.until(lambda: len(wall.open) == 2, "both doors open")
        new = next(x for x in wall.open if x != old)
        wall.shut(old, new)
        await staff.shows("closed")
        await wall.power_cut()
        await staff.shows("closed", "unresolved", "staff", "open")
        await staff.press("confirm")
        assert wall.stay(two).compartment == new
        assert wall.state("02") == "out_of_service"
        await staff.press("back")
        done: list[str] = []
        await staff.press("audit")
        for _ in range(40):
            await staff.shows("open", "audit", "staff", "look")
            if staff.screen == "staff":
                break
            if staff.screen == "audit":
                if staff.values["done"] == staff.values["total"] or staff.values["door"] is None:
                    break
                await staff.press("audit")
            elif staff.screen == "open":
                done.append(staff.door)
                wall.shut(staff.door)
                await staff.shows("look")
            else:
                recorded = staff.values["recorded_empty"]
                await staff.press("seen", empty=recorded)
        assert len(set(done)) == 8, (done, staff.screen, staff.values)
        wall.mend()
        await here.compartment(new, "occupied")
        assert (await here.becomes(two, "deposited"))["compartment"] == new
        await here.ask("POST", f"banks/{wall.bank}/bring-back", 202, json={"compartments": ["02", "03"]})
        await here.compartment("02", "vacant")
        await here.pass_time(hours=80)
        await here.tend()
        assert (await here.tasks("blocked"))[one]["stay_label"] == "LW-1", "nothing ends it but a person"
        until = (here.time.utc() + timedelta(days=1)).isoformat()
        await here.ask("POST", f"stays/{one}/hold", 202, json={"until": until})
        await here.ask("POST", f"stays/{one}/unblock", 202)
        await here.becomes(one, "deposited")
        await here.tend()
        ada = await here.person(wall.pickup(one))
        await ada.shows("open")
        await here.ask("POST", f"stays/{one}/block", 202)
        task = (await here.tasks("too_late"))[one]
        await ada.take()
        await here.becomes(one, "collected")
        await here.ask("POST", f"tasks/{task['id']}/close", 204, json={"why": "She showed her passport."})
        await here.tasks()


async def test_a_forced_door_is_told_when_the_network_is_back(database: str, tmp_path: Path) -> None:
    async with days(database, tmp_path) as here:
        wall = here.wall
        (stay,) = await delivered(here, "LW-1")
        door = str(wall.stay(stay).compartment)
        await wall.cut()
        wall.force(door)
        await wall.until(lambda: wall.state(door) == "needs_check")
        wall.shut(door)
        await wall.power_cut()
        await here.pass_time(hours=80)
        wall.mend()
        assert door in await here.tasks("forced_door")
        until = (here.time.utc() + timedelta(days=1)).isoformat()
        await here.ask("POST", f"stays/{stay}/hold", 202, json={"until": until})
        ada = await here.person(wall.pickup(stay))
        await ada.shows("open")
        await ada.press("report", what="compartment_empty")
        wall.shut(door)
        await here.becomes(stay, "exception")
        await here.tasks("forced_door", "missing")
        checked = await here.ask("POST", f"banks/{wall.bank}/compartments/{door}/check", 202, json={"empty": True})
        assert checked["instruction"]
        await here.tasks()
        await here.compartment(door, "vacant")
