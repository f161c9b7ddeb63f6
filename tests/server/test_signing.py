"""A guarded wall: what widens waits at the server, is signed elsewhere by `latchwork sign`, and only then goes out."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.server.town import Town, town

from latchwork import sign
from latchwork.domain.words import PassId
from latchwork.main import main
from latchwork.sync.keys import instruction_text

PASSPHRASE = "correct horse battery"
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)


class Desk:
    """Somebody's own computer with a key on it."""

    def __init__(self, folder: Path, place: Town) -> None:
        self.folder = folder
        (folder / "passphrase").write_text(PASSPHRASE + "\n")
        (folder / "token").write_text(place.token + "\n")
        self.public = sign.make_key(folder / "guard.pem", PASSPHRASE.encode())
        self._to = ["--server", place.url, "--token-file", str(folder / "token")]

    async def sign(self, *words: str) -> int:
        key = ["--key", str(self.folder / "guard.pem"), "--passphrase-file", str(self.folder / "passphrase")]
        return await asyncio.to_thread(main, ["sign", *self._to, *key, "--yes", *words])

    async def sign_otherwise(self, *words: str) -> int:
        return await asyncio.to_thread(main, ["sign", *self._to, "--yes", *words])


async def guarded(database: str, folder: Path, place: Town) -> Desk:
    await place.settle()
    desk = Desk(folder, place)
    await place.ask("PUT", f"banks/{place.bank}/guards", 202, json={"keys": [desk.public]})
    await place.wall.sync()
    assert await place.ask("GET", f"banks/{place.bank}/guards") == [desk.public]
    return desk


async def state(place: Town, asked: dict[str, str]) -> str:
    return str((await place.ask("GET", f"instructions/{asked['instruction']}"))["state"])


