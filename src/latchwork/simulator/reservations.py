"""Reads a file of real reservations, oddities and all: rows to play, and a named reason for each that cannot be.

The columns are those of NYC Open Data's "LockerNYC Reservations". Times there are local; everything here is UTC. What
the file leaves open is decided here and said where it is decided, so that a reader can disagree.
"""

import csv
import gzip
import math
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo

from latchwork.domain.bank import Fitting
from latchwork.domain.words import CompartmentId, Size

ZONE = ZoneInfo("America/New_York")
DOORS_MAX = 500
"""A higher door number is taken for a slip of the pen."""
HOURS_DEFAULT = 72
HOURS_MAX = 366 * 24
YEARS = range(2000, 2200)

SIZES: Mapping[str, Size] = {
    "S": Size(380, 80, 640),
    "M": Size(380, 170, 640),
    "L": Size(380, 350, 640),
    "XL": Size(380, 720, 640),
}
"""The file names sizes and gives no measures; these nest, and that is all that matters here."""

_FORMATS = ("%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f")
_COLUMNS = (
    "Type",
    "Created Date",
    "Delivery Date",
    "Withdraw Date",
    "Expire Date",
    "Locker Name",
    "Locker Box Door",
    "Locker Size",
)


class Kind(StrEnum):
    """Who puts in and who takes out."""

    RECEIVE = "Receive"
    SEND = "Send"
    DIRECT = "Direct"


class Unplayable(StrEnum):
    """Why a row is not played at all."""

    NO_LOCKER = "not played: names no locker"
    UNKNOWN_TYPE = "not played: unknown type"
    NO_CREATION = "not played: no date of creation"
    GARBLED = "not played: a date cannot be read"
    BEFORE_CREATION = "not played: delivered before it was created"
    BEFORE_DELIVERY = "not played: collected before it was delivered"


@dataclass(frozen=True, slots=True)
class Reservation:
    """A row that can be played. `row` counts from 1. `door` and `size`: None where the file does not say."""

    row: int
    locker: str
    kind: Kind
    created: datetime
    delivered: datetime | None
    withdrawn: datetime | None
    expires: datetime | None
    door: CompartmentId | None
    size: str | None
    mark: str
    """A hash of the whole row: two rows that are the same in every column have the same."""

    @property
    def hours(self) -> int:
        """From delivery to expiry, in whole hours; the usual three days where the file does not say."""
        if self.delivered is None or self.expires is None:
            return HOURS_DEFAULT
        return max(0, min(HOURS_MAX, round((self.expires - self.delivered) / timedelta(hours=1))))


@dataclass(frozen=True, slots=True)
class Unplayed:
    row: int
    locker: str
    why: Unplayable


@dataclass(slots=True)
class File:
    """What a file holds. `remarks` counts what was decided for it, by sentence."""

    rows: int = 0
    reservations: list[Reservation] = field(default_factory=list)
    unplayed: list[Unplayed] = field(default_factory=list)
    remarks: Counter[str] = field(default_factory=Counter)

    def lockers(self) -> dict[str, list[Reservation]]:
        found: dict[str, list[Reservation]] = defaultdict(list)
        for reservation in self.reservations:
            found[reservation.locker].append(reservation)
        return dict(sorted(found.items()))


class WrongFile(ValueError):
    """Not a file of reservations; the message says why."""


