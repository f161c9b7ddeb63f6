"""A bank as a real process, on a simulated board and a real server, when things go wrong around it."""

import asyncio
import re
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio
from tests.journeys.processes import latchwork

from latchwork.domain.words import BankId
from latchwork.edge.identity import Identity
from latchwork.simulator.clients import Hands, Kiosk, Refused, Unseen, seen
from latchwork.simulator.scenery import CAMPUS, LOBBY, DemoWall, write_config
from latchwork.simulator.stage import Ports, Stage, enrolling

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(sys.platform != "linux", reason="ptys and death signals as Linux has them"),
]


class World:
    """The whole stage, and what is said of it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.hands = {wall.key: Hands(stage.ports.url(f"{wall.key}-board")) for wall in (LOBBY, CAMPUS)}

    async def announce(self, tracking: str, wall: DemoWall) -> str:
        stay = await self.stage.announce(
            tracking, "Ada Lovelace", wall.key, size={"width_mm": 9, "height_mm": 9, "depth_mm": 9}
        )
        await self.becomes(stay, "expected")
        return stay

    async def becomes(self, stay: str, state: str) -> None:
        async def look() -> bool | None:
            found = await self.stage.api.get(f"stays/{stay}")
            return True if found["confirmed"] and found["state"] == state else None

        await seen(f"stay {state}", look)

    async def compartments(self, wall: DemoWall) -> dict[str, dict[str, Any]]:
        found = await self.stage.api.get(f"banks/{self.stage.made.banks[wall.key]}/compartments")
        return {each["id"]: each for each in found["compartments"]}

    async def doubted(self, wall: DemoWall, door: str) -> None:
        """Waits: the wall's own screen knows of it before the server does."""

        async def look() -> bool | None:
            return (await self.compartments(wall))[door]["state"] == "needs_check" or None

        await seen(f"{door} in doubt", look)

    async def doors_are(self, wall: DemoWall, state: str) -> None:
        async def look() -> bool | None:
            found = await self.compartments(wall)
            return all(each["door"] == state for each in found.values()) or None

        await seen(f"all doors {state}", look)

    async def courier(self, wall: DemoWall) -> Kiosk:
        kiosk = Kiosk(self.stage.ports.url(wall.key))
        await kiosk.press("code", code=self.stage.code(wall.key, "courier"))
        await kiosk.shows("courier")
        return kiosk

    async def restart(self, wall: DemoWall) -> None:
        child = self.stage.children[wall.key]
        child.start()

        async def look() -> bool | None:
            try:
                async with httpx.AsyncClient(timeout=60) as client:
                    return (await client.get(f"{self.stage.ports.url(wall.key)}/screen")).is_success or None
            except httpx.HTTPError:
                return None

        await seen("the kiosk", look)

    async def goes_on(self, wall: DemoWall) -> dict[str, Any]:
        """A divided wall is told to go on from the server's log, and does. How they had parted."""
        path = f"banks/{self.stage.made.banks[wall.key]}"

        async def parted() -> dict[str, Any] | None:
            try:
                found: dict[str, Any] = await self.stage.api.get(f"{path}/recovery")
            except Refused:
                return None
            return found

        async def whole() -> bool | None:
            return (await self.stage.api.get(path))["divided"] is None or None

        before = await seen("how the logs parted", parted, 60)
        await self.stage.api.post(f"{path}/recovery")
        await seen("a wall that goes on", whole, 90)
        return before

    async def board(self, wall: DemoWall, path: str) -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            (await client.post(f"{self.stage.ports.url(f'{wall.key}-board')}{path}")).raise_for_status()

    async def logged(self, wall: DemoWall, text: str) -> None:
        async def look() -> bool | None:
            return (text in self.stage.children[wall.key].part.log.read_text()) or None

        await seen(f"{text!r} in the log", look, 60)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(open_dir: Path) -> AsyncIterator[World]:
    async with Stage(open_dir / f"edges-{token_hex(3)}", Ports.free(), print, parcels=False) as stage:
        world = World(stage)
        yield world
        for hands in world.hands.values():
            await hands.close()


