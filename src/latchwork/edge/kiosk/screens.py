"""What the screen shows, as a pure function: (bank, turn, papers) -> a screen's name and its plain values.

One question a screen. Values are JSON: no words (those depend on the language), no codes, no ids of people who are
not being asked about.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from latchwork.domain.bank import Bank, Compartment, Opening, OpeningState, Session, Stay
from latchwork.domain.rules.collect import may_take
from latchwork.domain.words import STAFF_REASONS, CompartmentState, DoorState, PersonId, Purpose, Role, Size
from latchwork.edge.kiosk.turn import Draft, Turn, current, left_open

Values = dict[str, Any]

MATCHES_MAX = 6


@dataclass(frozen=True, slots=True)
class Screen:
    name: str
    values: Values


@dataclass(frozen=True, slots=True)
class Person:
    id: PersonId
    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class Papers:
    """Documents, read: what only a screen needs."""

    people: tuple[Person, ...] = ()
    bank_name: str = ""
    site: str = ""
    help_phone: str = ""
    columns: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Column and row of each door, where somebody wrote them down."""
    heard_at: datetime | None = None

    def person(self, person: PersonId | None) -> Person | None:
        return next((p for p in self.people if p.id == person), None)


def show(bank: Bank, turn: Turn, papers: Papers) -> Screen:
    session = bank.sessions.get(turn.session) if turn.session else None
    screen = _ended(turn) if turn.end else _asked(bank, turn, papers, session)
    screen.values.update(
        role=str(session.role) if session else None,
        close_first=left_open(bank, turn),
        warn_until=turn.warn_until.isoformat() if turn.warn_until else None,
    )
    return screen


def audience(bank: Bank, turn: Turn) -> str:
    session = bank.sessions.get(turn.session) if turn.session else None
    if session is None or session.role is Role.PERSON:
        return "recipient"
    return "courier" if session.role is Role.COURIER else "operator"


def _asked(bank: Bank, turn: Turn, papers: Papers, session: Session | None) -> Screen:
    if session is None:
        until = turn.refusal.until if turn.refusal else None
        return Screen("start", {"until": until.isoformat() if until else None})
    opening = current(bank, turn)
    if opening is not None and turn.draft is None:
        return _at_a_door(bank, opening, papers)
    if session.role is Role.PERSON:
        return _person(bank, turn, session)
    if session.role is Role.COURIER:
        return _courier(bank, turn, papers, session)
    return _staff(bank, turn, papers)


def _ended(turn: Turn) -> Screen:
    assert turn.end is not None
    return Screen("thanks", {"end": str(turn.end), "door": turn.end_door})


# At a door

_DOOR_SCREENS = {
    OpeningState.WANTED: "opening",
    OpeningState.UNLOCKED: "opening",
    OpeningState.OPENED: "open",
    OpeningState.SHUT: "closed",
    OpeningState.NOT_OPENED: "not_opened",
}


def _at_a_door(bank: Bank, opening: Opening, papers: Papers) -> Screen:
    values: Values = {
        "door": opening.compartment,
        "purpose": "check" if opening.purpose is Purpose.CHECK else str(opening.purpose),
        "opening": opening.id,
        "again": opening.attempt > 1 or (opening.attempt == 1 and opening.state is OpeningState.WANTED),
        "queued": opening.state is OpeningState.WANTED and bank.moving is not None,
        "can_cancel": opening.state is OpeningState.WANTED and opening.purpose is Purpose.DEPOSIT,
        "wall": wall(bank, papers, here=opening.compartment),
    }
    if opening.state is OpeningState.UNRESOLVED:
        kind = {Purpose.DEPOSIT: "unresolved", Purpose.COLLECT: "did_you_take"}
        return Screen(kind.get(opening.purpose, "not_opened"), values)
    return Screen(_DOOR_SCREENS[opening.state], values)


def wall(
    bank: Bank, papers: Papers, *, here: str | None = None, states: bool = False, of: set[str] | None = None
) -> list[Values]:
    """The wall as values. Whose compartments are full is nobody's business but staff's: `states`."""
    doors = []
    for compartment in sorted(bank.compartments.values(), key=lambda x: x.id):
        column, row = papers.columns.get(compartment.id, (None, None))
        doors.append(
            {
                "id": compartment.id,
                "width_mm": compartment.fitting.size.width_mm,
                "height_mm": compartment.fitting.size.height_mm,
                "state": str(compartment.state) if states else "",
                "door": str(compartment.door) if states else "",
                "here": compartment.id == here or (of is not None and compartment.id in of),
                "column": column,
                "row": row,
            }
        )
    return doors


# A recipient, or somebody who drops off


