"""apply(bank, entry) -> bank: assigns what entries state. It decides nothing and can refuse nothing.

Applying the same log always gives the same bank, at the wall and in the cloud.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from latchwork.domain import entries as e
from latchwork.domain.bank import (
    Bank,
    Claim,
    Compartment,
    Grant,
    Guesses,
    Opening,
    OpeningState,
    Pass,
    PassState,
    Session,
    Stay,
)
from latchwork.domain.words import (
    CompartmentId,
    CompartmentState,
    DoorState,
    OpeningId,
    PassId,
    Purpose,
    Reason,
    StayId,
    StayState,
)

_ANSWERS_KEPT = 256


def apply(bank: Bank, entry: e.Entry) -> Bank:
    """The bank after `entry`. Asserts that it is the next one of this bank's log."""
    fresh = isinstance(entry.body, e.EpochBegan)
    assert entry.bank == bank.id and (fresh or (entry.epoch, entry.seq) == (bank.epoch, bank.seq)), (
        f"entry {entry.epoch}/{entry.seq} does not follow {bank.epoch}/{bank.seq} of {bank.id}"
    )
    bank = replace(bank, epoch=entry.epoch, seq=entry.seq + 1, at=entry.at)
    return _ASSIGN[type(entry.body)](bank, entry.body)


def fold(bank: Bank, log: Iterable[e.Entry]) -> Bank:
    for entry in log:
        bank = apply(bank, entry)
    return bank


# One function a kind


def _epoch_began(bank: Bank, body: e.EpochBegan) -> Bank:
    return replace(bank, instructions_through=body.instructions_through)


def _booted(bank: Bank, body: e.Booted) -> Bank:
    """Nobody looked at the doors meanwhile."""
    for compartment in bank.compartments:
        bank = _set(bank, compartment, door=DoorState.UNKNOWN)
    return bank


def _fitted(bank: Bank, body: e.Fitted) -> Bank:
    table = bank.compartments
    for fitting in body.compartments:
        had = table.get(fitting.id)
        table = table.put(fitting.id, replace(had, fitting=fitting) if had else Compartment(fitting))
    for gone in body.removed:
        table = table.drop(gone)
    return replace(bank, compartments=table)


def _adopted(bank: Bank, body: e.Adopted) -> Bank:
    return replace(
        bank, policy_version=body.version, policy=body.policy, services={s.id: s for s in body.policy.services}
    )


def _clock_doubted(bank: Bank, body: e.ClockDoubted) -> Bank:
    return replace(bank, clock_doubted=True)


def _clock_confirmed(bank: Bank, body: e.ClockConfirmed) -> Bank:
    return replace(bank, clock_doubted=False)


def _answered(bank: Bank, body: e.Answered) -> Bank:
    answered = (*bank.answered, (body.number, body.instruction))[-_ANSWERS_KEPT:]
    return replace(bank, answered=answered, instructions_through=max(bank.instructions_through, body.number))


def _session_began(bank: Bank, body: e.SessionBegan) -> Bank:
    session = Session(body.session, body.pass_id, body.role, body.purpose, body.party, body.stay)
    return replace(bank, sessions=bank.sessions.put(body.session, session))


def _session_ended(bank: Bank, body: e.SessionEnded) -> Bank:
    return replace(bank, sessions=bank.sessions.drop(body.session))


def _code_refused(bank: Bank, body: e.CodeRefused) -> Bank:
    return replace(bank, guesses=Guesses(body.failures, bank.at, body.until))


def _pass_granted(bank: Bank, body: e.PassGranted) -> Bank:
    stay = bank.stays.get(body.grant.stay) if body.grant.stay else None
    if stay is not None:
        bank = _with_stay(bank, replace(stay, drop_off=body.grant.pass_id))
    return _with_pass(bank, body.grant, PassState.WAITING)


def _pass_revoked(bank: Bank, body: e.PassRevoked) -> Bank:
    return _without_pass(bank, body.pass_id)


def _expected(bank: Bank, body: e.Expected) -> Bank:
    return _with_stay(bank, Stay(body.stay, body.about, StayState.EXPECTED, announced=True))


def _cancelled(bank: Bank, body: e.Cancelled) -> Bank:
    return _without_stay(bank, body.stay)


def _claimed(bank: Bank, body: e.Claimed) -> Bank:
    before = bank.stays.get(body.stay)
    stay = Stay(
        body.stay,
        body.about,
        StayState.RESERVED,
        body.announced,
        claim=body.claim,
        compartment=body.compartment,
        pickup=body.pickup.pass_id if body.pickup else None,
        drop_off=before.drop_off if before else None,
    )
    bank = _with_stay(bank, stay)
    if body.pickup:
        bank = _with_pass(bank, body.pickup, PassState.PENDING)
    claim = Claim(body.claim, body.compartment, body.about.service, (body.stay,))
    bank = replace(bank, claims=bank.claims.put(body.claim, claim))
    return _set(bank, body.compartment, state=CompartmentState.RESERVED, why=body.why, claim=body.claim)


