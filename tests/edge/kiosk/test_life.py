"""The exceptions of ordinary days at the screen, a story each: by presses alone, as a script drives them."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.edge.kiosk.desk import DHX, JANE, LARGE, MAX, PARCEL, RETURN, SMALL, TestDesk, fittings
from tests.edge.kiosk.visitor import PAPERS, Visitor, signed_in

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain.bank import About, Fitting, Hours, Policy, Service
from latchwork.domain.words import (
    CompartmentId,
    CompartmentState,
    DoorState,
    Ending,
    PassId,
    Reason,
    Role,
    ServiceId,
    Shares,
    StayId,
    StayState,
)
from latchwork.edge.kiosk import presses as p
from latchwork.edge.kiosk.papers import Rule
from latchwork.edge.kiosk.photos import Photos
from latchwork.edge.kiosk.turn import Turn

JPEG = b"\xff\xd8\xff" + b"x" * 100 + b"\xff\xd9"
SHELF = Fitting(CompartmentId("A"), LARGE, shelf=True)
CAGED = Fitting(CompartmentId("B"), LARGE, shelf=True, behind=CompartmentId("G"))
GATE = Fitting(CompartmentId("G"), LARGE, gate=True)


def desk_with(*services: Service, built: tuple[Fitting, ...] = fittings(), **more: object) -> TestDesk:
    return TestDesk(built, policy=replace(Policy(services), **more))  # type: ignore[arg-type]


def last(desk: TestDesk, kind: type) -> e.Body:
    return next(body for body in reversed(desk.log) if isinstance(body, kind))


def state(desk: TestDesk, door: str) -> CompartmentState:
    return desk.bank.compartments[CompartmentId(door)].state


# Recipients


def test_one_session_opens_all_that_is_mine() -> None:
    desk = desk_with(replace(PARCEL, extensions_max=1, extension_hours=24))
    first, second = desk.stored("A11"), desk.stored("B22")
    desk.stored("C33", recipient=MAX)
    me = Visitor(desk)
    assert me(p.Code(desk.pickup(first))).values["door"] == "01"
    desk.swing("01")
    screen = me.see()
    assert (screen.name, [x["stay"] for x in screen.values["stays"]]) == ("mine", [second])
    assert screen.values["told"]["what"] == "taken" and screen.values["last"]["stays"] == [first]
    before = desk.bank.stays[second].deadline
    screen = me(p.Extend(second))
    assert screen.values["told"]["what"] == "extended" and not screen.values["stays"][0]["can_extend"]
    assert before and desk.bank.stays[second].deadline == before + timedelta(hours=24)
    me(p.Extend(second))
    assert me.refused() is Reason.NO_EXTENSION
    assert me(p.Take(second)).values["door"] == "02"
    desk.swing("02")
    assert me.see().values["end"] == "collected"
    assert me(p.SignOut()).name == "start" and not desk.bank.sessions


def test_some_is_still_inside_and_the_same_code_opens_again() -> None:
    desk = TestDesk()
    stay = desk.stored()
    code = desk.pickup(stay)
    me = Visitor(desk)
    me(p.Code(code))
    desk.swing("01")
    assert me.see().name == "thanks"
    screen = me(p.Report(Reason.LEFT_BEHIND))
    assert (screen.name, screen.values["told"]["what"]) == ("mine", "left")
    assert desk.bank.stays[stay].state is StayState.DEPOSITED and state(desk, "01") is CompartmentState.OCCUPIED
    me(p.SignOut())
    assert me(p.Code(code)).name == "open"
    screen = me(p.Report(Reason.LEFT_BEHIND))  # also before the open door
    assert screen.name == "open"
    desk.swing("01")
    assert me.see().name == "mine" and stay in desk.bank.stays


def test_open_again_right_after_it_closed_and_with_the_code_within_minutes() -> None:
    desk = TestDesk()
    stay = desk.stored()
    code = desk.pickup(stay)
    me = Visitor(desk)
    me(p.Code(code))
    desk.swing("01")
    assert me(p.Again()).values["purpose"] == "visit"
    desk.swing("01")
    assert me.see().values["end"] == "collected"
    me(p.SignOut())
    other = Visitor(desk)
    screen = other(p.Code(code))
    assert (screen.name, screen.values["end"], screen.values["door"]) == ("thanks", "collected", "01")
    assert desk.bank.compartments[CompartmentId("01")].door is DoorState.CLOSED
    assert other(p.Again()).name == "open"
    desk.swing("01")
    other.see()
    other(p.SignOut())
    desk.now += timedelta(minutes=11)
    other(p.Code(code))
    assert other.refused() is Reason.WRONG_CODE


@pytest.mark.parametrize(
    ("what", "left", "becomes", "door"),
    [
        (Reason.NOT_MINE, True, StayState.EXCEPTION, CompartmentState.OCCUPIED),
        (Reason.REFUSED, True, StayState.EXCEPTION, CompartmentState.OCCUPIED),
        (Reason.DAMAGED, True, StayState.EXCEPTION, CompartmentState.OCCUPIED),
        (Reason.DAMAGED, False, None, CompartmentState.VACANT),
        (Reason.COMPARTMENT_EMPTY, True, None, CompartmentState.NEEDS_CHECK),
    ],
)
@pytest.mark.parametrize("closed", [True, False])
def test_something_is_wrong(
    what: Reason, left: bool, becomes: StayState | None, door: CompartmentState, closed: bool
) -> None:
    desk = TestDesk()
    stay = desk.stored()
    me = Visitor(desk)
    me(p.Code(desk.pickup(stay)))
    if closed:
        desk.swing("01")
    screen = me(p.Wrong())
    assert screen.name == "wrong" and str(what) in screen.values["what"]
    assert me(p.Back()).name in ("open", "mine", "sorry", "thanks")
    me(p.Wrong())
    screen = me(p.Wrong(what))
    assert screen.name == "sure" and screen.values["what"] == str(what)
    screen = me(p.Report(what, left=left))
    if not closed:
        assert screen.name == "open"
        desk.swing("01")
        screen = me.see()
    assert (screen.name, screen.values["end"]) == ("thanks", "noted")
    held = desk.bank.stays.get(stay)
    assert (held.state if held else None) is becomes and state(desk, "01") is door


def test_of_several_behind_one_door_the_screen_asks_which() -> None:
    desk = desk_with(replace(PARCEL, shares=Shares.RECIPIENT))
    first = desk.stored("A11")
    courier = signed_in(desk)
    second = desk.expect("B22", size=None)
    screen = courier(p.Label("B22"), p.Agree())
    assert screen.values["door"] == "01" and screen.values["shared"]
    desk.swing("01")
    courier(p.Confirm(), p.SignOut())
    me = Visitor(desk)
    me(p.Code(desk.pickup(first)))
    screen = me(p.Report(Reason.NOT_MINE))
    assert screen.name == "which" and set(screen.values["stays"]) == {first, second}
    assert me(p.Wrong(Reason.NOT_MINE, second)).name == "sure"
    assert me(p.Report(Reason.NOT_MINE, second)).name == "open"
    desk.swing("01")
    me.see()
    assert first not in desk.bank.stays and desk.bank.stays[second].state is StayState.EXCEPTION


def test_of_several_behind_one_door_some_stay_and_the_door_opens_again_without_ending_them() -> None:
    desk = desk_with(replace(PARCEL, shares=Shares.RECIPIENT))
    first, second = desk.stored("A11"), desk.stored("B22", size=None)
    desk.instruct(c.GrantPass(PassId("a" * 32), Role.PERSON, recipient=JANE, lookup=desk.card("04A2")))
    me = Visitor(desk)
    assert me(p.Card("04a2")).values["stays"] == [first, second]
    me(p.Report(Reason.LEFT_BEHIND, second))
    desk.swing("01")
    assert [x["stay"] for x in me.see().values["stays"]] == [second]
    assert me(p.Again()).values["purpose"] == "visit"
    desk.swing("01")
    assert me.see().name == "mine" and desk.bank.stays[second].state is StayState.DEPOSITED
    third = desk.stored("C33", size=None)
    desk.instruct(c.Amend(third, blocked=True))
    me(p.Take(second))
    assert me.refused() is Reason.BLOCKED
    me(p.Again())
    assert me.refused() is Reason.COMPARTMENT_OCCUPIED


def test_closed_hours_say_when_it_opens() -> None:
    desk = desk_with(replace(PARCEL, hours=(Hours(6, 0, 24 * 60), Hours(0, 9 * 60, 10 * 60))))
    stay = desk.stored()  # on a Sunday
    desk.now += timedelta(hours=17)
    me = Visitor(desk)
    screen = me(p.Code(desk.pickup(stay)))
    assert me.refused() is Reason.OUTSIDE_HOURS
    assert me.turn.refusal and me.turn.refusal.until == desk.now.replace(hour=9)
    html = me.html(screen)
    assert "It opens again: 09:00." in html


def test_a_household_card_lists_and_a_blocked_parcel_says_what_to_do() -> None:
    desk = TestDesk()
    first, _ = desk.stored("A11"), desk.stored("B22")
    card = PassId("a" * 32)
    desk.instruct(c.GrantPass(card, Role.PERSON, recipient=JANE, lookup=desk.code("4711")))
    me = Visitor(desk)
    assert [x["door"] for x in me(p.Code("4711")).values["stays"]] == ["01", "02"]
    desk.instruct(c.Amend(first, blocked=True))
    assert [x["door"] for x in me.see().values["stays"]] == ["02"]
    me(p.SignOut())
    screen = me(p.Code(desk.pickup(first)))
    assert me.refused() is Reason.BLOCKED and "Ask the staff" in me.html(screen)


# Couriers


def test_a_courier_cannot_deliver_and_hears_where_it_goes_and_the_list_survives_the_power() -> None:
    desk = desk_with(PARCEL, fallbacks=("desk",), built=fittings(1, 0, 0))
    stay, other = desk.expect("A11"), desk.expect("B22", recipient=MAX)
    courier = signed_in(desk)
    courier(p.Label("A11"), p.Agree())
    desk.swing("01")
    courier(p.Confirm(), p.Label("B22"), p.Agree())
    assert courier.refused() is Reason.NO_SUITABLE_COMPARTMENT
    screen = courier(p.CannotDeliver())
    assert screen.name == "cannot_deliver" and screen.values["fallbacks"] == ["desk"]
    assert screen.values["reasons"][0] == "no_suitable_compartment"
    screen = courier(p.GiveUp(Reason.NO_SUITABLE_COMPARTMENT))
    assert screen.name == "courier" and screen.values["told"]["fallback"] == "desk"
    gone = last(desk, e.NotDelivered)
    assert isinstance(gone, e.NotDelivered) and (gone.stay, gone.fallback) == (other, "desk")
    desk.power_cut()
    courier.turn = replace(Turn(), session=courier.turn.session)
    assert courier.see().values["undelivered"] == 1 and courier.see().values["stored"] == 1
    rows = courier(p.Parcels()).values["outcomes"]
    assert [(x["stay"], x["outcome"], x["door"]) for x in rows] == [
        (other, "no_suitable_compartment", None),
        (stay, "deposited", "01"),
    ]
    assert courier(p.Back()).name == "courier"


def test_given_up_in_front_of_the_open_door_it_is_abandoned_too() -> None:
    desk = TestDesk()
    stay = desk.expect("A11")
    courier = signed_in(desk)
    courier(p.Label("A11"), p.Agree(), p.CannotDeliver())
    assert courier(p.GiveUp(Reason.DAMAGED)).values["close_first"] == ["01"]
    desk.swing("01")
    assert state(desk, "01") is CompartmentState.VACANT and desk.bank.stays[stay].state is StayState.EXPECTED


def test_a_door_that_will_not_close_gives_another_one() -> None:
    desk = TestDesk()
    desk.expect("A11")
    courier = signed_in(desk)
    courier(p.Label("A11"), p.Agree())
    assert courier(p.WillNotClose()).values["door"] == "02"
    assert state(desk, "01") is CompartmentState.NEEDS_CHECK


@pytest.mark.parametrize("held", [True, False])
def test_nobody_of_that_name_is_refused_or_held(held: bool) -> None:
    desk = desk_with(replace(PARCEL, holds_unknown=held))
    courier = signed_in(desk)
    screen = courier(p.Label("X99"))
    assert screen.values["held"] is held
    screen = courier(p.UnknownRecipient())
    if not held:
        assert screen.name == "recipient" and courier.refused() is Reason.UNKNOWN_RECIPIENT
        assert courier(p.GiveUp(Reason.UNKNOWN_RECIPIENT)).name == "courier"
        return
    assert screen.name == "size"
    assert courier(p.Deposit("380x80x640")).name == "open"
    desk.swing("01")
    courier(p.Confirm())
    put = last(desk, e.Stored)
    assert isinstance(put, e.Stored) and put.pickup is None and put.why is Reason.UNKNOWN_RECIPIENT


def test_without_a_label_a_photo_is_asked_and_stands_in_the_entry() -> None:
    desk = TestDesk()
    courier = signed_in(desk)
    assert courier(p.NoLabel()).name == "photo"
    courier(p.Photo(b"no picture"))
    assert courier.refused() is Reason.NOT_UNDERSTOOD and not desk.photos
    assert courier(p.Photo(JPEG)).name == "recipient" and desk.photos == [JPEG]
    courier(p.Recipient(JANE), p.Agree(), p.Deposit("380x80x640"), p.TooSmall())
    desk.swing("11")
    courier(p.Confirm())
    put = last(desk, e.Stored)
    assert isinstance(put, e.Stored) and put.photo_sha256 == f"{1:064x}" and put.compartment == "11"
    desk.expect("A11")
    assert not courier(p.Label("A11")).values["photo"]
    assert courier(p.AskPhoto()).name == "photo"
    assert courier(p.NoPhoto()).name == "confirm"
    courier(p.Agree())
    desk.swing("02")
    courier(p.Confirm())
    put = last(desk, e.Stored)
    assert isinstance(put, e.Stored) and put.photo_sha256 is None


def test_photos_are_sealed_under_their_salted_hash_until_erased_or_a_month_old(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    photos = Photos(folder, bytes(32))
    first, second, third = photos.keep(JPEG), photos.keep(JPEG), photos.keep(JPEG)
    assert len({first, second, third}) == 3 and photos.find(first) == JPEG
    assert all(JPEG[:3] not in path.read_bytes() for path in folder.iterdir())
    assert Photos(folder, bytes(31) + b"1").find(first) is None  # another key
    photos.erase_all(json.dumps([first, "../other", 7, "0" * 64]).encode())
    photos.erase_all(b"{}")
    assert photos.find(first) is None and photos.find(second) == JPEG
    sealed = next(path for path in folder.iterdir() if path.name.startswith(second))
    sealed.write_bytes(sealed.read_bytes()[:-1] + b"?")
    assert photos.find(second) is None
    now = datetime.now(UTC)
    photos.forget(now + timedelta(days=29))
    assert photos.find(third) == JPEG
    photos.forget(now + timedelta(days=31))
    assert photos.find(third) is None


def test_scan_scan_scan_onto_a_shelf() -> None:
    desk = desk_with(PARCEL, built=(*fittings(), SHELF, CAGED, GATE))
    desk.expect("A11"), desk.expect("B22", recipient=MAX)
    courier = signed_in(desk)
    assert courier.see().values["shelves"] == ["A", "B"] and courier.see().values["gates"] == ["G"]
    assert [x["shelf"] for x in courier(p.Intake()).values["shelves"]] == ["A", "B"]
    assert courier(p.Intake("A")).name == "intake"
    courier(p.Label("A11"))
    screen = courier(p.Label("B22"))
    assert (screen.name, screen.values["stored"], screen.values["told"]["what"]) == ("intake", 2, "shelved")
    assert courier(p.Label("C33")).name == "recipient"
    screen = courier(p.Recipient(MAX), p.Agree())
    assert (screen.name, screen.values["stored"]) == ("intake", 3)
    assert {s.compartment for s in desk.bank.stays.values()} == {"A"}
    put = last(desk, e.Stored)
    assert isinstance(put, e.Stored) and put.about.party == DHX and put.pickup is not None
    assert courier(p.Back()).name == "courier"
    me = Visitor(desk)
    screen = me(p.Code(desk.digits(put.pickup.pass_id)))  # in the open: told where, and it is theirs
    assert (screen.name, screen.values["door"], screen.values["shelf"]) == ("thanks", "A", True)


def test_a_caged_shelf_opens_its_gate_and_the_work_goes_on_behind_it() -> None:
    desk = desk_with(PARCEL, built=(*fittings(), CAGED, GATE))
    stay = desk.expect("A11")
    courier = signed_in(desk)
    screen = courier(p.Intake("B"))
    assert screen.name == "intake" and desk.bank.compartments[CompartmentId("G")].door is DoorState.OPEN
    assert courier(p.Label("A11")).values["stored"] == 1 and screen.values["close_first"] == []
    desk.swing("G")
    assert courier.see().name == "intake"
    assert courier(p.Gate("G")).name == "intake"
    desk.swing("G")
    courier(p.Back(), p.SignOut())
    me = Visitor(desk)
    screen = me(p.Code(desk.pickup(stay)))
    assert (screen.name, screen.values["door"], screen.values["shelf"]) == ("open", "G", "B")
    desk.swing("G")
    assert me.see().values["end"] == "collected" and not desk.bank.stays


def test_staff_takes_the_pile_in_and_keeps_the_carriers_name() -> None:
    desk = desk_with(PARCEL, built=(*fittings(), SHELF))
    papers = replace(PAPERS, carriers={DHX: "DHX"})
    clerk = Visitor(desk, papers)
    clerk(p.Code(desk.staff))
    assert clerk(p.Intake()).values["carriers"] == {DHX: "DHX"}
    clerk(p.Intake("A", DHX), p.Label("Z99"), p.Recipient(JANE))
    assert clerk(p.Agree()).values["stored"] == 1
    put = last(desk, e.Stored)
    assert isinstance(put, e.Stored) and put.about.party == DHX
    assert clerk(p.Back()).name == "staff"


def test_the_collection_list_has_expired_and_refused_things_and_empty_hands_are_recorded() -> None:
    desk = TestDesk()
    refused, late = desk.stored("A11"), desk.stored("B22", recipient=MAX)
    me = Visitor(desk)
    me(p.Code(desk.pickup(refused)), p.Report(Reason.REFUSED))
    desk.swing("01")
    me.see()
    desk.late(late)
    courier = signed_in(desk)
    rows = courier(p.TakeOut()).values["stays"]
    assert [(x["door"], x["state"], x["why"]) for x in rows] == [
        ("01", "exception", "refused"),
        ("02", "expired", None),
    ]
    courier(p.Take(late))
    assert courier(p.Report(Reason.COMPARTMENT_EMPTY)).name == "open"
    desk.swing("02")
    screen = courier.see()
    assert (screen.name, screen.values["told"]["what"]) == ("takeout", "noted")
    counts = courier(p.Back()).values
    assert (counts["empty"], counts["undelivered"]) == (1, 0)
    assert state(desk, "02") is CompartmentState.NEEDS_CHECK and late not in desk.bank.stays
    courier(p.Take(refused))
    desk.swing("01")
    assert courier.see().values["taken"] == 1 and not desk.bank.stays


# Whoever leaves something

WALK = Service(ServiceId("return"), Role.PERSON, Role.COURIER, 168, party=DHX, walk_in=True)


def test_a_walk_in_leaves_a_return_low_enough_and_the_partners_rule_is_asked_first() -> None:
    low = tuple(replace(f, reach_mm=900 if f.id == "05" else 1600) for f in fittings())
    desk = desk_with(PARCEL, WALK, built=low)
    papers = replace(PAPERS, rules={DHX: Rule(("RET",), otherwise=False)})
    me = Visitor(desk, papers)
    assert me.see().values["walk_in"] == ["return"]
    assert me(p.WalkIn()).name == "bring"
    assert me(p.Label("JD0001")).name == "bring" and me.refused() is Reason.REFUSED
    assert not desk.bank.openings
    me(p.InReach(on=True))
    screen = me(p.Label("ret 123"))
    assert screen.name == "size" and screen.values["in_reach"]
    assert me(p.Deposit("380x80x640")).values["door"] == "05"
    desk.swing("05")
    screen = me(p.Confirm())
    assert (screen.name, screen.values["end"]) == ("thanks", "stored") and not desk.bank.sessions
    (stay,) = desk.bank.stays.values()
    assert stay.about == About(WALK.id, DHX, None, None, desk.label("RET123"), SMALL, True)
    assert me(p.WalkIn(), p.InReach(on=True), p.NoLabel()).name == "bring" and me.refused() is Reason.REFUSED
    me.papers = PAPERS
    me(p.NoLabel())
    assert me(p.NoPhoto()).name == "size"
    me(p.Deposit("380x80x640"))
    assert me.refused() is Reason.NONE_IN_REACH


def test_the_label_of_what_somebody_is_expected_to_bring_is_enough() -> None:
    desk = desk_with(PARCEL, RETURN, WALK)
    stay, _ = desk.expect_return()
    parcel = desk.expect("A11")
    me = Visitor(desk)
    assert me(p.WalkIn(), p.Label("A11")).name == "bring" and me.refused() is Reason.NO_ACCESS
    assert me(p.Label("r-1")).name in ("opening", "open")
    desk.swing("01")
    assert me(p.Confirm()).values["end"] == "stored"
    assert desk.bank.stays[stay].state is StayState.DEPOSITED and desk.bank.stays[stay].about.service == RETURN.id
    assert desk.bank.stays[parcel].state is StayState.EXPECTED


def test_one_of_several_walk_in_services_is_chosen_and_hours_are_kept() -> None:
    shut = replace(WALK, id=ServiceId("shipment"), hours=(Hours(2, 0, 60),))
    desk = desk_with(PARCEL, WALK, shut)
    me = Visitor(desk)
    assert me(p.WalkIn()).values["services"] == ["return", "shipment"]
    assert me(p.WalkIn("shipment")).name in ("services", "start") and me.refused() is Reason.OUTSIDE_HOURS
    assert me(p.WalkIn("parcel")).name in ("services", "start") and me.refused() is Reason.UNKNOWN_SERVICE
    assert me(p.WalkIn("return")).name == "bring"


def test_a_drop_off_low_enough() -> None:
    low = tuple(replace(f, reach_mm=900 if f.id == "12" else 1600) for f in fittings())
    desk = desk_with(PARCEL, RETURN, built=low)
    _, code = desk.expect_return(size=None)
    me = Visitor(desk)
    assert me(p.Code(code)).name == "size"
    assert me(p.InReach(on=True), p.Deposit("380x80x640")).values["door"] == "12"


# Staff


def test_staff_moves_a_parcel() -> None:
    desk = TestDesk()
    stay = desk.stored("A11")
    clerk = Visitor(desk)
    clerk(p.Code(desk.staff))
    screen = clerk(p.Door("01"))
    assert [x["stay"] for x in screen.values["stays"]] == [stay]
    assert clerk(p.Thing(stay)).name == "thing"
    screen = clerk(p.Move(stay))
    assert (screen.name, screen.values["door"], screen.values["purpose"]) == ("open", "01", "move")
    desk.swing("01")
    screen = clerk.see()
    assert (screen.name, screen.values["door"], screen.values["moves"]) == ("open", "02", True)
    desk.swing("02")
    screen = clerk(p.Confirm())
    assert (screen.name, screen.values["told"]["what"]) == ("staff", "moved")
    assert desk.bank.stays[stay].compartment == "02" and state(desk, "01") is CompartmentState.VACANT


def test_staff_sends_back_and_throws_away_by_two() -> None:
    desk = desk_with(replace(PARCEL, at_end=Ending.DISPOSE))
    first, second = desk.stored("A11"), desk.stored("B22")
    desk.instruct(c.GrantPass(PassId("f" * 32), Role.STAFF))
    clerk = Visitor(desk)
    clerk(p.Code(desk.staff))
    assert clerk(p.Remove(first, Reason.RETURN_TO_SENDER)).values["door"] == "01"
    desk.swing("01")
    assert clerk.see().name == "staff" and first not in desk.bank.stays
    assert clerk(p.Remove(second, Reason.DISPOSED)).name == "second"
    assert clerk(p.Remove(second, Reason.DISPOSED, desk.staff)).name == "second"
    assert clerk.refused() is Reason.SECOND_PERSON
    assert clerk(p.Remove(second, Reason.DISPOSED, desk.digits(PassId("f" * 32)))).name == "open"
    desk.swing("02")
    gone = last(desk, e.Removed)
    assert isinstance(gone, e.Removed) and gone.second == "f" * 32 and clerk.see().name == "staff"


def test_two_of_the_staff_open_every_door() -> None:
    desk = TestDesk(fittings(2, 1, 0))
    desk.instruct(c.GrantPass(PassId("f" * 32), Role.STAFF))
    clerk = Visitor(desk)
    clerk(p.Code(desk.staff))
    screen = clerk(p.Card("04a27f11"))
    assert screen.name == "staff" and "Its number is 04A27F11." in clerk.html(screen)
    desk.instruct(c.GrantPass(PassId("d" * 32), Role.STAFF, lookup=desk.card("04A27F11")))
    assert clerk(p.Card("04a27f11")).name == "staff"
    assert [x.pass_id for x in desk.bank.sessions.values()] == ["d" * 32], "a card that somebody has signs them in"
    clerk(p.Code(desk.staff))
    assert clerk(p.OpenAll()).name == "open_all"
    screen = clerk(p.OpenAll(Reason.MAINTENANCE))
    assert (screen.name, screen.values["do"], screen.values["more"]) == (
        "second",
        "open_all",
        {"reason": "maintenance"},
    )
    assert clerk(p.OpenAll(Reason.MAINTENANCE, desk.staff)).name == "second"
    assert clerk.refused() is Reason.SECOND_PERSON and not desk.bank.openings
    screen = clerk(p.OpenAll(Reason.MAINTENANCE, desk.digits(PassId("f" * 32))))
    assert (screen.name, screen.values["door"], screen.values["close_first"]) == ("open", "01", ["02", "03"])
    for door in ("01", "02", "03"):
        desk.swing(door)
    assert clerk.see().name == "staff"
    courier = signed_in(desk)
    courier(p.OpenAll(Reason.MAINTENANCE, desk.staff))
    assert courier.refused() is Reason.NO_ACCESS


def test_staff_sees_what_is_wrong_with_the_wall_and_silences_it_while_at_work() -> None:
    desk = TestDesk(fittings(4, 0, 0))
    somebody = Visitor(desk)
    desk.swing("01", DoorState.OPEN)
    assert somebody.see().values["close_first"] == []
    desk.decide(c.Linger(CompartmentId("01"), 60, False))
    assert somebody.see().values["close_first"] == ["01"], "whoever stands there is asked"
    desk.decide(c.Linger(CompartmentId("01"), 600, True))
    desk.decide(c.See({CompartmentId("02"): DoorState.UNKNOWN}, lost=True))
    desk.decide(c.SenseTamper("back", True))
    clerk = Visitor(desk)
    clerk(p.Code(desk.staff))
    assert clerk.see().values["alarms"] == {
        "forced": ["01"],
        "left_open": ["01"],
        "board_lost": ["02"],
        "tampered": ["back"],
    }
    assert clerk(p.Maintain(True)).values["maintained_until"] is not None
    desk.swing("03", DoorState.OPEN)
    assert clerk.see().values["alarms"]["forced"] == ["01"]
    assert clerk(p.Maintain(False)).values["maintained_until"] is None
    desk.swing("04", DoorState.OPEN)
    assert clerk.see().values["alarms"]["forced"] == ["01", "04"]


def test_looked_and_not_there() -> None:
    desk = TestDesk()
    stay = desk.stored("A11")
    clerk = Visitor(desk)
    clerk(p.Code(desk.staff))
    clerk(p.Remove(stay, Reason.COMPARTMENT_EMPTY))
    assert clerk.refused() is Reason.COMPARTMENT_OCCUPIED
    clerk(p.Door("01"), p.Visit("inspection"))
    desk.swing("01")
    clerk(p.Seen(empty=True), p.Door("01"))
    assert clerk.see().values["stays"][0]["may_be_missing"]
    screen = clerk(p.Remove(stay, Reason.COMPARTMENT_EMPTY))
    assert (screen.name, screen.values["told"]["what"]) == ("staff", "removed") and not desk.bank.stays


def test_out_of_service_and_back() -> None:
    desk = TestDesk()
    clerk = Visitor(desk)
    clerk(p.Code(desk.staff))
    clerk(p.Door("01"))
    assert clerk(p.Withdraw("01", now=True)).values["told"]["what"] == "withdrawn"
    assert state(desk, "01") is CompartmentState.OUT_OF_SERVICE
    assert clerk(p.Door("01")).values["withdrawn"]
    assert clerk(p.Withdraw("01", back=True)).values["told"]["what"] == "back_in_service"
    assert state(desk, "01") is CompartmentState.VACANT


def test_an_audit_goes_door_by_door_and_is_resumed_where_it_stopped() -> None:
    desk = TestDesk(fittings(3, 0, 0))
    stay = desk.stored("A11")
    clerk = Visitor(desk)
    clerk(p.Code(desk.staff))
    screen = clerk(p.Audit())
    assert (screen.name, screen.values["door"], screen.values["done"], screen.values["total"]) == ("audit", "01", 0, 3)
    clerk(p.Audit())
    desk.swing("01")
    screen = clerk.see()
    assert screen.name == "look" and screen.values["audit"] and not screen.values["recorded_empty"]
    assert clerk(p.Seen(empty=False)).values["done"] == 1 and state(desk, "01") is CompartmentState.OCCUPIED
    assert clerk(p.Back()).name == "staff"
    clerk(p.SignOut())
    desk.power_cut()
    for door in ("01", "02", "03"):
        desk.swing(door)
    again = Visitor(desk)
    again(p.Code(desk.staff))
    assert again(p.Audit()).values["door"] == "02"
    assert again(p.Skip()).values["door"] == "03"
    again(p.Audit())
    desk.swing("03")
    again.see()
    screen = again(p.Seen(empty=False))
    assert (screen.values["door"], screen.values["done"], screen.values["skipped"]) == (None, 2, ["02"])
    assert state(desk, "03") is CompartmentState.NEEDS_CHECK and desk.bank.stays[stay].state is StayState.DEPOSITED


def test_staffs_work_is_staffs_alone() -> None:
    desk = TestDesk()
    stay = desk.stored("A11")
    courier = signed_in(desk)
    before = desk.bank
    for press in (
        p.Move(stay),
        p.Remove(stay, Reason.RETURN_TO_SENDER),
        p.Withdraw("01"),
        p.Audit(),
        p.Thing(stay),
        p.Extend(stay),
        p.Report(Reason.NOT_MINE, stay),
        p.Intake("01"),
        p.Gate("01"),
    ):
        courier(press)
        assert desk.bank is before and courier.refused() is not None, press
    assert StayId("x") not in desk.bank.stays
