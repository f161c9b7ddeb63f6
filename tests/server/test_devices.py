"""A controller's key: the next one takes its place whatever crashes, a revoked one is nobody, a copied one is told."""

from pathlib import Path

import httpx
import pytest
from tests.server.town import Town, town
from websockets.asyncio.client import connect

from latchwork.edge import identity
from latchwork.sync.exchange import Challenge, Down, Goodbye, pack, unpack


async def enrolled(place: Town, state: Path) -> identity.Identity:
    invited = await place.ask("POST", "banks", json={"site": place.site, "name": "Campus"})
    state.mkdir()  # noqa: ASYNC240 - a test may block
    return await identity.enrol(place.url, invited["enrolment_code"], state)


async def key_at_server(place: Town, bank: str) -> str:
    return str((await place.ask("GET", f"banks/{bank}"))["device_key"])


def public(who: identity.Identity) -> str:
    return who.key.public_key().public_bytes_raw().hex()


async def test_the_next_key_takes_the_place_of_the_present_one(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path / "cloud") as place:
        await place.settle()
        old = await enrolled(place, tmp_path / "bank")
        assert await identity.finish_rotation(place.url, tmp_path / "bank") is None  # nothing to do
        identity.begin_rotation(tmp_path / "bank")
        with pytest.raises(httpx.HTTPError):
            await identity.finish_rotation("http://127.0.0.1:9", tmp_path / "bank")
        assert identity.load(tmp_path / "bank") == old  # off line it works on as it was
        new = await identity.finish_rotation(place.url, tmp_path / "bank")
        assert new is not None and new == identity.load(tmp_path / "bank")
        assert public(new) != public(old) and (new.bank, new.code_key) == (old.bank, old.code_key)
        assert await key_at_server(place, old.bank) == public(new)
        assert [x.name for x in (tmp_path / "bank").iterdir()] == ["identity.json"]


async def test_a_rotation_survives_a_crash_at_each_step(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path / "cloud") as place:
        await place.settle()
        state = tmp_path / "bank"
        await enrolled(place, state)
        before = (state / "identity.json").read_bytes()
        identity.begin_rotation(state)
        next_key = (state / "next.key").read_bytes()
        identity.begin_rotation(state)
        assert (state / "next.key").read_bytes() == next_key  # asked twice, it is the same
        new = await identity.finish_rotation(place.url, state)
        assert new is not None

        (state / "identity.json").write_bytes(before)  # the server's answer never got onto the disk
        (state / "next.key").write_bytes(next_key)
        assert await identity.finish_rotation(place.url, state) == new

        (state / "next.key").write_bytes(next_key)  # it did, and then the power failed
        assert await identity.finish_rotation("http://127.0.0.1:9", state) == new
        assert await key_at_server(place, new.bank) == public(new)


async def test_nobody_else_rotates_a_key_and_a_revoked_one_is_not_rotated(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path / "cloud") as place:
        await place.settle()
        state = tmp_path / "bank"
        who = await enrolled(place, state)
        thief = tmp_path / "thief"
        thief.mkdir()
        other = identity.device_key(thief).private_bytes_raw().hex()
        identity.write_safely(thief / "identity.json", (state / "identity.json").read_bytes().replace(
            who.device_key.encode(), other.encode()))  # fmt: skip
        identity.begin_rotation(thief)
        with pytest.raises(identity.EnrolmentRefused, match="not the key of that controller"):
            await identity.finish_rotation(place.url, thief)
        await place.ask("DELETE", f"banks/{who.bank}/key", 204)
        identity.begin_rotation(state)
        with pytest.raises(identity.EnrolmentRefused, match="revoked"):
            await identity.finish_rotation(place.url, state)
        assert identity.load(state) == who


async def greet(place: Town, boot: str) -> str:
    """What the server answers a controller of the wall that started as `boot`."""
    async with connect(f"{place.url.replace('http', 'ws', 1)}/bank", proxy=None) as socket:
        challenge = unpack(await socket.recv(decode=False))
        assert isinstance(challenge, Challenge)
        hello = place.wall.hello(challenge.nonce)
        await socket.send(pack(type(hello)(**{f: getattr(hello, f) for f in hello.__struct_fields__} | {"boot": boot})))
        answer = unpack(await socket.recv(decode=False))
        assert isinstance(answer, Down | Goodbye)
        return answer.why if isinstance(answer, Goodbye) else "welcome"


async def test_two_controllers_with_one_key_are_told(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        for boot in ("first", "first", "second", "third"):  # one controller that is restarted now and then
            assert await greet(place, boot) == "welcome"
        assert not [x for x in await place.ask("GET", "tasks") if x["kind"] == "cloned"]
        assert await greet(place, "second") == "welcome"
        (task,) = [x for x in await place.ask("GET", "tasks") if x["kind"] == "cloned"]
        assert await greet(place, "third") == "welcome"
        assert len([x for x in await place.ask("GET", "tasks") if x["kind"] == "cloned"]) == 1
        await place.ask("POST", f"tasks/{task['id']}/close", 204, json={"why": "The copy is off", "by": "Ann"})


async def test_a_stolen_controller_is_nobody_and_the_one_in_its_place_is_heard(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        await place.ask("DELETE", f"banks/{place.bank}/key", 204)
        assert await greet(place, "stolen") == "revoked_key"
        invited = await place.ask("POST", f"banks/{place.bank}/enrolment-codes")
        state = tmp_path / "new"
        state.mkdir()
        new = await identity.enrol(place.url, invited["enrolment_code"], state)
        assert new.bank == place.bank and await key_at_server(place, new.bank) == public(new)
        assert await greet(place, "stolen") == "wrong_key"
