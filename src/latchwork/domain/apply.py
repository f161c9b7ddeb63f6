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
    ClaimId,
    CompartmentId,
    CompartmentState,
    DoorState,
    OpeningId,
    PassId,
    Purpose,
    Reason,
    SessionId,
    StayId,
    StayState,
)

_ANSWERS_KEPT = 256
_SPENT_KEPT = 64
_TOOK_KEPT = 20


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


# One function a kind, where a line of the table below would not do


def _recovered(bank: Bank, body: e.Recovered) -> Bank:
    bank = _without_pass(bank, body.spent)
    if body.stored is not None:
        bank = _stored(bank, body.stored)
    return _in_doubt(bank, (body.doubted,) if body.doubted else (), Reason.RECOVERED)


def _fitted(bank: Bank, body: e.Fitted) -> Bank:
    table = bank.compartments
    for fitting in body.compartments:
        had = table.get(fitting.id)
        table = table.put(fitting.id, replace(had, fitting=fitting) if had else Compartment(fitting))
    for gone in body.removed:
        table = table.drop(gone)
    return replace(bank, compartments=table)


def _clock_confirmed(bank: Bank, body: e.ClockConfirmed) -> Bank:
    stays = bank.stays
    for stay in bank.stays.values():
        if stay.guessed:
            stays = stays.put(stay.id, replace(stay, guessed=False))
    return replace(bank, clock_doubted=False, stays=stays)


def _answered(bank: Bank, body: e.Answered) -> Bank:
    answered = (*bank.answered, (body.number, body.instruction))[-_ANSWERS_KEPT:]
    bank = replace(bank, answered=answered, instructions_through=max(bank.instructions_through, body.number))
    if body.signed_until is None:
        return bank
    signed = tuple(x for x in bank.shield.signed if bank.at is None or x[0] > bank.at)
    return _shielded(bank, signed=(*signed, (body.signed_until, body.instruction)))


def _session_began(bank: Bank, body: e.SessionBegan) -> Bank:
    session = Session(
        body.session, body.pass_id, body.role, body.purpose, body.party, body.stay, body.recipient, body.service
    )
    return replace(bank, sessions=bank.sessions.put(body.session, session))


def _pass_granted(bank: Bank, body: e.PassGranted) -> Bank:
    grant = body.grant
    stay = bank.stays.get(grant.stay)
    if stay is not None and grant.purpose is Purpose.DEPOSIT:
        bank = _put(bank, replace(stay, drop_off=grant.pass_id))
    elif stay is not None:
        bank = _put(bank, replace(stay, delegates=(*stay.delegates, grant.pass_id)))
    bank = _with_pass(bank, grant, PassState.WAITING)
    return replace(bank, dailies=(*bank.dailies, grant.pass_id)) if grant.daily else bank


def _claimed(bank: Bank, body: e.Claimed) -> Bank:
    if body.moves:
        claim = Claim(body.claim, body.compartment, body.about.service, (), moves=body.stay)
        bank = replace(bank, claims=bank.claims.put(body.claim, claim))
        bank = _put(bank, replace(bank.stays[body.stay], moving=body.claim))
    else:
        stay = replace(_known(bank, body), state=StayState.RESERVED, deadline=body.until)
        bank = _with_pass(_put(bank, stay), body.pickup, PassState.PENDING)
    return _set(bank, body.compartment, state=body.compartment_state, why=body.why, claim=body.claim)


