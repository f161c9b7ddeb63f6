"""Keeps the configured readers at work, unplugged and plugged in again, and hands what they read to the screen."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

from latchwork.edge.config import BadConfig, ReaderTable
from latchwork.edge.drivers.protocol import Fault
from latchwork.edge.readers.hid import Hid
from latchwork.edge.readers.pcsc import Pcsc
from latchwork.edge.readers.scan import Kind, Reader, Scan, scan_of
from latchwork.edge.readers.serial import Serial
from latchwork.edge.readers.wiegand import card_in

RETRY_S = 2.0
"""How soon after it was lost a reader is looked for again."""

log = logging.getLogger(__name__)


def reader_of(table: ReaderTable) -> Reader:
    """Opens nothing. Raises BadConfig."""
    if table.kind != "pcsc" and not table.port:
        raise BadConfig(f"reader {table.kind}: port is missing")
    match table.kind:
        case "serial":
            return Serial(table.port, table.baud, partial(scan_of, Kind.TEXT))
        case "wiegand":
            return Serial(table.port, table.baud, card_in)
        case "hid":
            return Hid(table.port)
        case "pcsc":
            return Pcsc(table.port)


async def supervise(tables: Sequence[ReaderTable], deliver: Callable[[Scan], None], retry_s: float = RETRY_S) -> None:
    """Until cancelled. Raises BadConfig."""
    readers = [(f"{table.kind} reader {table.port}".strip(), reader_of(table)) for table in tables]
    async with asyncio.TaskGroup() as group:
        for name, reader in readers:
            group.create_task(_keep(name, reader, deliver, retry_s))
        await asyncio.Event().wait()


async def _keep(name: str, reader: Reader, deliver: Callable[[Scan], None], retry_s: float) -> None:
    said = ""
    while True:
        began = asyncio.get_running_loop().time()
        try:
            await reader.run(deliver)
        except Fault as fault:
            worked = asyncio.get_running_loop().time() - began > 2 * retry_s
            if worked or str(fault) != said:  # a reader that stays away is told once
                log.warning("%s: %s", name, fault)
            said = str(fault)
        await asyncio.sleep(retry_s)
