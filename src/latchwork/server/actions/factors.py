"""The second factor of an account with a password: an authenticator app (RFC 6238), and recovery codes beside it.

Secrets and codes are computed from the master secret and a number in the account's row: a stolen database shows none.
"""

import base64
import hmac
from datetime import datetime
from urllib.parse import quote

from latchwork.server.actions import guesses
from latchwork.server.actions.office import Declined, Office

STEP_SECONDS = 30
DIGITS = 6
RECOVERY_CODES = 10


def totp(secret: bytes, step: int) -> str:
    """RFC 6238 with SHA-1, which is what authenticator apps speak."""
    mac = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    start = mac[-1] & 15
    number = int.from_bytes(mac[start : start + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def step_of(at: datetime) -> int:
    return int(at.timestamp()) // STEP_SECONDS


def app_key(office: Office, account: str, n: int) -> str:
    """What is typed into an app that cannot read the QR code."""
    return base64.b32encode(office.vault.app_secret(account, n)).decode()


def app_address(office: Office, account: str, email: str, n: int) -> str:
    """What an app reads from the QR code."""
    return f"otpauth://totp/Latchwork:{quote(email)}?secret={app_key(office, account, n)}&issuer=Latchwork"


def matching_step(office: Office, account: str, n: int, code: str, at: datetime) -> int | None:
    """The step that a code is of: this one, or a neighbour for clocks that differ. `at`: when the app was set up."""
    secret, now = office.vault.app_secret(account, n, at), step_of(office.now())
    typed = "".join(code.split()).encode()
    return next(
        (step for step in (now, now - 1, now + 1) if hmac.compare_digest(totp(secret, step).encode(), typed)), None
    )


async def check_app(office: Office, account: str, n: int, code: str, at: datetime) -> bool:
    """A code works once."""
    step = matching_step(office, account, n, code, at)
    return step is not None and await office.tables.do("app_code_used", account, step)


async def check_recovery(office: Office, account: str, batch: int, code: str, at: datetime) -> bool:
    typed = code.strip().lower().encode()
    for n in range(RECOVERY_CODES):
        if hmac.compare_digest(office.vault.recovery_code(account, batch, n, at).encode(), typed):
            return await office.tables.do("recovery_code_used", account, batch, n)
    return False


async def new_recovery_codes(office: Office, account: str, now: datetime) -> list[str]:
    batch = await office.tables.value("set_recovery", account, now)
    return [office.vault.recovery_code(account, batch, n, now) for n in range(RECOVERY_CODES)]


async def step_of_new_app(office: Office, account: str, n: int, code: str, now: datetime) -> int:
    """Of the code by which an app shows that it has the secret. Declines with 422."""
    counted = [guesses.by(office, "new app", account)]
    await guesses.count(office, counted)
    step = matching_step(office, account, n, code, now)
    if step is None:
        raise Declined(422, "wrong_code", "That is not the code of this moment. Look at the clock of your phone.")
    await guesses.right(office, counted)
    return step
