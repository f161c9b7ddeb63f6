"""`latchwork edge accept bank.toml`: a technician at the wall says yes to what the cloud wants and may not do alone."""

import argparse
import difflib
import sys
from pathlib import Path

from latchwork.edge.config import BadConfig, read_config
from latchwork.edge.consent import Consent
from latchwork.edge.recovery import Offered
from latchwork.edge.seal import unsealed


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="the bank's configuration file")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(args: argparse.Namespace) -> int:
    try:
        return _run(args.config, args.yes)
    except (BadConfig, OSError) as error:
        sys.stderr.write(f"latchwork edge accept: {error}\n")
        return 1


def _run(path: Path, yes: bool) -> int:
    consent = Consent(read_config(path).state)
    wanted, offered = consent.wanted, consent.offered
    if wanted is None and offered is None:
        sys.stdout.write("Nothing waits to be accepted.\n")
        return 1
    done = True
    if wanted is not None:
        sys.stdout.write(_changes(path, wanted))
        if done := yes or _says_yes("Run this from the next quiet moment on?"):
            consent.accept(wanted)
            sys.stdout.write("Accepted. It is taken over when nobody is at the wall.\n")
    if offered is not None:
        sys.stdout.write(_parting(offered))
        if agreed := yes or _says_yes("Go on from the server's log?"):
            consent.accept_log(offered)
            sys.stdout.write('Accepted. Now press "Go on from our log" on the wall\'s page once more.\n')
        done = done and agreed
    return 0 if done else 1


def _changes(path: Path, wanted: bytes) -> str:
    before, after = (x.decode(errors="replace").splitlines() for x in (unsealed(path.read_bytes()), wanted))
    return "".join(f"{line}\n" for line in difflib.unified_diff(before, after, "runs", "wanted", lineterm=""))


def _parting(offered: Offered) -> str:
    return (
        f"This wall's log has parted from the server's. Of its present epoch {offered.same} entries are in both; "
        f"{offered.own} that it wrote since are kept, and told again.\n"
        f"The server's log has {offered.size} entries, with the root\n  {offered.root}\n"
        "Whoever holds the server can have written them: check them first (latchwork verify).\n"
    )


def _says_yes(question: str) -> bool:
    sys.stdout.write(f"{question} Type yes: ")
    sys.stdout.flush()
    if sys.stdin.readline().strip() == "yes":
        return True
    sys.stdout.write("Nothing is changed.\n")
    return False
