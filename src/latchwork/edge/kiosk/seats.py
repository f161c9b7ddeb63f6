"""Everybody who has the kiosk's pages open: the touch screen, a courier's phone. Knows who has been idle for how long.

Nobody is hurried: a warning comes first, and one touch starts the time anew. Nobody is signed out in front of an open
door before `DOOR_OPEN_MAX_S`, because somebody may be carrying.
"""

import asyncio
import logging
import re
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from latchwork.domain.commands import SignOut
from latchwork.domain.words import Reason, SessionId
from latchwork.edge.kiosk.acts import session_of, tend
from latchwork.edge.kiosk.desk import Desk
from latchwork.edge.kiosk.turn import Turn, door_under_way

WARN_AFTER_S = 45.0
LEAVE_AFTER_S = 75.0
DOOR_OPEN_MAX_S = 180.0
WARNING_S = LEAVE_AFTER_S - WARN_AFTER_S

SEATS_MAX = 500
FORGET_AFTER_S = 900.0

_KEY = re.compile(r"[A-Za-z0-9_-]{32}")

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Seat:
    """One browser. Its key is its cookie, renewed whenever somebody signs in."""

    key: str
    turn: Turn
    touched_s: float
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


def new_key() -> str:
    return secrets.token_urlsafe(24)


class Seats:
    def __init__(self, desk: Desk, language: str) -> None:
        self._desk = desk
        self._language = language
        self._seats: dict[str, Seat] = {}
        self._unseated: dict[SessionId, float] = {}
        """Sessions that survived a restart, and since when nobody has claimed them."""

    def knows(self, key: str) -> bool:
        return key in self._seats or session_of(key) in self._desk.bank.sessions

    def find(self, key: str | None, now_s: float) -> Seat:
        """The seat of this cookie; a new one where there is none. A session that outlived a restart is found again."""
        if key is not None and (seat := self._seats.get(key)) is not None:
            return seat
        turn = Turn(language=self._language, house_language=self._language)
        if key is not None and _KEY.fullmatch(key) and session_of(key) in self.unclaimed():
            seat = Seat(key, replace(turn, session=session_of(key)), now_s)
        else:
            seat = Seat(new_key(), turn, now_s)
        self._make_room(now_s)
        self._seats[seat.key] = seat
        return seat

    def unclaimed(self) -> set[SessionId]:
        """Sessions that survived a restart, and that nobody has come back to yet."""
        return set(self._desk.bank.sessions) - {seat.turn.session for seat in self._seats.values() if seat.turn.session}

    def renew(self, seat: Seat, key: str) -> None:
        self._seats.pop(seat.key, None)
        seat.key = key
        self._seats[key] = seat

    async def tend(self, now: datetime, now_s: float) -> None:
        """Call at least once a second: ends what has ended, warns who seems gone, signs out who is."""
        for seat in list(self._seats.values()):
            if seat.lock.locked():  # busy with a press: certainly not idle
                continue
            async with seat.lock:
                seat.turn = await tend(self._desk, await self._warned(seat, now, now_s), now)
        await self._tend_unseated(now_s)

    async def _warned(self, seat: Seat, now: datetime, now_s: float) -> Turn:
        session, idle_s = seat.turn.session, now_s - seat.touched_s
        if session is None or session not in self._desk.bank.sessions:
            return seat.turn
        longer_s = DOOR_OPEN_MAX_S - LEAVE_AFTER_S if door_under_way(self._desk.bank, session) else 0.0
        if idle_s >= LEAVE_AFTER_S + longer_s:
            await self._desk.do(SignOut(session, Reason.TIMED_OUT))
            return seat.turn
        if idle_s >= WARN_AFTER_S + longer_s:
            left = timedelta(seconds=LEAVE_AFTER_S + longer_s - idle_s)
            return replace(seat.turn, warn_until=seat.turn.warn_until or now + left)
        return replace(seat.turn, warn_until=None)

    async def _tend_unseated(self, now_s: float) -> None:
        self._unseated = {s: self._unseated.get(s, now_s) for s in self.unclaimed()}
        for session, since_s in list(self._unseated.items()):
            if now_s - since_s >= DOOR_OPEN_MAX_S:  # the screen starts later than the wall
                await self._desk.do(SignOut(session, Reason.TIMED_OUT))

    def _make_room(self, now_s: float) -> None:
        """Visitors without a cookie cost memory; those who came and went are forgotten, the longest gone first."""
        if len(self._seats) < SEATS_MAX:
            return
        idle = sorted((s for s in self._seats.values() if s.turn.session is None), key=lambda s: s.touched_s)
        old = [s for s in idle if now_s - s.touched_s > FORGET_AFTER_S]
        for seat in old or idle[: SEATS_MAX // 10]:
            del self._seats[seat.key]
