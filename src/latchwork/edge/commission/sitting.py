"""One sitting of an installer at a wall: what is known, kept on disk after every answer, and the lines to its boards.

The terminal and the browser are its faces. Nothing is pulsed but by `pulse`, which is called where the installer asked
for it and which writes that down first.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from latchwork.domain.apply import apply
from latchwork.domain.bank import Bank
from latchwork.edge import identity, registry
from latchwork.edge.commission import paper, words
from latchwork.edge.commission import survey as rules
from latchwork.edge.commission.survey import Answer, CameBack, Place, PulseNext, Question, Senseless, ShutAgain, Survey
from latchwork.edge.commission.wires import Wires, running, scan
from latchwork.edge.config import BadConfig, BusTable, Tables, check, read_tables, written
from latchwork.edge.drivers.protocol import Fault
from latchwork.edge.seal import Edition, edition, put_in_place
from latchwork.store.sqlite import SqliteJournal
from latchwork.sync.codec import Unreadable, read_entry


class Sitting:
    """One face at a time, and one word of it after the other."""

    def __init__(self, path: Path, tables: Tables, survey: Survey, wires: Wires) -> None:
        self.path = path
        self.survey = survey
        self._tables = tables
        self._wires = wires
        self.expected = [registry.find(bus.driver).manifest.capabilities.contact for bus in survey.buses]

    @property
    def question(self) -> Question:
        return rules.question(self.survey)

    def answer(self, answer: Answer) -> None:
        """Raises Senseless, and then nothing has changed."""
        self._keep(rules.answered(self.survey, answer))

    async def pulse(self, place: Place) -> None:
        """The installer asked for one pulse of this channel. Raises Senseless where it is not the next one, and Fault
        where it could not be sent."""
        if self.question != PulseNext(place):
            raise Senseless(f"{place} is not what comes next")
        self._keep(rules.asked_for(self.survey, datetime.now(UTC)))
        try:
            self.answer(await self._wires.pulse(place))
        except Fault:  # which does not say that no door has opened
            self._keep(rules.resumed(self.survey))
            raise

    async def shut(self) -> bool:
        """The installer has shut what had opened. Whether every contact that had changed is back."""
        asked = self.question
        if not isinstance(asked, ShutAgain):
            raise Senseless("nothing is to be shut now")
        moves = next(probe.moves for probe in self.survey.probes if probe.place == asked.place)
        back = await self._wires.are_shut({move.place: move.before for move in moves})
        if back:
            self.answer(CameBack(True))
        return back

    def again(self, bus: int, channel: int) -> None:
        """Raises Senseless."""
        self._keep(rules.again(self.survey, channel, bus))

    def describe_again(self, door: str) -> None:
        """Raises Senseless."""
        self._keep(rules.undescribed(self.survey, door))

    def troubles(self) -> list[str]:
        return self._wires.troubles()

    def write(self) -> tuple[Edition, list[Path]]:
        """The configuration in its next version, and the wall's map beside it. Raises BadConfig, OSError."""
        shelves = tuple(table for table in self._tables.compartment if table.shelf)
        doors = rules.compartments(self.survey, self.expected)
        tables = msgspec.structs.replace(self._tables, bus=self.survey.buses, compartment=doors + shelves)
        state = check(tables, self.path).state
        state.mkdir(parents=True, exist_ok=True)
        body = f"# Written by `latchwork edge commission`. The last line seals it.\n{written(tables)}".encode()
        version = edition(self.path.read_bytes()).version + 1
        made = put_in_place(self.path, body, version, identity.device_key(state))
        wrong = words.wrong(self.survey)
        maps = {".map.txt": paper.text, ".map.html": paper.page}
        for ending, draw in maps.items():
            self.path.with_suffix(ending).write_text(draw(tables, made, wrong), encoding="utf-8")
        return made, [self.path, *(self.path.with_suffix(ending) for ending in maps)]

    def _keep(self, survey: Survey) -> None:
        identity.write_safely(kept_at(self.path), msgspec.json.format(msgspec.json.encode(survey)))
        self.survey = survey


def kept_at(path: Path) -> Path:
    return path.with_suffix(".commission.json")


@asynccontextmanager
async def sitting(path: Path, *, anew: bool, say: Callable[[str], None]) -> AsyncIterator[Sitting]:
    """Begin, or go on where the last sitting stopped. Raises BadConfig, JournalHeld, OSError."""
    tables = read_tables(path)
    with _quiet_bank((path.parent / tables.bank.state).resolve()):
        first = not kept_at(path).exists()
        survey = None if anew else _resumed(path, tables)
        if survey is None:
            survey = await _scanned(path, tables, say)
        else:
            say(f"This goes on from {kept_at(path)}.")
        async with running(survey.buses, survey.places, rested=first) as wires:
            sitting = Sitting(path, tables, survey, wires)
            sitting._keep(survey)
            yield sitting


@contextmanager
def _quiet_bank(state: Path) -> Iterator[None]:
    """No process works on the bank meanwhile, and it holds nothing: what opens here is not in its log."""
    who = identity.load(state)
    if who is None or not (state / "journal.sqlite").exists():
        yield
        return
    journal = SqliteJournal(state)
    try:
        bank = Bank(who.bank)
        try:
            for raw in journal.load():
                bank = apply(bank, read_entry(raw))
        except (Unreadable, AssertionError, KeyError) as error:
            raise BadConfig(f"the journal in {state} cannot be understood: {error}") from error
        if bank.claims:
            held = ", ".join(sorted({claim.compartment for claim in bank.claims.values()}))
            raise BadConfig(f"only an empty wall is commissioned, and something is in or reserved for {held}")
        yield
    finally:
        journal.close()


def _resumed(path: Path, tables: Tables) -> Survey | None:
    kept = kept_at(path)
    try:
        survey = msgspec.json.decode(kept.read_bytes(), type=Survey)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise BadConfig(f"{kept} is not what a sitting has left ({error}): begin again with --anew") from None
    if len(survey.buses) != len(tables.bus) or not all(map(_is_same_line, survey.buses, tables.bus)):
        raise BadConfig(f"{path} names other buses than {kept}: begin again with --anew")
    return rules.resumed(survey)


def _is_same_line(scanned: BusTable, named: BusTable) -> bool:
    """Whatever a scan has found out about its boards and options."""
    tries = ({}, *registry.find(named.driver).manifest.tries)
    replace = msgspec.structs.replace
    return any(replace(scanned, boards=()) == replace(named, boards=(), options={**named.options, **x}) for x in tries)


async def _scanned(path: Path, tables: Tables, say: Callable[[str], None]) -> Survey:
    if not tables.bus:
        raise BadConfig(f"{path} names no [[bus]]: say where its boards are, as in --bus kerong-cu16=/dev/ttyUSB0")
    places: list[Place] = []
    buses = []
    for number, bus in enumerate(tables.bus):
        found = await scan(bus)
        for line in words.found(number, found):
            say(line)
        buses.append(found.bus)
        places += [Place(number, channel, board) for board, channels in found.boards.items() for channel in channels]
    if not places:
        raise BadConfig("no board answers: look at power, wires, addresses and baud rate")
    return Survey(tuple(buses), tuple(places))
