"""What a Shelly of the second generation or later is asked: the same calls over HTTP and over MQTT.

Every pulse carries its own end (`toggle_after`), timed by the device.
"""

import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from itertools import count
from typing import Any, Protocol
from uuid import uuid4

from latchwork.edge.drivers.device.broker import Address, Broker
from latchwork.edge.drivers.device.driver import Layout, NoAnswer
from latchwork.edge.drivers.device.web import Web
from latchwork.edge.drivers.protocol import Fault

Answer = dict[str, Any]


class Wire(Protocol):
    def connected(self) -> AbstractAsyncContextManager[object]: ...
    async def call(self, method: str, params: Answer) -> Answer:
        """The result of one remote call. Raises Fault."""


class OverHttp:
    def __init__(self, web: Web) -> None:
        self._web = web
        self._numbers = count(1)
        self.connected = web.connected

    async def call(self, method: str, params: Answer) -> Answer:
        return _result(await self._web.post("/rpc", {"id": next(self._numbers), "method": method, "params": params}))


class OverMqtt:
    """Answers come to a topic that nobody else has."""

    def __init__(self, address: Address, user: str, password: str) -> None:
        self._topic, self._here = address.topic, f"latchwork-{uuid4().hex}"
        self._broker = Broker(address, user, password, [f"{self._here}/rpc", f"{self._topic}/online"])
        self._numbers = count(1)
        self.connected = self._broker.connected

    async def call(self, method: str, params: Answer) -> Answer:
        if self._broker.last(f"{self._topic}/online") == "false":
            raise Fault("it is not connected to the broker")
        number = next(self._numbers)
        words = json.dumps({"id": number, "src": self._here, "method": method, "params": params})

        def answers(topic: str, payload: bytes) -> bool:
            said = _loaded(payload)
            return topic == f"{self._here}/rpc" and isinstance(said, dict) and said.get("id") == number

        return _result(_loaded(await self._broker.ask(f"{self._topic}/rpc", words, answers)))


class Shelly:
    def __init__(self, wire: Wire, layout: Layout) -> None:
        self._wire = wire
        self._layout = layout
        self.connected = wire.connected

    async def check(self) -> None:
        for relay in self._layout.relays:
            said = await self._wire.call("Switch.GetConfig", {"id": relay})
            if said.get("initial_state") != "off":
                raise Fault(f'switch {relay} starts as "{said.get("initial_state")}": set its initial state to "off"')
            if said.get("in_mode", "detached") != "detached":
                raise Fault(f'input {relay} moves switch {relay} ("{said["in_mode"]}"): set its mode to "detached"')
        for door in self._layout.inputs:
            said = await self._wire.call("Input.GetConfig", {"id": door})
            if said.get("type") != "switch":
                raise Fault(f'input {door} is a "{said.get("type")}": set its type to "switch"')

    async def contacts(self) -> Mapping[int, bool | None]:
        if not self._layout.inputs:
            return {}
        said = await self._wire.call("Shelly.GetStatus", {})
        return {door: _flag(said, f"input:{door}", "state") for door in self._layout.inputs}

    async def powered(self) -> frozenset[int]:
        said = await self._wire.call("Shelly.GetStatus", {})
        # A relay that says nothing of itself is not known to be off.
        return frozenset(
            relay for relay in self._layout.relays if _flag(said, f"switch:{relay}", "output") is not False
        )

    async def pulse(self, channel: int) -> None:
        await self._wire.call("Switch.Set", {"id": channel, "on": True, "toggle_after": self._layout.pulse_ms / 1000})

    async def switch_off(self, channel: int) -> None:
        await self._wire.call("Switch.Set", {"id": channel, "on": False})


def _flag(said: Answer, component: str, name: str) -> bool | None:
    part = said.get(component)
    flag = part.get(name) if isinstance(part, dict) else None
    return flag if isinstance(flag, bool) else None


def _loaded(payload: bytes) -> object:
    try:
        loaded: object = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return loaded


def _result(said: object) -> Answer:
    if not isinstance(said, dict):
        raise NoAnswer("its answer makes no sense")
    if isinstance(error := said.get("error"), dict):
        raise Fault(f"it says no: {error.get('message')}")
    # The frame names its sender; what answers without one gives the bare result.
    if not isinstance(result := said.get("result") if "src" in said else said, dict):
        raise NoAnswer("its answer has no result")
    return result
