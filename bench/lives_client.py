"""Fake banks, and whoever announces their parcels: a process that spends as little as it can.

    python -m bench.lives_client < orders

The first line of its input says what to be, as JSON; the second, when to count, by the clock that all processes of a
machine share. It prints `ready` between the two, and at the end what it counted. Real bytes on real sockets: the
handshake, the signed hello and the Merkle roots are true, what stands in the entries is a life that never was.
"""

import asyncio
import json
import sys
import time
from base64 import b64encode
from collections.abc import Callable
from random import randrange
from secrets import token_bytes, token_hex
from typing import Any

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench import life
from latchwork.domain import entries as e
from latchwork.domain.words import BankId
from latchwork.sync.codec import encode_entry
from latchwork.sync.custody import Frontier
from latchwork.sync.exchange import BankEnd, Challenge, Down, Hello, Message, Order, pack, unpack
from latchwork.sync.keys import hello_text

_BINARY, _PING, _CLOSE = 2, 9, 8


class Wire(asyncio.Protocol):
    """One connection; `cut` takes the first whole message off what has arrived, or None."""

    def __init__(self, cut: Callable[["Wire", bytes], tuple[bytes | None, int]]) -> None:
        self._cut = cut
        self._buffer = b""
        self._here: list[bytes] = []
        self._waiting: asyncio.Future[bytes] | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # of uvloop, which asyncio's classes do not know

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._buffer:
            message, used = self._cut(self, self._buffer)
            if not used:
                return
            self._buffer = self._buffer[used:]
            if message is None:
                continue
            if self._waiting is not None and not self._waiting.done():
                self._waiting.set_result(message)
                self._waiting = None
            else:
                self._here.append(message)

    def connection_lost(self, error: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionError(f"the server hung up: {error}"))

    async def next(self) -> bytes:
        if self._here:
            return self._here.pop(0)
        self._waiting = asyncio.get_running_loop().create_future()
        return await self._waiting


def _cut_http(wire: Wire, data: bytes) -> tuple[bytes | None, int]:
    """An answer with a Content-Length, as ours have; of it, status and body."""
    head, gap, body = data.partition(b"\r\n\r\n")
    if not gap:
        return None, 0
    lower = head.lower()
    if lower.startswith(b"http/1.1 101"):
        wire._cut = _cut_frame
        return head, len(head) + 4
    at = lower.index(b"content-length:") + 15
    length = int(lower[at : lower.find(b"\r\n", at) if b"\r\n" in lower[at:] else len(lower)])
    if len(body) < length:
        return None, 0
    return head[9:12] + body[:length], len(head) + 4 + length


def _cut_frame(wire: Wire, data: bytes) -> tuple[bytes | None, int]:
    """A whole frame of a WebSocket; the server's are not masked."""
    if len(data) < 2:
        return None, 0
    length, at = data[1] & 0x7F, 2
    if length == 126:
        if len(data) < 4:
            return None, 0
        length, at = int.from_bytes(data[2:4]), 4
    elif length == 127:
        if len(data) < 10:
            return None, 0
        length, at = int.from_bytes(data[2:10]), 10
    if len(data) < at + length:
        return None, 0
    payload, kind = data[at : at + length], data[0] & 0x0F
    if kind == _PING:
        wire.transport.write(_frame(payload, 10))
        return None, at + length
    if kind == _CLOSE:
        raise ConnectionError(f"the server closed: {payload[:60]!r}")
    return payload, at + length


def _frame(payload: bytes, kind: int = _BINARY) -> bytes:
    """Masked, as a client must, by the mask that changes nothing."""
    length = len(payload)
    if length < 126:
        size = bytes((0x80 | length,))
    elif length < 65_536:
        size = b"\xfe" + length.to_bytes(2)
    else:
        size = b"\xff" + length.to_bytes(8)
    return bytes((0x80 | kind,)) + size + b"\0\0\0\0" + payload


