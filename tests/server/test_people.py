"""People from spreadsheets: whatever wrote them, twice without a double, and nobody leaves by a slip."""

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import Page
from tests.server.test_pages import DESK, PHONE, browsing, looking, shot
from tests.server.test_privacy import everything
from tests.server.town import Town, town

from latchwork.edge.kiosk.papers import read_papers, read_people
from latchwork.server.actions import people, roster, spreadsheet
from latchwork.server.actions.office import Declined

NAMES = ("Ada", "Björn", "Chloé", "Đorđe", "Érik", "Fatıma", "Grace", "José", "Zoë", "李")
SURNAMES = ("Lovelace", "Müller", "O'Brien", "da Silva", "Łukasz", "Nguyễn", "Smith-Jones", "Weiß")


@pytest.fixture
async def place(database: str, tmp_path: Path) -> Any:
    async with town(database, tmp_path) as place:
        yield await place.settle()


async def take_in(place: Town, data: bytes | str, status: int | None = None, **query: Any) -> Any:
    body = data if isinstance(data, bytes) else data.encode()
    return await place.ask(
        "POST", "people/import", status, content=body, params=query, headers={"Content-Type": "text/csv"}
    )


def directory(place: Town) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(place.wall.journal.document("directory") or b"")
    return found


def cells(data: bytes | str) -> list[dict[str, str]]:
    return [dict(row.cells) for row in spreadsheet.read(data if isinstance(data, bytes) else data.encode()).rows]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_whatever_wrote_it(encoding: str, delimiter: str, newline: str) -> None:
    lines = ["Name; E-Mail ;Wohnung;Haustier", " Jörg  Weiß ;joerg@example.org; 3 b;Hund", ";;;", "Zoé;;12"]
    data = newline.join(lines).replace(";", delimiter).encode(encoding)
    assert cells(data) == [
        {"name": "Jörg Weiß", "email": "joerg@example.org", "unit": "3 b"},
        {"name": "Zoé", "email": "", "unit": "12"},
    ]
    assert spreadsheet.read(data).unused == ["Haustier"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("First name,Last name\nAda,Lovelace", {"name": "Ada Lovelace"}),
        ("Name;Vorname;Whg.-Nr.\nWeiß;Jörg;7", {"name": "Jörg Weiß", "unit": "7"}),
        ("Nachname;Vorname\nCher;", {"name": "Cher"}),
        ("\ufeffsep=;\nElm Court, residents\n\nResident;ROOM NUMBER\nAda;7", {"name": "Ada", "unit": "7"}),
        ('name,unit\n"Ada\nLovelace","7\r\nleft"', {"name": "Ada Lovelace", "unit": "7 left"}),
        ('name, unit\n"Ada ""the count"" L.", "7, left"', {"name": 'Ada "the count" L.', "unit": "7, left"}),
        ("name,unit\n=cmd|'/c calc'!A1,@SUM(1)", {"name": "=cmd|'/c calc'!A1", "unit": "@SUM(1)"}),
        ("Name,name,e-mail,E-mail 2\nA,B,a@x,b@x", {"name": "A", "email": "a@x", "other_emails": "b@x"}),
        ("name,mail\nJo\u0308rg\u200b,\u00a0a@x ", {"name": "Jörg", "email": "a@x"}),
    ],
)
def test_headings_in_many_spellings(text: str, told: dict[str, str]) -> None:
    assert cells(text) == [told]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no heading"),
        (b"a,b\n1,2", "no heading"),
        (b"e-mail\na@x", "no heading"),
        (b"PK\x03\x04....", "workbook"),
        (b"\xff\xfe\x00\xd8", "no text"),
        (b"name\n\x81\x8d", "no text"),
        (b'name,unit\n"Ada,7\nBob,8\nCarl,9', "Line 4 cannot be read"),
        (b"name\n" + b"x" * 140_000, "cannot be read"),
        (b"name\n" + b"x\n" * (spreadsheet.ROWS_MAX + 1), "more than"),
        (b"x" * (spreadsheet.BYTES_MAX + 1), "more than"),
    ],
)
def test_what_is_no_list_is_refused_with_a_sentence(data: bytes, why: str) -> None:
    with pytest.raises(Declined, match=why):
        spreadsheet.read(data)


def held(name: str, called: str, **more: Any) -> roster.Held:
    return roster.Held(id=name, name=called, **more)


