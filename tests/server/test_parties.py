"""Two carriers at walls that others run: each sees its own things wherever it is admitted, and nothing else."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from tests.server.test_pages import DESK, PHONE, browsing, looking, shot
from tests.server.test_receipts import receipt
from tests.server.town import Town, town

from latchwork.domain import commands as c
from latchwork.domain.words import PassId, Reason, StayId
from latchwork.server.actions import parties
from latchwork.server.actions.office import Who
from latchwork.sync import keys


def month() -> str:
    return f"{datetime.now(UTC):%Y-%m}"


class Carrier:
    """A carrier's system. Its organisation keeps the party; the wall is somebody else's."""

    def __init__(self, place: Town, token: str, party: str, customer: str = "", keeper: str = "") -> None:
        self.party = party
        self.customer = customer
        self.keeper = keeper
        """The token of the organisation that keeps the party."""
        self.courier = ""
        self.place = place
        self.token = token

    async def ask(self, method: str, path: str, status: int = 200, **sent: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", **sent.pop("headers", {})}
        answer = await self.place.http.request(method, f"/api/v1/{path}", headers=headers, **sent)
        assert answer.status_code == status, (method, path, answer.status_code, answer.text)
        kind = answer.headers.get("content-type", "")
        return answer.json() if "json" in kind else answer.text

    async def announce(self, label: str, status: int = 201, **body: Any) -> Any:
        told = {"bank": self.place.bank, "recipient": self.customer, "tracking": label, **body}
        return await self.ask("POST", "stays", status, json=told, headers={"Idempotency-Key": f'"{label}"'})


async def carrier(place: Town, name: str) -> Carrier:
    mine, place.token = place.token, ""
    place.token = (await place.ask("POST", "organisations", json={"name": name}))["token"]
    party = (await place.ask("POST", "parties", json={"name": name}))["id"]
    asked = {"name": name, "role": "carrier", "party": party}
    token = (await place.ask("POST", "tokens", json=asked))["token"]
    made = Carrier(place, token, party, keeper=place.token)
    place.token = mine
    made.customer = (await made.ask("POST", "people", 201, json={"name": f"Customer of {name}"}))["id"]
    return made


@asynccontextmanager
async def two_carriers(database: str, folder: Path) -> AsyncIterator[tuple[Town, Carrier, Carrier]]:
    async with town(database, folder) as place:
        await place.settle()
        one, other = await carrier(place, "Blue"), await carrier(place, "Green")
        for each in (one, other):
            await place.ask("PUT", f"banks/{place.bank}/admissions/{each.party}", 200)
            courier = {"bank": place.bank, "role": "courier", "party": each.party}
            granted = await place.ask("POST", "passes", json=courier)
            await place.wall.sync()
            each.courier = (await place.ask("GET", f"passes/{granted['id']}"))["digits"]
        yield place, one, other


async def test_a_party_sees_its_own_things_where_it_is_admitted_and_nothing_else(database: str, tmp_path: Path) -> None:
    async with two_carriers(database, tmp_path) as (place, blue, green):
        ours = (await place.announce("LW-own"))["id"]
        of_blue = (await blue.announce("B-1"))["id"]
        of_green = (await green.announce("B-1", tracking="G-1"))["id"]  # the same idempotency key is another's
        assert of_green != of_blue
        await place.wall.sync()
        await place.wall.put_in(blue.courier, of_blue)
        await place.wall.sync()

        assert [x["id"] for x in await blue.ask("GET", "stays")] == [of_blue]
        seen = await blue.ask("GET", f"stays/{of_blue}")
        assert (seen["state"], seen["party"], seen["recipient_name"]) == ("deposited", blue.party, "Customer of Blue")
        assert seen["page"] and seen["compartment"] == "01"
        story = [event["kind"] for event in await blue.ask("GET", f"stays/{of_blue}/timeline")]
        assert story[:2] == ["Announced", "Expected"] and "Stored" in story
        assert (await receipt(place, of_blue, blue.token)).status_code == 200
        assert [x["id"] for x in await blue.ask("GET", "banks")] == [place.bank]
        assert [x["id"] for x in await blue.ask("GET", "parties")] == [blue.party]
        assert [x["name"] for x in await blue.ask("GET", "people")] == ["Customer of Blue"]
        await blue.ask("POST", f"stays/{of_blue}/block", 202)

        for stay in (ours, of_green):
            for path in (f"stays/{stay}", f"stays/{stay}/timeline", f"stays/{stay}/receipt"):
                await blue.ask("GET", path, 404)
            await blue.ask("DELETE", f"stays/{stay}", 404)
            await blue.ask("POST", f"stays/{stay}/block", 404)
        await blue.ask("GET", f"people/{place.person}", 404)
        await blue.ask("GET", f"people/{green.customer}", 404)
        await blue.ask("GET", f"parties/{green.party}/usage", 404)
        for path in ("tasks", "sites", "passes", "notices", f"banks/{place.bank}/compartments"):
            await blue.ask("GET", path, 403)
        await blue.announce("B-2", 422, party=green.party)
        await blue.announce("B-3", 422, recipient=place.person)

        # Nor does it reserve past those whom it cannot see waiting.
        await place.ask("POST", f"banks/{place.bank}/withdraw", 202, json={})
        until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        await place.wall.sync()
        first = (await place.announce("LW-2", reserve_until=until, wait=True))["id"]
        await place.wall.sync()
        await in_line(place, first, 1)
        await blue.announce("B-4", 409, reserve_until=until)
        behind = (await blue.announce("B-5", reserve_until=until, wait=True))["id"]
        assert (await blue.announce("B-5", reserve_until=until, wait=True))["id"] == behind
        await place.wall.sync()
        await in_line(place, behind, 2)
        for stay in (first, behind):
            await place.ask("DELETE", f"stays/{stay}")
        await place.wall.sync()

        whole = [x["id"] for x in await place.ask("GET", "stays", params={"live": True})]
        assert set(whole) == {ours, of_blue, of_green}
        assert (await place.ask("GET", f"stays/{of_blue}"))["recipient_name"] is None, "whose customer is Blue's affair"
        assert {x["name"] for x in await place.ask("GET", "people")} == {"Ada Lovelace"}
        await look_after_their_own(place, blue, green)


async def look_after_their_own(place: Town, blue: Carrier, green: Carrier) -> None:
    """Room, a place in the queue, another recipient and somebody who fetches it: for one's own things."""
    await place.ask("POST", f"banks/{place.bank}/bring-back", 202, json={})
    parcel = {"id": "parcel", "deposit_by": "courier", "collect_by": "person", "pickup_hours_max": 72}
    leased = {**parcel, "id": "leased", "party": blue.party}
    await place.ask("PUT", f"banks/{place.bank}/services", 202, json={"services": [parcel, leased]})
    await place.ask("PUT", f"banks/{place.bank}/policy", 202, json={"set_aside": {"12": ["leased"]}})
    await place.wall.sync()
    room = f"banks/{place.bank}/availability"
    mine, theirs = await blue.ask("POST", room, json={}), await green.ask("POST", room, json={})
    assert (mine["service"], mine["free"]) == ("leased", theirs["free"] + 1) and theirs["service"] == "parcel"
    await green.ask("POST", room, 422, json={"service": "leased"})
    await green.ask("POST", room, 422, json={"party": blue.party})
    wish = {"until": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}
    await blue.ask("POST", f"banks/{place.bank}/soft-reservations", 403, json=wish)

    stay = (await blue.announce("B-6"))["id"]
    await place.wall.sync()
    assert (await blue.ask("GET", f"stays/{stay}"))["service"] == "leased"
    await blue.ask("POST", f"stays/{stay}/reservation", 202, json=wish)
    await green.ask("POST", f"stays/{stay}/reservation", 404, json=wish)
    await place.wall.sync()
    assert (await blue.ask("GET", f"stays/{stay}"))["state"] == "reserved"
    await place.wall.put_in(blue.courier, stay)
    await place.wall.sync()
    friend = {"name": "Bo Larsen", "until": wish["until"]}
    sent = (await blue.ask("POST", f"stays/{stay}/delegates", 202, json=friend))["id"]
    await green.ask("POST", f"stays/{stay}/delegates", 404, json=friend)
    await green.ask("GET", f"stays/{stay}/delegates", 404)
    await place.wall.sync()
    (told,) = await blue.ask("GET", f"stays/{stay}/delegates")
    assert (told["name"], told["state"]) == ("Bo Larsen", "live")
    assert place.wall.bank.passes[place.wall.pass_with(told["digits"])].grant.stay == stay
    await green.ask("DELETE", f"stays/{stay}/delegates/{sent}", 404)
    await blue.ask("DELETE", f"stays/{stay}/delegates/{sent}", 202)

    right = (await blue.ask("POST", "people", 201, json={"name": "Right customer"}))["id"]
    for wrong in (green.customer, place.person):
        await blue.ask("POST", f"stays/{stay}/reassign", 404, json={"recipient": wrong})
    await blue.ask("POST", f"stays/{stay}/reassign", 202, json={"recipient": right})
    await place.wall.sync()
    assert (await blue.ask("GET", f"stays/{stay}"))["recipient_name"] == "Right customer"