def _released(bank: Bank, body: e.Released) -> Bank:
    stay = bank.stays.get(body.stay)
    if stay is not None and stay.claim == body.claim:
        again = replace(stay, claim=None, compartment=None, deadline=None, pickup=None)
        bank = _put(bank, replace(again, state=body.stay_state)) if body.stay_state else _end(bank, stay.id)
    elif stay is not None and stay.moving == body.claim:
        bank = _put(bank, replace(stay, moving=None))
    opening = bank.openings.get(body.opening)
    if opening is not None:
        # An open door's opening stays until it closes, and one in doubt while its door may still open late.
        doubtful = opening.state in (OpeningState.NOT_OPENED, OpeningState.UNRESOLVED)
        stuck = bank.compartments[body.compartment].stuck if body.compartment in bank.compartments else None
        if opening.state is OpeningState.SHUT or (doubtful and stuck != opening.id):
            bank = replace(bank, openings=bank.openings.drop(opening.id))
    bank = _without_claim(bank, body.claim, body.stay)
    return _set(bank, body.compartment, state=body.compartment_state, why=body.why)


def _stored(bank: Bank, body: e.Stored) -> Bank:
    stay = replace(
        _known(bank, body),
        state=StayState.DEPOSITED,
        deadline=body.deadline,
        drop_off=None,
        why=body.why,
        photo_sha256=body.photo_sha256,
        guessed=bank.clock_doubted,
    )
    bank = _with_pass(_put(bank, stay), body.pickup, PassState.WAITING)
    bank = _outcome(bank, body.session, body.stay, StayState.DEPOSITED)
    bank = replace(bank, openings=bank.openings.drop(body.opening))
    if body.claim is None:
        return bank
    return _set(_unstick(bank, body.compartment), body.compartment, state=CompartmentState.OCCUPIED, why=None)


def _taken(bank: Bank, body: e.Collected | e.Recalled | e.Removed) -> Bank:
    stay = bank.stays.get(body.stay)
    bank = _end(bank, body.stay, keep=body.pass_id)
    bank = replace(bank, openings=bank.openings.drop(body.opening))
    outcome = StayState.COLLECTED if isinstance(body, e.Collected) else StayState.RECALLED
    bank = _outcome(bank, body.session, body.stay, outcome)
    held = bank.passes.get(body.pass_id)
    if isinstance(body, e.Collected) and held is not None and stay is not None:
        took = (*held.took, stay)[-_TOOK_KEPT:]
        bank = replace(bank, passes=bank.passes.put(held.grant.pass_id, replace(held, took=took)))
    if body.claim is None or body.compartment not in bank.compartments:
        return bank
    missed = bank.compartments[body.compartment].why is Reason.COMPARTMENT_EMPTY
    more = body.compartment_state in (CompartmentState.OCCUPIED, CompartmentState.NEEDS_CHECK)
    why = Reason.COMPARTMENT_EMPTY if missed and more else None
    return _set(bank, body.compartment, state=body.compartment_state, why=why)


def _reported(bank: Bank, body: e.Reported) -> Bank:
    """What was taken may be here again, and what is here may be gone."""
    bank = _outcome(bank, body.session, body.stay, body.why)
    session = bank.sessions.get(body.session)
    held = bank.passes.get(session.pass_id) if session else None
    stay = bank.stays.get(body.stay)
    if held is not None:
        stay = stay or next((s for s in held.took if s.id == body.stay), None)
        took = tuple(s for s in held.took if s.id != body.stay)
        bank = replace(bank, passes=bank.passes.put(held.grant.pass_id, replace(held, took=took)))
    for opening in bank.openings.values():
        # A deposit's, whose thing was put in elsewhere because its door will not close, is its own to the end.
        if body.stay in opening.stays and opening.purpose is Purpose.COLLECT:
            left = tuple(s for s in opening.stays if s != body.stay)
            bank = replace(bank, openings=bank.openings.put(opening.id, replace(opening, stays=left)))
    keep = held.grant.pass_id if held else None
    if body.ended or stay is None:
        return _set(_end(bank, body.stay, keep), body.compartment, state=body.compartment_state, why=body.why)
    if body.stay_state is StayState.EXCEPTION:  # theirs no more
        stay = replace(stay, pickup=None, drop_off=None, delegates=())
    if body.pickup is not None and body.pickup.pass_id not in stay.delegates:
        stay = replace(stay, pickup=body.pickup.pass_id)
    stay = replace(stay, state=body.stay_state, why=body.why, deadline=body.deadline, claim=body.claim)
    bank = _with_pass(_put(bank, stay, keep), body.pickup, PassState.WAITING)
    return _set(bank, body.compartment, state=body.compartment_state)


