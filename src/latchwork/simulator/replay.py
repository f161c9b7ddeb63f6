"""`latchwork replay FILE`: real reservations through real banks, journals, exchange and PostgreSQL, in pretend time.

One bank for each locker of the file. Whoever comes types the code that the server's rows give them, opens what the bank
lets them open, and closes the door behind them. The reconciliation at the end is from the server's own rows
(`reconciliation`); how the file's oddities are read is in `reservations`.
"""

import argparse
import asyncio
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib.metadata import version
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty
from secrets import token_bytes, token_hex
from typing import Any

import msgspec
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from latchwork.domain import commands as c
from latchwork.domain.bank import OpeningState, Service
from latchwork.domain.commands import Decision
from latchwork.domain.words import (
    BankId,
    ClaimId,
    CompartmentId,
    DoorState,
    OpeningId,
    Role,
    ServiceId,
    SessionId,
    StayId,
)
from latchwork.edge.clock import BankClock
from latchwork.edge.keyring import Keyring
from latchwork.edge.loop import Loop
from latchwork.edge.talk import Talk
from latchwork.server.actions import access, banks, enrolment, partners, passes, people, places, stays
from latchwork.server.actions.office import Office, Who
from latchwork.server.actions.vault import open_vault
from latchwork.server.exchange import Exchange
from latchwork.simulator import reconciliation
from latchwork.simulator.reconciliation import Played, Seen
from latchwork.simulator.reservations import (
    SIZES,
    File,
    Kind,
    Reservation,
    WrongFile,
    fittings,
    read,
)
from latchwork.store.admin import Tables
from latchwork.store.embedded import CannotStart, Embedded
from latchwork.store.migrate import MigrationFailed, SchemaMismatch, migrate
from latchwork.store.postgres import PostgresStore
from latchwork.store.rows import Unavailable
from latchwork.store.sqlite import DiskFull, SqliteJournal
from latchwork.sync.exchange import Challenge, Down, Goodbye, Message, Up, pack, unpack
from latchwork.sync.keys import enrol_text

ZONE = "America/New_York"
SERVICES_MAX = banks.SERVICES_MAX
LEAD = timedelta(hours=1)
"""A wall is up and enrolled so long before the first thing is announced."""
OPENS_AFTER_S = 0.3
DOOR_OPEN_S = 8.0
LOCKERS_AT_ONCE = 24
"""In one process: more would only wait for each other at the database."""
PATIENCE_S = 300.0
"""With the database: nobody stands at a door, and a disk may rest for a while."""
TELL_EVERY_S = 5.0
SOFTWARE = f"latchwork {version('latchwork')} replay"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="CSV of reservations, plain or gzip")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N rows")
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep journals and database there")
    parser.add_argument(
        "--jobs", type=int, metavar="N", default=os.cpu_count() or 1, help="processes that share the lockers"
    )


def run(args: argparse.Namespace) -> int:
    if args.jobs < 1 or (args.limit is not None and args.limit < 1):
        print("latchwork replay: --jobs and --limit are numbers from 1", file=sys.stderr)
        return 2
    try:
        file = read(args.file, args.limit)
        with _folder(args.data) as folder, _database(folder) as dsn:
            return _replay(file, args.file.name, folder, dsn, args.jobs)
    except (WrongFile, OSError, CannotStart, MigrationFailed, SchemaMismatch, Broken) as error:
        print(f"latchwork replay: {error}", file=sys.stderr)
        return 1


class Broken(Exception):
    """The replay cannot go on; says why."""


@contextmanager
def _folder(asked: Path | None) -> Iterator[Path]:
    if asked is not None:
        asked.mkdir(parents=True, exist_ok=True)
        yield asked
        return
    with tempfile.TemporaryDirectory(prefix="latchwork-replay-") as name:
        Path(name).chmod(0o711)  # PostgreSQL's own uid must get through to its folder
        yield Path(name)


@contextmanager
def _database(folder: Path) -> Iterator[str]:
    if given := os.environ.get("LATCHWORK_DATABASE_URL"):
        yield given
        return
    with Embedded(folder / "postgres") as dsn:
        yield dsn


