"""From the start of a `latchwork edge` process until it says that it is ready, with a short log and with a long one.

Beside it a bare interpreter that ends at once, which nobody who writes in Python can beat.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from secrets import token_hex
from statistics import median
from typing import Any

from bench.walls import BenchBank, MemoryJournal, make_bank
from latchwork.domain import commands as c
from latchwork.domain.words import OpeningId
from latchwork.edge.watchdog import READY
from latchwork.simulator.ports import free_port
from latchwork.store.sqlite import SqliteJournal

DOORS = 64
LIVES = (0, 2_000)
"""Parcels that came and went before. A compartment of a busy wall has one a day."""
ROUNDS = 5
PATIENCE_S = 120.0


def run() -> dict[str, Any]:
    bare_s = median(_bare() for _ in range(ROUNDS))
    print(f"From the start of the process until it is ready, {ROUNDS} times each (s, median):")
    print(f"  a bare interpreter {bare_s:.2f}")
    ready: dict[int, float] = {}
    for lives in LIVES:
        bank, journal = asyncio.run(_lived(lives))
        with tempfile.TemporaryDirectory(prefix="latchwork-bench-") as name:
            _lay_down(Path(name), bank, journal)
            ready[journal.size] = median(_start(Path(name)) for _ in range(ROUNDS))
        print(f"  {DOORS} doors, {journal.size} entries in the log {ready[journal.size]:.2f}")
    (short, short_s), (long, long_s) = ready.items()
    each_us = (long_s - short_s) / (long - short) * 1e6
    print(f"  So each entry costs {each_us:.0f} µs, and a million {each_us:.0f} s.")
    return {"start_ready_s": round(short_s, 2), "start_entry_us": round(each_us, 1)}


async def _lived(lives: int) -> tuple[BenchBank, MemoryJournal]:
    bank, journal = await make_bank(DOORS, 0)
    for _ in range(lives):
        stay, opening = await bank.put_in(), OpeningId(token_hex(16))
        session = await bank.signed_in(bank.digits(stay))
        await bank.loop.do(c.Collect(session, opening, stay))
        await bank.swing(opening)
        await bank.loop.do(c.SignOut(session))
        assert stay not in bank.loop.bank.stays
    return bank, journal


def _lay_down(folder: Path, bank: BenchBank, journal: MemoryJournal) -> None:
    """What an enrolled controller has: its identity, its journal and its configuration. Nobody answers at its ports."""
    state = folder / "state"
    state.mkdir()
    who = {"bank": bank.id, "device_key": "d" * 64, "code_key": bank.code_key.hex(), "generation": 1, "name": "bench"}
    (state / "identity.json").write_text(json.dumps(who))
    kept = SqliteJournal(state)
    asyncio.run(kept.append(journal.raws, journal.nodes))
    kept.close()
    port = free_port()
    doors = "".join(
        f'[[compartment]]\nid = "{x.id}"\nsize_mm = [380, 80, 640]\nchannel = {channel}\n'
        for channel, x in enumerate(bank.loop.bank.compartments.values())
    )
    (folder / "bank.toml").write_text(
        f'[bank]\nserver = "http://127.0.0.1:9"\nstate = "state"\nkiosk = "127.0.0.1:{port}"\n'
        f'[[bus]]\ndriver = "kerong-cu16"\nport = "socket://127.0.0.1:9"\nboards = [0, 1, 2, 3]\n{doors}'
    )


def _start(folder: Path) -> float:
    """As systemd hears it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        path = folder / "notify"
        path.unlink(missing_ok=True)
        ear.bind(str(path))
        ear.settimeout(PATIENCE_S)
        words = [str(Path(sys.executable).with_name("latchwork")), "edge", str(folder / "bank.toml")]
        began = time.monotonic()
        with subprocess.Popen(
            words, env={**os.environ, "NOTIFY_SOCKET": str(path)}, stderr=subprocess.DEVNULL
        ) as process:
            try:
                assert ear.recv(100) == READY
                return time.monotonic() - began
            finally:
                process.terminate()


def _bare() -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.monotonic() - began
