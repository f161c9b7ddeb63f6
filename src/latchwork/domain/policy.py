"""Which compartment, which service, how long, how many digits, how patient: small pure tables."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from latchwork.domain.bank import About, Bank, Compartment, Fitting, Guesses, Service
from latchwork.domain.words import (
    CompartmentId,
    CompartmentState,
    DoorState,
    PartyId,
    Reason,
    Role,
    ServiceId,
    Shares,
    Size,
)

ATTEMPTS_MAX = 2
"""Pulses for one opening; a person is asked to push or gets another door after that."""

FREE_GUESSES = 3
GUESSES_REMEMBERED = 30
GUESS_DELAY_MAX = timedelta(seconds=120)
"""So long at most the next code waits, whoever types it: about 745 wrong codes a day fit in."""
GUESS_FORGET = timedelta(minutes=10)
"""One wrong code is forgotten for each such time without one."""
DIGITS_MIN = 8
CODES_OF_DIGITS_MIN = 12
"""So many codes of `DIGITS_MIN` digits; of each further digit ten times as many. With the delay above, a day of
guessing finds one of them with a chance below 1 in 10,000 (`make bench ONLY=guess`)."""

REMOTE_EASE_S = 3600
REMOTE_ALONE_MAX = 5
"""So many doors one person elsewhere may have opened at once, and one more each `REMOTE_EASE_S`."""
REMOTE_MAX = 10
"""So many two of them. Whoever asks for more is not obeyed until somebody at the wall has said so."""

GUARDS_MAX = 8

REACH_MM = range(380, 1221)
"""Height above the floor that a wheelchair user reaches (ADA 308; EN 301 549, 8.3)."""


# Room


def choose(
    bank: Bank, about: About, *, volume_min_mm3: int = 0, prefer: CompartmentId | None = None
) -> tuple[Compartment, Reason] | Reason:
    """The preferred compartment if it will do, else the smallest vacant one that fits; and why this one.

    Equal sizes go by label. Whoever needs one in reach gets one in reach; others leave the last ones alone.
    """
    if prefer is not None:
        size, service = about.size, bank.services[about.service]
        picked = bank.compartments.get(prefer)
        if picked is None or not _serves(bank, picked.fitting, service):
            return Reason.UNKNOWN_COMPARTMENT
        if size is not None and not size.fits_into(picked.fitting.size):
            return Reason.TOO_BIG
        if not _vacant(picked) or prefer in _in_use(bank):
            return Reason.COMPARTMENT_OCCUPIED
        return picked, Reason.PREFERRED
    fitting, spare = _fitting(bank, about, volume_min_mm3)
    low = [c for c in fitting if _in_reach(c)]
    if about.in_reach:
        return (_smallest(low), Reason.IN_REACH) if low else Reason.NONE_IN_REACH
    found = fitting if spare else [c for c in fitting if not _in_reach(c)]
    if not found:
        return Reason.NO_SUITABLE_COMPARTMENT
    smallest = _smallest(found)
    return smallest, Reason.SMALLEST_FIT if smallest is _smallest(fitting) else Reason.IN_REACH_KEPT


def places(bank: Bank, about: About, only: Size | None = None) -> int:
    """How many things like this would find room, one after another; in compartments of one size only."""
    fitting, spare = _fitting(bank, about)
    fitting = [c for c in fitting if only in (None, c.fitting.size)]
    low = sum(map(_in_reach, fitting))
    return low if about.in_reach else len(fitting) - low + min(low, spare)


def _fitting(bank: Bank, about: About, volume_min_mm3: int = 0) -> tuple[list[Compartment], int]:
    """The vacant compartments that it fits into; and how many in reach need not be kept for those who need one."""
    size, service, in_use = about.size, bank.services[about.service], _in_use(bank)
    vacant = [c for c in bank.compartments.values() if _vacant(c) and c.id not in in_use]
    fitting = [
        c
        for c in vacant
        if _serves(bank, c.fitting, service)
        and (size is None or size.fits_into(c.fitting.size))
        and c.fitting.size.volume_mm3 >= volume_min_mm3
    ]
    return fitting, max(0, sum(map(_in_reach, vacant)) - bank.policy.in_reach_kept)


def _in_reach(compartment: Compartment) -> bool:
    return compartment.fitting.claimable and compartment.fitting.reach_mm in REACH_MM


def _smallest(compartments: Iterable[Compartment]) -> Compartment:
    return min(compartments, key=lambda c: (c.fitting.size.volume_mm3, c.id))


def _vacant(compartment: Compartment) -> bool:
    """A door that is open, or that nobody can see, is not vacant enough."""
    return compartment.state is CompartmentState.VACANT and compartment.door is DoorState.CLOSED


def _serves(bank: Bank, fitting: Fitting, service: Service) -> bool:
    allowed = bank.policy.set_aside.get(fitting.id, (service.id,))
    return fitting.claimable and service.climate in (None, fitting.climate) and service.id in allowed


def _in_use(bank: Bank) -> set[CompartmentId]:
    """Doors that are about to move, and compartments whose last visitor still stands there and may want back in."""
    moving = {o.compartment for o in bank.openings.values()}
    for session in bank.sessions.values():
        held = bank.passes.get(session.pass_id)
        moving |= {stay.compartment for stay in held.took if stay.compartment} if held else set()
    return moving


def shared(bank: Bank, about: About) -> Compartment | None:
    """A compartment whose content may have this beside it: its service says so, and as far as known there is room."""
    service = bank.services[about.service]
    if service.shares is Shares.NONE or (service.shares is Shares.RECIPIENT and about.recipient is None):
        return None
    for claim in sorted(bank.claims.values(), key=lambda claim: claim.compartment):
        compartment = bank.compartments[claim.compartment]
        if claim.service != service.id or compartment.state is not CompartmentState.OCCUPIED or compartment.withdrawn:
            continue
        if compartment.door is not DoorState.CLOSED or any(bank.stays[stay].moving for stay in claim.stays):
            continue
        inside = [bank.stays[stay].about for stay in claim.stays]
        same = all(
            a.party == about.party if service.shares is Shares.PARTY else a.recipient == about.recipient for a in inside
        )
        taken_mm3 = sum(a.size.volume_mm3 for a in (*inside, about) if a.size)
        if same and inside and taken_mm3 <= compartment.fitting.size.volume_mm3:
            return compartment
    return None


def vacant_count(bank: Bank) -> int:
    return sum(_vacant(c) for c in bank.compartments.values() if c.fitting.claimable)


# Services


def service_for(bank: Bank, deposit_by: Role, collect_by: Role, party: PartyId | None, size: Size | None) -> ServiceId:
    """The service for a thing that nobody announced: for its party before for all, for the smallest size that it has.

    Raises LookupError where this bank has none.
    """
    fitting = [
        s
        for s in bank.policy.services
        if (s.deposit_by, s.collect_by) == (deposit_by, collect_by)
        and s.party in (None, party)
        and (s.size_max is None or (size is not None and size.fits_into(s.size_max)))
        and s.climate is None
        and not s.walk_in
    ]
    if not fitting:
        raise LookupError(f"no service for {deposit_by} to {collect_by}")
    return min(
        fitting, key=lambda s: (s.party is None, s.size_max is None, s.size_max.volume_mm3 if s.size_max else 0)
    ).id


# Time


def local(bank: Bank, at: datetime) -> datetime:
    """`at` on the site's own clock, without a zone; outside its table of offsets the nearest one holds."""
    offsets = bank.policy.utc_offsets
    minutes = next((m for since, m in reversed(offsets) if since <= at), offsets[0][1] if offsets else 0)
    return at.astimezone(UTC).replace(tzinfo=None) + timedelta(minutes=minutes)