def _replay(file: File, name: str, folder: Path, dsn: str, jobs: int) -> int:
    began = time.monotonic()
    lockers = file.lockers()
    start = min((r.created for r in file.reservations), default=None)
    if start is None:
        print("There is no row that could be played.", file=sys.stderr)
    organisation = _run(_found(dsn, folder, f"Replay of {name}", list(lockers), start)) if start else None
    played: list[Played] = []
    if organisation is not None:
        shares = _shares(lockers, jobs)
        tasks = [_Share(dsn, folder, organisation, share) for share in shares]
        with _Progress(len(file.reservations)) as progress:
            played = _play_here(tasks[0], progress.add) if len(tasks) == 1 else _play_apart(tasks, progress)
    took_s = time.monotonic() - began
    seen = _run(_look(dsn, organisation.id)) if organisation is not None else Seen((), ())
    account = reconciliation.reconcile(file, played, seen)
    print(reconciliation.report(file, account, took_s))
    return 0 if account.adds_up else 1


def _run(work: Any) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


@dataclass(frozen=True, slots=True)
class _Organisation:
    id: str
    token: str
    party: str
    recipients: Mapping[str, str]
    """A person for each locker, whose every parcel there is."""


@dataclass(frozen=True, slots=True)
class _Share:
    """The lockers that one process plays."""

    dsn: str
    folder: Path
    organisation: _Organisation
    lockers: Mapping[str, list[Reservation]]


def _shares(lockers: Mapping[str, list[Reservation]], jobs: int) -> list[dict[str, list[Reservation]]]:
    """The longest first, each to whoever has least."""
    shares: list[dict[str, list[Reservation]]] = [{} for _ in range(min(jobs, len(lockers)))]
    for locker in sorted(lockers, key=lambda name: -len(lockers[name])):
        least = min(shares, key=lambda share: sum(map(len, share.values())))
        least[locker] = lockers[locker]
    return shares


async def _found(dsn: str, folder: Path, name: str, lockers: Sequence[str], start: datetime) -> _Organisation:
    """An organisation of its own for this replay, so that it stands apart whatever else the database holds."""
    await migrate(dsn)
    async with await PostgresStore.connect(dsn) as store:
        office = _office(store, folder, lambda: start - LEAD)
        first = await access.create_organisation(office, name)
        who = await access.who_is(office, first.token)
        assert who is not None
        office = office.acting(who.organisation)
        party = await partners.create(office, who, "Carrier")
        guests = {locker: people.Details(name=f"Guest of {locker}") for locker in lockers}
        recipients = {locker: (await people.create_person(office, who, guests[locker])).id for locker in lockers}
        return _Organisation(first.organisation, first.token, party.id, recipients)


def _office(store: PostgresStore, folder: Path, now: Callable[[], datetime]) -> Office:
    return Office(store, Tables(store), open_vault(folder / "vault"), now, token_bytes, "http://replay.invalid")


async def _look(dsn: str, organisation: str) -> Seen:
    async with await PostgresStore.connect(dsn) as store:
        return await reconciliation.look(store, organisation)


# Playing, here or in processes of their own


def _play_here(share: _Share, tell: Callable[[int], None]) -> list[Played]:
    played: list[Played] = _run(_play(share, tell))
    return played


def _play_apart(shares: Sequence[_Share], progress: "_Progress") -> list[Played]:
    context = multiprocessing.get_context("spawn")
    news: Queue[Any] = context.Queue()
    workers = [context.Process(target=_work, args=(share, news), daemon=True) for share in shares]
    played: list[Played] = []
    try:
        for worker in workers:
            worker.start()
        waiting = len(workers)
        while waiting:
            try:
                what = news.get(timeout=1)
            except Empty:
                progress.tell()
                if not any(worker.is_alive() for worker in workers) and news.empty():
                    raise Broken("a process of the replay died") from None
                continue
            if isinstance(what, int):
                progress.add(what)
            elif isinstance(what, str):
                raise Broken(what)
            else:
                played += what
                waiting -= 1
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
        news.close()
        news.join_thread()
    return played


def _work(share: _Share, news: "Queue[Any]") -> None:
    try:
        news.put(_play_here(share, news.put))
    except KeyboardInterrupt:
        pass
    except Exception as error:
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, Broken | Unavailable):
            news.put(str(error))
        else:
            news.put(f"{type(error).__name__}: {error}")
            raise


