"""`latchwork board` as a real process: its lines, its page, its memory and its end."""

import argparse
import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.edge.drivers.bench import running, until
from tests.edge.drivers.test_devices import broker_in

from latchwork.domain.words import DoorState
from latchwork.edge import registry
from latchwork.edge.config import BusTable
from latchwork.edge.drivers.gpio.driver import Gpio
from latchwork.edge.drivers.protocol import BoardLost, DoorsSeen, Fault
from latchwork.edge.sensors.reading import Reading
from latchwork.edge.sensors.xy_md02 import MD02, XyMd02
from latchwork.simulator.boards import main
from latchwork.simulator.boards.device_pins import CONTACT_PINS, RELAY_PINS
from latchwork.simulator.boards.pins import BoardFactory
from latchwork.simulator.ports import free_port

MODULE = [sys.executable, "-m", "latchwork.simulator.boards.main"]
COMMAND = [*MODULE, "kerong-cu16"]
PATIENCE_S = 30.0
PARENT = """
import subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.read()
"""
READY = re.compile(r"board ready: (?P<port>\S+)(?: control (?P<control>\S+))?")


class Board:
    """The process, as its starter sees it."""

    def __init__(self, family: str, options: Sequence[str], cwd: Path) -> None:
        self.process = subprocess.Popen([*MODULE, family, *options], stdout=subprocess.PIPE, cwd=cwd, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        ready = READY.match(line)
        assert ready is not None, line
        self.port = ready["port"]
        self.http = httpx.Client(base_url=ready["control"] or "", timeout=PATIENCE_S)

    def post(self, path: str) -> httpx.Response:
        return self.http.post(path)

    def doors(self) -> dict[int, dict[str, Any]]:
        return {door["channel"]: door for door in self.http.get("/doors").raise_for_status().json()}

    def stop(self, sign: int = signal.SIGTERM) -> int:
        self.process.send_signal(sign)
        code = self.process.wait(PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.http.close()
        return code


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Board]]:
    boards: list[Board] = []

    def begin(*options: str, family: str = "kerong-cu16") -> Board:
        boards.append(Board(family, [*options, "--with-parent"], tmp_path))
        return boards[-1]

    yield begin
    for board in boards:
        if board.process.poll() is None:
            board.stop(signal.SIGKILL)


def test_a_driver_opens_a_door_and_hands_do_the_rest(start: Callable[..., Board], tmp_path: Path) -> None:
    board = start("--pty", "wall", "--control", "127.0.0.1:0", "--boards", "2", "--locks", "12")
    assert board.port == "wall"
    assert sorted(board.doors()) == [*range(12), *range(16, 28)]
    assert board.doors()[17] == {
        "channel": 17,
        "board": 1,
        "lock": 1,
        "label": "",
        "door": "closed",
        "item": False,
        "jammed": False,
        "pulses": 0,
        "faults": [],
    }
    asyncio.run(pulse_and_see(BusTable("kerong-cu16", str(tmp_path / "wall"), (0, 1)), 17))
    assert board.doors()[17]["door"] == "open"
    assert board.doors()[17]["pulses"] == 1
    assert board.post("/doors/17/put").json()["item"] is True
    wait_until(lambda: board.post("/doors/17/close").status_code == 200 and board.doors()[17]["door"] == "closed")
    assert board.stop() == 0


async def pulse_and_see(bus: BusTable | Gpio, channel: int) -> None:
    driver = registry.find(bus.driver).driver(bus) if isinstance(bus, BusTable) else bus
    async with running(driver) as readings:

        def states() -> list[DoorState]:
            return [each.doors[channel] for each in readings if isinstance(each, DoorsSeen) and channel in each.doors]

        await until(lambda: bool({*states()} - {DoorState.OPEN}))
        before = len(states())
        await driver.pulse(channel)
        await until(lambda: DoorState.OPEN in states()[before:])


