"""The kiosk over HTTP: the script's way through a parcel's life, idleness, and everything a caller can do wrong."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from litestar.testing import TestClient
from tests.edge.kiosk.desk import JANE, TestDesk, fittings

from latchwork.domain.words import CompartmentId, DoorState, StayState
from latchwork.edge.kiosk.app import COOKIE, Kiosk, Listener, _changes, kiosk_app

BASE = "http://127.0.0.1:8080"


@dataclass
class Clock:
    desk: TestDesk
    s: float = 1000.0

    def __call__(self) -> float:
        return self.s

    def now(self) -> datetime:
        return self.desk.now

    def pass_(self, s: float) -> None:
        self.s += s
        self.desk.now += timedelta(seconds=s)


@dataclass
class House:
    """A desk with a kiosk that several browsers visit."""

    desk: TestDesk = field(default_factory=TestDesk)
    clock: Clock = field(init=False)
    app: Any = field(init=False)

    def __post_init__(self) -> None:
        self.clock = Clock(self.desk)
        self.app = kiosk_app(self.desk, bank_name="Elm Court", now=self.clock.now, monotonic_s=self.clock)

    @property
    def kiosk(self) -> Kiosk:
        kiosk: Kiosk = self.app.state.kiosk
        return kiosk

    @contextmanager
    def browser(self) -> Iterator[TestClient[Any]]:
        with TestClient(self.app, base_url=BASE) as client:
            yield client

    async def tend(self) -> None:
        await self.kiosk.seats.tend(self.clock.now(), self.clock())


class Visitor:
    """A browser of its own in the same house: one client, another cookie."""

    def __init__(self, client: TestClient[Any]) -> None:
        self._client = client
        self._cookie: dict[str, str] = {}

    def post(self, path: str, **rest: Any) -> Any:
        self._client.cookies.clear()
        answer = self._client.post(path, headers={"Cookie": f"{COOKIE}={self._cookie.get(COOKIE, '')}"}, **rest)
        self._cookie.update(answer.cookies)
        return answer


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def browser(house: House) -> Iterator[TestClient[Any]]:
    with house.browser() as client:
        yield client


def act(browser: TestClient[Any] | Visitor, do: str, **rest: Any) -> dict[str, Any]:
    answer = browser.post("/act", json={"do": do, **rest})
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def test_a_parcels_life_by_script(house: House, browser: TestClient[Any]) -> None:
    desk = house.desk
    desk.hands = True
    stay = desk.expect("JD0001")
    assert act(browser, "code", code=desk.courier)["screen"] == "courier"
    shown = act(browser, "label", label="JD0001")
    assert (shown["screen"], shown["values"]["recipient"]["unit"]) == ("confirm", "12")
    assert act(browser, "deposit")["screen"] == "closed"
    shown = act(browser, "confirm")
    assert (shown["screen"], shown["values"]["stored"], shown["refusal"]) == ("courier", 1, None)
    act(browser, "sign_out")
    assert act(browser, "code", code=desk.pickup(stay))["values"]["end"] == "collected"
    assert browser.get("/screen").json()["screen"] == "thanks"
    assert act(browser, "sign_out")["screen"] == "start"
    assert not desk.bank.stays and not desk.bank.sessions
    assert desk.looked_for_trouble == 0, "it is a look at the disk, and none of these screens shows it"


def test_a_refusal_is_an_answer_with_words(browser: TestClient[Any]) -> None:
    shown = act(browser, "code", code="000000")
    assert shown["refusal"]["reason"] == "wrong_code" and shown["refusal"]["words"] and shown["refusal"]["next"]
    assert 'role="alert"' in shown["html"]
    act(browser, "language", language="de")
    assert "öffnet hier nichts" in act(browser, "code", code="000000")["refusal"]["words"]


def test_two_browsers_are_two_people(house: House) -> None:
    house.desk.expect("AAA1")
    house.desk.expect("AAA2")
    with house.browser() as client:
        one, two = Visitor(client), Visitor(client)
        act(one, "code", code=house.desk.courier)
        assert act(two, "label", label="AAA1")["refusal"]["reason"] == "no_session"
        act(two, "code", code=house.desk.courier)
        act(one, "label", label="AAA1")
        act(two, "label", label="AAA2")
        doors = {act(x, "deposit")["values"]["door"] for x in (one, two)}
        assert doors == {"01", "02"} and len(house.desk.bank.sessions) == 2


def test_a_stream_that_comes_late_takes_no_cookie_away(house: House, browser: TestClient[Any]) -> None:
    """It set out before the sign-in, with the cookie of before, and would be answered after it."""
    before = browser.get("/").cookies[COOKIE]
    browser.post("/act", json={"do": "code", "code": house.desk.courier})
    browser.cookies.clear()
    late = browser.get("/events", headers={"Cookie": f"{COOKIE}={before}"})
    assert late.status_code == 204 and "set-cookie" not in late.headers


def test_the_cookie_is_renewed_at_sign_in_and_says_nothing(house: House, browser: TestClient[Any]) -> None:
    first = browser.get("/").cookies[COOKIE]
    answer = browser.post("/act", json={"do": "code", "code": house.desk.courier})
    header = answer.headers["set-cookie"].lower()
    assert "httponly" in header and "samesite=strict" in header
    assert answer.cookies[COOKIE] != first
    assert answer.cookies[COOKIE] not in house.desk.bank.sessions and answer.cookies[COOKIE] not in answer.text
    browser.cookies.clear()
    assert browser.get("/screen", headers={"Cookie": f"{COOKIE}={first}"}).json()["screen"] == "start"


def test_a_session_outlives_a_restart_of_the_kiosk(house: House, browser: TestClient[Any]) -> None:
    cookie = browser.post("/act", json={"do": "code", "code": house.desk.courier}).cookies[COOKIE]
    again = House(house.desk)
    with again.browser() as other:
        assert other.get("/screen", headers={"Cookie": f"{COOKIE}={cookie}"}).json()["screen"] == "courier"
        assert other.get("/screen", headers={"Cookie": f"{COOKIE}=guess"}).json()["screen"] == "start"


def test_after_a_restart_the_same_code_goes_on_where_it_was(house: House, browser: TestClient[Any]) -> None:
    house.desk.expect("A11")
    act(browser, "code", code=house.desk.courier)
    act(browser, "label", label="A11")
    act(browser, "agree")
    house.desk.swing("01")
    again = House(house.desk)
    with again.browser() as other:
        shown = act(other, "code", code=house.desk.courier)
        assert (shown["screen"], shown["values"]["door"]) == ("closed", "01")
        assert act(other, "confirm")["values"]["stored"] == 1
        other.cookies.clear()  # a colleague with the carrier's code, who has not brought anything yet
        assert act(other, "code", code=house.desk.courier)["values"]["stored"] == 0
    assert len(house.desk.bank.sessions) == 2


async def test_who_is_away_is_warned_can_stay_and_is_signed_out(house: House, browser: TestClient[Any]) -> None:
    act(browser, "code", code=house.desk.courier)
    house.clock.pass_(44)
    await house.tend()
    assert browser.get("/screen").json()["values"]["warn_until"] is None
    house.clock.pass_(2)
    await house.tend()
    shown = browser.get("/screen").json()
    assert shown["values"]["warn_until"] and 'role="alertdialog"' in shown["html"]
    assert act(browser, "still_here")["values"]["warn_until"] is None
    house.clock.pass_(74)
    await house.tend()
    assert house.desk.bank.sessions
    house.clock.pass_(2)
    await house.tend()
    shown = browser.get("/screen").json()
    assert (shown["screen"], shown["refusal"]["reason"]) == ("start", "timed_out") and not house.desk.bank.sessions


async def test_nobody_is_signed_out_in_front_of_an_open_door(house: House, browser: TestClient[Any]) -> None:
    stay = house.desk.stored()
    assert act(browser, "code", code=house.desk.pickup(stay))["screen"] == "open"
    house.clock.pass_(140)
    await house.tend()
    assert browser.get("/screen").json()["values"]["warn_until"] is None
    house.clock.pass_(15)
    await house.tend()
    assert browser.get("/screen").json()["values"]["warn_until"]
    house.clock.pass_(26)
    await house.tend()
    assert not house.desk.bank.sessions
    house.desk.swing("01")
    assert stay not in house.desk.bank.stays  # closing the door still ends the collection


async def test_a_session_that_nobody_claims_after_a_restart_ends(house: House, browser: TestClient[Any]) -> None:
    act(browser, "code", code=house.desk.courier)
    again = House(house.desk)
    await again.tend()
    again.clock.pass_(181)
    await again.tend()
    assert not house.desk.bank.sessions


def test_wrong_codes_of_one_browser_do_not_lock_out_a_qr_code_at_another(house: House) -> None:
    stay = house.desk.stored()
    with house.browser() as client:
        bored, other = Visitor(client), Visitor(client)
        for _ in range(6):
            shown = act(bored, "code", code="1")
        assert shown["refusal"]["reason"] == "slow_down" and shown["refusal"]["until"]
        assert act(other, "ticket", text=house.desk.ticket_for(stay))["screen"] == "open"


BAD: list[Any] = [
    b"",
    b"null",
    b"[]",
    b"[1,2]",
    b"true",
    b"{}",
    b'"code"',
    b"\xff\xfe",
    b'{"do":null}',
    b'{"do":"nothing"}',
    b'{"do":["code"]}',
    b'{"do":"code"}',
    b'{"do":"code","code":null}',
    b'{"do":"code","code":123456}',
    b'{"do":"code","code":""}',
    b'{"do":"code","code":"12\\u0000456"}',
    b'{"do":"code","code":"' + "１２３４５６".encode() + b'"}',
    b'{"do":"code","code":"123456","more":1}',
    b'{"do":"code","code":"' + b"1" * 2000 + b'"}',
    b'{"do":"label","label":"a\\u0000b"}',
    b'{"do":"label","label":"\\ud800abc"}',
    b'{"do":"label","label":["a"]}',
    b'{"do":"deposit","size":"0x0x0"}',
    b'{"do":"deposit","size":"1x1x99999999999999999999"}',
    b'{"do":"deposit","size":1180591620717411303424}',
    b'{"do":"seen","empty":"yes"}',
    b'{"do":"seen","empty":1180591620717411303424}',
    b'{"do":"language","language":"../en"}',
    b"[" * 5000,
]


@pytest.mark.parametrize("body", BAD, ids=lambda b: str(b[:40]))
def test_malformed_presses_are_problems_and_change_nothing(house: House, browser: TestClient[Any], body: bytes) -> None:
    act(browser, "code", code=house.desk.courier)
    before = house.desk.bank
    answer = browser.post("/act", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 400 and house.desk.bank is before


def test_a_long_body_is_too_long(browser: TestClient[Any]) -> None:
    body = json.dumps({"do": "label", "label": "x" * 200_000}).encode()
    answer = browser.post("/act", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413 and answer.headers["content-type"] == "application/problem+json"


STRANGE: list[dict[str, Any]] = [
    {"do": "label", "label": "\x1d]C101234\x1d99 ü𝄞"},
    {"do": "label", "label": "'; DROP TABLE x; --"},
    {"do": "label", "label": "<script>alert(1)</script>"},
    {"do": "ticket", "text": "LW1." + "A" * 300},
    {"do": "ticket", "text": "\x00"},
    {"do": "take", "stay": "\x00"},
    {"do": "recipient", "id": "nobody"},
    {"do": "door", "door": "5000"},
    {"do": "visit", "reason": "nothing"},
    {"do": "search", "text": "((("},
    {"do": "language", "language": "tlh"},
    {"do": "deposit", "size": "99999x99999x99999"},
]


@pytest.mark.parametrize("press", STRANGE, ids=str)
@pytest.mark.parametrize("who", ["nobody", "courier", "staff"])
def test_strange_presses_are_answered_in_words(house: House, browser: TestClient[Any], who: str, press: Any) -> None:
    if who != "nobody":
        act(browser, "code", code=getattr(house.desk, who))
    shown = act(browser, **press)
    assert "<script>" not in shown["html"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:9999"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Host": "evil.example"}, 421),
        ({"Host": "[::1"}, 421),
        ({"Origin": BASE, "Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_only_the_kiosks_own_page_may_press(browser: TestClient[Any], headers: dict[str, str], status: int) -> None:
    headers = {"Content-Type": "application/json", **headers}
    assert browser.post("/act", content=b'{"do":"back"}', headers=headers).status_code == status


def test_a_picture_is_for_staff_only(house: House, browser: TestClient[Any]) -> None:
    jpeg = b"\xff\xd8\xff picture \xff\xd9"
    act(browser, "code", code=house.desk.courier)
    act(browser, "no_label")
    act(browser, "photo", jpeg=base64.b64encode(jpeg).decode())
    act(browser, "recipient", id=JANE)
    act(browser, "agree")
    act(browser, "deposit", size="380x80x640")
    house.desk.swing("01")
    act(browser, "confirm")
    (stay,) = house.desk.bank.stays
    assert browser.get(f"/photo/{stay}").status_code == 404  # to the courier
    act(browser, "sign_out")
    act(browser, "code", code=house.desk.staff)
    act(browser, "door", door="01")
    assert act(browser, "thing", stay=stay)["values"]["photo"] == f"/photo/{stay}"
    shown = browser.get(f"/photo/{stay}")
    assert (shown.content, shown.headers["content-type"]) == (jpeg, "image/jpeg")
    assert browser.get(f"/photo/{'0' * 32}").status_code == 404


def test_pages_carry_the_policy_and_unknown_ones_are_problems(browser: TestClient[Any]) -> None:
    page = browser.get("/")
    assert page.headers["content-security-policy"].startswith("default-src 'self';")
    assert page.headers["cache-control"] == "no-store" and "Elm Court" in page.text
    for path in ("/static/kiosk.js", "/static/kiosk.css", "/static/tokens.css", "/static/latch.svg"):
        assert browser.get(path).status_code == 200
    for path in ("/nothing", "/static/../app.py", "/static/%2e%2e/app.py"):
        answer = browser.get(path)
        assert answer.status_code == 404 and answer.headers["content-type"] == "application/problem+json"
    assert browser.get("/act").status_code == 405


@pytest.mark.parametrize(
    "document", [b"", b"null", b"[1]", b'{"columns":3}', b"\xff", b'[{"id":1}]', b'{"columns":[["01"],7]}']
)
def test_a_bad_document_costs_its_content_and_nothing_else(
    house: House, browser: TestClient[Any], document: bytes
) -> None:
    house.desk.documents = {"directory": document, "wall": document, "partner rules": document}
    act(browser, "code", code=house.desk.courier)
    assert act(browser, "no_label")["screen"] == "photo"
    assert act(browser, "no_photo")["screen"] == "recipient"
    assert act(browser, "search", text="12")["values"]["people"] == []


def test_last_compartment_goes_to_one_of_two(house: House) -> None:
    house = House(TestDesk(fittings(1, 0, 0)))
    house.desk.expect("AAA1")
    house.desk.expect("AAA2")
    with house.browser() as client:
        one, two = Visitor(client), Visitor(client)
        shown = []
        for browser, label in ((one, "AAA1"), (two, "AAA2")):
            act(browser, "code", code=house.desk.courier)
            act(browser, "label", label=label)
        shown = [act(browser, "deposit") for browser in (one, two)]
        assert [x["screen"] for x in shown] == ["open", "confirm"]
        assert shown[1]["refusal"]["reason"] == "no_suitable_compartment"


def test_codes_and_labels_stay_out_of_the_log(
    house: House, browser: TestClient[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    act(browser, "code", code=house.desk.courier)
    act(browser, "label", label="SECRETLABEL")
    ours = [r.getMessage() for r in caplog.records if not r.name.startswith(("httpx", "httpcore"))]
    assert not any(house.desk.courier in line or "SECRETLABEL" in line for line in ours)
    assert house.desk.bank.compartments[CompartmentId("01")].door is DoorState.CLOSED
    assert all(stay.state is StayState.EXPECTED for stay in house.desk.bank.stays.values())


async def test_a_scan_goes_to_the_newest_screen_of_this_machine_and_is_nobodys_after_a_moment(house: House) -> None:
    kiosk = house.kiosk
    kiosk.scan("text", "nobody is there")
    phone, first, newest = Listener(at_wall=False), Listener(at_wall=True), Listener(at_wall=True)
    for listener in (phone, first, newest):
        kiosk.listeners.append(listener)
    for _ in range(20):
        kiosk.scan("text", "LW1.X")
    assert not phone.scans and not first.scans and len(newest.scans) == 8
    kiosk.listeners.clear()
    house.clock.pass_(60)
    seat = kiosk.seats.find(None, house.clock())
    changes = _changes(kiosk, seat, newest)
    await anext(changes)
    kiosk.scan("card", "04A2")
    message = await anext(changes)
    assert (message.event, json.loads(str(message.data))) == ("scan", {"kind": "card", "text": "04A2"}), (
        "the old ones are gone"
    )
    await changes.aclose()
    assert not kiosk.listeners
