"""What all tests of the server share."""

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from latchwork.server.actions import passwords


@pytest.fixture(scope="session", autouse=True)
def real_hasher() -> Iterator[PasswordHasher]:
    """How passwords are kept. In tests it is done cheaply: the real price buys only that guessing is dear."""
    real = passwords._hasher
    passwords._hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    yield real
    passwords._hasher = real
