"""What a device with ESPHome is asked, by HTTP or MQTT: its switches `lock_1`, .. and binary sensors `door_1`, ..

Its own configuration ends each pulse (`on_turn_on`, `delay`, `turn_off`), which nobody can read from outside: a switch
that is still on after its time is switched off and not used again.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from latchwork.edge.drivers.device.broker import Address, Broker
from latchwork.edge.drivers.device.driver import REPLY_S, Layout
from latchwork.edge.drivers.device.web import Web
from latchwork.edge.drivers.protocol import Fault

_ON = {"ON": True, "OFF": False}


class Wire(Protocol):
    def connected(self) -> AbstractAsyncContextManager[object]: ...
    async def is_on(self, kind: str, name: str) -> bool | None:
        """The state of one switch or binary sensor; None if the device does not know it. Raises Fault."""

    async def turn(self, name: str, on: bool) -> None:
        """Raises Fault."""


class OverHttp:
    """The device's web server."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self.connected = web.connected

    async def is_on(self, kind: str, name: str) -> bool | None:
        said = await self._web.get(f"/{kind}/{name}")
        return _ON.get(str(said.get("state"))) if isinstance(said, dict) else None

    async def turn(self, name: str, on: bool) -> None:
        await self._web.post(f"/switch/{name}/{'turn_on' if on else 'turn_off'}")


class OverMqtt:
    """For the topics that ESPHome has as delivered, below the device's prefix. States are kept by the broker."""

    def __init__(self, address: Address, user: str, password: str) -> None:
        self._prefix = address.topic
        self._broker = Broker(address, user, password, [f"{self._prefix}/+/+/state", f"{self._prefix}/status"])
        self.connected = self._broker.connected

    async def is_on(self, kind: str, name: str) -> bool | None:
        await self._check_online()
        return _ON.get(await self._broker.word(f"{self._prefix}/{kind}/{name}/state"))

    async def turn(self, name: str, on: bool) -> None:
        await self._check_online()
        await self._broker.say(f"{self._prefix}/switch/{name}/command", "ON" if on else "OFF")

    async def _check_online(self) -> None:
        if await self._broker.word(f"{self._prefix}/status") != "online":
            raise Fault("it is not connected to the broker")


class Esphome:
    def __init__(self, wire: Wire, layout: Layout) -> None:
        self._wire = wire
        self._layout = layout
        self.connected = wire.connected

    async def check(self) -> None:
        entities = [("switch", _lock(relay)) for relay in self._layout.relays]
        entities += [("binary_sensor", _door(door)) for door in self._layout.inputs]
        for kind, name in entities:
            try:
                async with asyncio.timeout(REPLY_S):
                    await self._wire.is_on(kind, name)
            except TimeoutError:
                raise Fault(f"it says nothing of a {kind} {name}") from None

    async def contacts(self) -> Mapping[int, bool | None]:
        return {door: await self._wire.is_on("binary_sensor", _door(door)) for door in self._layout.inputs}

    async def powered(self) -> frozenset[int]:
        # A relay that says nothing of itself is not known to be off.
        return frozenset(
            [relay for relay in self._layout.relays if await self._wire.is_on("switch", _lock(relay)) is not False]
        )

    async def pulse(self, channel: int) -> None:
        await self._wire.turn(_lock(channel), on=True)

    async def switch_off(self, channel: int) -> None:
        await self._wire.turn(_lock(channel), on=False)


def _lock(relay: int) -> str:
    return f"lock_{relay + 1}"


def _door(door: int) -> str:
    return f"door_{door + 1}"
