"""One device's HTTP: a fresh connection for each request, so that nothing is sent twice, late, or into a dead one."""

import socket
import struct
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx

from latchwork.edge.drivers.device.driver import REPLY_S, NoAnswer
from latchwork.edge.drivers.protocol import Fault

UNDELIVERED_MS = 1_500
"""How long TCP may hold what the device has not confirmed. Longer, and an unlock could fire on somebody else."""
SOCKET_OPTIONS: list[tuple[int, int, Any]] = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    # Closing forgets what was not sent.
    (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)),
]
if hasattr(socket, "TCP_USER_TIMEOUT"):
    SOCKET_OPTIONS.append((socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNDELIVERED_MS))
# Before anything was sent.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class AsAsked(httpx.DigestAuth):
    """Digest or basic: which of the two a device wants depends on its maker and its chip."""

    def __init__(self, user: str, password: str) -> None:
        super().__init__(user, password)
        self._basic = httpx.BasicAuth(user, password)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        digest = super().auth_flow(request)
        answer = yield next(digest)
        if answer.status_code == httpx.codes.UNAUTHORIZED and _wants_basic(answer):
            yield from self._basic.auth_flow(request)
            return
        with suppress(StopIteration):
            yield digest.send(answer)


class Web:
    """`url` is `http://host[:port]` or https. Everything raises Fault, and NoAnswer if the device may have heard."""

    def __init__(self, url: str, user: str = "", password: str = "") -> None:
        self._url = url
        self._auth = AsAsked(user, password) if password else None
        self._client: httpx.AsyncClient | None = None

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        limits = httpx.Limits(max_keepalive_connections=0)
        transport = httpx.AsyncHTTPTransport(socket_options=SOCKET_OPTIONS, limits=limits, trust_env=False)
        async with httpx.AsyncClient(
            base_url=self._url, auth=self._auth, transport=transport, timeout=REPLY_S, trust_env=False
        ) as self._client:
            yield

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> object:
        return await self._ask("GET", path, query=query)

    async def post(self, path: str, body: object = None) -> object:
        return await self._ask("POST", path, body=body)

    async def _ask(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: object = None
    ) -> object:
        """The JSON of the answer; None if it has none."""
        assert self._client is not None, "ask only while connected"
        try:
            answer = await self._client.request(method, path, params=query, json=body)
        except _UNSENT as error:
            raise Fault(f"cannot reach it ({error or type(error).__name__})") from error
        except (httpx.RequestError, KeyError) as error:  # a KeyError is a kind of digest that httpx does not know
            raise NoAnswer(f"no answer ({error or type(error).__name__})") from error
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise Fault("it wants another name or password")
        if not answer.is_success:
            raise Fault(f"it answers {answer.status_code} to {path}")
        try:
            return answer.json() if answer.content else None
        except ValueError:
            raise NoAnswer(f"its answer to {path} is no JSON") from None


def is_web(port: str) -> bool:
    """Whether `port` names a device by its HTTP address. Raises ValueError if that is no address of a device."""
    url = urlsplit(port)
    if url.scheme not in ("http", "https"):
        return False
    if url.hostname is None or url.path.strip("/") or url.query or url.username is not None:
        raise ValueError(f"{port} should be http://host or http://host:port")
    return True


def _wants_basic(answer: httpx.Response) -> bool:
    return any(way.lower().startswith("basic") for way in answer.headers.get_list("www-authenticate"))
