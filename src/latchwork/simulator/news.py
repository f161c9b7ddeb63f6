"""What happens on a stage, as lines for people: doors that move, parcels that change, mails, banks that lose touch.

It watches through the public interfaces and the processes' logs, and says nothing twice.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import httpx

from latchwork.simulator.clients import Mailbox, Refused
from latchwork.simulator.scenery import CAMPUS, LOBBY, DemoWall

if TYPE_CHECKING:
    from latchwork.simulator.stage import Stage

LOOK_S = 1.0
STAYS_MAX = 100
_LOG_LINE = re.compile(r"^\S+ \S+ latchwork\.edge\S* (?P<text>.*)$")


class News:
    def __init__(self, out: TextIO) -> None:
        self._out = out

    def say(self, line: str) -> None:
        with suppress(OSError, ValueError):  # whoever read this has gone: no reason to stop working
            print(f"{datetime.now(UTC).astimezone():%H:%M:%S}  {line}", file=self._out, flush=True)

    async def watch(self, stage: "Stage") -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._parcels(stage))
            group.create_task(self._mails(stage))
            for wall in (LOBBY, CAMPUS):
                group.create_task(self._doors(stage.ports.url(f"{wall.key}-board"), wall))
                group.create_task(self._log(stage.children[wall.key].part.log, wall))

    async def _parcels(self, stage: "Stage") -> None:
        known: dict[str, str] | None = None
        while True:
            with suppress(Refused):  # the server is away, which is told elsewhere
                found = await stage.api.get("stays", limit=STAYS_MAX)
                if known is not None:
                    for stay in reversed(found):
                        if known.get(stay["id"]) != stay["state"]:
                            self.say(_of_parcel(stay))
                known = {**(known or {}), **{stay["id"]: stay["state"] for stay in found}}
            await asyncio.sleep(LOOK_S)

    async def _mails(self, stage: "Stage") -> None:
        mailbox = Mailbox(stage.ports.url("mail"))
        known: set[str] | None = None
        while True:
            with suppress(Refused, httpx.HTTPError):
                mails = await mailbox.mails()
                if known is not None:
                    for mail in reversed([mail for mail in mails if mail["id"] not in known]):
                        self.say(f"mail to {mail['to']}: {mail['subject']}")
                known = {mail["id"] for mail in mails}
            await asyncio.sleep(LOOK_S)

    async def _doors(self, board: str, wall: DemoWall) -> None:
        before: dict[int, dict[str, Any]] | None = None
        while True:
            with suppress(httpx.HTTPError):
                async with (
                    httpx.AsyncClient(timeout=httpx.Timeout(5, read=None)) as client,
                    client.stream("GET", f"{board}/events") as stream,
                ):
                    async for line in stream.aiter_lines():
                        if not line.startswith("data:"):
                            continue
                        doors = {door["channel"]: door for door in json.loads(line[5:])["doors"]}
                        for text in _moves(wall, before, doors):
                            self.say(text)
                        before = doors
            await asyncio.sleep(LOOK_S)

    async def _log(self, path: Path, wall: DemoWall) -> None:
        _, at = _new_lines(path, 0)
        while True:
            await asyncio.sleep(LOOK_S)
            lines, at = _new_lines(path, at)
            for line in lines:
                if found := _LOG_LINE.match(line):
                    self.say(f"{wall.name} bank: {found['text']}")


def _of_parcel(stay: dict[str, Any]) -> str:
    what = f"{stay['service']} {stay['tracking'] or 'without a label'}"
    who = f" for {stay['recipient_name']}" if stay["recipient_name"] else ""
    where = f", door {stay['compartment']}" if stay["compartment"] else ""
    why = f" ({stay['reason']})" if stay["reason"] else ""
    return f"{stay['bank_name']}: {what}{who} is {stay['state']}{why}{where}"


def _moves(wall: DemoWall, before: dict[int, dict[str, Any]] | None, doors: dict[int, dict[str, Any]]) -> Iterator[str]:
    for compartment in wall.compartments():
        old, new = (before or {}).get(compartment.channel), doors.get(compartment.channel)
        if old is None or new is None:
            continue
        name = f"{wall.name} door {compartment.id}"
        if old["door"] != new["door"]:
            yield f"{name} {'opens' if new['door'] == 'open' else 'is closed'}"
        if old["item"] != new["item"]:
            yield f"{name}: something {'is put in' if new['item'] else 'is taken out'}"
        if old["jammed"] != new["jammed"]:
            yield f"{name} {'is jammed' if new['jammed'] else 'is free again'}"


def _new_lines(path: Path, at: int) -> tuple[list[str], int]:
    """Whole lines after that position, and the position after them."""
    try:
        size = path.stat().st_size
        if size < at:  # it was rotated
            at = 0
        with path.open("rb") as file:
            file.seek(at)
            text = file.read()
    except OSError:
        return [], at
    end = text.rfind(b"\n") + 1
    return text[:end].decode(errors="replace").splitlines(), at + end
