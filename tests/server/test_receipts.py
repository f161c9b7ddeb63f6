"""Receipts as the server hands them out: to whom, when, and only what can be proven."""

import asyncio
from pathlib import Path

import asyncpg
import httpx
import pytest
from tests.server.town import Town, town

from latchwork.main import main
from latchwork.sync import receipts
from latchwork.sync.keys import read_sticker, sticker
from latchwork.sync.notes import Key

PATIENCE_S = 30


async def receipt(place: Town, stay: str, token: str | None = None) -> httpx.Response:
    """Once the newest entries are countersigned, which happens behind the exchange's back."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            headers = {"Authorization": f"Bearer {token or place.token}"}
            answer = await place.http.get(f"/api/v1/stays/{stay}/receipt", headers=headers)
            if answer.status_code != 409 or answer.json()["reason"] != "not_signed_yet":
                return answer
            assert answer.headers["retry-after"] == "2"
            await asyncio.sleep(0.05)


async def test_everybody_with_a_stake_gets_the_same_receipt(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        stay = (await place.announce("LW-1"))["id"]
        assert (await receipt(place, stay)).json()["reason"] == "nothing_to_prove"
        await place.wall.sync()
        await place.wall.put_in(place.courier, stay)
        other = (await place.announce("LW-2"))["id"]
        await place.wall.sync()
        await place.wall.collect(stay)
        await place.wall.put_in(place.courier, other)
        await place.wall.sync()

        answer = await receipt(place, stay)
        assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
        assert answer.headers["content-disposition"] == f'attachment; filename="receipt-{stay[:8]}.json"'
        bank = await place.ask("GET", f"banks/{place.bank}")
        key = bytes.fromhex(bank["device_key"])
        verdict = receipts.verify(answer.content, [key])
        assert verdict.stays == (stay,) and key == place.wall.public
        (log,) = verdict.logs
        assert log.size == place.wall.journal.size and log.witnessed_at is not None
        said = [line.words for line in verdict.lines]
        assert said[0] == "The wall expects it" and said[-1] == "It was collected from door 01"
        assert said.count("Door 01 opened") == said.count("Door 01 closed") == 2

        page = str((await place.ask("GET", f"stays/{stay}"))["page"])
        assert f"{page.removeprefix(place.url)}/receipt" in (await place.http.get(page)).text
        linked = await place.http.get(f"{page}/receipt")
        assert linked.content == answer.content
        assert linked.headers["referrer-policy"] == "no-referrer" and "noindex" in linked.headers["x-robots-tag"]
        await place.sign_in()
        assert (await place.http.get(f"/operator/stays/{stay}/receipt")).content == answer.content
        wall = (await place.http.get(f"/operator/banks/{place.bank}")).text
        assert sticker(place.wall.id, key) in wall
        assert read_sticker(wall.split("<pre>")[1].split("</pre>")[0]) == key
        assert Key.read(wall.split("<code>")[1].split("</code>")[0].replace("&#43;", "+")) == log.witness


async def test_a_log_is_downloaded_and_checked_without_us(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        assert (await receipt(place, await place.deposit("LW-1"))).status_code == 200
        (log,) = await place.ask("GET", f"banks/{place.bank}/logs")
        assert (log["epoch"], log["key"]) == (1, place.wall.public.hex())
        assert 0 < log["signed"] <= log["size"] == place.wall.journal.size
        told = {"authorization": f"Bearer {place.token}"}
        answer = await place.http.get(f"/api/v1/banks/{place.bank}/logs/1", headers=told)
        assert answer.headers["content-disposition"] == f'attachment; filename="log-{place.bank[:8]}-1.jsonl"'
        for other in ("2", "0", "x"):
            await place.ask("GET", f"banks/{place.bank}/logs/{other}", 404)
        await place.sign_in()
        page = (await place.http.get(f"/operator/banks/{place.bank}/logs")).text
        assert f"log-{place.bank[:8]}-1.jsonl" in page
        assert f"latchwork/{place.bank}/1\n{log['signed']}\n" in page
        assert (await place.http.get(f"/operator/banks/{place.bank}/logs/1")).text == answer.text
        key, lines = place.wall.public.hex(), answer.text.splitlines(keepends=True)
    assert len(lines) == 1 + log["signed"]
    file = tmp_path / "log.jsonl"

    def says(lines: list[str]) -> tuple[int, str]:
        file.write_text("".join(lines), encoding="utf-8")
        return main(["verify", "--log", str(file), "--key", key]), capsys.readouterr().out

    status, said = says(lines)
    assert status == 0
    assert f"{log['signed']} entries, whole" in said
    for bent in (lines[:-1], [*lines[:3], *lines[4:]], [*lines[:3], lines[4], lines[3], *lines[5:]]):
        status, said = says(bent)
        assert status == 1, said
        assert "WRONG" in said
    assert says(["{}\n"])[0] == says(lines[1:])[0] == says([lines[0], "?\n"])[0] == 2


async def test_nobody_else_gets_one(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        stay = (await place.announce("LW-1"))["id"]
        await place.wall.sync()
        assert (await receipt(place, stay)).status_code == 200
        path = f"/api/v1/stays/{stay}/receipt"
        assert (await place.http.get(path)).status_code == 401
        stranger = (await place.ask("POST", "organisations", json={"name": "Else"}, headers=_root(place)))["token"]
        assert (await place.http.get(path, headers={"Authorization": f"Bearer {stranger}"})).status_code == 404
        for link in ("0" * 43, stay):
            assert (await place.http.get(f"/p/{link}/receipt")).status_code == 404
        assert (await place.http.get(f"/operator/stays/{stay}/receipt")).status_code == 303


def _root(place: Town) -> dict[str, str]:
    return {"Authorization": f"Bearer {place.root}"}


async def test_what_is_not_signed_is_not_given_out(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        stay = (await place.announce("LW-1"))["id"]
        place.wall.signs = False
        await place.wall.sync()
        headers = {"Authorization": f"Bearer {place.token}"}
        answer = await place.http.get(f"/api/v1/stays/{stay}/receipt", headers=headers)
        assert (answer.status_code, answer.json()["reason"]) == (409, "not_signed_yet")
        page = str((await place.ask("GET", f"stays/{stay}"))["page"])
        told = await place.http.get(f"{page}/receipt")
        assert told.status_code == 409 and "Try again in a few seconds" in told.text
        place.wall.signs = True
        await place.wall.sync()
        assert (await receipt(place, stay)).status_code == 200


SPOIL = "convert_to(replace(convert_from(raw, 'UTF8'), '\"announced\"', '\"denounced\"'), 'UTF8')"
TAMPERED = [
    f"UPDATE entries SET raw = {SPOIL}",
    "UPDATE entries SET raw = 'nonsense' WHERE kind = 'Opened'",
    "UPDATE entries SET nodes = sha256(nodes)",
    "UPDATE checkpoints SET note = sha256(note)",
    "UPDATE checkpoints SET key = sha256(key)",
]


async def test_a_tampered_copy_makes_no_receipt(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        stay = await place.deposit()
        good = await receipt(place, stay)
        owner = await asyncpg.connect(database)
        fetch = owner.fetch
        for table in ("entries", "checkpoints"):
            await fetch(f"CREATE TABLE true_{table} AS TABLE {table}")
        for statement in TAMPERED:
            await fetch(statement)
            answer = await receipt(place, stay)
            assert (answer.status_code, answer.json()["reason"]) == (409, "not_proven"), statement
            for table in ("entries", "checkpoints"):
                await fetch(f"DELETE FROM {table}")
                await fetch(f"INSERT INTO {table} SELECT * FROM true_{table}")
            assert (await receipt(place, stay)).content == good.content
        await owner.close()


async def test_a_thing_that_came_before_its_announcement_has_one_receipt(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        label = place.cloud.office.vault.label(place.bank, 1, "LW-9")
        first = await place.wall.put_in(place.courier, label=label, party=place.party, recipient=place.person)
        await place.wall.sync()
        stay = (await place.announce("LW-9"))["id"]
        await place.wall.sync()
        answer = await receipt(place, stay)
        verdict = receipts.verify(answer.content, [place.wall.public])
        assert verdict.stays == (first,), "the wall knows it by its own name only"
        said = [line.words for line in verdict.lines]
        assert "It was put into door 01" in said
        assert said[-1] == "The wall answered an instruction about it (already here)"
