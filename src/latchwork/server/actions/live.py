"""Pages that are open, woken when their bank has news. Who is woken reads what is true now."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

from latchwork.server.actions.office import Declined
from latchwork.store.changes import Topic
from latchwork.store.postgres import PostgresStore

WATCHERS_MAX = 2_000
QUIET_SECONDS_MAX = 15.0
"""After so long without news a watcher is woken anyway: a hint may have been lost, and a proxy cuts silent lines."""
GATHER_SECONDS = 0.15
"""A door that opens writes several entries: one picture for all of them."""


class Live:
    def __init__(self) -> None:
        self._watchers: dict[str, set[asyncio.Event]] = {}
        self._count = 0
        self._over = False

    async def relay(self, store: PostgresStore, topic: Topic) -> None:
        """For ever: one listener for all pages."""
        async for bank in store.listen(topic):
            self.tell(bank)

    def check_room(self) -> None:
        """To be asked before a stream begins. Declines with 503."""
        if self._count >= WATCHERS_MAX:
            raise Declined(503, "unavailable", "Too many pages are open just now.", 10)

    def tell(self, bank: str) -> None:
        for event in self._watchers.get(bank, ()):
            event.set()

    def end(self) -> None:
        """The server stops: everybody who watches is let go."""
        self._over = True
        for bank in self._watchers:
            self.tell(bank)

    async def of(self, bank: str) -> AsyncIterator[bool]:
        """Yields at the start, at every change (True), and after a while without one (False)."""
        with self._watching(bank) as event:
            yield True
            while not self._over:
                changed = False
                with suppress(TimeoutError):
                    async with asyncio.timeout(QUIET_SECONDS_MAX):
                        await event.wait()
                        changed = True
                        if not self._over:
                            await asyncio.sleep(GATHER_SECONDS)
                event.clear()
                if not self._over:
                    yield changed

    @contextmanager
    def _watching(self, bank: str) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        self._watchers.setdefault(bank, set()).add(event)
        self._count += 1
        try:
            yield event
        finally:
            self._count -= 1
            watchers = self._watchers[bank]
            watchers.discard(event)
            if not watchers:
                del self._watchers[bank]