def _amended(bank: Bank, body: e.Amended) -> Bank:
    stay = bank.stays[body.stay]
    if body.pickup is not None:
        stay = replace(stay, pickup=body.pickup.pass_id, delegates=())
    why = None if body.stay_state is StayState.DEPOSITED else stay.why or body.why
    if body.why is Reason.CLOCK_SET:
        why = stay.why
    elif body.why in (Reason.HELD, Reason.REASSIGNED):
        stay = replace(stay, guessed=bank.clock_doubted and body.why is Reason.REASSIGNED)
    stay = replace(
        stay, about=body.about, state=body.stay_state, deadline=body.deadline, extensions=body.extensions, why=why
    )
    return _with_pass(_put(bank, stay), body.pickup, PassState.WAITING)


def _moved(bank: Bank, body: e.Moved) -> Bank:
    stay = bank.stays[body.stay]
    bank = replace(bank, claims=bank.claims.drop(body.claim), openings=bank.openings.drop(body.opening))
    bank = _put(bank, replace(stay, claim=body.claim, compartment=body.compartment, moving=None))
    if stay.claim is not None:
        bank = _set(bank, body.left, state=body.left_state, why=None)
    return _set(_unstick(bank, body.compartment), body.compartment, state=CompartmentState.OCCUPIED, why=None)


def _wanted(bank: Bank, body: e.Wanted) -> Bank:
    if body.debt_s is not None:
        bank = _shielded(bank, debt_s=body.debt_s)
    who = (body.session, body.pass_id, body.second, body.reason, body.not_after)
    what = (body.claim, body.stays, body.ends)
    opening = Opening(body.opening, body.compartment, body.purpose, OpeningState.WANTED, *who, *what)
    return replace(bank, openings=bank.openings.put(body.opening, opening), queue=(*bank.queue, body.opening))


def _unlocked(bank: Bank, body: e.Unlocked) -> Bank:
    bank = replace(_step(bank, body.opening, OpeningState.UNLOCKED, attempt=body.attempt), moving=body.opening)
    stuck = bank.compartments[body.compartment].stuck
    return bank if stuck == body.opening else _unstick(bank, body.compartment)


def _no_proof(bank: Bank, body: e.NoProof) -> Bank:
    bank = _step(bank, body.opening, OpeningState.WANTED)
    return replace(bank, queue=(body.opening, *bank.queue))


def _given_up(bank: Bank, body: e.NotOpened | e.Unresolved, state: OpeningState, why: Reason | None) -> Bank:
    bank = _step(bank, body.opening, state)
    return _set(bank, body.compartment, state=body.compartment_state, why=why, stuck=body.opening)


def _opened(bank: Bank, body: e.Opened) -> Bank:
    bank = _step(bank, body.opening, OpeningState.OPENED)
    bank = _spent(bank, body.spent)
    bank = _set(bank, body.compartment, door=DoorState.OPEN, stuck=None)
    if body.compartment_state is not None:
        bank = _set(bank, body.compartment, state=body.compartment_state, why=None)
    return bank


def _closed(bank: Bank, body: e.Closed) -> Bank:
    bank = _step(bank, body.opening, OpeningState.SHUT)
    if not bank.holds_deposit(bank.openings[body.opening]):  # nothing more can come of it
        bank = replace(bank, openings=bank.openings.drop(body.opening))
    return _set(bank, body.compartment, door=DoorState.CLOSED)


def _lapsed(bank: Bank, body: e.Lapsed) -> Bank:
    queue = tuple(o for o in bank.queue if o != body.opening)
    return replace(bank, openings=bank.openings.drop(body.opening), queue=queue)