class FakeBank:
    def __init__(self, given: dict[str, Any], bank: dict[str, str]) -> None:
        self.id = BankId(bank["id"])
        self.lives = 0
        self.took_s: list[float] = []
        self._given = given
        self._key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(bank["key"]))
        self._steps = life.encoded(self.id, given["party"], given["person"])
        self._log = life.beginning(self.id)
        self._frontier = Frontier()
        for raw in self._log:
            self._frontier, _ = self._frontier.append(raw)
        self._documents: dict[str, int] = {}
        self._end: BankEnd
        self._ws: Wire
        self._http: Wire
        self._orders: list[Order] = []
        self._answered = 0

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        host, port = self._given["host"], self._given["port"]
        _, self._http = await loop.create_connection(lambda: Wire(_cut_http), host, port)
        _, self._ws = await loop.create_connection(lambda: Wire(_cut_http), host, port)
        key = b64encode(token_bytes(16)).decode()
        self._ws.transport.write(
            f"GET /bank HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert b" 101 " in await self._ws.next()
        challenge = unpack(await self._ws.next())
        assert isinstance(challenge, Challenge)
        public = self._key.public_key().public_bytes_raw()
        signed = self._key.sign(hello_text(self.id, challenge.nonce))
        size, root = len(self._log), self._frontier.root()
        self._say(Hello(self.id, public, signed, 1, size, root, 0, {}, token_hex(16), "bench"))
        welcome = await self._down()
        self._end = BankEnd.welcomed(welcome)
        self._take(welcome)
        await self._up(self._log)
        while self._orders:  # the policy, which a fake bank just says it took
            await self._answer()

    async def _answer(self) -> None:
        order = self._orders.pop(0)
        body = e.Answered(order.number, order.id, "0" * 64)
        await self._send([encode_entry(e.Entry(self.id, 1, self._frontier.size, life.AT, body))])

    async def live(self) -> None:
        """One parcel, from its announcement to its collection."""
        began = time.monotonic()
        label = token_hex(8)
        body = json.dumps(
            {
                "bank": self.id,
                "service": life.SERVICE,
                "recipient": self._given["person"],
                "party": self._given["party"],
                "tracking": label,
                "size": {
                    "width_mm": life.SIZE.width_mm,
                    "height_mm": life.SIZE.height_mm,
                    "depth_mm": life.SIZE.depth_mm,
                },
            }
        ).encode()
        self._http.transport.write(
            b'POST /api/v1/stays HTTP/1.1\r\nHost: %b\r\nAuthorization: Bearer %b\r\nIdempotency-Key: "%b"\r\n'
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (self._given["host"].encode(), self._given["token"].encode(), label.encode(), len(body), body)
        )
        answer = await self._http.next()
        assert answer.startswith(b"201"), answer[:300]
        stay = json.loads(answer[3:])["id"]
        while not self._orders:
            self._take(await self._down())
        order = self._orders.pop(0)
        ids = {name.encode(): token_hex(16).encode() for name in life.NAMES}
        ids |= {
            b"stay": stay.encode(),
            b"label": label.encode() * 2,
            b"instruction": order.id.encode(),
            b"number": str(order.number).encode(),
            b"hash": b"0" * 64,
            b"door": life.door(randrange(life.COMPARTMENTS)).encode(),
        }
        for step in self._steps:
            await self._send(step.entries(self._frontier.size, ids))
        self.lives += 1
        self.took_s.append(time.monotonic() - began)

    async def _send(self, entries: list[bytes]) -> None:
        for raw in entries:
            self._frontier, _ = self._frontier.append(raw)
        await self._up(entries)

    async def _up(self, entries: list[bytes]) -> None:
        """Returns when the server has said that it has them."""
        self._say(self._end.up(self._end.server_size, entries, self._frontier.root(), self._documents))
        while self._end.server_size < self._frontier.size:
            self._take(await self._down())

    def _take(self, down: Down) -> None:
        self._end.hear(down)
        self._orders += down.orders
        self._documents = {**self._documents, **{d.name: d.version for d in down.documents}}

    def _say(self, message: Message) -> None:
        self._ws.transport.write(_frame(pack(message)))

    async def _down(self) -> Down:
        message = unpack(await self._ws.next())
        assert isinstance(message, Down), message
        return message

    @property
    def log_size(self) -> int:
        return self._frontier.size


async def _work() -> None:
    loop = asyncio.get_running_loop()
    given = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    banks = [FakeBank(given, bank) for bank in given["banks"]]
    for bank in banks:
        await bank.open()
    print("ready", flush=True)
    said = (await loop.run_in_executor(None, sys.stdin.readline)).split()
    count_from, until = float(said[0]), float(said[1])
    counted = 0

    async def busy(bank: FakeBank) -> None:
        nonlocal counted
        while time.monotonic() < until:
            await bank.live()
            counted += count_from <= time.monotonic() < until

    await asyncio.gather(*(busy(bank) for bank in banks))
    took = sorted(t for bank in banks for t in bank.took_s)
    found = {
        "counted": counted,
        "lives": sum(bank.lives for bank in banks),
        "cpu_s": time.process_time(),
        "p50_ms": took[len(took) // 2] * 1000,
        "sizes": {bank.id: bank.log_size for bank in banks},
    }
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work())
