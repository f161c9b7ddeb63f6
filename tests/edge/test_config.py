"""A bank's configuration file: a good one is read, a bad one gets one clear sentence."""

import json
from pathlib import Path

import pytest

from latchwork.edge.config import BadConfig, read_config, read_tables, written
from latchwork.edge.desired import check_devices
from latchwork.edge.drivers.protocol import Contact
from latchwork.edge.wall import wall_of

GOOD = """
[bank]
server = "http://127.0.0.1:8080/"
state = "state"
kiosk = "127.0.0.1:8081"
[[bus]]
driver = "kerong-cu16"
port = "/dev/ttyUSB0"
boards = [0, 1]
[[compartment]]
id = "01"
size_mm = [380, 80, 640]
channel = 0
[[compartment]]
id = "02"
size_mm = [380, 190, 640]
channel = 17
climate = "chilled"
reach_mm = 900
contact = "open_when_shut"
"""


LAST = 'contact = "open_when_shut"'
ZONE = """
[[climate]]
id = "fridge"
sensor = "ds18b20"
port = "/sys/bus/w1/devices/28-1"
compartments = ["02"]
celsius = [2, 8]
"""
SENSOR = ZONE.replace("ds18b20", "xy-md02").replace("/sys/bus/w1/devices/28-1", "socket://gateway")


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "bank.toml"
    path.write_text(text)
    return path


