"""The public interfaces as a script uses them: the server's API, a kiosk, a board's hands, the mail catcher. HTTP only.

Nothing here knows what is behind an interface; it says what it saw instead when something does not come.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import httpx

PATIENCE_S = 60.0
LOOK_S = 0.1
SPRING_S = 0.25
"""After so long a door that was pushed too early has sprung open again."""

T = TypeVar("T")


class Refused(Exception):
    """An interface said no, or nothing."""


class Unseen(Exception):
    """What had to come did not come in time."""


async def seen(what: str, look: Callable[[], Awaitable[T | None]], patience_s: float = PATIENCE_S) -> T:
    """The first answer of `look` that is not None. Raises Unseen."""
    until = time.monotonic() + patience_s
    while (found := await look()) is None:
        if time.monotonic() > until:
            raise Unseen(f"{what}: not seen within {patience_s:.0f} s")
        await asyncio.sleep(LOOK_S)
    return found


class Api:
    """The server's API with one token."""

    def __init__(self, server: str, token: str = "") -> None:
        self.token = token
        self._http = httpx.AsyncClient(base_url=f"{server}/api/v1/", timeout=PATIENCE_S)

    async def get(self, path: str, **query: Any) -> Any:
        return await self._ask("GET", path, params=query)

    async def post(self, path: str, headers: Mapping[str, str] | None = None, **body: Any) -> Any:
        return await self._ask("POST", path, headers, json=body)

    async def put(self, path: str, **body: Any) -> Any:
        return await self._ask("PUT", path, json=body)

    async def delete(self, path: str) -> Any:
        return await self._ask("DELETE", path)

    async def file(self, path: str) -> bytes:
        """To be kept as it came."""
        answer = await self._answer("GET", path)
        _read(f"GET {path}", answer)
        return answer.content

    async def _ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, **more: Any) -> Any:
        return _read(f"{method} {path}", await self._answer(method, path, headers, **more))

    async def _answer(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        try:
            return await self._http.request(method, path, headers=bearer, **more)
        except httpx.HTTPError as error:
            raise Refused(f"{method} {path}: {error or type(error).__name__}") from None

    async def close(self) -> None:
        await self._http.aclose()


class Kiosk:
    """One person in front of a kiosk's screen; every visit has a cookie of its own."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=PATIENCE_S)
        self.now: dict[str, Any] = {}
        """The screen as last seen."""

    async def __aenter__(self) -> "Kiosk":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def press(self, do: str, **more: Any) -> str:
        """The name of the screen that follows."""
        answer = await self._http.post("/act", json={"do": do, **more})
        self.now = _read(f"press {do}", answer)
        return str(self.now["screen"])

    async def shows(self, *screens: str, patience_s: float = PATIENCE_S) -> str:
        """Waits for one of these screens. Raises Unseen with what is there instead."""

        async def look() -> str | None:
            self.now = _read("the screen", await self._http.get("/screen"))
            return str(self.now["screen"]) if self.now["screen"] in screens else None

        if self.now.get("screen") in screens:
            return str(self.now["screen"])
        try:
            return await seen("", look, patience_s)
        except Unseen:
            refusal = self.now.get("refusal")
            said = f" and says {refusal}" if refusal else ""
            raise Unseen(f"the kiosk shows {self.now['screen']!r}{said}, not {' or '.join(screens)}") from None

    @property
    def door(self) -> str:
        return str(self.now["values"]["door"])

    @property
    def refusal(self) -> str | None:
        refusal = self.now.get("refusal")
        return str(refusal["reason"]) if refusal else None


class Hands:
    """What people do to the doors of one wall."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=PATIENCE_S)

    async def do(self, channel: int, *actions: str) -> None:
        for action in actions:
            _read(f"{action} at channel {channel}", await self._http.post(f"/doors/{channel}/{action}"))

    async def shut(self, channel: int) -> None:
        """Push until it stays shut: while the coil has power, the spring wins. Raises Unseen."""

        async def push() -> bool | None:
            await self._http.post(f"/doors/{channel}/close")
            await asyncio.sleep(SPRING_S)
            doors = await self.doors()
            return next(True if door["door"] == "closed" else None for door in doors if door["channel"] == channel)

        await seen(f"channel {channel} shut", push)

    async def doors(self) -> list[dict[str, Any]]:
        return list(_read("the doors", await self._http.get("/doors")))

    async def close(self) -> None:
        await self._http.aclose()


class Mailbox:
    """Everybody's mail."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=PATIENCE_S)

    async def mails(self, to: str | None = None) -> list[dict[str, Any]]:
        return list(_read("the mails", await self._http.get("/mails", params={"to": to} if to else {})))

    async def picture(self, mail: dict[str, Any]) -> bytes:
        """The picture in a mail, as PNG."""
        answer = await self._http.get(f"/mails/{mail['id']}/picture")
        if not answer.is_success:
            raise Unseen(f"no picture in the mail {mail['subject']!r}")
        return answer.content

    async def close(self) -> None:
        await self._http.aclose()


def _read(what: str, answer: httpx.Response) -> Any:
    try:
        said = answer.json() if answer.content else None
    except ValueError:
        said = answer.text[:200]
    if answer.is_success:
        return said
    detail = said.get("detail") if isinstance(said, dict) else said
    raise Refused(f"{what}: HTTP {answer.status_code}, {detail}")
