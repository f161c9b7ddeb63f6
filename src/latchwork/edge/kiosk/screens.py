"""What the screen shows, as a pure function: (bank, turn, papers) -> a screen's name and its plain values.

One question a screen. Values are JSON: no words (those depend on the language), no codes, no ids of people who are
not being asked about.
"""

from latchwork.domain import policy
from latchwork.domain.bank import About, Bank, Opening, OpeningState, Session, Stay
from latchwork.domain.words import (
    REPORTS,
    STAFF_REASONS,
    UNDELIVERED,
    CompartmentState,
    Purpose,
    Reason,
    Role,
    Size,
    StayState,
)
from latchwork.edge.kiosk.papers import Papers
from latchwork.edge.kiosk.picture import Screen, Values, gates, shelves, size_key, sizes, walk_ins, wall
from latchwork.edge.kiosk.putting_in import holds_unknown, of_size
from latchwork.edge.kiosk.staff import is_checked, next_to_check, to_audit
from latchwork.edge.kiosk.turn import Ask, Draft, Mode, Question, Turn, current, just_taken, left_open, takeable

MATCHES_MAX = 6


def show(bank: Bank, turn: Turn, papers: Papers) -> Screen:
    session = bank.sessions.get(turn.session) if turn.session else None
    screen = _ended(bank, turn, session) if turn.end else _asked(bank, turn, papers, session)
    screen.values.update(
        role=str(session.role) if session else None,
        close_first=left_open(bank, turn)
        or sorted(x.id for x in bank.compartments.values() if x.left_open is not None),
        warn_until=turn.warn_until.isoformat() if turn.warn_until else None,
        told=_told(turn),
    )
    return screen


def audience(bank: Bank, turn: Turn) -> str:
    session = bank.sessions.get(turn.session) if turn.session else None
    if session is None or session.role is Role.PERSON:
        return "recipient"
    return "courier" if session.role is Role.COURIER else "operator"


def _told(turn: Turn) -> Values | None:
    told = turn.told
    if told is None:
        return None
    reason = str(told.reason) if told.reason else None
    return {"what": told.what, "door": told.door, "reason": reason, "fallback": told.fallback, "number": told.number}


def _asked(bank: Bank, turn: Turn, papers: Papers, session: Session | None) -> Screen:
    if session is None:
        if turn.ask is not None and turn.ask.question is Question.SERVICES:
            return Screen("services", {"services": walk_ins(bank)})
        until = turn.refusal.until if turn.refusal else None
        return Screen("start", {"until": until.isoformat() if until else None, "walk_in": walk_ins(bank)})
    opening = current(bank, turn)
    if turn.ask is not None and (asked := _question(bank, turn, turn.ask, papers, session, opening)) is not None:
        return asked
    if opening is not None and turn.draft is None:
        return _at_a_door(bank, opening, papers)
    if turn.draft is not None:
        return _draft(bank, turn, turn.draft, papers, session)
    if session.role is not Role.PERSON and turn.shelf is not None:
        return _intake(bank, turn, papers, session)
    if session.role is Role.PERSON:
        return _person(bank, turn, papers, session)
    if session.role is Role.COURIER:
        return _courier(bank, turn, papers, session)
    return _staff(bank, turn, papers)


def _ended(bank: Bank, turn: Turn, session: Session | None) -> Screen:
    assert turn.end is not None
    compartment = bank.compartments.get(turn.end_door) if turn.end_door else None
    values: Values = {"end": str(turn.end), "door": turn.end_door, "last": _last(bank, session)}
    return Screen("thanks", values | {"shelf": compartment is not None and compartment.fitting.shelf})


def _last(bank: Bank, session: Session | None) -> Values | None:
    """What has just come out, to come back to."""
    took = just_taken(bank, session) if session and session.role is Role.PERSON else []
    return {"door": took[-1].compartment, "stays": [stay.id for stay in took]} if took else None


# At a door

_DOOR_SCREENS = {
    OpeningState.WANTED: "opening",
    OpeningState.UNLOCKED: "opening",
    OpeningState.OPENED: "open",
    OpeningState.SHUT: "closed",
    OpeningState.NOT_OPENED: "not_opened",
}