class House:
    """The same comparison, without a database."""

    def __init__(self, *people: roster.Held) -> None:
        self.people = {person.id: person for person in people}
        self._ids = count(1)

    def take_in(self, text: str, site: str | None = None, code: str = "") -> list[tuple[str, str]]:
        sheet = spreadsheet.read(text.encode())
        self.plan = roster.compare(sheet.rows, list(self.people.values()), site, code, lambda: f"n{next(self._ids)}")
        self.people |= {person.id: person for person in (*self.plan.created, *self.plan.changed)}
        return [(x.outcome, x.name) for x in self.plan.outcomes]


def settled(text: str, *people: roster.Held, site: str | None = None) -> House:
    """A house into which the file went, and in which the same file once more does nothing."""
    house = House(*people)
    house.take_in(text, site)
    again = {what for what, _ in house.take_in(text, site)}
    assert again <= {"unchanged", "refused", "left"}, again
    return house


def test_a_household_of_one_address_stays_several_people() -> None:
    text = "name,email,unit\nAda,home@x,1\nBob,home@x,1\nAda,home@x,2\nAda,other@x,1\n"
    house = settled(text)
    assert len(house.people) == 4
    assert house.take_in("name,email,unit\nBob,home@x,3\nAda,home@x,1\nAda,home@x,2\nAda,other@x,1\n")[0] == (
        "changed",
        "Bob",
    )
    assert len(house.people) == 4


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("id,name,email,unit\n4711,Ada King,new@x,9", {"name", "email", "unit"}),
        ("name,email,unit\nAda King,ADA@x,7", {"name"}),
        ("name,email,unit\n ADA  lovelace ,,7", {"name", "email"}),
        ("name,unit\nAda Lovelace,7", set()),
        ("id,name,unit,language\n,Ada Lovelace,7,de-AT", {"language"}),
    ],
)
def test_somebody_is_found_by_id_or_address_or_name_and_unit(text: str, change: set[str]) -> None:
    ada = held("a", "Ada Lovelace", unit="7", email="ada@x", external_id="4711")
    house = settled(text, ada)
    assert list(house.people) == ["a"]
    house = House(ada)
    house.take_in(text)
    (outcome,) = house.plan.outcomes
    assert {x.field for x in outcome.changes} == change
    assert outcome.outcome == ("changed" if change else "unchanged")


def test_another_id_is_somebody_else() -> None:
    house = House(held("a", "John Smith", unit="7", email="j@x", external_id="1"))
    assert house.take_in("id,name,email,unit\n2,John Smith,j@x,7") == [
        ("created", "John Smith"),
        ("left", "John Smith"),
    ]


def test_rows_are_refused_one_by_one_and_say_why() -> None:
    house = House()
    rows = (
        ",,a@x,1",
        ",Ada,a at x,1",
        f",{'x' * 201},,1",
        ",B\0,,1",
        "1,Bob,,2",
        "1,Robert,,3",
        ",bob,,2",
        ",Bob,b@x,4",
    )
    text = "\n".join(("id,name,email,unit", *rows))
    house.take_in(text)
    whys = [x.why and x.why.split(".")[0] for x in house.plan.outcomes]
    assert whys == [
        "There is no name",
        "“a at x” is no e-mail address",
        "The name is longer than 200 characters",
        "The name has characters that cannot be shown",
        None,
        "The same person as in row 6",
        "The same person as in row 6",
        None,
    ]
    assert [x.row for x in house.plan.outcomes] == list(range(2, 10))


def test_nobody_leaves_for_a_wrong_letter_or_because_two_could_be_meant() -> None:
    two = [held(x, "John Smith", unit="7", email=f"{x}@x") for x in "ab"]
    ada = held("c", "Ada", unit="1", email="ada@x")
    house = House(*two, ada)
    assert house.take_in("name,email,unit\nJohn Smith,,7\nAda,ada at x,1") == [
        ("refused", "John Smith"),
        ("refused", "Ada"),
    ]


