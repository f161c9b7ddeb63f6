"""`latchwork server`: the cloud. The one place that wires database, exchange, pages, API and notices together."""

import argparse
import asyncio
import itertools
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import asyncpg
import uvicorn
from litestar import Litestar, Request, Response, get
from litestar.datastructures import MutableScopeHeaders, State
from litestar.types import Message, Scope

from latchwork.server import jobs
from latchwork.server.actions import access, alarms, links, partners, privacy
from latchwork.server.actions.letters import Letter, NotSent, letter
from latchwork.server.actions.live import Live
from latchwork.server.actions.office import REQUESTS_PER_MINUTE, Office, Tally, Unavailable
from latchwork.server.actions.vault import MASTER, Unusable, add_master, open_vault, write_private
from latchwork.server.api import routes as api
from latchwork.server.api.problems import problem
from latchwork.server.exchange import Exchange
from latchwork.server.ledger import Ledger
from latchwork.server.lines import FORMATS, formatter
from latchwork.server.link import UVICORN, Link, hear_bank
from latchwork.server.mail import BadSetting, SmtpMailer, compose, compose_alarm, compose_link
from latchwork.server.notices import Dispatcher, NothingToSay
from latchwork.server.ports import LOOPBACK, PortTaken, Server, listen
from latchwork.server.web import routes as web
from latchwork.server.witness import Witness
from latchwork.store import roles
from latchwork.store.admin import Tables
from latchwork.store.changes import Topic
from latchwork.store.embedded import CannotStart, Embedded
from latchwork.store.lanes import lost
from latchwork.store.migrate import MigrationFailed, SchemaMismatch, migrate
from latchwork.store.outbox import DueNotice, LinkOutbox, PostgresOutbox
from latchwork.store.postgres import PostgresStore
from latchwork.store.roles import NoRoles
from latchwork.ui.words import Sentence

RETRY_SECONDS = 1.0
OUTBOX_SECONDS = 0.5
"""How often the outbox is looked at while nothing is due."""
HOUSE_SECONDS = 1.0
"""How often it is looked whether something is due that nobody asks for: reminders, offers of room, redirections."""
SELDOM_TURNS = 15
WITNESS_SECONDS = 0.5
END_SECONDS = 1.0
"""How often checkpoints are kept that came since."""
STOP_SECONDS_MAX = 3
TOKEN_FILE = "first-token"
LEDGER = "gone.jsonl"
"""Keep it, and back it up, apart from the database."""
OWNER_FILE = "first-owner"
HSTS = "max-age=31536000; includeSubDomains"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'",
    "Referrer-Policy": "no-referrer",
}
"""Of whatever says no others: pages have their own."""

T = TypeVar("T")

log = logging.getLogger("latchwork.server")