async def test_killed_at_an_open_door_it_comes_back_and_asks_nothing_twice(world: World) -> None:
    stay, child = await world.announce("KILL-1", LOBBY), world.stage.children["lobby"]
    async with await world.courier(LOBBY) as kiosk:
        await kiosk.press("label", label="KILL-1")
        await kiosk.press("agree")
        await kiosk.shows("open")
        channel = LOBBY.channel(kiosk.door)
        child.kill()
        await world.hands["lobby"].do(channel, "put")
        await world.hands["lobby"].shut(channel)
        await world.restart(LOBBY)
        kiosk.now = {}
        await kiosk.shows("closed")
        await kiosk.press("confirm")
        await kiosk.shows("courier")
        await kiosk.press("sign_out")
    await world.becomes(stay, "deposited")
    doors = {door["channel"]: door for door in await world.hands["lobby"].doors()}
    assert doors[channel]["pulses"] == 1


async def test_killed_between_pulse_and_proof_it_doubts_the_compartment(world: World) -> None:
    stay, child = await world.announce("KILL-2", LOBBY), world.stage.children["lobby"]
    vacant = {key for key, each in (await world.compartments(LOBBY)).items() if each["state"] == "vacant"}
    for door in vacant:
        await world.hands["lobby"].do(LOBBY.channel(door), "jam")  # so that the proof cannot come
    async with await world.courier(LOBBY) as kiosk:
        await kiosk.press("label", label="KILL-2")
        await kiosk.press("agree")
        await kiosk.shows("opening")
        door = kiosk.door
        await _pulsed(world.hands["lobby"], LOBBY.channel(door))
        child.kill()
        await asyncio.sleep(1)
        for each in vacant:
            await world.hands["lobby"].do(LOBBY.channel(each), "unjam")
        await world.restart(LOBBY)
        kiosk.now = {}
        await kiosk.shows("unresolved")
        assert kiosk.door == door
        await world.doubted(LOBBY, door)
        async with asyncio.timeout(60):
            # Until the board has told of its doors after the restart, no other one can be had.
            while await kiosk.press("did_not_open") == "unresolved" and kiosk.refusal == "no_suitable_compartment":
                await asyncio.sleep(0.2)
        await kiosk.shows("open")
        assert kiosk.door != door
        channel = LOBBY.channel(kiosk.door)
        await world.hands["lobby"].do(channel, "put")
        await world.hands["lobby"].shut(channel)
        await kiosk.shows("closed")
        await kiosk.press("confirm")
        await kiosk.press("sign_out")
    await world.becomes(stay, "deposited")
    await world.doubted(LOBBY, door)
    doors = {each["channel"]: each for each in await world.hands["lobby"].doors()}
    assert doors[LOBBY.channel(door)]["pulses"] == 1, "an unlock was repeated after the restart"


@pytest.mark.parametrize("wall", [LOBBY, CAMPUS], ids=["pty", "tcp"])
async def test_a_line_that_vanishes_makes_doors_unknown_and_returns(world: World, wall: DemoWall) -> None:
    tracking = f"LINE-{wall.key}"
    stay = await world.announce(tracking, wall)
    await world.doors_are(wall, "closed")
    await world.board(wall, "/line/cut")
    await world.doors_are(wall, "unknown")
    async with await world.courier(wall) as kiosk:
        await kiosk.press("label", label=tracking)
        await kiosk.press("agree")
        assert kiosk.refusal == "no_suitable_compartment"
        await world.board(wall, "/line/restore")
        await world.doors_are(wall, "closed")
        await kiosk.press("label", label=tracking)
        await kiosk.press("agree")
        await kiosk.shows("open")
        channel = wall.channel(kiosk.door)
        await world.hands[wall.key].do(channel, "put")
        await world.hands[wall.key].shut(channel)
        await kiosk.shows("closed")
        await kiosk.press("confirm")
        await kiosk.press("sign_out")
    await world.becomes(stay, "deposited")


