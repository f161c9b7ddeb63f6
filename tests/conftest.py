"""What tests of several rooms share: one PostgreSQL for the whole run, a fresh database each, and a browser."""

import asyncio
import itertools
import os
import shutil
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from hypothesis import HealthCheck, settings

from latchwork.store import migrate
from latchwork.store.embedded import Embedded

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "shared_buffers": "64MB"}
"""Tests kill processes, never the machine: what a power cut would lose is not at stake."""

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

SLOW = (
    "journeys",
    "simulator",
    "edge/drivers",
    "edge/kiosk/test_browser",
    "server/test_single_sign_on",
    "server/test_pages",
)

T = TypeVar("T")

_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow files first: a file is one worker's, and none is to be left over for a worker alone."""
    items.sort(key=lambda item: not item.nodeid.startswith(tuple(f"tests/{slow}" for slow in SLOW)))


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine from a plain fixture, whatever loop the test or its browser has in this thread."""
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(asyncio.run(work))
        except BaseException as error:
            result.set_exception(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return result.result()


@pytest.fixture(scope="session")
def open_dir() -> Iterator[Path]:
    """A short temporary folder that PostgreSQL's own uid can enter, which pytest's `tmp_path` is not."""
    with tempfile.TemporaryDirectory(prefix="lw-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture(scope="session")
def postgres_dsn(open_dir: Path) -> Iterator[str]:
    """A server for the whole run. Use `database` unless the test is about the server itself."""
    if given := os.environ.get("LATCHWORK_TEST_DATABASE_URL"):
        yield given
        return
    with Embedded(open_dir / "pg", settings=FAST) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def template(postgres_dsn: str) -> Iterator[str]:
    """The name of a database with today's schema and no rows, to copy from."""
    name = f"template_{os.getpid()}"
    wait_for(_execute(postgres_dsn, f"CREATE DATABASE {name}"))
    try:
        wait_for(migrate.migrate(named(postgres_dsn, name)))
        yield name
    finally:
        wait_for(_execute(postgres_dsn, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def database(postgres_dsn: str, template: str) -> Iterator[str]:
    """The DSN of a fresh database that has the schema."""
    yield from _fresh(postgres_dsn, f"TEMPLATE {template} STRATEGY FILE_COPY")


@pytest.fixture
def empty_database(postgres_dsn: str) -> Iterator[str]:
    """The DSN of a fresh database with nothing in it."""
    yield from _fresh(postgres_dsn, "")


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Where the browser for page tests is. Start it with `--no-sandbox` when running as root."""
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    pytest.skip("page test: no Chromium in PATH (tools/browser.sh says why)")


def named(dsn: str, database: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


def _fresh(dsn: str, how: str) -> Iterator[str]:
    name = f"test_{os.getpid()}_{next(_numbers)}"
    wait_for(_execute(dsn, f"CREATE DATABASE {name} {how}"))
    try:
        yield named(dsn, name)
    finally:
        # FORCE: a server process that a test has killed may have left its connections behind.
        wait_for(_execute(dsn, f"DROP DATABASE {name} WITH (FORCE)"))


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
