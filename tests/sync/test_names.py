"""Found by name, where the name is not."""

import pytest

from latchwork.sync.names import beginnings, hashed, words

ADA = "a" * 32


@pytest.mark.parametrize(
    ("name", "typed", "found"),
    [
        ("Ada Lovelace", "lov", True),
        ("Ada Lovelace", "LOVELACE", True),
        ("Ada Lovelace", "lovelaces", True),  # beyond eight letters nothing is compared
        ("Ada Lovelace", "lo", False),
        ("Ada Lovelace", "hopper", False),
        ("Ai Weiwei", "ai", True),
        ("Zoë Müller-Strauß", "muller", True),
        ("Zoë Müller-Strauß", "strauss", True),
        ("Zoë Müller-Strauß", "zoe", True),
    ],
)
def test_somebody_is_found_by_how_a_word_of_their_name_begins(name: str, typed: str, found: bool) -> None:
    (word,) = words(typed)
    assert (hashed(ADA, word) in beginnings(ADA, name)) is found


def test_two_of_one_name_have_nothing_in_common() -> None:
    assert not set(beginnings(ADA, "Ada Lovelace")) & set(beginnings("b" * 32, "Ada Lovelace"))
