"""Passwords: argon2id, a few at a time, and as much work for an account that does not exist."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from latchwork.server.actions.breaches import stood_in
from latchwork.server.actions.common_passwords import is_common
from latchwork.server.actions.office import Declined
from latchwork.ui.words import Sentence

CHARACTERS_MIN = 12
CHARACTERS_MAX = 128
DIFFERENT_MIN = 6
_PLAIN = ("latchwork", "password", "passwort", "1234567", "abcdefg", "qwertyu", "qwertzu")

log = logging.getLogger(__name__)

_hasher = PasswordHasher()
_workers = ThreadPoolExecutor(2, "argon2")
"""Each hash takes 64 MiB for a moment: strangers may not fill the memory."""


async def check(breached: Path | None, password: str, *words: str) -> None:
    """Declines one that is easily guessed. `words`: what everybody knows of the person, such as the address.
    `breached`: see `breaches`. Where it cannot be read every password is declined."""
    small = password.lower()
    known = [part for word in words for part in word.lower().split("@") if len(part) >= 4]
    if not CHARACTERS_MIN <= len(password) <= CHARACTERS_MAX:
        why = Sentence("Use {least} to {most} characters. A few unrelated words make a good password.")
    elif len(set(small)) < DIFFERENT_MIN:
        why = Sentence("Use at least {different} different characters. A few unrelated words make a good password.")
    elif any(word in small for word in (*_PLAIN, *known)) or is_common(small, *known):
        why = Sentence(
            "Leave out your name, your address and words that everybody tries first. "
            "A few unrelated words make a good password."
        )
    elif breached is not None and await _stood_in(breached, password):
        why = Sentence("This password stood in a breach, so others try it. A few unrelated words make a good password.")
    else:
        return
    numbers = {"least": CHARACTERS_MIN, "most": CHARACTERS_MAX, "different": DIFFERENT_MIN}
    raise Declined(422, "weak_password", why, **numbers)


async def _stood_in(breached: Path, password: str) -> bool:
    try:
        return await asyncio.get_running_loop().run_in_executor(_workers, stood_in, breached, password)
    except OSError as error:
        log.error("the list of breached passwords cannot be read, so no new password is taken: %s", error)
        why = Sentence(
            "No new password can be checked for the moment. Try again later, and tell whoever runs this server."
        )
        raise Declined(503, "unavailable", why) from error


async def hashed(password: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(_workers, _hasher.hash, password)


async def fits(stored: str | None, password: str) -> bool:
    """Takes as long for `None`, where nothing fits."""
    return await asyncio.get_running_loop().run_in_executor(_workers, _fits, stored, password[: CHARACTERS_MAX + 1])


def _fits(stored: str | None, password: str) -> bool:
    try:
        return _hasher.verify(stored or _nobodys(), password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys() -> str:
    return _hasher.hash("of nobody")
