"""The command itself, once as a process."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
from tests.edge.commission.walls import PATIENCE_S, kerong_wall, push_all

from latchwork.edge.config import read_config
from latchwork.main import main

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ptys as Linux has them")

NEW = ("--server", "https://lockers.example", "--bus")
FIRST = ["yes", "", "01", "", "380 190 640", "900", "chilled"]
SECOND = ["yes", "", "02", "", "", "", "", "rest", "write"]


async def command(*words: str, answers: list[str] | None = None) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "latchwork.main", "edge", "commission", *words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            out, err = await process.communicate("".join(f"{line}\n" for line in answers or []).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_typed_and_by_script_and_stopped_in_between(tmp_path: Path) -> None:
    path, script = tmp_path / "bank.toml", tmp_path / "answers.json"
    async with kerong_wall(tmp_path, locks=2) as (live, front):

        async def push_for_ever() -> None:
            while True:
                await asyncio.sleep(0.6)
                push_all(live)

        pushing = asyncio.create_task(push_for_ever())
        try:
            code, out, err = await command(str(path), *NEW, f"kerong-cu16={front.port}", answers=FIRST)
            assert (code, err) == (3, "") and "the same command goes on from there" in out, out
            script.write_text(json.dumps(SECOND))
            assert await asyncio.to_thread(main, ["edge", "commission", str(path), "--script", str(script)]) == 0
        finally:
            pushing.cancel()
    config = read_config(path)
    assert [(f.id, f.climate, f.reach_mm, f.size.height_mm) for f in config.fittings] == [
        ("01", "chilled", 900, 190),
        ("02", "ambient", 0, 190),
    ]
    assert path.with_suffix(".map.txt").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "is not there: make it with --server URL and --bus DRIVER=PORT"),
        ((*NEW, "magic=/dev/null"), 'driver = "magic": there are '),
        ((*NEW, "kerong-cu16=socket://nowhere"), "should be socket://host:port"),
    ],
)
def test_what_cannot_be_is_one_clear_line(
    tmp_path: Path, words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["edge", "commission", str(tmp_path / "bank.toml"), *words]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and err.startswith("latchwork edge commission: ") and says in err
