"""One world: banks, a server, a wire between them, people, weather, and checkers that hear of everything.

A world is made from a seed and nothing else, so that the same seed is the same run, to the last line of its trace.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from latchwork.domain import entries as e
from latchwork.domain.apply import apply, fold
from latchwork.domain.bank import Bank, Fitting
from latchwork.domain.words import (
    BankId,
    CompartmentId,
    InstructionId,
    OpeningId,
    Purpose,
    Reason,
    Size,
)
from latchwork.edge.loop import Loop
from latchwork.server.exchange import Exchange
from latchwork.simulator.archive import Archive
from latchwork.simulator.cabinet import SIZES, Cabinet, Thing
from latchwork.simulator.checkers import CHECKERS, Checker
from latchwork.simulator.clock import BEGIN, Time
from latchwork.simulator.controller import Controller
from latchwork.simulator.elements import Elements
from latchwork.simulator.office import Office
from latchwork.simulator.operators import PARTIES
from latchwork.simulator.people import People
from latchwork.simulator.schedule import Schedule
from latchwork.simulator.stores import MemoryStores, Stores
from latchwork.simulator.trace import Trace
from latchwork.simulator.weather import HOUR, Weather, calm, pick
from latchwork.simulator.wire import Network
from latchwork.sync import keys
from latchwork.sync.codec import read_entry

SETTLE_HOURS_MAX = 24.0
"""After the faults stop and the last deadline is past, everything has ended or is on a list by then."""
SETTLE_HOURS_STEP = 4.0
GATE = CompartmentId("G")
SHELVES = (
    Fitting(GATE, Size(900, 2000, 100), gate=True),
    Fitting(CompartmentId("S1"), Size(2000, 400, 600), shelf=True, behind=GATE),
    Fitting(CompartmentId("S2"), Size(2000, 400, 600), shelf=True),
)


@dataclass(frozen=True, slots=True)
class Cast:
    """The parts under test; a planted bug is another part."""

    loop: type[Loop] = Loop
    exchange: type[Exchange] = Exchange
    checkers: tuple[type[Checker], ...] = CHECKERS


class World:
    def __init__(
        self,
        seed: int,
        weather: Weather | None = None,
        cast: Cast = Cast(),
        stores: Stores | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.random = Random(seed)
        picked = pick(self.random)
        self.weather = weather or picked
        self.cast = cast
        self.stores: Stores = stores or MemoryStores()
        if not self.stores.can_restore:
            self.weather.restore_every_h = self.weather.image_every_h = 0.0
        self.time = Time()
        self.schedule = Schedule(self.time, self.random)
        self.network = Network(self.schedule, self.random, self.weather)
        self.trace = Trace(say)
        self.counts: Counter[str] = Counter()
        self.settling = False
        self.asked: dict[InstructionId, BankId] = {}
        """Every instruction that anybody asked for."""
        self.pictures: dict[BankId, Bank] = {}
        """Each bank as its entries made it, one after the other as they were written."""
        self.opens_asked: dict[str, tuple[BankId, CompartmentId, Reason]] = {}
        self.ticket_key = self._key()
        self.code_keys: dict[BankId, bytes] = {}
        self.cabinets: dict[BankId, Cabinet] = {}
        self.controllers: dict[BankId, Controller] = {}
        self._unanswered: Counter[BankId] = Counter()
        self._purposes: dict[OpeningId, Purpose] = {}
        self._checkers = [kind(self) for kind in cast.checkers]
        self._build()

    def _build(self) -> None:
        master = self.random.randbytes(32)
        enrolled: list[tuple[BankId, bytes]] = []
        for _ in range(self.random.choice((1, 1, 2, 2))):
            bank = BankId(self.new_id())
            doors = self.random.choice((4, 8, 14))
            fittings = tuple(Fitting(CompartmentId(f"{n + 1:02}"), SIZES[n % len(SIZES)]) for n in range(doors))
            fittings += self.random.choice(((), SHELVES))
            key = self._key()
            self.code_keys[bank] = keys.code_key(master, bank, 1)
            self.cabinets[bank] = Cabinet(bank, fittings, self.schedule, self.random)
            self.cabinets[bank].sensors = self.random.random() < 0.5
            self.pictures[bank] = Bank(bank)
            self.controllers[bank] = Controller(self, bank, self.cabinets[bank], key, self.code_keys[bank])
            enrolled.append((bank, key.public_key().public_bytes_raw()))
        self.office = Office(self)
        self.people = People(self)
        self.elements = Elements(self)
        self.stores.enrol(enrolled, self.people.recipients, PARTIES)

    # The run

    def run(self, days: float) -> None:
        """Raises Broken, or whatever else goes wrong in it."""
        self.say("weather", self.weather.said())
        self.office.boot()
        for controller in self.controllers.values():
            controller.boot()
        self.people.begin()
        self.elements.begin()
        self.schedule.run(days * 24 * HOUR)
        self.settle()
        for checker in self._checkers:
            checker.settled()

    def settle(self) -> None:
        """The faults stop. Everybody gets time to finish; nobody begins anything new."""
        self.say("weather", "clears up")
        self.settling = True
        self.weather = self.network.weather = calm(self.weather)
        self.elements.end()
        last = self.time.now
        self.schedule.run(last + SETTLE_HOURS_STEP * HOUR)  # also where all is quiet: the office frees what it held up
        while self.time.now - last < SETTLE_HOURS_MAX * HOUR and not self._is_quiet():
            self.schedule.run(self.time.now + SETTLE_HOURS_STEP * HOUR)
            last = max(last, self._last_deadline())

    def _last_deadline(self) -> float:
        due = [bank.deadlines[-1][0] for bank in self.pictures.values() if bank.deadlines]
        return max((at - BEGIN).total_seconds() for at in due) if due else 0.0

    def _is_quiet(self) -> bool:
        for bank, controller in self.controllers.items():
            if controller.loop is None or controller.loop.bank.stays or controller.loop.bank.sessions:
                return False
            head = self.archive.head(bank)
            if head.divided or (head.epoch, head.size) != (controller.loop.bank.epoch, controller.disk.size):
                return False
        return not self.archive.notices_waiting() and self.people.are_done()

    def close(self) -> None:
        self.schedule.close()
        for controller in self.controllers.values():
            controller.disk.close()
        self.stores.close()

    # What everybody in it shares

    @property
    def archive(self) -> Archive:
        return self.stores.archive

    def new_id(self) -> str:
        return f"{self.random.getrandbits(128):032x}"

    def say(self, who: str, what: str) -> None:
        self.trace.add(f"{self.time.now:11.3f} {who:<12} {what}")

    def happened(self, what: str, times: int = 1) -> None:
        self.counts[what] += times

    def told(self, what: str, *arguments: Any) -> None:
        """Every checker hears of it."""
        for checker in self._checkers:
            getattr(checker, what)(*arguments)

    def waits(self, bank: BankId) -> bool:
        """Whether an instruction to this bank has had no answer yet, as far as anybody knows."""
        return self._unanswered[bank] > 0

    def forget_what_waits(self) -> None:
        self._unanswered.clear()

    def ask_of(self, bank: BankId, instruction: InstructionId) -> None:
        self.asked[instruction] = bank
        self._unanswered[bank] += 1

    # Facts

    def wrote(self, bank: BankId, raws: Sequence[bytes]) -> list[e.Entry]:
        entries = [read_entry(raw) for raw in raws]
        for entry in entries:
            self.say(self.controllers[bank].name, f"{entry.seq} {_brief(entry.body)}")
            self.counts["entries"] += 1
            self.told("wrote", bank, entry)  # while the picture is still the one before it
            self.pictures[bank] = apply(self.pictures[bank], entry)
            match entry.body:
                case e.EpochBegan(previous=previous) if previous:
                    self.counts["new epochs"] += 1
                case e.Answered():
                    self._unanswered[bank] -= 1
                case e.Stored():
                    self.counts["deposits"] += 1
                case e.Collected():
                    self.counts["collections"] += 1
                case e.Recalled():
                    self.counts["recalls"] += 1
                case e.Removed():
                    self.counts["removals"] += 1
                case e.Reported() | e.NotDelivered() | e.Moved() | e.Amended() | e.Withdrawn() | e.ItemSensed():
                    self.counts[type(entry.body).__name__] += 1
        return entries

    def reborn(self, bank: BankId, log: Sequence[e.Entry]) -> None:
        """It goes on from this log. Where it forgot what happened, nothing tells what is behind its doors."""
        self.pictures[bank] = fold(Bank(bank), log)
        cabinet = self.cabinets[bank]
        cabinet.doubtful.update(dict.fromkeys(cabinet.inside, "recovered"))
        self.told("reborn", bank)

    def pulsed(self, bank: BankId, compartment: CompartmentId) -> None:
        self.counts["pulses"] += 1
        self.say(self.controllers[bank].name, f"pulses {compartment}")
        self.told("pulsed", bank, compartment)

    def put(self, bank: BankId, compartment: CompartmentId, thing: Thing) -> None:
        self.say("somebody", f"puts {thing.name} into {compartment} of {bank[:4]}")
        self.told("put", bank, compartment, thing)
        self.cabinets[bank].put(compartment, thing)

    def cloud_grew(self, bank: BankId) -> None:
        self.told("cloud_grew", bank)
        self.office.outbox_news()

    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.random.randbytes(32))


def _brief(body: object) -> str:
    """A kind and the ids in it, short."""
    shown = [type(body).__name__]
    for name in ("compartment", "stay", "opening", "purpose", "why", "refusal", "number", "attempt", "doors"):
        value = getattr(body, name, None)
        if value is not None:
            shown.append(f"{name}={value[:6] if name in ('stay', 'opening') else value}")
    return " ".join(shown)