def at_local(bank: Bank, wall: datetime) -> datetime:
    """The instant when the site's clock shows `wall`: the first of two, and where it is skipped the change itself."""
    offsets = bank.policy.utc_offsets
    for minutes in dict.fromkeys(m for _, m in sorted(offsets, key=lambda row: -row[1])):
        at = wall.replace(tzinfo=UTC) - timedelta(minutes=minutes)
        if local(bank, at) == wall:
            return at
    after = wall.replace(tzinfo=UTC) - timedelta(minutes=min((m for _, m in offsets), default=0))
    return max((since for since, _ in offsets if since <= after), default=after) if offsets else after


def deadline(bank: Bank, service: Service, since: datetime, hours: int | None = None) -> datetime:
    """When what is put in at `since` expires: after its hours, and then to the end of that day where days count."""
    end = since + timedelta(hours=service.pickup_hours_max if hours is None else hours)
    if service.day_ends is None:
        return end
    there = local(bank, end)
    day = there.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(minutes=service.day_ends, days=-1)
    while day < there:  # midnight is the end of the day before
        day += timedelta(days=1)
    return at_local(bank, day)


CLOCK_OFF_S = 300
"""A clock that was behind by less was right enough."""


def next_midnight(bank: Bank, now: datetime) -> datetime:
    there = local(bank, now)
    return at_local(bank, there.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1))


def opens_at(bank: Bank, service: Service, now: datetime) -> datetime | None:
    """When a service that is closed now opens next; None: it is open. A clock in doubt keeps nobody out."""
    if not service.hours or bank.clock_doubted:
        return None
    there = local(bank, now)
    minute = there.hour * 60 + there.minute
    if any(h.weekday == there.weekday() and h.since <= minute < h.to for h in service.hours):
        return None
    midnight = there.replace(hour=0, minute=0, second=0, microsecond=0)
    starts = (midnight + timedelta(days=d, minutes=h.since) for d in range(8) for h in service.hours
              if (midnight + timedelta(days=d)).weekday() == h.weekday)  # fmt: skip
    return at_local(bank, min(start for start in starts if start > there))


# Codes


def code_digits(held: int, role: Role = Role.PERSON) -> int:
    """How long a new code must be where so many are held: a guess can match any of them (OWASP ASVS 5.0, 6.5.4).

    A courier's or staff member's code lives long and opens much, so it is longer from the start.
    """
    digits = DIGITS_MIN + (role is not Role.PERSON)
    while held >= CODES_OF_DIGITS_MIN * 10 ** (digits - DIGITS_MIN):
        digits += 1
    return digits


def after_wrong_code(guesses: Guesses, now: datetime) -> Guesses:
    """A few slips cost nothing; then every fourth wrong code doubles the wait, up to `GUESS_DELAY_MAX`.

    What is remembered has an end too, so that a wall that was guessed at all day forgives within hours.
    """
    forgotten = int((now - guesses.at) / GUESS_FORGET) if guesses.at else 0
    failures = min(max(0, guesses.failures - forgotten) + 1, GUESSES_REMEMBERED)
    if failures <= FREE_GUESSES:
        return Guesses(failures, now, None)
    delay = timedelta(seconds=2 ** ((failures - FREE_GUESSES + 3) // 4))
    return Guesses(failures, now, now + min(delay, GUESS_DELAY_MAX))