def _sensed(bank: Bank, body: e.Sensed) -> Bank:
    for compartment, door in body.doors.items():
        bank = _set(bank, compartment, door=door)
    if body.compartment_state is not None:
        bank = _set(bank, *body.forced, state=body.compartment_state, why=Reason.FORCED)
    return bank


def _item_sensed(bank: Bank, body: e.ItemSensed) -> Bank:
    for compartment, item in body.items.items():
        bank = _set(bank, compartment, item=item)
    return _in_doubt(bank, body.doubted, Reason.SENSED)


def _withdrawn(bank: Bank, body: e.Withdrawn) -> Bank:
    for compartment, state in body.states.items():
        bank = _set(bank, compartment, state=state, withdrawn=body.out, why=Reason.WITHDRAWN if body.out else None)
    return bank


def _left_open(bank: Bank, body: e.LeftOpen) -> Bank:
    if body.compartment_state is not None:
        bank = _set(bank, body.compartment, state=body.compartment_state, why=Reason.LEFT_OPEN)
    return _set(bank, body.compartment, left_open=None if body.over else body.alarm)


def _tampered(bank: Bank, body: e.Tampered) -> Bank:
    others = tuple(x for x in bank.tampered if x != body.switch)
    return replace(bank, tampered=(*others, body.switch) if body.opened else others)


def _band_crossed(bank: Bank, body: e.BandCrossed) -> Bank:
    others = {sensor: inside for sensor, inside in bank.off_band.items() if sensor != body.sensor}
    return replace(bank, off_band=others if body.inside else {**others, body.sensor: body.inside})


def _checked(bank: Bank, body: e.Checked) -> Bank:
    stuck = bank.compartments[body.compartment].stuck
    bank = replace(bank, openings=bank.openings.drop(stuck))
    return _set(bank, body.compartment, state=body.compartment_state, why=None, stuck=None, checked_at=bank.at)


# Pieces


def _shielded(bank: Bank, **changes: Any) -> Bank:
    return replace(bank, shield=replace(bank.shield, **changes))


def _outcome(bank: Bank, session_id: SessionId | None, stay: StayId, outcome: Reason | StayState) -> Bank:
    session = bank.sessions.get(session_id)
    if session is None:
        return bank
    session = replace(session, outcomes=(*session.outcomes, (stay, outcome)))
    return replace(bank, sessions=bank.sessions.put(session.id, session))


def _known(bank: Bank, body: e.Claimed | e.Stored) -> Stay:
    """The stay as it was, if it was known, with what both kinds say of it."""
    return replace(
        bank.stays.get(body.stay) or Stay(body.stay, body.about, StayState.EXPECTED, body.announced),
        about=body.about,
        announced=body.announced,
        claim=body.claim,
        compartment=body.compartment,
        pickup=body.pickup.pass_id if body.pickup else None,
    )


def _in_doubt(bank: Bank, compartments: Iterable[CompartmentId], why: Reason) -> Bank:
    return _set(bank, *compartments, state=CompartmentState.NEEDS_CHECK, why=why)


def _unstick(bank: Bank, where: CompartmentId) -> Bank:
    """Whatever this door still does is no older opening's."""
    stuck = bank.compartments[where].stuck if where in bank.compartments else None
    old = bank.openings.get(stuck)
    if old is not None and not bank.holds_deposit(old):
        bank = replace(bank, openings=bank.openings.drop(old.id))
    return _set(bank, where, stuck=None)


def _without_claim(bank: Bank, claim_id: ClaimId, stay: StayId) -> Bank:
    """The claim ends with the last stay that it holds."""
    claim = bank.claims.get(claim_id)
    if claim is None:
        return bank
    left = tuple(s for s in claim.stays if s != stay)
    if left:
        return replace(bank, claims=bank.claims.put(claim_id, replace(claim, stays=left)))
    bank = replace(bank, claims=bank.claims.drop(claim_id))
    return _set(bank, claim.compartment, claim=None)