@pytest.mark.parametrize(
    ("family", "line", "driver", "options", "channel"),
    [
        ("lcb-8a", "--pty", "lcb-8a", {}, 103),
        ("wkly", "--pty", "wkly", {}, 3),
        ("winnsen", "--pty", "winnsen", {}, 103),
        ("modbus-relay", "--pty", "modbus-relay", {}, 2),
        ("modbus-relay-tcp", "--tcp", "modbus-relay", {"framing": "tcp"}, 2),
        ("shelly", "--tcp", "shelly", {"relays": 2, "inputs": 2}, 1),
        ("tasmota", "--tcp", "tasmota", {"relays": 2, "inputs": 2}, 1),
        ("esphome", "--tcp", "esphome", {"relays": 2, "inputs": 2}, 1),
    ],
)
def test_as_it_comes_every_board_fits_its_driver_as_it_comes(
    start: Callable[..., Board], family: str, line: str, driver: str, options: dict[str, Any], channel: int
) -> None:
    at = "127.0.0.1:0" if line == "--tcp" else ""
    board = start(line, *filter(None, [at]), "--control", "127.0.0.1:0", family=family)
    assert board.http.get("/wall").json()["family"] == family
    asyncio.run(pulse_and_see(BusTable(driver, board.port, options=options), channel))
    assert [each["channel"] for each in board.doors().values() if each["pulses"]] == [channel]


def test_a_device_on_a_broker_comes_and_goes_as_its_last_will_says(start: Callable[..., Board], tmp_path: Path) -> None:
    with broker_in(tmp_path) as broker:
        at = f"mqtt://127.0.0.1:{broker.port}/wall-7"
        board = start("--mqtt", at, "--control", "127.0.0.1:0", family="esphome")
        bus = BusTable("esphome", at, options={"relays": 2, "inputs": 2})
        asyncio.run(pulse_and_see(bus, 0))
        assert [door["pulses"] for door in board.doors().values()] == [1, 0]
        board.post("/power/cut").raise_for_status()
        asyncio.run(until_lost(bus))
        board.post("/power/restore").raise_for_status()
        asyncio.run(pulse_and_see(bus, 1))


async def until_lost(bus: BusTable) -> None:
    async with running(registry.find(bus.driver).driver(bus)) as readings:
        await until(lambda: any(isinstance(each, BoardLost) for each in readings))


def test_pins_are_wired_to_a_board_that_keeps_on_what_a_killed_program_left_on(
    start: Callable[..., Board], monkeypatch: pytest.MonkeyPatch
) -> None:
    board = start("--tcp", f"127.0.0.1:{free_port()}", "--control", "127.0.0.1:0", family="gpio")
    monkeypatch.setenv("LATCHWORK_PINS", board.port)
    with closing(BoardFactory()) as pins:
        use_and_cut(board, pins)
    assert {point.name: point.value for point in entry_points(group="gpiozero_pin_factories")}["latchwork"] == (
        "latchwork.simulator.boards.pins:BoardFactory"
    )


def use_and_cut(board: Board, pins: BoardFactory) -> None:
    asyncio.run(pulse_and_see(gpio(pins), 1))
    wait_until(lambda: board.post("/doors/1/close").status_code == 200 and board.doors()[1]["door"] == "closed")
    pins.say(RELAY_PINS[0], False)  # on, and nobody ends it
    wait_until(lambda: board.doors()[0]["door"] == "open")
    board.post("/doors/0/close").raise_for_status()
    wait_until(lambda: board.doors()[0]["door"] == "open")
    board.post("/line/cut").raise_for_status()
    wait_until(lambda: pins.levels == {})
    board.post("/line/restore").raise_for_status()
    wait_until(lambda: pins.levels == {CONTACT_PINS[0]: True, CONTACT_PINS[1]: False})


def gpio(pins: BoardFactory) -> Gpio:
    return Gpio(RELAY_PINS[:2], CONTACT_PINS[:2], 500, active_high=False, factory=pins)


def test_a_sensor_can_be_warmed(start: Callable[..., Board]) -> None:
    board = start("--pty", "--control", "127.0.0.1:0", family="xy-md02")
    sensor = XyMd02(board.port)

    def reads(reading: Reading) -> bool:
        with suppress(Fault):  # a busy machine may answer too late once
            return asyncio.run(sensor.read()) == reading
        return False

    wait_until(lambda: reads(Reading(21.0, 45.0)))
    assert board.post("/climate/warm").json()["celsius"] == 22.0
    wait_until(lambda: reads(Reading(22.0, 45.0)))
    board.post("/climate/-18.5").raise_for_status()
    wait_until(lambda: reads(Reading(-18.5, 45.0)))
    assert [board.post(f"/climate/{change}").status_code for change in ("hot", "nan", "900")] == [404] * 3
    wrong = XyMd02(board.port, profile=MD02)
    with pytest.raises(Fault, match="refuses"):
        asyncio.run(wrong.read())


