"""Guessing is slowed, never locked out: each count has a few free tries, then a delay that doubles up to a limit.

A guess is counted before it is looked at, so that many at once gain nothing. A browser that has signed in to an account
before counts by itself: strangers can delay each other, not the account's owner. The keys are keyed hashes.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address, ip_network

from latchwork.server.actions.office import Declined, Office

FORGOTTEN = timedelta(days=1)
"""A count without a new guess for so long begins anew."""


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Counted:
    """What guesses are counted by. `shared` by many people: a right answer of one takes back only its own count."""

    key: str
    free: int
    delay_seconds_max: int
    shared: bool = False


def by(office: Office, what: str, value: str, *, free: int = 5, delay_seconds_max: int = 900) -> Counted:
    return Counted(office.vault.seal("guess", f"{what} {value}")[:32], free, delay_seconds_max)


def by_range(office: Office, caller: str) -> Counted:
    """A house or a campus may sit behind one address: many free tries, and shorter delays."""
    try:
        address = ip_address(caller)
        near = str(ip_network(f"{address}/{24 if address.version == 4 else 56}", strict=False))
    except ValueError:
        near = "unknown"
    return Counted(office.vault.seal("guess", f"range {near}")[:32], 50, 300, shared=True)


async def count(office: Office, counted: Sequence[Counted]) -> None:
    """Declines with 429 where a guess has to wait."""
    now, tables = office.now(), office.house().tables
    for each in counted:
        going = await tables.do("guess", each.key, now, each.free, each.delay_seconds_max, now - FORGOTTEN)
        if not going:
            free_at = await tables.value("guess_free_at", each.key) or now
            log.info("guesses have to wait: %s of %s", each.key[:8], "many" if each.shared else "one")
            wait_s = max(1, int((free_at - now).total_seconds()) + 1)
            if wait_s < 120:
                sentence, n = "Too many wrong tries. Wait {n} seconds, then try again.", wait_s
            else:
                sentence, n = "Too many wrong tries. Wait {n} minutes, then try again.", wait_s // 60 + 1
            raise Declined(429, "slow_down", sentence, wait_s, n=n)


async def right(office: Office, counted: Sequence[Counted]) -> None:
    for each in counted:
        await office.house().tables.do("guess_was_not_one" if each.shared else "guess_was_right", each.key)
