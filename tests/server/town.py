"""A whole cloud on free ports with one bank that is driven by hand: real PostgreSQL, HTTP, WebSocket and SMTP."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import uvicorn
from tests.server.fake_bank import FakeBank
from websockets.asyncio.client import connect

from latchwork.domain import commands as c
from latchwork.domain.bank import About
from latchwork.domain.words import BankId, ClaimId, OpeningId, PassId, ServiceId, StayId
from latchwork.edge.keyring import Keyring
from latchwork.server import catcher
from latchwork.server.link import UVICORN
from latchwork.server.main import TOKEN_FILE, Cloud, Settings, _greet_first, running
from latchwork.server.ports import Server, listen
from latchwork.store.postgres import PostgresStore
from latchwork.store.roles import make_login
from latchwork.sync import keys
from latchwork.sync.codec import read_instruction
from latchwork.sync.exchange import CODE_KEYS, Challenge, Down, pack, unpack

QUIET_S = 0.05
PATIENCE_S = 60.0
SETTLED = """
    SELECT b.size = $2 AND NOT EXISTS (
        SELECT FROM instructions i
        WHERE i.bank = b.id AND i.answered_at IS NULL AND NOT (i.unsigned AND coalesce(i.not_after > now(), true))
    ) AND NOT EXISTS (
        SELECT FROM documents d WHERE d.bank = b.id AND d.version > coalesce((b.documents ->> d.name)::bigint, 0)
    )
    FROM banks b WHERE b.id = $1
"""
"""The server has all that the bank wrote, and the bank has answered all that it may be sent."""


@dataclass
class WallBank(FakeBank):
    """Makes real codes, and comes on line when it is told to."""

    code_key: bytes = b""
    generation: int = 1
    older: tuple[bytes, ...] = ()
    url: str = ""
    store: PostgresStore | None = None
    """The server's, to know when it has heard all."""
    offered: str | None = None

    def offer(self, pass_id: str | None = None) -> c.Offer:
        return keys.offer(self.code_key, self.generation, PassId(pass_id or self.offered or self.fresh()), 6)

    @property
    def keyring(self) -> Keyring:
        return Keyring(self.code_key, self.generation, self.fresh, self.older)

    async def hear(self, down: Down) -> None:
        """As FakeBank does, with the code of the pass that an order is about, as the real loop offers it."""
        orders, self.offered = down.orders, None
        for said in (document.body for document in down.documents if document.name == CODE_KEYS):
            handed = msgspec.json.decode(said, type=dict[int, str])
            self.generation = max(handed)
            self.code_key = bytes.fromhex(handed.pop(self.generation))
            self.older = tuple(map(bytes.fromhex, handed.values()))
        for order in (None, *orders):
            if order is not None:
                body = read_instruction(order.body)
                self.offered = getattr(body, "pass_id", None) or getattr(body, "drop_off", None)
            one = msgspec.structs.replace(down, orders=(order,) if order else (), documents=down.documents)
            await super().hear(one)
        self.offered = None

    async def sync(self) -> None:
        """One connection, until neither side has anything that the other lacks."""
        assert self.store is not None
        self.now = max(self.now, datetime.now(UTC))
        url = f"{self.url.replace('http', 'ws', 1)}/bank"
        async with asyncio.timeout(PATIENCE_S), connect(url, proxy=None) as socket:
            challenge = unpack(await _bytes(socket.recv()))
            assert isinstance(challenge, Challenge)
            await socket.send(pack(self.hello(challenge.nonce)))
            while True:
                try:
                    message = unpack(await asyncio.wait_for(_bytes(socket.recv()), QUIET_S))
                except TimeoutError:
                    if self.end is not None and (await self.store.fetch(SETTLED, self.id, self.journal.size))[0][0]:
                        return
                    continue
                assert isinstance(message, Down), message
                await self.hear(message)
                while (up := self.up()) is not None:
                    await socket.send(pack(up))

    def pass_with(self, digits: str) -> PassId:
        return self.bank.codes[self.keyring.code(digits, self.bank.codes)]

    async def put_in(self, courier_digits: str, stay: str | None = None, **about: Any) -> str:
        """A courier signs in with a code and puts a thing in, announced or not."""
        self.now = max(self.now, datetime.now(UTC))
        session = await self.sign_in(self.pass_with(courier_digits))
        opening, stay_id = OpeningId(self.fresh()), StayId(stay or self.fresh())
        told = About(ServiceId("parcel"), **about) if about else None
        claim = ClaimId(self.fresh())
        decision = await self.do(c.Deposit(session, opening, claim, stay_id, self.offer(), told))
        assert decision.refusal is None, decision.refusal
        await self.swing()
        await self.do(c.Confirm(session, opening))
        await self.do(c.SignOut(session))
        return stay_id

    async def take_out(self, digits: str) -> None:
        await self.collect(StayId(str(self.bank.passes[self.pass_with(digits)].grant.stay)))


async def _bytes(raw: Any) -> bytes:
    found = await raw
    assert isinstance(found, bytes)
    return found


