"""Whom we are in the database: roles that own nothing and cannot pass by row-level security.

The user of the DSN owns the schema. What is asked later is asked as one of these roles, whatever that user may do.
"""

from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from latchwork.store.lanes import Connection

PAGES = "latchwork_pages"
"""Pages and API: the rows of one organisation, or of one party, that the transaction names. Otherwise none."""
LANES = "latchwork_lanes"
"""May call the batch functions and nothing else."""
HOUSE = "latchwork_house"
"""What the server does for all: hears banks, sends notices, finds out who is asking."""
BATCHES = "latchwork_batches"
"""Owns the batch functions, which run with its rights. Nobody connects as it."""
LOGIN = "latchwork_server"
"""Who connects in a database of our own: has nothing, and may become the first three."""

_SQL = Path(__file__).with_name("roles.sql")


class NoRoles(Exception):
    """The roles are missing, and we may not make them. The message is a sentence for the operator."""


def script(user: str) -> str:
    """What an administrator runs once, so that `user` may be the one of LATCHWORK_DATABASE_URL."""
    name = user.replace('"', '""')
    return (
        f'{_SQL.read_text(encoding="utf-8")}\nGRANT {PAGES}, {LANES}, {HOUSE}, {BATCHES} TO "{name}";\n'
        f'-- and where the database is not made yet: CREATE DATABASE latchwork OWNER "{name}";\n'
    )


async def make(connection: Connection) -> None:
    """The roles, where they are missing. Raises NoRoles."""
    try:
        await connection.execute(_SQL.read_text(encoding="utf-8"))
    except asyncpg.InsufficientPrivilegeError as error:
        raise NoRoles(
            f"The database's user may not make the roles that keep organisations apart ({error}). Have an "
            "administrator of the database run what `latchwork server --roles-sql USER` prints, then start again."
        ) from error


async def make_login(dsn: str) -> str:
    """For a PostgreSQL of our own: who connects from now on, with the password of `dsn`. Returns that DSN.

    Whoever connects so can never become the owner again, not even by a statement that we did not write.
    """
    url = urlsplit(dsn)
    connection: Connection = await asyncpg.connect(dsn)
    try:
        await make(connection)
        if not await connection.fetch("SELECT FROM pg_roles WHERE rolname = $1", LOGIN):
            await connection.execute(f"CREATE ROLE {LOGIN} LOGIN NOINHERIT")
        await connection.execute(f"GRANT {PAGES}, {LANES}, {HOUSE} TO {LOGIN}")
        (row,) = await connection.fetch(
            "SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text)", LOGIN, url.password or ""
        )
        await connection.execute(row[0])
    finally:
        await connection.close()
    place = url.netloc.rpartition("@")[2]
    return urlunsplit(url._replace(netloc=f"{LOGIN}:{quote(url.password or '', safe='')}@{place}"))
