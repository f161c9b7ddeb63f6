"""Drivers of networked relays against simulated ones: over real HTTP, and over real MQTT through a real broker.

A story is told of all of them at once, which takes as long as of the slowest.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import iotcore
import pytest
from tests.edge.drivers.bench import Believer, running, until

from latchwork.domain.words import DoorState
from latchwork.edge import registry
from latchwork.edge.config import BadConfig, BusTable
from latchwork.edge.drivers.device.driver import DeviceDriver, Layout
from latchwork.edge.drivers.protocol import BoardLost, DoorsSeen, Driver, Fault, Reading
from latchwork.simulator.boards.device_mqtt import EsphomeTongue, MqttFront, ShellyTongue, TasmotaTongue
from latchwork.simulator.boards.device_web import Site, WebFront, esphome_app, shelly_app, tasmota_app
from latchwork.simulator.boards.devices import Esphome, Relays, Shelly, Tasmota
from latchwork.simulator.boards.front import LiveWall
from latchwork.simulator.boards.wall import Wall
from latchwork.simulator.ports import free_port

FAMILIES = ("shelly", "tasmota", "esphome")
BROKER = """
id = 0
[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 1048576
max_segment_count = 10
[v5.1]
name = "v5"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 5000
max_payload_size = 20480
max_inflight_count = 100
dynamic_filters = true
"""


class Front(Protocol):
    @property
    def port(self) -> str: ...
    async def open(self) -> None: ...
    async def cut(self) -> None: ...


Simulated = Shelly | Tasmota | Esphome
Broker = tuple[str, int]


def broker_in(folder: Path) -> iotcore.Broker:
    (folder / "broker.toml").write_text(BROKER.format(port=free_port()))
    return iotcore.Broker(config_path=str(folder / "broker.toml"))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with broker_in(tmp_path_factory.mktemp("broker")) as broker:
        yield "127.0.0.1", broker.port


@dataclass
class Bench(Believer):
    family: str
    driver: Driver
    device: Simulated
    live: LiveWall
    site: Site
    front: Front
    readings: list[Reading]

    async def until_all(self, state: DoorState) -> None:
        await until(lambda: [self.believed.get(door.channel) for door in self.wall] == [state] * len(self.wall.doors))

    def switched_on(self) -> list[int]:
        return [relay for _, relay, on, _ in self.device.relays.switched if on]


def simulated(family: str, wall: Wall) -> Simulated:
    relays = Relays(wall)
    kinds: dict[str, type[Simulated]] = {"shelly": Shelly, "tasmota": Tasmota, "esphome": Esphome}
    return kinds[family](relays)


def front_of(device: Simulated, site: Site, broker: Broker | None) -> Front:
    if broker is None:
        match device:
            case Shelly():
                return WebFront(shelly_app(device, site), port=free_port())
            case Tasmota():
                return WebFront(tasmota_app(device, site), port=free_port())
            case Esphome():
                return WebFront(esphome_app(device, site), port=free_port())
    topic = f"{'wall-' if isinstance(device, Tasmota) else 'walls/'}{uuid4().hex}"  # states outlive a device
    tongue = {Shelly: ShellyTongue, Tasmota: TasmotaTongue, Esphome: EsphomeTongue}[type(device)](device, topic)
    return MqttFront(tongue, site.live, broker, topic)


def driver_of(family: str, port: str, **options: Any) -> Driver:
    return registry.find(family).driver(BusTable(family, port, options=options))


@asynccontextmanager
async def bench(
    family: str,
    broker: Broker | None = None,
    *,
    doors: int = 2,
    setting: Callable[[Any], None] = lambda device: None,
    password: str = "",
    **options: Any,
) -> AsyncIterator[Bench]:
    """`setting` sets the simulated device up before the driver meets it."""
    live = LiveWall(Wall(range(doors)))
    device = simulated(family, live.wall)
    setting(device)
    site = Site(live, password=password, basic=family == "esphome")
    front = front_of(device, site, broker)
    await front.open()
    driver = driver_of(family, front.port, **{"relays": doors, "inputs": doors, **options})
    try:
        async with running(driver) as readings:
            yield Bench(family, driver, device, live, site, front, readings)
    finally:
        await front.cut()
        live.stop()


async def everywhere(
    story: Callable[[Bench], Awaitable[None]],
    broker: Broker | None,
    families: Sequence[str] = FAMILIES,
    **settings: Any,
) -> None:
    """Tell `story` of each family, over HTTP and, with a broker, over MQTT as well."""

    async def of(family: str, wire: Broker | None) -> None:
        try:
            async with bench(family, wire, **settings) as stand:
                await story(stand)
        except Exception as error:
            error.add_note(f"{family} over {'HTTP' if wire is None else 'MQTT'}")
            raise

    async with asyncio.TaskGroup() as group:
        for family in families:
            for wire in {None, broker}:
                group.create_task(of(family, wire))


async def test_the_first_telling_names_every_door_and_then_only_changes(broker: Broker) -> None:
    async def story(stand: Bench) -> None:
        await stand.until_all(DoorState.CLOSED)
        assert stand.readings == [DoorsSeen({0: DoorState.CLOSED, 1: DoorState.CLOSED})]
        stand.hand(stand.wall.force, 1)
        await stand.until_door(1, DoorState.OPEN)
        assert stand.readings[1:] == [DoorsSeen({1: DoorState.OPEN})]

    await everywhere(story, broker)


async def test_a_pulse_opens_one_door_is_sent_once_and_ends_by_itself(broker: Broker) -> None:
    async def story(stand: Bench) -> None:
        await stand.until_all(DoorState.CLOSED)
        await stand.driver.pulse(1)
        await stand.until_door(1, DoorState.OPEN)
        await until(lambda: stand.wall.doors[1].coil_until is None)
        assert [door.pulses for door in stand.wall] == [0, 1]
        ((_, relay, on, for_s),) = stand.device.relays.switched
        assert (relay, on, for_s) == (1, True, 0.5)

    await everywhere(story, broker)


async def test_what_opens_without_a_contact_is_unknown(broker: Broker) -> None:
    async def story(stand: Bench) -> None:
        await until(lambda: stand.readings != [])
        assert stand.believed == {0: DoorState.CLOSED, 1: DoorState.UNKNOWN}
        await stand.driver.pulse(1)
        await until(lambda: stand.wall.doors[1].is_open)
        assert (await stand.driver.read())[1] is DoorState.UNKNOWN
        for channel in (-1, 2):
            with pytest.raises(ValueError, match="channel"):
                await stand.driver.pulse(channel)

    await everywhere(story, broker, inputs=1)


async def test_a_device_that_goes_is_lost_once_and_named_in_full_when_it_returns(broker: Broker) -> None:
    async def story(stand: Bench) -> None:
        await stand.until_all(DoorState.CLOSED)
        await stand.front.cut()
        await stand.until_all(DoorState.UNKNOWN)
        with pytest.raises(Fault):
            await stand.driver.pulse(0)
        assert set((await stand.driver.read()).values()) == {DoorState.UNKNOWN}
        await stand.front.open()
        await stand.until_all(DoorState.CLOSED)
        assert len(stand.losses) == 1
        assert stand.readings[-1] == DoorsSeen({0: DoorState.CLOSED, 1: DoorState.CLOSED})
        assert stand.switched_on() == [], "nothing is pulsed late"
        await stand.driver.pulse(0)
        await stand.until_door(0, DoorState.OPEN)

    await everywhere(story, broker)


class Told:
    """A device whose doors have said this, look by look; the last is what they go on saying."""

    def __init__(self, *looks: Mapping[int, bool | None]) -> None:
        self.looks = list(looks)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        yield

    async def check(self) -> None: ...

    async def contacts(self) -> Mapping[int, bool | None]:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    async def powered(self) -> frozenset[int]:
        return frozenset()

    async def pulse(self, channel: int) -> None: ...

    async def switch_off(self, channel: int) -> None: ...


async def test_a_common_wire_that_breaks_while_doors_are_asked_for_one_by_one_is_told_as_one_change() -> None:
    shut, half = dict.fromkeys(range(5), True), {0: True, 1: True, 2: False, 3: False, 4: False}
    device = Told(shut, half, dict.fromkeys(range(5), False))
    async with running(DeviceDriver("five", device, Layout(range(5), range(5), 500))) as readings:
        await until(lambda: len(readings) > 1)
        assert readings[1:] == [DoorsSeen(dict.fromkeys(range(5), DoorState.OPEN))]


async def test_a_broker_that_goes_and_comes_back_is_found_again(tmp_path: Path) -> None:
    with broker_in(tmp_path) as broker:
        async with bench("shelly", ("127.0.0.1", broker.port)) as stand:
            await stand.until_all(DoorState.CLOSED)
            await asyncio.to_thread(broker.stop)
            await stand.until_all(DoorState.UNKNOWN)
            with pytest.raises(Fault, match="broker"):
                await stand.driver.pulse(0)
            await asyncio.to_thread(broker.start)
            await stand.until_all(DoorState.CLOSED)
            assert stand.switched_on() == []


async def test_a_broker_that_takes_the_call_and_says_nothing_is_no_broker() -> None:
    async with await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with running(driver_of("tasmota", f"mqtt://127.0.0.1:{port}/wall")) as readings:
            await until(lambda: readings != [])
            assert isinstance(readings[0], BoardLost)
            assert "cannot reach the broker" in readings[0].why


async def test_it_waits_for_a_device_that_is_not_there_yet() -> None:
    async def story(stand: Bench) -> None:
        await stand.front.cut()
        async with running(driver_of(stand.family, stand.front.port)) as readings:
            await until(lambda: readings != [])
            assert isinstance(readings[0], BoardLost)
            await stand.front.open()
            await until(lambda: isinstance(readings[-1], DoorsSeen))

    await everywhere(story, None)


async def test_a_device_that_takes_a_pulse_and_says_nothing_may_have_heard_it_and_gets_no_second() -> None:
    async def story(stand: Bench) -> None:
        await stand.until_all(DoorState.CLOSED)
        stand.site.silent.add(0)
        await stand.driver.pulse(0)  # no Fault: the door will tell
        await stand.until_all(DoorState.UNKNOWN)
        stand.site.silent.clear()
        await stand.until_all(DoorState.CLOSED)
        assert stand.switched_on() == []

    await everywhere(story, None)


async def test_a_password_that_fits_opens_and_another_does_not() -> None:
    async def story(stand: Bench) -> None:
        await until(lambda: stand.losses != [])
        assert "another name or password" in stand.losses[0].why
        driver = driver_of(stand.family, stand.front.port, password="opensesame")
        async with running(driver) as readings:
            await until(lambda: readings == [DoorsSeen({0: DoorState.CLOSED})])
            await driver.pulse(0)
            await until(lambda: readings[-1] == DoorsSeen({0: DoorState.OPEN}))
        assert stand.switched_on() == [0]

    await everywhere(story, None, password="opensesame", doors=1)


def held_by_its_input(device: Shelly) -> None:
    device.switch_config["in_mode"] = "follow"


def on_with_the_power(device: Shelly) -> None:
    device.switch_config["initial_state"] = "restore_last"


def with_a_button(device: Shelly) -> None:
    device.input_config["type"] = "button"


def on_with_the_mains(device: Tasmota) -> None:
    device.power_on_state = 3


def attached(device: Tasmota) -> None:
    device.detached = False


def forgetful(device: Tasmota) -> None:
    device.forgetful = True


@pytest.mark.parametrize(
    ("family", "setting", "why"),
    [
        ("shelly", held_by_its_input, "detached"),
        ("shelly", on_with_the_power, "initial state"),
        ("shelly", with_a_button, "type"),
        ("tasmota", on_with_the_mains, "PowerOnState"),
        ("tasmota", attached, "SetOption114"),
        ("tasmota", forgetful, "PulseTime"),
    ],
)
async def test_a_device_that_is_set_up_so_that_it_may_hold_a_coil_is_refused(
    family: str, setting: Callable[[Any], None], why: str, broker: Broker
) -> None:
    async def story(stand: Bench) -> None:
        await until(lambda: stand.losses != [])
        assert why in stand.losses[0].why
        with pytest.raises(Fault):
            await stand.driver.pulse(0)
        assert stand.switched_on() == []

    await everywhere(story, broker, [family], setting=setting)


async def test_tasmota_gets_its_pulse_time_before_the_first_pulse(broker: Broker) -> None:
    async def story(stand: Bench) -> None:
        await stand.until_all(DoorState.CLOSED)
        assert isinstance(stand.device, Tasmota)
        assert stand.device.pulse_times == {1: 7, 2: 7}

    await everywhere(story, broker, ["tasmota"], pulse_ms=700)


async def test_a_lone_relay_of_tasmota_has_no_number(broker: Broker) -> None:
    async def story(stand: Bench) -> None:
        await stand.until_all(DoorState.CLOSED)
        await stand.driver.pulse(0)
        await stand.until_door(0, DoorState.OPEN)

    await everywhere(story, broker, ["tasmota"], doors=1)


async def test_a_pulse_that_the_device_does_not_end_is_ended_and_the_relay_left_alone(broker: Broker) -> None:
    def endless(device: Esphome) -> None:
        device.pulse_s = None

    async def story(stand: Bench) -> None:
        await stand.until_all(DoorState.CLOSED)
        await stand.driver.pulse(0)
        await until(lambda: [on for _, _, on, _ in stand.device.relays.switched] == [True, False])
        assert stand.wall.doors[0].coil_until is None
        with pytest.raises(Fault, match="did not end"):
            await stand.driver.pulse(0)
        await stand.driver.pulse(1)

    await everywhere(story, broker, ["esphome"], setting=endless)


async def test_a_relay_that_somebody_left_on_is_switched_off(broker: Broker) -> None:
    def left_on(device: Simulated) -> None:
        device.relays.switch_on(1, 0.0, None)

    async def story(stand: Bench) -> None:
        await until(lambda: stand.wall.doors[1].coil_until is None)
        assert stand.switched_on() == [1]

    await everywhere(story, broker, setting=left_on)


@pytest.mark.parametrize(
    ("port", "options", "why"),
    [
        ("http://10.0.0.1/rpc", {}, "http://host"),
        ("http://admin:secret@10.0.0.1", {}, "http://host"),
        ("mqtt://10.0.0.1", {}, "topic-of-the-device"),
        ("mqtt://10.0.0.1/walls/#", {}, "more than one device"),
        ("/dev/ttyUSB0", {}, "mqtt://broker"),
        ("http://10.0.0.1", {"relays": 0}, "relays = 0"),
        ("http://10.0.0.1", {"relays": 9}, "relays = 9"),
        ("http://10.0.0.1", {"inputs": 2}, "inputs = 2"),
        ("http://10.0.0.1", {"pulse_ms": 3000}, "pulse_ms = 3000"),
        ("http://10.0.0.1", {"pulse_ms": 0}, "pulse_ms = 0"),
    ],
)
@pytest.mark.parametrize("family", FAMILIES)
def test_settings_that_cannot_be_are_refused(family: str, port: str, options: dict[str, Any], why: str) -> None:
    with pytest.raises(BadConfig, match=why):
        driver_of(family, port, **options)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_manifest_says_who_ends_a_pulse_and_what_the_bus_can_be_told(family: str) -> None:
    manifest = registry.find(family).manifest
    assert manifest.name == family
    assert manifest.capabilities.pulse in ("per-command", "board-config")
    assert set(manifest.options) == {"relays", "inputs", "pulse_ms", "user", "password"}
