"""`latchwork run`: the whole of Latchwork on one machine, every part a process of its own.

The server with its database, a mail catcher, two banks, and two simulated lock boards. The first start sets up an
organisation through the public API, as a customer's system would; later starts find it again.
"""

import argparse
import asyncio
import fcntl
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import httpx
import msgspec

from latchwork.simulator.clients import Api, Refused, Unseen, seen
from latchwork.simulator.news import News
from latchwork.simulator.ports import HOST, free_port
from latchwork.simulator.processes import Child, Failed, Part
from latchwork.simulator.scenery import CAMPUS, LOBBY, LOCKS_PER_BOARD, DemoWall, write_config

PORTS: Mapping[str, tuple[str, int, str]] = {
    "server": ("LATCHWORK_PORT", 8080, "the server's API and pages"),
    "lobby": ("LATCHWORK_LOBBY_PORT", 8081, "the kiosk of the bank in the lobby"),
    "campus": ("LATCHWORK_CAMPUS_PORT", 8082, "the kiosk of the bank on the campus"),
    "lobby-board": ("LATCHWORK_LOBBY_BOARD_PORT", 8083, "the doors of the lobby, to touch"),
    "campus-board": ("LATCHWORK_CAMPUS_BOARD_PORT", 8084, "the doors of the campus, to touch"),
    "campus-line": ("LATCHWORK_CAMPUS_LINE_PORT", 8085, "the campus boards' gateway, for the bank only"),
    "mail": ("LATCHWORK_MAIL_PORT", 8025, "the mails that were sent"),
    "smtp": ("LATCHWORK_SMTP_PORT", 2525, "where the server hands its mails in"),
}
READY_S = 120.0
SERVER_READY_S = 180.0
"""The first start makes a database, and a start after a crash recovers one."""
GRANTED_S = 60.0
SERVER_STOP_S = 45.0
WALLS = (LOBBY, CAMPUS)
CARRIER = "Swift Parcels"
PEOPLE = (
    ("Ada Lovelace", "12"),
    ("Grace Hopper", "14"),
    ("Alan Turing", "21"),
    ("Katherine Johnson", "23"),
    ("Edsger Dijkstra", "31"),
    ("Annie Easley", "34"),
)
FIRST_PARCELS = (("LW-1001", "Ada Lovelace", "lobby"), ("LW-1002", "Grace Hopper", "campus"))


class CannotRun(Exception):
    """The message is a sentence for the person who asked."""


class Made(msgspec.Struct):
    """What the first start has made so far; kept after every step, so that an interrupted one goes on."""

    first_token: str = ""
    token: str = ""
    site: str = ""
    party: str = ""
    people: dict[str, str] = {}
    banks: dict[str, str] = {}
    passes: dict[str, str] = {}
    """By bank and role: "lobby courier"."""
    parcels: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Ports:
    numbers: Mapping[str, int]

    @classmethod
    def from_environment(cls) -> "Ports":
        numbers = {}
        for name, (variable, usual, _) in PORTS.items():
            given = os.environ.get(variable, "") or str(usual)
            if not given.isdigit() or not 0 < int(given) < 65_536:
                raise CannotRun(f"{variable}={given} is not a port number.")
            numbers[name] = int(given)
        return cls(numbers)

    @classmethod
    def free(cls) -> "Ports":
        """Ports that nobody uses at this moment."""
        return cls({name: free_port() for name in PORTS})

    def check(self) -> None:
        """Raises CannotRun, naming every port that is taken and the setting that moves it."""
        taken = []
        for name, port in self.numbers.items():
            try:
                socket.create_server((HOST, port)).close()
            except OSError as error:
                variable, _, what = PORTS[name]
                taken.append(f"Port {port} ({what}) cannot be had: {error.strerror}. {variable}=... moves it.")
        doubled = {port for port in self.numbers.values() if list(self.numbers.values()).count(port) > 1}
        taken += [f"Port {port} is wanted for two things." for port in sorted(doubled)]
        if taken:
            raise CannotRun("\n".join(taken))

    def url(self, name: str) -> str:
        return f"http://{HOST}:{self.numbers[name]}"


