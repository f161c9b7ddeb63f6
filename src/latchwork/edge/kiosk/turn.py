"""One person's turn at the screen: the little that the bank does not know, and what became of what it does.

A turn is a frozen value. What can be read off the bank (doors, openings, stays) is not in it.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from latchwork.domain.bank import Bank, Opening, OpeningState
from latchwork.domain.commands import Refusal
from latchwork.domain.entries import Wanted
from latchwork.domain.words import (
    CompartmentId,
    Lookup,
    OpeningId,
    PersonId,
    Purpose,
    Reason,
    Role,
    SessionId,
    StayId,
    StayState,
)


class End(StrEnum):
    """How a turn ended, or what the last door brought."""

    COLLECTED = "collected"
    STORED = "stored"
    TAKEN_BACK = "taken_back"
    NOTED = "noted"
    BYE = "bye"


@dataclass(frozen=True, slots=True)
class Draft:
    """A thing in the courier's hand, before any door was asked for it."""

    label: Lookup | None = None
    text: str = ""
    """The label as it was scanned: for the screen alone."""
    stay: StayId | None = None
    """Where it is expected."""
    recipient: PersonId | None = None
    query: str = ""
    agreed: bool = False
    """The courier said: yes, it is for them."""


@dataclass(frozen=True, slots=True)
class Told:
    """Good or bad news about the last door, shown once beside the next question."""

    what: str
    door: CompartmentId


@dataclass(frozen=True, slots=True)
class Turn:
    session: SessionId | None = None
    opening: OpeningId | None = None
    """The opening that this turn watches, with what it was about: openings vanish from the bank when they end."""
    compartment: CompartmentId | None = None
    stay: StayId | None = None
    purpose: Purpose | None = None
    draft: Draft | None = None
    listing: bool = False
    """A courier is at the list of what to take out."""
    door: CompartmentId | None = None
    """The door that staff has picked and not yet opened."""
    why: Reason | None = None
    """For what staff opened the last one."""
    look: CompartmentId | None = None
    """The door that staff opened and has not yet told about."""
    put_aside: frozenset[OpeningId] = frozenset()
    """Openings in doubt that this person has answered for."""
    stored: int = 0
    taken: int = 0
    told: Told | None = None
    end: End | None = None
    end_door: CompartmentId | None = None
    end_until: datetime | None = None
    refusal: Refusal | None = None
    warn_until: datetime | None = None
    """Nobody has touched the screen for a while; then this turn ends."""
    language: str = "en"
    house_language: str = "en"
    """What this screen speaks when nobody has said otherwise."""
    large: bool = False


UNDER_WAY = frozenset({OpeningState.WANTED, OpeningState.UNLOCKED, OpeningState.OPENED})


def watch(turn: Turn, wanted: Wanted) -> Turn:
    return replace(
        turn,
        opening=wanted.opening,
        compartment=wanted.compartment,
        stay=wanted.stays[0] if wanted.stays else None,
        purpose=wanted.purpose,
        draft=None,
        door=None,
        told=None,
        refusal=None,
    )


def unwatch(turn: Turn) -> Turn:
    return replace(turn, opening=None, compartment=None, stay=None, purpose=None)


def fresh(turn: Turn) -> Turn:
    """A turn in which nothing has happened yet, by the same person."""
    return Turn(language=turn.language, house_language=turn.house_language, large=turn.large)


def next_person(turn: Turn) -> Turn:
    return Turn(language=turn.house_language, house_language=turn.house_language)


def current(bank: Bank, turn: Turn) -> Opening | None:
    """The opening that the screen is about now: the one watched, else one that wants an answer of this person."""
    if turn.session is None or turn.session not in bank.sessions:
        return None
    if turn.opening in bank.openings and turn.opening not in turn.put_aside:
        assert turn.opening is not None
        return bank.openings[turn.opening]
    session = bank.sessions[turn.session]
    for opening in sorted(bank.openings.values(), key=lambda o: o.id):
        if opening.id in turn.put_aside:
            continue
        mine = opening.session == turn.session
        if opening.purpose is Purpose.DEPOSIT:
            if mine and opening.claim in bank.claims:
                return opening
        elif (mine and opening.state in UNDER_WAY) or (
            opening.purpose is Purpose.COLLECT
            and opening.state is OpeningState.UNRESOLVED
            # Before the power went, it may have been another session of the same person.
            and (mine or (session.role is Role.PERSON and session.stay in opening.stays))
        ):
            return opening
    return None


def left_open(bank: Bank, turn: Turn) -> list[CompartmentId]:
    """Doors of this person that stand open, apart from the one that the screen is about."""
    now = current(bank, turn)
    return sorted(
        o.compartment
        for o in bank.openings.values()
        if turn.session is not None
        and o.session == turn.session
        and o.state is OpeningState.OPENED
        and (now is None or o.compartment != now.compartment)
    )


def door_under_way(bank: Bank, session: SessionId) -> bool:
    return any(o.session == session and o.state in UNDER_WAY for o in bank.openings.values())


def follow(bank: Bank, turn: Turn) -> Turn:
    """The turn after what has happened at the wall meanwhile: what it watched may have come to its end."""
    if turn.session is None or turn.end is not None:
        return turn
    if turn.session not in bank.sessions:
        return replace(fresh(turn), refusal=Refusal(Reason.TIMED_OUT))
    role = bank.sessions[turn.session].role
    if turn.opening is None or turn.opening in bank.openings:
        return turn
    door, stay = turn.compartment, turn.stay
    assert door is not None
    ended = unwatch(turn)
    if turn.purpose is Purpose.COLLECT:
        if stay in bank.stays:
            return replace(ended, told=Told("not_taken", door), refusal=Refusal(Reason.DOOR_NOT_OPENED))
        if role is Role.PERSON:
            return replace(ended, end=End.COLLECTED, end_door=door)
        return replace(ended, taken=turn.taken + 1, told=Told("taken", door))
    if turn.purpose is Purpose.DEPOSIT:
        held = bank.stays.get(stay) if stay else None
        if held is not None and held.state in (StayState.DEPOSITED, StayState.EXPIRED):
            if role is Role.PERSON:
                return replace(ended, end=End.STORED, end_door=door)
            return replace(ended, stored=turn.stored + 1, told=Told("stored", door))
        return replace(ended, told=Told("released", door))
    return replace(ended, look=door)
