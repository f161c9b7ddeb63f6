"""What the installer is asked, in which order, and what is concluded from it. No line, no clock."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latchwork.domain.words import DoorState
from latchwork.edge.commission import survey as s
from latchwork.edge.commission import words
from latchwork.edge.config import BusTable, CompartmentTable
from latchwork.edge.drivers.protocol import Contact

PLACES = tuple(s.Place(0, channel, 0) for channel in range(4))
A, B, C, D = PLACES
EXPECTED = [Contact.CLOSED_WHEN_SHUT]


def begun() -> s.Survey:
    return s.Survey((BusTable("kerong-cu16", "/dev/null", (0,)),), PLACES)


def moved(*places: s.Place, after_ms: int = 240, before: DoorState = DoorState.CLOSED) -> s.Pulsed:
    return s.Pulsed(before, tuple(s.Move(place, after_ms, before) for place in places))


def told(survey: s.Survey, *answers: s.Answer) -> s.Survey:
    for answer in answers:
        survey = s.answered(survey, answer)
    return survey


def door(label: str) -> s.Described:
    return s.Described(CompartmentTable(label, (380, 190, 640)))


def good(place: s.Place, label: str, **how: object) -> tuple[s.Answer, ...]:
    return moved(place, **how), s.Moved((label,)), s.CameBack(True), door(label)  # type: ignore[arg-type]


def test_a_channel_is_settled_step_by_step() -> None:
    survey = begun()
    assert s.question(survey) == s.AllShut()
    survey = told(survey, s.Yes())
    assert s.question(survey) == s.PulseNext(A)
    survey = told(survey, moved(A))
    assert s.question(survey) == s.WhichMoved(A, (A,))
    survey = told(survey, s.Moved(("07",)))
    assert s.question(survey) == s.ShutAgain(A, ("07",))
    survey = told(survey, s.CameBack(True))
    assert s.question(survey) == s.Describe("07")
    survey = told(survey, door("07"))
    assert s.question(survey) == s.PulseNext(B)
    survey = told(survey, s.PassOver(), *good(C, "08"), s.PassOver(rest=True))
    assert s.question(survey) == s.Finished()
    assert [(c.id, c.bus, c.channel) for c in s.compartments(survey, EXPECTED)] == [("07", 0, 0), ("08", 0, 2)]
    assert s.problems(survey) == {}


def test_polarity_and_time_to_open_are_what_the_contact_did() -> None:
    survey = told(begun(), s.Yes(), *good(A, "01", after_ms=236), *good(B, "02", before=DoorState.OPEN))
    first, second = s.compartments(survey, EXPECTED)
    assert (first.contact, first.open_seconds) == (None, 0.24)
    assert (second.contact, second.open_seconds) == (Contact.OPEN_WHEN_SHUT, 0.24)
    (turned, plain) = s.compartments(survey, [Contact.OPEN_WHEN_SHUT])
    assert (turned.contact, plain.contact) == (None, Contact.CLOSED_WHEN_SHUT)


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ((moved(), s.Moved()), {A: "is dead: no door moved and no contact changed"}),
        ((moved(A), s.Moved(), s.CameBack(True)), {A: "no door moved, but its contact changed"}),
        ((moved(B), s.Moved(), s.CameBack(True)), {A: "no door moved, but the contact of channel 1"}),
        ((moved(), s.Moved(("01",)), s.CameBack(True)), {A: "opens door 01, but its contact did not move"}),
        ((moved(B), s.Moved(("01",)), s.CameBack(True)), {A: "the contact that moved is that of channel 1"}),
        ((moved(A, B), s.Moved(("01",)), s.CameBack(True)), {A: "the contact of channel 1 (bus 0, board 0) moved wi"}),
        ((moved(A, B), s.Moved(("01", "02")), s.CameBack(True)), {A: "opens doors 01 and 02. Wire each"}),
        ((moved(A), s.Moved(("01",)), s.CameBack(False)), {A: "was shut again, but its contact did not go back"}),
        (
            (*good(A, "01"), moved(B), s.Moved(("01",)), s.CameBack(True)),
            {A: "opens door 01, and so does channel 1", B: "opens door 01, and so does channel 0"},
        ),
        (
            (*good(A, "01"), moved(B), s.Moved(("01", "02")), s.CameBack(True)),
            {A: "and so does channel 1", B: "opens doors 01 and 02"},
        ),
    ],
)
def test_what_is_wrong_is_named_and_left_out(answers: tuple[s.Answer, ...], says: dict[s.Place, str]) -> None:
    survey = told(begun(), s.Yes(), *answers, s.PassOver(rest=True))
    found = s.problems(survey)
    assert found.keys() == says.keys() and all(part in found[place] for place, part in says.items())
    assert s.question(survey) == s.Finished() and s.compartments(survey, EXPECTED) == ()


@pytest.mark.parametrize(("moving", "how"), [((), "but no contact moves"), (PLACES[:3], "move together")])
def test_contacts_that_fail_alike_have_one_cause(moving: tuple[s.Place, ...], how: str) -> None:
    each = [(moved(*moving), s.Moved((f"0{number}",)), s.CameBack(True)) for number in (1, 2, 3)]
    survey = told(begun(), s.Yes(), *(answer for answers in each for answer in answers), moved(), s.Moved())
    assert survey.probes[3].place == D and set(s.problems(survey)) == set(PLACES)
    shared, other = words.wrong(survey)
    assert shared.startswith("Channels 0, 1, 2 (bus 0, board 0) open their doors") and how in shared
    assert "Channel 3 (bus 0, board 0) is dead" in other


def test_a_repaired_channel_is_tried_again_after_all_doors_are_shut() -> None:
    survey = told(begun(), s.Yes(), moved(), s.Moved(), s.PassOver(rest=True))
    survey = s.again(survey, 0)
    assert s.question(survey) == s.AllShut()
    survey = told(survey, s.Yes(), *good(A, "01"))
    assert s.question(survey) == s.Finished() and s.problems(survey) == {}
    with pytest.raises(s.Senseless, match="channel 9 of bus 0 was not tried yet"):
        s.again(survey, 9)
    with pytest.raises(s.Senseless, match="channel 0 of bus 1"):
        s.again(survey, 0, 1)


def test_a_door_is_described_again() -> None:
    survey = s.undescribed(told(begun(), s.Yes(), *good(A, "01")), "01")
    assert s.question(survey) == s.Describe("01")
    with pytest.raises(s.Senseless, match="door 02 was not described yet"):
        s.undescribed(survey, "02")


@pytest.mark.parametrize(
    ("before", "answer", "says"),
    [
        ((), moved(A), "the question is another: Is every door shut?"),
        ((s.Yes(),), s.Moved(("01",)), "May this channel be pulsed now?"),
        ((s.Yes(), moved(A)), s.Moved(("01", "01")), "a door was named twice"),
        ((s.Yes(), moved(A)), s.Moved(("no label",)), '"no label" is no label of a door'),
        ((s.Yes(), moved(A), s.Moved(("01",)), s.CameBack(True)), door("02"), "door 01 was asked for, not 02"),
        (
            (s.Yes(), moved(A), s.Moved(("01",)), s.CameBack(True)),
            s.Described(CompartmentTable("01", (0, 1, 1))),
            "out of range",
        ),
    ],
)
def test_a_senseless_answer_changes_nothing(before: tuple[s.Answer, ...], answer: s.Answer, says: str) -> None:
    with pytest.raises(s.Senseless) as caught:
        told(begun(), *before, answer)
    assert says in str(caught.value)


def test_nothing_is_pulsed_in_a_new_sitting_before_all_is_said_to_be_shut() -> None:
    survey = s.resumed(told(begun(), s.Yes(), *good(A, "01")))
    assert s.question(survey) == s.AllShut()
    with pytest.raises(s.Senseless, match="no pulse comes next"):
        s.asked_for(survey, datetime.now(UTC))
    survey = s.asked_for(told(survey, s.Yes()), datetime.now(UTC))
    assert [pulse.place for pulse in survey.pulses] == [B] and s.question(survey) == s.PulseNext(B)


@given(st.lists(st.sampled_from(["dead", "good", "twin", "crossed", "pass"]), max_size=6), st.data())
def test_whatever_is_found_it_ends_and_is_kept_whole(kinds: list[str], data: st.DataObject) -> None:
    survey = told(begun(), s.Yes())
    for kind in [*kinds, *["pass"] * 4]:
        asked = s.question(survey)
        if isinstance(asked, s.Finished):
            break
        assert isinstance(asked, s.PulseNext)
        place, label = asked.place, f"{asked.place.channel + 1:02}"
        match kind:
            case "pass":
                survey = told(survey, s.PassOver())
            case "dead":
                survey = told(survey, moved(), s.Moved())
            case "good":
                survey = told(survey, moved(place), s.Moved((label,)), s.CameBack(True))
            case "twin":
                survey = told(survey, moved(place), s.Moved(("01",)), s.CameBack(True))
            case "crossed":
                survey = told(survey, moved(data.draw(st.sampled_from(PLACES))), s.Moved((label,)), s.CameBack(True))
        if isinstance(asked := s.question(survey), s.Describe):
            survey = told(survey, door(asked.door))
        assert msgspec.json.decode(msgspec.json.encode(survey), type=s.Survey) == survey
    assert s.question(survey) == s.Finished()
    written = s.compartments(survey, EXPECTED)
    assert len({c.id for c in written}) == len({c.channel for c in written}) == len(written)
    assert not {(0, c.channel) for c in written} & {(p.bus, p.channel) for p in s.problems(survey)}


@pytest.mark.parametrize(
    ("size", "reach", "more", "says"),
    [
        ("380 190 640", "900", "chilled gate power", None),
        ("380x190x640 mm", "", "", None),
        ("380 190", "", "", "width, height and depth"),
        ("380 190 640", "high", "", "height of the door's middle"),
        ("380 190 640", "", "chilled frozen", "has one climate"),
    ],
)
def test_how_a_door_is_described(size: str, reach: str, more: str, says: str | None) -> None:
    if says is None:
        table = words.description("01", size, reach, more)
        assert table.size_mm == (380, 190, 640)
        assert words.description("01", *words.described(table)) == table
    else:
        with pytest.raises(s.Senseless, match=says):
            words.description("01", size, reach, more)
