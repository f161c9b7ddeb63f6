"""`latchwork run` from outside: it starts, mends itself, stops clean, dies without a trace, and remembers."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.journeys.processes import COMMAND, ROOT, environment, latchwork, living, wait_until

from latchwork.simulator.ports import HOST
from latchwork.simulator.stage import Ports

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

READY = "Ctrl-C ends everything."
STOPPED_S = 60.0
"""PostgreSQL writes a checkpoint before it goes; everything else is gone at once."""


class Run:
    """One `latchwork run`, with what it says in a file."""

    def __init__(self, data: Path, ports: Ports, **more: str) -> None:
        self.data = data
        self._output = data.with_name(f"{data.name}.out")
        with self._output.open("w") as output:
            command = [*COMMAND, "run", "--data", str(data)]
            self.process = subprocess.Popen(
                command, cwd=ROOT, env={**environment(ports), **more}, stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def said(self) -> str:
        return self._output.read_text()

    def says(self, text: str, patience_s: float = 120.0) -> None:
        def look() -> bool:
            assert text in self.said or self.process.poll() is None, self.said
            return text in self.said

        wait_until(look, patience_s)

    def codes(self) -> list[str]:
        return re.findall(r"(?:courier|staff)  (\d+)", self.said)

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(STOPPED_S)


@pytest.fixture
def data(open_dir: Path) -> Iterator[Path]:
    path = open_dir / "stage"
    yield path
    for pid in living(path):
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(path, ignore_errors=True)


def test_it_stops_clean_dies_without_a_trace_and_remembers(data: Path) -> None:
    ports = Ports.free()
    first = Run(data, ports)
    first.says(READY)
    codes = first.codes()
    assert len(codes) == 4
    for name in ports.numbers.keys() - {"campus-line", "smtp"}:
        assert httpx.get(ports.url(name), follow_redirects=True, timeout=60).status_code < 400, name
    token = re.search(r"lw_\S+", first.said)
    assert token is not None
    headers = {"Authorization": f"Bearer {token[0]}"}
    expected = httpx.get(f"{ports.url('server')}/api/v1/stays", headers=headers, timeout=60).json()
    assert {stay["tracking"] for stay in expected} == {"LW-1001", "LW-1002"}
    assert any("postgres" in text for text in living(data).values())

    for name in ("edge", "board", "catcher"):
        os.kill(next(pid for pid, text in living(data).items() if name in text), signal.SIGKILL)
    wait_until(lambda: first.said.count("starting it again") == 3)
    httpx.get(ports.url("server"), timeout=60)

    assert first.end(signal.SIGINT) == 0, first.said
    assert living(data) == {}

    second = Run(data, ports)
    second.says(READY)
    assert second.codes() == codes
    os.kill(second.process.pid, signal.SIGKILL)
    second.process.wait()
    wait_until(lambda: living(data) == {})

    third = Run(data, ports)
    third.says(READY)
    assert third.codes() == codes
    stays = httpx.get(f"{ports.url('server')}/api/v1/stays", headers=headers, timeout=60).json()
    assert {stay["id"] for stay in stays} == {stay["id"] for stay in expected}
    again = latchwork("run", "--data", str(data))
    assert again.returncode == 1
    assert "Another `latchwork run` works in" in again.stdout and "Traceback" not in again.stdout
    assert third.end(signal.SIGTERM) == 0, third.said
    assert living(data) == {}


def test_it_can_be_stopped_while_it_starts(data: Path) -> None:
    early = Run(data, Ports.free())
    wait_until((data / "logs" / "server.log").exists)
    assert early.end(signal.SIGINT) == 0, early.said
    assert "Traceback" not in early.said
    assert living(data) == {}


def test_it_takes_another_database_and_says_when_its_own_is_gone(data: Path, empty_database: str) -> None:
    elsewhere = Run(data, Ports.free(), LATCHWORK_DATABASE_URL=empty_database)
    elsewhere.says(READY)
    assert not any("postgres" in text for text in living(data).values())
    assert elsewhere.end(signal.SIGINT) == 0, elsewhere.said
    lost = Run(data, Ports.free())  # now with an empty one of its own, which knows none of the tokens
    assert lost.process.wait(60) == 1
    assert "Was its database removed?" in lost.said and "Traceback" not in lost.said
    assert living(data) == {}


def test_a_taken_port_is_named_with_the_setting_that_moves_it(data: Path) -> None:
    ports = Ports.free()
    with socket.create_server((HOST, ports.numbers["lobby"])):
        ended = latchwork("run", "--data", str(data), ports=ports)
    assert ended.returncode == 1
    assert f"Port {ports.numbers['lobby']} " in ended.stdout and "LATCHWORK_LOBBY_PORT=" in ended.stdout
    assert "Traceback" not in ended.stdout


def test_its_settings_are_in_its_help() -> None:
    shown = latchwork("run", "--help").stdout
    assert "LATCHWORK_PORT" in shown and "LATCHWORK_DATABASE_URL" in shown and "8080" in shown
