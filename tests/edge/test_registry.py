"""Drivers are found where they are, ours by their folder, others by an entry point; and keep what a manifest says."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from latchwork.domain.commands import See
from latchwork.domain.words import CompartmentId, DoorState
from latchwork.edge import drivers, registry
from latchwork.edge.config import BadConfig, BusTable
from latchwork.edge.drivers.protocol import Contact
from latchwork.edge.wall import wall_of

FOLDERS = sorted(path.parent for path in Path(*drivers.__path__).glob("*/manifest.toml"))

DRIVER = """
from latchwork.domain.words import DoorState
from latchwork.edge.drivers.protocol import BoardLost, DoorsSeen


def make(settings):
    if settings.port == "nowhere":
        raise ValueError("nowhere is no port")
    return Fence(settings)


class Fence:
    def __init__(self, settings):
        self.settings = settings
        self.pulsed = []

    async def run(self, tell):
        tell(DoorsSeen({1: DoorState.OPEN, 2: DoorState.OPEN, 3: DoorState.CLOSED}))
        tell(BoardLost(0, (1, 2, 3), "the fence is down"))

    async def pulse(self, channel):
        self.pulsed.append(channel)

    async def read(self):
        return {}

    async def close(self):
        pass
"""
MANIFEST = """
name = "acme-fence"
title = "A fence by somebody else"
boards = [7]
wiring = ["Mind the dog."]
options = { colour = "green", height_mm = 900 }
[capabilities]
ack = "none"
push = true
sensor = ["door"]
pulse = "fixed"
pulse_ms = 100
checksum = "none"
contact = "open_when_shut"
[trust]
everything = "low: it is made up"
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What `pip install` of somebody's package leaves behind."""
    folder = tmp_path / "acme_fence"
    folder.mkdir()
    (folder / "__init__.py").write_text(DRIVER)
    (folder / "manifest.toml").write_text(MANIFEST)
    info = tmp_path / "acme_fence-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-fence\nVersion: 1.0\n")
    points = [
        "[latchwork.drivers]",
        "acme-fence = acme_fence",
        "broken = acme_fence.missing",
        "kerong-cu16 = acme_fence",
    ]
    (info / "entry_points.txt").write_text("\n".join(points) + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    sys.modules.pop("acme_fence", None)


@pytest.mark.usefixtures("package")
def test_a_package_from_elsewhere_is_a_driver_like_ours() -> None:
    assert {"acme-fence", "kerong-cu16"} <= set(registry.names())
    family = registry.find("acme-fence")
    driver = family.driver(BusTable("acme-fence", "/dev/fence", options={"colour": "red"}))
    settings = driver.settings  # type: ignore[attr-defined]
    assert (settings.port, settings.boards, settings.options) == (
        "/dev/fence",
        (7,),
        {"colour": "red", "height_mm": 900},
    )


@pytest.mark.usefixtures("package")
def test_nobody_replaces_a_driver_of_ours() -> None:
    assert registry.find("kerong-cu16").manifest.title.startswith("Kerong CU16")


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("bus", "says"),
    [
        (BusTable("fence", "x"), 'driver = "fence": there are acme-fence, broken, '),
        (BusTable("broken", "x"), 'driver = "broken" cannot be used: '),
        (BusTable("acme-fence", "nowhere"), "bus nowhere: nowhere is no port"),
        (BusTable("acme-fence", "x", options={"width": 1}), 'no option "width" (it has: colour, height_mm)'),
        (BusTable("acme-fence", "x", options={"height_mm": "high"}), "height_mm = 'high' should be like 900"),
        (BusTable("acme-fence", "x", options={"height_mm": True}), "height_mm = True should be like 900"),
    ],
)
def test_what_cannot_be_is_said(bus: BusTable, says: str) -> None:
    with pytest.raises(BadConfig) as caught:
        wall_of([bus], {})
    assert says in str(caught.value)


def test_a_line_has_one_owner_and_a_speed() -> None:
    bus = BusTable("kerong-cu16", "/dev/ttyUSB0")
    with pytest.raises(BadConfig, match="two buses are on /dev/ttyUSB0"):
        wall_of([bus, BusTable("wkly", bus.port)], {})
    pins = BusTable("gpio", "gpio", options={"relays": [5], "accept_host_timed": True})
    wall_of([pins, msgspec.structs.replace(pins, options={**pins.options, "relays": [6]})], {})
    for baud in (0, -9600):
        with pytest.raises(BadConfig, match=f"baud = {baud} is no speed"):
            wall_of([BusTable("kerong-cu16", bus.port, options={"baud": baud})], {})


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: (folder / "manifest.toml").unlink(), "manifest.toml"),
        (lambda folder: (folder / "manifest.toml").write_text('name = "acme-fence"'), "title"),
        (lambda folder: (folder / "__init__.py").write_text("1 / 0"), "division by zero"),
    ],
)
def test_a_package_that_is_no_driver_is_named(package: Path, damage: Callable[[Path], object], says: str) -> None:
    damage(package)
    with pytest.raises(BadConfig, match=rf'driver = "acme-fence" cannot be used: .*{says}'):
        registry.find("acme-fence")


@pytest.mark.usefixtures("package")
async def test_a_door_whose_contact_works_the_other_way_round_is_told_right() -> None:
    wiring = {CompartmentId(f"0{channel}"): (0, channel) for channel in (1, 2, 3)}
    contacts = {CompartmentId("01"): Contact.OPEN_WHEN_SHUT, CompartmentId("02"): Contact.CLOSED_WHEN_SHUT}
    told: list[See] = []
    wall = wall_of([BusTable("acme-fence", "x")], wiring, contacts | {CompartmentId("03"): Contact.CLOSED_WHEN_SHUT})
    async with asyncio.timeout(30):
        await wall.run(told.append)
    assert told == [
        See(
            {
                CompartmentId("01"): DoorState.OPEN,
                CompartmentId("02"): DoorState.CLOSED,
                CompartmentId("03"): DoorState.OPEN,
            }
        ),
        See(dict.fromkeys(wiring, DoorState.UNKNOWN), lost=True),
    ]


def test_there_are_folders() -> None:
    assert "kerong_cu16" in [folder.name for folder in FOLDERS]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_driver_of_ours_says_what_it_is_and_how_to_wire_it(folder: Path) -> None:
    name = folder.name.replace("_", "-")
    manifest = registry.find(name).manifest
    assert manifest.name == name
    assert manifest.trust and all(why.split(":")[0] in {"high", "medium", "low"} for why in manifest.trust.values())
    assert manifest.wiring and all(note.endswith(".") for note in manifest.wiring)
    assert (folder / "README.md").read_text(encoding="utf-8").startswith("# ")
