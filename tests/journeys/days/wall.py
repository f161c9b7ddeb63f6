"""A whole town in one process: the real cloud over HTTP, and real controllers that lose network and power.

A wall is everything that `latchwork edge` runs but the boards: here doors open as soon as their coil has power, unless
they are jammed, and stay open until somebody shuts them. Time runs on by itself, and days ahead when it is told to.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from litestar import Litestar
from tests.server.town import Town, town

from latchwork.domain.bank import Fitting, Stay
from latchwork.domain.commands import See
from latchwork.domain.words import CompartmentId, DoorState, PassId, Size, StayId
from latchwork.edge import identity
from latchwork.edge.clock import BankClock
from latchwork.edge.desk import EdgeDesk
from latchwork.edge.keyring import Keyring
from latchwork.edge.kiosk.app import kiosk_app
from latchwork.edge.link import Link
from latchwork.edge.loop import Loop
from latchwork.edge.talk import Talk
from latchwork.server import jobs
from latchwork.store.sqlite import DiskFull, SqliteJournal
from latchwork.sync.keys import digits_of

PATIENCE_S = 60.0
LOOK_S = 0.03
STEP_S = 0.4
"""So much further is the walls' time at each look: locks rest between two pulses."""
LOOKS_MAX = 100
"""No further: nobody at the screen is thought to have gone while a slow machine is waited for."""
SMALL, LARGE = Size(380, 100, 640), Size(380, 410, 640)
PARCEL: dict[str, Any] = {"id": "parcel", "deposit_by": "courier", "collect_by": "person", "pickup_hours_max": 72}


@dataclass
class Time:
    ahead_s: float = 0.0

    def utc(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead_s)

    def seconds(self) -> float:
        return time.monotonic() + self.ahead_s

    def on(self, day: datetime) -> None:
        """Never back."""
        self.ahead_s = max(self.ahead_s, (day - datetime.now(UTC)).total_seconds())


class Wall(httpx.AsyncBaseTransport):
    """One controller; browsers reach its kiosk through it."""

    def __init__(self, folder: Path, server: str, time: Time, fittings: Sequence[Fitting]) -> None:
        self.folder = folder
        self.time = time
        self.off_s = 0.0
        """How wrong its own clock is."""
        self.open: set[str] = set()
        self.jammed: set[str] = set()
        self.inside: dict[str, list[str]] = {}
        self._server = server
        self._fittings = tuple(fittings)
        self._app: Litestar | None = None
        self._link: asyncio.Task[None] | None = None

    @property
    def bank(self) -> str:
        return self.who.bank

    # Power and network

    async def enrol(self, code: str) -> None:
        self.folder.mkdir()
        self.who = await identity.enrol(self._server, code, self.folder)
        await self.start()
        self.mend()

    async def start(self) -> None:
        who, boot, seconds = self.who, uuid4().hex, self.time.seconds
        self._journal = SqliteJournal(self.folder)
        keyring = Keyring(bytes.fromhex(who.code_key), who.generation, lambda: uuid4().hex)
        clock = BankClock(lambda: self.time.utc() + timedelta(seconds=self.off_s), seconds)
        self.loop = Loop(who.bank, self._journal, self, clock, keyring, DiskFull)
        self.desk = EdgeDesk(self.loop, self._journal, self.folder / "photos")
        await self.loop.start(boot, "test", self._fittings)
        public = who.key.public_key().public_bytes_raw()
        self._talk = Talk(who.bank, self.loop, self._journal, public, who.key.sign, boot)
        self.desk.tell(See({x: self._leaf(x) for x in self._doors()}))
        self._app = kiosk_app(self.desk, bank_name="Lobby", now=self.time.utc, monotonic_s=seconds)
        self._running = AsyncExitStack()
        await self._running.enter_async_context(self._app.state.kiosk.running())
        self._work = asyncio.create_task(self.desk.run())

    async def power_cut(self) -> None:
        linked = self._link is not None
        await self.stop()
        await self.start()
        if linked:
            self.mend()

    async def stop(self) -> None:
        await self.cut()
        self._app = None
        await _end(self._work)
        await self._running.aclose()
        self._journal.close()

    async def cut(self) -> None:
        """The network is gone."""
        if self._link is not None:
            await _end(self._link)
        self._link = None

    def mend(self) -> None:
        link = Link(self._server, self.desk, self._talk, "test")
        self.desk.partner = link.ask
        self._link = asyncio.create_task(link.run())

    # Doors

    async def pulse(self, compartment: CompartmentId) -> None:
        if compartment not in self.jammed:
            self.open.add(compartment)
            self.desk.tell(See({compartment: DoorState.OPEN}))

    def shut(self, *doors: str) -> None:
        for door in doors:
            self.open.remove(door)
            self.desk.tell(See({CompartmentId(door): DoorState.CLOSED}))

    def force(self, door: str) -> None:
        self.open.add(door)
        self.desk.tell(See({CompartmentId(door): DoorState.OPEN}))

    def state(self, door: str) -> str:
        return str(self.loop.bank.compartments[CompartmentId(door)].state)

    def code(self, pass_id: PassId | None) -> str:
        """What stands in somebody's mail."""
        assert pass_id is not None
        grant = self.loop.bank.passes[pass_id].grant
        return digits_of(bytes.fromhex(self.who.code_key), pass_id, grant.n, grant.digits)

    def pickup(self, stay: str) -> str:
        return self.code(self.stay(stay).pickup)

    def stay(self, stay: str) -> Stay:
        """In the wall's own eyes."""
        return self.loop.bank.stays[StayId(stay)]

    def _doors(self) -> list[CompartmentId]:
        return [x.id for x in self._fittings if not x.shelf]

    def _leaf(self, door: str) -> DoorState:
        return DoorState.OPEN if door in self.open else DoorState.CLOSED

    # Time

    async def until(self, look: Callable[[], bool], what: str = "") -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while not look():
                    self.time.ahead_s += STEP_S
                    self.desk.stir()
                    await asyncio.sleep(LOOK_S)
                return
        raise AssertionError(f"{what or look} has not come about")

    # The kiosk

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._app is None:
            raise httpx.ConnectError("the screen is dark")
        return await httpx.ASGITransport(self._app).handle_async_request(request)  # type: ignore[arg-type]