def _at_a_door(bank: Bank, opening: Opening, papers: Papers) -> Screen:
    claim = bank.claims.get(opening.claim) if opening.claim else None
    stay = bank.stays.get(opening.stays[0]) if opening.stays else None
    deposit = opening.purpose is Purpose.DEPOSIT
    values: Values = {
        "door": opening.compartment,
        "purpose": "move" if opening.reason is Reason.MOVED else str(opening.purpose),
        "opening": opening.id,
        "again": opening.attempt > 1 or (opening.attempt == 1 and opening.state is OpeningState.WANTED),
        "queued": opening.state is OpeningState.WANTED and bank.moving is not None,
        "can_cancel": opening.state is OpeningState.WANTED and deposit,
        "shared": deposit and claim is not None and len(claim.stays) > 1,
        "moves": claim is not None and claim.moves is not None,
        "stays": list(opening.stays),
        "shelf": stay.compartment if stay and not deposit and stay.compartment != opening.compartment else None,
        "wall": wall(bank, papers, here=opening.compartment),
    }
    if opening.state is OpeningState.UNRESOLVED:
        kind = {Purpose.DEPOSIT: "unresolved", Purpose.COLLECT: "did_you_take"}
        return Screen(kind.get(opening.purpose, "not_opened"), values)
    return Screen(_DOOR_SCREENS[opening.state], values)


# What somebody asked for

_FIRST_ASKED = (Reason.NO_SUITABLE_COMPARTMENT, Reason.TOO_BIG, Reason.UNKNOWN_RECIPIENT, Reason.REFUSED)


def _question(
    bank: Bank, turn: Turn, ask: Ask, papers: Papers, session: Session, opening: Opening | None
) -> Screen | None:
    if ask.question is Question.PARCELS:
        return Screen("parcels", {"outcomes": outcomes(bank, session, papers)})
    if ask.question is Question.CANNOT_DELIVER:
        reasons = [*_FIRST_ASKED, *sorted(UNDELIVERED - set(_FIRST_ASKED))]
        return Screen("cannot_deliver", {"reasons": [str(r) for r in reasons], "fallbacks": [*bank.policy.fallbacks]})
    if ask.question is Question.SHELVES:
        places = [{"shelf": x.id, "gate": x.fitting.behind, "withdrawn": x.withdrawn} for x in shelves(bank)]
        carriers = dict(papers.carriers) if session.role is Role.STAFF else {}
        return Screen("shelves", {"shelves": places, "carriers": carriers})
    if ask.question is Question.OPEN_ALL and session.role is Role.STAFF:
        if ask.what is None:
            return Screen("open_all", {"reasons": sorted(str(reason) for reason in STAFF_REASONS)})
        return Screen("second", {"door": None, "do": "open_all", "more": {"reason": str(ask.what)}})
    if ask.question is Question.WRONG:
        return _wrong(bank, ask, session, opening)
    stay = bank.stays.get(ask.stay) if ask.stay else None
    if stay is None or session.role is not Role.STAFF:
        return None
    if ask.question is Question.SECOND:
        more = {"stay": stay.id, "why": str(Reason.DISPOSED)}
        return Screen("second", {"door": stay.compartment, "do": "remove", "more": more})
    return Screen("thing", _thing(bank, stay, papers))


def _wrong(bank: Bank, ask: Ask, session: Session, opening: Opening | None) -> Screen:
    took = just_taken(bank, session)
    if opening is not None and opening.purpose is Purpose.COLLECT:
        door, stays = str(opening.compartment), [*opening.stays]
    else:
        door, stays = str(took[-1].compartment) if took else "", [stay.id for stay in took]
    if ask.stay is None and len(stays) > 1:
        return Screen("which", {"what": str(ask.what) if ask.what else None, "stays": stays, "door": door})
    stay = ask.stay or (stays[0] if stays else None)
    about: Values = {"stay": stay, "door": door, "open": opening is not None and opening.state is OpeningState.OPENED}
    if ask.what is None:
        return Screen("wrong", about | {"what": [str(what) for what in sorted(REPORTS)]})
    return Screen("sure", about | {"what": str(ask.what)})


# A recipient, or somebody who leaves something


