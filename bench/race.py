"""Couriers who all want a door at the same moment, each a process of its own, at the kiosk of a real `latchwork edge`.

A simulated board in its own process opens the doors; nobody listens at the server's address, for none is needed.
"""

import asyncio
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
import msgspec

from bench.walls import SMALL, make_bank, on_disk
from latchwork.edge.drivers.kerong_cu16 import codec
from latchwork.edge.identity import Identity
from latchwork.simulator.ports import free_port
from latchwork.simulator.processes import LAUNCHER

COURIERS = (2, 8)
DOORS = 50
ROUNDS_LAST = 10
ROUNDS_FREE = 4
LOCKS = codec.LOCKS_PER_BOARD
HANDS_S = 0.8
"""Nobody shuts a door faster; while its coil is still pulled it would spring open again, and count as forced."""
PATIENCE_S = 60.0


def run() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="latchwork-bench-") as name:
        last = _race(Path(name) / "last", occupied=DOORS - 1, rounds=ROUNDS_LAST)
        free = _race(Path(name) / "free", occupied=0, rounds=ROUNDS_FREE)
    print(
        "Couriers pressing at once, each a process of its own (in brackets: how far apart their presses began, median):"
    )
    won = {str(n): f"{sum(len(r.doors) == 1 for r in rounds)}/{len(rounds)}" for n, rounds in last.items()}
    got = {str(n): f"{sum(len(r.doors) for r in rounds)}/{n * len(rounds)}" for n, rounds in free.items()}
    for n in COURIERS:
        said = _told(last[n])
        print(f"  {n} for the last compartment: won by exactly one in {won[str(n)]} rounds ({_spread(last[n])}){said}")
    for n in COURIERS:
        double = sum(len(r.doors) - len(set(r.doors)) for r in free[n])
        said = _told(free[n])
        print(f"  {n} for {DOORS} free ones: {got[str(n)]} got one, {double} doubly given ({_spread(free[n])}){said}")
        assert double == 0, "a compartment was given to two"
    return {"race_last_winners": won, "race_free_successes": got}


@dataclass(frozen=True, slots=True)
class _Round:
    doors: tuple[str, ...]
    refusals: tuple[str, ...]
    spread_ms: float


def _told(rounds: list[_Round]) -> str:
    reasons = Counter(reason for r in rounds for reason in r.refusals)
    return f"; the others were told {', '.join(f'{why} {n}x' for why, n in reasons.items())}" if reasons else ""


def _spread(rounds: list[_Round]) -> str:
    return f"{sorted(r.spread_ms for r in rounds)[len(rounds) // 2]:.1f} ms"


def _race(folder: Path, occupied: int, rounds: int) -> dict[int, list[_Round]]:
    courier, labels = asyncio.run(_prepare(folder, occupied))
    with ExitStack() as stack:
        kiosk, hands = stack.enter_context(_edge(folder))
        return {n: _couriers(n, rounds, kiosk, hands, courier, labels) for n in COURIERS}


async def _prepare(folder: Path, occupied: int) -> tuple[str, list[str]]:
    """A bank's state folder, as if a server had enrolled it, granted a courier's code and announced some parcels."""
    bank, filled = await make_bank(DOORS, occupied)
    labels = [f"RACE-{n}" for n in range(max(COURIERS))]
    for label in labels:
        await bank.expect(label)
    state = folder / "state"
    state.mkdir(parents=True)
    (await on_disk(bank, filled, state, _Silent()))[1].close()
    identity = Identity(bank.id, token_hex(32), bank.code_key.hex(), 1, "Race", "Bench")
    (state / "identity.json").write_bytes(msgspec.json.encode(identity))
    return bank.courier, labels


class _Silent:
    async def pulse(self, compartment: str) -> None:
        raise AssertionError("nothing is opened while a bank is prepared")


