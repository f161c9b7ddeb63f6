"""What the cloud sends to a wall for its screen: each replaced whole, and sent again only where it changed."""

from dataclasses import dataclass
from typing import Any

import msgspec

from latchwork.server.actions.office import Office


@dataclass(frozen=True, slots=True)
class _Bank:
    id: str


async def put(office: Office, bank: str, name: str, said: Any) -> None:
    if await office.tables.do("put_document", bank, name, msgspec.json.encode(said)):
        office.wake(bank)


async def put_everywhere(office: Office, organisation: str, name: str, said: Any) -> None:
    for bank in await banks_of(office, organisation):
        await put(office, bank, name, said)


async def banks_of(office: Office, organisation: str) -> list[str]:
    return [bank.id for bank in await office.tables.all(_Bank, "bank_ids", organisation)]
