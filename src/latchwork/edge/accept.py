"""`latchwork edge accept bank.toml`: a technician at the wall says yes to what the cloud wants and may not do alone."""

import argparse
import difflib
import sys
from pathlib import Path

from latchwork.edge.config import BadConfig, read_config
from latchwork.edge.desired import accept, wanted_at
from latchwork.edge.seal import unsealed


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="the bank's configuration file")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(args: argparse.Namespace) -> int:
    try:
        state = read_config(args.config).state
        wanted = wanted_at(state).read_bytes()
    except FileNotFoundError:
        sys.stdout.write("Nothing waits to be accepted.\n")
        return 1
    except (BadConfig, OSError) as error:
        sys.stderr.write(f"latchwork edge accept: {error}\n")
        return 1
    before, after = (
        each.decode(errors="replace").splitlines() for each in (unsealed(args.config.read_bytes()), wanted)
    )
    for line in difflib.unified_diff(before, after, "runs", "wanted", lineterm=""):
        sys.stdout.write(f"{line}\n")
    if not args.yes:
        sys.stdout.write("Run this from the next quiet moment on? Type yes: ")
        sys.stdout.flush()
        if sys.stdin.readline().strip() != "yes":
            sys.stdout.write("Nothing is changed.\n")
            return 1
    accept(state, wanted)
    sys.stdout.write("Accepted. It is taken over when nobody is at the wall.\n")
    return 0
