"""What the machine says: boot, doors, sensors, time."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain import policy
from latchwork.domain.apply import apply
from latchwork.domain.bank import Bank, Compartment, Opening, OpeningState, Shield
from latchwork.domain.commands import Decision
from latchwork.domain.effects import codes_due
from latchwork.domain.rules.collect import taken
from latchwork.domain.rules.pieces import (
    MOVING,
    UNDER_WAY,
    grant,
    is_reserved,
    lapse,
    let_go,
    maintained,
    no,
    release,
    stored,
    too_late,
    under_way,
    yes,
)
from latchwork.domain.words import (
    CompartmentId,
    CompartmentState,
    DoorState,
    OpeningId,
    Purpose,
    Reason,
    StayId,
    StayState,
)


def recover(bank: Bank, cmd: c.Recover, now: datetime) -> Decision:
    """`bank` is what the cloud had. Nobody can vouch for what is empty since; whatever this controller did on its own
    is written down again, and what it still means is stated."""
    empty = (CompartmentState.VACANT, CompartmentState.RESERVED)
    doubted = sorted(x.id for x in bank.compartments.values() if x.state in empty and x.fitting.claimable)
    own, theirs = cmd.shield, bank.shield
    shield = Shield(
        own.guards or theirs.guards,
        tuple(sorted({*own.signed, *theirs.signed})),
        max(own.debt_s, theirs.debt_s),
        own.stopped or theirs.stopped,
    )
    began = e.EpochBegan(bank.epoch, cmd.size, cmd.root, bank.instructions_through, tuple(doubted), shield)
    entries: list[e.Body] = [began]
    ended = {x.body.stay: x.seq for x in cmd.branch if isinstance(x.body, _TAKEN)}
    for lived in cmd.branch:
        again = _again(bank, lived, ended)
        bank = apply(bank, e.Entry(bank.id, bank.epoch, bank.seq, now, again))
        entries.append(again)
    return yes(*entries)


_TAKEN = e.Collected | e.Recalled | e.Removed


def _again(bank: Bank, lived: c.Lived, ended: Mapping[StayId, int]) -> e.Recovered:
    body = lived.body
    spent = body.spent if isinstance(body, e.Opened) else None
    stored = body if isinstance(body, e.Stored) and lived.seq > ended.get(body.stay, -1) else None
    if stored is not None:
        where = bank.compartments.get(stored.compartment)
        if stored.stay in bank.stays or stored.about.service not in bank.services or where is None or where.claim:
            stored = None
        elif stored.pickup is not None and stored.pickup.lookup in bank.codes:
            stored = replace(stored, pickup=None)  # the code is another's now: it needs a new one
    door = None
    if isinstance(body, e.Opened | e.NotOpened | e.Unresolved | _TAKEN):
        door = bank.compartments.get(body.compartment)
    doubted = door.id if door and door.fitting.claimable else None
    return e.Recovered(lived.seq, lived.sha256, lived.original, spent, stored, doubted)


def boot(bank: Bank, cmd: c.Boot, now: datetime) -> Decision:
    """Nothing is pulsed at restart. What was only wanted lapses; what was pulsed and not proven is in doubt."""
    entries: list[e.Body] = [e.Booted(cmd.boot, cmd.software)]
    for opening in sorted(bank.openings.values(), key=lambda o: o.id):
        if opening.state is OpeningState.WANTED and opening.attempt == 0:
            entries += lapse(bank, opening, Reason.POWER_LOST)
        elif opening.state in MOVING:
            entries.append(e.Unresolved(opening.id, opening.compartment, CompartmentState.NEEDS_CHECK))
    return yes(*entries)


def fit(bank: Bank, cmd: c.Fit, now: datetime) -> Decision:
    """What changed of the wall, in entries small enough whatever its size."""
    wanted = {fitting.id: fitting for fitting in cmd.compartments}
    new = [f for f in wanted.values() if f.id not in bank.compartments or bank.compartments[f.id].fitting != f]
    gone = tuple(sorted(x for x in bank.compartments if x not in wanted))
    held = {x.compartment for x in bank.claims.values()} | {x.compartment for x in bank.stays.values()}
    if held & set(gone):
        return no(Reason.COMPARTMENT_OCCUPIED)
    if any(o.compartment in gone for o in bank.openings.values() if o.state in UNDER_WAY):
        return no(Reason.BUSY)
    chunks = [tuple(new[i : i + _FITTINGS_AN_ENTRY]) for i in range(0, len(new), _FITTINGS_AN_ENTRY)] or [()]
    fitted = [e.Fitted(chunk, gone if i == 0 else ()) for i, chunk in enumerate(chunks)]
    return yes(*fitted) if new or gone else Decision()


_FITTINGS_AN_ENTRY = 50


def see(bank: Bank, cmd: c.See, now: datetime) -> Decision:
    """Doors that changed: each belongs to the opening under way there, or to nobody."""
    if cmd.lost:
        lost = tuple(sorted(x for x in cmd.doors if x in bank.compartments and not bank.compartments[x].lost))
        return yes(e.BoardLost(lost)) if lost else Decision()
    known = {x: door for x, door in cmd.doors.items() if x in bank.compartments and bank.compartments[x].door != door}
    moving = sorted((o for o in bank.openings.values() if o.state in _DOOR_MOVES), key=lambda o: o.id)
    entries: list[e.Body] = []
    strays: dict[CompartmentId, DoorState] = {}
    for compartment_id, door in sorted(known.items()):
        here = [o for o in moving if o.compartment == compartment_id]
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
        ours = set(bank.compartments) if maintained(bank, now) else {o.compartment for o in moving}
        forced = tuple(x for x, door in strays.items() if x not in ours and _forced(bank.compartments[x], door))
        entries.append(e.Sensed(strays, forced, CompartmentState.NEEDS_CHECK if forced else None))
    found = tuple(sorted(x for x in known if bank.compartments[x].lost and known[x] is not DoorState.UNKNOWN))
    shut = [bank.compartments[x] for x in sorted(known) if known[x] is DoorState.CLOSED]
    entries += [e.BoardFound(found)] if found else []
    return yes(*entries, *(_shut_at_last(x) for x in shut if x.left_open is not None))


_DOOR_MOVES = frozenset({OpeningState.UNLOCKED, OpeningState.OPENED})


def _waited_for(bank: Bank, stuck: OpeningId | None) -> Opening | None:
    """The given-up opening whose door this is, while whoever asked for it may still stand there."""
    opening = bank.openings.get(stuck)
    return opening if opening and (opening.session is None or opening.session in bank.sessions) else None


def _shut_at_last(compartment: Compartment) -> e.LeftOpen:
    doubted = compartment.state is CompartmentState.NEEDS_CHECK and compartment.why is Reason.LEFT_OPEN
    return e.LeftOpen(compartment.id, over=True, compartment_state=compartment.state if doubted else None)


def linger(bank: Bank, cmd: c.Linger, now: datetime) -> Decision:
    """Warned of once, told to the operator once. What lies behind a door that stood open is in doubt, unless an opening
    is under way there: that one settles it when the door shuts."""
    compartment = bank.compartments.get(cmd.compartment)
    if compartment is None or compartment.door is not DoorState.OPEN or maintained(bank, now):
        return Decision()
    if compartment.left_open or (compartment.left_open is False and not cmd.alarm):
        return Decision()
    at_rest = compartment.state in (CompartmentState.VACANT, CompartmentState.OCCUPIED)
    doubted = cmd.alarm and at_rest and not compartment.fitting.gate and not under_way(bank, cmd.compartment)
    state = CompartmentState.NEEDS_CHECK if doubted else None
    return yes(e.LeftOpen(cmd.compartment, cmd.seconds, cmd.alarm, compartment_state=state))


def sense_tamper(bank: Bank, cmd: c.SenseTamper, now: datetime) -> Decision:
    if cmd.opened is (cmd.switch in bank.tampered):
        return Decision()
    return yes(e.Tampered(cmd.switch, cmd.opened, cmd.opened and not maintained(bank, now)))


def sense_band(bank: Bank, cmd: c.SenseBand, now: datetime) -> Decision:
    if cmd.inside is bank.off_band.get(cmd.sensor, True):
        return Decision()
    return yes(e.BandCrossed(cmd.sensor, cmd.compartments, cmd.inside, cmd.celsius))


def sense_items(bank: Bank, cmd: c.SenseItems, now: datetime) -> Decision:
    """Contradictions, and their end. Something where nothing should be is not given away; nothing where something
    should be is only told, because a sensor proves no emptiness."""
    new = {x: item for x, item in cmd.items.items() if x in bank.compartments and bank.compartments[x].item != item}
    against: list[CompartmentId] = []
    doubted: list[CompartmentId] = []
    for x, item in sorted(new.items()):
        compartment = bank.compartments[x]
        if compartment.door is not DoorState.CLOSED or any(o.compartment == x for o in bank.openings.values()):
            continue
        if item and compartment.state is CompartmentState.VACANT:
            doubted.append(x)
        if (item and compartment.claim is None) or (not item and compartment.state is CompartmentState.OCCUPIED):
            against.append(x)
    return yes(e.ItemSensed(new, tuple(against), tuple(doubted))) if new else Decision()


def _forced(compartment: Compartment, door: DoorState) -> bool:
    """Found open with no opening of ours. Cutting a board's power first does not hide it where something is inside."""
    if door is not DoorState.OPEN:
        return False
    unseen = compartment.door is DoorState.UNKNOWN and compartment.claim is not None
    return compartment.door is DoorState.CLOSED or unseen


