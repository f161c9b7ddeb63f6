"""What the server does by and by, with nobody asking: every step is safe to repeat, and to do in several processes."""

import logging
from collections.abc import Awaitable, Callable

from latchwork.server.actions import (
    alarms,
    banks,
    changes,
    events,
    overflow,
    privacy,
    reminders,
    room,
    sessions,
    tasks,
    visits,
)
from latchwork.server.actions.office import Office, Unavailable

STEPS: tuple[Callable[[Office], Awaitable[None]], ...] = (
    overflow.overflow,
    changes.forward,
    room.offer,
    changes.hold_for_the_absent,
    tasks.find_wrong_flats,
    alarms.tell,
    reminders.tell_delegates,
    reminders.tell_opened,
    reminders.tell_redirected,
    sessions.sweep,
    privacy.forget,
    visits.sweep,
    events.sweep,
)

SELDOM: tuple[Callable[[Office], Awaitable[None]], ...] = (
    reminders.remind,
    privacy.erase_late_pictures,
    tasks.find_stranded,
    tasks.find_blocked,
    tasks.find_silent,
    banks.renew,
)
"""What looks at many rows, and is in no hurry."""

log = logging.getLogger(__name__)


async def step(office: Office, seldom: bool = True) -> None:
    """One that fails keeps no other from its work. Raises Unavailable."""
    for each in (*STEPS, *(SELDOM if seldom else ())):
        try:
            await each(office)
        except Unavailable:
            raise
        except Exception:
            log.exception("%s.%s failed", each.__module__, each.__name__)
