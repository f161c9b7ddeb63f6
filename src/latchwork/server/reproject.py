"""`latchwork reproject`: rows are made once more from the logs, held against those that are there, and put right.

Logs are read and never written. A bank is looked at without anybody waiting; only where a row differs is its head held,
and then all that differs is written in one transaction.
"""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import asyncpg

from latchwork.server import projections
from latchwork.store.embedded import CannotStart, reach
from latchwork.store.migrate import SchemaMismatch
from latchwork.store.rebuild import Difference, Head, Rebuild, Stored
from latchwork.store.rows import INT_MAX, Failed, Rows, Task
from latchwork.sync.codec import Unreadable

_FAULTS = (
    OSError,
    ValueError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    CannotStart,
    SchemaMismatch,
    Failed,
)
TOLD_MAX = 20
"""Of each bank, so many rows that differ are told one by one."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--database", metavar="DSN", required=True, help="the cloud's database, or the folder of an embedded one"
    )
    parser.add_argument("--bank", help="only this bank")
    parser.add_argument("--organisation", help="only banks of this organisation")
    parser.add_argument("--check", action="store_true", help="say what differs, and change nothing")
    parser.epilog = (
        "The server may run meanwhile. It can be stopped at any moment and started again: a bank's rows are put right\n"
        "all at once.\n"
        "Exit status: 0 all rows are as the logs say, 1 some are not, 2 it could not be looked at."
    )


def run(args: argparse.Namespace) -> int:
    try:
        with reach(args.database) as dsn:
            return asyncio.run(_run(dsn, args.bank, args.organisation, args.check))
    except _FAULTS as error:
        print(f"latchwork reproject: {str(error).removesuffix('.')}.", file=sys.stderr)
        return 2


async def _run(dsn: str, bank: str | None, organisation: str | None, check: bool) -> int:
    found: list[Outcome] = []
    async with Rebuild.connect(dsn) as database:
        for each in await database.banks(bank, organisation):
            outcome = await reproject(database, each, check, lambda: datetime.now(UTC))
            found.append(outcome)
            for line in outcome.lines(check):
                print("".join(x if x.isprintable() else "?" for x in line), flush=True)
    if not found:
        print("latchwork reproject: there is no such bank.", file=sys.stderr)
        return 2
    differ = sum(bool(outcome.counts) for outcome in found)
    entries, done = sum(outcome.entries for outcome in found), "" if check or not differ else ", and were put right"
    print(f"{len(found)} banks, {entries} entries; rows of {differ} banks differed{done}.")
    return int(any(outcome.wrong or (check and outcome.counts) for outcome in found))


@dataclass
class Outcome:
    bank: str
    entries: int = 0
    wrong: str | None = None
    """Why nothing was compared."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Rows that differed, by table."""
    differences: Sequence[Difference] = ()
    """The first of them."""
    unread: Mapping[str, int] = field(default_factory=dict)
    """Entries that this version cannot read either, by kind."""

    def lines(self, check: bool) -> list[str]:
        if self.wrong is not None:
            return [f"bank {self.bank}: NOT looked at: {self.wrong}."]
        told = ", ".join(f"{rows} of {what}" for what, rows in self.counts.items())
        lines = [
            f"bank {self.bank}: {self.entries} entries; {told + ' differ' if told else 'all rows are as they say'}."
        ]
        lines += [f"  {_tell(difference)}" for difference in self.differences]
        if (more := sum(self.counts.values()) - len(self.differences)) > 0:
            lines.append(f"  and {more} more")
        for kind, entries in self.unread.items():
            lines.append(f"  {entries} entries of kind {kind} cannot be read by this version, and made no rows.")
        if self.counts and self.unread and not check:
            lines.append("  Rows that no entry explains were left: an entry that cannot be read may explain them.")
        return lines


def _tell(difference: Difference) -> str:
    was, shall = difference.was, difference.shall
    if shall is None:
        what = "is there, and no entry explains it"
    elif was is None:
        what = "is missing"
    else:
        unlike = [column for column in shall if was.get(column) != shall[column]]
        what = "; ".join(f"{column} is {was.get(column)!r}, the log says {shall[column]!r}" for column in unlike)
    return f"{difference.what} {difference.id}: {what}"


