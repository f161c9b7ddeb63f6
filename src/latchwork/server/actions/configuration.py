"""What a wall's controller runs, as it says, and what it is asked to run. It judges for itself, and may refuse."""

import tomllib
from dataclasses import dataclass
from datetime import datetime

import msgspec

from latchwork.server.actions import banks
from latchwork.server.actions.office import Declined, Office, Who
from latchwork.sync.exchange import Configuration

TEXT_BYTES_MAX = 256 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """`said` is what the controller said when it was last heard; None: nothing yet. `asked` is the newest version that
    was asked of it, `text` what that says."""

    said: Configuration | None
    asked: int | None
    text: str | None
    asked_at: datetime | None

    @property
    def state(self) -> str:
        """Of what was asked: none, waiting, refused or done. Done also where the wall has a newer one of its own."""
        if self.asked is None:
            return "none"
        if self.said is None or self.said.asked < self.asked:
            return "done" if self.said is not None and self.said.version >= self.asked else "waiting"
        return "refused" if self.said.refused is not None else "waiting" if self.said.version < self.asked else "done"


@dataclass(frozen=True, slots=True)
class _Row:
    said: str | None
    asked: int | None
    text: str | None
    asked_at: datetime | None


async def configuration(office: Office, who: Who, bank_id: str) -> Asked:
    await banks.bank(office, who, bank_id)
    row = await office.tables.one(_Row, "configuration", bank_id)
    assert row is not None
    said = msgspec.json.decode(row.said, type=Configuration) if row.said is not None else None
    return Asked(said, row.asked, row.text, row.asked_at)


async def ask(office: Office, who: Who, bank_id: str, text: str) -> Asked:
    """Have a controller run this. It takes it over at a quiet moment, waits for a technician, or refuses."""
    await banks.bank(office, who, bank_id)
    if len(text.encode()) > TEXT_BYTES_MAX:
        raise Declined(413, "too_long", "A configuration has at most {n} KiB.", n=TEXT_BYTES_MAX // 1024)
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Declined(422, "bad_configuration", "This is no TOML: {why}.", why=str(error)) from None
    missing = [f"[{name}]" for name in ("bank", "bus", "compartment") if name not in tables]
    if missing:
        raise Declined(
            422,
            "bad_configuration",
            "A configuration is a whole file; {missing} is missing.",
            missing=", ".join(missing),
        )
    await office.tables.do("ask_configuration", bank_id, who.organisation, text, office.now(), who.token)
    office.wake(bank_id)
    return await configuration(office, who, bank_id)