def _person(bank: Bank, turn: Turn, session: Session) -> Screen:
    if session.purpose is Purpose.DEPOSIT and turn.refusal is None:
        stay = bank.stays.get(session.stay) if session.stay else None
        if stay is not None and stay.about.size is None and len(sizes(bank)) > 1:
            return Screen("size", {"sizes": sizes(bank), "for": None})
        return Screen("dropoff", {})
    return Screen("sorry", {"purpose": str(session.purpose) if session.purpose else None})


# A courier


def _courier(bank: Bank, turn: Turn, papers: Papers, session: Session) -> Screen:
    if turn.draft is not None:
        return _draft(bank, turn.draft, papers)
    to_take = takeable(bank, session)
    if turn.listing:
        doors = [{"stay": stay.id, "door": stay.compartment, "state": str(stay.state)} for stay in to_take]
        here = {str(stay.compartment) for stay in to_take}
        return Screen(
            "takeout",
            {"stays": doors, "taken": turn.taken, "told": _told(turn), "wall": wall(bank, papers, of=here)},
        )
    return Screen("courier", {"stored": turn.stored, "taken": turn.taken, "to_take": len(to_take), "told": _told(turn)})


def _told(turn: Turn) -> Values | None:
    return {"what": turn.told.what, "door": turn.told.door} if turn.told else None


def takeable(bank: Bank, session: Session) -> list[Stay]:
    """What this courier may take out now, door by door."""
    due = [stay for stay in bank.stays.values() if stay.compartment is not None and may_take(bank, session, stay)]
    return sorted(due, key=lambda stay: (len(stay.compartment or ""), stay.compartment or "", stay.id))


def _draft(bank: Bank, draft: Draft, papers: Papers) -> Screen:
    stay = bank.stays.get(draft.stay) if draft.stay else None
    who = papers.person(stay.about.recipient if stay else draft.recipient)
    label = draft.text or None
    if stay is None and draft.recipient is None:
        found = matches(papers, draft.query)
        people = [{"id": p.id, "name": p.name, "unit": p.unit} for p in found[:MATCHES_MAX]]
        more = len(found) > MATCHES_MAX
        return Screen("recipient", {"label": label, "query": draft.query, "people": people, "more": more})
    named = {"name": who.name, "unit": who.unit} if who else None
    if not draft.agreed:
        return Screen("confirm", {"label": label, "recipient": named, "expected": stay is not None})
    return Screen("size", {"sizes": sizes(bank), "for": named})


def matches(papers: Papers, query: str) -> list[Person]:
    """People whose unit begins with a typed word, or whose initials do. Nothing typed, nobody shown."""
    wanted = [_plain(word) for word in query.split()]
    if not any(wanted):
        return []
    found = [
        p for p in papers.people if all(_plain(p.unit).startswith(w) or _plain(p.name).startswith(w) for w in wanted)
    ]
    return sorted(found, key=lambda p: (_plain(p.unit) not in wanted, len(p.unit), p.unit, p.name))


def _plain(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


# Sizes

_NAMES: Mapping[int, tuple[str, ...]] = {
    1: ("only",),
    2: ("small", "large"),
    3: ("small", "medium", "large"),
    4: ("small", "medium", "large", "extra_large"),
    5: ("extra_small", "small", "medium", "large", "extra_large"),
}


def sizes(bank: Bank) -> list[Values]:
    """The sizes of this wall, smallest first, at most five, each with how many are free now."""
    built = sorted({c.fitting.size for c in bank.compartments.values()}, key=lambda s: (s.volume_mm3, size_key(s)))
    if len(built) > 5:
        built = [built[round(i * (len(built) - 1) / 4)] for i in range(5)]
    return (
        [
            {
                "size": size_key(size),
                "name": name,
                "width_mm": size.width_mm,
                "height_mm": size.height_mm,
                "depth_mm": size.depth_mm,
                "free": sum(c.fitting.size == size and is_free(c) for c in bank.compartments.values()),
            }
            for size, name in zip(built, _NAMES[len(built)], strict=True)
        ]
        if built
        else []
    )


def size_key(size: Size) -> str:
    return f"{size.width_mm}x{size.height_mm}x{size.depth_mm}"


def is_free(compartment: Compartment) -> bool:
    return compartment.state is CompartmentState.VACANT and compartment.door is DoorState.CLOSED


# Staff


def _staff(bank: Bank, turn: Turn, papers: Papers) -> Screen:
    if turn.look is not None:
        return Screen("look", {"door": turn.look, "wall": wall(bank, papers, here=turn.look)})
    if turn.door is not None and turn.door in bank.compartments:
        compartment = bank.compartments[turn.door]
        return Screen(
            "why",
            {
                "door": turn.door,
                "state": str(compartment.state),
                "leaf": str(compartment.door),
                "reasons": sorted(str(reason) for reason in STAFF_REASONS),
            },
        )
    heard = papers.heard_at.isoformat() if papers.heard_at else None
    return Screen("staff", {"wall": wall(bank, papers, states=True), "heard_at": heard})
