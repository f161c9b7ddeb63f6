"""A configuration is asked for at the server, judged at the wall and told of, through real processes."""

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.edge.commission.walls import BOARDS, kerong_wall
from tests.journeys.processes import COMMAND
from tests.server.town import Town, town

from latchwork.edge.config import BankTable, BusTable, CompartmentTable, Tables, read_tables, written
from latchwork.edge.seal import Standing, edition
from latchwork.simulator.ports import free_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ptys as Linux has them")

PATIENCE_S = 90.0


def first(place: Town, line: str, kiosk: int) -> Tables:
    return Tables(
        BankTable(place.url, "state", f"127.0.0.1:{kiosk}"),
        (BusTable("kerong-cu16", line, BOARDS, {"locks_per_board": 1}),),
        (CompartmentTable("01", (380, 190, 640), 0), CompartmentTable("02", (380, 190, 640), 48)),
    )


@asynccontextmanager
async def edge(path: Path, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    with (path.parent / "edge.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*COMMAND, "edge", str(path), *words, stdout=log, stderr=log)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()


async def test_what_is_asked_for_is_run_or_refused_with_a_reason(database: str, tmp_path: Path) -> None:
    path = tmp_path / "bank.toml"
    kiosk = free_port()
    async with kerong_wall(tmp_path) as (_, front), town(database, tmp_path / "cloud") as place:
        await place.settle()
        invited = await place.ask("POST", "banks", json={"site": place.site, "name": "Cellar"})
        place.bank = invited["bank"]
        tables = first(place, front.port, kiosk)
        path.write_text(written(tables))

        async def ask(text: str) -> Any:
            return await place.ask("PUT", f"banks/{place.bank}/configuration", 202, json={"toml": text})

        async def becomes(state: str, version: int) -> Any:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    found = await place.ask("GET", f"banks/{place.bank}/configuration")
                    if (found["state"], found["asked"]) == (state, version):
                        return found
                    await asyncio.sleep(0.2)

        async def widths() -> list[int]:
            found = await place.ask("GET", f"banks/{place.bank}/compartments")
            return [door["width_mm"] for door in found["compartments"]]

        async with edge(path, "--enrol", invited["enrolment_code"]) as process:
            async with asyncio.timeout(PATIENCE_S):
                while (found := await place.ask("GET", f"banks/{place.bank}/configuration"))["runs"] is None:
                    await asyncio.sleep(0.2)
            assert (found["runs"]["version"], found["runs"]["standing"], found["state"]) == (0, "unsigned", "none")

            wider = path.read_text().replace("[380, 190, 640]", "[400, 200, 650]", 1)
            assert (await ask(wider))["state"] == "waiting"
            found = await becomes("done", 1)
            assert (found["runs"]["version"], found["runs"]["standing"]) == (1, "signed")
            assert edition(path.read_bytes()).standing is Standing.SIGNED
            assert read_tables(path).compartment[0].size_mm == (400, 200, 650)
            async with asyncio.timeout(PATIENCE_S):
                while await widths() != [400, 380]:
                    await asyncio.sleep(0.2)

            await ask(wider.replace("kerong-cu16", "magic"))
            assert "there are" in (await becomes("refused", 2))["refused"]

            crossed = wider.replace("channel = 48", "channel = 8").replace("channel = 0", "channel = 48")
            await ask(crossed.replace("channel = 8", "channel = 0"))
            found = await becomes("refused", 3)
            assert "it changes the wiring of 01, 02" in found["refused"] and found["runs"]["version"] == 1
            await _shows(place, "Runs configuration 1 (signed).", "Refused 3: it changes the wiring of 01, 02")
            accepting = await asyncio.create_subprocess_exec(*COMMAND, "edge", "accept", str(path), "--yes")
            assert await accepting.wait() == 0
            assert (await becomes("done", 3))["runs"]["version"] == 3
            assert [each.channel for each in read_tables(path).compartment] == [48, 0]
            assert process.returncode is None, "it went on in the same process"

        path.write_text(path.read_text().replace("[400, 200, 650]", "[401, 200, 650]", 1))
        async with edge(path):
            async with asyncio.timeout(PATIENCE_S):
                while found["runs"]["standing"] != "changed":
                    await asyncio.sleep(0.2)
                    found = await place.ask("GET", f"banks/{place.bank}/configuration")
            assert found["runs"]["version"] == 3
            await _shows(place, "Runs configuration 3 (changed by hand).")

        owner = await asyncpg.connect(database)
        lie = dict.fromkeys(("configuration", "directory"), 2**31 - 1)
        await owner.execute("UPDATE banks SET documents = $2::jsonb WHERE id = $1", place.bank, json.dumps(lie))
        await owner.close()
        assert (await ask(wider))["asked"] == 4, "what the wall says that it holds has no number after it"
        await place.ask("POST", "people", json={"name": "Ada"})


async def _shows(place: Town, *lines: str) -> None:
    await place.sign_in()
    for page in ("", "/configuration"):
        text = (await place.http.get(f"/operator/banks/{place.bank}{page}")).text
        assert all(line in re.sub(r"\s+", " ", text) for line in lines), text
