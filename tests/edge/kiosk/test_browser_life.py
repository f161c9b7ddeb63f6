"""The screens of the exceptions in a real Chromium, at three sizes."""

from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect
from tests.edge.kiosk.browsing import Served, heading, shot
from tests.edge.kiosk.desk import DHX, JANE, LARGE, MAX, PARCEL, TestDesk, fittings

from latchwork.domain import commands as c
from latchwork.domain.bank import Fitting, Hours, Policy, Service
from latchwork.domain.words import CompartmentId, Ending, PassId, Role, ServiceId, Shares

RETURN = Service(ServiceId("return"), Role.PERSON, Role.COURIER, 168, party=DHX, walk_in=True)
SERVICES = (
    replace(PARCEL, extensions_max=1, extension_hours=24, holds_unknown=True, at_end=Ending.DISPOSE),
    RETURN,
    replace(RETURN, id=ServiceId("shipment"), hours=(Hours(0, 9 * 60, 17 * 60),)),
)


@pytest.fixture
def wall() -> TestDesk:
    built = tuple(replace(f, reach_mm=900) for f in fittings())
    shelves = Fitting(CompartmentId("A"), LARGE, shelf=True), Fitting(CompartmentId("B"), LARGE, shelf=True)
    gate = Fitting(CompartmentId("G"), LARGE, gate=True)
    desk = TestDesk((*built, *shelves, gate), policy=Policy(SERVICES, fallbacks=("desk",)))
    desk.documents["partner rules"] = b'{"' + DHX.encode() + b'":{"prefixes":["RET"],"otherwise":"refuse"}}'
    return desk


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).first.click()


def scan(page: Page, text: str) -> None:
    page.keyboard.type(text)
    with page.expect_response("**/act"):
        page.keyboard.press("Enter")


def in_german(page: Page, name: str) -> None:
    press(page, "Deutsch")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    shot(page, f"{name}-de")
    press(page, "English")
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_a_recipient_with_two_says_what_is_wrong(page: Page, served: Served) -> None:
    desk = served.desk
    first, second = desk.stored("A11"), desk.stored("B22")
    scan(page, desk.pickup(first))
    heading(page, "Door 01 is open")
    shot(page, "open-collect-wrong")
    served.wall(desk.swing, "01")
    heading(page, "There is one more for you")
    shot(page, "mine")
    press(page, "More time")
    expect(page.get_by_role("status").first).to_contain_text("waits longer")
    press(page, "Some is still inside")
    heading(page, "There are 2 for you")
    in_german(page, "mine-two")
    press(page, "Open door 02")
    heading(page, "Door 02 is open")
    press(page, "Something is wrong")
    heading(page, "What is wrong?")
    in_german(page, "wrong")
    press(page, "It is damaged")
    heading(page, "Do you take it?")
    shot(page, "sure-damaged")
    press(page, "Back")
    heading(page, "Door 02 is open")
    press(page, "Something is wrong")
    press(page, "It is not mine")
    heading(page, "Is it back inside?")
    in_german(page, "sure")
    press(page, "Yes")
    heading(page, "Door 02 is open")
    served.wall(desk.swing, "02")
    heading(page, "There is one more for you")
    press(page, "Open door 01")
    heading(page, "Door 01 is open")
    served.wall(desk.swing, "01")
    heading(page, "Thank you")
    shot(page, "thanks-last")
    page.keyboard.type(desk.courier, delay=1)  # the next person need not touch anything
    page.keyboard.press("Enter")
    heading(page, "Scan a parcel")
    assert set(desk.bank.stays) == {second}


def test_two_behind_one_door_are_told_apart(page: Page, served: Served) -> None:
    desk = served.desk
    desk.instruct(c.Adopt(2, Policy((replace(PARCEL, shares=Shares.RECIPIENT),))))
    first, second = desk.expect("A11"), desk.expect("B22", size=None)
    scan(page, desk.courier)
    heading(page, "Scan a parcel")
    for label in ("A11", "B22"):
        scan(page, label)
        press(page, "Yes")
        heading(page, "Door 01 is open")
        shot(page, f"open-beside-{label}")
        served.wall(desk.swing, "01")
        press(page, "Yes, it is in")
        heading(page, "Scan a parcel")
    press(page, "Finish")
    press(page, "Next, please")
    heading(page, "Type your code")
    third = desk.stored("C33", size=LARGE)
    desk.instruct(c.GrantPass(PassId("a" * 32), Role.PERSON, recipient=JANE, lookup=desk.code("4711")))
    scan(page, "4711")
    heading(page, "There are 3 for you")
    expect(page.get_by_role("button", name="Open door 01")).to_have_count(1)
    shot(page, "mine-together")
    press(page, "Open door 01")
    heading(page, "Door 01 is open")
    press(page, "I leave some of it inside")
    heading(page, "Which one?")
    shot(page, "which")
    press(page, "Parcel 1")
    heading(page, "Is it still inside?")
    press(page, "Yes")
    heading(page, "Door 01 is open")
    assert {first, second, third} == set(desk.bank.stays)