def _released(bank: Bank, body: e.Released) -> Bank:
    stay = bank.stays.get(body.stay)
    if stay is not None:
        bank = _without_pass(bank, stay.pickup)
        if body.stay_state is None:
            bank = _without_stay(bank, body.stay)
        else:
            bank = _with_stay(bank, Stay(stay.id, stay.about, body.stay_state, stay.announced, drop_off=stay.drop_off))
    opening = bank.openings.get(body.opening) if body.opening else None
    if opening is not None:
        # An open door's opening stays until it closes, and one in doubt while its door may still open late.
        doubtful = opening.state in (OpeningState.NOT_OPENED, OpeningState.UNRESOLVED)
        stuck = bank.compartments[body.compartment].stuck if body.compartment in bank.compartments else None
        if opening.state is OpeningState.SHUT or (doubtful and stuck != opening.id):
            bank = replace(bank, openings=bank.openings.drop(opening.id))
    bank = replace(bank, claims=bank.claims.drop(body.claim))
    return _set(bank, body.compartment, state=body.compartment_state, why=body.why, claim=None)


def _stored(bank: Bank, body: e.Stored) -> Bank:
    stay = Stay(
        body.stay,
        body.about,
        StayState.DEPOSITED,
        body.announced,
        claim=body.claim,
        compartment=body.compartment,
        deadline=body.deadline,
        presumed=body.presumed,
        pickup=body.pickup.pass_id if body.pickup else None,
    )
    before = bank.stays.get(body.stay)
    bank = _without_pass(bank, before.drop_off if before else None)
    bank = _with_stay(bank, stay)
    if body.pickup:
        bank = _with_pass(bank, body.pickup, PassState.WAITING)
    deadlines = list(bank.deadlines)
    insort(deadlines, (body.deadline, body.stay))
    bank = replace(bank, deadlines=tuple(deadlines), openings=bank.openings.drop(body.opening))
    return _set(bank, body.compartment, state=CompartmentState.OCCUPIED, why=None, stuck=None)


def _taken(bank: Bank, body: e.Collected | e.Recalled) -> Bank:
    claim = bank.claims.get(body.claim)
    left = tuple(s for s in claim.stays if s != body.stay) if claim else ()
    bank = _without_stay(bank, body.stay)
    if claim and left:
        return replace(bank, claims=bank.claims.put(claim.id, replace(claim, stays=left)))
    bank = replace(bank, claims=bank.claims.drop(body.claim), openings=bank.openings.drop(body.opening))
    return _set(bank, body.compartment, state=body.compartment_state, why=None, claim=None)


def _expired(bank: Bank, body: e.Expired) -> Bank:
    stay = bank.stays[body.stay]
    bank = _without_deadline(bank, stay)
    return replace(bank, stays=bank.stays.put(body.stay, replace(stay, state=StayState.EXPIRED, deadline=None)))


def _wanted(bank: Bank, body: e.Wanted) -> Bank:
    opening = Opening(
        body.opening,
        body.compartment,
        body.purpose,
        OpeningState.WANTED,
        body.session,
        body.pass_id,
        body.instruction,
        body.claim,
        body.stays,
        body.ends,
        not_after=body.not_after,
    )
    return replace(bank, openings=bank.openings.put(body.opening, opening), queue=(*bank.queue, body.opening))


def _unlocked(bank: Bank, body: e.Unlocked) -> Bank:
    bank = replace(_step(bank, body.opening, OpeningState.UNLOCKED, attempt=body.attempt), moving=body.opening)
    stuck = bank.compartments[body.compartment].stuck
    if stuck is not None and stuck != body.opening:  # a later opening now owns whatever this door does
        old = bank.openings.get(stuck)
        if old is not None and not (old.purpose is Purpose.DEPOSIT and old.claim in bank.claims):
            bank = replace(bank, openings=bank.openings.drop(stuck))
        bank = _set(bank, body.compartment, stuck=None)
    return bank


def _no_proof(bank: Bank, body: e.NoProof) -> Bank:
    bank = _step(bank, body.opening, OpeningState.WANTED)
    return replace(bank, queue=(body.opening, *bank.queue))


def _not_opened(bank: Bank, body: e.NotOpened) -> Bank:
    return _in_doubt(bank, body.opening, OpeningState.NOT_OPENED, body.compartment_state, body.why)


def _unresolved(bank: Bank, body: e.Unresolved) -> Bank:
    return _in_doubt(bank, body.opening, OpeningState.UNRESOLVED, body.compartment_state, None)


def _in_doubt(bank: Bank, opening_id: OpeningId, state: OpeningState, door: CompartmentState, why: Any) -> Bank:
    bank = _step(bank, opening_id, state)
    return _set(bank, bank.openings[opening_id].compartment, state=door, why=why, stuck=opening_id)


def _opened(bank: Bank, body: e.Opened) -> Bank:
    bank = _step(bank, body.opening, OpeningState.OPENED)
    bank = _without_pass(bank, body.spent)
    bank = _set(bank, body.compartment, door=DoorState.OPEN, stuck=None)
    if body.compartment_state is not None:
        bank = _set(bank, body.compartment, state=body.compartment_state, why=None)
    return bank