@dataclass(frozen=True, slots=True)
class Settings:
    host: str
    port: int
    state: Path
    public_url: str
    """How the world reaches us: it stands in mails."""
    database_url: str | None
    """None: a PostgreSQL of our own, in the state folder."""
    master_secret_file: Path | None
    smtp_url: str | None
    """None: notices wait in the outbox."""
    mail_from: str
    owner_url: str | None = None
    """Of a database of yours: who makes and changes the tables. None: who works with them."""
    security_contact: str | None = None
    """Whom to tell of a weakness: a mailto: or https: address for security.txt."""
    requests_per_minute: int = REQUESTS_PER_MINUTE
    breached: Path | None = None
    """A list of breached passwords, see `actions.breaches`."""
    inner_hosts: frozenset[str] = frozenset()
    """Names of our own network that single sign-on may ask."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--host", help="where to listen (LATCHWORK_HOST, 127.0.0.1)")
    parser.add_argument("--port", type=int, help="where to listen (LATCHWORK_PORT, 8080)")
    parser.add_argument("--roles-sql", metavar="USER", help="print what an administrator of your PostgreSQL runs first")
    parser.add_argument("--state", type=Path, help="folder of secrets and database (LATCHWORK_STATE, var/server)")
    parser.add_argument("--rotate-secret", action="store_true", help="add a master secret, for the next start")
    parser.epilog = (
        "Settings from the environment:\n"
        "  LATCHWORK_PUBLIC_URL          how the world reaches this server; stands in mails\n"
        "  LATCHWORK_DATABASE_URL        a PostgreSQL of yours, instead of the embedded one\n"
        "  LATCHWORK_DATABASE_OWNER_URL  the same as the user who owns the tables, if that is another\n"
        "  LATCHWORK_MASTER_SECRET_FILE  the master secret, if not in the state folder\n"
        "  LATCHWORK_SMTP_URL            smtp://user:password@host:587 or smtps://host:465\n"
        "  LATCHWORK_MAIL_FROM           sender of mails, such as Lockers <lockers@example.org>\n"
        "  LATCHWORK_INNER_HOSTS         names inside your network that single sign-on may ask, with commas between\n"
        "  LATCHWORK_REQUESTS_PER_MINUTE  of one token, account or link at one process (30000; 0 is no limit)\n"
        "  LATCHWORK_BREACHED_PASSWORDS  a list of breached passwords, by SHA-1 and sorted\n"
        "  LATCHWORK_LOG                 text, or json: an object a line\n"
        "  LATCHWORK_SECURITY_CONTACT    mailto: or https: address for /.well-known/security.txt\n"
    )


def settings(args: argparse.Namespace, environment: Mapping[str, str]) -> Settings:
    """Raises BadSetting."""
    host = args.host or environment.get("LATCHWORK_HOST") or "127.0.0.1"
    port_text = str(args.port if args.port is not None else environment.get("LATCHWORK_PORT") or 8080)
    if not port_text.isdigit() or not 0 < int(port_text) < 65_536:
        raise BadSetting(f"LATCHWORK_PORT or --port: {port_text} is not a port number.")
    url = (environment.get("LATCHWORK_PUBLIC_URL") or f"http://{host}:{port_text}").rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise BadSetting("LATCHWORK_PUBLIC_URL begins with http:// or https://.")
    contact = environment.get("LATCHWORK_SECURITY_CONTACT") or None
    if contact and (not contact.startswith(("mailto:", "https://")) or not contact.isprintable()):
        raise BadSetting("LATCHWORK_SECURITY_CONTACT begins with mailto: or https://.")
    requests = environment.get("LATCHWORK_REQUESTS_PER_MINUTE") or str(REQUESTS_PER_MINUTE)
    if not requests.isdecimal() or len(requests) > 9:
        raise BadSetting("LATCHWORK_REQUESTS_PER_MINUTE is a number; 0 is no limit.")
    for name in ("LATCHWORK_DATABASE_URL", "LATCHWORK_DATABASE_OWNER_URL"):
        if environment.get(name):
            _check_encrypted(name, environment[name], environment)
    breached = environment.get("LATCHWORK_BREACHED_PASSWORDS")
    if breached and not os.access(breached, os.R_OK):
        raise BadSetting(f"LATCHWORK_BREACHED_PASSWORDS: {breached} cannot be read.")
    master = environment.get("LATCHWORK_MASTER_SECRET_FILE")
    return Settings(
        host,
        int(port_text),
        Path(args.state or environment.get("LATCHWORK_STATE") or "var/server").absolute(),
        url,
        environment.get("LATCHWORK_DATABASE_URL") or None,
        Path(master) if master else None,
        environment.get("LATCHWORK_SMTP_URL") or None,
        environment.get("LATCHWORK_MAIL_FROM") or "Latchwork <latchwork@localhost.localdomain>",
        environment.get("LATCHWORK_DATABASE_OWNER_URL") or None,
        contact,
        int(requests),
        Path(breached) if breached else None,
        frozenset(environment.get("LATCHWORK_INNER_HOSTS", "").replace(",", " ").split()),
    )


def _check_encrypted(name: str, dsn: str, environment: Mapping[str, str]) -> None:
    """To another machine a connection is encrypted, or the setting says in so many words that it is not."""
    parts = urlsplit(dsn)
    query = dict(parse_qsl(parts.query))
    hosts = (parts.netloc.rpartition("@")[2] or query.get("host") or environment.get("PGHOST", "")).split(",")
    # A path, or no name at all, is a socket of this machine.
    if all(host.startswith("/") or urlsplit(f"//{host}").hostname in (None, *LOOPBACK) for host in hosts):
        return
    mode = query.get("sslmode", environment.get("PGSSLMODE"))
    if mode not in ("verify-full", "verify-ca", "require", "disable"):
        raise BadSetting(
            f"{name}: end it with ?sslmode=verify-full, or with ?sslmode=disable where nobody else is on that network."
        )


def run(args: argparse.Namespace) -> int:
    if args.roles_sql:
        print(roles.script(args.roles_sql), end="")
        return 0
    form = os.environ.get("LATCHWORK_LOG") or FORMATS[0]
    if form not in FORMATS:
        print(f"latchwork server: LATCHWORK_LOG is one of {', '.join(FORMATS)}.", file=sys.stderr)
        return 1
    lines = logging.StreamHandler()
    lines.setFormatter(formatter(form))
    logging.basicConfig(level=logging.INFO, handlers=[lines])
    try:
        import uvloop

        loops: Callable[[], asyncio.AbstractEventLoop] | None = uvloop.new_event_loop
    except ImportError:
        loops = None
    try:
        given = settings(args, os.environ)
        if args.rotate_secret:
            return _rotate(given)
        with asyncio.Runner(loop_factory=loops) as runner:
            runner.run(serve(given))
    except (BadSetting, PortTaken, Unusable, CannotStart, NoRoles, SchemaMismatch, MigrationFailed, OSError) as error:
        print(f"latchwork server: {error}", file=sys.stderr)
        return 1
    return 0


def _rotate(given: Settings) -> int:
    """Raises Unusable."""
    if given.master_secret_file:
        raise Unusable(f"Put a line of 64 random hex digits at the end of {given.master_secret_file} yourself.")
    n = add_master(given.state)
    print(f"{given.state / MASTER} holds {n} master secrets. Copy it to where you keep it, and start the server anew.")
    return 0


async def serve(given: Settings) -> None:
    """Until a signal says stop. Raises what `run` turns into a sentence."""
    stop = _Stop(asyncio.current_task())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        async with AsyncExitStack() as stack:
            listening = stack.enter_context(listen(given.host, given.port, "The server", "--port or LATCHWORK_PORT"))
            dsn, owner = given.database_url, given.owner_url
            if dsn is None:
                owner = await stack.enter_async_context(Embedded(given.state / "postgres"))
                dsn = await roles.make_login(owner)
            cloud = await stack.enter_async_context(running(given, dsn, owner))
            await _greet_first(cloud.office, given.state)
            log.info("listening on http://%s:%s, known as %s", given.host, given.port, given.public_url)
            await stop.serving(cloud, listening)
    except asyncio.CancelledError:
        if not stop.told:
            raise


class _Stop:
    """What a signal does: before we serve it ends the start, later it lets open requests end."""

    def __init__(self, work: "asyncio.Task[Any] | None") -> None:
        self.told = False
        self._work = work
        self._cloud: Cloud | None = None
        self._server: Server | None = None

    def __call__(self) -> None:
        first, self.told = not self.told, True
        if self._server is None or self._cloud is None:
            if first and self._work is not None:
                self._work.cancel()
            return
        self._cloud.live.end()
        self._server.should_exit = True

    async def serving(self, cloud: "Cloud", listening: socket.socket) -> None:
        config = uvicorn.Config(
            cloud.app,
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            http="httptools",
            ws="websockets-sansio",
            timeout_graceful_shutdown=STOP_SECONDS_MAX,
            server_header=False,
            **UVICORN,
        )
        self._cloud, self._server = cloud, Server(config)
        await self._server.serve(sockets=[listening])


@dataclass(frozen=True, slots=True)
class Cloud:
    app: Litestar
    office: Office
    live: Live


def _now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def running(
    given: Settings, dsn: str, owner: str | None = None, clock: Callable[[], datetime] = _now
) -> AsyncIterator[Cloud]:
    """The server without its socket: migrated, checked, and at work. Waits for a database that is not there yet.

    `owner`: the same database as the user who owns the tables, where that is not the user of `dsn`.
    """
    vault = open_vault(given.state, given.master_secret_file)
    mailer = SmtpMailer(given.smtp_url) if given.smtp_url else None
    await _patiently(lambda: migrate(owner or dsn))
    async with await _patiently(lambda: PostgresStore.connect(dsn)) as store:
        ledger = Ledger(given.state / LEDGER)
        office = Office(
            store,
            Tables(store),
            vault,
            clock,
            secrets.token_bytes,
            given.public_url,
            mails=mailer is not None,
            ledger=ledger,
            inner_hosts=given.inner_hosts,
            breached=given.breached,
            tally=Tally(given.requests_per_minute),
        )
        await _reconcile(office, ledger, given.state)
        live = Live()
        witness = Witness(store, vault.witness, vault.sign_as_witness, clock, vault.witnesses[:-1])
        exchange = Exchange(store, clock, witness.take, vault.code_keys)
        link = Link(store, exchange, clock, partial(partners.advise, office))
        work: list[Coroutine[Any, Any, None]] = [live.relay(store, topic) for topic in Topic]
        work += (_keep_witnessing(witness), _keep_house(office))
        if mailer is not None:
            notices = Dispatcher(PostgresOutbox(store), mail_writer(office, given.mail_from), mailer, clock)
            links_sent = Dispatcher(LinkOutbox(store), _link_writer(office, given.mail_from), mailer, clock)
            work += (_keep_sending(notices), _keep_sending(links_sent))
        else:
            log.warning("LATCHWORK_SMTP_URL is not set: notices wait in the outbox")
        if not given.public_url.startswith("https:"):
            log.warning("%s is not encrypted: good for trying out on this machine, and nothing else", given.public_url)
        async with link.running():
            tasks = {asyncio.create_task(each) for each in work}
            try:
                yield Cloud(application(office, live, link, given.security_contact), office, live)
            finally:
                live.end()
                await end(tasks)


async def end(tasks: set[asyncio.Task[None]]) -> None:
    """Again and again: before Python 3.12 `asyncio.wait_for`, by which mails are sent, loses a cancellation that comes
    together with what it waits for."""
    while tasks:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=END_SECONDS)


async def _reconcile(office: Office, ledger: Ledger, state: Path) -> None:
    """Secret, database and ledger belong together; what a restored database forgot is revoked or erased again.

    Raises Unusable.
    """
    if not await _patiently(lambda: access.vault_fits(office)):
        raise Unusable(
            "This database was made with another master secret, or with one more: codes would be wrong. "
            f"Restore {state / MASTER}, or name the right file in LATCHWORK_MASTER_SECRET_FILE."
        )
    if older := await _patiently(lambda: access.under_older(office)):
        log.info(
            "master secret %d is in use; from before it are %d live codes, %d authenticator apps and "
            "%d sets of recovery codes, and %d walls have not taken their new code key",
            office.vault.generation, older.codes, older.apps, older.recovery_codes, older.walls,
        )  # fmt: skip
    try:
        await _patiently(lambda: privacy.replay(office, ledger.read()))
    except ValueError as error:
        raise Unusable(f"The ledger of what must stay gone is damaged: {error}. Repair or restore it.") from None


def application(office: Office, live: Live, link: Link, security_contact: str | None = None) -> Litestar:
    """What is served. Whom it is served for stands in its state alone."""
    app = copy(_routes())
    app.state = State({"office": office, "live": live, "link": link, "security_contact": security_contact})
    return app


@cache
def _routes() -> Litestar:
    """Put together once a process: of all that a server does before it answers, this takes the longest."""
    return Litestar(
        [health, hear_bank, *api.routers(), *web.routers()],
        before_send=[_harden],
        openapi_config=api.openapi(),
        exception_handlers={Exception: _excuse},
        logging_config=None,
        type_encoders={Sentence: str},
    )


async def _harden(message: Message, scope: Scope) -> None:
    """What every answer carries, files and errors too."""
    if message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        office: Office = scope["litestar_app"].state.office
        if office.public_url.startswith("https:"):
            headers["Strict-Transport-Security"] = HSTS


@get("/health", include_in_schema=False)
async def health(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Whether we can work; a problem with 503 while the database is away."""
    office: Office = request.app.state.office
    await office.tables.value("tokens_exist")
    return {"status": "ok"}