def _opened(bank: Bank, opening: Opening, late: bool = False) -> e.Opened:
    stuck = bank.compartments[opening.compartment].state is CompartmentState.NEEDS_CHECK
    collects = opening.purpose is Purpose.COLLECT and opening.claim in bank.claims
    settled = CompartmentState.OCCUPIED if stuck and collects else None
    held = bank.passes.get(opening.pass_id)
    spent = held.grant.pass_id if held is not None and held.grant.once else None
    return e.Opened(opening.id, opening.compartment, late, spent, settled)


def _shut(bank: Bank, opening: Opening, now: datetime) -> list[e.Body]:
    entries: list[e.Body] = [e.Closed(opening.id, opening.compartment)]
    if opening.purpose is Purpose.COLLECT:
        inside = [bank.stays[s] for s in opening.stays if s in bank.stays and bank.stays[s].claim == opening.claim]
        return entries + taken(bank, inside, opening, opening.id)
    if bank.holds_deposit(opening) and opening.session not in bank.sessions:  # whoever put it in has left
        entries.append(stored(bank, opening, now, presumed=True))
    return entries


def unlock(bank: Bank, cmd: c.Unlock, now: datetime) -> Decision:
    opening = bank.openings.get(cmd.opening)
    if opening is None or opening.state is not OpeningState.WANTED or bank.moving is not None:
        return no(Reason.BUSY)
    if opening.not_after is not None and (late := too_late(cmd.server_now, opening.not_after)):
        return yes(*lapse(bank, opening, late))
    unlocked = e.Unlocked(opening.id, opening.compartment, opening.attempt + 1)
    if bank.compartments[opening.compartment].door is DoorState.OPEN:
        # It stands open, or its contact lies: a pulse does no harm, and no better proof will come.
        return yes(unlocked, _opened(bank, opening))
    return yes(unlocked)


