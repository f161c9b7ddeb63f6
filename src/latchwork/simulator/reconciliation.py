"""A replayed file against the server's own rows: every row is accounted for once, and every copy of a log is whole.

What the rows cannot know (why a door stayed shut: a refusal at the wall is no entry) comes from whoever played, and
must fit the rows; a row that fits nothing is a discrepancy, and discrepancies do not add up.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from latchwork.domain.words import BankId, Reason, StayState
from latchwork.simulator.reservations import File, Reservation, overlapping
from latchwork.store.postgres import PostgresStore
from latchwork.store.queries import load
from latchwork.sync.custody import Frontier

SHOWN_MAX = 10


@dataclass(frozen=True, slots=True)
class Played:
    """One bank after its last event. `moved`, `refused`: why, by row of the file."""

    bank: BankId
    locker: str
    doors: int
    epoch: int
    size: int
    root: bytes
    stays: Mapping[int, str]
    repeats: frozenset[int]
    moved: Mapping[int, str]
    refused: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class SeenStay:
    id: str
    bank: str
    state: str
    reason: str | None
    compartment: str | None
    deadline: datetime | None
    deposited_at: datetime | None
    expired_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class SeenLog:
    """`root` is as the server states it, `folded` computed anew from the entries that it holds."""

    id: str
    epoch: int
    size: int
    root: bytes
    divided: str | None
    entries: int
    doors: int
    unanswered: int
    folded: bytes


@dataclass(frozen=True, slots=True)
class Seen:
    """What the server's rows say of an organisation."""

    stays: Sequence[SeenStay]
    logs: Sequence[SeenLog]


class Class(StrEnum):
    """What became of a row. Beside these, `refused: ...` and `not played: ...`, each with its reason."""

    IN_TIME = "stored and collected in time"
    AFTER_EXPIRY = "stored, and collected after expiry"
    LEFT = "stored, and not collected in the file"
    NEVER = "announced, never delivered in the file"
    REPEATED = "the same as an earlier row: announced once"
    DISCREPANT = "DISCREPANCY"


@dataclass(slots=True)
class Account:
    rows: int
    classes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """By locker, then by class."""
    doors: Counter[str] = field(default_factory=Counter)
    """Of the stored: whose door it was."""
    wall_doors: dict[str, int] = field(default_factory=dict)
    logs_whole: int = 0
    entries: int = 0
    late_otherwise: int = 0
    """Rows whose file and whose server do not agree on whether it was collected after expiry."""
    late_in_file: int = 0
    delay_max: timedelta = timedelta(0)
    """The longest that a deposit or a collection here was done after its minute in the file."""
    discrepancies: list[str] = field(default_factory=list)

    @property
    def total(self) -> Counter[str]:
        return sum(self.classes.values(), Counter())

    @property
    def adds_up(self) -> bool:
        return not self.discrepancies and self.total.total() == self.rows


_queries = load("replay")


async def look(store: PostgresStore, organisation: str) -> Seen:
    stays = [SeenStay(**row) for row in await store.fetch(_queries["stays"], organisation)]
    logs = []
    for row in await store.fetch(_queries["logs"], organisation):
        frontier = Frontier()
        for found in await store.fetch(_queries["raws"], row["id"], row["epoch"]):
            frontier, _ = frontier.append(found["raw"])
        logs.append(SeenLog(**row, folded=frontier.root()))
    return Seen(stays, logs)


def reconcile(file: File, played: Iterable[Played], seen: Seen) -> Account:
    account = Account(file.rows)
    for unplayed in file.unplayed:
        account.classes[unplayed.locker][unplayed.why.value] += 1
    lockers = {one.locker: one for one in played}
    stays = {stay.id: stay for stay in seen.stays}
    for bank in lockers.values():
        account.wall_doors[bank.locker] = bank.doors
    told: set[str] = set()
    shared = overlapping(file.reservations)
    for row in file.reservations:
        bank = lockers[row.locker]
        announced = bank.stays.get(row.row)
        stay = stays.get(announced) if announced else None
        if row.row in bank.repeats:
            name: str = Class.REPEATED if stay is not None else Class.DISCREPANT
        else:
            name = _class(row, bank, stay)
            told |= {announced} if announced else set()
        if name is Class.DISCREPANT:
            found = f"{stay.state} in its rows" if stay else "no stay in its rows"
            account.discrepancies.append(f"row {row.row} ({row.locker}): the server has {found}")
        elif stay is not None and stay.deposited_at is not None and row.row not in bank.repeats:
            _note(account, row, bank, stay, name, row.row in shared)
        account.classes[row.locker][name] += 1
    account.discrepancies += [
        f"stay {x} is in the server's rows and in no row of the file" for x in stays.keys() - told
    ]
    _compare_logs(account, lockers.values(), seen.logs)
    return account


def _class(row: Reservation, bank: Played, stay: SeenStay | None) -> str:
    """What the server's row says, as far as the file allows it."""
    refused = bank.refused.get(row.row)
    if stay is None or stay.bank != bank.bank:
        return Class.DISCREPANT
    state = StayState(stay.state)
    if state is StayState.COLLECTED and row.withdrawn is not None:
        return Class.AFTER_EXPIRY if stay.expired_at is not None else Class.IN_TIME
    if state in (StayState.DEPOSITED, StayState.EXPIRED) and stay.deposited_at is not None:
        if refused is not None:
            return f"stored, collection refused: {refused}"
        return Class.LEFT if row.withdrawn is None else Class.DISCREPANT
    if state is StayState.EXPECTED and stay.deposited_at is None:
        if refused is not None:
            return f"refused: {refused}"
        return Class.NEVER if row.delivered is None else Class.DISCREPANT
    if state is StayState.EXCEPTION and stay.deposited_at is None and stay.reason:
        return f"refused: {stay.reason}"
    return Class.DISCREPANT