def _person(bank: Bank, turn: Turn, papers: Papers, session: Session) -> Screen:
    if session.service is not None:
        return Screen("bring", {"service": session.service, "in_reach": turn.in_reach})
    if session.purpose is Purpose.DEPOSIT:
        stay = bank.stays.get(session.stay) if session.stay else None
        if stay is not None and stay.about.size is None and stay.claim is None and len(sizes(bank)) > 1:
            return _size(bank, turn, session, None)
        return Screen("dropoff", {"in_reach": turn.in_reach})
    theirs = takeable(bank, session)
    if theirs:
        return Screen("mine", {"stays": [_mine(bank, stay) for stay in theirs], "last": _last(bank, session)})
    heard = papers.heard_at.isoformat() if papers.heard_at else None
    return Screen("sorry", {"purpose": str(session.purpose) if session.purpose else None, "heard_at": heard})


def _mine(bank: Bank, stay: Stay) -> Values:
    service = bank.services[stay.about.service]
    return {
        "stay": stay.id,
        "door": stay.compartment,
        "state": str(stay.state),
        "until": stay.deadline.isoformat() if stay.deadline else None,
        "can_extend": stay.extensions < service.extensions_max,
    }


def _size(bank: Bank, turn: Turn, session: Session, named: Values | None) -> Screen:
    offered = [_box(bank, name, size, of_size(bank, session, turn, size)) for name, size in sizes(bank)]
    return Screen("size", {"sizes": offered, "for": named, "in_reach": turn.in_reach})


def _box(bank: Bank, name: str, size: Size, about: About | None) -> Values:
    """`free`: so many of that size that this thing may have; `room`: one of them, or a larger one."""
    thing = about if about is not None and about.service in bank.services else None
    return {
        "size": size_key(size),
        "name": name,
        "width_mm": size.width_mm,
        "height_mm": size.height_mm,
        "depth_mm": size.depth_mm,
        "free": policy.places(bank, thing, size) if thing else 0,
        "room": thing is not None and policy.places(bank, thing) > 0,
    }


# A courier


def outcomes(bank: Bank, session: Session, papers: Papers) -> list[Values]:
    """What became of each thing in hand, the last one first: from the log, so a power cut takes nothing away."""
    rows = []
    for stay_id, outcome in reversed(session.outcomes):
        stay = bank.stays.get(stay_id)
        who = papers.person(stay.about.recipient) if stay else None
        rows.append(
            {
                "stay": stay_id,
                "outcome": str(outcome),
                "delivered": outcome is StayState.DEPOSITED,
                "taken": outcome in (StayState.COLLECTED, StayState.RECALLED),
                "door": stay.compartment if stay else None,
                "for": {"name": who.name, "unit": who.unit} if who else None,
            }
        )
    return rows


def _courier(bank: Bank, turn: Turn, papers: Papers, session: Session) -> Screen:
    done = outcomes(bank, session, papers)
    counts: Values = {"stored": sum(x["delivered"] for x in done), "taken": sum(x["taken"] for x in done)}
    counts["empty"] = sum(x["outcome"] == Reason.COMPARTMENT_EMPTY for x in done)
    counts["undelivered"] = len(done) - counts["stored"] - counts["taken"] - counts["empty"]
    to_take = takeable(bank, session)
    if turn.mode is Mode.TAKE_OUT:
        stays = [
            {"stay": s.id, "door": s.compartment, "state": str(s.state), "why": str(s.why) if s.why else None}
            for s in to_take
        ]
        here = {str(stay.compartment) for stay in to_take}
        return Screen("takeout", counts | {"stays": stays, "wall": wall(bank, papers, of=here)})
    places = {"gates": gates(bank), "shelves": [x.id for x in shelves(bank)]}
    return Screen("courier", counts | places | {"to_take": len(to_take), "outcomes": done})


def _intake(bank: Bank, turn: Turn, papers: Papers, session: Session) -> Screen:
    done = outcomes(bank, session, papers)
    stored = sum(x["delivered"] for x in done)
    return Screen("intake", {"shelf": turn.shelf, "party": turn.party, "stored": stored, "outcomes": done})


