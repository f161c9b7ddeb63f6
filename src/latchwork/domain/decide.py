"""decide(bank, command, now) -> entries, perhaps with a refusal: every rule of the wall, and no side effect.

Each rule reads top-down: what could forbid it, then what happens. `now` is bank time, never below the last entry's.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain import policy
from latchwork.domain.bank import Bank, Compartment, Grant, Opening, OpeningState, PassState, Service, Session, Stay
from latchwork.domain.commands import Decision, Offer, Refusal
from latchwork.domain.words import (
    STAFF_REASONS,
    CompartmentId,
    CompartmentState,
    DoorState,
    OpeningId,
    PassId,
    Purpose,
    Reason,
    Role,
    SessionId,
    StayId,
    StayState,
)


def decide(bank: Bank, command: c.Command, now: datetime) -> Decision:
    return _RULES[type(command)](bank, command, now)


def _no(reason: Reason, until: datetime | None = None) -> Decision:
    return Decision(refusal=Refusal(reason, until))


def _yes(*entries: e.Body) -> Decision:
    return Decision(entries)


# Who asks


def _sign_in(bank: Bank, cmd: c.SignIn, now: datetime) -> Decision:
    if isinstance(cmd.shown, c.Ticket):
        if cmd.shown.bank != bank.id:
            return _no(Reason.NO_ACCESS)
        if not (bank.clock_doubted or cmd.shown.not_before <= now < cmd.shown.not_after):
            return _no(Reason.CODE_EXPIRED)
        pass_id: PassId | None = cmd.shown.pass_id
    else:
        until = bank.guesses.until
        if until is not None and now < until:
            return _no(Reason.SLOW_DOWN, until)
        pass_id = bank.codes.get(cmd.shown)
    held = bank.passes.get(pass_id) if pass_id else None
    if held is None or held.state is PassState.PENDING:
        if isinstance(cmd.shown, c.Ticket):  # signed, so no guess: spent, or not known here yet
            return _no(Reason.PARCEL_NOT_AVAILABLE)
        wrong = policy.after_wrong_code(bank.guesses, now)
        return Decision((e.CodeRefused(wrong.failures, wrong.until),), Refusal(Reason.WRONG_CODE, wrong.until))
    grant = held.grant
    if grant.once and any(o.pass_id == pass_id and o.state in _MOVING for o in bank.openings.values()):
        return _no(Reason.BUSY)
    if grant.valid_until is not None and now >= grant.valid_until and not bank.clock_doubted:
        return _no(Reason.CODE_EXPIRED)
    return _yes(e.SessionBegan(cmd.session, grant.pass_id, grant.role, grant.purpose, grant.party, grant.stay))


def _sign_out(bank: Bank, cmd: c.SignOut, now: datetime) -> Decision:
    if cmd.session not in bank.sessions:
        return _no(Reason.NO_SESSION)
    return _yes(*_leave(bank, cmd.session, cmd.why, now))


def _leave(bank: Bank, session: SessionId, why: Reason, now: datetime) -> list[e.Body]:
    """Leaving settles what the person left open: a shut deposit is presumed to be in."""
    entries: list[e.Body] = []
    for opening in _openings_of(bank, session):
        if opening.state is OpeningState.WANTED:
            entries += _lapse(bank, opening, Reason.SIGNED_OUT)
        elif opening.state is OpeningState.SHUT:
            entries.append(_stored(bank, opening, now, presumed=True))
        elif opening.state is OpeningState.NOT_OPENED and _holds_deposit(bank, opening):
            stay = bank.stays[opening.stays[0]]
            entries.append(_release(bank, opening, stay, CompartmentState.NEEDS_CHECK, Reason.SIGNED_OUT))
    return [*entries, e.SessionEnded(session, why)]


# Putting in


def _deposit(bank: Bank, cmd: c.Deposit, now: datetime) -> Decision:
    session = bank.sessions.get(cmd.session)
    if session is None:
        return _no(Reason.NO_SESSION)
    known = bank.stays.get(cmd.stay)
    about = known.about if known else cmd.about
    if about is None:
        return _no(Reason.PARCEL_NOT_AVAILABLE)
    if known is None and about.label is not None and about.label in bank.labels:
        return _no(Reason.ALREADY_HERE)
    if known is not None and known.state is not StayState.EXPECTED:
        return _no(Reason.ALREADY_HERE)
    service = bank.services.get(about.service)
    if service is None:
        return _no(Reason.UNKNOWN_SERVICE)
    if not _may_deposit(session, cmd.stay, about.party, service):
        return _no(Reason.NO_ACCESS)
    if known is None and about.recipient is None and service.collect_by is Role.PERSON:
        return _no(Reason.UNKNOWN_RECIPIENT)
    settled: list[e.Body] = []
    for opening in _openings_of(bank, cmd.session):  # the next scan says of the last one "it is in"
        if _holds_deposit(bank, opening):
            if opening.state is not OpeningState.SHUT:
                return _no(Reason.DOOR_OPEN if opening.state is OpeningState.OPENED else Reason.BUSY)
            settled.append(_stored(bank, opening, now))
    chosen = policy.choose(bank, about.size, prefer=cmd.prefer)
    if isinstance(chosen, Reason):
        return _no(chosen)
    pickup: Grant | None = None
    if service.collect_by is Role.PERSON:
        granted = _grant(bank, cmd.offer, role=Role.PERSON, purpose=Purpose.COLLECT, stay=cmd.stay, once=True)
        if granted is None:
            return _no(Reason.CODE_TAKEN)
        pickup = granted
    compartment, why = chosen
    claimed = e.Claimed(cmd.claim, compartment.id, cmd.stay, about, known is not None, why, pickup)
    return _yes(*settled, claimed, _want_deposit(cmd.opening, claimed, session))


def _may_deposit(session: Session, stay: StayId, party: str | None, service: Service) -> bool:
    if session.role is Role.PERSON:
        return service.deposit_by is Role.PERSON and session.purpose is Purpose.DEPOSIT and session.stay == stay
    if session.role is Role.COURIER:
        return service.deposit_by is Role.COURIER and (session.party is None or session.party == party)
    return True


def _want_deposit(opening: OpeningId, claimed: e.Claimed, session: Session) -> e.Wanted:
    return e.Wanted(
        opening,
        claimed.compartment,
        Purpose.DEPOSIT,
        session=session.id,
        pass_id=session.pass_id,
        claim=claimed.claim,
        stays=(claimed.stay,),
    )


_REPLACED_STATE = {
    Reason.TOO_BIG: CompartmentState.VACANT,
    Reason.COMPARTMENT_BROKEN: CompartmentState.NEEDS_CHECK,
    Reason.COMPARTMENT_OCCUPIED: CompartmentState.NEEDS_CHECK,
}


def _replace(bank: Bank, cmd: c.Replace, now: datetime) -> Decision:
    found = _own_deposit(bank, cmd.session, cmd.opening)
    if isinstance(found, Reason):
        return _no(found)
    opening, stay, session = found
    if cmd.because not in _REPLACED_STATE:
        return _no(Reason.NOT_UNDERSTOOD)
    if opening.state in (OpeningState.WANTED, OpeningState.UNLOCKED):
        return _no(Reason.BUSY)
    old = bank.compartments[opening.compartment]
    too_big = cmd.because is Reason.TOO_BIG
    # Of a thing whose size nobody knows, we know at least that it was tried in this compartment.
    volume_min_mm3 = old.fitting.size.volume_mm3 + too_big if too_big or stay.about.size is None else 0
    chosen = policy.choose(bank, stay.about.size, volume_min_mm3=volume_min_mm3)
    if isinstance(chosen, Reason):
        return _no(chosen)
    compartment, why = chosen
    state = _REPLACED_STATE[cmd.because] if opening.state in _PROVEN else CompartmentState.NEEDS_CHECK
    released = _release(bank, opening, stay, state, cmd.because)
    pickup = bank.passes[stay.pickup].grant if stay.pickup in bank.passes and stay.pickup else None
    claimed = e.Claimed(cmd.new_claim, compartment.id, stay.id, stay.about, stay.announced, why, pickup)
    return _yes(released, claimed, _want_deposit(cmd.new_opening, claimed, session))


def _confirm(bank: Bank, cmd: c.Confirm, now: datetime) -> Decision:
    found = _own_deposit(bank, cmd.session, cmd.opening)
    if isinstance(found, Reason):
        return _no(found)
    opening = found[0]
    if opening.state is OpeningState.OPENED:
        return _no(Reason.DOOR_OPEN)
    if opening.state not in (OpeningState.SHUT, OpeningState.UNRESOLVED):
        return _no(Reason.DOOR_NOT_OPENED)
    return _yes(_stored(bank, opening, now))


def _abandon(bank: Bank, cmd: c.Abandon, now: datetime) -> Decision:
    found = _own_deposit(bank, cmd.session, cmd.opening)
    if isinstance(found, Reason):
        return _no(found)
    opening, stay, _ = found
    if opening.state is OpeningState.WANTED:
        return _yes(*_lapse(bank, opening, Reason.CHANGED_MIND))
    if opening.state is OpeningState.UNLOCKED:
        return _no(Reason.BUSY)
    state = CompartmentState.VACANT if opening.state in _PROVEN else CompartmentState.NEEDS_CHECK
    return _yes(_release(bank, opening, stay, state, Reason.CHANGED_MIND))


def _own_deposit(bank: Bank, session_id: SessionId, opening_id: OpeningId) -> tuple[Opening, Stay, Session] | Reason:
    session = bank.sessions.get(session_id)
    if session is None:
        return Reason.NO_SESSION
    opening = bank.openings.get(opening_id)
    if opening is None or opening.session != session_id or opening.purpose is not Purpose.DEPOSIT:
        return Reason.NO_ACCESS
    if opening.claim not in bank.claims:
        return Reason.PARCEL_NOT_AVAILABLE
    return opening, bank.stays[opening.stays[0]], session


def _holds_deposit(bank: Bank, opening: Opening) -> bool:
    return opening.purpose is Purpose.DEPOSIT and opening.claim in bank.claims


def _stored(bank: Bank, opening: Opening, now: datetime, presumed: bool = False) -> e.Stored:
    stay = bank.stays[opening.stays[0]]
    assert opening.claim is not None
    return e.Stored(
        stay.id,
        stay.about,
        opening.claim,
        opening.compartment,
        opening.id,
        deadline=now + timedelta(hours=bank.services[stay.about.service].pickup_hours_max),
        announced=stay.announced,
        presumed=presumed,
        pickup=bank.passes[stay.pickup].grant if stay.pickup else None,
    )


def _release(bank: Bank, opening: Opening, stay: Stay, state: CompartmentState, why: Reason) -> e.Released:
    assert opening.claim is not None
    back = StayState.EXPECTED if stay.announced else None
    return e.Released(opening.claim, opening.compartment, state, why, stay.id, back, opening.id)


def _lapse(bank: Bank, opening: Opening, why: Reason) -> tuple[e.Body, ...]:
    """A wanted opening that will not be pulsed; its deposit, if it is one, never began."""
    lapsed = e.Lapsed(opening.id, opening.compartment, why)
    if opening.purpose is not Purpose.DEPOSIT:
        return (lapsed,)
    stay = bank.stays[opening.stays[0]]
    # A door that was already pulsed once and gave no proof is not simply vacant.
    state = CompartmentState.VACANT if opening.attempt == 0 else CompartmentState.NEEDS_CHECK
    return (lapsed, _release(bank, opening, stay, state, why))


def _grant(bank: Bank, offer: Offer, **scope: Any) -> Grant | None:
    """The offered pass with the first code that no live pass here has; None if all are taken."""
    for n, lookup in enumerate(offer.lookups):
        if lookup not in bank.codes:
            return Grant(offer.pass_id, lookup=lookup, n=n, digits=offer.digits, generation=offer.generation, **scope)
    return None


# Taking out


def _collect(bank: Bank, cmd: c.Collect, now: datetime) -> Decision:
    session = bank.sessions.get(cmd.session)
    if session is None:
        return _no(Reason.NO_SESSION)
    stay = bank.stays.get(cmd.stay)
    if stay is None or stay.state not in (StayState.DEPOSITED, StayState.EXPIRED) or stay.claim is None:
        return _no(Reason.PARCEL_NOT_AVAILABLE)
    if not may_take(bank, session, stay):
        return _no(Reason.NO_ACCESS)
    if any(o.claim == stay.claim for o in bank.openings.values() if o.state in _UNDER_WAY):
        return _no(Reason.BUSY)
    assert stay.compartment is not None
    recall = session.role is Role.COURIER and bank.services[stay.about.service].collect_by is not Role.COURIER
    if recall and bank.clock_doubted:
        return _no(Reason.CLOCK_UNKNOWN)
    wanted = e.Wanted(
        cmd.opening,
        stay.compartment,
        Purpose.COLLECT,
        session=session.id,
        pass_id=session.pass_id,
        claim=stay.claim,
        stays=bank.claims[stay.claim].stays,
        ends=StayState.RECALLED if recall else StayState.COLLECTED,
    )
    return _yes(wanted)


_MOVING = frozenset({OpeningState.WANTED, OpeningState.UNLOCKED})
_UNDER_WAY = _MOVING | {OpeningState.OPENED}
_PROVEN = frozenset({OpeningState.OPENED, OpeningState.SHUT})
"""The person stood before the open door, so their word about what is inside counts."""


def may_take(bank: Bank, session: Session, stay: Stay) -> bool:
    """Whether this person may take this stay out now: its own pass, or a courier whose parcel it is."""
    if stay.state not in (StayState.DEPOSITED, StayState.EXPIRED):
        return False
    if session.role is Role.PERSON:
        # Their code may be spent by now: while the thing is still here, whoever signed in with it may try again.
        return session.purpose is Purpose.COLLECT and session.stay == stay.id
    if session.role is Role.COURIER:
        theirs = session.party is None or session.party == stay.about.party
        for_courier = bank.services[stay.about.service].collect_by is Role.COURIER
        return theirs and (for_courier or stay.state is StayState.EXPIRED)
    return False


def _taken(bank: Bank, opening: Opening) -> list[e.Body]:
    """The door closed after a collection: the stays behind it have ended."""
    entries: list[e.Body] = []
    assert opening.claim is not None
    kind = e.Recalled if opening.ends is StayState.RECALLED else e.Collected
    for stay_id in bank.claims[opening.claim].stays:
        stay = bank.stays[stay_id]
        entries.append(kind(stay.id, stay.about, opening.claim, opening.compartment, opening.id))
    return entries


# Staff


def _visit(bank: Bank, cmd: c.Visit, now: datetime) -> Decision:
    session = bank.sessions.get(cmd.session)
    if session is None:
        return _no(Reason.NO_SESSION)
    if session.role is not Role.STAFF or cmd.reason not in STAFF_REASONS:
        return _no(Reason.NO_ACCESS)
    if cmd.compartment not in bank.compartments:
        return _no(Reason.UNKNOWN_COMPARTMENT)
    return _yes(
        e.Wanted(
            cmd.opening,
            cmd.compartment,
            Purpose.CHECK,
            session=session.id,
            pass_id=session.pass_id,
            reason=cmd.reason,
        )
    )


def _inspect(bank: Bank, cmd: c.Inspect, now: datetime) -> Decision:
    session = bank.sessions.get(cmd.session)
    if session is None:
        return _no(Reason.NO_SESSION)
    if session.role is not Role.STAFF:
        return _no(Reason.NO_ACCESS)
    return _look(bank, cmd.compartment, cmd.empty, now, session=session.id)


def _look(bank: Bank, compartment_id: CompartmentId, empty: bool, now: datetime, **who: Any) -> Decision:
    """What a look inside makes of a compartment. It never ends a stay: that takes a collection."""
    compartment = bank.compartments.get(compartment_id)
    if compartment is None:
        return _no(Reason.UNKNOWN_COMPARTMENT)
    if compartment.claim is None:
        state = CompartmentState.VACANT if empty else CompartmentState.NEEDS_CHECK
        return _yes(e.Checked(compartment_id, state, **who))
    doubtful = next((o for o in bank.openings.values() if o.claim == compartment.claim), None)
    stay = bank.stays[bank.claims[compartment.claim].stays[0]]
    if stay.state is not StayState.RESERVED:
        state = CompartmentState.NEEDS_CHECK if empty else CompartmentState.OCCUPIED
        return _yes(e.Checked(compartment_id, state, **who))
    if doubtful is None or doubtful.state not in (OpeningState.UNRESOLVED, OpeningState.NOT_OPENED):
        return _no(Reason.BUSY)  # a deposit under way answers for itself
    state = CompartmentState.VACANT if empty else CompartmentState.OCCUPIED
    settled = _release(bank, doubtful, stay, state, Reason.INSPECTION) if empty else _stored(bank, doubtful, now, True)
    return _yes(settled, e.Checked(compartment_id, state, **who))


# From the cloud


def _instructed(bank: Bank, cmd: c.Instructed, now: datetime) -> Decision:
    """Every instruction is answered once; a repeat changes nothing, a used number with another id is refused."""
    if any(instruction == cmd.id for _, instruction in bank.answered):
        return Decision()
    if cmd.number <= bank.instructions_through:
        outcome = _no(Reason.NUMBER_REUSED)
    elif cmd.void:
        outcome = _no(Reason.EXPIRED)
    else:
        outcome = _OBEY[type(cmd.body)](bank, cmd, cmd.body, now)
    about: StayId | None = None
    if isinstance(cmd.body, c.Expect | c.Cancel):
        about = cmd.body.stay
        label = cmd.body.about.label if isinstance(cmd.body, c.Expect) else None
        if outcome.refusal is not None and outcome.refusal.reason is Reason.ALREADY_HERE and label in bank.labels:
            assert label is not None
            about = bank.labels[label]
    reason = outcome.refusal.reason if outcome.refusal else None
    return _yes(*outcome.entries, e.Answered(cmd.number, cmd.id, cmd.body_sha256, reason, about))


def _obey_adopt(bank: Bank, cmd: c.Instructed, body: c.Adopt, now: datetime) -> Decision:
    if body.version <= bank.policy_version:
        return _no(Reason.EXPIRED)
    kept = {s.id for s in body.policy.services}
    if any(stay.about.service not in kept for stay in bank.stays.values()):
        return _no(Reason.UNKNOWN_SERVICE)
    return _yes(e.Adopted(body.version, body.policy))


def _obey_expect(bank: Bank, cmd: c.Instructed, body: c.Expect, now: datetime) -> Decision:
    if body.stay in bank.stays or (body.about.label is not None and body.about.label in bank.labels):
        return _no(Reason.ALREADY_HERE)
    service = bank.services.get(body.about.service)
    if service is None:
        return _no(Reason.UNKNOWN_SERVICE)
    expected = e.Expected(body.stay, body.about)
    if body.drop_off is None:
        return _yes(expected)
    grant = _instructed_grant(bank, cmd, body.drop_off, role=Role.PERSON, purpose=Purpose.DEPOSIT, stay=body.stay)
    return _no(Reason.CODE_TAKEN) if grant is None else _yes(expected, e.PassGranted(grant))


def _obey_cancel(bank: Bank, cmd: c.Instructed, body: c.Cancel, now: datetime) -> Decision:
    stay = bank.stays.get(body.stay)
    if stay is None or stay.state is not StayState.EXPECTED:
        return _no(Reason.PARCEL_NOT_AVAILABLE)
    return _yes(e.Cancelled(body.stay))


def _obey_grant(bank: Bank, cmd: c.Instructed, body: c.GrantPass, now: datetime) -> Decision:
    if body.role is Role.PERSON:  # a person's passes come with their stays
        return _no(Reason.NO_ACCESS)
    grant = _instructed_grant(bank, cmd, body.pass_id, role=body.role, party=body.party, valid_until=body.valid_until)
    return _no(Reason.CODE_TAKEN) if grant is None else _yes(e.PassGranted(grant))


def _instructed_grant(bank: Bank, cmd: c.Instructed, pass_id: PassId, **scope: Any) -> Grant | None:
    if cmd.offer is None or pass_id in bank.passes:
        return None
    return _grant(bank, replace(cmd.offer, pass_id=pass_id), **scope)


def _obey_revoke(bank: Bank, cmd: c.Instructed, body: c.RevokePass, now: datetime) -> Decision:
    held = bank.passes.get(body.pass_id)
    if held is None:
        return _no(Reason.PARCEL_NOT_AVAILABLE)
    if held.grant.stay is not None:  # it ends with its stay
        return _no(Reason.NO_ACCESS)
    sessions = sorted(s.id for s in bank.sessions.values() if s.pass_id == body.pass_id)
    settled = [entry for session in sessions for entry in _leave(bank, session, Reason.REVOKED, now)]
    return _yes(e.PassRevoked(body.pass_id), *settled)


def _obey_open(bank: Bank, cmd: c.Instructed, body: c.Open, now: datetime) -> Decision:
    if late := _too_late(cmd.server_now, body.not_after):
        return _no(late)
    if body.reason not in STAFF_REASONS or body.purpose is not Purpose.SERVICE:
        return _no(Reason.NO_ACCESS)
    if body.compartment not in bank.compartments:
        return _no(Reason.UNKNOWN_COMPARTMENT)
    if body.opening in bank.openings:
        return _no(Reason.NUMBER_REUSED)
    return _yes(
        e.Wanted(
            body.opening,
            body.compartment,
            body.purpose,
            instruction=cmd.id,
            reason=body.reason,
            by=body.by,
            note_sha256=body.note_sha256,
            not_after=body.not_after,
        )
    )


def _too_late(server_now: datetime | None, not_after: datetime) -> Reason | None:
    """Judged on the server's time only; without it, too late."""
    if server_now is None:
        return Reason.CLOCK_UNKNOWN
    return Reason.EXPIRED if server_now >= not_after else None


