"""Which compartment, how long, how many digits, how patient: small pure tables."""

from datetime import datetime, timedelta

from latchwork.domain.bank import Bank, Compartment, Guesses
from latchwork.domain.words import CompartmentId, CompartmentState, DoorState, Reason, Role, Size

ATTEMPTS_MAX = 2
"""Pulses for one opening; a person is asked to push or gets another door after that."""

FREE_GUESSES = 3
GUESS_DELAY_MAX = timedelta(seconds=60)
GUESS_FORGET = timedelta(minutes=10)
"""One wrong code is forgotten for each such time without one."""


def choose(
    bank: Bank, size: Size | None, *, volume_min_mm3: int = 0, prefer: CompartmentId | None = None
) -> tuple[Compartment, Reason] | Reason:
    """The preferred compartment if it will do, else the smallest vacant one that fits; and why this one.

    A door that is open, or that nobody can see, is not vacant enough. Equal sizes go by label.
    """
    if prefer is not None:
        picked = bank.compartments.get(prefer)
        if picked is None or picked.fitting.gate:
            return Reason.UNKNOWN_COMPARTMENT
        if size is not None and not size.fits_into(picked.fitting.size):
            return Reason.TOO_BIG
        if picked.state is not CompartmentState.VACANT or picked.door is not DoorState.CLOSED:
            return Reason.COMPARTMENT_OCCUPIED
        return picked, Reason.PREFERRED
    fitting = [
        c
        for c in bank.compartments.values()
        if c.state is CompartmentState.VACANT
        and not c.fitting.gate
        and c.door is DoorState.CLOSED
        and (size is None or size.fits_into(c.fitting.size))
        and c.fitting.size.volume_mm3 >= volume_min_mm3
    ]
    if not fitting:
        return Reason.NO_SUITABLE_COMPARTMENT
    return min(fitting, key=lambda c: (c.fitting.size.volume_mm3, c.id)), Reason.SMALLEST_FIT


def code_digits(waiting: int, role: Role = Role.PERSON) -> int:
    """How long a new code must be: a guess can match any of those waiting (OWASP ASVS 5.0, 6.5.4).

    A courier's or staff member's code lives long and opens much, so it is long from the start.
    """
    return 6 if waiting < 50 and role is Role.PERSON else 8


def after_wrong_code(guesses: Guesses, now: datetime) -> Guesses:
    """A few slips cost nothing; then each further wrong code doubles the wait, up to a minute."""
    forgotten = int((now - guesses.at) / GUESS_FORGET) if guesses.at else 0
    failures = max(0, guesses.failures - forgotten) + 1
    if failures <= FREE_GUESSES:
        return Guesses(failures, now, None)
    delay = min(timedelta(seconds=2 ** min(failures - FREE_GUESSES, 16)), GUESS_DELAY_MAX)
    return Guesses(failures, now, now + delay)
