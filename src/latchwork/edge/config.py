"""A bank's configuration file, read and doubted: TOML in, frozen values or one clear sentence out.

[bank]
server = "https://lockers.example"     # where the cloud is
# allow_plain_http = true              # only where nobody else can listen on the way: without it, https or loopback
state = "/var/lib/latchwork/bank"      # its journal and its identity
kiosk = "127.0.0.1:8090"               # where its own screen is served

[[bus]]                                # one serial line or gateway
driver = "kerong-cu16"
port = "/dev/serial/by-id/usb-..."     # or "socket://192.168.0.7:23"
boards = [0]
# supply = "left"                      # buses on one power supply have one name, or none at all
# options = { locks_per_board = 12 }   # of those in the driver's manifest

[[compartment]]
id = "01"                              # the label on the door
size_mm = [380, 80, 640]               # inner width, height, depth
channel = 0                            # on bus 0 unless `bus` says otherwise; the driver's README says how to count
# contact = "open_when_shut"           # where its lock differs from what the driver's manifest expects
# gate = true                          # a door with no inside: an entrance, a parcel room, a cage
# reach_mm = 900                       # height of the middle of the door above the floor
# features = ["power"]
# open_seconds = 0.3                   # from unlock to contact, as `latchwork edge commission` measured it
# leaf = [1, 4]                        # bus and input of the door's own contact, where the lock's tells its latch only
# item = [1, 5]                        # bus and input of a sensor inside, closed when something is there

[[compartment]]                        # a place for many things without a door of its own, so without a channel
id = "A"
size_mm = [1200, 1800, 400]
shelf = true
# behind = "01"                        # the gate that it is behind

[[switch]]                             # that says whether the cabinet itself is open
id = "back"
bus = 0
channel = 15
# contact = "open_when_shut"

[[reader]]                             # a scanner or card reader of the wall's own screen
kind = "serial"                        # or "hid", "wiegand", "pcsc"
port = "/dev/serial/by-id/usb-..."     # "hid": /dev/input/by-id/...-event-kbd; "pcsc": how its name begins, or nothing
# baud = 9600                          # of "serial" and "wiegand"

[[climate]]                            # a temperature sensor, and the band that its compartments should keep
id = "fridge"
sensor = "ds18b20"                     # or "xy-md02", "md02": port = "/dev/serial/...", and unit = 1
# baud = 9600                          # of these two, as are the next; some are sold with other settings
# parity = "even"                      # or "odd", "none"
# scale = 100                          # where it counts in hundredths
port = "/sys/bus/w1/devices/28-000000000000"
compartments = ["01"]
celsius = [2, 8]
"""

import json
import re
import ssl
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from latchwork.domain.bank import Fitting
from latchwork.domain.words import Climate, CompartmentId, Size
from latchwork.edge.drivers.protocol import Contact


class BadConfig(ValueError):
    """The file cannot be used; the message says where and why."""


_Port = Annotated[str, msgspec.Meta(pattern=r"^[^\0]*$")]
_Baud = Annotated[int, msgspec.Meta(gt=0)]


class BankTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    server: str
    state: str
    kiosk: str = "127.0.0.1:8090"
    kiosk_names: tuple[str, ...] = ()
    allow_plain_http: bool = False
    tls_ca: str = ""
    """The only certificates that may vouch for the server; empty: those that this machine trusts."""
    tls_certificate: str = ""
    """What this controller shows to the server, and its `tls_key`: mutual TLS."""
    tls_key: str = ""


class BusTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    driver: str
    port: str
    boards: tuple[int, ...] = ()
    """None: those that the driver's manifest names."""
    options: dict[str, Any] = {}
    supply: str = ""
    """What feeds its coils: two coils of one supply never have power together."""


class CompartmentTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    size_mm: tuple[int, int, int]
    channel: int | None = None
    """None: a shelf, which has no door."""
    bus: int = 0
    contact: Contact | None = None
    climate: Climate = Climate.AMBIENT
    reach_mm: int = 0
    features: tuple[str, ...] = ()
    gate: bool = False
    shelf: bool = False
    behind: str | None = None
    open_seconds: float | None = None
    """Measured once, to compare with when a lock gets slow. Nothing is decided by it."""
    leaf: tuple[int, int] | None = None
    item: tuple[int, int] | None = None


class SwitchTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    channel: int
    bus: int = 0
    contact: Contact | None = None


class ReaderTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: Literal["serial", "hid", "wiegand", "pcsc"]
    port: _Port = ""
    baud: _Baud = 9600


class ZoneTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    sensor: Literal["ds18b20", "xy-md02", "md02"]
    port: _Port
    compartments: tuple[str, ...]
    celsius: tuple[float, float]
    unit: Annotated[int, msgspec.Meta(ge=1, le=247)] = 1
    """Of a sensor that speaks Modbus, as are the next three."""
    baud: _Baud = 9600
    parity: Literal["none", "even", "odd"] = "none"
    scale: Literal[10, 100] = 10
    """How many of its units make one degree."""