@dataclass
class Town:
    cloud: Cloud
    url: str
    http: httpx.AsyncClient
    root: str
    token: str = ""
    site: str = ""
    bank: str = ""
    party: str = ""
    person: str = ""
    courier: str = ""
    wall: WallBank = field(default_factory=WallBank)
    mail_url: str = ""

    async def ask(self, method: str, path: str, status: int | None = None, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token or self.root}", **more.pop("headers", {})}
        answer = await self.http.request(method, f"/api/v1/{path}", headers=headers, **more)
        if status is None:
            assert answer.is_success, (method, path, answer.status_code, answer.text)
        else:
            assert answer.status_code == status, (method, path, answer.status_code, answer.text)
        return answer.json() if answer.content else None

    async def announce(self, key: str, status: int | None = None, **body: Any) -> Any:
        told = {"bank": self.bank, "recipient": self.person, "party": self.party, "tracking": key, **body}
        return await self.ask("POST", "stays", status, json=told, headers={"Idempotency-Key": f'"{key}"'})

    async def deposit(self, key: str = "LW-1", **body: Any) -> str:
        """A parcel that was announced and is in; the id of its stay."""
        stay = str((await self.announce(key, **body))["id"])
        await self.wall.sync()
        await self.wall.put_in(self.courier, stay)
        await self.wall.sync()
        return stay

    async def settle(self) -> "Town":
        """An organisation with a site, a person, a carrier, and a bank whose controller has enrolled."""
        self.token = (await self.ask("POST", "organisations", json={"name": "Town"}))["token"]
        site = {"name": "Riverside", "address": "1 Wharf Road\n10115 Berlin", "time_zone": "Europe/Berlin"}
        self.site = (await self.ask("POST", "sites", json=site))["id"]
        self.party = (await self.ask("POST", "parties", json={"name": "Swift Parcels"}))["id"]
        person = {"name": "Ada Lovelace", "email": "ada@example.org", "unit": "12"}
        self.person = (await self.ask("POST", "people", json=person))["id"]
        invited = await self.ask("POST", "banks", json={"site": self.site, "name": "Lobby"})
        self.bank = invited["bank"]
        self.wall = WallBank(id=BankId(self.bank), doors=12, url=self.url, now=datetime.now(UTC))
        self.wall.store = self.cloud.office.store
        code = invited["enrolment_code"]
        signature = self.wall.key.sign(keys.enrol_text(code, self.wall.public))
        enrolment = {"code": code, "public_key": self.wall.public.hex(), "signature": signature.hex()}
        answer = await self.http.post("/api/v1/enrolments", json=enrolment)
        self.wall.code_key = bytes.fromhex(answer.json()["code_key"])
        await self.wall.build()
        granted = await self.ask("POST", "passes", json={"bank": self.bank, "role": "courier", "party": self.party})
        while not self.courier:  # on a slow machine a connection may seem quiet too early
            await self.wall.sync()
            self.courier = (await self.ask("GET", f"passes/{granted['id']}"))["digits"] or ""
        return self

    async def sign_in_link(self) -> str:
        """A one-time way into the operator's pages, as a person with the token would ask for it."""
        return str((await self.ask("POST", "sign-in-links"))["link"])

    async def sign_in(self, browser: httpx.AsyncClient | None = None) -> None:
        answer = await (browser or self.http).post(await self.sign_in_link(), headers={"Sec-Fetch-Site": "none"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/operator"), answer.text

    async def mails(self, count: int, to: str = "ada@example.org") -> list[dict[str, Any]]:
        """The mails caught, the newest first, once there are so many."""
        found: list[dict[str, Any]] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient(base_url=self.mail_url, timeout=None) as client:
                while len(found) < count:
                    found = (await client.get("/mails", params={"to": to})).json()
                    await asyncio.sleep(0.05)
        assert len(found) >= count, f"{len(found)} mails instead of {count}"
        return found


@asynccontextmanager
async def town(
    database: str,
    folder: Path,
    *,
    mail: bool = False,
    public_url: str | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    inner_hosts: frozenset[str] = frozenset(),
) -> AsyncIterator[Town]:
    sock = listen("127.0.0.1", 0, "test", "test")
    url = _address("http", sock)
    mails = [listen("127.0.0.1", 0, "test", "test") for _ in range(2)] if mail else []
    smtp, mail_url = (_address("smtp", mails[0]), _address("http", mails[1])) if mails else (None, "")
    given = Settings(
        "127.0.0.1",
        0,
        folder,
        public_url or url,
        database,
        None,
        smtp,
        "Lockers <lockers@example.org>",
        inner_hosts=inner_hosts,
    )
    tasks = []
    if mails:
        tasks.append(asyncio.create_task(catcher.serve(mails[0], mails[1], folder / "mails")))
    async with AsyncExitStack() as stack:
        for each in (sock, *mails):
            stack.enter_context(each)
        cloud = await stack.enter_async_context(running(given, await make_login(database), database, clock))
        await _greet_first(cloud.office, folder)
        server = Server(
            uvicorn.Config(cloud.app, log_level="warning", lifespan="off", ws="websockets-sansio", **UVICORN)
        )
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        root = (folder / TOKEN_FILE).read_text().strip()
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
            try:
                yield Town(cloud, url, client, root, mail_url=mail_url)
            finally:
                cloud.live.end()
                server.should_exit = True
                await serving
                for task in tasks:
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task


def _address(scheme: str, sock: socket.socket) -> str:
    return f"{scheme}://127.0.0.1:{sock.getsockname()[1]}"
