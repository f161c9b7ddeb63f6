"""Notices that no entry makes: reminders before the end, and the code for somebody whom a recipient sends."""

from datetime import timedelta

from latchwork.server.actions.office import Office

REMINDER = "reminder"
DELEGATED = "delegated"
OFFER = "offer"
OVERFLOW = "overflow"
REDIRECTED = "redirected"
OPENED = "opened"
"""By staff, at the wall or from afar."""
BATCH_MAX = 1_000
KEPT_DAYS = 30
"""So long the name and address of somebody whom a recipient sent are kept after their time."""
UNHEARD = timedelta(minutes=1)
"""So long a wall may take to answer before whom somebody sends gets a QR code alone."""


async def remind(office: Office) -> None:
    """Once for each of the service's hours before each end."""
    while await office.tables.do("remind", office.now(), BATCH_MAX):
        pass


async def tell_opened(office: Office) -> None:
    await office.tables.do("tell_opened", office.now())


async def tell_redirected(office: Office) -> None:
    await office.tables.do("tell_redirected", office.now())


async def tell_delegates(office: Office) -> None:
    now = office.now()
    await office.tables.do("tell_delegates", now)
    await office.tables.do("tell_unheard", now, now - UNHEARD)
    await office.tables.do("forget_delegates", now - timedelta(days=KEPT_DAYS))