class Stage:
    """All processes of a demo on one data folder; an async context manager. Enter it on the main thread."""

    def __init__(self, data: Path, ports: Ports, tell: Callable[[str], None], *, parcels: bool = True) -> None:
        self.data = data.absolute()
        self.ports = ports
        self.made = Made()
        self.api = Api(ports.url("server"))
        self.sign_in_link = ""
        self._tell = tell
        self._with_parcels = parcels
        self._held = ExitStack()
        self.children: dict[str, Child] = {}
        """By "server", "mail", and for each wall its key and its key with "-board"."""

    async def __aenter__(self) -> "Stage":
        try:
            await self._open()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Banks first, that they may say their last word; the server and its database at the end."""
        edges = [self.children[wall.key] for wall in WALLS if wall.key in self.children]
        await asyncio.gather(*(child.stop() for child in edges))
        others = [child for child in self.children.values() if child not in edges]
        await asyncio.gather(*(child.stop(SERVER_STOP_S) for child in others))
        await self.api.close()
        self._held.close()

    def code(self, wall: str, role: str) -> str:
        return self._codes[f"{wall} {role}"]

    # The processes

    async def _open(self) -> None:
        self._take_folder()
        self.ports.check()
        self.children = {name: Child(part, self._tell) for name, part in self._parts()}
        for name, child in self.children.items():
            if name not in {wall.key for wall in WALLS}:
                child.start()
        await self.children["server"].ready(self._answers("server"), SERVER_READY_S)
        for name in ("mail", *(f"{wall.key}-board" for wall in WALLS)):
            await self.children[name].ready(self._answers(name), READY_S)
        await self._set_up()
        for wall in WALLS:
            edge = self.children[wall.key]
            if (self.data / wall.key / "state" / "identity.json").exists():
                edge.start()
            else:
                invitation = await self.api.post(f"banks/{self.made.banks[wall.key]}/enrolment-codes")
                edge.start(enrolling(edge.part, invitation["enrolment_code"]))
        for wall in WALLS:
            await self.children[wall.key].ready(self._answers(wall.key), READY_S)
            self.children[wall.key].part = self._edge(wall)  # the code was for once
        self._codes = await self._granted()
        self.sign_in_link = str((await self.api.post("sign-in-links"))["link"])

    def _take_folder(self) -> None:
        try:
            for folder in (self.data, self.data / "logs", *(self.data / wall.key for wall in WALLS)):
                folder.mkdir(parents=True, exist_ok=True)
            file = self._held.enter_context((self.data / "holder").open("a"))
        except OSError as error:
            raise CannotRun(f"The data folder {self.data} cannot be used: {error.strerror}.") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotRun(f"Another `latchwork run` works in {self.data}. Name another folder with --data.") from None

    def _parts(self) -> Iterator[tuple[str, Part]]:
        yield "server", self._server()
        yield "mail", self._catcher()
        for wall in WALLS:
            yield f"{wall.key}-board", self._board(wall)
        for wall in WALLS:
            yield wall.key, self._edge(wall)

    def _catcher(self) -> Part:
        places = (f"{HOST}:{self.ports.numbers['smtp']}", f"{HOST}:{self.ports.numbers['mail']}")
        words = ("--smtp", places[0], "--http", places[1], "--folder", str(self.data / "mails"))
        return self._part("mail catcher", "-m", "latchwork.server.catcher", *words)

    def _server(self) -> Part:
        smtp = self.ports.numbers["smtp"]
        return self._part(
            "server",
            *("-m", "latchwork.main", "server"),
            env={
                "LATCHWORK_HOST": HOST,
                "LATCHWORK_PORT": str(self.ports.numbers["server"]),
                "LATCHWORK_STATE": str(self.data / "server"),
                "LATCHWORK_PUBLIC_URL": self.ports.url("server"),
                "LATCHWORK_SMTP_URL": f"smtp://{HOST}:{smtp}",
            },
        )

    def _board(self, wall: DemoWall) -> Part:
        folder = self.data / wall.key
        line = ("--pty", str(folder / "line"))
        if wall is CAMPUS:
            line = ("--tcp", f"{HOST}:{self.ports.numbers['campus-line']}")
        return self._part(
            f"{wall.key} board",
            *("-m", "latchwork.main", "board", "kerong-cu16", *line),
            *("--control", f"{HOST}:{self.ports.numbers[f'{wall.key}-board']}"),
            *("--boards", str(wall.boards), "--locks", str(LOCKS_PER_BOARD), "--state", str(folder / "wall.json")),
            *("--labels", ",".join(c.id for c in wall.compartments())),
        )

    def _edge(self, wall: DemoWall) -> Part:
        folder = self.data / wall.key
        config = folder / "bank.toml"
        line = str(folder / "line") if wall is LOBBY else f"socket://{HOST}:{self.ports.numbers['campus-line']}"
        kiosk = (HOST, self.ports.numbers[wall.key])
        write_config(config, wall, server=self.ports.url("server"), kiosk=kiosk, line=line)
        return self._part(f"{wall.key} bank", "-m", "latchwork.main", "edge", str(config))

    def _part(self, name: str, *words: str, env: Mapping[str, str] | None = None) -> Part:
        log = self.data / "logs" / f"{name.replace(' ', '-')}.log"
        return Part(name, (sys.executable, *words), log, env or {})

    def _answers(self, name: str) -> Callable[[], Any]:
        """Whether something sensible listens on that port."""

        async def look() -> bool:
            async with httpx.AsyncClient(timeout=2) as client:
                try:
                    return (await client.get(self.ports.url(name))).status_code < 500
                except httpx.HTTPError:
                    return False

        return look

    # What stands in the server's tables: made through the public API, once

    async def _set_up(self) -> None:
        file = self.data / "stage.json"
        if file.exists():
            self.made = msgspec.json.decode(file.read_bytes(), type=Made)
        try:
            await self._make(lambda: _write_private(file, msgspec.json.encode(self.made)))
        except Refused as error:
            hint = f"Was its database removed? Then remove {self.data} as well, to begin anew."
            raise CannotRun(f"The server does not do what {file} expects: {error} {hint}") from None

    async def _make(self, keep: Callable[[], None]) -> None:
        made, api = self.made, self.api
        if not made.token:
            api.token = self._first_token()
            made.token = (await api.post("organisations", name="Latchwork Demo"))["token"]
            keep()
        api.token = made.token
        await api.get("organisations")  # a server that does not know us any more says so here
        if not made.site:
            site = await api.post("sites", name="Riverside", address="1 Wharf Road", time_zone="Europe/Berlin")
            made.site = site["id"]
            keep()
        if not made.party:
            made.party = (await api.post("parties", name=CARRIER))["id"]
            keep()
        for name, unit in PEOPLE:
            if name not in made.people:
                email = f"{name.split()[0].lower()}@example.org"
                made.people[name] = (await api.post("people", name=name, unit=unit, email=email))["id"]
                keep()
        for wall in WALLS:
            if wall.key not in made.banks:
                made.banks[wall.key] = (await api.post("banks", site=made.site, name=wall.name))["bank"]
                keep()
            for role, party in (("courier", made.party), ("staff", None)):
                if f"{wall.key} {role}" not in made.passes:
                    granted = await api.post("passes", bank=made.banks[wall.key], role=role, party=party)
                    made.passes[f"{wall.key} {role}"] = granted["id"]
                    keep()
        for tracking, name, wall_key in FIRST_PARCELS if self._with_parcels else ():
            if tracking not in made.parcels:
                made.parcels[tracking] = await self.announce(tracking, name, wall_key)
                keep()

    async def announce(self, tracking: str, recipient: str, wall: str, **more: Any) -> str:
        stay = await self.api.post(
            "stays",
            headers={"Idempotency-Key": f'"{tracking}"'},
            bank=self.made.banks[wall],
            recipient=self.made.people[recipient],
            party=self.made.party,
            tracking=tracking,
            **more,
        )
        return str(stay["id"])

    def _first_token(self) -> str:
        given = os.environ.get("LATCHWORK_TOKEN", "")
        file = self.data / "server" / "first-token"
        if not given and not file.exists():
            raise CannotRun(
                f"This server was set up before, and its first token is not in {file}. "
                "Name a token that may create organisations in LATCHWORK_TOKEN."
            )
        return given or file.read_text().strip()

    async def _granted(self) -> dict[str, str]:
        """The codes, once the banks have heard of them and answered."""
        codes: dict[str, str] = {}
        for name, granted in self.made.passes.items():

            async def digits(granted: str = granted) -> str | None:
                found = await self.api.get(f"passes/{granted}")
                return str(found["digits"]) if found["digits"] else None

            try:
                codes[name] = await seen(f"a code for {name}", digits, GRANTED_S)
            except Unseen as error:
                raise Failed(f"{error}. {self.children[name.split()[0]].tail()}") from None
        return codes


def configure(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    settings = "\n".join(f"  {name:28}{usual:<7}{what}" for name, usual, what in PORTS.values())
    parser.epilog = (
        f"Settings, from the environment. Ports, all on {HOST}:\n{settings}\n"
        f"  {'LATCHWORK_DATABASE_URL':28}{'':7}a PostgreSQL of yours, instead of the embedded one\n"
        f"  {'LATCHWORK_TOKEN':28}{'':7}the first token, where that database is in use already\n"
    )
    parser.add_argument("--data", type=Path, default=Path("var/run"), help="where everything is kept (var/run)")


def run(args: argparse.Namespace) -> int:
    try:
        return asyncio.run(_run(args.data))
    except (CannotRun, Failed, Refused) as error:
        print(f"latchwork run: {error}", file=sys.stderr)
        return 1


async def _run(data: Path) -> int:
    news = News(sys.stdout)
    told = _stop_signals()
    stage = Stage(data, Ports.from_environment(), news.say)
    first = not (stage.data / "stage.json").exists()
    print("Setting everything up; the first start takes a little longer." if first else "Starting.", flush=True)
    opening = asyncio.create_task(stage.__aenter__())
    stopping = asyncio.create_task(told.wait())
    await asyncio.wait({opening, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not opening.done():
        opening.cancel()
        with suppress(asyncio.CancelledError):
            await opening
        return 0
    await opening
    try:
        _print_programme(stage, sys.stdout)
        watching = asyncio.create_task(news.watch(stage))
        await asyncio.wait({stopping, watching}, return_when=asyncio.FIRST_COMPLETED)
        if watching.done():  # our mistake, but nothing that anybody should be stopped for
            news.say(f"the news have ended: {watching.exception()!r}")
        await stopping
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    finally:
        print("\nStopping.", flush=True)
        await stage.close()
    return 0


def _stop_signals() -> asyncio.Event:
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    return told


def _print_programme(stage: Stage, out: TextIO) -> None:
    url, made = stage.ports.url, stage.made
    rows = [
        ("API", f"{url('server')}/api/openapi.json", f"bearer token  {made.token}"),
        ("Mails", url("mail"), ""),
    ]
    for wall in WALLS:
        codes = f"courier  {stage.code(wall.key, 'courier')}   staff  {stage.code(wall.key, 'staff')}"
        rows += [(f"{wall.name} kiosk", url(wall.key), codes), (f"{wall.name} doors", url(f"{wall.key}-board"), "")]
    wide = max(len(address) for _, address, _ in rows)
    print(f"\n  Operator      {stage.sign_in_link}\n                opens the operator's pages, once\n", file=out)
    for what, address, note in rows:
        print(f"  {what:<14}{address:<{wide}}  {note}".rstrip(), file=out)
    courier = stage.code("lobby", "courier")
    print(
        f"\n  Try this: at the lobby kiosk enter {courier}, then the label LW-1001, say yes and choose a size:"
        "\n  a door opens. On the doors' page put the parcel in and push the door shut; say so at the kiosk."
        "\n  Ada gets a mail, and her code opens the door again."
        "\n  Kill what you like, it comes back. Ctrl-C ends everything.\n",
        file=out,
        flush=True,
    )


def enrolling(part: Part, code: str) -> Part:
    """A bank's process for its first start."""
    return Part(part.name, (*part.argv, "--enrol", code), part.log, part.env)


def _write_private(path: Path, content: bytes) -> None:
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