def _obey_check(bank: Bank, cmd: c.Instructed, body: c.Check, now: datetime) -> Decision:
    if late := _too_late(cmd.server_now, body.not_after):
        return _no(late)
    return _look(bank, body.compartment, body.empty, now, by=body.by)


def _not_understood(bank: Bank, cmd: c.Instructed, body: c.NotUnderstood, now: datetime) -> Decision:
    return _no(Reason.NOT_UNDERSTOOD)


# From the machine


def _begin(bank: Bank, cmd: c.Begin, now: datetime) -> Decision:
    return _yes(e.EpochBegan())


def _boot(bank: Bank, cmd: c.Boot, now: datetime) -> Decision:
    """Nothing is pulsed at restart. What was only wanted lapses; what was pulsed and not proven is in doubt."""
    entries: list[e.Body] = [e.Booted(cmd.boot, cmd.software)]
    for opening in sorted(bank.openings.values(), key=lambda o: o.id):
        if opening.state is OpeningState.WANTED and opening.attempt == 0:
            entries += _lapse(bank, opening, Reason.POWER_LOST)
        elif opening.state in _MOVING:
            entries.append(e.Unresolved(opening.id, opening.compartment, CompartmentState.NEEDS_CHECK))
    return _yes(*entries)


def _fit(bank: Bank, cmd: c.Fit, now: datetime) -> Decision:
    """What changed of the wall, in entries small enough whatever its size."""
    wanted = {fitting.id: fitting for fitting in cmd.compartments}
    new = [f for f in wanted.values() if f.id not in bank.compartments or bank.compartments[f.id].fitting != f]
    gone = tuple(sorted(x for x in bank.compartments if x not in wanted))
    if any(bank.compartments[x].claim is not None for x in gone):
        return _no(Reason.COMPARTMENT_OCCUPIED)
    if any(o.compartment in gone for o in bank.openings.values() if o.state in _UNDER_WAY):
        return _no(Reason.BUSY)
    chunks = [tuple(new[i : i + _FITTINGS_AN_ENTRY]) for i in range(0, len(new), _FITTINGS_AN_ENTRY)] or [()]
    fitted = [e.Fitted(chunk, gone if i == 0 else ()) for i, chunk in enumerate(chunks)]
    return _yes(*fitted) if new or gone else Decision()