async def in_line(place: Town, stay: str, position: int) -> None:
    async with asyncio.timeout(30):
        while (await place.ask("GET", f"stays/{stay}"))["waiting_position"] != position:
            await asyncio.sleep(0.1)


async def test_a_party_that_is_not_admitted_finds_no_wall(database: str, tmp_path: Path) -> None:
    async with two_carriers(database, tmp_path) as (place, blue, _):
        door = f"banks/{place.bank}/admissions/{blue.party}"
        stay = (await blue.announce("B-1"))["id"]
        refused = await place.ask("DELETE", door, 409)
        assert "is here or expected" in refused["detail"]
        await place.wall.sync()
        await blue.ask("DELETE", f"stays/{stay}", 202)
        await place.wall.sync()
        await place.ask("DELETE", door, 204)
        assert await blue.ask("GET", "banks") == []
        assert await blue.ask("GET", "stays") == []
        await blue.ask("GET", f"banks/{place.bank}", 404)
        await blue.announce("B-2", 404)
        await place.announce("B-3", 422, party=blue.party)
        await place.ask("PUT", f"banks/{place.bank}/admissions/{'0' * 32}", 404)
        # Only who runs the wall admits.
        mine, place.token = place.token, (await place.http.post(
            "/api/v1/organisations", json={"name": "Third"}, headers={"Authorization": f"Bearer {place.root}"}
        )).json()["token"]  # fmt: skip
        await place.ask("PUT", door, 404)
        await place.ask("POST", "tokens", 404, json={"name": "x", "role": "carrier", "party": blue.party})
        place.token = mine
        await place.ask("POST", "tokens", 404, json={"name": "x", "role": "carrier", "party": blue.party})


