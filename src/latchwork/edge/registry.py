"""Which drivers there are: a folder each under `edge/drivers`, and packages that name themselves in an entry point.

A driver is its package's `make` and `manifest.toml`. Only the one that is asked for is imported: a package of somebody
else that does not even load concerns nobody who does not use it.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import msgspec

from latchwork.edge import drivers
from latchwork.edge.config import BadConfig, BusTable
from latchwork.edge.drivers.protocol import BusSettings, Contact, Driver
from latchwork.edge.governor import PULSE_MS_MAX

GROUP = "latchwork.drivers"


class Capabilities(msgspec.Struct, frozen=True):
    ack: Literal["none", "echo", "result"]
    """What comes back after an unlock. None of them proves that a door moved."""
    push: bool
    """Whether boards speak of changes without being asked."""
    sensor: tuple[str, ...]
    pulse: Literal["fixed", "board-config", "per-command", "host-timed"]
    """Who ends the pulse."""
    pulse_ms: int
    """How long a coil has power, as delivered."""
    checksum: str
    contact: Contact = Contact.CLOSED_WHEN_SHUT
    """What the driver takes for granted when it calls a door closed."""


class Manifest(msgspec.Struct, frozen=True):
    """What every `manifest.toml` has. It may say more, for people."""

    name: str
    title: str
    capabilities: Capabilities
    trust: dict[str, str]
    """By topic: high, medium or low, and why."""
    wiring: tuple[str, ...]
    """What an installer must not forget, a sentence each. The rest is in the README."""
    boards: tuple[int, ...] = ()
    """The addresses that are meant where a bank's configuration names none."""
    options: dict[str, Any] = {}
    """What `[bus.options]` may hold, with its defaults."""
    shared_port: bool = False
    """Whether several buses may be on one port, told apart by their options. A line has one owner."""
    tries: tuple[dict[str, Any], ...] = ()
    """Other options that such boards are delivered with: commissioning tries them where nobody answers."""


@dataclass(frozen=True, slots=True)
class Family:
    manifest: Manifest
    make: Callable[[BusSettings], Driver]

    def pulse_ms(self, bus: BusTable) -> int:
        """How long a coil of this bus has power."""
        return int(
            {"pulse_ms": self.manifest.capabilities.pulse_ms, **self.manifest.options, **bus.options}["pulse_ms"]
        )

    def driver(self, bus: BusTable, turned: frozenset[int] = frozenset()) -> Driver:
        """`turned` as in `BusSettings`. Raises BadConfig."""
        defaults = self.manifest.options
        for name, value in bus.options.items():
            if name not in defaults:
                has = ", ".join(defaults) or "none"
                raise BadConfig(f'bus {bus.port}: {bus.driver} has no option "{name}" (it has: {has})')
            if type(value) is not type(defaults[name]):
                raise BadConfig(f"bus {bus.port}: {name} = {value!r} should be like {defaults[name]!r}")
        if self.manifest.capabilities.pulse == "host-timed" and bus.options.get("accept_host_timed") is not True:
            raise BadConfig(
                f"bus {bus.port}: with {bus.driver} this computer would end each pulse itself, and would leave a coil "
                "on if it died inside one: use a board that times its own pulse, or put a hardware timer behind each "
                "coil and set accept_host_timed = true"
            )
        if not 0 < self.pulse_ms(bus) <= PULSE_MS_MAX:
            raise BadConfig(f"bus {bus.port}: pulse_ms = {self.pulse_ms(bus)} is not from 1 to {PULSE_MS_MAX}")
        try:
            return self.make(
                BusSettings(bus.port, bus.boards or self.manifest.boards, {**defaults, **bus.options}, turned)
            )
        except ValueError as error:
            raise BadConfig(f"bus {bus.port}: {error}") from None


def names() -> list[str]:
    """Every driver that can be asked for."""
    return sorted(_packages())


def find(name: str) -> Family:
    """Raises BadConfig where there is no such driver, or it is none."""
    packages = _packages()
    if name not in packages:
        raise BadConfig(f'driver = "{name}": there are {", ".join(sorted(packages))}')
    try:
        package = packages[name]()
        text = files(package).joinpath("manifest.toml").read_text(encoding="utf-8")
        return Family(msgspec.convert(tomllib.loads(text), Manifest), package.make)
    except Exception as error:  # whatever a package of somebody else does wrong
        raise BadConfig(f'driver = "{name}" cannot be used: {error}') from error


def _packages() -> Mapping[str, Callable[[], ModuleType]]:
    """Ours come last: nobody replaces a driver of ours by installing something."""
    theirs = {point.name: point.load for point in entry_points(group=GROUP)}
    folders = [manifest.parent.name for manifest in Path(*drivers.__path__).glob("*/manifest.toml")]
    ours = {folder.replace("_", "-"): partial(import_module, f"{drivers.__name__}.{folder}") for folder in folders}
    return {**theirs, **ours}