_FITTINGS_AN_ENTRY = 50


def _see(bank: Bank, cmd: c.See, now: datetime) -> Decision:
    """Doors that changed: each belongs to the opening under way there, or to nobody."""
    known = {x: door for x, door in cmd.doors.items() if x in bank.compartments and bank.compartments[x].door != door}
    if cmd.lost:
        return _yes(e.BoardLost(tuple(sorted(known)))) if known else Decision()
    owners: dict[CompartmentId, list[Opening]] = {}
    for opening in sorted(bank.openings.values(), key=lambda o: o.id):
        if opening.state in _DOOR_MOVES:
            owners.setdefault(opening.compartment, []).append(opening)
    entries: list[e.Body] = []
    strays: dict[CompartmentId, DoorState] = {}
    for compartment_id, door in sorted(known.items()):
        here = owners.get(compartment_id, [])
        unlocked = next((o for o in here if o.state is OpeningState.UNLOCKED), None)
        opened = [o for o in here if o.state is OpeningState.OPENED]
        stuck = bank.compartments[compartment_id].stuck
        if unlocked is not None and door is DoorState.OPEN:
            entries.append(_opened(bank, unlocked))
        elif opened and door is DoorState.CLOSED:
            for opening in opened:  # whoever found it open shares its closing with whoever opened it
                entries += _shut(bank, opening, now)
        elif not here and door is DoorState.OPEN and (late := _waited_for(bank, stuck)) is not None:
            entries.append(_opened(bank, late, late=True))
        else:
            strays[compartment_id] = door
    if strays:
        forced = tuple(x for x, door in strays.items() if x not in owners and _forced(bank.compartments[x], door))
        entries.append(e.Sensed(strays, forced, CompartmentState.NEEDS_CHECK if forced else None))
    return _yes(*entries)


