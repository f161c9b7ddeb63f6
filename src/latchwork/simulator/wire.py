"""A pretend network between banks and server: connections that lose, double, reorder, garble, and break unnoticed.

A real line keeps its order; this one need not, for whatever holds here holds there.
"""

from random import Random

from latchwork.domain.words import BankId
from latchwork.simulator.schedule import Schedule, Signal, sleep, wait
from latchwork.simulator.weather import Weather


class Cut(Exception):
    """The line is gone."""


class Silent(Exception):
    """Nothing came for as long as anybody would wait."""


class End:
    """One end of a connection."""

    def __init__(self, schedule: Schedule) -> None:
        self._inbox: list[bytes] = []
        self._news = Signal(schedule)
        self.cut = False
        self.line: Line | None = None

    def send(self, raw: bytes) -> None:
        """Raises Cut only where the break is known already."""
        if self.cut or self.line is None:
            raise Cut
        self.line.carry(self, raw)

    async def receive(self, seconds: float | None = None) -> bytes:
        """Raises Cut, or Silent after `seconds`."""
        while not self._inbox:
            if self.cut:
                raise Cut
            if not await wait(self._news, seconds):
                raise Silent
        return self._inbox.pop(0)

    def close(self) -> None:
        if self.line is not None:
            self.line.close(self)

    def hear(self, raw: bytes) -> None:
        if not self.cut:
            self._inbox.append(raw)
            self._news.fire()

    def break_off(self) -> None:
        self.cut = True
        self._news.fire()


class Line:
    def __init__(self, network: "Network", bank: BankId, near: End, far: End) -> None:
        self._network = network
        self.bank = bank
        self._far = {near: far, far: near}
        self._last = {near: 0.0, far: 0.0}
        """Until when each direction is busy: what is not reordered stays in order."""
        near.line = far.line = self

    def carry(self, sender: End, raw: bytes) -> None:
        network, weather, random = self._network, self._network.weather, self._network.random
        if random.random() < weather.cut:
            network.schedule.call_in(random.uniform(0, 2), self.break_both)
        if network.is_cut(self.bank) or random.random() < weather.lose:
            network.lost += 1
            return
        if random.random() < weather.garble:
            raw = raw[: random.randrange(len(raw))]  # whatever got past a checksum is at least no message any more
        for _ in range(2 if random.random() < weather.double else 1):
            delay = random.expovariate(1 / weather.latency_s)
            if random.random() < weather.reorder:
                delay += random.uniform(0, 10)
            else:
                delay = max(delay, self._last[sender] - network.schedule.seconds())
                self._last[sender] = network.schedule.seconds() + delay
            network.carried += 1
            network.schedule.call_in(delay, lambda: self._arrive(sender, raw))

    def close(self, closer: End) -> None:
        """The closer knows at once, the other end a little later, and over a cut line never."""
        closer.break_off()
        if not self._network.is_cut(self.bank):
            self._network.schedule.call_in(self._network.weather.latency_s, self._far[closer].break_off)

    def break_both(self) -> None:
        for end in self._far:
            end.break_off()

    def _arrive(self, sender: End, raw: bytes) -> None:
        if not self._network.is_cut(self.bank):
            self._far[sender].hear(raw)


class Network:
    def __init__(self, schedule: Schedule, random: Random, weather: Weather) -> None:
        self.schedule = schedule
        self.random = random
        self.weather = weather
        self.carried = self.lost = 0
        self._partitions: dict[BankId, int] = {}

    def is_cut(self, bank: BankId) -> bool:
        return self._partitions.get(bank, 0) > 0

    def partition(self, bank: BankId, seconds: float) -> None:
        self._partitions[bank] = self._partitions.get(bank, 0) + 1
        self.schedule.call_in(seconds, lambda: self._heal(bank))

    def heal_all(self) -> None:
        self._partitions.clear()

    async def dial(self, bank: BankId) -> tuple[End, End]:
        """The near and the far end of a new line. Raises Cut."""
        await sleep(self.random.expovariate(1 / (2 * self.weather.latency_s)))
        if self.is_cut(bank):
            await sleep(10)
            raise Cut
        near, far = End(self.schedule), End(self.schedule)
        Line(self, bank, near, far)
        return near, far

    def _heal(self, bank: BankId) -> None:
        if self.is_cut(bank):
            self._partitions[bank] -= 1