class Person:
    """Somebody at the screen of a wall."""

    def __init__(self, wall: Wall) -> None:
        self.wall = wall
        self.now: dict[str, Any] = {}
        self._http = httpx.AsyncClient(timeout=60, transport=wall, base_url="http://localhost")

    async def press(self, do: str, **more: Any) -> str:
        answer = await self._http.post("/act", json={"do": do, **more})
        assert answer.status_code == 200, answer.text
        self.now = answer.json()
        return self.screen

    async def shows(self, *screens: str) -> str:
        looks = itertools.count()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while not self.now or self.screen not in screens:
                    if next(looks) < LOOKS_MAX:
                        self.wall.time.ahead_s += STEP_S
                    self.wall.desk.stir()
                    await asyncio.sleep(LOOK_S)
                    self.now = (await self._http.get("/screen")).json()
                return self.screen
        said = (self.screen, self.now["refusal"], self.now["values"])
        raise AssertionError(f"not {' or '.join(screens)} but {said}")

    async def then(self, do: str, *screens: str, **more: Any) -> dict[str, Any]:
        """Press, wait for one of these screens, and what is on it."""
        await self.press(do, **more)
        await self.shows(*screens)
        return self.values

    @property
    def screen(self) -> str:
        return str(self.now["screen"])

    @property
    def values(self) -> dict[str, Any]:
        found: dict[str, Any] = self.now["values"]
        return found

    @property
    def door(self) -> str:
        return str(self.values["door"])

    @property
    def refused(self) -> str | None:
        refusal = self.now["refusal"]
        return str(refusal["reason"]) if refusal else None

    async def put_in(self, label: str | None = None) -> str:
        """Into the door that is open, shut it, and say so."""
        await self.shows("open")
        door = self.door
        self.wall.inside.setdefault(door, []).append(label or "thing")
        self.wall.shut(door)
        await self.shows("closed")
        await self.press("confirm")
        return door

    async def name(self, words: str) -> None:
        """Whose it is, by what is typed; then on to a door."""
        await self.press("search", text=words)
        (found,) = self.values["people"]
        await self.then("recipient", "confirm", id=found["id"])
        while self.screen in ("confirm", "size"):
            await self.press("agree" if self.screen == "confirm" else "deposit")

    async def deliver(self, label: str) -> str:
        """An announced parcel; which door it went into."""
        await self.press("label", label=label)
        assert self.screen in ("confirm", "size"), (self.screen, self.refused)
        await self.then("agree", "open")
        return await self.put_in(label)

    async def take(self) -> str:
        """Whatever is behind the door that is open."""
        await self.shows("open")
        door = self.door
        self.wall.inside.pop(door, None)
        self.wall.shut(door)
        await self.shows("thanks", "mine", "takeout", "courier", "staff")
        return door