_DOOR_MOVES = frozenset({OpeningState.UNLOCKED, OpeningState.OPENED})


def _waited_for(bank: Bank, stuck: OpeningId | None) -> Opening | None:
    """The given-up opening whose door this is, while whoever asked for it may still stand there."""
    opening = bank.openings.get(stuck) if stuck is not None else None
    return opening if opening and (opening.session is None or opening.session in bank.sessions) else None


def _forced(compartment: Compartment, door: DoorState) -> bool:
    """Found open with no opening of ours. Cutting a board's power first does not hide it where something is inside."""
    if door is not DoorState.OPEN:
        return False
    unseen = compartment.door is DoorState.UNKNOWN and compartment.claim is not None
    return compartment.door is DoorState.CLOSED or unseen


def _opened(bank: Bank, opening: Opening, late: bool = False) -> e.Opened:
    stuck = bank.compartments[opening.compartment].state is CompartmentState.NEEDS_CHECK
    settled = CompartmentState.OCCUPIED if stuck and opening.purpose is Purpose.COLLECT else None
    held = bank.passes.get(opening.pass_id) if opening.pass_id else None
    spent = held.grant.pass_id if held is not None and held.grant.once else None
    return e.Opened(opening.id, opening.compartment, late, spent, settled)


def _shut(bank: Bank, opening: Opening, now: datetime) -> list[e.Body]:
    entries: list[e.Body] = [e.Closed(opening.id, opening.compartment)]
    if opening.claim is None or opening.claim not in bank.claims:
        return entries
    if opening.purpose is Purpose.COLLECT:
        return entries + _taken(bank, opening)
    if opening.session not in bank.sessions:  # whoever put it in has left
        entries.append(_stored(bank, opening, now, presumed=True))
    return entries


