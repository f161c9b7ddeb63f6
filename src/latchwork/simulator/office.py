"""The server's machine in the pretend world: the real exchange and the real notice step, on a store that fails.

The store outlives a crash; a backup of it may come back in its stead.
"""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latchwork.domain.words import BankId
from latchwork.server.exchange import Exchange
from latchwork.server.notices import Dispatcher
from latchwork.simulator.post import Post
from latchwork.simulator.schedule import Host, Signal, die, sleep, wait
from latchwork.simulator.wire import Cut, End, Silent
from latchwork.store.rows import Unavailable
from latchwork.sync.codec import Unreadable
from latchwork.sync.exchange import SILENCE_SECONDS_MAX, Challenge, Down, Goodbye, Hello, Staged, Told, Up, pack, unpack

if TYPE_CHECKING:
    from latchwork.simulator.world import World

ASK_S = 20.0
"""How often a line with something due is looked at; one with nothing due, ASK_IDLE_S."""
ASK_IDLE_S = 300.0
NOTICES_S = 240.0


class Shaky:
    """A store whose every call may be the machine's last, before or after its commit, or find the database gone."""

    def __init__(
        self, store: Callable[[], Any], moment: Callable[[], Awaitable[None]], appended: Callable[[BankId], None]
    ) -> None:
        self._store = store
        self._moment = moment
        self._appended = appended

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        async def shaky(*arguments: Any) -> Any:
            await self._moment()
            result = await getattr(self._store(), name)(*arguments)
            if name == "claim_notices":  # PostgreSQL gives them in any order
                result = sorted(result, key=lambda notice: str(notice.id))
            if name == "append":
                self._appended(BankId(arguments[0].operation.bank))
            await self._moment()
            return result

        return shaky


@dataclass(slots=True)
class _Owed:
    """The message that the bank has not answered yet, and by when it must."""

    n: int | None
    by: float


class Office(Host):
    def __init__(self, world: "World") -> None:
        super().__init__("server")
        self.world = world
        self.post = Post(world)
        self.news: dict[BankId, Signal] = {}
        self.losing_disk = False
        self.unavailable = 0
        """How often the database has been gone, by calls."""
        self._due = Signal(world.schedule)
        self._exchange: Exchange | None = None
        self._boots = 0

    # Power

    def boot(self) -> None:
        world = self.world
        shaky: Any = Shaky(lambda: world.stores.store, self.moment, world.cloud_grew)
        self._exchange = world.cast.exchange(shaky, world.time.utc)
        outbox: Any = Shaky(lambda: world.stores.outbox, self.moment, world.cloud_grew)
        dispatcher = Dispatcher(outbox, self.post.write, self.post, world.time.utc)
        world.schedule.spawn(self._notify(dispatcher), "server notices", self)
        for bank in sorted(world.controllers):
            self.news[bank] = Signal(world.schedule)

    def crash(self, why: str) -> None:
        self.world.happened("server crashes")
        self.world.say(self.name, f"crashes {why}")
        self.world.told("server_crashed")
        self._exchange = None
        for task in list(self.tasks):
            self.world.schedule.kill(task)
        delay = self.world.random.choice((1.0, 10.0, 600.0)) if not self.world.settling else 1.0
        boots = self._boots = self._boots + 1
        self.world.schedule.call_in(delay, lambda: self.boot() if boots == self._boots else None)

    async def moment(self) -> None:
        """Between two lines of code: time passes, the machine may die, the database may be gone."""
        random, weather = self.world.random, self.world.weather
        if random.random() < weather.server_crash_at_await:
            await die("between two steps")
        await sleep(random.uniform(0, 0.005))
        if random.random() < weather.database_away:
            self.unavailable += 1
            raise Unavailable("pretend")

    def back_up(self) -> None:
        self.world.stores.back_up()

    def restore(self) -> None:
        """The database comes back from an older copy: with a new server, or under one that goes on unaware."""
        if self.world.random.random() >= self.world.weather.restore_beneath:
            self.losing_disk = True
            self.crash("and loses its disk")
            self.losing_disk = False
        if self.world.stores.restore():
            self.world.happened("restores")
            self.world.say(self.name, "comes back from a backup")
            self.world.told("restored")
            self.world.forget_what_waits()

    # Banks

    async def dial(self, bank: BankId) -> End:
        """A bank's end of a new line. Raises Cut."""
        near, far = await self.world.network.dial(bank)
        if self._exchange is None:
            raise Cut
        self.world.schedule.spawn(self._hold(self._exchange, bank, far), f"server holds {bank[:4]}", self)
        return near

    async def _hold(self, exchange: Exchange, bank: BankId, far: End) -> None:
        try:
            nonce = self.world.random.randbytes(16)
            far.send(pack(Challenge(nonce, self.world.time.utc())))
            hello = unpack(await far.receive(30))
            if not isinstance(hello, Hello) or hello.bank != bank:
                return
            answer = await exchange.greet(hello, nonce)
            far.send(pack(answer))
            if isinstance(answer, Goodbye):
                self.world.say(self.name, f"says goodbye to {bank[:4]}: {answer.why}")
                return
            session = answer.session
            owed = _Owed(answer.n if isinstance(answer, Down) else None, self.world.time.now + SILENCE_SECONDS_MAX)
            deliverer = self.world.schedule.spawn(
                self._deliver(exchange, bank, session, far, owed), "server delivers", self
            )
            try:
                await self._listen(exchange, bank, far, owed)
            finally:
                self.world.schedule.kill(deliverer)
                exchange.forget(bank, session)
        except (Cut, Silent, Unreadable):
            pass
        finally:
            far.close()

    async def _listen(self, exchange: Exchange, bank: BankId, far: End, owed: "_Owed") -> None:
        while True:
            up = unpack(await far.receive(600))
            if not isinstance(up, Up | Told | Staged):
                return
            if isinstance(up, Up) and up.re == owed.n:
                owed.n = None
            answer = await exchange.take(bank, up)
            if answer is not None:
                far.send(pack(answer))
            if isinstance(answer, Goodbye):
                self.world.say(self.name, f"says goodbye to {bank[:4]}: {answer.why}")
                return
            self.news[bank].fire()

    async def _deliver(self, exchange: Exchange, bank: BankId, session: int, far: End, owed: "_Owed") -> None:
        try:
            while True:
                down: Down | None = await exchange.deliver(bank, session)
                if down is not None:
                    owed.n, owed.by = down.n, self.world.time.now + SILENCE_SECONDS_MAX
                    far.send(pack(down))
                elif owed.n is not None and self.world.time.now >= owed.by:
                    far.close()  # an answer that takes longer counts as a broken line
                    return
                await wait(self.news[bank], ASK_S if owed.n or self.world.waits(bank) else ASK_IDLE_S)
        except Cut:
            pass

    # Notices

    async def _notify(self, dispatcher: Dispatcher[Any]) -> None:
        while True:
            try:
                handled = await dispatcher.step()
            except Unavailable:
                handled = 1
                await sleep(1)
            if not handled:
                await wait(self._due, NOTICES_S)

    def outbox_news(self) -> None:
        self._due.fire()

    # What people ask

    async def ask(self, call: str, *arguments: Any) -> Any:
        """One call of the store, as an action of the cloud makes it."""
        await sleep(self.world.random.uniform(0.01, 0.1))
        return await getattr(self.world.stores.store, call)(*arguments)

    def hint(self, bank: BankId) -> None:
        if bank in self.news and self.world.random.random() >= self.world.weather.hint_lost:
            self.news[bank].fire()
