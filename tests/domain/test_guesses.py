"""Codes are too long, and wrong ones heard too seldom, for guessing to pay; and nobody is locked out."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.domain.test_story import Wall, stored_parcel

from latchwork.domain import commands as c
from latchwork.domain import policy
from latchwork.domain.bank import Guesses
from latchwork.domain.words import Lookup, Reason, Role, SessionId

T0 = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def heard_in_a_day(level_max: int) -> int:
    """Wrong codes heard of an attacker who waits to be forgiven whenever more than `level_max` are remembered."""
    guesses, now, heard = Guesses(), T0, 0
    while now < T0 + DAY:
        guesses = policy.after_wrong_code(guesses, now)
        heard += 1
        now = guesses.until or now + timedelta(seconds=1)
        if guesses.failures >= level_max and guesses.at is not None:
            now = max(now, guesses.at + policy.GUESS_FORGET)
    return heard


@pytest.mark.parametrize("digits", range(policy.DIGITS_MIN, policy.DIGITS_MIN + 4))
def test_no_patience_pays(digits: int) -> None:
    codes = next(held for held in range(100_000_000) if policy.code_digits(held) > digits)
    heard = max(heard_in_a_day(level) for level in range(1, policy.GUESSES_REMEMBERED + 2))
    assert heard * codes / 10**digits < 1e-4


def test_codes_that_open_much_are_longer() -> None:
    assert all(policy.code_digits(held, Role.STAFF) > policy.DIGITS_MIN for held in (0, 5, 50, 500))
    assert [policy.code_digits(held) for held in (0, 11, 12, 119, 120, 5_000)] == [8, 8, 9, 9, 10, 11]


def test_a_slip_costs_nothing_and_ten_cost_seconds() -> None:
    w = Wall()
    stay = stored_parcel(w)
    pickup = w.bank.stays[stay].pickup
    assert pickup is not None
    right = w.bank.passes[pickup].grant.lookup

    def typed(code: Lookup) -> c.Decision:
        return w.do(c.SignIn(SessionId(w.fresh()), code))

    for _ in range(policy.FREE_GUESSES):
        assert typed(Lookup("slip")).refusal == c.Refusal(Reason.WRONG_CODE)
    assert typed(right).refusal is None
    for _ in range(10 - policy.FREE_GUESSES):
        w.now = max(w.now, w.bank.guesses.until or w.now)
        assert typed(Lookup("bored")).refusal is not None
    refused = typed(right).refusal
    assert refused is not None and refused.reason is Reason.SLOW_DOWN and refused.until is not None
    assert refused.until - w.now <= timedelta(seconds=4)
    w.now = refused.until
    assert typed(right).refusal is None


def test_a_wall_guessed_at_all_day_forgives_within_hours() -> None:
    guesses, now = Guesses(), T0
    for _ in range(1_000):
        guesses = policy.after_wrong_code(guesses, now)
        now = guesses.until or now
    later = now + policy.GUESSES_REMEMBERED * policy.GUESS_FORGET
    assert policy.after_wrong_code(guesses, later).until is None
