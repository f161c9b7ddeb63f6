"""Full parcel lives a second through the real server process, against pgbench writing the same by the same functions.

Announced over HTTP, lived over the WebSocket exchange by fake banks in processes of their own, all of it committed
with fsync: afterwards every life is looked up in the rows. Both share one PostgreSQL and, as everything here, the same
cores; they run in turn.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench import life
from bench.pgbench import Pgbench
from latchwork.simulator.ports import free_port
from latchwork.simulator.processes import LAUNCHER
from latchwork.store.embedded import Embedded
from latchwork.sync.keys import enrol_text

BANKS = 64
CLIENTS = 2
CONNECTIONS = (8, 16, 32)
ROUNDS = 2
WARM_S = 2.0
COUNT_S = 8.0
PGBENCH_S = 5
READY_S = 60.0


def run() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="latchwork-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL's own uid must get through
        postgres = Embedded(folder / "postgres")
        dsn = stack.enter_context(postgres)
        port = free_port()
        server = stack.enter_context(_server(folder, dsn, port))
        made = _Made(f"http://127.0.0.1:{port}", folder)
        stack.callback(made.close)
        pgbench = Pgbench(dsn, folder, made.organisation, made.party, made.person)
        best: dict[int, float] = dict.fromkeys(CONNECTIONS, 0.0)
        spent: dict[int, float] = {}
        measured: list[_Measured] = []
        for _ in range(ROUNDS):
            for connections in CONNECTIONS:
                before_s = _cpu_tree_s(postgres.pid)
                lives, seconds = pgbench.run(connections, PGBENCH_S)
                best[connections] = max(best[connections], lives / seconds)
                spent[connections] = (_cpu_tree_s(postgres.pid) - before_s) / lives * 1e6
            measured.append(_measure(made, port, server, postgres.pid, dsn))
    return _told(best, spent, measured)


def _told(best: dict[int, float], spent: dict[int, float], measured: "list[_Measured]") -> dict[str, Any]:
    ours = max(measured, key=lambda m: m.lives_per_s)
    limit = max(best.values())
    ratio = ours.lives_per_s / limit
    print(f"Parcel lives a second, best of {ROUNDS} rounds in turn; {life.ENTRIES_PER_LIFE} entries a life:")
    for n, lives_per_s in best.items():
        print(f"  pgbench, {n:>2} connections: {lives_per_s:,.0f} (PostgreSQL {spent[n]:,.0f} us of processor a life)")
    print(f"  the server, {BANKS} banks online: {ours.lives_per_s:,.0f}, x{ratio:.2f} of pgbench at its best")
    print(
        f"  rounds: {', '.join(f'{m.lives_per_s:,.0f}' for m in measured)}; a life took {ours.p50_ms:.0f} ms (median)"
    )
    cpu = ", ".join(f"{name} {us:,.0f}" for name, us in ours.cpu_us.items())
    print(f"  processor time for a life, in us: {cpu}")
    return {
        "lives_per_s": round(ours.lives_per_s, 1),
        "pgbench_lives_per_s": round(limit, 1),
        "lives_ratio": round(ratio, 3),
    }


@contextlib.contextmanager
def _server(folder: Path, dsn: str, port: int) -> Iterator[int]:
    """Its process id."""
    log = folder / "server.log"
    with log.open("wb") as out:
        words = ["-m", "latchwork.main", "server", "--port", str(port), "--state", str(folder / "server")]
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), sys.executable, *words],
            env={**os.environ, "LATCHWORK_DATABASE_URL": dsn, "LATCHWORK_REQUESTS_PER_MINUTE": "0"},
            stdout=out,
            stderr=out,
        )
        try:
            until = time.monotonic() + READY_S
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if httpx.get(f"http://127.0.0.1:{port}/health").is_success:
                        break
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"the server does not start:\n{log.read_text()[-2000:]}")
                time.sleep(0.1)
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class _Made:
    """What stands in the server's tables before anything is measured, made through its API."""

    def __init__(self, url: str, folder: Path) -> None:
        first = (folder / "server" / "first-token").read_text().strip()
        self._api = httpx.Client(base_url=f"{url}/api/v1/", timeout=30)
        self._api.headers["Authorization"] = f"Bearer {first}"
        founded = self._post("organisations", name="Bench")
        self.organisation, self.token = founded["organisation"], founded["token"]
        self._api.headers["Authorization"] = f"Bearer {self.token}"
        self._site = self._post("sites", name="Bench", time_zone="Europe/Berlin")["id"]
        self.party = self._post("parties", name="Carrier")["id"]
        self.person = self._post("people", name="Somebody", site=self._site)["id"]

    def fresh_banks(self) -> list[dict[str, str]]:
        banks = []
        for n in range(BANKS):
            invited = self._post("banks", site=self._site, name=f"Bank {n}")
            key = Ed25519PrivateKey.generate()
            code, public = invited["enrolment_code"], key.public_key().public_bytes_raw()
            signature = key.sign(enrol_text(code, public)).hex()
            self._post("enrolments", code=code, public_key=public.hex(), signature=signature)
            banks.append({"id": invited["bank"], "key": key.private_bytes_raw().hex()})
        return banks

    def close(self) -> None:
        self._api.close()

    def _post(self, path: str, **body: Any) -> Any:
        answer = self._api.post(path, json=body)
        answer.raise_for_status()
        return answer.json()