def _set(bank: Bank, *compartments: CompartmentId, **changes: Any) -> Bank:
    table = bank.compartments
    for each in compartments:
        if each in table:  # else a door taken off the wall since; its history stays readable
            table = table.put(each, replace(table[each], **changes))
    return replace(bank, compartments=table)


def _step(bank: Bank, opening: OpeningId, state: OpeningState, **changes: Any) -> Bank:
    table = bank.openings
    queue = tuple(o for o in bank.queue if o != opening)
    moving = bank.moving if bank.moving != opening else None
    changed = replace(table[opening], state=state, **changes)
    return replace(bank, queue=queue, moving=moving, openings=table.put(opening, changed))


def _put(bank: Bank, stay: Stay, keep: PassId | None = None) -> Bank:
    """A stay as it is from now on. What others keep about it follows: deadlines, labels, claims, and its passes, of
    which those that it no longer has are void; `keep` has just served, and is spent."""
    bank = _end(bank, stay.id, keep, still=stay)
    label, labels, deadlines = stay.about.label, bank.labels, list(bank.deadlines)
    if label is not None and label not in labels:  # the same label may come again while its first thing is disputed
        labels = labels.put(label, stay.id)
    if stay.deadline is not None and stay.state not in (StayState.BLOCKED, StayState.EXCEPTION):
        insort(deadlines, (stay.deadline, stay.id))
    bank = replace(bank, stays=bank.stays.put(stay.id, stay), labels=labels, deadlines=tuple(deadlines))
    if stay.claim is None or stay.compartment is None:
        return bank
    claim = bank.claims.get(stay.claim) or Claim(stay.claim, stay.compartment, stay.about.service, ())
    if stay.id not in claim.stays:
        bank = replace(bank, claims=bank.claims.put(claim.id, replace(claim, stays=(*claim.stays, stay.id))))
    return _set(bank, stay.compartment, claim=claim.id)


def _end(bank: Bank, stay_id: StayId, keep: PassId | None = None, still: Stay | None = None) -> Bank:
    """An ended stay leaves the picture, and all that follows from it; but for what it `still` has."""
    stay = bank.stays.get(stay_id)
    if stay is None:
        return bank
    for pass_id in (stay.drop_off, stay.pickup, *stay.delegates):
        if still is None or pass_id not in (still.drop_off, still.pickup, *still.delegates):
            bank = _spent(bank, pass_id) if pass_id == keep else _without_pass(bank, pass_id)
    if stay.claim is not None and (still is None or still.claim != stay.claim):
        bank = _without_claim(bank, stay.claim, stay_id)
    labels, label, due = bank.labels, stay.about.label, bank.deadlines
    if label is not None and labels.get(label) == stay_id:
        labels = labels.drop(label)
    at = bisect_left(due, (stay.deadline, stay_id)) if stay.deadline is not None else len(due)
    if due[at : at + 1] == ((stay.deadline, stay_id),):
        due = (*due[:at], *due[at + 1 :])
    return replace(bank, stays=bank.stays.drop(stay_id), labels=labels, deadlines=due)


def _with_pass(bank: Bank, grant: Grant | None, state: PassState) -> Bank:
    if grant is None:
        return bank
    bank = _without_pass(bank, grant.pass_id)
    passes = bank.passes.put(grant.pass_id, Pass(grant, state))
    return replace(bank, passes=passes, codes=bank.codes.put(grant.lookup, grant.pass_id))


def _without_pass(bank: Bank, pass_id: PassId | None) -> Bank:
    held = bank.passes.get(pass_id)
    if held is None:
        return bank
    codes = bank.codes
    if codes.get(held.grant.lookup) == pass_id:  # a code of a spent pass may be another's by now
        codes = codes.drop(held.grant.lookup)
    dailies = tuple(p for p in bank.dailies if p != pass_id)
    return replace(bank, passes=bank.passes.drop(pass_id), codes=codes, dailies=dailies)


