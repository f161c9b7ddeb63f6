"""What may be changed of a stay, who waits for room, and what the server does by and by: with a wall that answers."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import httpx
from tests.server.town import Town, WallBank, town

from latchwork.domain import commands as c
from latchwork.domain.words import (
    BankId,
    CompartmentState,
    OpeningId,
    PartyId,
    PassId,
    PersonId,
    Reason,
    StayId,
    StayState,
)
from latchwork.server import jobs
from latchwork.server.actions.letters import NotSent, letter
from latchwork.server.actions.reminders import DELEGATED
from latchwork.sync import keys

PARCEL: dict[str, Any] = {"id": "parcel", "deposit_by": "courier", "collect_by": "person", "pickup_hours_max": 72}
DOOR_01 = {"width_mm": 400, "height_mm": 100, "depth_mm": 500}
DOOR_12 = {"width_mm": 400, "height_mm": 1200, "depth_mm": 500}


def soon(**later: float) -> str:
    return (datetime.now(UTC) + timedelta(**later)).isoformat()


async def read(place: Town, stay: str) -> dict[str, Any]:
    found: dict[str, Any] = await place.ask("GET", f"stays/{stay}")
    return found


async def until(ask: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await ask():
            await asyncio.sleep(0.1)


async def second_bank(place: Town, name: str = "Yard") -> tuple[str, WallBank]:
    invited = await place.ask("POST", "banks", json={"site": place.site, "name": name})
    wall = WallBank(
        id=BankId(invited["bank"]), doors=2, url=place.url, store=place.cloud.office.store, now=datetime.now(UTC)
    )
    code = invited["enrolment_code"]
    signature = wall.key.sign(keys.enrol_text(code, wall.public)).hex()
    body = {"code": code, "public_key": wall.public.hex(), "signature": signature}
    answer = await place.http.post("/api/v1/enrolments", json=body)
    wall.code_key = bytes.fromhex(answer.json()["code_key"])
    await wall.build()
    await wall.sync()
    return invited["bank"], wall


async def test_a_stay_is_extended_held_blocked_and_freed(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        service = {**PARCEL, "extensions_max": 1, "extension_hours": 24}
        await place.ask("PUT", f"banks/{place.bank}/services", json={"services": [service]})
        stay = await place.deposit()
        before = datetime.fromisoformat((await read(place, stay))["deadline"])
        twice = await asyncio.gather(*(place.ask("POST", f"stays/{stay}/extend", 202) for _ in range(4)))
        assert len({asked["instruction"] for asked in twice}) == 1, "asked twice is asked once"
        assert twice[0]["heard_at"] is not None
        assert (await read(place, stay))["pending"] == ["Extend"]
        await place.wall.sync()
        after = await read(place, stay)
        assert datetime.fromisoformat(after["deadline"]) - before == timedelta(hours=24)
        keyed = {"Idempotency-Key": '"again"'}
        more = await place.ask("POST", f"stays/{stay}/extend", 202, headers=keyed)
        await place.wall.sync()
        assert (await place.ask("GET", f"instructions/{more['instruction']}"))["refusal"] == "no_extension"
        same = await place.ask("POST", f"stays/{stay}/extend", 202, headers=keyed)
        assert same["instruction"] == more["instruction"], "a repeated request asks nothing new, answered or not"

        held = soon(days=20)
        await place.ask("POST", f"stays/{stay}/hold", 202, json={"until": held})
        await place.ask("POST", f"stays/{stay}/hold", 422, json={"until": soon(days=400)})
        await place.ask("POST", f"stays/{stay}/block", 202)
        await place.wall.sync()
        blocked = await read(place, stay)
        assert (blocked["state"], blocked["reason"]) == ("blocked", "blocked")
        assert datetime.fromisoformat(blocked["deadline"]) == datetime.fromisoformat(held)
        await place.ask("POST", f"stays/{stay}/unblock", 202)
        await place.wall.sync()
        assert (await read(place, stay))["state"] == "deposited"
        await place.wall.collect(StayId(stay))
        await place.wall.sync()
        assert (await place.ask("POST", f"stays/{stay}/extend", 409))["reason"] == "parcel_not_available"


async def test_a_parcel_is_given_to_its_right_recipient_who_is_told(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path, mail=True) as place:
        await place.settle()
        stay = await place.deposit()
        pin = (await place.mails(1))[0]["text"].split("Your code: ")[1].splitlines()[0].replace(" ", "")
        grace = {"name": "Grace Hopper", "email": "grace@example.org", "unit": "14", "language": "de"}
        right = (await place.ask("POST", "people", json=grace))["id"]
        await place.ask("POST", f"stays/{stay}/reassign", 202, json={"recipient": right})
        await place.ask("POST", f"stays/{stay}/reassign", 404, json={"recipient": "0" * 32})
        await place.wall.sync()
        assert (await read(place, stay))["recipient_name"] == "Grace Hopper"
        (mail,) = await place.mails(1, "grace@example.org")
        assert "liegt bereit" in mail["subject"]
        fresh = mail["text"].split("Ihr Code: ")[1].splitlines()[0].replace(" ", "")
        assert fresh != pin and keys.code_lookup(place.wall.code_key, pin) not in place.wall.bank.codes
        await place.wall.take_out(fresh)
        await place.wall.sync()
        assert (await read(place, stay))["state"] == "collected"


async def test_what_went_into_the_wrong_flats_name_is_a_task(database: str, tmp_path: Path) -> None:
    """The courier picks a neighbour; the announcement, which comes later, says who it is for."""
    async with town(database, tmp_path) as place:
        await place.settle()
        right = (await place.ask("POST", "people", json={"name": "Grace Hopper"}))["id"]
        label = place.cloud.office.vault.label(place.bank, 1, "LW-9")
        held = await place.wall.put_in(
            place.courier, label=label, recipient=PersonId(place.person), party=PartyId(place.party)
        )
        await place.wall.sync()
        late = (await place.announce("LW-9", recipient=right))["id"]
        await place.wall.sync()

        async def noticed() -> bool:
            return bool(await place.ask("GET", "tasks"))

        await until(noticed)
        (task,) = await place.ask("GET", "tasks")
        assert (task["kind"], task["about"]) == ("wrong_recipient", held)
        assert (await read(place, late))["recipient_name"] == "Ada Lovelace", "the wall's word is what is true"
        await place.ask("POST", f"stays/{late}/reassign", 202, json={"recipient": right})
        await place.wall.sync()
        assert (await read(place, late))["recipient_name"] == "Grace Hopper"
        assert await place.ask("GET", "tasks") == []


async def test_a_delegate_fetches_one_parcel_until_a_time(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path, mail=True) as place:
        await place.settle()
        stay = await place.deposit()
        bo = {"name": "Bo", "email": "bo@example.org", "until": soon(days=1)}
        keyed = {"Idempotency-Key": '"bo"'}
        asked = await place.ask("POST", f"stays/{stay}/delegates", 202, json=bo, headers=keyed)
        assert (asked["state"], asked["digits"]) == ("asked", None)
        await asyncio.sleep(1.1)  # in another second it is the same, its QR code, too
        assert (await place.ask("POST", f"stays/{stay}/delegates", 202, json=bo, headers=keyed)) == asked
        await place.ask("POST", f"stays/{stay}/delegates", 202, json={"name": "Cy", "until": soon(days=1)})
        di = await place.ask(
            "POST", f"stays/{stay}/delegates", 202, json=bo | {"name": "Di", "email": "di@example.org"}
        )
        assert di["ticket"]
        await place.ask("DELETE", f"stays/{stay}/delegates/{di['id']}", 202)
        (called_off,) = [d for d in await place.ask("GET", f"stays/{stay}/delegates") if d["name"] == "Di"]
        assert (called_off["state"], called_off["ticket"]) == ("asked", None), "though the wall has heard nothing"
        assert await letter(place.cloud.office, "n", DELEGATED, stay, di["id"]) == NotSent("outdated")
        await place.wall.sync()
        sent = {d["name"]: d for d in await place.ask("GET", f"stays/{stay}/delegates")}
        assert (sent["Bo"]["state"], sent["Cy"]["email"]) == ("live", None)
        (mail,) = await place.mails(1, "bo@example.org")
        assert "Ada Lovelace" in mail["text"]
        assert mail["text"].split("Your code: ")[1].splitlines()[0].replace(" ", "") == sent["Bo"]["digits"]
        await place.ask("DELETE", f"stays/{stay}/delegates/{sent['Cy']['id']}", 202)
        await place.ask("DELETE", f"stays/{stay}/delegates/{'0' * 32}", 404)
        await place.wall.sync()
        sent = {d["name"]: d for d in await place.ask("GET", f"stays/{stay}/delegates")}
        assert (sent["Cy"]["state"], sent["Cy"]["digits"]) == ("revoked", None)
        await place.wall.take_out(sent["Bo"]["digits"])
        await place.wall.sync()
        assert (await read(place, stay))["state"] == "collected"
        await place.ask("POST", f"stays/{stay}/delegates", 409, json=bo)
        await place.ask("DELETE", f"people/{place.person}", 200)
        assert await place.cloud.office.store.fetch("SELECT 1 FROM delegates") == []


async def test_a_household_card_and_a_code_that_changes_daily(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        card = {"bank": place.bank, "role": "person", "recipient": place.person, "card": "04 A2 7F", "holder": "Kim"}
        granted = await place.ask("POST", "passes", 202, json=card)
        await place.ask("POST", "passes", 422, json={"bank": place.bank, "role": "person"})
        await place.ask("POST", "passes", 422, json={**card, "daily": True})
        await place.ask("POST", "passes", 404, json={**card, "recipient": "0" * 32})
        await place.ask("POST", "passes", 422, json={**card, "code": "12345678"})
        known = {"bank": place.bank, "role": "courier", "code": "600700800"}
        elsewhere = await place.ask("POST", "passes", 202, json=known)
        stay = await place.deposit()
        held = place.wall.bank.passes[place.wall.bank.codes[keys.card_lookup(place.wall.code_key, "04a27f")]].grant
        assert (held.pass_id, held.recipient) == (granted["id"], place.person)
        assert (await place.ask("GET", f"passes/{granted['id']}"))["digits"] is None, "a card has no digits of ours"
        assert place.wall.pass_with("600700800") == elsewhere["id"]
        session = await place.wall.sign_in(PassId(granted["id"]))
        opening = await place.wall.do(c.Collect(session, OpeningId(place.wall.fresh()), StayId(stay)))
        assert opening.refusal is None
        await place.wall.swing()
        await place.wall.sync()
        assert (await read(place, stay))["state"] == "collected"

        day = 0
        while day != _day_in_berlin():  # again where midnight comes in between
            day = _day_in_berlin()
            daily, today, tomorrow = await _daily_code(place, database)
        assert (today["daily"], today["predicted"]) == (True, False)
        assert place.wall.pass_with(today["digits"]) == daily
        expected = place.cloud.office.vault.digits(place.bank, 1, daily, day * keys.CODES_OFFERED, len(today["digits"]))
        assert (tomorrow["predicted"], tomorrow["digits"], tomorrow["before"]) == (True, expected, today["digits"])


def _day_in_berlin() -> int:
    return datetime.now(ZoneInfo("Europe/Berlin")).date().toordinal()


async def _daily_code(place: Town, database: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Of a new pass: its id, and what is told of it today and once its day is over."""
    daily = await place.ask("POST", "passes", 202, json={"bank": place.bank, "role": "courier", "daily": True})
    await place.wall.sync()
    today = await place.ask("GET", f"passes/{daily['id']}")
    connection = await asyncpg.connect(database)
    await connection.execute("UPDATE passes SET valid_until = now() - interval '1 s' WHERE daily")
    await connection.close()
    return daily["id"], today, await place.ask("GET", f"passes/{daily['id']}")