async def test_a_board_that_dies_is_heard_again_and_remembers_what_is_inside(world: World) -> None:
    board = world.stage.children["lobby-board"]

    async def look() -> list[Any] | None:
        try:
            return [door["channel"] for door in await world.hands["lobby"].doors() if door["item"]]
        except httpx.HTTPError:  # its line is up before its page
            return None

    inside = await look()
    assert inside
    board.kill()
    await world.doors_are(LOBBY, "unknown")
    board.start()
    await world.doors_are(LOBBY, "closed")
    assert await seen("the board's page", look, 60) == inside
    states = {LOBBY.channel(key): each["state"] for key, each in (await world.compartments(LOBBY)).items()}
    assert {states[channel] for channel in inside} == {"occupied"}


async def test_a_bank_with_a_strange_key_is_turned_away_and_told(world: World) -> None:
    child = world.stage.children["campus"]
    file = world.stage.data / "campus" / "state" / "identity.json"
    good = file.read_bytes()
    identity = msgspec.json.decode(good, type=Identity)
    child.kill()
    file.write_bytes(msgspec.json.encode(msgspec.structs.replace(identity, device_key="ab" * 32)))
    await world.restart(CAMPUS)
    await world.logged(CAMPUS, "the server said goodbye: ")
    async with await world.courier(CAMPUS) as kiosk:  # the bank works on, unheard
        await kiosk.press("sign_out")
    child.kill()
    file.write_bytes(good)
    await world.restart(CAMPUS)
    await world.becomes(await world.announce("KEY-1", CAMPUS), "expected")


async def test_a_revoked_key_is_told_and_a_new_code_brings_the_bank_back(world: World) -> None:
    child, bank = world.stage.children["campus"], world.stage.made.banks["campus"]
    await world.announce("KEY-2", CAMPUS)
    await world.stage.api.delete(f"banks/{bank}/key")
    await world.logged(CAMPUS, "revoked")
    with pytest.raises(Unseen):
        await seen("word of a revoked bank", lambda: _heard_since(world, bank), 2)
    async with await world.courier(CAMPUS) as kiosk:
        await kiosk.press("label", label="KEY-2")
        await kiosk.shows("confirm")
    child.kill()
    (world.stage.data / "campus" / "state" / "identity.json").unlink()
    code = (await world.stage.api.post(f"banks/{bank}/enrolment-codes"))["enrolment_code"]
    usual = child.part
    child.start(enrolling(usual, code))
    await seen("a bank with a good key", lambda: _trusted(world, bank))
    child.part = usual
    await world.becomes(await world.announce("KEY-3", CAMPUS), "expected")


async def test_an_old_image_of_a_bank_goes_on_from_what_the_server_had(world: World) -> None:
    child, state = world.stage.children["lobby"], world.stage.data / "lobby" / "state"
    child.kill()
    image = shutil.copytree(state, world.stage.data / "image")
    await world.restart(LOBBY)
    stay = await world.announce("IMAGE-1", LOBBY)
    async with await world.courier(LOBBY) as kiosk:
        await kiosk.press("label", label="IMAGE-1")
        await kiosk.press("agree")
        await kiosk.shows("open")
        door = kiosk.door
        await world.hands["lobby"].do(LOBBY.channel(door), "put")
        await world.hands["lobby"].shut(LOBBY.channel(door))
        await kiosk.shows("closed")
        await kiosk.press("confirm")
        await kiosk.press("sign_out")
    await world.becomes(stay, "deposited")
    child.kill()
    shutil.rmtree(state)
    shutil.copytree(image, state)
    await world.restart(LOBBY)
    before = await world.goes_on(LOBBY)
    assert before["lost"] > 5 and before["own"] > 0
    await world.becomes(stay, "deposited")
    doors = await world.compartments(LOBBY)
    assert doors[door]["state"] == "occupied" and doors[door]["stay"] == stay
    assert "vacant" not in {each["state"] for each in doors.values()}
    await world.becomes(await world.announce("IMAGE-2", LOBBY), "expected")


