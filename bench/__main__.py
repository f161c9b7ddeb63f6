"""`python -m bench [NAME]`: the parts in turn, each with its baseline; figures also go to `var/bench.json`."""

import argparse
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

PARTS = ("guess", "collect", "unlock", "drivers", "start", "race", "lives")
KEYS = (
    "lives_per_s",
    "pgbench_lives_per_s",
    "lives_ratio",
    "unlock_overhead_ms_p50",
    "unlock_overhead_ms_p99",
    "driver_frame_ms_p50",
    "driver_proven_ms_p50",
    "ten_boards_idle_percent",
    "channels_512_idle_percent",
    "start_ready_s",
    "start_entry_us",
    "collect_ms",
    "race_last_winners",
    "race_free_successes",
    "guess_codes_a_day",
    "guess_chance_a_day",
    "guess_wait_s_max",
)
FILE = Path(__file__).parents[1] / "var" / "bench.json"


def main() -> int:
    parser = argparse.ArgumentParser("python -m bench", description=__doc__)
    parser.add_argument("name", nargs="?", choices=PARTS, help="one part only")
    only = parser.parse_args().name
    figures: dict[str, Any] = _before() if only else {}
    for name in [only] if only else PARTS:
        began = time.monotonic()
        print(f"\n{name}: load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before it began", flush=True)
        part = importlib.import_module(f"bench.{name}")
        figures |= part.run()
        print(f"  ({time.monotonic() - began:.0f} s)", flush=True)
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(json.dumps({key: figures[key] for key in KEYS if key in figures}, indent=2) + "\n")
    print(f"\nThese figures are in {FILE}.")
    return 0


def _before() -> dict[str, Any]:
    """One part keeps what an earlier run said of the others."""
    try:
        found = json.loads(FILE.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


if __name__ == "__main__":
    sys.exit(main())
