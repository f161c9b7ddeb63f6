"""One simulated device with relays on the network or on pins, where its driver looks for it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from latchwork.simulator.boards.device_mqtt import EsphomeTongue, MqttFront, ShellyTongue, TasmotaTongue, Tongue
from latchwork.simulator.boards.device_pins import CONTACT_PINS, PinsFront
from latchwork.simulator.boards.device_web import Site, WebFront, esphome_app, shelly_app, tasmota_app
from latchwork.simulator.boards.devices import Esphome, Relays, Shelly, Tasmota
from latchwork.simulator.boards.front import Front, LiveWall

RELAYS_MAX = {"shelly": 4, "tasmota": 8, "esphome": 8, "gpio": len(CONTACT_PINS)}
"""The families there are."""
PULSE_S = 0.5
"""As their drivers ask for; none of them has one of its own."""


@dataclass(frozen=True, slots=True)
class OneDevice:
    """What a visitor of the page can do to a device: it is a bus of its own, with one board on it."""

    live: LiveWall
    silent: set[int] = field(default_factory=set)
    boards: tuple[int, ...] = (0,)
    twins: None = None

    def place(self, channel: int) -> tuple[int, int]:
        return 0, channel

    def restart(self, board: int, now: float) -> None:
        self.live.wall.cut_power(now)
        self.live.wall.restore_power(now)


def in_house(family: str, device: OneDevice, host: str, port: int) -> Front:
    """On a TCP port of this computer: a web server, or pins."""
    relays, site = Relays(device.live.wall), Site(device.live, silent=device.silent)
    match family:
        case "shelly":
            return WebFront(shelly_app(Shelly(relays), site), host, port)
        case "tasmota":
            return WebFront(tasmota_app(Tasmota(relays), site), host, port)
        case "esphome":
            return WebFront(esphome_app(Esphome(relays), site), host, port)
    return PinsFront(relays, device.live, host, port)


TONGUES: dict[str, Callable[[Relays, str], Tongue]] = {
    "shelly": lambda relays, topic: ShellyTongue(Shelly(relays), topic),
    "tasmota": lambda relays, topic: TasmotaTongue(Tasmota(relays), topic),
    "esphome": lambda relays, topic: EsphomeTongue(Esphome(relays), topic),
}


def on_broker(family: str, device: OneDevice, host: str, port: int, topic: str) -> Front:
    tongue = TONGUES[family](Relays(device.live.wall), topic)
    return MqttFront(tongue, device.live, (host, port), topic, device.silent)