class Broken(Exception):
    """The log is not whole; says where."""


async def reproject(database: Rebuild, bank: str, check: bool, clock: Callable[[], datetime]) -> Outcome:
    await database.clear()
    made = _Made(database, bank, clock())
    outcome = Outcome(bank)
    try:
        async with database.looking(bank) as head:
            made.heard_late = await database.unread(bank)
            await made.follow(head)
            outcome.counts = await made.compare()
            outcome.differences = await database.differences(TOLD_MAX)
        if outcome.counts and not check:
            looked = made.through
            async with database.mending(bank) as head:
                await made.follow(head)
                await made.compare(looked)
                await database.mend(bank, not made.unread)
    except Broken as error:
        outcome.wrong = str(error)
    outcome.entries, outcome.unread = made.entries, made.unread
    return outcome


class _Made:
    """What was made of a bank's entries so far."""

    def __init__(self, database: Rebuild, bank: str, now: datetime) -> None:
        self._database, self._bank, self._now = database, bank, now
        self.through = (0, -1)
        self._policy_version, self._orders_last = 0, 0
        self.entries = 0
        self.unread: Counter[str] = Counter()
        self.heard_late: Mapping[str, tuple[int, int]] = {}
        """Kinds that an earlier version could not read, and since when: nobody was told of them."""

    async def follow(self, head: Head) -> None:
        """On to the end of the log. Raises Broken."""
        while page := await self._database.entries(self._bank, self.through):
            for stored in page:
                self._step(stored)
            try:
                await self._take(head.organisation, page)
            except (Failed, Unreadable, projections.Incoherent):
                for stored in page:
                    await self._take_alone(head.organisation, stored)
        if head.size and self.through != (head.epoch, head.size - 1):
            raise Broken(f"its log should end with entry {head.epoch}/{head.size - 1}{_VERIFY}")

    def _step(self, stored: Stored) -> None:
        epoch, seq = self.through
        if (stored.epoch, stored.seq) != (epoch, seq + 1) and (stored.epoch <= epoch or stored.seq != 0):
            raise Broken(f"an entry is missing before {stored.epoch}/{stored.seq}{_VERIFY}")
        self.through = stored.epoch, stored.seq
        self.entries += 1

    async def _take(self, organisation: str, page: Sequence[Stored]) -> None:
        raws = [stored.raw for stored in page]
        await self._keep(page, projections.rows(organisation, raws, [b""] * len(raws), self._now))

    async def _take_alone(self, organisation: str, stored: Stored) -> None:
        try:
            await self._take(organisation, (stored,))
        except Unreadable as error:
            raise Broken(f"{stored.epoch}/{stored.seq} is {error}{_VERIFY}") from error
        except (Failed, projections.Incoherent) as error:
            await self._keep((stored,), projections.bare(organisation, stored.raw, b"", self._now, str(error)))

    async def _keep(self, page: Sequence[Stored], rows: Rows) -> None:
        if abs(rows.policy_version or 0) > INT_MAX:
            raise Failed("it tells a version that no column holds")
        late = {
            (stored.epoch, stored.seq)
            for stored in page
            if stored.kind in self.heard_late and (stored.epoch, stored.seq) >= self.heard_late[stored.kind]
        }
        notices = [notice for notice in rows.notices if (notice.epoch, notice.seq) in late]
        await self._database.project(rows, rows.answers, notices)
        self.unread.update(task.about for task in rows.tasks if task.kind == Task.UNREADABLE_ENTRY)
        self._orders_last = max(self._orders_last, rows.orders_last)
        if rows.policy_version is not None:
            self._policy_version = rows.policy_version

    async def compare(self, since: tuple[int, int] | None = None) -> Mapping[str, int]:
        return await self._database.compare(self._bank, self._policy_version, self._orders_last, self._now, since)


_VERIFY = ": `latchwork verify` says what is wrong with it"
