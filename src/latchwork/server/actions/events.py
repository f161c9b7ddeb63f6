"""What happened to an account, for whoever it belongs to: sign-ins, vain tries, and changes of how one signs in.

A change is mailed too, so that whoever it was not hears of it.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from latchwork.server.actions import links, sessions
from latchwork.server.actions.accounts import Account
from latchwork.server.actions.office import Office
from latchwork.server.actions.sessions import Session

KEPT = timedelta(days=180)
UNKNOWN_KEPT = timedelta(days=2)
"""Tries at addresses that nobody has."""
SHOWN_MAX = 50

log = logging.getLogger(__name__)


class What(StrEnum):
    """As it is shown."""

    SIGNED_IN = "signed in"
    WRONG_PASSWORD = "wrong password"
    WRONG_CODE = "wrong code as the second factor"
    WRONG_PASSKEY = "wrong passkey as the second factor"
    PASSWORD = "password changed"
    NO_PASSWORD = "password removed"
    APP = "authenticator app taken into use"
    CODES = "new recovery codes made"
    PASSKEY = "passkey added"
    PASSKEY_REMOVED = "passkey removed"
    BEGAN_ANEW = "password and factors set anew with the help of an owner"
    CONNECTED = "single sign-on connected"


@dataclass(frozen=True, slots=True)
class Event:
    at: datetime
    what: str
    how: str
    device: str


async def note(office: Office, account: Account, what: What, device: str, how: str = "") -> None:
    log.info("account %s: %s", account.id, what)
    row = (office.new_id(), account.organisation, account.id, office.now(), what, how, sessions.described(device))
    await office.tables.do("note_event", *row)


async def changed(office: Office, account: Account, what: What, device: str, how: str = "") -> None:
    """Noted, and mailed to the account's own address."""
    await note(office, account, what, device, how)
    await links.tell(office, account.organisation, account.id, what)


async def wrong_password(office: Office, email: str, device: str) -> None:
    """The same work whether there is such an account or not."""
    row = (office.new_id(), email.strip().lower()[:254], office.now(), What.WRONG_PASSWORD, sessions.described(device))
    await office.tables.do("note_wrong_password", *row)


async def of(office: Office, session: Session) -> list[Event]:
    """The latest first."""
    return await office.tables.all(Event, "events", session.account, SHOWN_MAX)


async def sweep(office: Office) -> None:
    now = office.now()
    await office.tables.do("sweep_events", now - KEPT, now - UNKNOWN_KEPT)
