"""Shelly relays of the second generation or later (Plus, Pro, Gen3, Gen4), over HTTP or MQTT."""

from latchwork.edge.drivers.device.broker import Address
from latchwork.edge.drivers.device.driver import DeviceDriver, Layout
from latchwork.edge.drivers.device.web import Web, is_web
from latchwork.edge.drivers.protocol import BusSettings
from latchwork.edge.drivers.shelly.device import OverHttp, OverMqtt, Shelly, Wire

__all__ = ["make"]

RELAYS_MAX = 4


def make(settings: BusSettings) -> DeviceDriver:
    layout = Layout.of(settings.options, RELAYS_MAX)
    user, password = settings.options["user"], settings.options["password"]
    wire: Wire
    if is_web(settings.port):
        wire = OverHttp(Web(settings.port, user, password))
    else:
        wire = OverMqtt(Address.of(settings.port), user, password)
    return DeviceDriver(settings.port, Shelly(wire, layout), layout)