async def test_a_lane_believes_no_party_about_itself(database: str, tmp_path: Path) -> None:
    """The batch function looks for itself whether the party is admitted, and its recipients its own."""
    async with two_carriers(database, tmp_path) as (place, blue, green):
        organisation = (await place.ask("GET", "organisations"))[0]["id"]
        connection = await asyncpg.connect(database)
        try:
            for party, as_party, recipient, outcome in (
                (blue.party, blue.party, blue.customer, "created"),
                (green.party, blue.party, None, "unknown_party"),
                (None, "0" * 32, None, "unknown_party"),
                (blue.party, blue.party, green.customer, "unknown_recipient"),
                (blue.party, None, place.person, "created"),
                (blue.party, None, blue.customer, "unknown_recipient"),
            ):
                found = await connection.fetchrow(
                    """
                    SELECT outcomes FROM announce_stays(ARRAY[jsonb_populate_record(NULL::announcement,
                        jsonb_build_object('organisation', $1::text, 'bank', $2::text, 'party', $3::text,
                        'as_party', $4::text, 'recipient', $5::text, 'stay', md5(random()::text), 'service', 'parcel',
                        'instruction', md5(random()::text), 'instruction_sha256', '', 'at', now()))])
                    """,
                    organisation, place.bank, party, as_party, recipient,
                )  # fmt: skip
                assert found is not None and found["outcomes"] == [outcome], (party, as_party, recipient)
        finally:
            await connection.close()


