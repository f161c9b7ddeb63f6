"""One device's MQTT, by way of somebody's broker: questions and answers, and the last word on every topic.

A command goes out at most once (QoS 0), is never retained, and expires at a broker that cannot deliver it at once.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from latchwork.edge.drivers.device.driver import NoAnswer
from latchwork.edge.drivers.device.web import SOCKET_OPTIONS
from latchwork.edge.drivers.protocol import Fault

CONNECT_S = 5.0
LEAVE_S = 1.0
TOPICS_MAX = 500
"""Whose last words are kept: more than any device has."""
KEEPALIVE_S = 10
_PORTS = {"mqtt": 1883, "mqtts": 8883}
# Seconds that a broker may keep a message for somebody who is away.
_EXPIRING = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
_EXPIRING.MessageExpiryInterval = 2


@dataclass(frozen=True, slots=True)
class Address:
    """`mqtt://broker[:port]/topic`, or mqtts with TLS; `topic` is what the device calls its own."""

    host: str
    port: int
    tls: bool
    topic: str

    @classmethod
    def of(cls, port: str) -> "Address":
        """Raises ValueError for anything else."""
        url = urlsplit(port)
        topic = url.path.strip("/")
        if url.scheme not in _PORTS or url.hostname is None or url.username is not None or not topic:
            raise ValueError(f"{port} should be mqtt://broker/topic-of-the-device, mqtts://... or http://device")
        if "+" in topic or "#" in port:
            raise ValueError(f"{port} names more than one device")
        return cls(url.hostname, url.port or _PORTS[url.scheme], url.scheme == "mqtts", topic)


@dataclass(frozen=True, slots=True)
class _Question:
    wanted: Callable[[str, bytes], bool]
    answer: asyncio.Future[bytes]


class Broker:
    """`topics` are those to listen to. Everything raises Fault, and NoAnswer if the device may have heard."""

    def __init__(self, address: Address, user: str, password: str, topics: Sequence[str]) -> None:
        self._address = address
        self._user, self._password = user, password
        self._topics = topics
        self._client: aiomqtt.Client | None = None
        self._questions: list[_Question] = []
        self._said: dict[str, bytes] = {}

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """A new client for each connection: nothing that an old one still holds can ever be sent."""
        client = aiomqtt.Client(
            self._address.host,
            self._address.port,
            username=self._user or None,
            password=self._password or None,
            protocol=aiomqtt.ProtocolVersion.V5,
            keepalive=KEEPALIVE_S,
            timeout=CONNECT_S,
            socket_options=SOCKET_OPTIONS,
            tls_params=aiomqtt.TLSParameters() if self._address.tls else None,
        )
        self._said.clear()
        listening = asyncio.create_task(self._listen(client))
        try:
            await self._reach(client)
            self._client = client
            yield
        finally:
            self._client = None
            listening.cancel()
            # Also where it was never reached: it may have a socket by now.
            with suppress(aiomqtt.MqttError, TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    await client.__aexit__(None, None, None)

    async def _reach(self, client: aiomqtt.Client) -> None:
        try:
            # Its own limit: it only lets go of its socket if it was not cancelled from outside.
            await client.__aenter__()
            await client.subscribe([(topic, 0) for topic in self._topics])
        except aiomqtt.MqttError as error:
            raise Fault(f"cannot reach the broker at {self._address.host}:{self._address.port} ({error})") from error
        # From here on the limits are ours. Its own `wait_for`, before Python 3.12, may swallow a cancellation.
        client.timeout = math.inf

    def last(self, topic: str) -> str | None:
        """What was said last on `topic` since we are connected."""
        self._reached()
        said = self._said.get(topic)
        return None if said is None else said.decode(errors="replace")

    async def word(self, topic: str) -> str:
        """The same, and if there is none yet, the next. Waits for ever: the caller sets the limit."""
        self._reached()
        said = self._said.get(topic)
        if said is None:
            with self._asking(lambda heard, _: heard == topic) as answer:
                said = await answer
        return said.decode(errors="replace")

    async def say(self, topic: str, payload: str) -> None:
        client = self._reached()
        try:
            await client.publish(topic, payload, properties=_EXPIRING)
        except aiomqtt.MqttError as error:
            raise NoAnswer(f"the broker is gone ({error})") from error

    async def ask(self, topic: str, payload: str, wanted: Callable[[str, bytes], bool]) -> bytes:
        """Say it, and return the first payload after it that is `wanted`. Waits for ever: the caller sets the limit."""
        with self._asking(wanted) as answer:
            await self.say(topic, payload)
            return await answer

    @contextmanager
    def _asking(self, wanted: Callable[[str, bytes], bool]) -> Iterator[asyncio.Future[bytes]]:
        question = _Question(wanted, asyncio.get_running_loop().create_future())
        self._questions.append(question)
        try:
            yield question.answer
        finally:
            self._questions.remove(question)
            question.answer.cancel()

    def _reached(self) -> aiomqtt.Client:
        if self._client is None:
            raise Fault("the broker is gone")
        return self._client

    async def _listen(self, client: aiomqtt.Client) -> None:
        try:
            async for message in client.messages:
                topic, payload = str(message.topic), message.payload
                if topic in self._said or len(self._said) < TOPICS_MAX:
                    self._said[topic] = payload
                for question in self._questions:
                    if not question.answer.done() and question.wanted(topic, payload):
                        question.answer.set_result(payload)
        except aiomqtt.MqttError as error:
            self._client = None
            for question in self._questions:
                if not question.answer.done():
                    question.answer.set_exception(NoAnswer(f"the broker is gone ({error})"))