class Tables(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A configuration file as it is written."""

    bank: BankTable
    bus: tuple[BusTable, ...] = ()
    compartment: tuple[CompartmentTable, ...] = ()
    switch: tuple[SwitchTable, ...] = ()
    reader: tuple[ReaderTable, ...] = ()
    climate: tuple[ZoneTable, ...] = ()


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a wall has besides its locks, and on which bus and channel each is read."""

    leaves: Mapping[CompartmentId, tuple[int, int]] = field(default_factory=dict)
    """The contact of a door whose lock tells only of its latch."""
    items: Mapping[CompartmentId, tuple[int, int]] = field(default_factory=dict)
    """A sensor inside: closed when something is there."""
    switches: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Of the cabinet itself: closed when it is shut."""
    contacts: Mapping[tuple[int, int], Contact] = field(default_factory=dict)
    """How a switch is made, where the file says so."""


@dataclass(frozen=True, slots=True)
class Config:
    server: str
    tls: ssl.SSLContext | None
    """How the server is spoken to; None: in the clear, as the file allows."""
    state: Path
    kiosk_host: str
    kiosk_port: int
    kiosk_names: tuple[str, ...]
    buses: tuple[BusTable, ...]
    fittings: tuple[Fitting, ...]
    wiring: dict[CompartmentId, tuple[int, int]]
    """Which bus and channel opens a compartment."""
    contacts: dict[CompartmentId, Contact]
    """How a door's contact is made, where the file says so."""
    inputs: Inputs
    readers: tuple[ReaderTable, ...]
    climate: tuple[ZoneTable, ...]


def read_config(path: Path) -> Config:
    """Raises BadConfig."""
    return check(read_tables(path), path)


def read_tables(path: Path) -> Tables:
    """A file that may not be a whole configuration yet. Raises BadConfig."""
    try:
        return tables_in(path.read_bytes())
    except OSError as error:
        raise BadConfig(f"{path}: {error.strerror}") from None
    except BadConfig as error:
        raise BadConfig(f"{path}: {error}") from None


def tables_in(content: bytes) -> Tables:
    """Raises BadConfig."""
    try:
        return msgspec.convert(tomllib.loads(content.decode()), Tables)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise BadConfig(str(error)) from None


def written(file: Tables) -> str:
    """As TOML, without what is said by default. `read_tables` reads the same from it."""
    tables = [f"[bank]\n{_lines(file.bank)}"]
    for name in ("bus", "compartment", "switch", "reader", "climate"):
        tables += [f"[[{name}]]\n{_lines(row)}" for row in getattr(file, name)]
    return "\n".join(tables)


def _lines(table: msgspec.Struct) -> str:
    defaults = {field.name: field.default for field in msgspec.structs.fields(table)}
    fields = msgspec.structs.asdict(table).items()
    return "".join(f"{name} = {_toml(value)}\n" for name, value in fields if value not in (defaults[name], {}))


def _toml(value: Any) -> str:
    """Strings and numbers are in TOML as in JSON, but for DEL."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(name)} = {_toml(each)}" for name, each in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def check(file: Tables, path: Path) -> Config:
    """What `file` means where it lies at `path`. Raises BadConfig."""
    try:
        return _checked(file, path)
    except BadConfig as error:
        raise BadConfig(f"{path}: {error}") from None


def check_compartment(table: CompartmentTable) -> None:
    """What can be said of one compartment without the others. Raises BadConfig."""
    if not re.fullmatch(r"[A-Za-z0-9-]{1,16}", table.id):
        raise BadConfig(f'compartment id "{table.id}": use up to 16 letters, digits and dashes')
    if min(table.size_mm) < 1 or max(table.size_mm) > 10_000:
        raise BadConfig(f"compartment {table.id}: size_mm {list(table.size_mm)} is out of range")


def _checked(file: Tables, path: Path) -> Config:
    if not re.match(r"https?://[^/]", file.bank.server):
        raise BadConfig(f'server = "{file.bank.server}" is no http(s) address')
    if not file.bank.allow_plain_http and _is_plain(file.bank.server):
        raise BadConfig(
            f'server = "{file.bank.server}" is not encrypted: use https, or set allow_plain_http = true in [bank] '
            "where nobody else can listen on the way"
        )
    if not file.bus or not file.compartment:
        raise BadConfig("a bank needs at least one [[bus]] and one [[compartment]]")
    host, _, port = file.bank.kiosk.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise BadConfig(f'kiosk = "{file.bank.kiosk}" is not host:port')
    wiring: dict[CompartmentId, tuple[int, int]] = {}
    wired: dict[tuple[int, int], str] = {}
    seen: set[str] = set()
    for table in file.compartment:
        check_compartment(table)
        if table.id in seen:
            raise BadConfig(f"compartment {table.id} is there twice")
        seen.add(table.id)
        _check_kind(table, file.compartment)
        if table.channel is None:
            continue
        if not 0 <= table.bus < len(file.bus):
            raise BadConfig(f"compartment {table.id}: there is no bus {table.bus}")
        wiring[CompartmentId(table.id)] = (table.bus, table.channel)
        for place in ((table.bus, table.channel), table.leaf, table.item):
            if place is not None:
                _wire(wired, place, table.id)
    for switch in file.switch:
        if sum(other.id == switch.id for other in file.switch) > 1:
            raise BadConfig(f"switch {switch.id} is there twice")
        _wire(wired, (switch.bus, switch.channel), switch.id)
    _check_zones(file.climate, seen)
    return Config(
        server=file.bank.server.rstrip("/"),
        tls=_tls(file.bank, path),
        state=(path.parent / file.bank.state).resolve(),
        kiosk_host=host,
        kiosk_port=int(port),
        kiosk_names=(host, *file.bank.kiosk_names),
        buses=file.bus,
        fittings=tuple(_fitting(table) for table in file.compartment),
        wiring=wiring,
        contacts={CompartmentId(table.id): table.contact for table in file.compartment if table.contact is not None},
        inputs=Inputs(
            {CompartmentId(table.id): table.leaf for table in file.compartment if table.leaf is not None},
            {CompartmentId(table.id): table.item for table in file.compartment if table.item is not None},
            {switch.id: (switch.bus, switch.channel) for switch in file.switch},
            {(x.bus, x.channel): x.contact for x in file.switch if x.contact is not None},
        ),
        readers=file.reader,
        climate=file.climate,
    )


def _check_zones(zones: tuple[ZoneTable, ...], compartments: set[str]) -> None:
    watched: set[str] = set()
    for zone in zones:
        if not zone.celsius[0] < zone.celsius[1]:  # also where one is nan
            raise BadConfig(f"climate {zone.id}: celsius = {list(zone.celsius)} is no band")
        if sum(other.id == zone.id for other in zones) > 1:
            raise BadConfig(f"climate {zone.id} is there twice")
        for x in zone.compartments:
            if x not in compartments or x in watched:
                why = "there is no such compartment" if x not in compartments else "another sensor watches it"
                raise BadConfig(f"climate {zone.id}: {x}: {why}")
            watched.add(x)


def _wire(wired: dict[tuple[int, int], str], place: tuple[int, int], name: str) -> None:
    if place in wired:
        raise BadConfig(f"{wired[place]} and {name} are both on channel {place[1]} of bus {place[0]}")
    wired[place] = name


def _check_kind(table: CompartmentTable, others: tuple[CompartmentTable, ...]) -> None:
    if table.shelf and (table.gate or any(x is not None for x in (table.channel, table.contact, table.leaf))):
        raise BadConfig(f"compartment {table.id} is a shelf: it has no door, so no channel and no contact")
    if not table.shelf and table.channel is None:
        raise BadConfig(f"compartment {table.id}: channel is missing (only a shelf has none)")
    if table.behind is not None and not table.shelf:
        raise BadConfig(f"compartment {table.id}: only a shelf can be behind a gate")
    if table.behind is not None and not any(x.gate and x.id == table.behind for x in others):
        raise BadConfig(f"compartment {table.id}: there is no gate {table.behind}")


def _tls(bank: BankTable, path: Path) -> ssl.SSLContext | None:
    """Whoever asks for TLS of their own gets it, or nothing: there is no way back to less."""
    named = {name: getattr(bank, name) for name in ("tls_ca", "tls_certificate", "tls_key") if getattr(bank, name)}
    if not bank.server.startswith("https:"):
        if named:
            raise BadConfig(f'{" and ".join(named)}: server = "{bank.server}" is not https')
        return None
    if bool(bank.tls_certificate) is not bool(bank.tls_key):
        raise BadConfig("tls_certificate and tls_key go together")
    try:
        context = ssl.create_default_context(cafile=path.parent / bank.tls_ca if bank.tls_ca else None)
        if bank.tls_certificate:
            context.load_cert_chain(path.parent / bank.tls_certificate, path.parent / bank.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise BadConfig(f"{', '.join(named.values())}: no certificate or key that can be used: {error}") from None
    return context


def _is_plain(server: str) -> bool:
    """Whether words to this server travel in the clear beyond this machine."""
    url = urlsplit(server)
    if url.scheme != "http":
        return False
    host = url.hostname or ""
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != "localhost" and not host.endswith(".localhost")


def _fitting(table: CompartmentTable) -> Fitting:
    return Fitting(
        CompartmentId(table.id),
        Size(*table.size_mm),
        table.climate,
        table.reach_mm,
        table.features,
        table.gate,
        table.shelf,
        CompartmentId(table.behind) if table.behind is not None else None,
    )
