"""The edge as a machine that nobody looks after: what systemd hears, what it may write, and a disk that is full."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from latchwork.edge.watchdog import ALIVE, READY, STOPPING, Watchdog, age_s
from latchwork.simulator.ports import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
LATCHWORK = Path(sys.executable).with_name("latchwork")
UNIT = (DEPLOY / "latchwork-edge.service").read_text(encoding="utf-8")


@contextmanager
def systemd(path: Path) -> Iterator[socket.socket]:
    """The socket on which a service says how it is."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(path))
        ear.settimeout(60)
        yield ear


def test_ready_is_told_to_the_socket_that_is_named(tmp_path: Path) -> None:
    with systemd(tmp_path / "notify") as ear:
        Watchdog({"NOTIFY_SOCKET": str(tmp_path / "notify")}).tell(READY)
        assert ear.recv(100) == READY
    Watchdog({}).tell(READY)
    Watchdog({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).tell(READY)


async def test_only_a_bank_that_can_take_a_step_is_alive(tmp_path: Path) -> None:
    turn = asyncio.Lock()
    with systemd(tmp_path / "notify") as ear:
        ear.setblocking(False)
        watchdog = Watchdog({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "40000"})
        task = asyncio.create_task(watchdog.run(turn))
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(30):
            assert [await loop.sock_recv(ear, 100) for _ in range(3)] == [ALIVE] * 3
            async with turn:
                with pytest.raises(BlockingIOError):
                    while True:  # what was said before
                        ear.recv(100)
                await asyncio.sleep(0.3)
                with pytest.raises(BlockingIOError):
                    ear.recv(100)
            assert await loop.sock_recv(ear, 100) == ALIVE
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_watchdog_that_is_meant_for_another_process_is_left_alone(tmp_path: Path) -> None:
    with systemd(tmp_path / "notify") as ear:
        ear.setblocking(False)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await Watchdog(environment).run(asyncio.Lock())
        with pytest.raises(BlockingIOError):
            ear.recv(100)


def test_this_process_has_an_age() -> None:
    age = age_s()
    assert age is not None and 0 < age < 24 * 3600


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "latchwork-edge.service"
    unit.write_text(UNIT.replace("/opt/latchwork/bin/latchwork", str(LATCHWORK)).replace("=latchwork\n", "=root\n", 2))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr


def test_the_unit_is_watched_restarted_for_ever_and_writes_in_one_folder() -> None:
    lasting = "Type=notify WatchdogSec=60 Restart=always StartLimitIntervalSec=0"
    harmless = "User=latchwork ProtectSystem=strict StateDirectory=latchwork CapabilityBoundingSet= NoNewPrivileges=yes"
    for line in f"{lasting} {harmless}".split():
        assert f"\n{line}\n" in UNIT
    assert "ReadWritePaths" not in UNIT


# A real process on a machine where nothing but its state folder can be written

READ_ONLY = """
set -e
mount -t tmpfs -o size=8m,mode=700 state "$1"
mount --make-rprivate /
for place in $(cut -d' ' -f5 /proc/self/mountinfo | sort -u); do
    case "$place" in "$1"|/proc*|/dev/pts*) ;; *) mount -o remount,bind,ro "$place" 2>/dev/null || true ;; esac
done
cp "$2"/* "$1"/
! touch "$2/written" 2>/dev/null
! touch /tmp/written 2>/dev/null
shift 2
exec "$@"
"""


def may_unshare() -> bool:
    return sys.platform == "linux" and subprocess.run(["unshare", "-rm", "true"], check=False).returncode == 0


@asynccontextmanager
async def appliance(folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str, socket.socket]]:
    """A bank that is enrolled, whose server and board do not answer, and whose root is read-only."""
    state, kept = folder / "state", folder / "kept"
    state.mkdir()
    kept.mkdir()
    key = Ed25519PrivateKey.generate().private_bytes_raw().hex()
    who = {"bank": "b" * 32, "device_key": key, "code_key": "c" * 64, "generation": 1, "name": "Attic"}
    (kept / "identity.json").write_text(json.dumps(who))
    port = free_port()
    (folder / "bank.toml").write_text(
        f'[bank]\nserver = "http://127.0.0.1:9"\nstate = "state"\nkiosk = "127.0.0.1:{port}"\n'
        '[[bus]]\ndriver = "kerong-cu16"\nport = "socket://127.0.0.1:9"\n'
        '[[compartment]]\nid = "01"\nsize_mm = [380, 80, 640]\nchannel = 0\n'
    )
    with systemd(folder / "notify") as ear:
        words = ["sh", "-c", READ_ONLY, "sh", str(state), str(kept), str(LATCHWORK), "edge", str(folder / "bank.toml")]
        environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), "PYTHONDONTWRITEBYTECODE": "1"}
        process = await asyncio.create_subprocess_exec(
            "unshare", "-rm", *words, env=environment, stderr=asyncio.subprocess.PIPE
        )
        try:
            yield process, f"http://127.0.0.1:{port}", ear
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def test_a_bank_that_cannot_begin_says_so_on_the_screen(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "identity.json").write_text("")
    (tmp_path / "bank.toml").write_text(
        f'[bank]\nserver = "http://127.0.0.1:9"\nstate = "state"\nkiosk = "127.0.0.1:{port}"\n'
        '[[bus]]\ndriver = "kerong-cu16"\nport = "socket://127.0.0.1:9"\n'
        '[[compartment]]\nid = "01"\nsize_mm = [380, 80, 640]\nchannel = 0\n'
    )
    environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "nobody")}
    words = [str(LATCHWORK), "edge", str(tmp_path / "bank.toml")]
    process = await asyncio.create_subprocess_exec(*words, env=environment, stderr=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(60), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            answer = None
            while answer is None:
                with suppress(httpx.TransportError):
                    answer = await client.get("/")
                await asyncio.sleep(0.05)
            assert answer.status_code == 503 and "This wall is out of order" in answer.text
            assert "state folder is not what was written there" in answer.text
            assert (await client.get("/screen")).status_code == 404
            assert (await client.get("/static/broken.js")).status_code == 200
        process.terminate()
        said = (await process.communicate())[1].decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == -signal.SIGTERM
    assert said.count("\n") == 1 and said.startswith("latchwork edge: a file in the state")


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(b"x" * 65_536)


@pytest.mark.skipif(not may_unshare(), reason="this machine lets nobody mount anything")
async def test_it_runs_where_only_its_state_can_be_written_also_when_that_is_full(tmp_path: Path) -> None:
    async with appliance(tmp_path) as (process, url, ear), httpx.AsyncClient(base_url=url, timeout=60) as client:
        assert await asyncio.to_thread(ear.recv, 100) == READY
        assert (await client.get("/screen")).json()["screen"] == "start"
        state = Path(f"/proc/{process.pid}/root{tmp_path}/state")
        assert {"journal.sqlite", "identity.json", "reserve"} <= set(os.listdir(state))
        fill(state / "fill")
        for _ in range(3):
            answer = await client.post("/act", json={"do": "code", "code": "123456"})
            assert answer.json()["refusal"]["reason"] == "wrong_code", "written in the reserve"
        assert not (state / "reserve").exists()
        (state / "fill").unlink()
        process.terminate()
        said = (await process.communicate())[1].decode()
        assert await asyncio.to_thread(ear.recv, 100) == STOPPING
        assert process.returncode == 0
        ready = re.search(r"Attic is ready: kiosk at \S+, ([0-9.]+) s after it was started", said)
        assert ready, said