def _draft(bank: Bank, turn: Turn, draft: Draft, papers: Papers, session: Session) -> Screen:
    stay = bank.stays.get(draft.stay) if draft.stay else None
    who = papers.person(stay.about.recipient if stay else draft.recipient)
    label = draft.text or None
    if draft.wants_photo:
        return Screen("photo", {"label": label})
    if stay is None and draft.recipient is None and not draft.agreed:
        found = papers.matches(draft.query)
        people = [{"id": p.id, "name": p.name, "unit": p.unit} for p in found[:MATCHES_MAX]]
        heard = papers.heard_at.isoformat() if papers.heard_at else None
        values: Values = {"label": label, "query": draft.query, "people": people, "more": len(found) > MATCHES_MAX}
        return Screen("recipient", values | {"held": holds_unknown(bank, session, turn), "heard_at": heard})
    named = {"name": who.name, "unit": who.unit} if who else None
    if not draft.agreed:
        photo = draft.photo is not None
        return Screen("confirm", {"label": label, "recipient": named, "expected": stay is not None, "photo": photo})
    return _size(bank, turn, session, named)


# Staff


def _staff(bank: Bank, turn: Turn, papers: Papers) -> Screen:
    if turn.look is not None:
        compartment = bank.compartments.get(turn.look)
        recorded = {"recorded_empty": compartment is None or compartment.claim is None}
        seen: Values = {"door": turn.look, "audit": turn.mode is Mode.AUDIT}
        return Screen("look", seen | recorded | {"wall": wall(bank, papers, here=turn.look)})
    if turn.door is not None and turn.door in bank.compartments:
        return _door(bank, turn.door, papers)
    heard = papers.heard_at.isoformat() if papers.heard_at else None
    if turn.mode is Mode.AUDIT:
        doors, following = to_audit(bank), next_to_check(bank, turn)
        progress: Values = {"total": len(doors), "done": sum(is_checked(bank, x) for x in doors)}
        progress |= {"door": following.id if following else None, "skipped": sorted(turn.skipped)}
        shown = wall(bank, papers, here=following.id if following else None, states=True)
        return Screen("audit", progress | {"wall": shown})
    places = [x.id for x in shelves(bank)]
    until = bank.maintained_until
    working = until.isoformat() if until is not None and bank.at is not None and bank.at < until else None
    values: Values = {"wall": wall(bank, papers, states=True), "heard_at": heard, "shelves": places}
    values["troubles"] = [*papers.troubles(), *(["clock"] if bank.clock_doubted else [])]
    return Screen(
        "staff", values | {"alarms": _alarms(bank), "maintained_until": working, "stopped": bank.shield.stopped}
    )


def _alarms(bank: Bank) -> dict[str, list[str]]:
    """What is wrong with the wall itself, each with where it is."""
    doors = sorted(bank.compartments.values(), key=lambda x: x.id)
    found = {
        "forced": [str(x.id) for x in doors if x.why is Reason.FORCED],
        "left_open": [str(x.id) for x in doors if x.left_open],
        "board_lost": [str(x.id) for x in doors if x.lost],
        "tampered": [*bank.tampered],
        "climate": [*bank.off_band],
    }
    return {what: where for what, where in found.items() if where}


def _door(bank: Bank, door: str, papers: Papers) -> Screen:
    compartment = next(x for x in bank.compartments.values() if x.id == door)
    inside = sorted((s for s in bank.stays.values() if s.compartment == door), key=lambda s: s.id)
    return Screen(
        "why",
        {
            "door": door,
            "state": str(compartment.state),
            "leaf": str(compartment.door),
            "shelf": compartment.fitting.shelf,
            "gate": compartment.fitting.gate,
            "withdrawn": compartment.withdrawn,
            "why": str(compartment.why) if compartment.why else None,
            "stays": [_thing(bank, stay, papers) for stay in inside],
            "reasons": sorted(str(reason) for reason in STAFF_REASONS),
        },
    )


def _thing(bank: Bank, stay: Stay, papers: Papers) -> Values:
    who = papers.person(stay.about.recipient)
    compartment = bank.compartments.get(stay.compartment) if stay.compartment else None
    return {
        "stay": stay.id,
        "door": stay.compartment,
        "state": str(stay.state),
        "why": str(stay.why) if stay.why else None,
        "for": {"name": who.name, "unit": who.unit} if who else None,
        "at_end": str(bank.services[stay.about.service].at_end),
        "until": stay.deadline.isoformat() if stay.deadline else None,
        "photo": f"/photo/{stay.id}" if stay.photo_sha256 else None,
        "may_be_missing": compartment is not None and compartment.state is CompartmentState.NEEDS_CHECK,
    }