def test_a_courier_with_a_photo_a_shelf_and_one_that_cannot_be_delivered(page: Page, served: Served) -> None:
    desk = served.desk
    desk.expect("A11")
    scan(page, desk.courier)
    heading(page, "Scan a parcel")
    shot(page, "courier-places")
    press(page, "No label")
    heading(page, "Take a photo of it")
    expect(page.get_by_role("button", name="Take the photo")).to_be_enabled()
    in_german(page, "photo")
    press(page, "Take the photo")
    heading(page, "Who is it for?")
    assert len(desk.photos) == 1 and 1_000 < len(desk.photos[0]) < 65_536
    page.keyboard.type("zz")
    expect(page.locator(".people")).to_have_text("Nobody found")
    shot(page, "recipient-nobody")
    press(page, "Could not deliver")
    heading(page, "Why can you not deliver it?")
    in_german(page, "cannot-deliver")
    press(page, "Nobody of that name")
    expect(page.get_by_role("status").first).to_contain_text("the desk")
    shot(page, "courier-undelivered")
    press(page, "Many onto a shelf")
    heading(page, "Onto which shelf?")
    shot(page, "shelves")
    press(page, "Shelf A")
    heading(page, "Scan onto shelf A")
    scan(page, "A11")
    expect(page.get_by_text("1 parcel in", exact=True)).to_be_visible()
    in_german(page, "intake")
    press(page, "My parcels")
    heading(page, "Your parcels")
    in_german(page, "parcels")
    press(page, "Back")
    press(page, "Done with this shelf")
    heading(page, "Scan a parcel")
    press(page, "Open gate G")
    heading(page, "Scan a parcel")


def test_somebody_walks_in_with_a_return(page: Page, served: Served) -> None:
    shot(page, "start-walk-in")
    press(page, "I want to leave something")
    heading(page, "What do you leave?")
    press(page, "A shipment")
    expect(page.get_by_role("alert").first).to_contain_text("It opens again: Monday 2/3, 09:00.")
    in_german(page, "services-closed")
    press(page, "A return")
    heading(page, "Scan the label")
    scan(page, "JD0001")
    expect(page.get_by_role("alert").first).to_be_visible()
    shot(page, "bring-refused")
    press(page, "I need a low compartment")
    expect(page.get_by_role("button", name="Low compartment", exact=True)).to_be_visible()
    in_german(page, "bring")
    scan(page, "RET1")
    heading(page, "How big is it?")
    shot(page, "size-person")
    page.get_by_role("button", name="Small").click()
    heading(page, "Door 01 is open")
    shot(page, "open-walk-in")
    served.wall(served.desk.swing, "01")
    press(page, "Yes, it is in")
    heading(page, "It is in")


def test_staff_moves_throws_away_and_goes_through_all_doors(page: Page, served: Served) -> None:
    desk = served.desk
    desk.stored("A11"), desk.stored("B22", recipient=MAX)
    desk.instruct(c.GrantPass(PassId("f" * 32), Role.STAFF))
    scan(page, desk.staff)
    heading(page, "Which door?")
    shot(page, "staff-places")
    press(page, "01, Occupied, Door closed")
    heading(page, "Door 01")
    in_german(page, "why-inside")
    page.get_by_role("button", name="J. D., unit 12").click()
    heading(page, "J. D., unit 12")
    in_german(page, "thing")
    press(page, "Move to another door")
    heading(page, "Door 01 is open")
    shot(page, "open-move")
    served.wall(desk.swing, "01")
    heading(page, "Door 03 is open")
    served.wall(desk.swing, "03")
    press(page, "Yes, it is in")
    heading(page, "Which door?")
    press(page, "03, Occupied, Door closed")
    page.get_by_role("button", name="J. D., unit 12").click()
    press(page, "Throw it away")
    heading(page, "It takes two")
    in_german(page, "second")
    scan(page, desk.digits(PassId("f" * 32)))
    heading(page, "Door 03 is open")
    served.wall(desk.swing, "03")
    heading(page, "Which door?")
    press(page, "04, Free, Door closed")
    press(page, "Out of service")
    heading(page, "Which door?")
    press(page, "Look into all doors")
    heading(page, "Look into door 01")
    in_german(page, "audit")
    press(page, "Open door 01")
    heading(page, "Door 01 is open")
    served.wall(desk.swing, "01")
    heading(page, "What is in door 01?")
    in_german(page, "look-audit")
    press(page, "Empty, as recorded")
    heading(page, "Look into door 02")
    expect(page.locator(".counts")).to_have_text("1 of 22 within a day")
    press(page, "Stop here")
    heading(page, "Which door?")
