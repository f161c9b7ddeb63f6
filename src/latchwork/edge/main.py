"""`latchwork edge bank.toml`: one locker bank. Wires loop, hardware, link and kiosk together, and nothing else."""

import argparse
import asyncio
import logging
import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

import httpx
import msgspec
import uvicorn

from latchwork.domain.commands import Guard
from latchwork.edge import identity
from latchwork.edge.climate import Climate, zone_of
from latchwork.edge.clock import BankClock
from latchwork.edge.config import BadConfig, Config, read_config
from latchwork.edge.consent import Consent
from latchwork.edge.desired import Desired, check_devices, fall_back
from latchwork.edge.desk import EdgeDesk
from latchwork.edge.keyring import Keyring
from latchwork.edge.kiosk.app import LOOPBACK, Kiosk, kiosk_app
from latchwork.edge.kiosk.broken import show_broken
from latchwork.edge.link import Link
from latchwork.edge.loop import Loop, Unfit
from latchwork.edge.readers.supervisor import supervise
from latchwork.edge.talk import Talk
from latchwork.edge.wall import wall_of
from latchwork.edge.watchdog import READY, STOPPING, Watchdog, age_s
from latchwork.store.climate import ClimateTable
from latchwork.store.sqlite import DiskFull, JournalHeld, SqliteJournal
from latchwork.sync.exchange import CODE_KEYS

BROKEN_SECONDS = 20.0

log = logging.getLogger("latchwork.edge")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="the bank's configuration file")
    parser.add_argument("--enrol", metavar="CODE", help="one-time enrolment code, for the first start")
    parser.add_argument(
        "--guard", nargs="+", metavar="KEY", help='guard this wall with these keys of `latchwork sign`; "none": no more'
    )
    parser.add_argument("--rotate-key", action="store_true", help="let a new device key take the place of this one")
    parser.add_argument("--check", action="store_true", help="only say whether the configuration is usable")