@dataclass
class Days:
    """Two ends, and the hands to move both."""

    place: Town
    time: Time
    folder: Path
    walls: list[Wall] = field(default_factory=list)
    people: dict[str, str] = field(default_factory=dict)
    staff_codes: list[str] = field(default_factory=list)

    @property
    def wall(self) -> Wall:
        return self.walls[0]

    @property
    def ask(self) -> Callable[..., Awaitable[Any]]:
        return self.place.ask

    async def settle(self, *services: dict[str, Any]) -> None:
        place = self.place
        place.token = (await self.ask("POST", "organisations", json={"name": "Town"}))["token"]
        site = {"name": "Riverside", "address": "1 Wharf Road", "time_zone": "Europe/Berlin"}
        place.site = (await self.ask("POST", "sites", json=site))["id"]
        place.party = (await self.ask("POST", "parties", json={"name": "Swift Parcels"}))["id"]
        for name in ("Ada Lovelace", "Grace Hopper"):
            body = {"name": name, "email": f"{name.split()[0].lower()}@example.org", "unit": "12"}
            self.people[name.split()[0]] = (await self.ask("POST", "people", json=body))["id"]
        place.person = self.people["Ada"]
        await self.build(*services)
        place.bank = self.wall.bank
        place.courier = await self.grant("courier", party=place.party)
        self.staff_codes = [await self.grant("staff", holder=name) for name in ("Sam", "Kim")]

    async def build(self, *services: dict[str, Any], fittings: Sequence[Fitting] = ()) -> Wall:
        body = {"site": self.place.site, "name": "Lobby", "services": list(services) or [PARCEL]}
        invited = await self.ask("POST", "banks", json=body)
        folder = self.folder / f"wall{len(self.walls)}"
        wall = Wall(folder, self.place.url, self.time, fittings or self.fittings)
        await wall.enrol(invited["enrolment_code"])
        self.walls.append(wall)
        await wall.until(lambda: wall.loop.bank.policy_version > 0, "the policy")
        return wall

    fittings: Sequence[Fitting] = (
        *(Fitting(CompartmentId(f"0{n}"), SMALL, reach_mm=900) for n in range(1, 7)),
        *(Fitting(CompartmentId(f"0{n}"), LARGE, reach_mm=1500) for n in (7, 8)),
    )

    async def grant(self, role: str, wall: Wall | None = None, **more: Any) -> str:
        asked = await self.ask("POST", "passes", json={"bank": (wall or self.wall).bank, "role": role, **more})

        async def given() -> Any:
            return (await self.ask("GET", f"passes/{asked['id']}"))["digits"]

        return str(await self.see(given))

    async def announce(self, tracking: str, **more: Any) -> str:
        """Known to the wall when it returns."""
        size = {"width_mm": 300, "height_mm": 80, "depth_mm": 400}
        stay = str((await self.place.announce(tracking, **{"size": size, **more}))["id"])
        await self.becomes(stay, "expected", "reserved")
        return stay

    async def stay(self, stay: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.ask("GET", f"stays/{stay}")
        return found

    async def becomes(self, stay: str, *states: str) -> dict[str, Any]:
        """In the cloud's eyes, with nothing pending."""

        last: dict[str, Any] = {}

        async def look() -> dict[str, Any] | None:
            last.update(await self.stay(stay))
            return last if last["state"] in states and not last["pending"] and last["confirmed"] else None

        return await self.see(look, last)  # type: ignore[no-any-return]

    async def moved(self, stay: str, wall: Wall) -> None:
        """To another wall, which expects it."""

        async def there() -> bool | None:
            found = await self.stay(stay)
            return (found["bank"] == wall.bank and found["confirmed"]) or None

        await self.see(there)

    async def tend(self) -> None:
        """What the house does by and by, now."""
        await jobs.step(self.place.cloud.office)

    async def told(self, subject: str) -> None:
        """By mail, as it begins."""

        async def so() -> bool | None:
            return any(mail["subject"].startswith(subject) for mail in await self.place.mails(1)) or None

        await self.see(so)

    async def waits(self, stay: str, position: int) -> None:
        async def so() -> bool | None:
            return (await self.stay(stay))["waiting_position"] == position or None

        await self.see(so)

    async def stored(self, count: int) -> list[dict[str, Any]] | None:
        """What lies here, in the cloud's eyes, once it is so many."""
        found = [x for x in await self.ask("GET", "stays") if x["state"] == "deposited"]
        return found if len(found) == count else None

    async def listed(self, count: int) -> list[dict[str, Any]] | None:
        """What couriers are to take out, in the cloud's eyes, once it is so many."""
        found: list[dict[str, Any]] = await self.ask("GET", f"banks/{self.wall.bank}/collections")
        return found if len(found) == count else None

    async def in_state(self, state: str, stays: Sequence[str]) -> list[str] | None:
        """Which of these are so, in the cloud's eyes, once the wall has answered for all."""
        found = [await self.stay(x) for x in stays]
        return None if any(x["pending"] for x in found) else [x["id"] for x in found if x["state"] == state]

    async def told_of(self, *stays: str) -> None:
        """The cloud, of what nobody had announced."""

        async def look() -> bool | None:
            return set(stays) <= {x["id"] for x in await self.ask("GET", "stays")} or None

        await self.see(look)

    async def compartment(self, door: str, state: str) -> None:
        """In the cloud's eyes."""
        last: dict[str, str] = {}

        async def look() -> bool | None:
            found = await self.ask("GET", f"banks/{self.wall.bank}/compartments")
            last.update({x["id"]: x["state"] for x in found["compartments"]})
            return last[door] == state or None

        await self.see(look, last)

    async def tasks(self, *kinds: str) -> dict[str, dict[str, Any]]:
        """By what they are about, once exactly these are open."""
        last: dict[str, dict[str, Any]] = {}

        async def look() -> bool | None:
            found = await self.ask("GET", "tasks")
            last.clear()
            last.update({task["about"]: task for task in found})
            return sorted(task["kind"] for task in found) == sorted(kinds) or None

        await self.see(look, last)
        return last

    async def see(self, look: Callable[[], Awaitable[Any]], last: object = None) -> Any:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while (found := await look()) is None:
                    await asyncio.sleep(LOOK_S)
                return found
        raise AssertionError(f"not so, but {last}")

    async def pass_time(self, **later: float) -> None:
        """Everybody's clocks go on; whatever is due comes due."""
        self.time.ahead_s += timedelta(**later).total_seconds()
        for wall in self.walls:
            wall.desk.stir()
        await asyncio.sleep(0)

    async def courier(self, wall: Wall | None = None, code: str | None = None) -> Person:
        return await self.person(code or self.place.courier, wall, "courier")

    async def staff(self, wall: Wall | None = None) -> Person:
        return await self.person(self.staff_codes[0], wall, "staff")

    async def person(self, code: str, wall: Wall | None = None, *screens: str) -> Person:
        person = Person(wall or self.wall)
        await person.press("code", code=code)
        if screens:
            assert person.screen in screens, (person.screen, person.refused)
        return person

    async def close(self) -> None:
        for wall in self.walls:
            await wall.stop()


@asynccontextmanager
async def days(
    database: str, folder: Path, *services: dict[str, Any], at: datetime | None = None, mail: bool = False
) -> AsyncIterator[Days]:
    time = Time()
    if at is not None:
        time.on(at)
    inner = frozenset({"127.0.0.1"})
    async with town(database, folder / "cloud", mail=mail, clock=time.utc, inner_hosts=inner) as place:
        here = Days(place, time, folder)
        try:
            await here.settle(*services)
            yield here
        finally:
            await here.close()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
