"""The kiosk in a real Chromium: by touch, by keyboard, by scanner."""

from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from tests.edge.kiosk.browsing import Served, heading, shot

from latchwork.domain import commands as c
from latchwork.domain.words import CompartmentId, DoorState, OpeningId, PassId, PersonId, Reason, Role
from latchwork.edge.kiosk import seats
from latchwork.edge.kiosk.desk import Trouble


def test_collecting_by_pin_with_a_finger(page: Page, served: Served) -> None:
    code = served.desk.pickup(served.desk.stored())
    served.desk.silent = True
    shot(page, "start")
    for digit in code:
        page.get_by_role("button", name=digit, exact=True).click()
    expect(page.get_by_role("textbox", name="Your code")).to_have_value(code)
    page.get_by_role("button", name="Open").click()
    heading(page, "Door 01 is opening")
    shot(page, "opening")
    served.desk.silent = False
    served.wall(served.desk.board)
    heading(page, "Door 01 is open")
    shot(page, "open-collect")
    served.wall(served.desk.swing, "01")
    heading(page, "Thank you")
    shot(page, "thanks")
    page.get_by_role("button", name="Yes, I have it all").click()
    heading(page, "Type your code")
    assert not served.desk.bank.stays


def test_a_wrong_code_is_told_in_words_and_in_german(page: Page, served: Served) -> None:
    for _ in range(4):
        page.keyboard.type("000000")
        with page.expect_response("**/act"):
            page.keyboard.press("Enter")
        expect(page.get_by_role("alert").first).to_contain_text("opens nothing here")
        expect(page.get_by_role("textbox", name="Your code")).to_have_value("")
        page.wait_for_timeout(50)
    expect(page.get_by_role("button", name="Open")).to_be_disabled()
    shot(page, "wrong-code")
    expect(page.get_by_role("button", name="Open")).to_be_enabled(timeout=6000)
    with page.expect_response("**/act"):
        page.keyboard.type("000000\n")
    expect(page.get_by_role("button", name="Open")).to_be_disabled()
    page.get_by_role("button", name="Deutsch").click()
    heading(page, "Code eintippen")
    assert page.evaluate("document.documentElement.lang") == "de"
    page.get_by_role("button", name="Größere Schrift").click()
    heading(page, "Code eintippen")
    expect(page.get_by_role("button", name="Normale Schrift")).to_be_visible()
    shot(page, "large-german")


@pytest.mark.parametrize("page", ["tall"], indirect=True)
def test_a_reader_of_the_wall_is_heard_by_its_screen_alone(page: Page, served: Served) -> None:
    desk = served.desk
    desk.instruct(c.GrantPass(PassId("f" * 32), Role.STAFF, lookup=desk.card("04A2B3C4")))
    ticket = desk.ticket_for(desk.stored())
    expect(page.locator("#lost")).to_be_hidden()
    while not served.kiosk.listeners:
        page.wait_for_timeout(50)
    served.wall(served.kiosk.scan, "text", ticket)
    heading(page, "Door 01 is open")
    served.wall(desk.swing, "01")
    heading(page, "Thank you")
    served.wall(served.kiosk.scan, "card", "04a2b3c4")
    heading(page, "Which door?")
    served.wall(served.kiosk.scan, "card", "8804a2b3c4d5e6")
    expect(page.locator("#stage").get_by_text("Its number is 8804A2B3C4D5E6.")).to_be_visible()
    shot(page, "staff-with-card")
    served.wall(desk.decide, c.SenseTamper("back", True))
    served.wall(desk.swing, "02", DoorState.OPEN)
    expect(page.locator("#stage").get_by_text("Opened without an order: 02")).to_be_visible()
    expect(page.locator("#stage").get_by_text("The cabinet is open: back")).to_be_visible()
    page.get_by_role("button", name="I work on the wall: no alarms").click()
    expect(page.locator("#stage").get_by_text("Somebody works on the wall.")).to_be_visible()
    shot(page, "staff-alarms")
    page.get_by_role("button", name="Open every door").click()
    heading(page, "Why open every door?")
    shot(page, "open-all")
    page.get_by_role("button", name="Maintenance").click()
    heading(page, "It takes two")
    served.wall(served.kiosk.scan, "text", desk.staff)
    heading(page, "Door 01 is open")
    shot(page, "open-all-doors")


@pytest.mark.parametrize("page", ["tall"], indirect=True)
def test_a_qr_scanner_types_like_a_keyboard(page: Page, served: Served) -> None:
    ticket = served.desk.ticket_for(served.desk.stored())
    for _ in range(4):  # also while wrong codes have slowed the keypad down
        with page.expect_response("**/act"):
            page.keyboard.type("000000\n")
        page.wait_for_timeout(50)
    expect(page.get_by_role("button", name="Open")).to_be_disabled()
    page.locator("#title").click()
    page.keyboard.type(ticket)
    page.keyboard.press("Enter")
    heading(page, "Door 01 is open")