async def test_holiday_holds_whatever_comes_meanwhile(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        back = soon(days=30)
        person = await place.ask("PUT", f"people/{place.person}/holiday", 200, json={"until": back})
        assert person["away_until"] is not None
        stay = await place.deposit()

        async def held() -> bool:
            await place.wall.sync()
            return datetime.fromisoformat((await read(place, stay))["deadline"]) == datetime.fromisoformat(back)

        await until(held)
        count = "SELECT count(*) FROM instructions WHERE kind = 'Amend'"
        assert (await place.cloud.office.store.fetch(count))[0][0] == 1
        assert (await place.ask("PUT", f"people/{place.person}/holiday", 200, json={}))["away_until"] is None
        await place.ask("PUT", f"people/{place.person}/holiday", 422, json={"until": soon(days=300)})


async def test_what_is_still_expected_goes_to_another_bank(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        other, wall = await second_bank(place)
        stay = (await place.announce("LW-1"))["id"]
        await place.wall.sync()
        asked = await place.ask("POST", f"stays/{stay}/redirect", 202, json={"bank": other})
        again = await place.ask("POST", f"stays/{stay}/redirect", 409, json={"bank": other})
        assert (asked["kind"], again["reason"]) == ("Cancel", "already_asked")
        await wall.sync()
        assert len(wall.bank.stays) == 0, "not before the first wall has answered"
        await place.wall.sync()

        async def announced() -> bool:
            await wall.sync()
            return len(wall.bank.stays) == 1

        await until(announced)
        await wall.sync()
        shown = await read(place, stay)
        assert (shown["id"], shown["bank"], shown["state"]) == (stay, other, "expected")
        assert len(await place.ask("GET", "stays")) == 1
        await jobs.step(place.cloud.office)
        assert len(await place.ask("GET", "stays")) == 1

        # Back again: both walls have had it, under an id of its own each; its page and its id stay.
        await place.ask("POST", f"stays/{stay}/redirect", 202, json={"bank": place.bank})

        async def back() -> bool:
            await wall.sync()
            await place.wall.sync()
            return len(place.wall.bank.stays) == 1

        await until(back)
        (again,) = place.wall.bank.stays
        await place.wall.put_in(place.courier, again)
        await place.wall.sync()
        shown = await read(place, stay)
        assert (shown["id"], shown["bank"], shown["state"]) == (stay, place.bank, "deposited")
        assert {e["bank"] for e in await place.ask("GET", f"stays/{stay}/timeline")} == {None, place.bank, other}
        assert (await place.ask("POST", f"stays/{stay}/redirect", 409, json={"bank": other}))["reason"]
        plain = {**PARCEL, "id": "books"}
        await place.ask("PUT", f"banks/{other}/services", 202, json={"services": [plain]})
        book = (await place.announce("LW-2"))["id"]
        said = await place.ask("POST", f"stays/{book}/redirect", 422, json={"bank": other})
        assert said["reason"] == "unknown_service" and (await read(place, book))["pending"] == ["Expect"]

        # While the first wall is asked, the second bank changes its mind: nobody takes it, until another bank does.
        plain["id"] = "parcel"
        await place.ask("PUT", f"banks/{other}/services", 202, json={"services": [plain]})
        await place.ask("POST", f"stays/{book}/redirect", 202, json={"bank": other})
        plain["id"] = "books"
        await place.ask("PUT", f"banks/{other}/services", 202, json={"services": [plain]})
        await place.wall.sync()
        await until(lambda: _tasks(place, book))
        assert (await place.ask("GET", "tasks"))[0]["kind"] == "no_place"
        shown = await read(place, book)
        assert (shown["state"], shown["reason"], shown["fallback"]) == ("exception", "unknown_service", "none")
        third, wall = await second_bank(place, "Mall")
        await place.ask("POST", f"stays/{book}/redirect", 202, json={"bank": third})
        await until(lambda: _tasks(place))
        await wall.sync()
        shown = await read(place, book)
        assert (shown["bank"], shown["state"], shown["fallback"]) == (third, "reserved", None)


async def test_what_cannot_be_delivered_goes_to_the_neighbour(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        other, wall = await second_bank(place)
        rules = {"fallbacks": ["neighbour", "desk"], "neighbour": other}
        await place.ask("PUT", f"banks/{place.bank}/policy", 202, json=rules)
        stay = (await place.announce("LW-1"))["id"]
        await place.wall.sync()
        session = await place.wall.sign_in(place.wall.pass_with(place.courier))
        given = await place.wall.do(c.GiveUp(session, StayId(stay), Reason.NO_SUITABLE_COMPARTMENT))
        assert given.refusal is None
        await place.wall.sync()
        assert (await read(place, stay))["fallback"] == "neighbour"

        async def moved() -> bool:
            await place.wall.sync()
            await wall.sync()
            return len(wall.bank.stays) == 1

        await until(moved)
        assert len(place.wall.bank.stays) == 0


async def test_what_finds_no_room_goes_on_by_the_chain(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path, mail=True) as place:
        await place.settle()
        other, wall = await second_bank(place)
        held = await place.deposit("LW-held")
        pin = (await place.mails(1))[0]["text"].split("Your code: ")[1].splitlines()[0].replace(" ", "")
        rules = {"fallbacks": ["neighbour", "shelf", "desk"], "neighbour": other}
        await place.ask("PUT", f"banks/{place.bank}/policy", 202, json=rules)
        await place.ask("POST", f"banks/{place.bank}/withdraw", 202, json={})
        await place.wall.sync()

        # The neighbour has room: it comes there, with the code that its recipient has here already.
        kept: dict[str, Any] = {"size": DOOR_01, "reserve_until": soon(days=1)}
        first = (await place.announce("LW-1", **kept))["id"]

        async def moved() -> bool:
            await place.wall.sync()
            await wall.sync()
            return bool((await read(place, first))["state"] == "reserved")

        await until(moved)
        shown = await read(place, first)
        assert (shown["bank"], shown["compartment"]) == (other, "01")
        (mail,) = [x for x in await place.mails(2) if "another locker" in x["subject"]]
        assert "comes to Yard" in mail["text"]
        granted = await place.ask("POST", "passes", 202, json={"bank": other, "role": "courier"})
        await wall.sync()
        await wall.put_in((await place.ask("GET", f"passes/{granted['id']}"))["digits"], shown["linked_to"])
        await wall.sync()
        page = (await place.http.get(shown["page"])).text
        assert "from the other locker opens it too" in page
        await wall.take_out(pin)
        await wall.sync()
        assert (await read(place, first))["state"] == "collected"
        assert (await read(place, held))["state"] == "deposited"

        # It is too large for the neighbour, and no shelf is here: the desk has it, and its recipient is told.
        second = (await place.announce("LW-2", size=DOOR_12, reserve_until=soon(days=1)))["id"]
        await place.wall.sync()

        async def told() -> bool:
            return any("elsewhere" in x["subject"] for x in await place.mails(2))

        await until(told)
        shown = await read(place, second)
        assert (shown["state"], shown["reason"], shown["fallback"]) == ("exception", "no_suitable_compartment", "desk")
        assert "at the desk" in (await place.http.get(shown["page"])).text
        (mail,) = [x for x in await place.mails(2) if "elsewhere" in x["subject"]]
        assert "desk" in mail["text"]

        # Without a desk, nobody has it, and that is said as well.
        rules["fallbacks"] = ["neighbour"]
        await place.ask("PUT", f"banks/{place.bank}/policy", 202, json=rules)
        third = (await place.announce("LW-3", size=DOOR_12, reserve_until=soon(days=1)))["id"]
        await place.wall.sync()

        async def nowhere() -> bool:
            return bool((await read(place, third))["fallback"] == "none")

        await until(nowhere)
        (task,) = await place.ask("GET", "tasks")
        assert (task["kind"], task["about"], task["by_hand"]) == ("no_place", third, True)

        # Another bank is tried, whose wall does not take it either.
        await place.ask("POST", f"stays/{third}/redirect", 202, json={"bank": other})

        async def kept_there() -> bool:
            asked = "SELECT body FROM instructions WHERE bank = $1 AND kind = 'Expect' AND answered_at IS NULL"
            return any(b'"until":"' in row[0] for row in await place.cloud.office.store.fetch(asked, other))

        await until(kept_there)
        await wall.sync()
        await until(lambda: _stuck(place, third))


async def _stuck(place: Town, stay: str) -> bool:
    return await _tasks(place, (await read(place, stay))["linked_to"])


async def _tasks(place: Town, *about: str) -> bool:
    return [task["about"] for task in await place.ask("GET", "tasks")] == list(about)


async def test_availability_counts_what_is_counted_on(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        ask = f"banks/{place.bank}/availability"
        large: dict[str, Any] = {"size": DOOR_12}
        found = await place.ask("POST", ask, 200, json=large)
        assert (found["fits"], found["room"], found["free"], found["reason"]) == (True, True, 1, None)
        assert found["as_of"] is not None and found["service"] == "parcel"
        soft = {**large, "until": soon(hours=1)}
        kept = await place.ask("POST", f"banks/{place.bank}/soft-reservations", 201, json=soft)
        found = await place.ask("POST", ask, 200, json=large)
        assert (found["fits"], found["room"], found["reason"]) == (True, False, "no_suitable_compartment")
        assert (await place.ask("POST", ask, 200, json={}))["free"] == 11
        await place.ask("POST", f"banks/{place.bank}/soft-reservations", 409, json=soft)
        await place.ask("DELETE", f"soft-reservations/{kept['id']}", 204)
        await place.ask("DELETE", f"soft-reservations/{kept['id']}", 404)

        async def race(n: int) -> httpx.Response:
            headers = {"Authorization": f"Bearer {place.token}", "Idempotency-Key": f'"{n}"'}
            path = f"/api/v1/banks/{place.bank}/soft-reservations"
            return await place.http.post(path, headers=headers, json=soft)

        raced = await asyncio.gather(*(race(n) for n in range(8)))
        assert sorted(x.status_code for x in raced) == [201] + 7 * [409], "of eight at once one has the last room"
        (winner,) = (n for n, x in enumerate(raced) if x.status_code == 201)
        made = raced[winner].json()["id"]
        assert (await race(winner)).json()["id"] == made
        await place.ask("DELETE", f"soft-reservations/{made}", 204)
        assert (await place.ask("POST", ask, 200, json=large))["room"]

        # What the wall was asked to keep and has not answered is counted on as well, until that is taken back.
        kept = (await place.announce("LW-12", **large, reserve_until=soon(days=1)))["id"]
        assert not (await place.ask("POST", ask, 200, json=large))["room"]
        await place.ask("DELETE", f"stays/{kept}", 202)
        assert (await place.ask("POST", ask, 200, json=large))["room"]
        kept = (await place.announce("LW-13", **large))["id"]
        assert (await place.ask("POST", ask, 200, json=large))["room"], "only a reservation counts"
        await place.ask("POST", f"stays/{kept}/reservation", 202, json={"until": soon(days=1)})
        await place.ask("POST", f"stays/{kept}/reservation", 202, json={"until": soon(days=2)})
        assert (await place.ask("POST", ask, 200, json=large))["reason"] == "no_suitable_compartment"
        await place.ask("DELETE", f"stays/{kept}/reservation", 202)
        assert (await place.ask("POST", ask, 200, json=large))["room"]
        huge = {"size": {**DOOR_12, "height_mm": 5000}}
        found = await place.ask("POST", ask, 200, json=huge)
        assert (found["fits"], found["room"]) == (False, False)
        stay = (await place.announce("LW-low", in_reach=True))["id"]
        assert (await read(place, stay))["in_reach"]
        low = await place.ask("POST", ask, 200, json={"in_reach": True})
        assert (low["room"], low["reason"]) == (False, "none_in_reach")
        assert len(place.wall.bank.stays) == 0


async def test_who_waits_for_a_full_bank_is_offered_room_in_turn(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path, mail=True) as place:
        await place.settle()
        first, second, small = [
            (await place.announce(f"LW-{n}", size=size))["id"] for n, size in ((1, DOOR_12), (2, DOOR_12), (3, DOOR_01))
        ]
        blocker = (await place.announce("LW-0", size=DOOR_12, reserve_until=soon(days=1)))["id"]
        await place.wall.sync()
        for stay in (first, second):
            body = {"until": soon(days=1), "wait": True, "offer_minutes": 60}
            await place.ask("POST", f"stays/{stay}/reservation", 202, json=body)
        await place.ask("POST", f"stays/{first}/reservation", 409, json={"until": soon(days=1), "wait": True})
        await place.wall.sync()
        connection = await asyncpg.connect(database)
        try:

            async def in_line() -> bool:
                rows = await connection.fetch("SELECT 1 FROM waiting WHERE instruction IS NULL")
                return len(rows) == 2

            await until(in_line)
            assert [(await read(place, x))["waiting_position"] for x in (first, second)] == [1, 2]
            page = (await place.http.get((await read(place, second))["page"])).text
            assert "It is number 2 in line" in page
            found = await place.ask("POST", f"banks/{place.bank}/availability", 200, json={"size": DOOR_12})
            assert (found["waiting"], found["room"]) == (2, False)
            asked = await place.ask("POST", f"stays/{small}/reservation", 202, json={"until": soon(days=1)})
            await place.ask("DELETE", f"stays/{blocker}", 202)
            await place.wall.sync()
            assert (await place.ask("GET", f"instructions/{asked['instruction']}"))["state"] == "done"
            await connection.execute("UPDATE waiting SET again_at = '-infinity'")

            async def offered() -> bool:
                await place.wall.sync()
                return bool((await read(place, first))["state"] == "reserved")

            await until(offered)
            shown = await read(place, first)
            assert (shown["waiting_position"], shown["compartment"]) == (None, "12")
            assert (await read(place, second))["state"] == "expected"
            (mail,) = await place.mails(1)
            assert "room" in mail["subject"].lower()

            # The offer passes: the wall lets go by itself, and the next in line is asked.
            await connection.execute("UPDATE waiting SET offered_until = now() - interval '1 s' WHERE stay = $1", first)
            await connection.execute("UPDATE waiting SET again_at = '-infinity'")
            place.wall.now = datetime.now(UTC) + timedelta(hours=2)
            await place.wall.do(c.Tick())
            await place.wall.sync()

            async def next_one() -> bool:
                await place.wall.sync()
                return (
                    len(
                        await connection.fetch(
                            "SELECT 1 FROM waiting WHERE stay = $1 AND offered_until IS NOT NULL", second
                        )
                    )
                    == 1
                )

            await until(next_one)
            assert (await read(place, first))["state"] == "expected"
            assert await connection.fetch("SELECT 1 FROM waiting WHERE stay = $1", first) == []
            await place.ask("DELETE", f"stays/{second}/reservation", 202)
            assert await connection.fetch("SELECT 1 FROM waiting") == []
        finally:
            await connection.close()


async def test_what_finds_no_room_waits_if_it_was_announced_so(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        kept: dict[str, Any] = {"size": DOOR_12, "reserve_until": soon(days=1)}
        blocker = (await place.announce("LW-0", **kept))["id"]
        await place.wall.sync()
        first = (await place.announce("LW-1", **kept, wait=True))["id"]
        lost = (await place.announce("LW-2", **kept))["id"]
        await place.announce("LW-3", 422, wait=True)
        await place.wall.sync()
        refused = await read(place, lost)
        assert (refused["state"], refused["reason"]) == ("exception", "no_suitable_compartment")

        async def in_line() -> bool:
            return bool((await read(place, first))["waiting_position"] == 1)

        await until(in_line)
        assert (await read(place, first))["state"] == "expected"

        # Nobody jumps the queue, however the wall would decide: it gives to whoever asks it first.
        await place.ask("DELETE", f"stays/{blocker}", 202)
        said = await place.announce("LW-4", 409, **kept)
        assert said["reason"] == "no_suitable_compartment"
        small = await place.announce("LW-5", 201, size=DOOR_01, reserve_until=soon(days=1))
        second = (await place.announce("LW-6", **kept, wait=True))["id"]
        await place.wall.sync()
        assert (await read(place, small["id"]))["state"] == "reserved", "room that nobody waits for"
        assert place.wall.bank.stays[StayId(second)].compartment is None
        await place.ask("POST", f"stays/{lost}/reservation", 409, json={"until": soon(days=1)})
        assert (
            await place.ask("POST", f"stays/{lost}/reservation", 202, json={"until": soon(days=1), "wait": True})
            is None
        )

        async def lined_up() -> bool:
            await place.wall.sync()
            return [(await read(place, x))["waiting_position"] for x in (first, second, lost)] == [1, 2, 3]

        await until(lined_up)
        await place.ask("DELETE", f"stays/{lost}/reservation", 202)
        assert (await read(place, lost))["state"] == "exception"
        connection = await asyncpg.connect(database)
        try:
            await connection.execute("UPDATE waiting SET again_at = now() - interval '1 s'")

            async def offered() -> bool:
                await place.wall.sync()
                return bool((await read(place, first))["state"] == "reserved")

            await until(offered)

            # Who is in line and called off is in line no more, and the wall need not have heard of it.
            await place.ask("DELETE", f"stays/{second}", 202)
            never = (await place.announce("LW-7", **kept, wait=True))["id"]
            await place.wall.sync()
            await place.ask("DELETE", f"stays/{never}", 202)

            async def left() -> bool:
                await place.wall.sync()
                return len(await connection.fetch("SELECT FROM waiting")) == 1

            await until(left)
            assert (await read(place, never))["state"] == "cancelled"

            # Its compartment goes out of service before it came: it has its old place again.
            await place.ask("POST", f"banks/{place.bank}/withdraw", 202, json={"compartments": ["12"]})

            async def waits_again() -> bool:
                await place.wall.sync()
                return bool((await read(place, first))["waiting_position"] == 1)

            await until(waits_again)
        finally:
            await connection.close()


async def test_doors_go_out_of_service_and_come_back(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        await place.ask("POST", f"banks/{place.bank}/withdraw", 202, json={"compartments": ["02", "03"]})
        await place.wall.sync()
        states = {
            x["id"]: x["state"] for x in (await place.ask("GET", f"banks/{place.bank}/compartments"))["compartments"]
        }
        assert (states["01"], states["02"], states["03"]) == ("vacant", "out_of_service", "out_of_service")
        await place.ask("POST", f"banks/{place.bank}/bring-back", 202, json={"compartments": ["02"]})
        await place.ask("POST", f"banks/{place.bank}/withdraw", 202, json={})
        await place.wall.sync()
        assert {x.state for x in place.wall.bank.compartments.values()} == {CompartmentState.OUT_OF_SERVICE}
        wrong = await place.ask("POST", f"banks/{place.bank}/withdraw", 202, json={"compartments": ["99"]})
        await place.wall.sync()
        said = await place.ask("GET", f"instructions/{wrong['instruction']}")
        assert (said["state"], said["refusal"]) == ("refused", "unknown_compartment")


async def test_a_bank_is_told_its_policy_again_before_its_clock_runs_out(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        before = place.wall.bank.policy
        connection = await asyncpg.connect(database)
        await connection.execute("UPDATE banks SET policy_asked_at = now() - interval '13 months'")
        await connection.close()

        async def told() -> bool:
            await place.wall.sync()
            return place.wall.bank.policy_version == 2

        await until(told)
        assert place.wall.bank.policy.services == before.services
        assert place.wall.bank.policy.utc_offsets[-1][0] > datetime.now(UTC) + timedelta(days=4 * 365)
        await jobs.step(place.cloud.office)
        assert (await place.ask("GET", f"banks/{place.bank}"))["policy_asked"] == 2, "and only once"


async def test_a_carrier_sees_what_to_take_out(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        quick = {**PARCEL, "id": "quick", "pickup_hours_max": 0}
        await place.ask("PUT", f"banks/{place.bank}/services", json={"services": [PARCEL, quick]})
        late = (await place.announce("LW-L", service="quick"))["id"]
        await place.wall.sync()
        await place.wall.put_in(place.courier, late)
        refused, fine = await place.deposit("LW-R"), await place.deposit("LW-F")
        wall = place.wall
        pickup = wall.bank.stays[StayId(refused)].pickup
        assert pickup is not None
        session = await wall.sign_in(pickup)
        await wall.do(c.Collect(session, OpeningId(wall.fresh()), StayId(refused)))
        await wall.swing()
        told = await wall.do(c.Report(session, StayId(refused), Reason.REFUSED))
        assert told.refusal is None
        await wall.do(c.Tick())
        await wall.sync()
        path = f"banks/{place.bank}/collections"
        found = {x["id"]: x for x in await place.ask("GET", f"{path}?party={place.party}")}
        assert set(found) == {late, refused} and fine not in found
        assert (found[late]["state"], found[refused]["reason"]) == (StayState.EXPIRED, "refused")
        assert await place.ask("GET", f"{path}?party={'0' * 32}") == []

        # The task that it raised is closed by what happens at the wall, and not by hand.
        (task,) = await place.ask("GET", "tasks")
        assert (task["kind"], task["about"], task["by_hand"], task["stay_label"]) == ("refused", refused, False, "LW-R")
        taken = await place.ask("POST", f"tasks/{task['id']}/take", 200, json={"by": "Bo"})
        assert taken["taken_by"] == "Bo"
        said = await place.ask("POST", f"tasks/{task['id']}/close", 409, json={"why": "done"})
        assert said["reason"] == "closed_by_the_wall"
        session = await wall.sign_in(wall.pass_with(place.courier))
        taken_out = await wall.do(c.Collect(session, OpeningId(wall.fresh()), StayId(refused)))
        assert taken_out.refusal is None
        await wall.swing()
        await wall.sync()
        assert await place.ask("GET", "tasks") == []
        assert {x["id"] for x in await place.ask("GET", path)} == {late}


async def test_a_task_that_no_door_settles_is_closed_with_a_reason(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        connection = await asyncpg.connect(database)
        try:
            await connection.execute(
                "INSERT INTO tasks (id, bank, kind, epoch, seq, opened_at) VALUES ($1, $2, 'wrong_key', 1, 1, now())",
                "e" * 32, place.bank,
            )  # fmt: skip
            (task,) = await place.ask("GET", f"tasks?bank={place.bank}")
            assert task["by_hand"]
            mine, place.token = place.token, (await _others(place))
            for method, path, body in (
                ("GET", f"tasks/{task['id']}", None),
                ("POST", f"tasks/{task['id']}/take", {}),
                ("POST", f"tasks/{task['id']}/close", {"why": "mine"}),
                ("GET", f"banks/{place.bank}/collections", None),
                ("POST", f"banks/{place.bank}/availability", {}),
                ("POST", f"banks/{place.bank}/withdraw", {}),
                ("PUT", f"people/{place.person}/holiday", {}),
            ):
                await place.ask(method, path, 404, json=body)
            place.token = mine
            await place.ask("POST", f"tasks/{task['id']}/close", 400, json={})
            await place.ask(
                "POST", f"tasks/{task['id']}/close", 204, json={"why": "The board was replaced", "by": "Bo"}
            )
            await place.ask("GET", f"tasks/{task['id']}", 404)
            row = await connection.fetchrow("SELECT closed_by, closed_why FROM tasks WHERE id = $1", task["id"])
            assert row is not None and tuple(row) == ("Bo", "The board was replaced")
        finally:
            await connection.close()


async def _others(place: Town) -> str:
    mine, place.token = place.token, ""
    token = (await place.ask("POST", "organisations", json={"name": "Others"}))["token"]
    place.token = mine
    return str(token)


async def test_reminders_come_once_and_only_while_they_are_true(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path, mail=True) as place:
        await place.settle()
        service = {**PARCEL, "reminder_hours": [48, 24]}
        await place.ask("PUT", f"banks/{place.bank}/services", json={"services": [service]})
        stay = await place.deposit()
        gone = await place.deposit("LW-2")
        await place.mails(2)
        connection = await asyncpg.connect(database)
        try:
            await connection.execute(
                "UPDATE stays SET deadline = now() + interval '23 h', deposited_at = now() - interval '2 d'"
            )
            await place.wall.collect(StayId(gone))

            async def reminded() -> bool:
                await jobs.step(place.cloud.office)
                return any(x["subject"].startswith("Please collect") for x in await place.mails(2))

            await until(reminded)
            for _ in range(3):
                await jobs.step(place.cloud.office)
            found = await connection.fetch("SELECT stay FROM outbox WHERE kind = 'reminder' AND stay = $1", stay)
            assert len(found) == 1, "of two that are due only the last"
        finally:
            await connection.close()
