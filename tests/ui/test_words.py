"""Every language says everything, to everybody."""

import re

import pytest

from latchwork.domain.words import CompartmentState, DoorState, Reason, StayState
from latchwork.ui.words import AUDIENCES, languages, spoken, words

LANGUAGES = languages()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_says_what_is_the_matter_and_what_to_do_next(language: str, reason: Reason) -> None:
    for audience in AUDIENCES:
        said = words(language).reason(reason, audience)
        assert said.what.strip() and said.next.strip()
        assert len(said.what) + len(said.next) < 180, "too long to read in passing"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_state_has_words_for_each_audience(language: str) -> None:
    for kind, states in (("stay", StayState), ("compartment", CompartmentState), ("door", DoorState)):
        for state in states:
            assert all(words(language).state(kind, state, audience) for audience in AUDIENCES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_have_the_same_keys_with_the_same_values_in_them(language: str) -> None:
    ours, english = words(language), words("en")
    assert ours.keys() == english.keys()
    for key in sorted(english.keys()):
        if not key.startswith("reason."):
            fields = [sorted(re.findall(r"{(\w+)}", str(w._find(key)))) for w in (ours, english)]
            assert fields[0] == fields[1], key


def test_a_missing_word_is_an_error() -> None:
    with pytest.raises(KeyError):
        words("en").say("kiosk.start.nothing")
    with pytest.raises(KeyError):
        words("en").say("kiosk.door")
    with pytest.raises(KeyError):
        words("tlh")


def test_plurals_are_chosen_by_number() -> None:
    assert [words("en").say("kiosk.courier.stored", n=n) for n in (0, 1, 2)] == [
        "0 parcels in",
        "1 parcel in",
        "2 parcels in",
    ]


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("de-AT,de;q=0.9,en;q=0.8", "de"), ("fr, en;q=0.5, de;q=0.7", "de"), ("", "en"), ("xx;q=z,*;q=", "en")],
)
def test_the_browsers_wish_is_heard(accepted: str, language: str) -> None:
    assert spoken(accepted) == language
