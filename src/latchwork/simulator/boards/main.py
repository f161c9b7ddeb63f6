"""`latchwork board`: one simulated lock board or relay device as a process, for demos, tests and other software.

It wires wall, boards, front and page together, and keeps what is physically so in a file between two lives.
"""

import argparse
import asyncio
import ctypes
import json
import os
import random
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiomqtt
import uvicorn

from latchwork.simulator.boards.boards import Boards, Faults
from latchwork.simulator.boards.climate import XyMd02Boards
from latchwork.simulator.boards.control import Controls, Hardware, make_app
from latchwork.simulator.boards.device_front import PULSE_S, RELAYS_MAX, TONGUES, OneDevice, in_house, on_broker
from latchwork.simulator.boards.front import Front, LiveWall, PtyFront, TcpFront
from latchwork.simulator.boards.kerong import KerongBoards
from latchwork.simulator.boards.lcb import LcbBoards
from latchwork.simulator.boards.modbus import ModbusBoards, ModbusTcpBoards
from latchwork.simulator.boards.wall import Wall
from latchwork.simulator.boards.winnsen import WinnsenBoards
from latchwork.simulator.boards.wkly import WklyBoards

FAMILIES: dict[str, type[Boards[Any]]] = {
    "kerong-cu16": KerongBoards,
    "lcb-8a": LcbBoards,
    "modbus-relay": ModbusBoards,
    "modbus-relay-tcp": ModbusTcpBoards,
    "winnsen": WinnsenBoards,
    "wkly": WklyBoards,
    "xy-md02": XyMd02Boards,
}
_PR_SET_PDEATHSIG = 1
_CHANCES = tuple(each.name for each in fields(Faults) if each.name not in ("late_s", "echo"))


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("family", choices=[*FAMILIES, *RELAYS_MAX], help="which board to be")
    line = parser.add_mutually_exclusive_group(required=True)
    line.add_argument("--pty", nargs="?", const="", metavar="LINK", help="on a pty; LINK always points to it")
    line.add_argument("--tcp", type=_address, metavar="HOST:PORT", help="on a TCP port (port 0: any)")
    line.add_argument("--mqtt", type=_topic, metavar="mqtt://BROKER/TOPIC", help="on somebody's broker, with MQTT 5")
    parser.add_argument("--control", type=_address, metavar="HOST:PORT", help="page and HTTP control of the wall")
    parser.add_argument("--boards", type=int, default=1, metavar="N", help="boards on the bus")
    parser.add_argument("--locks", type=int, metavar="N", help="locks on each board")
    parser.add_argument("--labels", default="", metavar="A,B,..", help="what stands on the doors, in order")
    parser.add_argument("--state", type=Path, metavar="FILE", help="where doors and things survive a restart")
    parser.add_argument("--with-parent", action="store_true", help="end when the process that started this ends")
    parser.add_argument(
        "--fault", type=_fault, action="append", default=[], metavar="NAME=CHANCE", help=f"of {', '.join(_CHANCES)}"
    )
    parser.add_argument("--echo", action="store_true", help="the adapter hears itself")
    parser.add_argument("--seed", type=int, default=0, help="of the faults' chance")
    parser.set_defaults(refuse=parser.error)


def run(args: argparse.Namespace) -> int:
    _check(args)
    if args.with_parent and not end_with_parent():
        return 1
    try:
        asyncio.run(_serve(args))
    except (OSError, StateUnreadable, aiomqtt.MqttError) as error:
        print(f"latchwork board: {error}", file=sys.stderr)
        return 1
    return 0


def _check(args: argparse.Namespace) -> None:
    """What one family can and another cannot; fills in how many locks it usually has."""
    if args.family in RELAYS_MAX:
        amounts, usual = {"boards": range(1), "locks": range(RELAYS_MAX[args.family])}, 2
        if args.pty is not None or args.fault or args.echo or (args.mqtt and args.family not in TONGUES):
            args.refuse(
                f"a {args.family} is on {'--tcp or --mqtt' if args.family in TONGUES else '--tcp'}, without faults"
            )
    else:
        family = FAMILIES[args.family]
        amounts, usual = {"boards": family.addresses, "locks": family.locks}, family.locks_usual
        if args.mqtt:
            args.refuse(f"a {args.family} is on --pty or --tcp")
    if args.locks is None:
        args.locks = usual
    for name, all_of in amounts.items():
        least, most = min(1, len(all_of)), len(all_of)
        if not least <= getattr(args, name) <= most:
            args.refuse(f"--{name}: a {args.family} has {least} to {most}")