def elapse(bank: Bank, cmd: c.Elapse, now: datetime) -> Decision:
    opening = bank.openings.get(cmd.opening)
    if opening is None or opening.state is not OpeningState.UNLOCKED:
        return Decision()
    if opening.attempt < policy.ATTEMPTS_MAX and not cmd.unsent:
        return yes(e.NoProof(opening.id, opening.compartment))
    why = Reason.STATION_BROKEN if cmd.unsent else Reason.COMPARTMENT_BROKEN
    entries: list[e.Body] = [e.NotOpened(opening.id, opening.compartment, why, CompartmentState.NEEDS_CHECK)]
    if bank.holds_deposit(opening) and opening.session not in bank.sessions:
        entries.append(release(bank, opening, CompartmentState.NEEDS_CHECK, why))
    return yes(*entries)


def tick(bank: Bank, cmd: c.Tick, now: datetime) -> Decision:
    if bank.clock_doubted:
        return Decision()
    due: list[e.Body] = []
    for deadline, stay_id in bank.deadlines:
        if deadline > now:
            break
        stay = bank.stays[stay_id]
        if stay.state is not StayState.RESERVED:
            due.append(e.Expired(stay_id, deadline, bank.services[stay.about.service].at_end))
        elif is_reserved(bank, stay):
            due += let_go(bank, stay, Reason.EXPIRED)
    old_codes = codes_due(bank, now)
    renewed = next((offer for offer in cmd.offers if offer.pass_id in old_codes), None)
    if renewed is not None:  # the next one next time: it may want this code
        old, until = bank.passes[renewed.pass_id].grant, policy.next_midnight(bank, now)
        scope = {"role": old.role, "purpose": old.purpose, "party": old.party, "daily": True, "valid_until": until}
        fresh = grant(bank, renewed, **scope)
        due += [e.PassGranted(fresh)] if fresh else []
    return yes(*due)


def doubt_clock(bank: Bank, cmd: c.DoubtClock, now: datetime) -> Decision:
    return Decision() if bank.clock_doubted else yes(e.ClockDoubted(cmd.off_seconds))


def trust_clock(bank: Bank, cmd: c.TrustClock, now: datetime) -> Decision:
    """What was put in while the clock was behind has its whole time all the same."""
    if not bank.clock_doubted:
        return Decision()
    behind = timedelta(seconds=cmd.behind_s if cmd.behind_s >= policy.CLOCK_OFF_S else 0)
    later: list[e.Body] = []
    for stay in sorted(bank.stays.values(), key=lambda s: s.id) if behind else ():
        if stay.guessed and stay.deadline is not None and stay.state is StayState.DEPOSITED:
            end = policy.deadline(bank, bank.services[stay.about.service], stay.deadline + behind, 0)
            later.append(e.Amended(stay.id, stay.about, stay.state, Reason.CLOCK_SET, end, stay.extensions))
    return yes(*later, e.ClockConfirmed())