def test_a_sites_list_says_nothing_of_other_sites() -> None:
    here, there, nowhere = (held(x, "John", unit="7", site=site) for x, site in (("h", "s"), ("t", "o"), ("n", None)))
    house = settled("name,unit\nAda,1", here, there, nowhere, site="s")
    assert house.take_in("name,unit\nAda,1", "s") == [("unchanged", "Ada"), ("left", "John")]
    assert house.plan.outcomes[-1].person == "h"
    moved = House(held("t", "John", unit="7", external_id="4711", site="o"))
    moved.take_in("id,name,unit\n4711,John,7", "s")
    assert moved.people["t"].site == "s"


@pytest.mark.parametrize(
    ("number", "code", "told"),
    [
        ("+49 (0)30 / 1234-567", "", "+49301234567"),
        ("0049 30 1234567", "", "+49301234567"),
        ("030 1234567", "49", "+49301234567"),
        ("171 1234567", "49", "+491711234567"),
        ("06 1234567", "39", "+39061234567"),
        ("(212) 555-0100", "1", "+12125550100"),
        ("030 1234567", "", None),
        ("+49 30 HELLO", "49", None),
        ("+0 30 1234567", "49", None),
        ("12", "49", None),
        ("Tel. 030 1234567 (privat)", "49", "+49301234567"),
        ("'01711234567", "49", "+491711234567"),
        ("1.51235E+10", "49", None),
        ("+49 171 1234567 89012345", "", None),
    ],
)
def test_telephone_numbers_say_their_country(number: str, code: str, told: str | None) -> None:
    assert people.e164(number, code) == told


def test_several_addresses_and_numbers_in_the_order_of_preference() -> None:
    house = House()
    text = "name,mail,private email,phone,mobile\nAda,a@x; b@x,c@x,030 1234567,+49 171 1234567\nBob,b@x,,HELLO,\n"
    assert house.take_in(text, code="49") == [("created", "Ada"), ("created", "Bob")]
    assert (house.plan.outcomes[1].why or "").startswith("“HELLO” is no telephone number"), "but no parcels less"
    ada, bob = house.plan.created
    assert bob.phones == []
    assert (ada.email, ada.other_emails, ada.phones) == ("a@x", ["b@x", "c@x"], ["+491711234567", "+49301234567"])
    assert house.take_in(text, code="49")[0] == ("unchanged", "Ada")
    house.take_in("name,mail\nAda,a@x")
    assert house.plan.changed == []  # a column that is not there says nothing


def test_an_id_without_its_leading_zeros_is_the_same_and_a_dash_is_nothing() -> None:
    house = settled(
        "Mieter-Nr.;Name;Mail;Whg;Telefon\n000123;Ada;-;k. A.;keine\n000124;Ada;n/a;;0171-1234567 +43 664 1234567"
    )
    (ada, other) = house.people.values()
    assert (ada.email, ada.unit, ada.phones, other.phones) == (None, "", [], ["+436641234567"])
    assert house.take_in("ID,Name\n123,Ada\n124,Ada") == [("unchanged", "Ada")] * 2
    assert ada.external_id == "000123"


def test_departments_find_their_key_contacts_in_the_same_file() -> None:
    text = (
        "name,kind,key contact,email,id\n"
        "Post room,Department,GRACE HOPPER,,d1\nHousehold King,household,ada@x,,\nLab,department,nobody,,\n"
        "Ada King,resident,not a key contact,ada@x,\nGrace Hopper,employee,,,4711\n"
    )
    house = settled(text)
    ada, grace = (next(x.id for x in house.people.values() if x.name == name) for name in ("Ada King", "Grace Hopper"))
    found = {x.name: x.contact for x in house.people.values()}
    assert found == {"Post room": grace, "Household King": ada, "Ada King": None, "Grace Hopper": None}
    assert [x.why for x in house.plan.outcomes if x.why] == ["“nobody” is not one person's id, e-mail address or name."]


async def test_a_department_is_found_by_its_name_and_its_key_contact_is_told(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path, mail=True) as place:
        await look_after_a_post_room(await place.settle(), database)


