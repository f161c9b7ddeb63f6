"""The screens as a story each: a person presses, the wall moves, the screen follows. No HTTP, no browser."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.edge.kiosk.desk import LARGE, MAX, MEDIUM, PARCEL, RETURN, SMALL, T0, TICKET_KEYS, TestDesk, fittings
from tests.edge.kiosk.visitor import Visitor, signed_in

from latchwork.domain.bank import Policy
from latchwork.domain.commands import Adopt, SignOut, Unlock
from latchwork.domain.entries import Stored
from latchwork.domain.words import (
    CompartmentId,
    CompartmentState,
    DoorState,
    OpeningId,
    PersonId,
    Reason,
    Role,
    SessionId,
    StayId,
    StayState,
)
from latchwork.edge.kiosk import presses as p
from latchwork.edge.kiosk.turn import Turn


@pytest.fixture
def desk() -> TestDesk:
    return TestDesk()


@pytest.fixture
def me(desk: TestDesk) -> Visitor:
    return Visitor(desk)


def test_a_code_opens_the_door_at_once_and_closing_it_ends_everything(desk: TestDesk, me: Visitor) -> None:
    stay = desk.stored()
    desk.silent = True
    screen = me(p.Code(desk.pickup(stay)))
    assert (screen.name, screen.values["door"], screen.values["purpose"]) == ("opening", "01", "collect")
    assert [d["id"] for d in screen.values["wall"] if d["here"]] == ["01"]
    assert {d["state"] for d in screen.values["wall"]} == {""}  # what others have in is nobody's business
    desk.silent = False
    desk.board()
    assert me.see().name == "open"
    desk.swing("01")
    screen = me.see()
    assert (screen.name, screen.values["end"]) == ("thanks", "collected") and stay not in desk.bank.stays
    assert screen.values["last"] == {"door": "01", "stays": [stay]} and desk.bank.sessions  # they may want back in
    desk.now += timedelta(seconds=26)
    assert me.see().name == "start" and not desk.bank.sessions


def test_a_qr_code_does_the_same_and_a_strange_one_is_refused_in_words(desk: TestDesk, me: Visitor) -> None:
    stay = desk.stored()
    assert me(p.Ticket("LW1.NONSENSE")).name == "start" and me.refused() is Reason.NOT_UNDERSTOOD
    assert me(p.Ticket(desk.ticket_for(stay))).name == "open"


def test_the_next_person_need_not_wait_for_the_thanks_to_go(desk: TestDesk, me: Visitor) -> None:
    first, second = desk.stored("A11"), desk.stored("B22", recipient=MAX)
    desk.hands = True
    assert me(p.Code(desk.pickup(first))).name == "thanks"
    assert me(p.Code(desk.pickup(second))).name == "thanks"
    assert not desk.bank.stays


def test_wrong_codes_slow_down_and_say_until_when(desk: TestDesk, me: Visitor) -> None:
    for _ in range(4):
        me(p.Code("0000"))
    assert me.refused() is Reason.WRONG_CODE
    screen = me(p.Code("0000"))
    assert me.refused() is Reason.SLOW_DOWN and screen.values["until"] == (T0 + timedelta(seconds=2)).isoformat()


def test_a_door_that_stays_shut_is_tried_again_or_left(desk: TestDesk, me: Visitor) -> None:
    stay = desk.stored()
    desk.jammed = {"01"}
    assert me(p.Code(desk.pickup(stay))).name == "not_opened"
    assert me(p.Again()).name == "not_opened"
    desk.jammed = set()
    assert me(p.Again()).name == "open"
    desk.swing("01")
    assert me.see().name == "thanks"


def test_a_stuck_door_that_springs_open_late_is_still_this_persons(desk: TestDesk, me: Visitor) -> None:
    stay = desk.stored()
    desk.jammed = {"01"}
    me(p.Code(desk.pickup(stay)))
    desk.swing("01", DoorState.OPEN)
    assert me.see().name == "open"
    desk.swing("01")
    assert me.see().values["end"] == "collected"


def test_after_a_power_cut_the_screen_asks_whether_it_was_taken(desk: TestDesk, me: Visitor) -> None:
    stay = desk.stored()
    desk.silent = True
    me(p.Code(desk.pickup(stay)))
    opening = next(iter(desk.bank.openings.values()))
    desk.decide(Unlock(opening.id, desk.now))
    desk.power_cut()
    desk.silent = False
    assert me.see().name == "did_you_take"  # the same browser
    again = Visitor(desk)
    assert again(p.Code(desk.pickup(stay))).name == "did_you_take"  # or a browser that lost its cookie
    screen = again(p.TookIt())
    assert (screen.name, screen.values["end"]) == ("thanks", "noted") and stay in desk.bank.stays
    once_more = Visitor(desk)
    once_more(p.Code(desk.pickup(stay)))
    assert once_more(p.Again()).name == "open"
    desk.swing("01")
    assert once_more.see().values["end"] == "collected"


def test_a_courier_brings_an_expected_parcel(desk: TestDesk) -> None:
    stay = desk.expect("JD 0001")
    courier = signed_in(desk)
    screen = courier(p.Label("jd0001"))
    assert screen.name == "confirm" and screen.values["recipient"] == {"name": "J. D.", "unit": "12"}
    screen = courier(p.Agree())
    assert (screen.name, screen.values["purpose"]) == ("open", "deposit")
    desk.swing("01")
    assert courier.see().name == "closed"
    screen = courier(p.Confirm())
    assert screen.name == "courier" and screen.values["stored"] == 1
    assert screen.values["told"].items() >= {"what": "stored", "door": "01"}.items()
    assert desk.bank.stays[stay].state is StayState.DEPOSITED and not _is_presumed(desk, stay)
    assert courier(p.Confirm()).values["stored"] == 1  # a second tap on a button that has gone
    assert courier(p.SignOut()).values["end"] == "bye"


def _is_presumed(desk: TestDesk, stay: StayId) -> bool:
    (put,) = (body for body in desk.log if isinstance(body, Stored) and body.stay == stay)
    return put.presumed


def test_the_next_scan_says_that_the_last_one_is_in(desk: TestDesk) -> None:
    first, second = desk.expect("AAA1"), desk.expect("AAA2")
    courier = signed_in(desk)
    courier(p.Label("AAA1"), p.Deposit())
    assert courier(p.Label("AAA2")).name == "open" and courier.refused() is Reason.DOOR_OPEN
    desk.swing("01")
    assert courier(p.Label("AAA1")).name == "closed" and courier.refused() is Reason.ALREADY_HERE
    assert courier(p.Label("AAA2"), p.Deposit()).name == "open"
    assert not _is_presumed(desk, first) and desk.bank.stays[second].compartment == "02"


def test_too_small_occupied_and_did_not_open_each_give_another_door(desk: TestDesk) -> None:
    desk.expect("AAA1", size=None)
    courier = signed_in(desk)
    assert courier(p.Label("AAA1"), p.Agree()).name == "size"
    assert courier(p.Deposit(f"{SMALL.width_mm}x{SMALL.height_mm}x{SMALL.depth_mm}")).values["door"] == "01"
    screen = courier(p.TooSmall())
    assert (screen.values["door"], screen.values["close_first"]) == ("11", ["01"])
    desk.swing("01")
    assert courier.see().values["close_first"] == []
    desk.jammed = {"12"}
    screen = courier(p.Occupied())  # of unknown size, but too big for 01: never a smaller door again
    assert (screen.name, screen.values["door"]) == ("not_opened", "12")
    assert desk.bank.compartments[CompartmentId("11")].state is CompartmentState.NEEDS_CHECK
    screen = courier(p.DidNotOpen())
    assert (screen.name, screen.values["door"]) == ("open", "13")
    assert courier(p.TookBack()).values["told"].items() >= {"what": "released", "door": "13"}.items()
    assert courier(p.Label("AAA1")).name == "confirm"


def test_an_unknown_label_asks_for_whom_and_how_big(desk: TestDesk) -> None:
    courier = signed_in(desk)
    screen = courier(p.Label("1Z999"))
    assert screen.name == "recipient" and screen.values["people"] == []
    assert [x["name"] for x in courier(p.Search("1")).values["people"]] == ["J. D.", "J. A."]
    assert [x["unit"] for x in courier(p.Search("12")).values["people"]] == ["12"]
    assert [x["unit"] for x in courier(p.Search("ja")).values["people"]] == ["112"]
    assert courier(p.Recipient("nobody")).name == "recipient" and courier.refused() is Reason.UNKNOWN_RECIPIENT
    assert courier(p.Recipient(MAX)).values["recipient"] == {"name": "M. A.", "unit": "3b"}
    assert courier(p.Back()).name == "recipient"
    screen = courier(p.Recipient(MAX), p.Agree())
    assert screen.name == "size"
    assert [(s["name"], s["free"]) for s in screen.values["sizes"]] == [("small", 10), ("medium", 8), ("large", 4)]
    screen = courier(p.Deposit(f"{LARGE.width_mm}x{LARGE.height_mm}x{LARGE.depth_mm}"))
    assert screen.values["door"] == "19"
    desk.swing("19")
    courier(p.Confirm())
    (stay,) = desk.bank.stays.values()
    assert stay.about.recipient == MAX and stay.about.label == desk.label("1Z999") and not stay.announced


def test_the_sizes_show_what_this_courier_gets_and_not_what_is_kept_for_others() -> None:
    built = (replace(x, reach_mm=900 if x.id in ("01", "02", "04") else 1500) for x in fittings(3, 1, 0))
    desk = TestDesk(tuple(built), policy=Policy((PARCEL, RETURN), TICKET_KEYS, in_reach_kept=3))
    courier = signed_in(desk)

    def sizes() -> list[tuple[str, int, bool]]:
        found = courier(p.NoLabel(), p.NoPhoto(), p.Recipient(MAX), p.Agree()).values["sizes"]
        return [(x["name"], x["free"], x["room"]) for x in found]

    assert sizes() == [("small", 1, True), ("large", 0, False)], "three are kept for those who need one in reach"
    desk.instruct(Adopt(2, Policy((PARCEL, RETURN), TICKET_KEYS, in_reach_kept=2)))
    assert sizes() == [("small", 2, True), ("large", 1, True)], "any one of them is to be had"
    for _ in range(2):
        door = courier(p.Deposit(f"{SMALL.width_mm}x{SMALL.height_mm}x{SMALL.depth_mm}")).values["door"]
        desk.swing(door)
        left = sizes()
    assert left == [("small", 0, False), ("large", 0, False)]
    assert "No compartment is free for it." in courier.html(courier.see())
    desk.instruct(Adopt(3, Policy((PARCEL, RETURN), TICKET_KEYS, in_reach_kept=1)))
    courier(p.Back())
    door = courier(p.NoLabel(), p.NoPhoto(), p.Recipient(MAX), p.Agree(), p.Deposit()).values["door"]
    desk.swing(door)
    desk.instruct(Adopt(4, Policy((PARCEL, RETURN), TICKET_KEYS)))
    assert sizes() == [("small", 0, True), ("large", 1, True)], "a small thing finds a larger one"


def test_no_room_is_said_and_the_parcel_stays_in_hand() -> None:
    desk = TestDesk(fittings(1, 0, 0))
    desk.stored("AAA1")
    desk.expect("AAA2")
    courier = signed_in(desk)
    assert courier(p.Label("AAA2"), p.Deposit()).name == "confirm"
    assert courier.refused() is Reason.NO_SUITABLE_COMPARTMENT
    assert courier(p.Back()).name == "courier"


def test_a_full_disk_takes_nothing_in_and_says_so(desk: TestDesk) -> None:
    desk.expect("AAA2")
    desk.full = True
    courier = signed_in(desk)
    courier(p.Label("AAA2"), p.Deposit())
    assert courier.refused() is Reason.DISK_FULL


def test_somebody_elses_parcel_is_not_shown(desk: TestDesk) -> None:
    desk.expect("AAA2")
    stay = next(iter(desk.bank.stays.values()))
    courier = signed_in(desk)
    assert courier.turn.session
    session = desk.bank.sessions[courier.turn.session]
    other = replace(session, party=session.party and type(session.party)("f" * 32))
    desk._bank = replace(desk.bank, sessions=desk.bank.sessions.put(session.id, other))
    assert courier(p.Label("AAA2")).name == "courier" and courier.refused() is Reason.NO_ACCESS
    assert stay.state is StayState.EXPECTED


def test_a_courier_takes_out_what_is_late_and_what_goes_back(desk: TestDesk) -> None:
    late = desk.stored("AAA1")
    desk.late(late)
    _, code = desk.expect_return()
    person = Visitor(desk)
    assert person(p.Code(code)).values["door"] == "02"
    desk.swing("02")
    assert person.see().name == "closed"
    screen = person(p.Confirm())
    assert (screen.name, screen.values["end"]) == ("thanks", "stored")
    courier = signed_in(desk)
    assert courier.see().values["to_take"] == 2
    screen = courier(p.TakeOut())
    assert [s["door"] for s in screen.values["stays"]] == ["01", "02"]
    assert courier(p.Take(screen.values["stays"][0]["stay"])).name == "open"
    desk.swing("01")
    screen = courier.see()
    assert (screen.name, screen.values["taken"], len(screen.values["stays"])) == ("takeout", 1, 1)
    courier(p.Take(screen.values["stays"][0]["stay"]))
    desk.swing("02")
    assert courier.see().values["stays"] == [] and not desk.bank.stays
    assert courier(p.Back()).name == "courier"


def test_somebody_who_drops_off_is_asked_how_big_only_if_nobody_knows(desk: TestDesk, me: Visitor) -> None:
    stay, code = desk.expect_return(size=None)
    assert me(p.Code(code)).name == "size"
    screen = me(p.Deposit(f"{MEDIUM.width_mm}x{MEDIUM.height_mm}x{MEDIUM.depth_mm}"))
    assert screen.values["door"] == "11"
    screen = me(p.TookBack())
    assert (screen.name, screen.values["end"]) == ("thanks", "taken_back")
    assert desk.bank.stays[stay].state is StayState.EXPECTED and not desk.bank.sessions


def test_staff_opens_with_a_reason_and_says_what_they_saw(desk: TestDesk, me: Visitor) -> None:
    desk.swing("05", DoorState.OPEN)
    desk.swing("05", DoorState.CLOSED)
    screen = me(p.Code(desk.staff))
    assert screen.name == "staff"
    assert next(d["state"] for d in screen.values["wall"] if d["id"] == "05") == "needs_check"
    screen = me(p.Door("05"))
    assert screen.name == "why" and set(screen.values["reasons"]) >= {"inspection", "emergency"}
    assert me(p.Visit("wrong_code")).name == "why" and me.refused() is Reason.NO_ACCESS
    screen = me(p.Visit("inspection"))
    assert (screen.name, screen.values["purpose"]) == ("open", "check")
    desk.swing("05")
    assert me.see().name == "look"
    assert me(p.Seen(empty=True)).name == "staff"
    assert desk.bank.compartments[CompartmentId("05")].state is CompartmentState.VACANT
    assert me(p.Door("99")).name == "staff" and me.refused() is Reason.UNKNOWN_COMPARTMENT
    desk.jammed = {"06"}
    assert me(p.Door("06"), p.Visit("maintenance")).name == "not_opened"
    assert me(p.Look()).name == "look"
    assert me(p.Seen(empty=False)).name == "staff"


def test_power_lost_in_a_deposit_asks_whether_it_is_in(desk: TestDesk) -> None:
    stay = desk.expect("AAA1")
    courier = signed_in(desk)
    desk.silent = True
    assert courier(p.Label("AAA1"), p.Deposit()).values["can_cancel"]
    desk.decide(Unlock(next(iter(desk.bank.openings)), desk.now))
    desk.power_cut()
    courier.turn = replace(Turn(), session=courier.turn.session)  # the kiosk restarted too
    assert courier.see().name == "unresolved"
    screen = courier(p.Confirm())
    assert screen.name == "courier" and screen.values["stored"] == 1
    assert desk.bank.stays[stay].state is StayState.DEPOSITED


def test_nothing_works_without_a_code(desk: TestDesk, me: Visitor) -> None:
    for press in (p.Label("AAA1"), p.NoLabel(), p.Agree(), p.Deposit(), p.Confirm(), p.Take("x"), p.Door("01")):
        assert me(press).name == "start" and me.refused() is Reason.NO_SESSION
    assert me(p.SignOut()).name == "start" and me.refused() is None
    assert not desk.bank.openings


def test_a_person_can_do_no_couriers_or_staffs_work(desk: TestDesk, me: Visitor) -> None:
    mine, other = desk.stored("AAA1"), desk.stored("BBB1", recipient=PersonId("other"))
    desk.jammed = {"01"}
    me(p.Code(desk.pickup(mine)))
    before = desk.bank
    nots: list[Any] = [
        p.Label("CCC1"),
        p.NoLabel(),
        p.Take(other),
        p.TakeOut(),
        p.Visit("inspection"),
        p.Seen(empty=True),
    ]
    for press in nots:
        me(press)
        assert desk.bank is before, press
    assert me.turn.session and desk.bank.sessions[me.turn.session].role is Role.PERSON


def test_a_revoked_session_ends_at_the_screen_too(desk: TestDesk) -> None:
    courier = signed_in(desk)
    assert courier.turn.session
    desk.decide(SignOut(SessionId(courier.turn.session), Reason.TIMED_OUT))
    assert courier.see().name == "start" and courier.refused() is Reason.TIMED_OUT
    assert OpeningId("x") not in desk.bank.openings