async def test_a_replaced_controller_goes_on_where_the_lost_one_ended(world: World) -> None:
    child, bank = world.stage.children["campus"], world.stage.made.banks["campus"]
    had = await world.compartments(CAMPUS)
    child.kill()
    shutil.rmtree(world.stage.data / "campus" / "state")
    code = (await world.stage.api.post(f"banks/{bank}/enrolment-codes"))["enrolment_code"]
    usual = child.part
    child.start(enrolling(usual, code))
    assert (await world.goes_on(CAMPUS))["lost"] > 5
    child.part = usual
    now = await world.compartments(CAMPUS)
    assert {key: each["stay"] for key, each in now.items()} == {key: each["stay"] for key, each in had.items()}
    async with await world.courier(CAMPUS) as kiosk:  # the codes are the same
        await kiosk.press("sign_out")
    await world.becomes(await world.announce("NEW-1", CAMPUS), "expected")


async def test_a_wrong_enrolment_code_is_one_clear_line(world: World, tmp_path: Path) -> None:
    config = tmp_path / "bank.toml"
    write_config(config, LOBBY, server=world.stage.ports.url("server"), kiosk=("127.0.0.1", 9), line="/dev/null")
    ended = await asyncio.to_thread(latchwork, "edge", str(config), "--enrol", "NOPE-NOPE")
    assert ended.returncode == 1
    assert _only_line(ended.stdout).startswith("latchwork edge: the server refused the enrolment code: ")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("channel = 1\n", "channel = 0\n", "01 and 02 are both on channel 0 of bus 0"),
        ("channel = 1\n", "channel = 77\n", "compartment 02: bus 0 has no channel 77"),
        ('id = "02"', 'id = "01"', "compartment 01 is there twice"),
        ('driver = "kerong-cu16"', 'driver = "magic"', 'driver = "magic"'),
        ("[bank]", "[bank", "bank.toml"),
        ("http://", "gopher://", "is no http(s) address"),
    ],
)
async def test_a_bad_configuration_is_one_clear_line(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    config = tmp_path / "bank.toml"
    write_config(config, LOBBY, server="http://127.0.0.1:9", kiosk=("127.0.0.1", 9), line="/dev/null")
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new, 1))
    ended = await asyncio.to_thread(latchwork, "edge", str(config), "--check")
    assert ended.returncode == 1
    assert complaint in _only_line(ended.stdout)


async def test_a_damaged_journal_is_one_clear_line(tmp_path: Path) -> None:
    config, state = tmp_path / "bank.toml", tmp_path / "state"
    write_config(config, LOBBY, server="http://127.0.0.1:9", kiosk=("127.0.0.1", 9), line="/dev/null")
    state.mkdir()
    (state / "identity.json").write_bytes(msgspec.json.encode(Identity(BankId("b" * 32), "11" * 32, "22" * 32, 1)))
    (state / "journal.sqlite").write_bytes(b"no database" * 1000)
    ended = await asyncio.to_thread(latchwork, "edge", str(config))
    assert ended.returncode == 1
    assert _only_line(ended.stdout) == f"latchwork edge: the journal in {state} cannot be used: file is not a database"


async def _pulsed(hands: Hands, channel: int) -> None:
    async def look() -> bool | None:
        return next((True for door in await hands.doors() if door["channel"] == channel and door["pulses"]), None)

    await seen("a pulse", look)


async def _trusted(world: World, bank: str) -> bool | None:
    found = await world.stage.api.get(f"banks/{bank}")
    return True if found["enrolled"] and not found["key_revoked"] else None


async def _heard_since(world: World, bank: str) -> bool | None:
    before = (await world.stage.api.get(f"banks/{bank}"))["heard_at"]
    await asyncio.sleep(1)
    return True if (await world.stage.api.get(f"banks/{bank}"))["heard_at"] != before else None


def _only_line(text: str) -> str:
    lines = [line for line in text.splitlines() if not re.match(r"\d{4}-\d\d-\d\d ", line)]
    assert len(lines) == 1, text
    return lines[0]
