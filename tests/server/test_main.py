"""The server as a process: it starts once, says why it cannot, stops cleanly, and outlives its database."""

import argparse
import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.conftest import named
from tests.server.town import town

from latchwork.server.actions.vault import Unusable, Vault, open_vault
from latchwork.server.mail import BadSetting
from latchwork.server.main import TOKEN_FILE, end, settings
from latchwork.simulator.ports import free_port
from latchwork.store.embedded import Embedded


@contextmanager
def server(*words: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("LATCHWORK_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "latchwork.main", "server", *words],
        env={**clean, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def until(what: Any, seconds: float = 120) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := what():
                return found
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise AssertionError("did not come")


def test_a_first_start_an_end_and_a_second_start(database: str, tmp_path: Path) -> None:
    port = free_port()
    environment = {"LATCHWORK_DATABASE_URL": database, "LATCHWORK_STATE": str(tmp_path), "LATCHWORK_PORT": str(port)}
    url = f"http://127.0.0.1:{port}"
    for start in range(2):
        with server(**environment, LATCHWORK_LOG="json" if start else "text") as process:
            assert until(lambda: httpx.get(f"{url}/health").status_code == 200)
            token = (tmp_path / TOKEN_FILE).read_text().strip()
            told = httpx.get(f"{url}/api/v1/organisations", headers={"Authorization": f"Bearer {token}"}, timeout=60)
            assert [x["name"] for x in told.json()] == ["First organisation"], start
            for name in (TOKEN_FILE, "master.secret", "ticket.key"):
                assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
            process.send_signal(signal.SIGTERM if start else signal.SIGINT)
            out, _ = process.communicate(timeout=120)
            assert process.returncode == 0, out
            assert token not in out and "Traceback" not in out
            if start:
                messages = [json.loads(line)["message"] for line in out.splitlines()]
                assert any(message.startswith("listening on http://127.0.0.1") for message in messages)


def test_a_taken_port_is_one_sentence_with_its_setting(database: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with server("--port", port, "--state", str(tmp_path), LATCHWORK_DATABASE_URL=database) as process:
            out, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert out.strip() == (
        f"latchwork server: The server cannot listen on 127.0.0.1:{port}: Address already in use. "
        "Choose another with --port or LATCHWORK_PORT."
    )


def test_a_stop_while_it_waits_for_its_database_is_a_clean_one(tmp_path: Path) -> None:
    environment = {
        "LATCHWORK_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
        "LATCHWORK_STATE": str(tmp_path),
        "LATCHWORK_PORT": str(free_port()),
    }
    with server(**environment) as process:
        assert process.stdout is not None
        assert "waiting for the database" in process.stdout.readline()
        process.terminate()
        out, _ = process.communicate(timeout=120)
    assert (process.returncode, "Traceback" in out) == (0, False), out


async def test_another_master_secret_is_refused_before_a_wrong_code_is_mailed(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path / "one"):
        pass
    with pytest.raises(Unusable, match="another master secret"):
        async with town(database, tmp_path / "two"):
            pass


async def test_the_server_outlives_its_database(open_dir: Path, tmp_path: Path) -> None:
    postgres = Embedded(open_dir / "away", settings={"fsync": "off", "shared_buffers": "64MB"})
    dsn = await asyncio.to_thread(postgres.start)
    try:
        async with town(dsn, tmp_path) as place:
            await place.settle()
            await asyncio.to_thread(postgres.stop)
            headers = {"Authorization": f"Bearer {place.token}", "Idempotency-Key": '"k"'}
            body = {"bank": place.bank, "recipient": place.person}
            for method, path, json in (
                ("GET", "/health", None),
                ("GET", "/api/v1/sites", None),
                ("POST", "/api/v1/stays", body),
            ):
                answer = await place.http.request(method, path, headers=headers, json=json)
                assert answer.status_code == 503, answer.text
                assert answer.headers["content-type"] == "application/problem+json"
                assert int(answer.headers["retry-after"]) > 0
            page = await place.http.get(f"/p/{place.cloud.office.vault.link('0' * 32)}")
            assert page.status_code == 503 and "<h1" in page.text
            assert await asyncio.to_thread(postgres.start) == dsn
            async with asyncio.timeout(60):
                while (await place.http.get("/health")).status_code != 200:
                    await asyncio.sleep(0.1)
            assert (await place.announce("LW-1"))["state"] == "asked"
            assert await place.ask("GET", "sites")
    finally:
        await asyncio.to_thread(postgres.stop)


def test_a_database_that_has_no_such_name_is_a_sentence(postgres_dsn: str, tmp_path: Path) -> None:
    environment = {
        "LATCHWORK_DATABASE_URL": named(postgres_dsn, "nowhere"),
        "LATCHWORK_STATE": str(tmp_path),
        "LATCHWORK_PORT": str(free_port()),
    }
    with server(**environment) as process:
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert 'database "nowhere" does not exist' in out and "Traceback" not in out


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"LATCHWORK_PORT": "eighty"}, "LATCHWORK_PORT"),
        ({"LATCHWORK_PORT": "70000"}, "LATCHWORK_PORT"),
        ({"LATCHWORK_PUBLIC_URL": "lockers.example"}, "LATCHWORK_PUBLIC_URL"),
        ({"LATCHWORK_BREACHED_PASSWORDS": "/none"}, "LATCHWORK_BREACHED_PASSWORDS"),
        ({"LATCHWORK_REQUESTS_PER_MINUTE": "-1"}, "LATCHWORK_REQUESTS_PER_MINUTE"),
        ({"LATCHWORK_DATABASE_URL": "postgresql://db.example.org/x"}, "LATCHWORK_DATABASE_URL: end it with"),
        ({"LATCHWORK_DATABASE_URL": "postgresql://192.0.2.1/x?sslmode=prefer"}, "sslmode=verify-full"),
        ({"LATCHWORK_DATABASE_URL": "postgresql://u:p@/x?host=db.example.org"}, "LATCHWORK_DATABASE_URL: end it with"),
        ({"LATCHWORK_DATABASE_URL": "postgresql://localhost:5432,db:5432/x"}, "LATCHWORK_DATABASE_URL: end it with"),
        ({"LATCHWORK_DATABASE_URL": "postgresql:///x", "PGHOST": "db"}, "LATCHWORK_DATABASE_URL: end it with"),
        ({"LATCHWORK_DATABASE_OWNER_URL": "postgresql://db.example.org/x"}, "LATCHWORK_DATABASE_OWNER_URL: end"),
    ],
)
def test_a_wrong_setting_is_a_sentence(environment: dict[str, str], words: str) -> None:
    with pytest.raises(BadSetting, match=words):
        settings(argparse.Namespace(host=None, port=None, state=None), environment)