async def test_what_widens_waits_until_it_is_signed_and_deliveries_do_not(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with town(database, tmp_path) as place:
        desk = await guarded(database, tmp_path, place)
        stay = (await place.announce("LW-1"))["id"]
        opened = await place.ask(
            "POST", f"banks/{place.bank}/compartments/03/open", 202, json={"reason": "customer_help"}
        )
        granted = await place.ask("POST", "passes", 202, json={"bank": place.bank, "role": "staff"})
        await place.wall.sync()
        await place.wall.put_in(place.courier, stay)
        await place.wall.sync()
        assert (await place.ask("GET", f"stays/{stay}"))["state"] == "deposited"
        assert await state(place, opened) == "asked"
        waits = await place.ask("GET", f"passes/{granted['id']}")
        assert (waits["state"], waits["pending"], waits["unsigned"]) == ("asked", ["GrantPass"], True)
        await place.sign_in()
        assert "waits for a signature" in (await place.http.get(f"/operator/banks/{place.bank}/passes")).text
        assert [x["kind"] for x in await place.ask("GET", "signing")] == ["Open", "GrantPass"]

        door = f"/operator/banks/{place.bank}/doors/03?asked={opened['instruction']}"
        assert "this waits for a signature" in (await place.http.get(door)).text

        assert await desk.sign(opened["instruction"]) == 0
        said = capsys.readouterr().out
        assert "Open a door" in said and 'compartment: "03"' in said and '"customer_help"' in said
        await place.wall.sync()
        assert await state(place, opened) == "done"
        assert "this waits for a signature" not in (await place.http.get(door)).text
        assert [x["kind"] for x in await place.ask("GET", "signing")] == ["GrantPass"]
        assert await desk.sign() == 0
        await place.wall.sync()
        assert (await place.ask("GET", f"passes/{granted['id']}"))["state"] == "live"
        assert await desk.sign() == 0
        assert "Nothing waits" in capsys.readouterr().out

        # So does a change of whose it is, and its page says so.
        grace = (await place.ask("POST", "people", json={"name": "Grace Hopper"}))["id"]
        await place.ask("POST", f"stays/{stay}/reassign", 202, json={"recipient": grace})
        await place.wall.sync()
        page = f"/operator/stays/{stay}"
        assert "waits for a signature" in (await place.http.get(page)).text
        assert await desk.sign() == 0
        await place.wall.sync()
        assert "waits for a signature" not in (await place.http.get(page)).text

        # Somebody is sent for it: that waits, too; whoever is taken back meanwhile cannot be signed for any more.
        until = (datetime.now(UTC) + timedelta(hours=8)).isoformat()
        sent = [
            await place.ask("POST", f"stays/{stay}/delegates", 202, json={"name": x, "until": until})
            for x in ("Bo", "Cy")
        ]
        await place.wall.sync()
        assert {x["state"] for x in await place.ask("GET", f"stays/{stay}/delegates")} == {"asked"}
        await place.ask("DELETE", f"stays/{stay}/delegates/{sent[1]['id']}", 202)
        await place.wall.sync()
        assert [x["kind"] for x in await place.ask("GET", "signing")] == ["GrantPass"]
        assert await desk.sign() == 0
        await place.wall.sync()
        bo, cy = sorted(await place.ask("GET", f"stays/{stay}/delegates"), key=lambda x: str(x["name"]))
        assert (bo["state"], cy["state"]) == ("live", "refused")
        assert PassId(cy["id"]) not in place.wall.bank.passes
        await place.wall.swing()  # the door that was opened from afar
        await place.wall.take_out(bo["digits"])
        await place.wall.sync()
        assert (await place.ask("GET", f"stays/{stay}"))["state"] == "collected"


async def test_a_stolen_server_database_opens_nothing(database: str, tmp_path: Path) -> None:
    """Whoever can write every row still cannot sign: the wall refuses, and says why."""
    async with town(database, tmp_path) as place:
        await guarded(database, tmp_path, place)
        asked = await place.ask("POST", f"banks/{place.bank}/compartments/03/open", 202, json={"reason": "other"})
        connection = await asyncpg.connect(database)
        await connection.execute("UPDATE instructions SET unsigned = false")
        await connection.close()
        await place.wall.sync()
        answer = await place.ask("GET", f"instructions/{asked['instruction']}")
        assert (answer["state"], answer["refusal"]) == ("refused", "unsigned")
        assert not place.wall.bank.openings


async def test_two_sign_one_by_key_and_one_by_a_command(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        desk = await guarded(database, tmp_path, place)
        other = OTHER.public_key().public_bytes_raw().hex()
        asked = await place.ask("PUT", f"banks/{place.bank}/guards", 202, json={"keys": [desk.public, other]})
        assert await desk.sign() == 0
        await place.wall.sync()
        assert await state(place, asked) == "done"

        asked = await place.ask("POST", f"banks/{place.bank}/compartments/03/open", 202, json={"reason": "other"})
        assert await desk.sign("--more") == 0
        await place.wall.sync()
        assert await state(place, asked) == "asked"
        token = tmp_path / "token.py"
        token.write_text(
            "import sys\n"
            "from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey as K\n"
            "sys.stdout.buffer.write(K.from_private_bytes(b'o' * 32).sign(sys.stdin.buffer.read()))\n"
        )
        command = f"{sys.executable} {token}"
        assert await desk.sign_otherwise("--command", command, "--public", desk.public) == 1  # not its key
        assert await desk.sign_otherwise("--command", command, "--public", other) == 0
        await place.wall.sync()
        assert await state(place, asked) == "done"
        assert place.wall.bank.shield.debt_s == 0  # two have signed


async def test_what_is_no_signature_is_said_at_once(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        desk = await guarded(database, tmp_path, place)
        asked = await place.ask("POST", "passes", 202, json={"bank": place.bank, "role": "staff"})
        (waits,) = await place.ask("GET", "signing")
        until = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)
        signature = OTHER.sign(instruction_text(waits["bank"], waits["id"], until, b"")).hex()
        told = {"key": desk.public, "signature": signature, "until": until.isoformat()}
        assert (await place.ask("POST", f"signing/{waits['id']}", 422, json=told))["reason"] == "unsigned"
        for never in (
            (until - timedelta(hours=2)).isoformat(),
            "9999-12-31T23:59:59-14:00",
            "0001-01-01T00:00:00+14:00",
        ):
            late = told | {"until": never}
            assert (await place.ask("POST", f"signing/{waits['id']}", 422, json=late))["reason"] == "expired"
        await place.ask("POST", f"signing/{'0' * 32}", 404, json=told)
        assert await desk.sign("0" * 32) == 1
        (desk.folder / "passphrase").write_text("something else entirely")
        assert await desk.sign() == 1
        assert (await place.ask("GET", f"passes/{asked['id']}"))["state"] == "asked"


async def test_many_doors_take_a_second_person(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        one = {"reason": "maintenance"}
        path = f"banks/{place.bank}/compartments/03/open"
        for _ in range(5):
            await place.ask("POST", path, 202, json=one)
            await place.wall.sync()
            await place.wall.swing()
        asked = await place.ask("POST", path, 202, json=one)
        await place.wall.sync()
        answer = await place.ask("GET", f"instructions/{asked['instruction']}")
        assert (answer["state"], answer["refusal"]) == ("refused", "second_person")
        again = one | {"confirms": asked["instruction"]}
        assert (await place.ask("POST", path, 409, json=again))["reason"] == "second_person"  # not oneself
        connection = await asyncpg.connect(database)
        await connection.execute(
            "UPDATE instructions SET asked_by = $1 WHERE id = $2", "f" * 32, asked["instruction"]
        )  # as if a colleague had asked
        await connection.close()
        confirmed = await place.ask("POST", path, 202, json=again)
        await place.wall.sync()
        assert await state(place, confirmed) == "done"


def test_what_cannot_be_read_is_not_signed() -> None:
    assert "Give somebody a code" in sign.in_words(b'{"GrantPass":{"pass_id":"1","role":"staff"}}')
    with pytest.raises(sign.NotDone, match="cannot read"):
        sign.in_words(b'{"Levitate":{}}')