async def _serve(args: argparse.Namespace) -> None:
    live, hardware, front = (_device if args.family in RELAYS_MAX else _boards)(args)
    wall = live.wall
    if args.state is not None:
        keep(wall, live, args.state)
    told_to_stop = _stop_signals()
    async with AsyncExitStack() as stack:
        await front.open()
        stack.push_async_callback(front.cut)
        stack.callback(live.stop)
        if args.control is None:
            print(f"board ready: {front.port}", flush=True)
            await told_to_stop.wait()
        else:
            listener = _bind(*args.control)
            stack.callback(listener.close)
            host, port = listener.getsockname()[:2]
            print(f"board ready: {front.port} control http://{_in_url(host)}:{port}", flush=True)
            labels = dict(zip((door.channel for door in wall), filter(None, args.labels.split(",")), strict=False))
            await _serve_control(Controls(live, hardware, front, args.family, labels), listener, told_to_stop)


def _boards(args: argparse.Namespace) -> tuple[LiveWall, Hardware, Front]:
    family = FAMILIES[args.family]
    numbers = family.addresses[: args.boards]
    locks = family.locks[: args.locks]
    live = LiveWall(Wall([family.channel(board, lock) for board in numbers for lock in locks], pulse_s=family.pulse_s))
    faults = Faults(**dict(args.fault), echo=args.echo)
    boards = family(live.wall, numbers, faults=faults, chance=random.Random(args.seed))
    if args.tcp is not None:
        return live, boards, TcpFront(boards, live, *args.tcp)
    return live, boards, PtyFront(boards, live, Path(args.pty) if args.pty else None)


def _device(args: argparse.Namespace) -> tuple[LiveWall, Hardware, Front]:
    device = OneDevice(LiveWall(Wall(range(args.locks), pulse_s=PULSE_S)))
    if args.tcp is not None:
        return device.live, device, in_house(args.family, device, *args.tcp)
    return device.live, device, on_broker(args.family, device, *args.mqtt)


async def _serve_control(controls: Controls, at: socket.socket, told_to_stop: asyncio.Event) -> None:
    # A page that is open keeps its stream open for ever, so stopping must not wait for it.
    config = uvicorn.Config(
        make_app(controls), log_level="warning", lifespan="off", timeout_graceful_shutdown=1, ws="none"
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[at]))
    stopping = asyncio.create_task(told_to_stop.wait())
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    stopping.cancel()
    await serving


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: uvicorn would raise them again when done, and end us before the line is put away."""
        yield


def _stop_signals() -> asyncio.Event:
    told = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, told.set)
    return told


class StateUnreadable(Exception):
    """The file is there and is not ours: better to stop than to overwrite it."""


def keep(wall: Wall, live: LiveWall, file: Path) -> None:
    """Stand as `file` says, and write every change back to it."""
    wall.restore(_read(file))
    written = wall.snapshot()

    def write() -> None:
        nonlocal written
        if (now := wall.snapshot()) != written:
            _write(file, now)
            written = now

    live.listen(write)


def _read(file: Path) -> dict[str, dict[str, bool]]:
    try:
        doors = json.loads(file.read_text(encoding="utf-8"))["doors"]
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise StateUnreadable(f"{file} does not hold the state of a wall") from error
    if not isinstance(doors, dict) or not all(isinstance(marks, dict) for marks in doors.values()):
        raise StateUnreadable(f"{file} does not hold the state of a wall")
    return doors


def _write(file: Path, doors: dict[str, dict[str, bool]]) -> None:
    """All or nothing: a process killed half-way leaves the old file."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    fresh.write_text(json.dumps({"doors": doors}, indent=1) + "\n", encoding="utf-8")
    fresh.replace(file)


def end_with_parent() -> bool:
    """Be terminated by the kernel when the parent dies; False if it is dead already or the kernel cannot."""
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "prctl") or libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        print("latchwork board: this system cannot end a child with its parent", file=sys.stderr)
        return False
    # It may have died between the two calls, and then nobody would ever tell us.
    return os.getppid() == parent


def _bind(host: str, port: int) -> socket.socket:
    return socket.create_server(
        (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, reuse_port=False
    )


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"'{text}' is not HOST:PORT")
    return host.strip("[]"), int(port)


def _topic(text: str) -> tuple[str, int, str]:
    url = urlsplit(text)
    topic = url.path.strip("/")
    if url.scheme != "mqtt" or url.hostname is None or not topic:
        raise argparse.ArgumentTypeError(f"'{text}' is not mqtt://BROKER/TOPIC")
    return url.hostname, url.port or 1883, topic


def _fault(text: str) -> tuple[str, float]:
    name, _, chance = text.partition("=")
    try:
        likelihood = float(chance)
    except ValueError:
        likelihood = -1.0
    if name not in _CHANCES or not 0 <= likelihood <= 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=CHANCE with a chance from 0 to 1")
    return name, likelihood


if __name__ == "__main__":
    arguments = argparse.ArgumentParser("latchwork board")
    configure(arguments)
    sys.exit(run(arguments.parse_args()))