def read(path: Path, limit: int | None = None, zone: ZoneInfo = ZONE) -> File:
    """Raises WrongFile, OSError. `limit`: the first so many rows."""
    file = File()
    try:
        with _text(path) as text:
            for values in _rows(text, limit):
                file.rows += 1
                read_row = _Row(file.rows, values, file.remarks, zone).read()
                if isinstance(read_row, Reservation):
                    file.reservations.append(read_row)
                else:
                    file.unplayed.append(read_row)
    except (UnicodeDecodeError, csv.Error, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise WrongFile(f"{path} cannot be read: {error}") from None
    return file


def _text(path: Path) -> TextIO:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if packed:
        return TextIOWrapper(gzip.open(path), encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _rows(text: Iterable[str], limit: int | None) -> Iterator[dict[str, str]]:
    reader = csv.DictReader(text)
    missing = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise WrongFile(f"This is no file of reservations: it has no column {missing[0]!r}.")
    for n, row in enumerate(reader):
        if limit is not None and n >= limit:
            return
        yield {str(key): value for key, value in row.items() if isinstance(value, str)}


class _Garbled(Exception):
    pass


class _Row:
    def __init__(self, number: int, values: Mapping[str, str], remarks: Counter[str], zone: ZoneInfo) -> None:
        self._number = number
        self._values = values
        self._remarks = remarks
        self._zone = zone

    def read(self) -> Reservation | Unplayed:
        locker = self._word("Locker Name")
        try:
            kind = Kind(self._word("Type").capitalize())
        except ValueError:
            kind = None
        try:
            return self._playable(locker, kind)
        except _Garbled:
            return self._no(locker, Unplayable.GARBLED)

    def _playable(self, locker: str, kind: Kind | None) -> Reservation | Unplayed:
        if not locker:
            return self._no(locker, Unplayable.NO_LOCKER)
        if kind is None:
            return self._no(locker, Unplayable.UNKNOWN_TYPE)
        created = self._time("Created Date")
        if created is None:
            return self._no(locker, Unplayable.NO_CREATION)
        delivered = self._time("Delivery Date", created)
        if delivered is not None and delivered < created:
            return self._no(locker, Unplayable.BEFORE_CREATION)
        withdrawn = self._time("Withdraw Date", delivered)
        if delivered is not None and withdrawn is not None and withdrawn < delivered:
            return self._no(locker, Unplayable.BEFORE_DELIVERY)
        return Reservation(
            self._number,
            locker,
            kind,
            created,
            delivered,
            withdrawn,
            self._expires(delivered),
            self._door(),
            self._size(),
            sha256("\x1f".join(f"{k}\x1e{v}" for k, v in sorted(self._values.items())).encode()).hexdigest(),
        )

    def _no(self, locker: str, why: Unplayable) -> Unplayed:
        return Unplayed(self._number, locker or "(none)", why)

    def _word(self, column: str) -> str:
        return " ".join(self._values.get(column, "").split())

    def _time(self, column: str, not_before: datetime | None = None) -> datetime | None:
        """None where the column is empty. Raises _Garbled.

        An hour that happens twice is the first one, unless that would be before `not_before`; a time that never was
        is moved on by the gap.
        """
        text = self._word(column)
        if not text:
            return None
        local = _local(text)
        first, second = (local.replace(tzinfo=self._zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if first == second:
            return first
        if first.astimezone(self._zone).replace(tzinfo=None) != local:
            self._remarks["a local time that never was (clocks going forward): moved on by the gap"] += 1
            return first
        self._remarks["a local time that was twice (clocks going back): the first that comes in order"] += 1
        return second if not_before is not None and first < not_before else first

    def _expires(self, delivered: datetime | None) -> datetime | None:
        """How long somebody had decides no door, so a row is not given up for it."""
        if delivered is None:
            return None
        try:
            expires = self._time("Expire Date", delivered)
        except _Garbled:
            expires = None
        if expires is None or not timedelta(0) <= expires - delivered <= timedelta(hours=HOURS_MAX):
            self._remarks[f"no usable time of expiry: {HOURS_DEFAULT} hours"] += 1
            return None
        return expires

    def _door(self) -> CompartmentId | None:
        text = self._word("Locker Box Door")
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not number.is_integer() or not 1 <= number <= DOORS_MAX:
            if text:
                self._remarks["no usable door number: any door that fits"] += 1
            return None
        return label(int(number))

    def _size(self) -> str | None:
        text = self._word("Locker Size").upper()
        if text in SIZES:
            return text
        self._remarks["no size" if not text else "a size of unknown name"] += 1
        return None


def _local(text: str) -> datetime:
    for form in _FORMATS:
        try:
            local = datetime.strptime(text, form)  # noqa: DTZ007  # the file's times carry no zone
        except ValueError:
            continue
        if local.year in YEARS:
            return local
    raise _Garbled(text)


def label(number: int) -> CompartmentId:
    return CompartmentId(f"{number:02}")


def fittings(reservations: Sequence[Reservation]) -> tuple[Fitting, ...]:
    """The wall that these need: doors 1 to the highest number, which is the least that the locker can have.

    A door that appears with several sizes has the largest of them: it must have held that. A door that never appears
    is of the smallest size: it may not be there to save anything large.
    """
    seen: dict[str, str] = {}
    order = list(SIZES)
    for reservation in reservations:
        if reservation.door is not None:
            had, new = seen.get(reservation.door, order[0]), reservation.size or order[0]
            seen[reservation.door] = max(had, new, key=order.index)
    highest = max((int(door) for door in seen), default=0)
    if not highest:
        return (Fitting(label(1), SIZES[order[-1]]),)
    return tuple(Fitting(label(n), SIZES[seen.get(label(n), order[0])]) for n in range(1, highest + 1))


def overlapping(reservations: Iterable[Reservation]) -> set[int]:
    """Rows that the file puts behind a door while another's thing is behind it."""
    by_door: dict[tuple[str, str], list[Reservation]] = defaultdict(list)
    for reservation in reservations:
        if reservation.door is not None and reservation.delivered is not None:
            by_door[reservation.locker, reservation.door].append(reservation)
    shared: set[int] = set()
    for stays in by_door.values():
        until: datetime | None = None
        for stay in sorted(stays, key=lambda r: (r.delivered, r.row)):
            assert stay.delivered is not None
            if until is not None and stay.delivered < until:
                shared.add(stay.row)
            end = stay.withdrawn or datetime.max.replace(tzinfo=UTC)
            until = end if until is None else max(until, end)
    return shared