class _Progress:
    """A bar where somebody looks, a line now and then where it goes into a log."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._done = 0
        self._began = self._told = time.monotonic()
        self._bar = sys.stderr.isatty()

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            print(file=sys.stderr)

    def add(self, rows: int) -> None:
        self._done += rows
        self.tell()

    def tell(self) -> None:
        now = time.monotonic()
        if now - self._told < (0.2 if self._bar else TELL_EVERY_S) and self._done < self._rows:
            return
        self._told = now
        share, rate = self._done / max(1, self._rows), self._done / max(0.001, now - self._began)
        text = f"{self._done:,} of {self._rows:,} rows, {rate:,.0f} a second"
        if self._bar:
            bar = "#" * int(30 * share)
            print(f"\r[{bar:<30}] {text}", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)


async def _play(share: _Share, tell: Callable[[int], None]) -> list[Played]:
    """Many lockers at once: their writes meet in the store's batches as those of real banks do."""
    room = asyncio.Semaphore(LOCKERS_AT_ONCE)

    async def play(bank: _Bank) -> Played:
        async with room:
            return await bank.play(tell)

    async with (
        await PostgresStore.connect(share.dsn, patience_seconds=PATIENCE_S) as store,
        asyncio.TaskGroup() as group,
    ):
        banks = [_Bank(share, store, locker, rows) for locker, rows in share.lockers.items()]
        tasks = [group.create_task(play(bank)) for bank in banks]
    return [task.result() for task in tasks]


# One bank, from its enrolment to its last collection


