"""The driver of docs/how-to/write-a-driver.md, installed from the page, opens a door."""

import asyncio
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from latchwork.domain.words import DoorState
from latchwork.edge import registry
from latchwork.edge.config import BusTable
from latchwork.edge.drivers.protocol import DoorsSeen, Reading

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "write-a-driver.md"
READ = bytes.fromhex("A5 02 02 00 A9")
UNLOCK = bytes.fromhex("A5 02 01 03 AB")
ALL_SHUT = bytes.fromhex("A5 02 82 00 29")
ONE_OPEN = bytes.fromhex("A5 02 82 08 31")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What `pip install` of the package on the page leaves behind."""
    files = dict(re.findall(r"```\w+\n# (\S+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
    project = tomllib.loads(files.pop("pyproject.toml"))["project"]
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    info = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = project["entry-points"]["latchwork.drivers"].items()
    (info / "entry_points.txt").write_text("[latchwork.drivers]\n" + "".join(f"{a} = {b}\n" for a, b in points))
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("acme_lock", None)


@pytest.mark.usefixtures("installed")
async def test_the_driver_on_the_page_opens_a_door() -> None:
    assert "acme-lock" in registry.names()
    unlocked = False

    async def board(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal unlocked
        while (heard := await reader.read(64)) != b"":
            assert heard in (READ, UNLOCK)
            unlocked = unlocked or heard == UNLOCK
            if heard == READ:
                writer.write(ONE_OPEN if unlocked else ALL_SHUT)
        writer.close()

    told: asyncio.Queue[Reading] = asyncio.Queue()
    async with asyncio.timeout(60), await asyncio.start_server(board, "127.0.0.1", 0) as server:
        port = f"socket://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        driver = registry.find("acme-lock").driver(BusTable("acme-lock", port, (2,)))
        running = asyncio.create_task(driver.run(told.put_nowait))
        assert await told.get() == DoorsSeen(dict.fromkeys(range(8, 12), DoorState.CLOSED))
        await driver.pulse(11)
        assert await told.get() == DoorsSeen({11: DoorState.OPEN})
        await driver.close()
        await running
