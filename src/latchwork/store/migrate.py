"""Brings a database to the schema this code was written for: numbered SQL files, each applied once and remembered.

Then `functions.sql`, whenever it is not as it was applied last: functions hold no rows, so they are made anew.

Nothing is ever undone here. A database that does not fit the files is refused untouched, with a sentence that says why.
"""

import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from latchwork.store import roles
from latchwork.store.lanes import Connection

log = logging.getLogger(__name__)

SCHEMA = Path(__file__).with_name("schema")
"""Holds `NNNN_name.sql`, numbered from 0001 without a gap, and `functions.sql`, remembered as number 0."""

FUNCTIONS = "functions"

FORMERLY = {
    "0001_first": "680a23de6c3f27bccb2471a400c6ed5a02b26fde46e0ba6109fc43f6300c2f51",
    "0004_whole_life": "8c95c5a6f836eeb62c500f3b4415a100722a65b83e964367ef02dd44cc4271ac",
    "0006_asking": "342d230e9093a0f4e5442e666e29440570eae42309a28807cbd3f6868b2b31bd",
    "0007_tenants": "c3c5fbbb63e11e827503c702a955d613067a6bb0ca9e1dde129bbdbf979f4286",
    "0012_guarded": "7c97fdfc21299d41e3f032dbc486d34df4a3a17a9b9f938b1e778ec3499627ce",
    "0019_parties": "d95b9aa19f294320a27eec73f918110eccd9ab5778c9188fe47877f388ee9762",
}
"""The hashes of migrations from when the functions stood in them: but for these, such a database is the same."""

LOCK = 0x4C61746368
"""The advisory lock's key ("Latch"): of several servers that start at once, one migrates and the others wait."""


class SchemaMismatch(Exception):
    """Files and database do not belong together. The message is a sentence for the operator."""


class MigrationFailed(Exception):
    """PostgreSQL refused a statement of a migration, which was rolled back whole."""


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    """The file's name without its ending: "0001_banks"."""
    sql: str
    sha256: str


def migrations(folder: Path = SCHEMA) -> list[Migration]:
    """Reads the folder, in order. Raises SchemaMismatch when the numbers are not 1, 2, 3, ..."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        if path.stem == FUNCTIONS:
            continue
        match = re.fullmatch(r"(\d{4})_[a-z0-9_]+\.sql", path.name)
        if match is None:
            raise SchemaMismatch(f"{path.name} is not called like a migration: 0001_what_it_does.sql.")
        found.append(_read(int(match[1]), path))
    for expected, migration in enumerate(found, start=1):
        if migration.number != expected:
            raise SchemaMismatch(f"The migrations are numbered without a gap: {expected:04} is missing or taken twice.")
    return found


def _read(number: int, path: Path) -> Migration:
    content = path.read_bytes()
    return Migration(number, path.stem, content.decode(), hashlib.sha256(content).hexdigest())


async def migrate(dsn: str, folder: Path = SCHEMA) -> list[str]:
    """Applies what is missing and returns its names. Raises SchemaMismatch, MigrationFailed or roles.NoRoles."""
    known = migrations(folder)
    # A connection of its own: the lock belongs to the session, and a pool's connection may carry a short timeout.
    connection: Connection = await asyncpg.connect(dsn, server_settings={"statement_timeout": "0"})
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        await connection.execute(
            """
            CREATE TABLE IF NOT EXISTS schema_migration (
                number     integer PRIMARY KEY,
                name       text NOT NULL,
                sha256     text NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT now()
            )
            """
        )
        missing = await _missing(connection, folder, known)
        await roles.make(connection)
        for migration in missing:
            await _apply(connection, migration)
        return [migration.name for migration in missing]
    finally:
        await connection.close()  # and with it the lock


async def refuse_other(connection: Connection, folder: Path = SCHEMA) -> None:
    """For who only uses a database. Raises SchemaMismatch unless it is as `migrate` leaves it."""
    if await _missing(connection, folder, migrations(folder)):
        raise SchemaMismatch(
            "The database is an earlier version's. The server of this version brings it up to date when it starts."
        )


async def _missing(connection: Connection, folder: Path, known: Sequence[Migration]) -> list[Migration]:
    rows = await connection.fetch("SELECT number, name, sha256 FROM schema_migration ORDER BY number")
    applied = [row for row in rows if row["number"] > 0]
    _refuse_mismatch(known, applied)
    missing = [*known[len(applied) :]]
    functions = folder / f"{FUNCTIONS}.sql"
    if functions.exists() and (read := _read(0, functions)).sha256 not in {row["sha256"] for row in rows}:
        missing.append(read)
    return missing


def _refuse_mismatch(known: Sequence[Migration], rows: Sequence[asyncpg.Record]) -> None:
    if len(rows) > len(known):
        newest, ours = rows[-1]["name"], known[-1].name if known else "none"
        raise SchemaMismatch(
            f"The database is newer than this Latchwork: it has migration {newest}, and this version ends with {ours}. "
            f"Nothing was touched. Run the newer version, or restore a backup made before the update."
        )
    for migration, row in zip(known, rows, strict=False):
        if (row["number"], row["name"]) != (migration.number, migration.name):
            raise SchemaMismatch(
                f"The database was made with migration {row['name']} where this Latchwork has {migration.name}."
            )
        if row["sha256"] not in (migration.sha256, FORMERLY.get(migration.name)):
            raise SchemaMismatch(
                f"Migration {migration.name} was changed after it had been applied to this database. "
                f"Put the file back as it was, and make the change in a new one."
            )


async def _apply(connection: Connection, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO schema_migration (number, name, sha256) VALUES ($1, $2, $3) "
                "ON CONFLICT (number) DO UPDATE SET sha256 = excluded.sha256, applied_at = excluded.applied_at",
                migration.number,
                migration.name,
                migration.sha256,
            )
    except asyncpg.PostgresError as error:
        place = ""
        if position := getattr(error, "position", None):
            place = f", line {migration.sql.count(chr(10), 0, int(position) - 1) + 1}"
        raise MigrationFailed(f"Migration {migration.name}{place}: {error}") from error
    log.info("migration %s applied", migration.name)
