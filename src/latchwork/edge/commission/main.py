"""`latchwork edge commission bank.toml`: finds out which door answers which channel, and writes the configuration."""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from latchwork.edge.commission import web
from latchwork.edge.commission.sitting import kept_at, sitting
from latchwork.edge.commission.terminal import Stop, Terminal, scripted, typed
from latchwork.edge.config import BadConfig, BankTable, BusTable, Tables, written
from latchwork.store.sqlite import JournalHeld


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="the bank's configuration file; made where it is not there")
    parser.add_argument("--server", metavar="URL", help="of a new file: where the cloud is")
    parser.add_argument("--state", default="state", metavar="FOLDER", help="of a new file: journal and identity")
    parser.add_argument(
        "--bus", action="append", default=[], type=_bus, metavar="DRIVER=PORT", help="of a new file: its boards"
    )
    parser.add_argument("--anew", action="store_true", help="forget what earlier sittings have found, and scan again")
    parser.add_argument(
        "--web", nargs="?", type=int, const=0, metavar="PORT", help="ask in a browser on this machine, not here"
    )
    parser.add_argument("--script", type=Path, metavar="FILE", help="a JSON list of the lines to answer with")


def run(args: argparse.Namespace) -> int:
    try:
        _make(args)
        asyncio.run(_sit(args))
    except (Stop, KeyboardInterrupt):
        print(f"Stopped. What was answered is in {kept_at(args.config)}; the same command goes on from there.")
        return 3
    except (BadConfig, JournalHeld, OSError, ValueError) as error:
        print(f"latchwork edge commission: {error}", file=sys.stderr)
        return 1
    return 0


def _make(args: argparse.Namespace) -> None:
    if args.config.exists():
        if args.server or args.bus:
            raise BadConfig(f"{args.config} is there already: --server and --bus are for a new file")
        return
    if not args.server or not args.bus:
        raise BadConfig(f"{args.config} is not there: make it with --server URL and --bus DRIVER=PORT")
    args.config.write_text(written(Tables(BankTable(args.server, args.state), tuple(args.bus))), encoding="utf-8")


async def _sit(args: argparse.Namespace) -> None:
    script = json.loads(args.script.read_bytes()) if args.script else None
    async with sitting(args.config, anew=args.anew, say=print) as here:
        if args.web is not None:
            await web.serve(here, args.web, print)
        else:
            await Terminal(here, print, typed() if script is None else scripted(script)).run()


def _bus(text: str) -> BusTable:
    driver, _, port = text.partition("=")
    if not driver or not port:
        raise argparse.ArgumentTypeError(f"'{text}' is not DRIVER=PORT")
    return BusTable(driver, port)