def run(args: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    config = None
    try:
        config = read_config(args.config)
        if args.check:
            check_devices(config)
            print(f"{args.config} makes sense. Compartments: {len(config.fittings)}. Buses: {len(config.buses)}.")
            return 0
        config.state.mkdir(parents=True, exist_ok=True)
        # Nobody noted that it came up: this process died with it.
        fall_back(args.config, config.state, "the controller ended while it began")
        while _serve_one(args):
            log.warning("the bank begins anew with another configuration")
            args.guard, args.rotate_key = None, False  # said of the first beginning
    except JournalHeld as error:
        return _fail(str(error))
    except (BadConfig, Unfit, DiskFull, identity.EnrolmentRefused, OSError) as error:
        return _fail(str(error), config)
    except sqlite3.Error as error:
        where = f" in {config.state}" if config else ""
        return _fail(f"the journal{where} cannot be used: {error}", config)
    except msgspec.MsgspecError as error:
        return _fail(f"a file in the state folder is not what was written there: {error}", config)
    return 0


def _fail(why: str, config: Config | None = None) -> int:
    """As a service, show it to whoever stands there for a while. Then the service is started again."""
    print(f"latchwork edge: {why}", file=sys.stderr, flush=True)
    if config is not None and "NOTIFY_SOCKET" in os.environ:
        show_broken(why, config.kiosk_host, config.kiosk_port, BROKEN_SECONDS)
    return 1


def _serve_one(args: argparse.Namespace) -> bool:
    """Run the configuration to its end. Whether another one is in its place now."""
    config = read_config(args.config)
    try:
        return asyncio.run(_serve(config, args))
    except (BadConfig, Unfit, OSError) as error:
        if not fall_back(args.config, config.state, str(error)):
            raise
    return True


async def _serve(config: Config, args: argparse.Namespace) -> bool:
    who, code = identity.load(config.state), args.enrol
    if who is None:
        if not code:
            raise BadConfig("this bank has no identity yet: start it once with --enrol and a code from the operator")
        who = await identity.enrol(config.server, code, config.state, config.tls)
        log.info("enrolled as %s", who.bank)
    if args.rotate_key:
        identity.begin_rotation(config.state)
    journal = SqliteJournal(config.state)
    try:
        return await _work(config, who, journal, args)
    finally:
        journal.close()


async def _work(config: Config, who: identity.Identity, journal: SqliteJournal, args: argparse.Namespace) -> bool:
    check_devices(config)  # what comes to nothing later has come up, and is not put back
    software, boot = version("latchwork"), uuid4().hex
    keyring = _keyring(who)
    _recall_keys(journal, who)
    wall = wall_of(config.buses, config.wiring, config.contacts, config.inputs)
    clock, readings = BankClock(), ClimateTable(config.state)
    loop = Loop(who.bank, journal, wall, clock, keyring, DiskFull, wall.coils)
    desk = EdgeDesk(loop, journal, config.state / "photos")
    await loop.start(boot, software, config.fittings)
    if args.guard:
        await _guard(loop, tuple(args.guard) if args.guard != ["none"] else ())
    key = who.key
    consent = Consent(config.state)
    desired = Desired(args.config, config.state, key, desk, loop, journal, consent)
    public = key.public_key().public_bytes_raw()
    heed = partial(_heed, config, desk)
    talk = Talk(who.bank, loop, journal, public, key.sign, boot, consent.to_log, desired.reported, heed)
    desk.waits_for_yes = lambda: desired.waits or (talk.server_differs and consent.offered is not None)
    link = Link(config.server, desk, talk, software, partial(_renew, config, desk, desired, talk), config.tls)
    desk.partner = link.ask
    app = kiosk_app(desk, bank_name=who.name or who.bank[:8], hosts={*LOOPBACK, *config.kiosk_names})
    screen: Kiosk = app.state.kiosk
    kiosk = _KioskServer(
        uvicorn.Config(
            app,
            host=config.kiosk_host,
            port=config.kiosk_port,
            log_level="warning",
            timeout_graceful_shutdown=1,
        )
    )
    serving = await kiosk.serving()
    desired.come_up()
    watchdog = Watchdog()
    works = (
        desired.run(),
        wall.run(desk.tell, desk.tell),
        desk.run(),
        link.run(),
        supervise(config.readers, lambda scan: screen.scan(scan.kind, scan.text)),
        watchdog.run(desk.turn),
        Climate([zone_of(x, clock.monotonic) for x in config.climate], readings, desk, clock.now).run(),
    )
    tasks = [serving, *(asyncio.create_task(work) for work in works)]
    watchdog.tell(READY)
    age = f", {seconds:.1f} s after it was started" if (seconds := age_s()) is not None else ""
    log.info("%s is ready: kiosk at http://%s:%s%s", who.name, config.kiosk_host, config.kiosk_port, age)
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:  # the kiosk ends, on a signal; anything else but a replacement is our mistake
            task.result()
        if serving in done:
            watchdog.tell(STOPPING)
        return serving not in done
    finally:
        kiosk.should_exit = True  # or its port would not be free when the bank begins anew
        await asyncio.wait([serving])
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        readings.close()


def _keyring(who: identity.Identity) -> Keyring:
    older = tuple(bytes.fromhex(key) for key in who.older.values())
    return Keyring(bytes.fromhex(who.code_key), who.generation, lambda: uuid4().hex, older)


def _recall_keys(journal: SqliteJournal, who: identity.Identity) -> None:
    """An identity that was enrolled anew lacks the older keys, and the server is to bring them."""
    if journal.documents().get(CODE_KEYS, 0) != (held := who.generation if who.older else 0):
        journal.put_document(CODE_KEYS, held, b"")


def _heed(config: Config, desk: EdgeDesk, document: str, body: bytes) -> None:
    """Does what a new document wants done before we say that we hold it. Raises OSError: it is not held yet."""
    if document == CODE_KEYS:
        who = identity.take_code_keys(config.state, body)
        desk.use_keys(_keyring(who))
        log.info("codes are made with key %d from now on", who.generation)
    else:
        desk.heed(document, body)


async def _renew(config: Config, desk: EdgeDesk, desired: Desired, talk: Talk) -> None:
    """Takes the next key, where one is wanted and the server has it."""
    try:
        fresh = await identity.finish_rotation(config.server, config.state, config.tls)
    except (identity.EnrolmentRefused, httpx.HTTPError) as error:
        log.warning("the next key waits: %s", error)
        return
    if fresh is not None:
        async with desk.turn:
            desired.take_key(fresh.key)
            talk.use_key(fresh.key.public_key().public_bytes_raw(), fresh.key.sign)
        log.warning("this controller has a new key: the wall needs a new sticker")


async def _guard(loop: Loop, keys: tuple[str, ...]) -> None:
    """Somebody at the controller itself says whose signatures count."""
    if (await loop.do(Guard(keys))).refusal is not None:
        raise BadConfig("--guard takes the public keys that `latchwork sign --make` printed: 64 hex digits each")
    log.warning("this wall is guarded by %s", ", ".join(keys) or "nobody")


class _KioskServer(uvicorn.Server):
    """Leaves signals alone: uvicorn would end the process by the signal, before a driver could let go of its coils."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def serving(self) -> asyncio.Task[None]:
        """Until a signal; returns once it is up, or has failed to be."""
        for end in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(end, self._stop)
        task = asyncio.create_task(self.serve())
        while not (self.started or task.done()):  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        return task

    def _stop(self) -> None:
        self.should_exit = True
