"""The `latchwork` command: a table of subcommands, each imported only when it is called.

It wires nothing itself. A subcommand is a module with `configure(parser)` and `run(args) -> int`.
"""

import argparse
import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True, slots=True)
class Subcommand:
    module: str
    help: str


SUBCOMMANDS: Mapping[str, Subcommand] = {
    "run": Subcommand("latchwork.simulator.stage", "database, server, two banks on simulated boards, mail catcher"),
    "demo": Subcommand("latchwork.simulator.demo", "play the story of a dozen parcels through the running parts"),
    "replay": Subcommand("latchwork.simulator.replay", "send a file of real reservations through banks and server"),
    "sim": Subcommand("latchwork.simulator.main", "bank and server in pretend time, with faults and checkers"),
    "board": Subcommand(
        "latchwork.simulator.boards.main", "one simulated lock board on a pty, or relay device on the network"
    ),
    "server": Subcommand("latchwork.server.main", "the cloud: API, pages and the banks' exchange"),
    "reproject": Subcommand("latchwork.server.reproject", "make the rows of the cloud once more from the logs"),
    "verify": Subcommand("latchwork.store.main", "check a receipt, a journal or the cloud's logs against their proofs"),
    "sign": Subcommand("latchwork.sign", "sign what guarded walls do only when it is signed"),
    "edge": Subcommand("latchwork.edge.main", "one locker bank: its loop, its link and its kiosk"),
    "edge accept": Subcommand("latchwork.edge.accept", "say yes, at the wall, to a configuration from the cloud"),
    "edge sniff": Subcommand("latchwork.edge.sniff", "listen to a bus, and write down what is said there"),
    "edge commission": Subcommand("latchwork.edge.commission.main", "find out which door is where, and write it down"),
}


class Missing(Exception):
    """The subcommand is in the table, but this installation lacks its module."""


def main(argv: Sequence[str] | None = None, table: Mapping[str, Subcommand] = SUBCOMMANDS) -> int:
    try:
        return _main(list(sys.argv[1:] if argv is None else argv), table)
    except KeyboardInterrupt:
        return 130


def _main(words: list[str], table: Mapping[str, Subcommand]) -> int:
    parser, branches = _parser(table)
    for name in (name for name in table if " " in name):
        if words[: len(parts := name.split())] == parts:
            words[: len(parts)] = [name]
    called = next((word for word in words if not word.startswith("-")), None)
    module = None
    if called is not None and called in table:
        try:
            module = _load(called, table[called].module)
        except Missing as missing:
            print(f"latchwork: {missing}", file=sys.stderr)
            return 1
        module.configure(branches[called])
    args = parser.parse_args(words)
    if module is None:
        parser.print_help()
        return 2
    return int(module.run(args))


def _parser(table: Mapping[str, Subcommand]) -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    parser = argparse.ArgumentParser("latchwork", description="The open-source operating system for smart lockers.")
    subparsers = parser.add_subparsers(dest="subcommand", metavar="COMMAND")
    branches = {
        name: subparsers.add_parser(name, help=subcommand.help, description=subcommand.help)
        for name, subcommand in table.items()
    }
    return parser, branches


def _load(name: str, path: str) -> ModuleType:
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        # Only the absence of the subcommand's own module is ours to explain; a broken import inside it is a bug.
        if error.name is None or not (path == error.name or path.startswith(error.name + ".")):
            raise
        raise Missing(f"'{name}' is not part of this installation: module {path} is missing") from error


if __name__ == "__main__":
    sys.exit(main())