def test_signing_in_before_the_page_hears_anything(chromium: Browser, served: Served) -> None:
    """A scanner is faster than a page: the stream of screens sets out with the cookie of before."""
    page = chromium.new_page()
    held: list[Route] = []

    def hold(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route("**/events", hold)
    page.goto(served.url)
    page.keyboard.type(served.desk.courier)
    page.keyboard.press("Enter")
    heading(page, "Scan a parcel")
    with page.expect_response(lambda answer: answer.url.endswith("/events") and answer.status == 200):
        held[0].fulfill(status=204)  # what the edge answers to a cookie of before
    served.desk.expect("JD0001")
    page.keyboard.type("JD0001")
    page.keyboard.press("Enter")
    heading(page, "J. D., unit 12?")
    page.get_by_role("button", name="Yes").click()
    heading(page, "Door 01 is open")
    served.wall(served.desk.swing, "01")
    heading(page, "Is it in door 01?")  # the wall is heard
    page.close()


def test_a_courier_brings_two_and_takes_one(page: Page, served: Served) -> None:
    desk = served.desk
    late = desk.stored("LATE1")
    desk.late(late)
    desk.expect("JD0001")
    page.keyboard.type(desk.courier)
    page.keyboard.press("Enter")
    heading(page, "Scan a parcel")
    shot(page, "courier")
    page.keyboard.type("JD0001")
    page.keyboard.press("Enter")
    heading(page, "J. D., unit 12?")
    shot(page, "confirm")
    page.get_by_role("button", name="Yes").click()
    heading(page, "Door 02 is open")
    shot(page, "open-deposit")
    served.wall(desk.swing, "02")
    heading(page, "Is it in door 02?")
    shot(page, "closed")
    page.keyboard.type("1Z999AA10123456784", delay=1)  # the next scan says yes
    page.keyboard.press("Enter")
    heading(page, "Who is it for?")
    page.keyboard.type("3")
    page.get_by_role("button", name="M. A.").wait_for()
    expect(page.locator("#text")).to_have_value("3")
    shot(page, "recipient")
    page.get_by_role("button", name="M. A.").click()
    page.get_by_role("button", name="Yes").click()
    heading(page, "How big is it?")
    shot(page, "size")
    desk.jammed = {"11"}
    page.get_by_role("button", name="Medium").click()
    heading(page, "Door 11 did not open")
    shot(page, "not-opened")
    desk.jammed = set()
    page.get_by_role("button", name="Another compartment").click()
    heading(page, "Door 12 is open")
    page.get_by_role("button", name="Too small").click()
    heading(page, "Door 19 is open")
    expect(page.get_by_role("status").first).to_contain_text("close door 12")
    served.wall(desk.swing, "12")
    served.wall(desk.swing, "19")
    page.get_by_role("button", name="Yes, it is in").click()
    expect(page.locator(".counts")).to_have_text("2 parcels in")
    expect(page.locator("#voice")).to_have_text("Scan a parcel. Or type its label. 2 parcels in. It is in door 19.")
    shot(page, "courier-told")
    page.get_by_role("button", name="Take out 1 parcel").click()
    heading(page, "Take these out")
    shot(page, "takeout")
    page.get_by_role("button", name="Open door 01").click()
    heading(page, "Door 01 is open")
    served.wall(desk.swing, "01")
    heading(page, "Nothing to take out")
    page.get_by_role("button", name="Back").click()
    page.get_by_role("button", name="Finish").click()
    heading(page, "Goodbye")
    assert late not in desk.bank.stays and not desk.bank.sessions


def test_staff_looks_into_a_forced_door(page: Page, served: Served) -> None:
    desk = served.desk
    desk.stored("AAA1")
    desk.expect("AAA2")
    served.wall(desk.swing, "05", DoorState.OPEN)
    page.keyboard.type(desk.staff)
    page.keyboard.press("Enter")
    heading(page, "Which door?")
    shot(page, "staff")
    page.get_by_role("button", name="05, Look inside, Door open").click()
    heading(page, "Door 05")
    shot(page, "why")
    page.get_by_role("button", name="Inspection").click()
    heading(page, "Door 05 is open")
    served.wall(desk.swing, "05")
    heading(page, "What is in door 05?")
    shot(page, "look")
    page.get_by_role("button", name="It is empty").click()
    expect(page.get_by_role("button", name="05, Free, Door closed")).to_be_visible()


@pytest.mark.parametrize("page", ["tall"], indirect=True)
def test_a_warning_before_anybody_is_signed_out(page: Page, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seats, "WARN_AFTER_S", 0.5)
    monkeypatch.setattr(seats, "LEAVE_AFTER_S", 30.0)
    page.keyboard.type(served.desk.courier)
    page.keyboard.press("Enter")
    heading(page, "Scan a parcel")
    dialog = page.get_by_role("alertdialog", name="Are you still there?")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("seconds")
    shot(page, "idle")
    expect(dialog.get_by_role("button")).to_be_focused()
    monkeypatch.setattr(seats, "WARN_AFTER_S", 25.0)
    dialog.get_by_role("button").click()
    expect(dialog).to_have_count(0)
    heading(page, "Scan a parcel")


def test_staff_sees_that_the_wall_protects_itself_and_has_it_obey_again(page: Page, served: Served) -> None:
    desk, until = served.desk, served.desk.now + timedelta(minutes=5)
    desk.trouble = list(Trouble)
    for n in range(11):
        asked = c.Open(
            OpeningId(f"{n:032x}"), CompartmentId("01"), Reason.OTHER, PersonId("a"), until, second=PersonId("b")
        )
        served.wall(desk.instruct, asked)
        served.wall(desk.board)
        served.wall(desk.swing, "01")
    assert desk.bank.shield.stopped
    page.keyboard.type(f"{desk.staff}\n")
    heading(page, "Which door?")
    expect(page.locator("#stage").get_by_text("opens no doors from afar")).to_be_visible()
    for said in ("does not hear this controller", "waits for a technician", "disk is full"):
        expect(page.locator("#stage").get_by_text(said)).to_be_visible()
    shot(page, "staff-shield")
    page.get_by_role("button", name="Open doors from afar again").click()
    expect(page.locator("#stage").get_by_text("opens no doors from afar")).to_have_count(0)
    assert not desk.bank.shield.stopped