class _Time:
    """Pretend time of one bank and of the server when it speaks with it. Never runs backwards."""

    def __init__(self, now: datetime) -> None:
        self.now = self._began = now

    def pass_s(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def reach(self, at: datetime) -> None:
        self.now = max(self.now, at)

    def monotonic(self) -> float:
        return (self.now - self._began).total_seconds()


class _Coils:
    """The board: remembers what was pulsed, so that no hand pulls at a door that was not unlocked."""

    def __init__(self) -> None:
        self.pulsed: set[CompartmentId] = set()

    async def pulse(self, compartment: CompartmentId) -> None:
        self.pulsed.add(compartment)


class _Bank:
    def __init__(self, share: _Share, store: PostgresStore, locker: str, rows: Sequence[Reservation]) -> None:
        self.locker = locker
        self.rows = rows
        self.time = _Time(min(row.created for row in rows) - LEAD)
        self._share = share
        self._office = _office(store, share.folder, lambda: self.time.now)
        self._exchange = Exchange(store, lambda: self.time.now)
        self._fittings = fittings(rows)
        self._services = _Services(rows)
        self._coils = _Coils()
        self._who: Who
        self._loop: Loop
        self._talk: Talk
        self._session = 0
        self._journal: SqliteJournal
        self._courier = ""
        self._stays: dict[int, str] = {}
        self._repeats: set[int] = set()
        self._moved: dict[int, str] = {}
        self._refused: dict[int, str] = {}

    async def play(self, tell: Callable[[int], None]) -> Played:
        await self._set_up()
        try:
            events = self._events()
            last = {row.row: n for n, (_, _, row) in enumerate(events)}
            for n, (at, what, row) in enumerate(events):
                await self._pass_time(at)
                await what(row)
                await self._converse()
                if last[row.row] == n:
                    tell(1)
            await self._pass_time(self.time.now + timedelta(hours=1))
            await self._converse()
            return Played(
                bank=self._loop.bank.id,
                locker=self.locker,
                doors=len(self._fittings),
                epoch=self._loop.bank.epoch,
                size=self._journal.size,
                root=self._journal.frontier().root(),
                stays=self._stays,
                repeats=frozenset(self._repeats),
                moved=self._moved,
                refused=self._refused,
            )
        finally:
            self._journal.close()

    def _events(self) -> list[tuple[datetime, Callable[[Reservation], Any], Reservation]]:
        """In order of time. Of one minute: those who take out come first, and nobody takes out before it is in."""
        found: list[tuple[datetime, int, int, Callable[[Reservation], Any], Reservation]] = []
        for row in self.rows:
            found.append((row.created, 1, row.row, self._announce, row))
            if row.delivered is None:
                continue
            found.append((row.delivered, 2, row.row, self._put_in, row))
            if row.withdrawn is not None:
                place = 0 if row.withdrawn > row.delivered else 3
                found.append((row.withdrawn, place, row.row, self._take_out, row))
        return [(at, what, row) for at, _, _, what, row in sorted(found, key=lambda event: event[:3])]

    async def _set_up(self) -> None:
        """As an operator does it: a site, a bank, its enrolment, a courier's code."""
        house, organisation = self._office, self._share.organisation
        who = await access.who_is(house, organisation.token)
        assert who is not None
        self._who = who
        self._office = office = house.acting(who.organisation)
        site = await places.create_site(office, who, self.locker, "", ZONE)
        invited = await banks.create(office, who, site.id, self.locker, self._services.offered)
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes_raw()
        code = invited.enrolment_code
        signature = key.sign(enrol_text(code, public))
        identity = await enrolment.enrol(house, code, public, signature)
        granted = await passes.grant(office, who, passes.NewPass(invited.bank, Role.COURIER, organisation.party))

        bank = BankId(identity.bank)
        self._journal = SqliteJournal(self._share.folder / "banks" / bank)
        clock = BankClock(lambda: self.time.now, self.time.monotonic)
        keyring = Keyring(bytes.fromhex(identity.code_key), identity.generation, lambda: token_hex(16))
        self._loop = Loop(bank, self._journal, self._coils, clock, keyring, full=DiskFull)
        boot = token_hex(16)
        await self._loop.start(boot, SOFTWARE, self._fittings)
        await self._loop.do(c.See({fitting.id: DoorState.CLOSED for fitting in self._fittings}))
        self._talk = Talk(bank, self._loop, self._journal, public, key.sign, boot)
        nonce = token_bytes(32)
        challenge = unpack(pack(Challenge(nonce, self.time.now)))
        assert isinstance(challenge, Challenge)
        hello = self._talk.hello(challenge, SOFTWARE)
        welcome = self._down(await self._exchange.greet(hello, nonce))
        assert welcome is not None
        self._session = welcome.session
        await self._talk.hear(welcome)
        await self._converse()
        digits = (await passes.read(office, who, granted.id)).digits
        if digits is None:
            raise Broken(f"{self.locker}: the bank did not take its courier's code")
        self._courier = digits

    # The line to the server: real bytes, no time at all

    async def _converse(self) -> None:
        """Until neither side has anything to say."""
        while True:
            up = self._talk.next_up()
            if up is not None:
                sent = unpack(pack(up))
                assert isinstance(sent, Up)
                down = self._down(await self._exchange.take(self._loop.bank.id, sent))
            else:
                down = self._down(await self._exchange.deliver(self._loop.bank.id, self._session))
                if down is None:
                    return
            if down is not None:
                await self._talk.hear(down)

    def _down(self, message: Message | None) -> Down | None:
        if message is None:
            return None
        received = unpack(pack(message))
        if isinstance(received, Goodbye):
            raise Broken(f"{self.locker}: the server said goodbye: {received.why}")
        assert isinstance(received, Down)
        return received

    async def _pass_time(self, at: datetime) -> None:
        """Up to `at`, stopping wherever the bank has something to do."""
        while (delay_s := self._loop.wake_in()) is not None:
            due = self.time.now + timedelta(seconds=max(delay_s, 1e-6))
            if due > at:
                break
            self.time.reach(due)
            await self._loop.wake()
        self.time.reach(at)

    # What people do

    async def _announce(self, row: Reservation) -> None:
        """The same row again is the same request under the same key: the server answers as it did then."""
        recipient = None if row.kind is Kind.SEND else self._share.organisation.recipients[self.locker]
        new = stays.NewStay(
            bank=self._loop.bank.id,
            service=self._services.of(row),
            recipient=recipient,
            party=None if row.kind is Kind.DIRECT else self._share.organisation.party,
            size=SIZES[row.size] if row.size else None,
        )
        request = f"POST /api/v1/stays\0{row.mark}".encode()
        reply = await stays.announce(self._office, self._who, new, row.mark, request)
        self._stays[row.row] = msgspec.json.decode(reply.body, type=stays.Accepted).id
        if reply.replayed:
            self._repeats.add(row.row)

    async def _put_in(self, row: Reservation) -> None:
        if row.row in self._repeats:
            return
        stay, digits = StayId(self._stays[row.row]), self._courier
        if row.kind is not Kind.RECEIVE:
            asked = await stays.row(self._office, stay, self._who.organisation)
            digits = stays.drop_off_digits(self._office, asked) or ""
        session, refused = await self._sign_in(digits)
        if session is None:
            self._refused[row.row] = refused
            return
        wish = c.Deposit(
            session,
            OpeningId(token_hex(16)),
            ClaimId(token_hex(16)),
            stay,
            self._loop.keyring.offer(self._loop.bank),
            prefer=row.door,
        )
        decision = await self._loop.do(wish)
        if decision.refusal is not None and row.door is not None:
            self._moved[row.row] = decision.refusal.reason
            decision = await self._loop.do(replace(wish, prefer=None))
        if decision.refusal is None:
            await self._swing(wish.opening)
            decision = await self._loop.do(c.Confirm(session, wish.opening))
        if decision.refusal is not None:
            self._refused[row.row] = decision.refusal.reason
        await self._loop.do(c.SignOut(session))

    async def _take_out(self, row: Reservation) -> None:
        if row.row in self._repeats or row.row in self._refused:
            return
        stay, digits = StayId(self._stays[row.row]), self._courier
        if row.kind is not Kind.SEND:
            held = await stays.row(self._office, stay, self._who.organisation)
            digits = stays.pickup_digits(self._office, held) or ""
        session, refused = await self._sign_in(digits)
        if session is None:
            self._refused[row.row] = refused
            return
        opening = OpeningId(token_hex(16))
        decision = await self._loop.do(c.Collect(session, opening, stay))
        if decision.refusal is None:
            await self._swing(opening)
        else:
            self._refused[row.row] = decision.refusal.reason
        await self._loop.do(c.SignOut(session))

    async def _sign_in(self, digits: str) -> tuple[SessionId, str] | tuple[None, str]:
        session = SessionId(token_hex(16))
        decision: Decision = await self._loop.do(c.SignIn(session, self._loop.keyring.code(digits)))
        return (None, decision.refusal.reason) if decision.refusal else (session, "")

    async def _swing(self, opening: OpeningId) -> None:
        """Wait for the lock, pull the door open, close it again."""
        where = self._loop.bank.openings[opening].compartment
        while self._loop.bank.openings[opening].state is OpeningState.WANTED:
            delay_s = self._loop.wake_in()
            assert delay_s is not None, "an opening that is wanted has a time"
            self.time.pass_s(max(delay_s, 1e-6))
            await self._loop.wake()
        if where not in self._coils.pulsed:
            raise Broken(f"{self.locker}: door {where} was to open and was never pulsed")
        self._coils.pulsed.discard(where)
        self.time.pass_s(OPENS_AFTER_S)
        await self._loop.do(c.See({where: DoorState.OPEN}))
        self.time.pass_s(DOOR_OPEN_S)
        await self._loop.do(c.See({where: DoorState.CLOSED}))


class _Services:
    """What a locker offers: one service for each kind and term of its rows, the commonest where they are too many."""

    def __init__(self, rows: Sequence[Reservation]) -> None:
        counted = Counter((row.kind, row.hours) for row in rows)
        common = [pair for pair, _ in counted.most_common()]
        first = [next(pair for pair in common if pair[0] is kind) for kind in Kind if any(p[0] is kind for p in common)]
        kept = (first + [pair for pair in common if pair not in first])[:SERVICES_MAX]
        self._kept = {kind: [hours for k, hours in kept if k is kind] for kind in Kind}
        self.offered = tuple(Service(ServiceId(_service(kind, hours)), *_PARTS[kind], hours) for kind, hours in kept)

    def of(self, row: Reservation) -> str:
        return _service(row.kind, min(self._kept[row.kind], key=lambda hours: (abs(hours - row.hours), hours)))


_PARTS: Mapping[Kind, tuple[Role, Role]] = {
    Kind.RECEIVE: (Role.COURIER, Role.PERSON),
    Kind.SEND: (Role.PERSON, Role.COURIER),
    Kind.DIRECT: (Role.PERSON, Role.PERSON),
}


def _service(kind: Kind, hours: int) -> str:
    return f"{kind.value.lower()}-{hours}h"