async def test_a_usage_statement_by_month_wall_and_size(database: str, tmp_path: Path) -> None:
    async with two_carriers(database, tmp_path) as (place, blue, green):
        stays = [(await blue.announce(f"B-{n}"))["id"] for n in range(2)]
        of_green = (await green.announce("G-1"))["id"]
        await place.wall.sync()
        for whose, stay in ((blue, stays[0]), (blue, stays[1]), (green, of_green)):
            await place.wall.put_in(whose.courier, stay)
        await place.wall.sync()
        connection = await asyncpg.connect(database)
        try:  # one from a minute to midnight in spring, for three hours; the other is still in
            await connection.execute(
                "UPDATE stays SET deposited_at = '2026-03-31T23:00Z', ended_at = '2026-04-01T02:30Z' WHERE id = $1",
                stays[0],
            )
        finally:
            await connection.close()
        path = f"parties/{blue.party}/usage"
        rows = await blue.ask("GET", f"{path}?since=2026-03&until=2026-04")
        assert [(r["month"], r["deposits"], r["compartment_hours"]) for r in rows] == [
            ("2026-03", 1, 1.0),
            ("2026-04", 0, 2.5),
        ]
        assert (rows[0]["bank_name"], rows[0]["service"]) == ("Lobby", "parcel") and rows[0]["size"].endswith(" mm")
        (now,) = await blue.ask("GET", path)
        assert (now["month"], now["deposits"]) == (month(), 1)
        (same,) = await place.ask("GET", path)
        assert (same["bank"], same["deposits"]) == (now["bank"], 1), "who runs the wall sees the same"
        march = "since=2026-03&until=2026-04"
        assert [row["deposits"] for row in await table(blue, f"{path}.csv?{march}")] == ["1", "0"]
        things = await table(blue, f"{path}/things.csv?{march}")
        assert [(x["tracking"], x["deposited_at"], x["compartment_hours"]) for x in things] == [
            ("B-0", "2026-03-31 23:00:00", "1.0"),
            ("B-0", "2026-03-31 23:00:00", "2.5"),
        ]
        assert sum(float(x["compartment_hours"]) for x in things) == sum(r["compartment_hours"] for r in rows)
        for party, names in ((None, {"Green"}), (green.party, {"Green"})):
            told = await whole_statement(place, green, party)
            assert {each.party_name for each in told} == names, "of all that it may know of: what is its own"
        for path_of_others in (f"{path}.csv", f"{path}/things.csv", path):
            await green.ask("GET", path_of_others, 404)
        for bad in ("since=2026-13", "since=2026-04&until=2026-03", "since=2020-01&until=2026-01"):
            await blue.ask("GET", f"{path}?{bad}", 422)

        # It is told to both sides after the carrier has gone, too.
        await place.wall.collect(StayId(stays[1]))
        await place.wall.sync()
        await place.ask("DELETE", f"banks/{place.bank}/admissions/{blue.party}", 204)
        assert await blue.ask("GET", "stays") == []
        assert await blue.ask("GET", f"{path}?{march}") == rows == await place.ask("GET", f"{path}?{march}")
        blue.token, green.token = blue.keeper, green.keeper
        assert await blue.ask("GET", f"{path}?{march}") == rows
        await green.ask("GET", f"{path}?{march}", 404)


async def whole_statement(place: Town, whose: Carrier, acts_as: str | None) -> list[parties.Used]:
    """Of everybody, as the organisation that keeps a party, or as that party, is told."""
    mine, whose.token = whose.token, whose.keeper
    organisation = (await whose.ask("GET", "organisations"))[0]["id"]
    whose.token = mine
    who = Who("somebody", organisation, "Somebody", False, "owner" if acts_as is None else "carrier", acts_as)
    return await parties.usage(place.cloud.office.acting(organisation, acts_as), who, None, month(), month())


async def table(whose: Carrier, path: str) -> list[dict[str, str]]:
    text = await whose.ask("GET", path)
    assert text[0] == "\ufeff", "or else spreadsheets take it for Windows-1252"
    return list(csv.DictReader(io.StringIO(text[1:])))