def _unlock(bank: Bank, cmd: c.Unlock, now: datetime) -> Decision:
    opening = bank.openings.get(cmd.opening)
    if opening is None or opening.state is not OpeningState.WANTED or bank.moving is not None:
        return _no(Reason.BUSY)
    if opening.not_after is not None and (late := _too_late(cmd.server_now, opening.not_after)):
        return _yes(*_lapse(bank, opening, late))
    unlocked = e.Unlocked(opening.id, opening.compartment, opening.attempt + 1)
    if bank.compartments[opening.compartment].door is DoorState.OPEN:
        # It stands open, or its contact lies: a pulse does no harm, and no better proof will come.
        return _yes(unlocked, _opened(bank, opening))
    return _yes(unlocked)


def _elapse(bank: Bank, cmd: c.Elapse, now: datetime) -> Decision:
    opening = bank.openings.get(cmd.opening)
    if opening is None or opening.state is not OpeningState.UNLOCKED:
        return Decision()
    if opening.attempt < policy.ATTEMPTS_MAX and not cmd.unsent:
        return _yes(e.NoProof(opening.id, opening.compartment))
    why = Reason.STATION_BROKEN if cmd.unsent else Reason.COMPARTMENT_BROKEN
    entries: list[e.Body] = [e.NotOpened(opening.id, opening.compartment, why, CompartmentState.NEEDS_CHECK)]
    if _holds_deposit(bank, opening) and opening.session not in bank.sessions:
        stay = bank.stays[opening.stays[0]]
        entries.append(_release(bank, opening, stay, CompartmentState.NEEDS_CHECK, why))
    return _yes(*entries)