def _excuse(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    path = request.url.path
    if path == "/health" or path == "/api" or path.startswith("/api/"):
        return problem(error)
    return web.excuse(error, request)


def mail_writer(office: Office, sender: str) -> Callable[[DueNotice], Awaitable[EmailMessage]]:
    async def write(due: DueNotice) -> EmailMessage:
        found: Letter | alarms.Alarm | NotSent
        if due.kind == alarms.ALARM:
            found = await alarms.letter(office, due.id, due.bank, due.person)
        else:
            found = await letter(office, due.id, due.kind, due.stay, due.person)
        match found:
            case NotSent(why):
                raise NothingToSay(why)
            case Letter():
                return compose(found, sender, office.now())
        return compose_alarm(found, sender, office.now())

    return write


def _link_writer(office: Office, sender: str) -> Callable[[DueNotice], Awaitable[EmailMessage]]:
    async def write(due: DueNotice) -> EmailMessage:
        found = await links.letter(office, due.id)
        if found is None:
            raise NothingToSay("outdated")
        return compose_link(found, sender, office.now())

    return write


async def _keep_witnessing(witness: Witness) -> None:
    while True:
        try:
            await witness.step()
        except Unavailable as error:
            log.debug("no checkpoints are kept: %s", error)
        except Exception:
            log.exception("a checkpoint could not be countersigned")
        await asyncio.sleep(WITNESS_SECONDS)


async def _keep_house(office: Office) -> None:
    for turn in itertools.count():
        try:
            await jobs.step(office, seldom=turn % SELDOM_TURNS == 0)
        except Unavailable as error:
            log.debug("the house is not kept: %s", error)
        await asyncio.sleep(HOUSE_SECONDS)


async def _keep_sending(dispatcher: Dispatcher[EmailMessage]) -> None:
    while True:
        handled = 0
        try:
            handled = await dispatcher.step()
        except Unavailable as error:
            log.debug("the outbox cannot be read: %s", error)
        except Exception:
            log.exception("a notice could not be handled")
        if not handled:
            await asyncio.sleep(OUTBOX_SECONDS)


async def _greet_first(office: Office, state: Path) -> None:
    """The first token, at the first start, and as long as there is no owner the link that makes one: in files that only
    we can read. On a terminal the link is printed too; a log is no place for it."""
    file = state / TOKEN_FILE
    if await access.begin(office, lambda token: write_private(file, f"{token}\n".encode())):
        log.info("the first API token is in %s", file)
    link, file = await links.owner_link(office), state / OWNER_FILE
    if link is None:
        file.unlink(missing_ok=True)
        return
    write_private(file, f"{link}\n".encode())
    log.info("nobody owns this installation yet: the one-time link that makes its owner is in %s", file)
    if sys.stdout.isatty():
        print(f"\n  Become the owner of this installation, within a day, at\n  {link}\n", flush=True)


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    told = False
    while True:
        try:
            return await ask()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, Unavailable) as error:
            if not isinstance(error, Unavailable) and not lost(error):
                raise CannotStart(f"The database refuses to work for us: {error}") from error
            if not told:
                log.warning("waiting for the database: %s", error)
            told = True
            await asyncio.sleep(RETRY_SECONDS)