class _Measured:
    def __init__(self, lives_per_s: float, p50_ms: float, cpu_us: dict[str, float]) -> None:
        self.lives_per_s = lives_per_s
        self.p50_ms = p50_ms
        self.cpu_us = cpu_us


def _measure(made: _Made, port: int, server: int, postgres: int | None, dsn: str) -> _Measured:
    """Fresh banks each time: a fake bank's log lives only as long as its process."""
    banks = made.fresh_banks()
    orders = [
        {"host": "127.0.0.1", "port": port, "token": made.token, "party": made.party, "person": made.person}
        | {"banks": banks[n::CLIENTS]}
        for n in range(CLIENTS)
    ]
    clients = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.lives_client"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in orders
    ]
    try:
        for client, order in zip(clients, orders, strict=True):
            _say(client, json.dumps(order))
        for client in clients:
            if _hear(client) != "ready":
                raise RuntimeError("a fake bank could not begin")
        asyncio.run(_checkpoint(dsn))
        cpu_before = {"server": _cpu_s(server), "PostgreSQL": _cpu_tree_s(postgres)}
        began = time.monotonic() + 0.1
        for client in clients:
            _say(client, f"{began + WARM_S} {began + WARM_S + COUNT_S}")
        found = [json.loads(_hear(client)) for client in clients]
        cpu = {
            "server": _cpu_s(server) - cpu_before["server"],
            "PostgreSQL": _cpu_tree_s(postgres) - cpu_before["PostgreSQL"],
            "fake banks": sum(f["cpu_s"] for f in found),
        }
    finally:
        for client in clients:
            client.kill()
            client.communicate()
    lives = sum(f["lives"] for f in found)
    asyncio.run(_check(dsn, {bank: size for f in found for bank, size in f["sizes"].items()}, lives))
    return _Measured(
        sum(f["counted"] for f in found) / COUNT_S,
        max(f["p50_ms"] for f in found),
        {name: s / lives * 1e6 for name, s in cpu.items()},
    )


def _say(client: "subprocess.Popen[str]", line: str) -> None:
    assert client.stdin is not None
    client.stdin.write(line + "\n")
    client.stdin.flush()


def _hear(client: "subprocess.Popen[str]") -> str:
    assert client.stdout is not None
    return client.stdout.readline().strip()


async def _checkpoint(dsn: str) -> None:
    """Nobody pays for what the one before wrote."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


async def _check(dsn: str, sizes: dict[str, int], lives: int) -> None:
    """Every life that was counted is in the rows, and every entry in the copies."""
    connection = await asyncpg.connect(dsn)
    try:
        held = await connection.fetch("SELECT id, size FROM banks WHERE id = ANY ($1)", list(sizes))
        collected = await connection.fetchval(
            "SELECT count(*) FROM stays WHERE state = 'collected' AND bank = ANY ($1)", list(sizes)
        )
    finally:
        await connection.close()
    if {row["id"]: row["size"] for row in held} != sizes or collected != lives:
        raise RuntimeError(f"{lives} lives were lived, and the rows have {collected}")


_TICKS = os.sysconf("SC_CLK_TCK")


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _cpu_tree_s(pid: int | None) -> float:
    """A postmaster and its children, those that have ended among them."""
    if pid is None:
        return 0.0
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    ended = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[13:15]
    total = _cpu_s(pid) + sum(map(int, ended)) / _TICKS
    for child in children:
        with contextlib.suppress(OSError):
            total += _cpu_s(int(child))
    return total
