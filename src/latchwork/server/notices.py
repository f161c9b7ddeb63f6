"""Sends what people are to be told: claims due notices, asks what each says now, sends it, and notes what came of it.

Coroutines that await only ports passed to them: the simulator steps them in pretend time. A notice goes out at least
once; twice only where we die between the mail server's answer and our note of it (rule 11).
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from latchwork.store.outbox import DueNotice
from latchwork.store.rows import Unavailable

BATCH_MAX = 4
LEASE = timedelta(seconds=40)
"""A claimed notice comes due again after this, should we die with it. Longer than BATCH_MAX sendings may take."""
TRIES_MAX = 10
DELAY_FIRST = timedelta(seconds=5)
DELAY_MAX = timedelta(hours=2)
_ERROR_CHARACTERS_MAX = 300

M = TypeVar("M")
M_contra = TypeVar("M_contra", contravariant=True)

log = logging.getLogger(__name__)


class Outbox(Protocol):
    """Every call may raise Unavailable."""

    async def claim_notices(self, now: datetime, until: datetime, notices_max: int) -> Sequence[DueNotice]: ...
    async def notices_sent(self, ids: Iterable[str], now: datetime) -> None: ...
    async def notice_failed(self, notice: str, error: str, again_at: datetime, dead: bool) -> None: ...


class Mailer(Protocol[M_contra]):
    async def send(self, message: M_contra) -> None:
        """Raises Undelivered."""


class Undelivered(Exception):
    """The mail server did not take it. `for_good`: nor will it ever."""

    def __init__(self, why: str, *, for_good: bool = False) -> None:
        super().__init__(why)
        self.for_good = for_good


class NothingToSay(Exception):
    """The notice is no longer true, or there is nobody to tell; the message is one word for it."""


def delay(tries: int) -> timedelta:
    """How long to wait after so many tries: it doubles, up to two hours."""
    doubled: int = 2 ** min(max(tries - 1, 0), 20)
    return min(DELAY_FIRST * doubled, DELAY_MAX)


class Dispatcher(Generic[M]):
    """`write` renders a notice as it is true now, or raises NothingToSay; codes exist only from there to `mailer`."""

    def __init__(
        self,
        outbox: Outbox,
        write: Callable[[DueNotice], Awaitable[M]],
        mailer: Mailer[M],
        clock: Callable[[], datetime],
    ) -> None:
        self._outbox = outbox
        self._write = write
        self._mailer = mailer
        self._clock = clock
        self._unmarked: list[str] = []
        """Sent, while the database was too far away to be told."""

    async def step(self) -> int:
        """Handles what is due, at most a few; says how many. Raises Unavailable."""
        if self._unmarked:
            await self._outbox.notices_sent(self._unmarked, self._clock())
            self._unmarked.clear()
        began = self._clock()
        due = await self._outbox.claim_notices(began, began + LEASE, BATCH_MAX)
        for notice in due:
            if self._clock() - began > LEASE / 2:  # slow sendings: the rest come due again by themselves
                break
            await self._handle(notice)
        return len(due)

    async def _handle(self, notice: DueNotice) -> None:
        try:
            message = await self._write(notice)
            await self._mailer.send(message)
        except NothingToSay as why:
            await self._outbox.notice_failed(notice.id, str(why), self._clock(), True)
        except Undelivered as error:
            await self._put_off(notice, error, for_good=error.for_good)
        except Unavailable:
            raise
        except Exception as error:  # a mistake of ours, with this one: it must not hold up the others
            log.exception("notice %s (%s) cannot be written", notice.id, notice.kind)
            await self._put_off(notice, error)
        else:
            try:
                await self._outbox.notices_sent([notice.id], self._clock())
            except Unavailable:
                self._unmarked.append(notice.id)
                raise

    async def _put_off(self, notice: DueNotice, error: Exception, *, for_good: bool = False) -> None:
        dead = for_good or notice.tries >= TRIES_MAX
        again = self._clock() + delay(notice.tries)
        log.log(
            logging.ERROR if dead else logging.WARNING,
            "notice %s (%s) %s: %s",
            notice.id,
            notice.kind,
            "was given up" if dead else f"waits until {again:%H:%M:%S}",
            error,
        )
        await self._outbox.notice_failed(notice.id, str(error)[:_ERROR_CHARACTERS_MAX], again, dead)
