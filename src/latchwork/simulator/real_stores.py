"""The same world on the real stores: SQLite on a disk, PostgreSQL through asyncpg, one awaited call at a time.

A crash of a bank lets go of its connection and opens the file anew. Nothing is restored from backups here: that is
what the world in memory is for.
"""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg

from latchwork.domain.words import BankId, CompartmentId, InstructionId, PartyId, PassId, PersonId, StayId
from latchwork.simulator.archive import Archive, Head, StaySeen, seen
from latchwork.simulator.clock import BEGIN
from latchwork.simulator.disk import Journal
from latchwork.simulator.stores import ORGANISATION
from latchwork.store.embedded import Embedded
from latchwork.store.lanes import Connection
from latchwork.store.migrate import migrate
from latchwork.store.outbox import PostgresOutbox
from latchwork.store.postgres import PostgresStore
from latchwork.store.queries import load
from latchwork.store.sqlite import SqliteJournal

_sim = load("sim")
SITE = "02" * 16


class Driven:
    """Each coroutine of what is inside, run to its end on a loop of its own before anything else may happen."""

    def __init__(self, inside: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._inside = inside
        self._loop = loop

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        call = getattr(self._inside, name)

        async def driven(*arguments: Any) -> Any:
            return self._loop.run_until_complete(call(*arguments))

        return driven


class RealStores:
    """`dsn`: a database with today's schema that may be emptied; without one, a PostgreSQL of our own in a folder."""

    can_restore = False

    def __init__(self, dsn: str | None = None) -> None:
        self._stack = ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="lw-sim-")))
        self._folder.chmod(0o711)
        self._loop = asyncio.new_event_loop()
        self._stack.callback(self._loop.close)
        if dsn is None:
            dsn = self._stack.enter_context(Embedded(self._folder / "pg"))
            self._loop.run_until_complete(migrate(dsn))
        self._dsn = dsn
        self._store = self._loop.run_until_complete(PostgresStore.connect(dsn))
        self._stack.callback(lambda: self._loop.run_until_complete(self._store.close()))
        self.store: Any = Driven(self._store, self._loop)
        self.outbox: Any = Driven(PostgresOutbox(self._store), self._loop)
        self.archive: Archive = PostgresArchive(self._ask)

    def journal(self, bank: BankId) -> Journal:
        return SqliteJournal(self._folder / bank)

    def enrol(
        self, banks: Sequence[tuple[BankId, bytes]], people: Sequence[PersonId], parties: Sequence[PartyId]
    ) -> None:
        access, places, crowd = load("access"), load("places"), load("people")
        self._loop.run_until_complete(self._empty())
        self._ask(access["create_organisation"], ORGANISATION, "simulated", "03" * 16, b"hash", False, BEGIN)
        self._ask(places["create_site"], SITE, ORGANISATION, "simulated", "", "UTC", BEGIN)
        for person in people:
            about: tuple[Any, ...] = ("somebody", "a@b.example", "", None, "en", None, "resident", [], [], None, [])
            self._ask(crowd["create_person"], person, ORGANISATION, None, BEGIN, *about)
        for party in parties:
            self._ask(crowd["create_party"], party, ORGANISATION, party)
        for bank, public in banks:
            self._ask(_sim["bank"], bank, ORGANISATION, SITE, public)

    async def _empty(self) -> None:
        """As the owner: no role of ours may do that."""
        connection: Connection = await asyncpg.connect(self._dsn)
        try:
            await connection.execute(_sim["empty"])
        finally:
            await connection.close()

    def back_up(self) -> None:
        pass

    def restore(self) -> bool:
        return False

    def keep_image(self, bank: BankId) -> None:
        pass

    def lose_disk(self, bank: BankId, public: bytes | None) -> None:
        raise AssertionError("the weather over real stores loses no disk")

    def confirm_recovery(self, bank: BankId) -> None:
        pass

    def close(self) -> None:
        self._stack.close()

    def _ask(self, statement: str, *arguments: Any) -> list[Any]:
        return self._loop.run_until_complete(self._store.fetch(statement, *arguments))


class PostgresArchive:
    def __init__(self, ask: Callable[..., list[Any]]) -> None:
        self._ask = ask

    def head(self, bank: BankId) -> Head:
        return Head(*self._ask(_sim["head"], bank)[0])

    def log(self, bank: BankId, start: int) -> list[bytes]:
        return [row["raw"] for row in self._ask(_sim["log"], bank, start)]

    def lives(self, bank: BankId) -> list[bytes]:
        return self.log(bank, 0)

    def stay(self, stay: str) -> StaySeen:
        return seen(self._ask(_sim["stay"], stay)[0])

    def knows(self, stay: str) -> bool:
        return bool(self._ask(_sim["stay"], stay))

    def stays_of(self, bank: BankId) -> Sequence[tuple[StayId, str]]:
        return [(StayId(row["id"]), row["state"]) for row in self._ask(_sim["stays_of"], bank)]

    def compartments_of(self, bank: BankId) -> Sequence[tuple[CompartmentId, str]]:
        return [(CompartmentId(row["id"]), row["state"]) for row in self._ask(_sim["compartments_of"], bank)]

    def code(self, pass_id: PassId) -> tuple[int, int] | None:
        found = self._ask(_sim["code"], pass_id)
        return (found[0]["n"], found[0]["digits"]) if found else None

    def was_lost(self, instruction: InstructionId) -> bool:
        return not self._ask(_sim["instruction"], instruction)

    def tasks(self, bank: BankId) -> Mapping[str, str]:
        return {row["about"]: row["kind"] for row in self._ask(_sim["tasks"], bank)}

    def notices_waiting(self) -> Sequence[str]:
        return [row["kind"] for row in self._ask(_sim["waiting"])]

    def is_settled(self, stay: str, kind: str, person: str) -> bool:
        return bool(self._ask(_sim["given_up"], stay, kind, person))
