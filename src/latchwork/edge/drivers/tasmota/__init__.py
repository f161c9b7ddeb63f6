"""Relays with the Tasmota firmware, over HTTP or MQTT."""

from latchwork.edge.drivers.device.broker import Address
from latchwork.edge.drivers.device.driver import DeviceDriver, Layout
from latchwork.edge.drivers.device.web import Web, is_web
from latchwork.edge.drivers.protocol import BusSettings
from latchwork.edge.drivers.tasmota.device import OverHttp, OverMqtt, Tasmota, Wire

__all__ = ["make"]

RELAYS_MAX = 8
"""Beyond, a relay shares its PulseTime with another."""


def make(settings: BusSettings) -> DeviceDriver:
    layout = Layout.of(settings.options, RELAYS_MAX)
    user, password = settings.options["user"], settings.options["password"]
    wire: Wire
    if is_web(settings.port):
        wire = OverHttp(Web(settings.port), user, password)
    else:
        wire = OverMqtt(Address.of(settings.port), user, password)
    return DeviceDriver(settings.port, Tasmota(wire, layout), layout)