@contextmanager
def _edge(folder: Path) -> Iterator[tuple[str, str]]:
    """A board and a bank as processes; addresses of the kiosk and of the board's hands."""
    kiosk, hands, nowhere = free_port(), free_port(), free_port()
    text = ["[bank]", f'server = "http://127.0.0.1:{nowhere}"', 'state = "state"', f'kiosk = "127.0.0.1:{kiosk}"']
    boards = -(-DOORS // LOCKS)
    text += ["[[bus]]", 'driver = "kerong-cu16"', f'port = "{folder / "line"}"', f"boards = {list(range(boards))}"]
    for n in range(DOORS):
        size = [SMALL.width_mm, SMALL.height_mm, SMALL.depth_mm]
        text += ["[[compartment]]", f'id = "{n + 1:04}"', f"size_mm = {size}", f"channel = {n}"]
    (folder / "bank.toml").write_text("\n".join(text) + "\n")
    board = ("board", "kerong-cu16", "--pty", str(folder / "line"), "--control", f"127.0.0.1:{hands}")
    with (
        _process(folder / "board.log", *board, "--boards", str(boards)),
        _process(folder / "edge.log", "edge", str(folder / "bank.toml")),
    ):
        urls = f"http://127.0.0.1:{kiosk}", f"http://127.0.0.1:{hands}"
        for url, log in zip(urls, ("edge.log", "board.log"), strict=True):
            _wait_for(url, folder / log)
        time.sleep(2)  # until every board has been polled, and every door is known to be closed
        yield urls


@contextmanager
def _process(log: Path, *words: str) -> Iterator[None]:
    with log.open("wb") as out:
        argv = [sys.executable, "-m", "latchwork.main", *words]
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(LAUNCHER), str(multiprocessing.current_process().pid), *argv],
            stdout=out,
            stderr=out,
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(url: str, log: Path) -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            if httpx.get(url).status_code < 500:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise RuntimeError(f"nothing answers at {url}. {log} ends:\n{log.read_text()[-2000:]}")


def _couriers(n: int, rounds: int, kiosk: str, hands: str, courier: str, labels: list[str]) -> list[_Round]:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(n)
    ends, workers = [], []
    for label in labels[:n]:
        mine, theirs = context.Pipe()
        worker = context.Process(
            target=_courier, args=(theirs, barrier, kiosk, hands, courier, label, rounds), daemon=True
        )
        worker.start()
        ends.append(mine)
        workers.append(worker)
    found = []
    try:
        for _ in range(rounds):
            said = [end.recv() if end.poll(PATIENCE_S) else _fail() for end in ends]
            times = [at for at, _, _ in said]
            found.append(
                _Round(
                    tuple(door for _, door, _ in said if door),
                    tuple(why for _, _, why in said if why),
                    (max(times) - min(times)) * 1000,
                )
            )
        for worker in workers:
            worker.join(PATIENCE_S)  # the last door has to be shut and given back, too
            if worker.exitcode != 0:
                raise RuntimeError("a courier did not get to the end")
    finally:
        for worker in workers:
            worker.kill()
    return found


def _fail() -> Any:
    raise RuntimeError("a courier's process did not answer")


def _courier(said: Connection, barrier: Barrier, kiosk: str, hands: str, courier: str, label: str, rounds: int) -> None:
    """Sign in and scan; then, all at once, ask for a door. Whoever has one gives it back before the next round."""
    with httpx.Client(base_url=kiosk, timeout=PATIENCE_S) as client:

        def press(do: str, **more: Any) -> dict[str, Any]:
            answer = client.post("/act", json={"do": do, **more})
            answer.raise_for_status()
            screen: dict[str, Any] = answer.json()
            return screen

        press("code", code=courier)
        for _ in range(rounds):
            press("label", label=label)
            barrier.wait(PATIENCE_S)
            at = time.monotonic()
            screen = press("agree")
            door = screen["values"].get("door") if screen["screen"] in ("opening", "open", "queued") else None
            refusal = (screen["refusal"] or {}).get("reason")
            said.send((at, door, None if door else refusal or screen["screen"]))
            if door:
                _give_back(client, press, hands, int(door) - 1)
            else:
                press("back")
            barrier.wait(PATIENCE_S)
        press("sign_out")


def _give_back(client: httpx.Client, press: Any, hands: str, channel: int) -> None:
    """Shut the door and say that nothing is inside."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        screen = client.get("/screen").json()["screen"]
        if screen == "open":
            time.sleep(HANDS_S)
            httpx.post(f"{hands}/doors/{channel}/close")
        elif screen == "closed":
            told = press("took_back")
            if told["refusal"] is None:
                return
        time.sleep(0.05)
    raise RuntimeError(f"the door never closed: the kiosk shows {screen}")