def _spent(bank: Bank, pass_id: PassId | None) -> Bank:
    """It is kept for a while, for those who come back at once."""
    held = bank.passes.get(pass_id)
    if held is None or held.state is PassState.SPENT:
        return bank
    spent = (*bank.spent, held.grant.pass_id)
    for old in spent[:-_SPENT_KEPT]:
        gone = bank.passes.get(old)
        bank = _without_pass(bank, old) if gone is not None and gone.state is PassState.SPENT else bank
    passes = bank.passes.put(held.grant.pass_id, replace(held, state=PassState.SPENT, since=bank.at))
    return replace(bank, passes=passes, spent=spent[-_SPENT_KEPT:])


_ASSIGN: dict[type, Callable[[Bank, Any], Bank]] = {
    e.EpochBegan: lambda bank, body: replace(
        _in_doubt(bank, body.doubted, Reason.RECOVERED),
        instructions_through=body.instructions_through,
        shield=body.shield,
    ),
    e.Recovered: _recovered,
    # Nobody looked at the doors meanwhile.
    e.Booted: lambda bank, body: _set(bank, *bank.compartments, door=DoorState.UNKNOWN),
    e.Fitted: _fitted,
    e.Adopted: lambda bank, body: replace(bank, policy_version=body.version, policy=body.policy),
    e.ClockDoubted: lambda bank, body: replace(bank, clock_doubted=True),
    e.ClockConfirmed: _clock_confirmed,
    e.Answered: _answered,
    e.Guarded: lambda bank, body: _shielded(bank, guards=body.keys),
    e.RemoteStopped: lambda bank, body: _shielded(bank, stopped=True),
    e.RemoteResumed: lambda bank, body: _shielded(bank, stopped=False, debt_s=0),
    e.SessionBegan: _session_began,
    e.SessionEnded: lambda bank, body: replace(bank, sessions=bank.sessions.drop(body.session)),
    e.CodeRefused: lambda bank, body: replace(bank, guesses=Guesses(body.failures, bank.at, body.until)),
    e.PassGranted: _pass_granted,
    e.PassRevoked: lambda bank, body: _without_pass(bank, body.pass_id),
    e.Expected: lambda bank, body: _put(bank, Stay(body.stay, body.about, StayState.EXPECTED, announced=True)),
    e.Cancelled: lambda bank, body: _end(bank, body.stay),
    e.Claimed: _claimed,
    e.Released: _released,
    e.Stored: _stored,
    e.NotDelivered: lambda bank, body: _outcome(bank, body.session, body.stay, body.why),
    e.Collected: _taken,
    e.Recalled: _taken,
    e.Removed: _taken,
    e.Reported: _reported,
    e.Amended: _amended,
    e.Moved: _moved,
    e.Expired: lambda bank, body: _put(bank, replace(bank.stays[body.stay], state=StayState.EXPIRED, deadline=None)),
    e.Wanted: _wanted,
    e.Unlocked: _unlocked,
    e.NoProof: _no_proof,
    e.NotOpened: lambda bank, body: _given_up(bank, body, OpeningState.NOT_OPENED, body.why),
    e.Opened: _opened,
    e.Closed: _closed,
    e.Lapsed: _lapsed,
    e.Unresolved: lambda bank, body: _given_up(bank, body, OpeningState.UNRESOLVED, None),
    e.Sensed: _sensed,
    e.ItemSensed: _item_sensed,
    e.Withdrawn: _withdrawn,
    e.BoardLost: lambda bank, body: _set(bank, *body.compartments, door=DoorState.UNKNOWN, lost=True),
    e.BoardFound: lambda bank, body: _set(bank, *body.compartments, lost=False),
    e.LeftOpen: _left_open,
    e.Maintained: lambda bank, body: replace(bank, maintained_until=body.until),
    e.Tampered: _tampered,
    e.BandCrossed: _band_crossed,
    e.KeptAt: lambda bank, body: bank,
    e.Checked: _checked,
}
