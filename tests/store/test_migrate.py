"""Migrations: applied once, in order, by one of many; and a database that does not fit is refused in plain words.

Functions: made anew when their file has changed, and only then.
"""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from latchwork.store.migrate import FORMERLY, MigrationFailed, SchemaMismatch, migrate, migrations


def write(folder: Path, **files: str) -> Path:
    for name, sql in files.items():
        (folder / f"{name.removeprefix('m')}.sql").write_text(sql)
    return folder


async def one(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_what_is_missing_is_applied_once_and_in_order(empty_database: str, tmp_path: Path) -> None:
    write(tmp_path, m0001_door="CREATE TABLE door (id int); CREATE TABLE lock (id int);")
    assert await migrate(empty_database, tmp_path) == ["0001_door"]
    write(tmp_path, m0002_wall="ALTER TABLE door ADD COLUMN wall int; INSERT INTO door VALUES (1, 2);")
    assert await migrate(empty_database, tmp_path) == ["0002_wall"]
    assert await migrate(empty_database, tmp_path) == []
    assert await one(empty_database, "SELECT count(*) FROM door") == 1


async def test_of_several_servers_one_migrates(empty_database: str, tmp_path: Path) -> None:
    write(tmp_path, m0001_slow="SELECT pg_sleep(0.1); CREATE TABLE door (id int);")
    done = await asyncio.gather(*(migrate(empty_database, tmp_path) for _ in range(5)))
    assert sorted(done) == [[], [], [], [], ["0001_slow"]]


async def test_a_failed_migration_leaves_nothing_and_names_its_line(empty_database: str, tmp_path: Path) -> None:
    write(tmp_path, m0001_door="CREATE TABLE door (id int);", m0002_bad="CREATE TABLE wall (id int);\nSELECT nonsense;")
    with pytest.raises(MigrationFailed, match=r'0002_bad, line 2: column "nonsense" does not exist'):
        await migrate(empty_database, tmp_path)
    assert await one(empty_database, "SELECT to_regclass('wall')") is None
    assert await one(empty_database, "SELECT max(number) FROM schema_migration") == 1
    write(tmp_path, m0002_bad="CREATE TABLE wall (id int);")
    assert await migrate(empty_database, tmp_path) == ["0002_bad"]


async def test_functions_are_made_anew_when_their_file_has_changed(empty_database: str, tmp_path: Path) -> None:
    anew = "DROP FUNCTION IF EXISTS breadth; CREATE FUNCTION breadth() RETURNS int LANGUAGE sql RETURN"
    write(tmp_path, m0001_door="CREATE TABLE door (id int);", functions=f"{anew} 1;")
    assert await migrate(empty_database, tmp_path) == ["0001_door", "functions"]
    assert await migrate(empty_database, tmp_path) == []
    write(tmp_path, functions=f"{anew} (SELECT max(wall) FROM door);")
    with pytest.raises(MigrationFailed, match='functions, line 1: column "wall" does not exist'):
        await migrate(empty_database, tmp_path)
    assert await one(empty_database, "SELECT breadth()") == 1
    write(tmp_path, m0002_wall="ALTER TABLE door ADD COLUMN wall int; INSERT INTO door VALUES (1, 2);")
    assert await migrate(empty_database, tmp_path) == ["0002_wall", "functions"]
    assert await one(empty_database, "SELECT breadth()") == 2


async def test_a_database_from_when_migrations_made_the_functions_is_brought_along(database: str) -> None:
    functions = """
        SELECT string_agg(concat_ws(' ', pg_get_functiondef(oid), pg_get_userbyid(proowner), proacl::text), ' '
            ORDER BY proname)
        FROM pg_proc WHERE prosecdef
    """
    today = await one(database, functions)
    connection = await asyncpg.connect(database)
    for name, sha256 in FORMERLY.items():
        await connection.execute("UPDATE schema_migration SET sha256 = $2 WHERE name = $1", name, sha256)
    await connection.execute(
        """
        DELETE FROM schema_migration WHERE number = 0;
        DROP FUNCTION append_entries, send_orders;
        CREATE FUNCTION send_orders(_bank text, OUT id text, OUT number int) LANGUAGE sql RETURN ('', 0);
        """
    )
    await connection.close()
    assert await one(database, functions) != today
    assert await migrate(database) == ["functions"]
    assert await one(database, functions) == today
    assert await migrate(database) == []


async def test_a_changed_file_is_refused(empty_database: str, tmp_path: Path) -> None:
    write(tmp_path, m0001_door="CREATE TABLE door (id int);")
    await migrate(empty_database, tmp_path)
    write(tmp_path, m0001_door="CREATE TABLE door (id bigint);", m0002_more="CREATE TABLE more (id int);")
    with pytest.raises(SchemaMismatch, match="0001_door was changed after it had been applied"):
        await migrate(empty_database, tmp_path)
    assert await one(empty_database, "SELECT to_regclass('more')") is None


async def test_a_renamed_file_is_refused(empty_database: str, tmp_path: Path) -> None:
    write(tmp_path, m0001_door="CREATE TABLE door (id int);")
    await migrate(empty_database, tmp_path)
    (tmp_path / "0001_door.sql").rename(tmp_path / "0001_gate.sql")
    with pytest.raises(SchemaMismatch, match="migration 0001_door where this Latchwork has 0001_gate"):
        await migrate(empty_database, tmp_path)


async def test_a_newer_database_is_refused(empty_database: str, tmp_path: Path) -> None:
    write(tmp_path, m0001_door="CREATE TABLE door (id int);", m0002_wall="CREATE TABLE wall (id int);")
    await migrate(empty_database, tmp_path)
    (tmp_path / "0002_wall.sql").unlink()
    with pytest.raises(SchemaMismatch, match=r"newer than this Latchwork: it has migration 0002_wall, .* 0001_door"):
        await migrate(empty_database, tmp_path)


def test_numbers_have_no_gap_and_no_twin(tmp_path: Path) -> None:
    write(tmp_path, m0001_a="", m0003_c="")
    with pytest.raises(SchemaMismatch, match="0002 is missing or taken twice"):
        migrations(tmp_path)
    write(tmp_path, m0002_b="", m0002_z="")
    with pytest.raises(SchemaMismatch, match="0003 is missing or taken twice"):
        migrations(tmp_path)


def test_a_stray_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.sql").write_text("")
    with pytest.raises(SchemaMismatch, match=r"notes\.sql is not called like a migration"):
        migrations(tmp_path)