async def test_a_party_is_admitted_on_a_page_and_so_are_couriers_who_see_their_list(
    database: str, tmp_path: Path, chromium_path: str
) -> None:
    async with two_carriers(database, tmp_path) as (place, blue, green), browsing(chromium_path) as browser:
        red = await carrier(place, "Red Parcels")
        refused = StayId((await blue.announce("B-1"))["id"])
        await place.wall.sync()
        await place.wall.put_in(blue.courier, refused)
        recipient = await place.wall.sign_in(place.wall.bank.stays[refused].pickup or PassId(""))
        await place.wall.do(c.Report(recipient, refused, Reason.REFUSED))
        await place.wall.sync()
        listed = f"banks/{place.bank}/collections"
        assert [x["id"] for x in await blue.ask("GET", listed)] == [refused]
        assert await green.ask("GET", listed) == [] == await green.ask("GET", f"{listed}?party={blue.party}")
        (everywhere,) = await blue.ask("GET", f"collections?site={place.site}")
        assert (everywhere["id"], everywhere["bank_name"], everywhere["party_name"]) == (refused, "Lobby", "Blue")
        assert everywhere["heard_at"]
        assert await green.ask("GET", "collections") == [] == await blue.ask("GET", f"collections?site={'0' * 32}")
        async with looking(browser, DESK) as page:
            await page.goto(await place.sign_in_link())
            await page.get_by_role("button", name="Sign in").click()
            await page.get_by_role("link", name="Lobby").click()
            await page.get_by_role("link", name="Parties").click()
            await page.get_by_label("Its id").fill(red.party)
            await page.get_by_role("button", name="Admit it", exact=True).click()
            await page.get_by_role("row", name="Red Parcels").wait_for()
            await shot(page, "parties-1280")
            await page.set_viewport_size(PHONE)
            await shot(page, "parties-390")
            await page.goto(f"{place.url}/operator/banks/{place.bank}")
            await page.get_by_role("link", name="To take out").click()
            await page.get_by_label("Carrier").select_option("Green")
            await page.get_by_role("button", name="Show").click()
            await page.get_by_text("Nothing to take out.").wait_for()
            await page.get_by_label("Carrier").select_option("Blue")
            await page.get_by_role("button", name="Show").click()
            await page.get_by_role("row", name="B-1").get_by_text("Blue").wait_for()
            await page.get_by_role("link", name="All walls").click()
            await page.get_by_role("row", name="B-1").get_by_role("link", name="Lobby").wait_for()
            await shot(page, "collections-390")
            await page.set_viewport_size(DESK)
            await shot(page, "collections-1280")
            await page.get_by_role("link", name="Usage").click()
            statement = page.get_by_role("group", name="Blue")
            assert [await x.inner_text() for x in await statement.locator("tbody tr .figure").all()] == ["1", "0"]
            assert await page.get_by_role("region", name="Green").count() == 0, "it used nothing"
            await page.get_by_text("Put in each day").wait_for()
            await shot(page, "usage-1280")
            await page.set_viewport_size(PHONE)
            await shot(page, "usage-390")
            for name, line in (("As a file", f"{month()},{blue.party},Blue"), ("Thing by thing", "B-1")):
                async with page.expect_download() as loading:
                    await page.get_by_role("region", name="Blue").get_by_role("link", name=name).click()
                assert line in (await (await loading.value).path()).read_text(encoding="utf-8-sig")
            await page.get_by_label("Month").select_option(index=1)
            await page.get_by_role("button", name="Show").click()
            await page.get_by_text("Nothing was in a compartment").wait_for()
            await page.set_viewport_size(DESK)
            await page.goto(f"{place.url}/operator/banks/{place.bank}")
            await page.get_by_role("link", name="Who gets in").click()
            courier, household = (page.locator("form", has_text=x) for x in ("A courier", "Somebody of a household"))
            await courier.get_by_label("Carrier").select_option("Blue")
            await courier.get_by_label("for your own list").fill("Dan")
            await courier.get_by_role("button", name="Let them in").click()
            await household.get_by_label("Whose things").fill("Lovelace")
            await household.get_by_label("Number of their card").fill("04:a2:7f:11")
            await household.get_by_label("for your own list").fill("Bo")
            await household.get_by_role("button", name="Let them in").click()
            staff = page.locator("form", has_text="A member of staff")
            await staff.get_by_label("Number of their card").fill("88 04 a2 b3")
            await staff.get_by_role("button", name="Let them in").click()
            await page.get_by_role("row", name="Bo").get_by_text("asked").wait_for()
            await place.wall.sync()
            await page.reload()
            await page.get_by_role("row", name="Bo").get_by_text("their own").wait_for()
            await page.get_by_role("row", name="Dan").get_by_text("Show").click()
            code = await page.get_by_role("row", name="Dan").locator("code").inner_text()
            assert place.wall.bank.passes[place.wall.pass_with(code)].grant.party == blue.party
            card = keys.card_lookup(place.wall.code_key, "04A27F11")
            assert place.wall.bank.passes[place.wall.bank.codes[card]].grant.recipient == place.person
            card = keys.card_lookup(place.wall.code_key, "8804A2B3")
            assert place.wall.bank.passes[place.wall.bank.codes[card]].grant.role == "staff"
            await shot(page, "passes-1280")
            await page.set_viewport_size(PHONE)
            await shot(page, "passes-390")
            await page.get_by_role("button", name="Let Dan in no longer").click()
            await place.wall.sync()
            await page.reload()
            await page.get_by_role("row", name="Dan").wait_for(state="detached")
            await page.goto(f"{place.url}/operator/banks/{place.bank}/parties")
            await page.get_by_role("button", name="Admit Green no longer").click()
            await page.get_by_role("row", name="Green").wait_for(state="detached")
        assert await green.ask("GET", "banks") == []
        assert [x["id"] for x in await red.ask("GET", "banks")] == [place.bank]
