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


def read(office: Office, purpose: str, cookie: str) -> str:
    """What it is about. Declines one that is not ours, or too old."""
    text, _, seal = cookie[:1000].rpartition(".")
    if cookie.isascii() and hmac.compare_digest(office.vault.seal(f"ceremony {purpose}", text), seal):
        _nonce, until, about = text.split(".")
        if int(until) > office.now().timestamp():
            return about
    raise _too_late()


async def finish(office: Office, purpose: str, cookie: str) -> str:
    """As `read`, once."""
    about = read(office, purpose, cookie)
    spent = office.vault.seal("ceremony spent", cookie)[:32]
    if not await office.house().tables.do("spend_ceremony", spent, office.now() + LIFE):
        raise _too_late()
    return about


def _too_late() -> Declined:
    return Declined(403, "too_late", "That took too long, or was answered already. Try again.")