@pytest.mark.parametrize(
    "dsn",
    [
        "///x",
        "///x?host=/run/postgresql",
        "[::1]/x",
        "u:p@localhost,[::1]:5432/x",
        "db/x?sslmode=disable",
        "db/x?sslmode=verify-full",
    ],
)
def test_a_database_elsewhere_is_encrypted_or_said_not_to_be(dsn: str) -> None:
    url = dsn if dsn.startswith("//") else f"//{dsn}"
    given = settings(
        argparse.Namespace(host=None, port=None, state=None), {"LATCHWORK_DATABASE_URL": f"postgresql:{url}"}
    )
    assert given.database_url == f"postgresql:{url}"


# Secrets


def test_secrets_are_made_once_and_a_broken_one_is_not_replaced(tmp_path: Path) -> None:
    first = open_vault(tmp_path)
    assert open_vault(tmp_path).marks == first.marks
    assert open_vault(tmp_path).ticket_keys == first.ticket_keys
    (tmp_path / "master.secret").write_bytes(b"short")
    with pytest.raises(Unusable, match=r"master\.secret should hold 32 bytes"):
        open_vault(tmp_path)


def test_a_master_secret_may_come_from_elsewhere(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.write_text("ab" * 32 + "\n")
    raw = tmp_path / "raw"
    raw.write_bytes(bytes.fromhex("ab" * 32))
    assert open_vault(tmp_path / "a", given).marks == open_vault(tmp_path / "b", raw).marks
    assert not (tmp_path / "a" / "master.secret").exists()
    first = open_vault(tmp_path / "a", given)
    given.write_text("ab" * 32 + "\n" + "cd" * 40 + "\n")
    second = open_vault(tmp_path / "a", given)
    assert (first.generation, second.generation, second.marks[0]) == (1, 2, first.marks[0])
    given.write_text("ab" * 30 + "\n" + "ab" * 2 + "\n")  # as some tools wrap it
    assert open_vault(tmp_path / "a", given).marks == first.marks
    given.write_text("too short")
    for bad in (given, tmp_path / "none"):
        with pytest.raises(Unusable, match="LATCHWORK_MASTER_SECRET_FILE"):
            open_vault(tmp_path / "c", bad)


def test_a_link_names_its_stay_and_cannot_be_made_elsewhere(tmp_path: Path) -> None:
    vault, now = open_vault(tmp_path / "a"), datetime.now(UTC)
    stay = "0123456789abcdef" * 2
    link = vault.link(stay)
    assert vault.linked(link, now) == stay
    assert open_vault(tmp_path / "b").linked(link, now) is None
    assert isinstance(vault, Vault)
    for wrong in ("", link + "A", link[:-1], "é" * 43, link.swapcase(), "/" * 43):
        assert vault.linked(wrong, now) is None


async def test_a_loop_that_loses_a_cancellation_is_ended_all_the_same() -> None:
    answers = asyncio.Queue[asyncio.Future[None]]()

    async def sends_mails() -> None:
        while True:
            answer = asyncio.get_running_loop().create_future()
            answers.put_nowait(answer)
            await asyncio.wait_for(answer, 60)

    task = asyncio.create_task(sends_mails())
    answer = await answers.get()
    await asyncio.sleep(0)
    answer.set_result(None)  # the answer comes in the moment in which the server stops
    async with asyncio.timeout(30):
        await end({task})
    assert task.cancelled()