def _tick(bank: Bank, cmd: c.Tick, now: datetime) -> Decision:
    if bank.clock_doubted:
        return Decision()
    due: list[e.Body] = []
    for deadline, stay in bank.deadlines:
        if deadline > now:
            break
        due.append(e.Expired(stay, deadline))
    return _yes(*due)


def _doubt_clock(bank: Bank, cmd: c.DoubtClock, now: datetime) -> Decision:
    return Decision() if bank.clock_doubted else _yes(e.ClockDoubted(cmd.off_seconds))


def _trust_clock(bank: Bank, cmd: c.TrustClock, now: datetime) -> Decision:
    return _yes(e.ClockConfirmed()) if bank.clock_doubted else Decision()


def _openings_of(bank: Bank, session: SessionId) -> list[Opening]:
    return sorted((o for o in bank.openings.values() if o.session == session), key=lambda o: o.id)


_Rule = Callable[[Bank, Any, datetime], Decision]
_RULES: dict[type, _Rule] = {
    c.SignIn: _sign_in,
    c.SignOut: _sign_out,
    c.Deposit: _deposit,
    c.Replace: _replace,
    c.Confirm: _confirm,
    c.Abandon: _abandon,
    c.Collect: _collect,
    c.Visit: _visit,
    c.Inspect: _inspect,
    c.Instructed: _instructed,
    c.Begin: _begin,
    c.Boot: _boot,
    c.Fit: _fit,
    c.See: _see,
    c.Unlock: _unlock,
    c.Elapse: _elapse,
    c.Tick: _tick,
    c.DoubtClock: _doubt_clock,
    c.TrustClock: _trust_clock,
}
_OBEY: dict[type, Callable[[Bank, c.Instructed, Any, datetime], Decision]] = {
    c.Adopt: _obey_adopt,
    c.Expect: _obey_expect,
    c.Cancel: _obey_cancel,
    c.GrantPass: _obey_grant,
    c.RevokePass: _obey_revoke,
    c.Open: _obey_open,
    c.Check: _obey_check,
    c.NotUnderstood: _not_understood,
}
