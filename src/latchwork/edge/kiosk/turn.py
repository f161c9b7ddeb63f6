"""One person's turn at the screen: the little that the bank does not know, and what became of what it does.

A turn is a frozen value. What can be read off the bank (doors, openings, stays, outcomes) is not in it.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from latchwork.domain.bank import Bank, Opening, OpeningState, Session, Stay
from latchwork.domain.commands import Refusal
from latchwork.domain.entries import Wanted
from latchwork.domain.rules.collect import may_take
from latchwork.domain.words import (
    CompartmentId,
    Lookup,
    OpeningId,
    PartyId,
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


class Mode(StrEnum):
    """What somebody is busy with, from door to door."""

    TAKE_OUT = "take_out"
    INTAKE = "intake"
    AUDIT = "audit"


class Question(StrEnum):
    """A screen that was asked for and is gone with the next press."""

    PARCELS = "parcels"
    CANNOT_DELIVER = "cannot_deliver"
    SHELVES = "shelves"
    SERVICES = "services"
    WRONG = "wrong"
    SECOND = "second"
    OPEN_ALL = "open_all"
    THING = "thing"


@dataclass(frozen=True, slots=True)
class Ask:
    question: Question
    stay: StayId | None = None
    what: Reason | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A thing in somebody's hand, before any door was asked for it."""

    label: Lookup | None = None
    text: str = ""
    """The label as it was scanned: for the screen alone."""
    stay: StayId | None = None
    """Where it is expected."""
    recipient: PersonId | None = None
    query: str = ""
    agreed: bool = False
    """They said: yes, it is for them; or: they are not in the list; or nobody need be asked."""
    wants_photo: bool = False
    photo: str | None = None
    """Its hash, as the entry will have it."""


@dataclass(frozen=True, slots=True)
class Told:
    """Good or bad news about the last door or parcel, shown once beside the next question."""

    what: str
    door: str = ""
    reason: Reason | None = None
    fallback: str | None = None
    number: str = ""
    """Of a card."""


@dataclass(frozen=True, slots=True)
class Turn:
    session: SessionId | None = None
    opening: OpeningId | None = None
    """The opening that this turn watches, with what it was about: openings vanish from the bank when they end."""
    compartment: CompartmentId | None = None
    stay: StayId | None = None
    purpose: Purpose | None = None
    draft: Draft | None = None
    photo: str | None = None
    """Of what lies behind the door now, until "it is in"."""
    in_reach: bool = False
    mode: Mode | None = None
    shelf: CompartmentId | None = None
    party: PartyId | None = None
    """Whose parcels staff takes in."""
    ask: Ask | None = None
    door: CompartmentId | None = None
    """The door that staff has picked and not yet opened."""
    why: Reason | None = None
    """For what staff opened the last one."""
    look: CompartmentId | None = None
    """The door that staff opened and has not yet told about."""
    skipped: frozenset[CompartmentId] = frozenset()
    put_aside: frozenset[OpeningId] = frozenset()
    """Openings in doubt that this person has answered for."""
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


def takeable(bank: Bank, session: Session) -> list[Stay]:
    """What this person may take out now, door by door."""
    due = [stay for stay in bank.stays.values() if stay.compartment is not None and may_take(bank, session, stay)]
    return sorted(due, key=lambda stay: (len(stay.compartment or ""), stay.compartment or "", stay.id))


def just_taken(bank: Bank, session: Session | None) -> list[Stay]:
    """What came out of the last door that this person emptied."""
    held = bank.passes.get(session.pass_id) if session is not None and session.pass_id else None
    took = held.took if held else ()
    return [stay for stay in took if stay.compartment == took[-1].compartment]


def current(bank: Bank, turn: Turn) -> Opening | None:
    """The opening that the screen is about now: the one watched, else one that wants an answer of this person."""
    if turn.session is None or turn.session not in bank.sessions:
        return None
    watched = bank.openings.get(turn.opening) if turn.opening else None
    if watched is not None and watched.id not in turn.put_aside and not _is_gate(bank, watched):
        return watched
    session = bank.sessions[turn.session]
    for opening in sorted(bank.openings.values(), key=lambda o: o.id):
        if opening.id in turn.put_aside or _is_gate(bank, opening):
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


def _is_gate(bank: Bank, opening: Opening) -> bool:
    """Work goes on behind an open gate; only a collection from the shelf behind it has its own screen."""
    compartment = bank.compartments.get(opening.compartment)
    passed = opening.state is OpeningState.OPENED and opening.purpose is not Purpose.COLLECT
    return passed and compartment is not None and compartment.fitting.gate


def left_open(bank: Bank, turn: Turn) -> list[CompartmentId]:
    """Doors of this person that stand open, apart from gates and the one that the screen is about."""
    now = current(bank, turn)
    return sorted(
        o.compartment
        for o in bank.openings.values()
        if turn.session is not None
        and o.session == turn.session
        and o.state is OpeningState.OPENED
        and not _is_gate(bank, o)
        and (now is None or o.compartment != now.compartment)
    )


def door_under_way(bank: Bank, session: SessionId) -> bool:
    return any(o.session == session and o.state in UNDER_WAY for o in bank.openings.values())


def follow(bank: Bank, turn: Turn) -> Turn:
    """The turn after what has happened at the wall meanwhile: what it watched may have come to its end."""
    if turn.session is None or turn.end is not None:
        return turn
    session = bank.sessions.get(turn.session)
    if session is None:
        return replace(fresh(turn), refusal=Refusal(Reason.TIMED_OUT))
    if turn.opening is None or turn.opening in bank.openings:
        return turn
    door, stay = turn.compartment, turn.stay
    assert door is not None
    ended = unwatch(turn)
    if turn.purpose is Purpose.DEPOSIT:
        held = bank.stays.get(stay) if stay else None
        if held is None or held.state is StayState.RESERVED or held.compartment != door:
            return replace(ended, told=Told("released", door))
        if session.role is Role.PERSON:
            return replace(ended, end=End.STORED, end_door=door)
        return replace(ended, told=Told("moved" if turn.why is Reason.MOVED else "stored", door), why=None)
    if turn.purpose is Purpose.COLLECT and stay in bank.stays:
        return replace(ended, told=Told("not_taken", door), refusal=Refusal(Reason.DOOR_NOT_OPENED))
    if session.role is Role.PERSON:
        return after_taking(bank, ended, session, door, Told("noted" if stay is None else "taken", door))
    if turn.purpose is Purpose.COLLECT:
        return replace(ended, told=Told("noted" if stay is None else "taken", door))
    if bank.compartments[door].fitting.gate or turn.purpose is Purpose.VISIT or turn.why is Reason.MOVED:
        return ended
    return replace(ended, look=door)


def after_taking(bank: Bank, turn: Turn, session: Session, door: CompartmentId, told: Told | None) -> Turn:
    """On to the person's next compartment, or to the end."""
    if takeable(bank, session):
        return replace(turn, told=told)
    taken = just_taken(bank, session) or (told is not None and told.what == "taken")
    end = End.COLLECTED if taken else End.NOTED
    return replace(turn, end=end, end_door=door, told=None)
