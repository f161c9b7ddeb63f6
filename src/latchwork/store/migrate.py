"""Brings a database to the schema this code was written for: numbered SQL files, each applied once and remembered.

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

log = logging.getLogger(__name__)

SCHEMA = Path(__file__).with_name("schema")
"""Holds `NNNN_name.sql`, numbered from 0001 without a gap."""

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
        match = re.fullmatch(r"(\d{4})_[a-z0-9_]+\.sql", path.name)
        if match is None:
            raise SchemaMismatch(f"{path.name} is not called like a migration: 0001_what_it_does.sql.")
        content = path.read_bytes()
        found.append(Migration(int(match[1]), path.stem, content.decode(), hashlib.sha256(content).hexdigest()))
    for expected, migration in enumerate(found, start=1):
        if migration.number != expected:
            raise SchemaMismatch(f"The migrations are numbered without a gap: {expected:04} is missing or taken twice.")
    return found


async def migrate(dsn: str, folder: Path = SCHEMA) -> list[str]:
    """Applies what is missing and returns its names. Raises SchemaMismatch, MigrationFailed or roles.NoRoles."""
    known = migrations(folder)
    # A connection of its own: the lock belongs to the session, and a pool's connection may carry a short timeout.
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
        dsn, server_settings={"statement_timeout": "0"}
    )
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
        rows = await connection.fetch("SELECT number, name, sha256 FROM schema_migration ORDER BY number")
        _refuse_mismatch(known, rows)
        missing = known[len(rows) :]
        await roles.make(connection)
        for migration in missing:
            await _apply(connection, migration)
        return [migration.name for migration in missing]
    finally:
        await connection.close()  # and with it the lock


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
        if row["sha256"] != migration.sha256:
            raise SchemaMismatch(
                f"Migration {migration.name} was changed after it had been applied to this database. "
                f"Put the file back as it was, and make the change in a new one."
            )


async def _apply(connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO schema_migration (number, name, sha256) VALUES ($1, $2, $3)",
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
