"""Simulated networked relays on HTTP, at the paths and with the passwords of the real ones."""

import asyncio
import hashlib
import re
import secrets
import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from litestar import Litestar, Request, Response, get, post
from litestar.exceptions import NotAuthorizedException, NotFoundException
from litestar.params import FromPath

from latchwork.simulator.boards.devices import Esphome, Refused, Shelly, Tasmota
from latchwork.simulator.boards.front import LiveWall

USER = "admin"
REALM = "simulated"

_Request = Request[Any, Any, Any]


@dataclass(slots=True)
class Site:
    """Where a device stands: its wall in time, its password, and whether it answers at all."""

    live: LiveWall
    password: str = ""
    basic: bool = False
    """It wants its password plain, not digested."""
    silent: set[int] = field(default_factory=set)
    """Not empty: it takes connections and requests, and says nothing."""

    async def listen(self) -> None:
        """Whatever is asked while it is silent, or has no power, is never heard."""
        if self.silent or not self.live.wall.answers(self.live.now()):
            await asyncio.Event().wait()

    async def admit(self, request: _Request) -> None:
        await self.listen()
        given = request.headers.get("authorization", "")
        if not self.password or (self._fits_plain(given) if self.basic else self._fits_digest(given, request.method)):
            return
        way = "Basic" if self.basic else f'Digest qop="auth", nonce="{secrets.token_hex(8)}", algorithm=SHA-256,'
        raise NotAuthorizedException(headers={"WWW-Authenticate": f'{way} realm="{REALM}"'})

    def _fits_plain(self, given: str) -> bool:
        return given == "Basic " + b64encode(f"{USER}:{self.password}".encode()).decode()

    def _fits_digest(self, given: str, method: str) -> bool:
        said = dict(re.findall(r'(\w+)="?([^",]+)"?', given))
        who, what = _sha256(USER, REALM, self.password), _sha256(method, said.get("uri", ""))
        return said.get("response") == _sha256(
            who, *(said.get(name, "") for name in ("nonce", "nc", "cnonce", "qop")), what
        )


def shelly_app(shelly: Shelly, site: Site) -> Litestar:
    @post("/rpc", status_code=200)
    async def call(request: _Request) -> dict[str, Any]:
        await site.admit(request)
        asked = await request.json()
        said: dict[str, Any] = {"id": asked.get("id"), "src": REALM}
        try:
            said["result"] = shelly.call(asked["method"], asked.get("params") or {}, site.live.now())
        except Refused as refused:
            said["error"] = {"code": refused.number, "message": str(refused)}
        site.live.heard()
        return said

    return Litestar([call], openapi_config=None, logging_config=None)


def tasmota_app(tasmota: Tasmota, site: Site) -> Litestar:
    @get("/cm")
    async def command(request: _Request) -> Response[dict[str, Any]]:
        await site.listen()
        said_by = request.query_params.get("user"), request.query_params.get("password")
        if site.password and said_by != (USER, site.password):
            return Response({"WARNING": "Need user=<username>&password=<password>"}, status_code=401)
        said = tasmota.command(request.query_params["cmnd"], site.live.now())
        site.live.heard()
        return Response(said)

    return Litestar([command], openapi_config=None, logging_config=None)


def esphome_app(esphome: Esphome, site: Site) -> Litestar:
    @get(["/switch/{name:str}", "/binary_sensor/{name:str}"])
    async def state(request: _Request, name: FromPath[str]) -> dict[str, Any]:
        await site.admit(request)
        kind = request.url.path.split("/")[1]
        is_on = known(kind, name)
        return {"id": f"{kind}/{name}", "value": is_on, "state": "ON" if is_on else "OFF"}

    @post("/switch/{name:str}/{action:str}", status_code=200)
    async def turn(request: _Request, name: FromPath[str], action: FromPath[str]) -> None:
        await site.admit(request)
        known("switch", name)
        if action not in ("turn_on", "turn_off"):
            raise NotFoundException
        esphome.turn(name, action == "turn_on", site.live.now())
        site.live.heard()

    def known(kind: str, name: str) -> bool:
        is_on = esphome.is_on(kind, name, site.live.now())
        if is_on is None:
            raise NotFoundException
        return is_on

    return Litestar([state, turn], openapi_config=None, logging_config=None)


class WebFront:
    """A device's web server on a TCP port, which a cut takes away and `open` brings back at the same place."""

    def __init__(self, app: Litestar, host: str = "127.0.0.1", port: int = 0) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def open(self) -> None:
        if self._server is not None:
            return
        listener = socket.create_server((self._host, self._port))
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._app, log_level="critical", lifespan="off", ws="none", timeout_graceful_shutdown=0, access_log=False
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))

    async def cut(self) -> None:
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        await self._serving
        self._server = self._serving = None


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: they are for whoever runs the device."""
        yield


def _sha256(*parts: str) -> str:
    return hashlib.sha256(":".join(parts).encode()).hexdigest()