async def look_after_a_post_room(place: Town, database: str) -> None:
    ada = {"name": "Ada Lovelace", "email": "ada@example.org", "unit": "12", "phones": ["+49301234567"]}
    told = {**ada, "kind": "employee", "external_id": "badge-4711", "other_emails": ["lovelace@example.org"]}
    changed = await place.ask("PUT", f"people/{place.person}", json=told)
    assert {name: changed[name] for name in told} == told
    post = {"name": "Post Room", "kind": "department", "contact": place.person}
    await place.ask("POST", "people", 404, json={**post, "contact": "0" * 32})
    await place.ask("POST", "people", 409, json={**post, "external_id": "badge-4711"})
    await place.ask("POST", "people", 400, json={**post, "phones": ["030 1234567"]})
    room = await place.ask("POST", "people", json=post)
    await place.ask("PUT", f"people/{room['id']}", 409, json={**post, "external_id": "badge-4711"})
    await place.wall.sync()
    paper = place.wall.journal.document("directory") or b""
    papers = read_papers(read_people(paper), None, None, None)
    assert [x.name for x in papers.matches("post room")] == ["Post Room"] == [x.name for x in papers.matches("room")]
    assert [x.name for x in papers.matches("12")] == ["A. L."] and b"ovelace" not in paper
    assert [x.name for x in papers.matches("lovel")] == ["A. L."] == [x.name for x in papers.matches("Ada Lovelace 12")]
    assert papers.matches("ada hopper") == []

    await place.deposit(recipient=room["id"])
    (mail,) = await place.mails(1)
    assert "Ada Lovelace (Post Room)" in mail["text"] and "Your code: " in mail["text"]

    export = await place.ask("GET", f"people/{place.person}/export")
    assert export["contact_for"] == ["Post Room"] and export["person"]["phones"] == ["+49301234567"]
    await place.ask("DELETE", f"people/{place.person}")
    assert (await place.ask("GET", f"people/{room['id']}"))["contact"] is None
    left = await everything(database)
    assert [x for x in ("badge-4711", "+49301234567", "lovelace@example.org", "Lovelace") if x in left] == []


def messy(rows: int, seed: int) -> bytes:
    """As a caretaker's spreadsheet is after ten years. Who is where depends on the seed."""
    chance = random.Random(seed)
    lines = ["Elm Court;;;;;;;", "", "Nr;Nachname;Vorname;E-Mail-Adresse;Whg-Nr.;Sprache;Telefon;Bemerkung"]
    for n in range(rows):
        first, last = chance.choice(NAMES), chance.choice(SURNAMES)
        flat = f"{chance.randrange(1, 3000)}{chance.choice(['', ' a', 'B'])}"
        email = chance.choice(["", f"r{n}@example.org", f" R{n}@example.org ", f"family{flat.split()[0]}@example.org"])
        if n % 97 == 0:
            email = "siehe Aushang"
        note = chance.choice(["", '"zieht um; bald\nvielleicht"', "=HYPERLINK(A1)", '"""VIP"""'])
        language = chance.choice(["", "de", "Deutsch", "EN", "fr"])
        phone = chance.choice(["", f"030 / {n + 100_000}", f"171{n + 1_000_000}", f"+44 (0)20 7946-{n % 9000 + 1000}"])
        lines.append(f"{n}; {last} ;{first}  ;{email};{flat};{language};{phone};{note}")
        if n % 50 == 0:
            lines += [";;;;;;;", lines[-1]]
    return "\r\n".join(lines).encode("utf-16")


async def test_a_messy_spreadsheet_of_5000_twice(place: Town) -> None:
    data = messy(5_000, 1)
    dry = await take_in(place, data, calling_code="49")
    assert [x["what"] for x in await place.ask("GET", f"people/{place.person}/looks")] == ["list"]
    assert dry["dry_run"] and len(await place.ask("GET", "people")) == 1
    done = await take_in(place, data, calling_code="49", dry_run=False)
    assert done["counts"] == dry["counts"]
    assert not [x["why"] for x in done["rows"] if "telephone" in (x["why"] or "")]
    assert done["counts"]["created"] > 4_500 and done["counts"]["refused"] >= 150 and done["counts"]["left"] == 1
    assert done["unused_columns"] == ["Nr", "Bemerkung"]
    again = await take_in(place, data, calling_code="49", dry_run=False)
    assert again["counts"] == {**done["counts"], "created": 0, "unchanged": done["counts"]["created"]}
    rows = [x for x in again["rows"] if x["row"]]
    assert [x["person"] for x in rows if x["outcome"] == "unchanged"] == [
        x["person"] for x in done["rows"] if x["outcome"] == "created"
    ]
    for name in ("Quirin Zimmer", "Quirin Özil", "quirin oestreich"):
        await place.ask("POST", "people", json={"name": name})
    for typed in ("Özil", "OZIL", "oezil,quirin", "o’zil"):  # as it is, without the dots, spelled out, by hand
        assert [x["name"] for x in await place.ask("GET", f"people?q={quote(typed)}")] == ["Quirin Özil"], typed
    sorted_by_name = [x["name"] for x in await place.ask("GET", "people?q=quirin")]
    assert sorted_by_name == ["quirin oestreich", "Quirin Özil", "Quirin Zimmer"]
    seen: list[str] = []
    while page := await place.ask("GET", f"people?after={seen[-1]}" if seen else "people"):
        seen += [x["id"] for x in page]
    assert len(seen) == len(set(seen)) == done["counts"]["created"] + 4, "whatever they are called, each is on one page"
    await place.wall.sync()
    listed = directory(place)
    assert len(listed) == done["counts"]["created"] + 4
    assert all(set(x) == {"id", "name", "unit", "find"} and len(x["name"]) <= 10 for x in listed)


