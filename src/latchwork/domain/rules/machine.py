"""What the machine says: boot, doors, sensors, time."""

from dataclasses import replace
from datetime import datetime, timedelta

from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain import policy
from latchwork.domain.bank import Bank, Compartment, Opening, OpeningState, Shield
from latchwork.domain.commands import Decision
from latchwork.domain.rules.collect import taken
from latchwork.domain.rules.pieces import (
    MOVING,
    UNDER_WAY,
    grant,
    holds_deposit,
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
from latchwork.domain.words import CompartmentId, CompartmentState, DoorState, OpeningId, Purpose, Reason, StayState


def begin(bank: Bank, cmd: c.Begin, now: datetime) -> Decision:
    return yes(e.EpochBegan())


def recover(bank: Bank, cmd: c.Recover, now: datetime) -> Decision:
    """`bank` is what the cloud had. Nobody can vouch for what is empty since; whatever this controller did on its own
    is written down again, and what it still means is stated."""
    empty = (CompartmentState.VACANT, CompartmentState.RESERVED)
    doubted = sorted(
        x.id for x in bank.compartments.values() if x.state in empty and not (x.fitting.gate or x.fitting.shelf)
    )
    own, theirs = cmd.shield, bank.shield
    shield = Shield(
        own.guards or theirs.guards,
        tuple(sorted({*own.signed, *theirs.signed})),
        max(own.debt_s, theirs.debt_s),
        own.stopped or theirs.stopped,
    )
    began = e.EpochBegan(bank.epoch, cmd.size, cmd.root, bank.instructions_through, tuple(doubted), shield)
    entries: list[e.Body] = [began]
    here = {x.id for x in bank.compartments.values() if x.claim is None}
    known, taken_codes = set(bank.stays), set(bank.codes)
    ended = {x.body.stay: x.seq for x in cmd.branch if isinstance(x.body, _TAKEN)}
    for lived in cmd.branch:
        body = lived.body
        spent = body.spent if isinstance(body, e.Opened) else None
        put = body if isinstance(body, e.Stored) and body.stay not in known and body.compartment in here else None
        put = put if put and put.about.service in bank.services and lived.seq > ended.get(put.stay, -1) else None
        if put is not None and put.pickup is not None and put.pickup.lookup in taken_codes:
            put = replace(put, pickup=None)  # the code is another's now: it needs a new one
        if put is not None:
            taken_codes |= {put.pickup.lookup} if put.pickup else set()
            known.add(put.stay)
            if put.claim is not None:
                here.discard(put.compartment)
        door: Compartment | None = None
        if isinstance(body, e.Opened | e.NotOpened | e.Unresolved | _TAKEN):
            door = bank.compartments.get(body.compartment)
        doubt = door.id if door and not (door.fitting.gate or door.fitting.shelf) else None
        entries.append(e.Recovered(lived.seq, lived.sha256, lived.original, spent, put, doubt))
    return yes(*entries)


_TAKEN = e.Collected | e.Recalled | e.Removed


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
    if any(bank.compartments[x].claim is not None for x in gone) or any(
        s.compartment in gone for s in bank.stays.values()
    ):
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
        alone = {x: door for x, door in strays.items() if x not in owners and not maintained(bank, now)}
        forced = tuple(x for x, door in alone.items() if _forced(bank.compartments[x], door))
        entries.append(e.Sensed(strays, forced, CompartmentState.NEEDS_CHECK if forced else None))
    found = tuple(sorted(x for x in known if bank.compartments[x].lost and known[x] is not DoorState.UNKNOWN))
    shut = [bank.compartments[x] for x in sorted(known) if known[x] is DoorState.CLOSED]
    entries += [e.BoardFound(found)] if found else []
    return yes(*entries, *(_shut_at_last(x) for x in shut if x.left_open is not None))


_DOOR_MOVES = frozenset({OpeningState.UNLOCKED, OpeningState.OPENED})


def _waited_for(bank: Bank, stuck: OpeningId | None) -> Opening | None:
    """The given-up opening whose door this is, while whoever asked for it may still stand there."""
    opening = bank.openings.get(stuck) if stuck is not None else None
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


def sum_up(bank: Bank, cmd: c.SumUp, now: datetime) -> Decision:
    return yes(
        e.KeptAt(
            cmd.stay,
            cmd.compartment,
            cmd.celsius_min,
            cmd.celsius_max,
            cmd.seconds,
            cmd.seconds_outside,
            cmd.seconds_unknown,
        )
    )


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
    held = bank.passes.get(opening.pass_id) if opening.pass_id else None
    spent = held.grant.pass_id if held is not None and held.grant.once else None
    return e.Opened(opening.id, opening.compartment, late, spent, settled)


def _shut(bank: Bank, opening: Opening, now: datetime) -> list[e.Body]:
    entries: list[e.Body] = [e.Closed(opening.id, opening.compartment)]
    if opening.purpose is Purpose.COLLECT:
        inside = [bank.stays[s] for s in opening.stays if s in bank.stays and bank.stays[s].claim == opening.claim]
        return entries + taken(
            bank, inside, opening.ends, opening.id, opening.pass_id, opening.session, opening.why, opening.second
        )
    if holds_deposit(bank, opening) and opening.session not in bank.sessions:  # whoever put it in has left
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
    if holds_deposit(bank, opening) and opening.session not in bank.sessions:
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
            due.append(let_go(bank, stay, Reason.EXPIRED))
    offers = {offer.pass_id: offer for offer in cmd.offers}
    for pass_id in bank.dailies:
        old = bank.passes[pass_id].grant
        if old.valid_until is not None and old.valid_until <= now and pass_id in offers:
            until = policy.next_midnight(bank, now)
            scope = {"role": old.role, "purpose": old.purpose, "party": old.party, "daily": True, "valid_until": until}
            fresh = grant(bank, offers[pass_id], **scope)
            return yes(
                *due, *([e.PassGranted(fresh)] if fresh else [])
            )  # the next one next time: it may want this code
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
