"""Another master secret: new codes are made with it, and what was given out before holds until it is used up."""

import argparse
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.server.test_receipts import receipt
from tests.server.town import Town, town

from latchwork.domain.words import StayId
from latchwork.server.actions import access, links
from latchwork.server.actions.vault import LINKS_KEPT, MASTER, Unusable
from latchwork.server.main import run
from latchwork.sync import receipts
from latchwork.sync.exchange import CODE_KEYS


def carried(old: Town, new: Town) -> Town:
    """The same organisation and wall, at a server that began anew."""
    old.wall.url, old.wall.store = new.url, new.cloud.office.store
    return replace(old, cloud=new.cloud, url=new.url, http=new.http)


def pin(place: Town, stay: str) -> str:
    pickup = place.wall.bank.stays[StayId(stay)].pickup
    assert pickup is not None
    grant = place.wall.bank.passes[pickup].grant
    return place.cloud.office.vault.digits(place.bank, grant.generation, pickup, grant.n, grant.digits)


async def test_a_wall_that_was_off_line_takes_the_next_key_and_old_codes_hold(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as before:
        await before.settle()
        await before.ask("POST", "banks", json={"site": before.site, "name": "Cellar"})  # and no controller yet
        old = await before.deposit("LW-before")
        assert (await receipt(before, old)).status_code == 200
        old_pin, vault = pin(before, old), before.cloud.office.vault
        old_link, sealed, witness = vault.link(old), vault.lock("party x", b"theirs"), vault.witness
        one_time = (await before.sign_in_link()).rsplit("/", 1)[1]
    assert run(argparse.Namespace(roles_sql=None, rotate_secret=True, host=None, port=None, state=tmp_path)) == 0

    async with town(database, tmp_path) as fresh:
        place = carried(before, fresh)
        office = place.cloud.office
        older = await access.under_older(office)
        assert older is not None
        assert (older.walls, older.codes) == (1, 2), "the courier's and the parcel's"
        assert (await place.http.get(f"/p/{old_link}")).status_code == 200
        assert office.vault.link(old) != old_link
        assert (await links.find(office, one_time)).purpose == links.Purpose.SIGN_IN
        assert office.vault.unlock("party x", sealed) == b"theirs"
        assert office.vault.witness != witness
        assert witness in office.vault.witnesses
        meanwhile = str((await place.announce("LW-meanwhile"))["id"])

        await place.wall.sync()
        older = await access.under_older(office)
        assert older is not None
        assert (older.walls, place.wall.generation) == (0, 2)
        await place.wall.put_in(place.courier, meanwhile)
        pickup = place.wall.bank.stays[StayId(meanwhile)].pickup
        assert pickup is not None
        assert place.wall.bank.passes[pickup].grant.generation == 2
        for code in (pin(place, meanwhile), old_pin):
            await place.wall.take_out(code)
        await place.wall.sync()
        for stay in (meanwhile, old):
            assert (await place.ask("GET", f"stays/{stay}"))["state"] == "collected"

        proven = receipts.verify((await receipt(place, old)).content, [place.wall.public, office.vault.witness.public])
        assert proven.logs[0].witness_checked, "countersigned anew, upon what the former key had signed"
        assert await place.ask("GET", "tasks") == []

        later = office.now() + LINKS_KEPT + timedelta(days=1)
        assert office.vault.linked(old_link, later) is None, "what was mailed before does not hold for ever"
        rows = await office.store.fetch("SELECT body FROM documents WHERE name = $1", CODE_KEYS)
        assert [row["body"] for row in rows] == [b"", b""], "no key stands in a row"

    (tmp_path / MASTER).write_bytes((tmp_path / MASTER).read_bytes()[:32])
    with pytest.raises(Unusable, match="or with one more"):
        async with town(database, tmp_path):
            raise AssertionError("it started with a copy from before")