async def test_a_file_is_taken_wholly_or_not_at_all_by_those_who_may(place: Town) -> None:
    assert (await take_in(place, b"PK\x03\x04", 422))["reason"] == "bad_file"
    await take_in(place, "name\nBob", 404, site="0" * 32)
    await take_in(place, b"name\n" + b"x" * spreadsheet.BYTES_MAX, 413)
    assert (await take_in(place, "name,unit\nBob,1", site=place.site, dry_run=False))["counts"]["created"] == 1
    (bob,) = [x for x in await place.ask("GET", "people") if x["name"] == "Bob"]
    assert bob["site"] == place.site


async def test_somebody_elses_people_are_not_leavers(place: Town) -> None:
    """A carrier's own customers are in nobody's list."""
    made = await place.ask("POST", "tokens", json={"name": "C", "role": "carrier", "party": place.party})
    mine, place.token = place.token, made["token"]
    await place.ask("POST", "people", json={"name": "Customer"})
    place.token = mine
    done = await take_in(place, "name\nAda Lovelace\nCustomer")
    assert {(x["outcome"], x["name"]) for x in done["rows"]} == {
        ("created", "Ada Lovelace"), ("created", "Customer"), ("left", "Ada Lovelace")
    }  # fmt: skip


async def test_an_operator_keeps_the_people_of_a_place(place: Town, tmp_path: Path, chromium_path: str) -> None:
    async with browsing(chromium_path) as browser, looking(browser, DESK, refused=True) as page:
        await page.goto(await place.sign_in_link())
        await page.get_by_role("button", name="Sign in").click()
        await take_in_a_spreadsheet(place, page, tmp_path)
        await page.set_viewport_size(DESK)
        await keep_people(place, page)


async def take_in_a_spreadsheet(place: Town, page: Page, tmp_path: Path) -> None:
    file = tmp_path / "residents.csv"
    file.write_bytes("Name;E-Mail;Wohnung\nJörg Weiß;j@example.org;3\nBad;nobody;4\n=cmd();;5\n".encode("cp1252"))
    await page.get_by_role("link", name="People").click()
    await page.get_by_role("link", name="Take in a spreadsheet").click()
    await shot(page, "people-import-1280")
    await page.get_by_label("A CSV file").set_input_files(file)
    await page.get_by_role("button", name="Show what would happen").click()
    await page.get_by_text("2 created, 0 changed, 0 unchanged, 1 refused, 1 left").wait_for()
    await shot(page, "people-dry-run-1280")
    await page.set_viewport_size(PHONE)
    await shot(page, "people-dry-run-390")
    await page.get_by_role("button", name="Take it over").click()
    await page.get_by_text("Done: 2 created").wait_for()
    assert [x["name"] for x in await place.ask("GET", "people")] == ["Ada Lovelace", "=cmd()", "Jörg Weiß"]
    await shot(page, "people-done-390")
    await page.set_viewport_size(DESK)
    await shot(page, "people-done-1280")
    await page.get_by_label("Ada Lovelace, 12").check()
    await page.get_by_role("button", name="Erase those ticked").click()
    await page.get_by_text("One person was erased.").wait_for()
    await place.ask("GET", f"people/{place.person}", 404)
    assert [x["person"] for x in await place.ask("GET", "erasures")] == [place.person]
    await place.wall.sync()
    assert [x["name"] for x in directory(place)] == ["J. W.", "=."]


