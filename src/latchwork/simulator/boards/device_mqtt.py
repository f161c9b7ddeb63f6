"""Simulated networked relays on MQTT, on the topics of the real ones."""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any, Protocol

import aiomqtt

from latchwork.simulator.boards.devices import Esphome, Refused, Shelly, Tasmota
from latchwork.simulator.boards.front import LiveWall

KEEPALIVE_S = 5
RECONNECT_S = 0.1

Say = Callable[..., Awaitable[None]]


class Tongue(Protocol):
    """How one kind of device speaks on MQTT."""

    listens_to: str
    status: tuple[str, str, str]
    """The topic that says whether it is there, and what it says then and when it is not."""

    async def hear(self, topic: str, payload: str, now: float, say: Say) -> None: ...
    async def tell(self, now: float, say: Say) -> None:
        """Called after every change, and once connected."""


class ShellyTongue:
    def __init__(self, shelly: Shelly, prefix: str) -> None:
        self._shelly = shelly
        self.listens_to = f"{prefix}/rpc"
        self.status = (f"{prefix}/online", "true", "false")

    async def hear(self, topic: str, payload: str, now: float, say: Say) -> None:
        asked = json.loads(payload)
        said: dict[str, Any] = {"id": asked["id"], "src": "simulated", "dst": asked["src"]}
        try:
            said["result"] = self._shelly.call(asked["method"], asked.get("params") or {}, now)
        except Refused as refused:
            said["error"] = {"code": refused.number, "message": str(refused)}
        await say(f"{asked['src']}/rpc", json.dumps(said))

    async def tell(self, now: float, say: Say) -> None:
        """It also tells changes, on topics that nobody here listens to."""


class TasmotaTongue:
    def __init__(self, tasmota: Tasmota, topic: str) -> None:
        self._tasmota = tasmota
        self._topic = topic
        self.listens_to = f"cmnd/{topic}/+"
        self.status = (f"tele/{topic}/LWT", "Online", "Offline")

    async def hear(self, topic: str, payload: str, now: float, say: Say) -> None:
        name = topic.rpartition("/")[2]
        said = self._tasmota.command(f"{name} {payload}", now)
        where = f"STATUS{payload}" if name.lower() == "status" else "RESULT"
        await say(f"stat/{self._topic}/{where}", json.dumps(said))

    async def tell(self, now: float, say: Say) -> None:
        """It also tells changes, on topics that nobody here needs."""


class EsphomeTongue:
    """States are retained by the broker; a command is not answered."""

    def __init__(self, esphome: Esphome, prefix: str) -> None:
        self._esphome = esphome
        self._prefix = prefix
        self.listens_to = f"{prefix}/switch/+/command"
        self.status = (f"{prefix}/status", "online", "offline")

    async def hear(self, topic: str, payload: str, now: float, say: Say) -> None:
        name = topic.split("/")[-2]
        if self._esphome.is_on("switch", name, now) is not None and payload in ("ON", "OFF"):
            self._esphome.turn(name, payload == "ON", now)

    async def tell(self, now: float, say: Say) -> None:
        for channel in self._esphome.relays.wall.doors:
            for kind, word in (("switch", "lock"), ("binary_sensor", "door")):
                name = f"{word}_{channel + 1}"
                state = "ON" if self._esphome.is_on(kind, name, now) else "OFF"
                await say(f"{self._prefix}/{kind}/{name}/state", state, retain=True)


class MqttFront:
    """A device on somebody's broker. A cut, or no power, is what the broker makes of it: the device's last will.

    While `silent` is not empty its own cable is off.
    """

    def __init__(
        self, tongue: Tongue, live: LiveWall, broker: tuple[str, int], topic: str, silent: Collection[int] = ()
    ) -> None:
        self._tongue = tongue
        self._live = live
        self._broker = broker
        self._topic = topic
        self._silent = silent
        self._connection: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    @property
    def port(self) -> str:
        return f"mqtt://{self._broker[0]}:{self._broker[1]}/{self._topic}"

    async def open(self) -> None:
        if self._connection is None:
            here = asyncio.Event()
            self._connection = asyncio.create_task(self._stay(here))
            arrived = asyncio.create_task(here.wait())
            await asyncio.wait((arrived, self._connection), return_when=asyncio.FIRST_COMPLETED)
            if not here.is_set():
                arrived.cancel()
                await self._connection  # says why not

    async def cut(self) -> None:
        if self._connection is not None:
            self._connection.cancel()
            with suppress(asyncio.CancelledError, aiomqtt.MqttError):
                await self._connection
            self._connection = None

    async def _stay(self, here: asyncio.Event) -> None:
        unlisten = self._live.listen(self._changed.set)
        try:
            while True:
                try:
                    await self._talk(here)
                except aiomqtt.MqttError:
                    if not here.is_set():
                        raise
                    await asyncio.sleep(RECONNECT_S)
                while not self._is_there():
                    await self._next_change()
        finally:
            unlisten()

    async def _talk(self, here: asyncio.Event) -> None:
        """For as long as the device has power and cable."""
        where, there, gone = self._tongue.status
        async with aiomqtt.Client(
            *self._broker,
            protocol=aiomqtt.ProtocolVersion.V5,
            keepalive=KEEPALIVE_S,
            timeout=math.inf,  # or a cancellation may be swallowed, before Python 3.12
            will=aiomqtt.Will(where, gone, retain=True),
        ) as client:
            await client.subscribe(self._tongue.listens_to)
            await client.publish(where, there, retain=True)
            await self._tongue.tell(self._live.now(), client.publish)
            here.set()
            hearing = asyncio.create_task(self._hear(client))
            telling = asyncio.create_task(self._tell(client))
            try:
                done, _ = await asyncio.wait((hearing, telling), return_when=asyncio.FIRST_COMPLETED)
                await next(iter(done))
            finally:
                telling.cancel()
                hearing.cancel()
                await client.publish(where, gone, retain=True)

    async def _hear(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            payload = message.payload.decode()
            await self._tongue.hear(str(message.topic), payload, self._live.now(), client.publish)
            self._live.touched()

    async def _tell(self, client: aiomqtt.Client) -> None:
        while self._is_there():
            await self._next_change()
            await self._tongue.tell(self._live.now(), client.publish)

    async def _next_change(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    def _is_there(self) -> bool:
        return not self._silent and self._live.wall.answers(self._live.now())
