"""Every row of a server's database in a thief's hands: no code, no QR code, no link and no key is in it."""

import re
from pathlib import Path

import asyncpg
from tests.server.town import town


async def test_no_row_holds_what_opens_a_door_or_a_page(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path, mail=True) as place:
        await place.settle()
        stay = (await place.announce("LW-1"))["id"]
        returned = (await place.announce("LW-2", service="return", recipient=None))["id"]
        await place.wall.sync()
        await place.wall.put_in(place.courier, stay)
        await place.wall.sync()
        (mail,) = await place.mails(1)
        pin = mail["text"].split("Your code: ")[1].splitlines()[0].replace(" ", "")
        drop_off = (await place.ask("GET", f"stays/{returned}"))["drop_off_digits"]
        link = place.cloud.office.vault.link(stay)
        master = (tmp_path / "master.secret").read_bytes()
        assert link in mail["text"] and place.wall.pass_with(pin)

        stolen = await _everything(database)
        assert stay in stolen and place.wall.id in stolen
        for secret in (pin, drop_off, place.courier):
            for form in (secret, secret.encode().hex()):
                assert not re.search(rf"(?<![0-9a-f.]){form}(?![0-9a-f])", stolen), secret
        for secret in (link, place.token, place.root, "LW1."):
            assert secret not in stolen and secret.encode().hex() not in stolen
        for key in (master, place.wall.code_key, place.wall.key.private_bytes_raw()):
            assert key.hex() not in stolen


async def _everything(database: str) -> str:
    connection = await asyncpg.connect(database)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        rows = [await connection.fetch(f'SELECT t::text FROM "{table[0]}" t') for table in tables]
        return "\n".join(row[0] for found in rows for row in found)
    finally:
        await connection.close()