async def keep_people(place: Town, page: Page) -> None:
    rows = [f"Tenant {n:03},{n}\n" for n in range(120)]
    await take_in(place, "".join(["name,unit\n", *rows]), site=place.site, dry_run=False)
    ada = {"name": "Ada Lovelace", "email": "ada@example.org", "unit": "12"}
    place.person = (await place.ask("POST", "people", json=ada))["id"]
    await place.announce("LW-7")
    await page.get_by_role("navigation").get_by_role("link", name="People").last.click()
    await shot(page, "people-1280")
    await page.set_viewport_size(PHONE)
    await shot(page, "people-390")
    await page.set_viewport_size(DESK)
    await page.get_by_role("link", name="More").click()
    await page.get_by_role("cell", name="Tenant 050").wait_for()
    await page.get_by_role("searchbox").fill("TENANT 119")
    await page.get_by_role("button", name="Search").click()
    assert await page.locator("tbody tr").count() == 1
    assert [x["name"] for x in await place.ask("GET", "people", params={"q": "\x00tenant\x00119"})] == ["Tenant 119"]
    await page.get_by_role("searchbox").fill("nobody'\"%_")
    await page.get_by_role("button", name="Search").click()
    await page.get_by_text("Nobody is found by").wait_for()

    await page.get_by_role("link", name="Enter somebody").click()
    await page.get_by_label("Name", exact=True).fill("Post Room")
    await page.get_by_label("Kind").select_option("department")
    await page.get_by_label("Who is told instead").fill("Tenant")
    await page.get_by_role("button", name="Enter").click()
    await page.get_by_role("alert").get_by_text("“Tenant” is not one person's").wait_for()
    await shot(page, "people-new-1280")
    await page.get_by_label("Who is told instead").fill("ADA@example.org")
    await page.get_by_role("button", name="Enter").click()
    await page.get_by_role("heading", name="Post Room").wait_for()
    assert await page.get_by_label("Who is told instead").input_value() == "Ada Lovelace"

    await page.goto(f"{place.url}/operator/people/{place.person}")
    await page.get_by_role("link", name="LW-7").wait_for()
    assert await page.get_by_role("link", name="Post Room").count() == 1
    await page.get_by_label("Unit").fill("14 b")
    await page.get_by_label("Language").select_option("de")
    await page.get_by_label("Mail addresses").fill("ada@example.org\nking@example.org")
    await page.get_by_label("Telephone numbers").fill("030 1234567")
    await page.get_by_role("button", name="Keep it so").click()
    await page.get_by_role("alert").get_by_text("“030 1234567” is no telephone number").wait_for()
    await page.get_by_label("Telephone numbers").fill("+49 (0)30 1234567")
    await page.get_by_role("button", name="Keep it so").click()
    await page.get_by_label("Back on").wait_for()
    back = datetime.now(UTC).date() + timedelta(days=9)
    await page.get_by_label("Back on").fill(back.isoformat())
    await page.get_by_role("button", name="Hold what is here").click()
    await page.get_by_role("button", name="They are back").wait_for()
    assert str(back.day) in await page.get_by_text("Away until").inner_text()
    await shot(page, "person-1280")
    await page.set_viewport_size(PHONE)
    await shot(page, "person-390")
    ada = await place.ask("GET", f"people/{place.person}")
    assert (ada["unit"], ada["language"], ada["phones"]) == ("14 b", "de", ["+49301234567"])
    assert (ada["email"], ada["other_emails"]) == ("ada@example.org", ["king@example.org"])
    assert ada["away_until"].startswith(str(back - timedelta(days=1)))  # midnight in Berlin
    await place.wall.sync()
    assert ("A. L.", "14 b") in [(x["name"], x["unit"]) for x in directory(place)]

    async with page.expect_download() as file:
        await page.get_by_role("link", name="as a file").click()
    held = await asyncio.to_thread((await (await file.value).path()).read_bytes)
    assert json.loads(held)["person"]["unit"] == "14 b"
    await page.get_by_label("Yes, for good").check()
    await page.get_by_role("button", name="Erase Ada Lovelace").click()
    await page.get_by_text("One person was erased.").wait_for()
    await place.wall.sync()
    assert "A. L." not in [x["name"] for x in directory(place)] and "Post Room" in [x["name"] for x in directory(place)]