def test_a_good_file_is_read(tmp_path: Path) -> None:
    config = read_config(write(tmp_path, GOOD))
    assert config.server == "http://127.0.0.1:8080" and config.kiosk_port == 8081
    assert config.state == tmp_path / "state"
    assert [f.id for f in config.fittings] == ["01", "02"] and dict(config.wiring)["02"] == (0, 17)  # type: ignore[index]
    assert config.contacts == {"02": Contact.OPEN_WHEN_SHUT}
    assert wall_of(config.buses, config.wiring, config.contacts, config.inputs)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("channel = 17", "channel = 0", "01 and 02 are both on channel 0 of bus 0"),
        ('id = "02"', 'id = "01"', "compartment 01 is there twice"),
        ('id = "02"', 'id = "<b>"', "letters, digits and dashes"),
        ("channel = 17", "channel = 17\nbus = 3", "there is no bus 3"),
        ("channel = 17", "channel = 77", "bus 0 has no channel 77"),
        ("[380, 190, 640]", "[380, 0, 640]", "out of range"),
        ("[380, 190, 640]", "[380, 190]", "compartment"),
        ('"kerong-cu16"', '"magic"', "there are "),
        ("boards = [0, 1]", "boards = [0, 11]", "boards"),
        ("boards = [0, 1]", "options = { speed = 1 }", 'kerong-cu16 has no option "speed"'),
        ('contact = "open_when_shut"', 'contact = "welded"', "welded"),
        ('climate = "chilled"', 'climate = "tepid"', "tepid"),
        ("reach_mm = 900", "reach = 900", "reach"),
        ('"127.0.0.1:8081"', '"8081"', "not host:port"),
        ('"http://127.0.0.1:8080/"', '"ftp://x"', "no http(s) address"),
        ("http://127.0.0.1:8080/", "http://lockers.example", "is not encrypted: use https, or set allow_plain_http"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1.example", "is not encrypted"),
        ("[bank]", "[bank", "bank.toml"),
        ("reach_mm = 900", "leaf = [0, 0]", "01 and 02 are both on channel 0 of bus 0"),
        ("reach_mm = 900", "item = [7, 0]", "02: there is no bus 7"),
        (LAST, LAST + ZONE.replace("[2, 8]", "[8, 2]"), "climate fridge: celsius = [8.0, 2.0] is no band"),
        (LAST, LAST + ZONE.replace("[2, 8]", "[nan, 8]"), "climate fridge: celsius = [nan, 8.0] is no band"),
        (LAST, LAST + ZONE.replace('"02"', '"77"'), "climate fridge: 77: there is no such compartment"),
        (LAST, LAST + ZONE + ZONE.replace("fridge", "other"), "climate other: 02: another sensor watches it"),
        (LAST, LAST + SENSOR, "climate fridge: socket://gateway should be socket://host:port"),
        (LAST, LAST + SENSOR + "baud = 0", "Expected `int` >= 1"),
        (LAST, LAST + SENSOR.replace("//gateway", r"\u0000"), "climate[0].port"),
        (LAST, LAST + '\n[[reader]]\nkind = "hid"', "reader hid: port is missing"),
        (LAST, LAST + '\n[[reader]]\nkind = "hid"\nport = "\\u0000"', "reader[0].port"),
        ("reach_mm = 900", '[[switch]]\nid = "back"\nchannel = 17', "02 and back are both on channel 17 of bus 0"),
    ],
)
def test_a_bad_file_says_what_is_wrong(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in GOOD
    with pytest.raises(BadConfig) as caught:
        config = read_config(write(tmp_path, GOOD.replace(old, new)))
        check_devices(config)
    assert says in str(caught.value) and "\n" not in str(caught.value)


SHELF = """
[[compartment]]
id = "G"
size_mm = [900, 2000, 50]
channel = 5
gate = true
features = ["power"]
[[compartment]]
id = "A"
size_mm = [1200, 1800, 400]
shelf = true
behind = "G"
"""


def test_gates_and_shelves(tmp_path: Path) -> None:
    config = read_config(write(tmp_path, GOOD + SHELF))
    gate, shelf = config.fittings[2:]
    assert gate.gate and gate.features == ("power",) and not gate.shelf
    assert shelf.shelf and shelf.behind == "G" and "A" not in config.wiring
    assert wall_of(config.buses, config.wiring, config.contacts, config.inputs)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("shelf = true", "shelf = true\nchannel = 6", "A is a shelf: it has no door"),
        ("shelf = true", "shelf = true\ngate = true", "A is a shelf: it has no door"),
        ("shelf = true", "", "A: channel is missing"),
        ("channel = 5", 'channel = 5\nbehind = "01"', "only a shelf can be behind a gate"),
        ('behind = "G"', 'behind = "01"', "there is no gate 01"),
        ('id = "A"', 'id = "G"', "G is there twice"),
    ],
)
def test_a_bad_shelf_says_what_is_wrong(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in SHELF
    with pytest.raises(BadConfig) as caught:
        read_config(write(tmp_path, GOOD + SHELF.replace(old, new)))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("server", "more"),
    [
        ("https://lockers.example", ""),
        ("http://localhost:8080", ""),
        ("http://[::1]:8080", ""),
        ("http://10.0.0.5:8080", "allow_plain_http = true"),
    ],
)
def test_where_words_may_travel(tmp_path: Path, server: str, more: str) -> None:
    text = GOOD.replace("http://127.0.0.1:8080/", server).replace("[bank]", f"[bank]\n{more}")
    assert read_config(write(tmp_path, text)).server == server


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"nowhere.toml: No such file"):
        read_config(tmp_path / "nowhere.toml")


def test_what_is_written_is_read_as_the_same(tmp_path: Path) -> None:
    strange = 'a "quoted" \\ é \t \x7f \n name'
    options = (
        f"options = {{ locks_per_board = 12, local_echo = false }}\nport = {json.dumps(strange, ensure_ascii=True)}"
    )
    text = (GOOD + SHELF).replace('port = "/dev/ttyUSB0"', options)
    tables = read_tables(write(tmp_path, text))
    assert tables.bus[0].port == strange and tables.bus[0].options == {"locks_per_board": 12, "local_echo": False}
    assert read_tables(write(tmp_path, written(tables))) == tables
    assert "open_seconds" not in written(tables) and "shelf = false" not in written(tables)
