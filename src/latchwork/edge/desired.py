"""The configuration that the cloud wants: judged here, taken over at a quiet moment, or refused with a reason.

It comes as a document, like what only a screen needs, and counts for nothing before this module has said yes. What
would make another door answer a channel, or move the bank, is never taken from afar alone: a technician accepts it at
the wall. One that does not come up is put back.
"""

import asyncio
import logging
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from latchwork.domain import commands as c
from latchwork.domain.bank import Bank
from latchwork.domain.decide import decide
from latchwork.edge.climate import zone_of
from latchwork.edge.config import BadConfig, Config, Tables, check, read_tables, tables_in
from latchwork.edge.consent import Consent
from latchwork.edge.desk import EdgeDesk
from latchwork.edge.identity import write_safely
from latchwork.edge.loop import Loop
from latchwork.edge.readers.supervisor import reader_of
from latchwork.edge.seal import edition, put_back, put_in_place, resealed, unsealed
from latchwork.edge.wall import wall_of
from latchwork.store.sqlite import SqliteJournal
from latchwork.sync.exchange import Configuration

DOCUMENT = "configuration"
LOOK_SECONDS = 5.0
"""How often what is wanted is judged again: what was occupied may be empty now."""

log = logging.getLogger(__name__)


class Refused(Exception):
    """It is not run; says why, as a sentence without its full stop."""


class Unaccepted(Refused):
    """A technician has to say yes to it first."""


class _Trial(msgspec.Struct, frozen=True):
    """Of the last desired configuration that was put in place, written before it was. `failed`: why it did not work."""

    version: int
    came_up: bool = False
    failed: str | None = None


class Desired:
    """`path`: where the configuration lies that this process runs. Raises BadConfig."""

    def __init__(
        self,
        path: Path,
        state: Path,
        key: Ed25519PrivateKey,
        desk: EdgeDesk,
        loop: Loop,
        journal: SqliteJournal,
        consent: Consent,
    ) -> None:
        self._path = path
        self._state = state
        self._key = key
        self._desk = desk
        self._loop = loop
        self._journal = journal
        self._consent = consent
        self.waits = False
        """Whether a technician's yes is all that is missing."""
        self._running = read_tables(path)
        self._edition = edition(path.read_bytes(), key.public_key().public_bytes_raw())
        self._judged: tuple[int, str | None] = (0, None)
        """The last version that was wanted, and why it is not run."""

    def reported(self) -> Configuration:
        """What the cloud is told."""
        runs = self._edition
        return Configuration(runs.version, runs.sha256, str(runs.standing), *self._judged)

    def take_key(self, key: Ed25519PrivateKey) -> None:
        """From now on this is the controller's own. What the one before has sealed is sealed anew. Raises OSError."""
        content = self._path.read_bytes()
        write_safely(self._path, resealed(content, self._key, key), self._path.stat().st_mode & 0o777)
        self._key = key

    async def run(self) -> None:
        """Until another configuration was put in place. Then nobody has a turn any more: the bank has to begin anew."""
        while True:
            self.come_up()  # where the disk was full at the beginning
            if await self._look():
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> bool:
        version, body = self._journal.documents().get(DOCUMENT, 0), self._desk.document(DOCUMENT)
        if body is None or version <= self._edition.version:
            self._find(version)
            return False
        body = unsealed(body)
        trial = _tried(self._state)
        if trial is not None and trial.version == version and (trial.came_up or trial.failed is not None):
            self._find(version, trial.failed)
            return False
        await self._desk.turn.acquire()
        try:
            judge(body, self._path, self._running, self._loop.bank, accepted=self._consent.is_accepted(body))
            self._find(version)
            if self._loop.busy:
                self._desk.turn.release()
                return False
            self._take(version, body)
        except (Refused, OSError) as error:
            self._desk.turn.release()
            self._find(version, str(error), isinstance(error, Unaccepted))
            with suppress(OSError):  # a full disk: at the next look
                self._consent.want(body)
            return False
        return True

    def _take(self, version: int, body: bytes) -> None:
        _note(self._state, _Trial(version))
        put_in_place(self._path, body, version, self._key)
        self._consent.taken()
        log.warning("configuration %d takes the place of %d", version, self._edition.version)

    def _find(self, version: int, wrong: str | None = None, waits: bool = False) -> None:
        self.waits = waits
        if (version, wrong) == self._judged:
            return
        self._judged = version, wrong
        if wrong is not None:
            log.warning("configuration %d is not run: %s", version, wrong)
        self._desk.stir()

    def come_up(self) -> None:
        """The configuration that runs works: it is on trial no more."""
        trial = _tried(self._state)
        if trial is not None and trial.version == self._edition.version and not trial.came_up and trial.failed is None:
            with suppress(OSError):
                _note(self._state, msgspec.structs.replace(trial, came_up=True))


def judge(body: bytes, path: Path, running: Tables, bank: Bank, *, accepted: bool) -> None:
    """Raises Refused. `accepted`: a technician at the wall has said yes to exactly this."""
    try:
        tables = tables_in(body)
        config = check(tables, path)
        check_devices(config)
    except BadConfig as error:
        raise Refused(str(error).removeprefix(f"{path}: ")) from None
    if tables.bank.state != running.bank.state:
        raise Refused("it has another state folder, and where a bank lives is not for a configuration to change")
    changed = _wired_otherwise(tables, running)
    if changed and not accepted:
        raise Unaccepted(f"it changes {changed}, so a technician has to accept it at the wall: latchwork edge accept")
    if decide(bank, c.Fit(config.fittings), bank.at or datetime.now(UTC)).refusal is not None:
        raise Refused("it takes away a compartment that holds something, is reserved, or is just being opened")


def check_devices(config: Config) -> None:
    """Whether all that it names can be so; opens none of it. Raises BadConfig."""
    wall_of(config.buses, config.wiring, config.contacts, config.inputs)
    for reader in config.readers:
        reader_of(reader)
    for zone in config.climate:
        zone_of(zone, time.monotonic)


def _wired_otherwise(tables: Tables, running: Tables) -> str:
    """What differs beside the descriptions of compartments, in words; empty: nothing."""
    for name in ("bank", "bus", "switch", "reader", "climate"):
        if getattr(tables, name) != getattr(running, name):
            return "[bank]" if name == "bank" else f"[[{name}]]"
    new, old = (
        {x.id: (x.bus, x.channel, x.contact, x.gate, x.leaf, x.item) for x in each.compartment if not x.shelf}
        for each in (tables, running)
    )
    doors = sorted(door for door in {*new, *old} if new.get(door) != old.get(door))
    return f"the wiring of {', '.join(doors)}" if doors else ""


# What lies beside the journal


def fall_back(path: Path, state: Path, why: str) -> bool:
    """Put back the configuration before, where the present one is on trial. Whether it was. Raises OSError."""
    trial = _tried(state)
    if trial is None or trial.came_up or trial.failed is not None:
        return False
    if edition(path.read_bytes()).version != trial.version:
        return False  # it was never put in place: the disk was full
    put_back(path)
    _note(state, msgspec.structs.replace(trial, failed=f"it did not come up: {why}"))
    log.error("configuration %d did not come up, and the one before is in force again: %s", trial.version, why)
    return True


def _tried(state: Path) -> _Trial | None:
    try:
        return msgspec.json.decode((state / "trial.json").read_bytes(), type=_Trial)
    except FileNotFoundError:
        return None


def _note(state: Path, trial: _Trial) -> None:
    write_safely(state / "trial.json", msgspec.json.encode(trial))
