"""What a device with Tasmota is asked: the same commands over HTTP and over MQTT.

It times pulses by its own setting (`PulseTime`), which is set and read back before anything is switched on.
"""

import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from latchwork.edge.drivers.device.broker import Address, Broker
from latchwork.edge.drivers.device.driver import Layout, NoAnswer
from latchwork.edge.drivers.device.web import Web
from latchwork.edge.drivers.protocol import Fault

Answer = dict[str, Any]
PULSE_UNIT_MS = 100
"""PulseTime counts so up to 111, and only then otherwise."""
_OFFLINE = "Offline"
_ON = {"ON": True, "OFF": False}


class Wire(Protocol):
    def connected(self) -> AbstractAsyncContextManager[object]: ...
    async def command(self, name: str, value: str, *keys: str) -> Any:
        """Give one command, and return what its answer has under the first of `keys` that it has. Raises Fault."""


class OverHttp:
    def __init__(self, web: Web, user: str, password: str) -> None:
        self._web = web
        self._who = {"user": user, "password": password} if password else {}
        self.connected = web.connected

    async def command(self, name: str, value: str, *keys: str) -> Any:
        said = await self._web.get("/cm", {**self._who, "cmnd": f"{name} {value}".strip()})
        if not isinstance(said, dict):
            raise NoAnswer("its answer makes no sense")
        for key in keys:
            if key in said:
                return said[key]
        raise Fault(f"it does not do {name}: {json.dumps(said)[:100]}")


class OverMqtt:
    """For the topics that Tasmota has as delivered: `cmnd/TOPIC/...`, `stat/TOPIC/...`, `tele/TOPIC/LWT`."""

    def __init__(self, address: Address, user: str, password: str) -> None:
        self._topic = address.topic
        self._lwt = f"tele/{self._topic}/LWT"
        self._broker = Broker(address, user, password, [f"stat/{self._topic}/+", self._lwt])
        self.connected = self._broker.connected

    async def command(self, name: str, value: str, *keys: str) -> Any:
        if self._broker.last(self._lwt) == _OFFLINE:
            raise Fault("it is not connected to the broker")

        def answers(topic: str, payload: bytes) -> bool:
            return topic.startswith(f"stat/{self._topic}/") and any(key in _loaded(payload) for key in keys)

        said = _loaded(await self._broker.ask(f"cmnd/{self._topic}/{name}", value, answers))
        return next(said[key] for key in keys if key in said)


class Tasmota:
    """Relay n is its `POWER{n+1}` and input n its `Switch{n+1}`."""

    def __init__(self, wire: Wire, layout: Layout) -> None:
        self._wire = wire
        self._layout = layout
        self._pulse_units = layout.pulse_ms // PULSE_UNIT_MS
        self.connected = wire.connected

    async def check(self) -> None:
        if (said := await self._wire.command("PowerOnState", "", "PowerOnState")) != 0:
            raise Fault(f"PowerOnState is {said}: set it to 0, so that no relay comes on with the power")
        if self._layout.inputs and await self._wire.command("SetOption114", "", "SetOption114") != "ON":
            raise Fault("its switches move its relays: set SetOption114 to 1")
        for relay in self._layout.relays:
            if await self._pulse_time(relay) != self._pulse_units:
                await self._pulse_time(relay, str(self._pulse_units))
                if await self._pulse_time(relay) != self._pulse_units:
                    raise Fault(
                        f"it does not keep PulseTime{relay + 1} {self._pulse_units}, and would hold its relay on"
                    )

    async def contacts(self) -> Mapping[int, bool | None]:
        if not self._layout.inputs:
            return {}
        said = await self._wire.command("Status", "10", "StatusSNS")
        return {door: _ON.get(_text(said, f"Switch{door + 1}")) for door in self._layout.inputs}

    async def powered(self) -> frozenset[int]:
        said = await self._wire.command("Status", "11", "StatusSTS")
        # A relay that says nothing of itself is not known to be off.
        return frozenset(
            relay for relay in self._layout.relays if "OFF" not in {_text(said, key) for key in _power_keys(relay)}
        )

    async def pulse(self, channel: int) -> None:
        await self._wire.command(f"Power{channel + 1}", "ON", *_power_keys(channel))

    async def switch_off(self, channel: int) -> None:
        await self._wire.command(f"Power{channel + 1}", "OFF", *_power_keys(channel))

    async def _pulse_time(self, relay: int, value: str = "") -> object:
        name = f"PulseTime{relay + 1}"
        said = await self._wire.command(name, value, name)
        return said.get("Set") if isinstance(said, dict) else None


def _power_keys(relay: int) -> tuple[str, ...]:
    """What Tasmota calls a relay: one that is alone has no number."""
    return ("POWER1", "POWER") if relay == 0 else (f"POWER{relay + 1}",)


def _text(said: object, key: str) -> str:
    text = said.get(key) if isinstance(said, dict) else None
    return text if isinstance(text, str) else ""


def _loaded(payload: bytes) -> Answer:
    try:
        loaded = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return loaded if isinstance(loaded, dict) else {}
