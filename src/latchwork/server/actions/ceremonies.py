"""Signing in that takes a question and an answer: the question is a cookie, sealed by us, and good for one answer.

Nothing is stored before somebody answers: whoever only looks at pages writes no rows. Challenge, state, nonce and the
like are drawn from the cookie, whose random part nobody else knows.
"""

import hmac
from datetime import timedelta

from latchwork.server.actions.office import Declined, Office

LIFE = timedelta(minutes=10)


def begin(office: Office, purpose: str, about: str = "") -> str:
    """The cookie. `about` is told back by `finish`; it has no dots."""
    until = int((office.now() + LIFE).timestamp())
    text = f"{office.draw(16).hex()}.{until}.{about}"
    return f"{text}.{office.vault.seal(f'ceremony {purpose}', text)}"


def drawn(office: Office, what: str, cookie: str) -> bytes:
    """32 bytes that only this browser and we can tell."""
    return bytes.fromhex(office.vault.seal(f"ceremony draws {what}", cookie))


async def finish(office: Office, purpose: str, cookie: str) -> str:
    """What it was about. Declines one that is not ours, too old, or used already."""
    text, _, seal = cookie[:1000].rpartition(".")
    good = cookie.isascii() and hmac.compare_digest(office.vault.seal(f"ceremony {purpose}", text), seal)
    if good:
        nonce, until, about = text.split(".")
        if int(until) > office.now().timestamp():
            spent = office.vault.seal("ceremony spent", nonce)[:32]
            if await office.house().tables.do("spend_ceremony", spent, office.now() + LIFE):
                return about
    raise Declined(403, "too_late", "That took too long, or was answered already. Try again.")
