"""What the journeys share: `latchwork` as a process, and who of a data folder's processes is alive."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from latchwork.simulator.stage import PORTS, Ports

COMMAND = [sys.executable, "-m", "latchwork.main"]
ROOT = Path(__file__).parents[2]


def environment(ports: Ports) -> dict[str, str]:
    moved = {variable: str(ports.numbers[name]) for name, (variable, _, _) in PORTS.items()}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LATCHWORK_")}
    return {**clean, **moved}


def latchwork(*words: str, ports: Ports | None = None, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs it to its end."""
    return subprocess.run(
        [*COMMAND, *words],
        cwd=cwd,
        env=environment(ports or Ports.free()),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
        check=False,
    )


def living(data: Path) -> dict[int, str]:
    """Every process that names this folder in its arguments or its environment, or works inside it."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            said = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            where = os.readlink(entry / "cwd")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z" and (os.fsencode(data) in said or where.startswith(str(data))):
                found[int(entry.name)] = said.replace(b"\0", b" ")[:120].decode(errors="replace")
    return found


def wait_until(true: Callable[[], bool], patience_s: float = 60.0) -> None:
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < patience_s, f"not within {patience_s} s"
        time.sleep(0.02)
