"""What is known of a wall while it is commissioned, and what to ask next. Pure: no line, no clock, no file.

`question` names the one thing to be settled now and `answered` takes what was said of it. A channel is settled in this
order: the installer asks for its pulse, says which doors moved, shuts them, and describes the door. Nothing here
pulses: a survey that is taken up again asks first whether every door is shut, and then before each pulse.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from latchwork.domain.words import DoorState
from latchwork.edge.config import BadConfig, BusTable, CompartmentTable, check_compartment
from latchwork.edge.drivers.protocol import Contact

_OTHER = {
    Contact.CLOSED_WHEN_SHUT: Contact.OPEN_WHEN_SHUT,
    Contact.OPEN_WHEN_SHUT: Contact.CLOSED_WHEN_SHUT,
}


SHARED_MIN = 3
"""So many contacts that fail in the same way have one cause."""


class Place(msgspec.Struct, frozen=True, order=True):
    """Where a lock is wired."""

    bus: int
    channel: int
    board: int | None = None
    """None: the bus is one device without addresses."""

    def __str__(self) -> str:
        board = f", board {self.board}" if self.board is not None else ""
        return f"channel {self.channel} (bus {self.bus}{board})"


class Move(msgspec.Struct, frozen=True):
    """A contact that changed after a pulse, so many milliseconds after the unlock was sent."""

    place: Place
    after_ms: int
    before: DoorState


class Pulse(msgspec.Struct, frozen=True):
    """That the installer asked for this. Written down before it is sent."""

    place: Place
    at: datetime


class Probe(msgspec.Struct, frozen=True):
    """What one channel did."""

    place: Place
    before: DoorState = DoorState.UNKNOWN
    """What its driver said of it while the door was shut."""
    moves: tuple[Move, ...] = ()
    doors: tuple[str, ...] | None = None
    """The labels of the doors that opened, as the installer saw them; None: not said yet."""
    came_back: bool | None = None
    """Whether the contacts that moved went back when the doors were shut; None: not looked yet."""
    passed_over: bool = False

    @property
    def own(self) -> Move | None:
        return next((move for move in self.moves if move.place == self.place), None)


class Survey(msgspec.Struct, frozen=True):
    buses: tuple[BusTable, ...]
    """With the addresses that answered."""
    places: tuple[Place, ...]
    probes: tuple[Probe, ...] = ()
    compartments: tuple[CompartmentTable, ...] = ()
    """As described by now. Where they are wired is said by the probes."""
    pulses: tuple[Pulse, ...] = ()
    shut: bool = False
    """Whether the installer has said so in this sitting."""


class AllShut(msgspec.Struct, frozen=True, tag=True):
    """Is every door shut?"""


class PulseNext(msgspec.Struct, frozen=True, tag=True):
    """May this channel be pulsed now?"""

    place: Place


class WhichMoved(msgspec.Struct, frozen=True, tag=True):
    """Which doors have opened?"""

    place: Place
    contacts: tuple[Place, ...]
    """Whose state has changed."""


class ShutAgain(msgspec.Struct, frozen=True, tag=True):
    """Are they shut again?"""

    place: Place
    doors: tuple[str, ...]


class Describe(msgspec.Struct, frozen=True, tag=True):
    """What is behind this door?"""

    door: str


class Finished(msgspec.Struct, frozen=True, tag=True):
    """Every channel is settled."""


Question = AllShut | PulseNext | WhichMoved | ShutAgain | Describe | Finished


class Yes(msgspec.Struct, frozen=True):
    """All doors are shut."""


class Pulsed(msgspec.Struct, frozen=True):
    """What the contacts did after a pulse."""

    before: DoorState
    moves: tuple[Move, ...] = ()


class PassOver(msgspec.Struct, frozen=True):
    """Nothing is wired there."""

    rest: bool = False
    """Nor at any channel that was not tried yet."""


class Moved(msgspec.Struct, frozen=True):
    doors: tuple[str, ...] = ()
    """Empty: none."""


class CameBack(msgspec.Struct, frozen=True):
    back: bool


class Described(msgspec.Struct, frozen=True):
    table: CompartmentTable


Answer = Yes | Pulsed | PassOver | Moved | CameBack | Described


class Senseless(ValueError):
    """This is no answer to what was asked; the message says why."""


def question(survey: Survey) -> Question:
    for probe in survey.probes:
        if probe.passed_over:
            continue
        if probe.doors is None:
            return WhichMoved(probe.place, tuple(move.place for move in probe.moves))
        if probe.came_back is None:
            return ShutAgain(probe.place, probe.doors)
    described = {table.id for table in survey.compartments}
    for door in sound(survey):
        if door not in described:
            return Describe(door)
    left = next(_untried(survey), None)
    if left is None:
        return Finished()
    return PulseNext(left) if survey.shut else AllShut()


def answered(survey: Survey, answer: Answer) -> Survey:
    """Raises Senseless, and then nothing has changed."""
    replace = msgspec.structs.replace
    match question(survey), answer:
        case AllShut(), Yes():
            return replace(survey, shut=True)
        case PulseNext(place), Pulsed(before, moves):
            return replace(survey, probes=(*survey.probes, Probe(place, before, moves)))
        case AllShut(), PassOver(True):
            return _passed_over(survey, tuple(_untried(survey)))
        case PulseNext(place), PassOver(rest):
            return _passed_over(survey, tuple(_untried(survey)) if rest else (place,))
        case WhichMoved(place), Moved(doors):
            labels = tuple(_label(door) for door in doors)
            if len(set(labels)) < len(labels):
                raise Senseless("a door was named twice")
            probe = _probe(survey, place)
            # Where nothing moved there is nothing to shut.
            came_back = None if labels or probe.moves else False
            return _with(survey, replace(probe, doors=labels, came_back=came_back))
        case ShutAgain(place), CameBack(back):
            return _with(survey, replace(_probe(survey, place), came_back=back))
        case Describe(door), Described(table):
            _check(table, door)
            return replace(survey, compartments=(*survey.compartments, table))
        case asked, _:
            raise Senseless(f"the question is another: {asked.__doc__}")


def asked_for(survey: Survey, at: datetime) -> Survey:
    """The installer wants the next channel pulsed. Raises Senseless where that is not what comes next."""
    asked = question(survey)
    if not isinstance(asked, PulseNext):
        raise Senseless(f"no pulse comes next, but: {asked.__doc__}")
    return msgspec.structs.replace(survey, pulses=(*survey.pulses, Pulse(asked.place, at)))


def again(survey: Survey, channel: int, bus: int = 0) -> Survey:
    """Forget what is known of a channel, after somebody has laid hands on its wires. Raises Senseless."""
    probes = tuple(probe for probe in survey.probes if (probe.place.bus, probe.place.channel) != (bus, channel))
    if len(probes) == len(survey.probes):
        raise Senseless(f"channel {channel} of bus {bus} was not tried yet")
    return msgspec.structs.replace(survey, probes=probes, shut=False)


def undescribed(survey: Survey, door: str) -> Survey:
    """Forget what was said of a door, so that it is asked for again. Raises Senseless."""
    left = tuple(table for table in survey.compartments if table.id != door)
    if len(left) == len(survey.compartments):
        raise Senseless(f"door {door} was not described yet")
    return msgspec.structs.replace(survey, compartments=left)


def resumed(survey: Survey) -> Survey:
    """Taken up in another sitting: who knows what has happened meanwhile."""
    return msgspec.structs.replace(survey, shut=False)


def compartments(survey: Survey, expected: Sequence[Contact]) -> tuple[CompartmentTable, ...]:
    """Those that are sound and described, by label. `expected`: the contact that the driver of each bus expects."""
    by_door = sound(survey)
    return tuple(
        msgspec.structs.replace(
            table,
            bus=(probe := by_door[table.id]).place.bus,
            channel=probe.place.channel,
            contact=None if probe.before is DoorState.CLOSED else _OTHER[expected[probe.place.bus]],
            open_seconds=round(probe.own.after_ms / 1000, 2) if probe.own else None,
        )
        for table in sorted(survey.compartments, key=lambda each: (len(each.id), each.id))
        if table.id in by_door
    )


def sound(survey: Survey) -> Mapping[str, Probe]:
    """By label, the channels that open one door each and whose contact proves it."""
    wrong = problems(survey)
    return {
        probe.doors[0]: probe for probe in survey.probes if probe.doors and probe.came_back and probe.place not in wrong
    }


def problems(survey: Survey) -> Mapping[Place, str]:
    """What is wrong with a channel that was tried, as a sentence."""
    return {probe.place: wrong for probe in survey.probes if (wrong := _wrong(probe, survey.probes))}


def causes(survey: Survey) -> list[str]:
    """What is wrong, a sentence for each cause: the contacts of several doors that move together, or not at all, have
    one."""
    wrong = dict(problems(survey))
    alike: dict[tuple[int, int | None, frozenset[Place]], list[Place]] = {}
    for probe in survey.probes:
        moved = frozenset(move.place for move in probe.moves)
        if probe.place in wrong and probe.doors and len(moved) != 1:
            alike.setdefault((probe.place.bus, probe.place.board, moved), []).append(probe.place)
    shared = []
    for (_, _, moved), places in alike.items():
        if len(places) < SHARED_MIN:
            continue
        for place in places:
            del wrong[place]
        channels = ", ".join(str(place.channel) for place in places)
        where = str(places[0]).partition("(")[2]
        how = "and their contacts move together" if moved else "but no contact moves"
        shared.append(f"channels {channels} ({where} open their doors, {how}. Look at the wire that they share.")
    return [*shared, *wrong.values()]


def _wrong(probe: Probe, probes: Sequence[Probe]) -> str | None:
    if probe.doors is None:
        return None
    doors = " and ".join(probe.doors)
    others = " and ".join(str(move.place) for move in probe.moves if move.place != probe.place)
    if len(probe.doors) > 1:
        return f"{probe.place} opens doors {doors}. Wire each to a channel of its own."
    if not probe.doors and not probe.moves:
        return f"{probe.place} is dead: no door moved and no contact changed. Look at its lock, its wires and its fuse."
    if not probe.doors:
        whose = f"the contact of {others}" if others else "its contact"
        return f"{probe.place}: no door moved, but {whose} changed. Look at its latch and its wires."
    if twins := list(_also(probe, probes)):
        where = " and ".join(map(str, twins))
        return f"{probe.place} opens door {doors}, and so does {where}. A door has one channel."
    if others and not probe.own:
        return f"{probe.place} opens door {doors}, but the contact that moved is that of {others}. Swap the wires."
    if others:
        return f"{probe.place} opens door {doors}, and the contact of {others} moved with it. They may share a wire."
    if not probe.own:
        return f"{probe.place} opens door {doors}, but its contact did not move: nothing would prove an opening."
    if probe.came_back is False:
        return f"{probe.place}: door {doors} was shut again, but its contact did not go back."
    return None


def _also(probe: Probe, probes: Sequence[Probe]) -> Iterator[Place]:
    """The other channels that open the same door."""
    for other in probes:
        if other.place != probe.place and set(other.doors or ()) & set(probe.doors or ()):
            yield other.place


def _untried(survey: Survey) -> Iterator[Place]:
    tried = {probe.place for probe in survey.probes}
    return (place for place in survey.places if place not in tried)


def _passed_over(survey: Survey, places: Sequence[Place]) -> Survey:
    probes = (*survey.probes, *(Probe(place, passed_over=True) for place in places))
    return msgspec.structs.replace(survey, probes=probes)


def _probe(survey: Survey, place: Place) -> Probe:
    return next(probe for probe in survey.probes if probe.place == place)


def _with(survey: Survey, probe: Probe) -> Survey:
    probes = tuple(probe if each.place == probe.place else each for each in survey.probes)
    return msgspec.structs.replace(survey, probes=probes)


def _label(text: str) -> str:
    label = text.strip()
    if not re.fullmatch(r"[A-Za-z0-9-]{1,16}", label):
        raise Senseless(f'"{label}" is no label of a door: use up to 16 letters, digits and dashes')
    return label


def _check(table: CompartmentTable, door: str) -> None:
    if table.id != door:
        raise Senseless(f"door {door} was asked for, not {table.id}")
    try:
        check_compartment(table)
    except BadConfig as error:
        raise Senseless(str(error)) from None
