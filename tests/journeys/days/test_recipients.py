"""Recipients' bad days: all in one visit, what is wrong with it, whom they send, and when they are away."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.journeys.days.wall import PARCEL, Days, Person, days

from latchwork.domain.words import PassId

LONGER: dict[str, Any] = {**PARCEL, "extensions_max": 1, "extension_hours": 48}


async def delivered(here: Days, *labels: str, **more: Any) -> list[str]:
    """Announced, put in and known to the cloud."""
    stays = [await here.announce(label, **more) for label in labels]
    courier = await here.courier()
    for label in labels:
        await courier.deliver(label)
    await courier.press("sign_out")
    for stay in stays:
        await here.becomes(stay, "deposited")
    return stays


async def test_one_visit_for_all_some_left_behind_and_the_same_code_again(database: str, tmp_path: Path) -> None:
    async with days(database, tmp_path) as here:
        wall = here.wall
        one, two = await delivered(here, "LW-1", "LW-2")
        (other,) = await delivered(here, "LW-3", recipient=here.people["Grace"])
        code = wall.pickup(one)
        await wall.cut()
        ada = await here.person(code)
        await ada.take()
        assert [x["stay"] for x in ada.values["stays"]] == [two]
        await ada.then("take", "open", stay=two)
        await ada.press("report", what="left_behind")
        wall.shut(ada.door)
        await ada.shows("mine")
        await ada.press("sign_out")
        await wall.power_cut()
        again = await here.person(code)
        assert again.screen == "mine" and again.values["last"]["stays"] == [one]
        await again.then("take", "open", stay=two)
        await again.take()
        await again.press("sign_out")
        wall.mend()
        await here.becomes(one, "collected")
        await here.becomes(two, "collected")
        assert (await here.stay(other))["state"] == "deposited"
        await here.tasks()


async def test_what_people_find_becomes_tasks_that_the_wall_closes(database: str, tmp_path: Path) -> None:
    async with days(database, tmp_path) as here:
        wall = here.wall
        strange, gone, broken, refused = await delivered(here, "LW-1", "LW-2", "LW-3", "LW-4")
        await wall.cut()
        ada = await here.person(wall.pickup(strange))
        await ada.shows("open")
        await ada.press("report", what="not_mine")
        wall.shut(ada.door)
        await ada.shows("mine", "thanks")
        await ada.then("take", "open", stay=gone)
        empty = ada.door
        await ada.press("report", what="compartment_empty")
        wall.shut(empty)
        await ada.shows("mine", "thanks")
        await ada.then("take", "open", stay=broken)
        await ada.press("report", what="damaged", left=True)
        wall.shut(ada.door)
        await ada.shows("mine", "thanks")
        await ada.press("take", stay=refused)
        await ada.shows("open")
        wall.shut(ada.door)
        await ada.shows("mine", "thanks")
        await ada.press("report", what="refused")
        await ada.press("sign_out")
        await wall.power_cut()
        wall.mend()
        await here.becomes(strange, "exception")
        await here.becomes(gone, "exception")
        tasks = await here.tasks("wrong_recipient", "missing", "refused", "refused")
        assert set(tasks) == {strange, empty, broken, refused}
        assert (tasks[empty]["stay"], tasks[empty]["stay_label"]) == (gone, "LW-2"), "which parcel is missing"

        await here.ask("POST", f"stays/{strange}/reassign", 202, json={"recipient": here.people["Grace"]})
        await here.becomes(strange, "deposited")
        await here.tasks("missing", "refused", "refused")
        await wall.cut()
        courier = await here.courier()
        await courier.then("take_out", "takeout")
        assert {x["stay"] for x in courier.values["stays"]} == {broken, refused}
        for stay in (broken, refused):
            await courier.then("take", "open", stay=stay)
            await courier.take()
        await courier.press("sign_out")
        staff = await here.staff()
        await staff.then("audit", "open", "audit")
        assert staff.door == empty or staff.screen == "audit"
        await staff.press("sign_out")
        for door in sorted(wall.open):
            wall.shut(door)
        staff = await here.staff()
        await staff.then("door", "why", door=empty)
        await staff.then("look", "look")
        await staff.press("seen", empty=True)
        assert wall.state(empty) == "vacant"
        grace = await here.person(wall.pickup(strange))
        await grace.take()
        wall.mend()
        await here.becomes(strange, "collected")
        await here.tasks()


async def test_somebody_is_sent_while_the_wall_is_off_line(database: str, tmp_path: Path) -> None:
    """By a QR code, which it believes until it has heard that they are taken back."""
    async with days(database, tmp_path, mail=True) as here:
        wall = here.wall
        one, two, three = await delivered(here, "LW-1", "LW-2", "LW-3")
        await wall.cut()
        until = (here.time.utc() + timedelta(days=1)).isoformat()
        sent = {}
        for stay, name in ((one, "Bo"), (two, "Cy"), (three, "Di")):
            body = {"name": name, "email": f"{name}@example.org", "until": until}
            sent[stay] = await here.ask("POST", f"stays/{stay}/delegates", 202, json=body)
            assert (sent[stay]["state"], sent[stay]["digits"]) == ("asked", None) and sent[stay]["ticket"]
        page = (await here.stay(one))["page"]
        assert "believes this QR code" in (await here.place.http.get(page)).text
        await here.tend()
        await here.pass_time(minutes=2)
        await here.tend()
        (mail,) = await here.place.mails(1, to="Bo@example.org")
        assert "has not heard of you yet" in mail["text"] and mail["subject"].startswith("Please fetch a parcel")

        bo = Person(wall)
        await bo.then("ticket", "open", text=sent[one]["ticket"])
        door = bo.door
        await wall.power_cut()
        bo = Person(wall)
        await bo.then("ticket", "open", text=sent[one]["ticket"])
        assert bo.door == door == "01"
        await bo.take()
        assert bo.values["end"] == "collected", "one parcel, and nothing else that is theirs"
        await here.ask("DELETE", f"stays/{two}/delegates/{sent[two]['id']}", 202)
        await here.ask("POST", f"stays/{three}/reassign", 202, json={"recipient": here.people["Grace"]})
        wall.mend()
        await here.becomes(one, "collected")
        await here.becomes(three, "deposited")
        await wall.until(lambda: PassId(sent[two]["id"]) in wall.stay(two).delegates, "the wall has heard of Cy")

        async def known() -> bool | None:
            (cy,) = await here.ask("GET", f"stays/{two}/delegates")
            return cy["state"] == "revoked" or None

        await here.see(known)
        assert [x["state"] for x in await here.ask("GET", f"stays/{one}/delegates")] == ["used"]
        await wall.cut()
        for stay in (one, two, three):
            late = Person(wall)
            await late.press("ticket", text=sent[stay]["ticket"])
            assert late.refused == "parcel_not_available", stay
        ada = await here.person(wall.pickup(two))
        await ada.shows("open")
        await wall.power_cut()
        again = await here.person(wall.pickup(two))
        await again.take()
        assert (again.screen, again.values["end"]) == ("thanks", "collected"), "the power does not change the end"
        await here.tasks()


async def test_somebody_is_sent_a_household_comes_and_a_holiday_is_kept(database: str, tmp_path: Path) -> None:
    async with days(database, tmp_path, LONGER) as here:
        wall = here.wall
        one, two, three = await delivered(here, "LW-1", "LW-2", "LW-3")
        until = (here.time.utc() + timedelta(days=1)).isoformat()
        bo = await here.ask("POST", f"stays/{one}/delegates", 202, json={"name": "Bo", "until": until})
        cy = await here.ask("POST", f"stays/{two}/delegates", 202, json={"name": "Cy", "until": until})

        async def digits() -> list[str] | None:
            found = [x["digits"] for s in (one, two) for x in await here.ask("GET", f"stays/{s}/delegates")]
            return found if all(found) else None

        codes = await here.see(digits)
        await wall.cut()
        revoked = await here.ask("DELETE", f"stays/{two}/delegates/{cy['id']}")
        assert bo["id"] != cy["id"]
        sent = await here.person(codes[0])
        await sent.take()
        assert not sent.values.get("stays"), "one parcel, and nothing else that is theirs"
        await sent.press("sign_out")
        wall.mend()
        await here.becomes(one, "collected")

        async def answered() -> bool | None:
            return (await here.ask("GET", f"instructions/{revoked['instruction']}"))["state"] == "done" or None

        await here.see(answered)
        await wall.cut()
        late = await here.person(codes[1])
        assert late.refused == "wrong_code"

        ada = await here.person(wall.pickup(two))
        await ada.shows("open")
        wall.shut(ada.door)
        await ada.shows("mine", "thanks")
        before = wall.stay(three).deadline
        await ada.press("extend", stay=three)
        after = wall.stay(three).deadline
        assert before and after and after - before == timedelta(hours=48)
        await ada.press("sign_out")
        wall.mend()
        holiday = (here.time.utc() + timedelta(days=20)).isoformat()
        await here.ask("POST", f"stays/{three}/hold", 202, json={"until": holiday})
        await here.becomes(three, "deposited")
        await wall.cut()
        await here.pass_time(days=10)
        await wall.power_cut()
        await wall.until(lambda: bool(wall.loop.bank.compartments))
        wall.mend()
        assert (await here.becomes(three, "deposited"))["deadline"] is not None
        back = await here.person(wall.pickup(three))
        await back.take()
        await here.becomes(three, "collected")
        await here.tasks()