def _closed(bank: Bank, body: e.Closed) -> Bank:
    bank = _step(bank, body.opening, OpeningState.SHUT)
    opening = bank.openings[body.opening]
    claim = bank.claims.get(opening.claim) if opening.claim else None
    if opening.purpose is not Purpose.DEPOSIT or claim is None:  # nothing more can come of it
        bank = replace(bank, openings=bank.openings.drop(body.opening))
    return _set(bank, body.compartment, door=DoorState.CLOSED)


def _lapsed(bank: Bank, body: e.Lapsed) -> Bank:
    queue = tuple(o for o in bank.queue if o != body.opening)
    return replace(bank, openings=bank.openings.drop(body.opening), queue=queue)


def _sensed(bank: Bank, body: e.Sensed) -> Bank:
    for compartment, door in body.doors.items():
        bank = _set(bank, compartment, door=door)
    if body.compartment_state is not None:
        for compartment in body.forced:
            bank = _set(bank, compartment, state=body.compartment_state, why=Reason.FORCED)
    return bank


def _board_lost(bank: Bank, body: e.BoardLost) -> Bank:
    for compartment in body.compartments:
        bank = _set(bank, compartment, door=DoorState.UNKNOWN)
    return bank


def _checked(bank: Bank, body: e.Checked) -> Bank:
    stuck = bank.compartments[body.compartment].stuck
    bank = replace(bank, openings=bank.openings.drop(stuck))
    return _set(bank, body.compartment, state=body.compartment_state, why=None, stuck=None)


# Pieces


def _set(bank: Bank, compartment: CompartmentId, **changes: Any) -> Bank:
    table = bank.compartments
    if compartment not in table:  # a door taken off the wall since; its history stays readable
        return bank
    return replace(bank, compartments=table.put(compartment, replace(table[compartment], **changes)))


def _step(bank: Bank, opening: OpeningId, state: OpeningState, **changes: Any) -> Bank:
    table = bank.openings
    queue = tuple(o for o in bank.queue if o != opening)
    moving = bank.moving if bank.moving != opening else None
    changed = replace(table[opening], state=state, **changes)
    return replace(bank, queue=queue, moving=moving, openings=table.put(opening, changed))


def _with_stay(bank: Bank, stay: Stay) -> Bank:
    labels = bank.labels.put(stay.about.label, stay.id) if stay.about.label else bank.labels
    return replace(bank, stays=bank.stays.put(stay.id, stay), labels=labels)


def _without_stay(bank: Bank, stay_id: StayId) -> Bank:
    """An ended stay leaves the picture, and every pass to it with it."""
    stay = bank.stays.get(stay_id)
    if stay is None:
        return bank
    bank = _without_pass(_without_pass(bank, stay.drop_off), stay.pickup)
    bank = _without_deadline(bank, stay)
    return replace(bank, stays=bank.stays.drop(stay_id), labels=bank.labels.drop(stay.about.label))


def _without_deadline(bank: Bank, stay: Stay) -> Bank:
    if stay.deadline is None:
        return bank
    at = bisect_left(bank.deadlines, (stay.deadline, stay.id))
    return replace(bank, deadlines=(*bank.deadlines[:at], *bank.deadlines[at + 1 :]))


def _with_pass(bank: Bank, grant: Grant, state: PassState) -> Bank:
    passes = bank.passes.put(grant.pass_id, Pass(grant, state))
    return replace(bank, passes=passes, codes=bank.codes.put(grant.lookup, grant.pass_id))


def _without_pass(bank: Bank, pass_id: PassId | None) -> Bank:
    held = bank.passes.get(pass_id) if pass_id else None
    if held is None:
        return bank
    return replace(bank, passes=bank.passes.drop(pass_id), codes=bank.codes.drop(held.grant.lookup))


_ASSIGN: dict[type, Callable[[Bank, Any], Bank]] = {
    e.EpochBegan: _epoch_began,
    e.Booted: _booted,
    e.Fitted: _fitted,
    e.Adopted: _adopted,
    e.ClockDoubted: _clock_doubted,
    e.ClockConfirmed: _clock_confirmed,
    e.Answered: _answered,
    e.SessionBegan: _session_began,
    e.SessionEnded: _session_ended,
    e.CodeRefused: _code_refused,
    e.PassGranted: _pass_granted,
    e.PassRevoked: _pass_revoked,
    e.Expected: _expected,
    e.Cancelled: _cancelled,
    e.Claimed: _claimed,
    e.Released: _released,
    e.Stored: _stored,
    e.Collected: _taken,
    e.Recalled: _taken,
    e.Expired: _expired,
    e.Wanted: _wanted,
    e.Unlocked: _unlocked,
    e.NoProof: _no_proof,
    e.NotOpened: _not_opened,
    e.Opened: _opened,
    e.Closed: _closed,
    e.Lapsed: _lapsed,
    e.Unresolved: _unresolved,
    e.Sensed: _sensed,
    e.BoardLost: _board_lost,
    e.Checked: _checked,
}