def test_refusals_say_why(start: Callable[..., Board]) -> None:
    board = start("--tcp", "127.0.0.1:0", "--control", "127.0.0.1:0")
    assert board.port.startswith("socket://127.0.0.1:")
    locked = board.post("/doors/3/open")
    assert (locked.status_code, locked.json()["detail"]) == (409, "Door 3 is locked.")
    for path in (
        "/doors/99/open",
        "/doors/3/fly",
        "/power/half",
        "/line/half",
        "/boards/7/silence",
        "/doors/3/x/begin",
    ):
        assert board.post(path).status_code == 404, path
    assert board.post("/doors/3/jam").json()["jammed"] is True
    assert board.post("/doors/3/jam").status_code == 409
    assert board.post("/doors/3/broken_wire/begin").json()["faults"] == ["broken_wire"]
    assert board.post("/doors/3/broken_wire/end").json()["faults"] == []


def test_cables_can_be_pulled_and_put_back(start: Callable[..., Board]) -> None:
    board = start("--tcp", f"127.0.0.1:{free_port()}", "--control", "127.0.0.1:0")
    assert board.post("/line/cut").json()["line"] is False
    assert board.post("/line/restore").json()["port"] == board.port
    assert board.post("/power/cut").json()["power"] is False
    assert board.post("/power/restore").json()["power"] is True
    assert board.post("/boards/0/silence").json()["silent_boards"] == [0]
    assert board.post("/boards/0/answer").json()["silent_boards"] == []


def test_what_is_inside_survives_the_process(start: Callable[..., Board], tmp_path: Path) -> None:
    options = ("--tcp", "127.0.0.1:0", "--control", "127.0.0.1:0", "--state", "wall.json")
    board = start(*options)
    board.post("/doors/5/force").raise_for_status()
    board.post("/doors/5/put").raise_for_status()
    board.post("/doors/5/close").raise_for_status()
    board.post("/doors/6/force").raise_for_status()
    board.stop(signal.SIGKILL)
    again = start(*options)
    assert (again.doors()[5]["door"], again.doors()[5]["item"]) == ("closed", True)
    assert (again.doors()[6]["door"], again.doors()[6]["item"]) == ("open", False)
    assert [path.name for path in tmp_path.iterdir()] == ["wall.json"]


def test_a_state_that_is_not_ours_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "notes.json"
    file.write_text('["mine"]')
    done = subprocess.run(
        [*COMMAND, "--tcp", "127.0.0.1:0", "--state", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "does not hold the state of a wall" in done.stderr
    assert file.read_text() == '["mine"]'


def test_the_page_is_whole_and_its_stream_moves(start: Callable[..., Board]) -> None:
    board = start("--tcp", "127.0.0.1:0", "--control", "127.0.0.1:0")
    page = board.http.get("/")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for path in re.findall(r'(?:href|src)="(/[^"]+)"', page.text):
        assert board.http.get(path).status_code == 200, path
    with board.http.stream("GET", "/events") as stream:
        told = (json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: "))
        assert next(told)["doors"][4]["door"] == "closed"
        assert httpx.post(f"{board.http.base_url}/doors/4/force", timeout=60).status_code == 200
        assert next(told)["doors"][4]["door"] == "open"
        # An open page does not keep the process from ending.
        assert board.stop() == 0


def test_a_stopped_board_takes_its_link_away(start: Callable[..., Board], tmp_path: Path) -> None:
    for options in (["--control", "127.0.0.1:0"], []):
        board = start("--pty", str(tmp_path / "wall"), *options)
        assert (tmp_path / "wall").is_symlink()
        assert board.stop() == 0
        assert not (tmp_path / "wall").is_symlink()


def test_it_does_not_replace_a_file_by_its_link(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep me")
    done = subprocess.run([*COMMAND, "--pty", str(tmp_path / "precious")], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert (tmp_path / "precious").read_text() == "keep me"


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            PARENT,
            *COMMAND,
            *("--pty", str(tmp_path / "wall"), "--with-parent"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None and parent.stdin is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait(PATIENCE_S)
    parent.stdin.close()
    parent.stdout.close()
    wait_until(lambda: not is_running(child))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(what: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < give_up_at
        time.sleep(0.05)


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--pty", "a", "--tcp", "127.0.0.1:1"],
        ["--tcp", "nowhere"],
        ["--pty", "--boards", "11"],
        ["--mqtt", "mqtt://127.0.0.1/wall"],
        ["--pty", "--locks", "0"],
        ["--pty", "--fault", "noise=2"],
        ["--pty", "--fault", "plague=0.1"],
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    main.configure(parser)
    with pytest.raises(SystemExit) as ended:
        main.run(parser.parse_args(["kerong-cu16", *options]))
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err