def _note(account: Account, row: Reservation, bank: Played, stay: SeenStay, name: str, shared: bool) -> None:
    if row.door is None:
        account.doors["the file names no door: the smallest that fitted"] += 1
    elif stay.compartment == row.door:
        account.doors["behind the door that the file names"] += 1
    elif bank.moved.get(row.row) != Reason.COMPARTMENT_OCCUPIED:
        account.doors[f"behind another door: {bank.moved.get(row.row)}"] += 1
    elif shared:
        account.doors["shared a compartment in the file: behind a door of its own here"] += 1
    else:
        account.doors["behind another door, as one that had to move is behind its own"] += 1
    assert stay.deposited_at is not None and row.delivered is not None
    account.delay_max = max(account.delay_max, stay.deposited_at - row.delivered)
    if stay.ended_at is not None and row.withdrawn is not None:
        account.delay_max = max(account.delay_max, stay.ended_at - row.withdrawn)
        late = row.expires is not None and row.withdrawn > row.expires
        account.late_in_file += late
        account.late_otherwise += late != (name == Class.AFTER_EXPIRY)


def _compare_logs(account: Account, played: Iterable[Played], logs: Sequence[SeenLog]) -> None:
    copies = {log.id: log for log in logs}
    for bank in played:
        log = copies.pop(bank.bank, None)
        if log is None:
            account.discrepancies.append(f"{bank.locker}: the server knows no such bank")
            continue
        account.entries += log.entries
        mine, its = (bank.epoch, bank.size, bank.root), (log.epoch, log.size, log.root)
        if mine != its or log.entries != bank.size or log.folded != bank.root or log.divided is not None:
            account.discrepancies.append(
                f"{bank.locker}: its journal has {bank.size} entries, the server's head says {log.size} and its copy "
                f"has {log.entries}; the Merkle roots {'agree' if log.folded == log.root == bank.root else 'differ'}"
            )
        elif log.doors != bank.doors:
            account.discrepancies.append(f"{bank.locker}: {bank.doors} doors, and {log.doors} in the server's rows")
        elif log.unanswered:
            account.discrepancies.append(f"{bank.locker}: {log.unanswered} instructions have no answer")
        else:
            account.logs_whole += 1
    account.discrepancies += [f"bank {x} is in the server's rows and in no row of the file" for x in copies]


# As text


def report(file: File, account: Account, took_s: float) -> str:
    total = account.total
    return "\n".join(
        [
            *_table(account),
            "",
            *(_line(count, name) for name, count in _in_order(total)),
            _line(total.total(), f"in all; rows read: {account.rows:,}"),
            "",
            "Of the stored:",
            *(_line(count, name) for name, count in account.doors.most_common()),
            *([] if not file.remarks else ["", "Decided for the file:"]),
            *(_line(count, what) for what, count in file.remarks.most_common()),
            "",
            *_checks(account),
            f"{took_s:.1f} s.",
            *account.discrepancies[:SHOWN_MAX],
            *(
                [f"... and {len(account.discrepancies) - SHOWN_MAX} more."]
                if len(account.discrepancies) > SHOWN_MAX
                else []
            ),
            "Everything adds up." if account.adds_up else "IT DOES NOT ADD UP.",
        ]
    )


def _checks(account: Account) -> list[str]:
    late, otherwise, delay_s = account.late_in_file, account.late_otherwise, account.delay_max.total_seconds()
    copies = f"{account.logs_whole} of {len(account.wall_doors)} ({account.entries:,} entries)"
    return [
        f"Collected after expiry by the file's own times: {late:,}; judged otherwise here: {otherwise:,}.",
        f"Nothing was done more than {delay_s:.0f} s after its minute in the file.",
        f"Copies on the server that equal the bank's journal, entry for entry and root for root: {copies}.",
    ]


_HEADS = ("doors", "rows", "in time", "late", "left", "never", "refused", "repeated", "not played", "wrong")


def _table(account: Account) -> list[str]:
    names = sorted(account.classes)
    width = max([len(name) for name in names] + [len("in all")])
    lines = [f"{'':<{width}} " + " ".join(f"{head:>{max(7, len(head))}}" for head in _HEADS)]
    for name in [*names, "in all"]:
        whole = name == "in all"
        counts = account.total if whole else account.classes[name]
        doors = sum(account.wall_doors.values()) if whole else account.wall_doors.get(name, 0)
        cells = [
            doors,
            counts.total(),
            counts[Class.IN_TIME],
            counts[Class.AFTER_EXPIRY],
            counts[Class.LEFT],
            counts[Class.NEVER],
            sum(n for key, n in counts.items() if "refused" in key),
            counts[Class.REPEATED],
            sum(n for key, n in counts.items() if key.startswith("not played")),
            counts[Class.DISCREPANT],
        ]
        lines.append(
            f"{name:<{width}} " + " ".join(f"{n:>{max(7, len(h))},}" for n, h in zip(cells, _HEADS, strict=True))
        )
    return lines


def _in_order(total: Counter[str]) -> list[tuple[str, int]]:
    known = [name.value for name in Class]
    return sorted(total.items(), key=lambda x: (known.index(x[0]) if x[0] in known else len(known), x[0]))


def _line(count: int, what: str) -> str:
    return f"{count:>8,}  {what}"
