"""How a controller becomes a bank: with a key that it shows to be its own, kept where only it can read."""

from pathlib import Path

import pytest
from tests.server.town import town

from latchwork.edge import identity


async def test_it_enrols_with_its_own_key_and_keeps_what_it_gets(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path / "cloud") as place:
        await place.settle()
        invited = await place.ask("POST", "banks", json={"site": place.site, "name": "Campus"})
        state = tmp_path / "bank"
        state.mkdir()
        before = identity.device_key(state)
        made = await identity.enrol(place.url, invited["enrolment_code"], state)
        assert (made.bank, made.name, made.site) == (invited["bank"], "Campus", "Riverside")
        assert identity.load(state) == made
        assert made.key.private_bytes_raw() == before.private_bytes_raw()
        assert identity.device_key(state).private_bytes_raw() == before.private_bytes_raw()
        assert [(p.name, p.stat().st_mode & 0o777) for p in state.iterdir()] == [("identity.json", 0o600)]
        with pytest.raises(identity.EnrolmentRefused, match="unknown, used or expired"):
            await identity.enrol(place.url, invited["enrolment_code"], state)
