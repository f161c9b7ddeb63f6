"""Whether the stored rows of a log are what its bank wrote: names the entry that was changed, removed or moved.

Each entry is held against the hashes that were kept beside it and beside its neighbours, and the whole against the
roots that others know of it. Pure: rows come in, sentences go out.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

from latchwork.domain.words import BankId
from latchwork.sync.codec import KIND_CHARACTERS_MAX, Unreadable, read_envelope
from latchwork.sync.custody import EMPTY_ROOT, HASH_BYTES, Frontier, leaf_hash, node_hash

FINDINGS_MAX = 100


class Row(NamedTuple):
    """An entry as it is stored. `at` and `kind` are what the cloud keeps of it in columns of their own."""

    seq: int
    raw: bytes
    nodes: bytes
    at: datetime | None = None
    kind: str | None = None


class LogHead(msgspec.Struct, frozen=True):
    """The first line of a log in a file; the others are its entries' bytes in base64, in their order."""

    bank: str
    epoch: int
    key: str
    """The device key that signed `checkpoint`, in hex."""
    checkpoint: str
    format: Literal["latchwork log 1"] = "latchwork log 1"


def read_log_head(line: bytes) -> LogHead:
    """Raises ValueError."""
    try:
        return msgspec.json.decode(line, type=LogHead)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"the file is not a log: {error}") from None


class Stated(NamedTuple):
    """What `who` says of the first `size` entries."""

    who: str
    size: int
    root: bytes


@dataclass(slots=True)
class Audit:
    """What is wrong with a log, as sentences without their full stops."""

    size: int = 0
    """One more than the last entry that is there."""
    findings: list[str] = field(default_factory=list)


def audit(rows: Iterable[Row], stated: Collection[Stated], log: tuple[BankId, int]) -> Audit:
    """Rows of `log`, in the order of `seq`. Of one that is not whole, the first FINDINGS_MAX findings are told."""
    found = Audit()
    sizes = {each.size for each in stated}
    roots = {0: EMPTY_ROOT}
    tree = _Tree()
    for row in rows:
        if row.seq > found.size:
            found.findings.append(f"{_entries(found.size, row.seq)} missing")
            tree.cut()
        found.size = row.seq + 1
        wrong = _wrong(row, log)
        doubted = tree.grow(row, blamed=bool(wrong))
        if wrong or doubted:
            found.findings.append(wrong or doubted)
        if found.size in sizes:
            roots[found.size] = tree.root()
        if len(found.findings) >= FINDINGS_MAX:
            found.findings.append("there may be more")
            return found
    roots[found.size] = tree.root()
    whole = not found.findings
    for each in stated:
        if found.size < each.size:
            found.findings.append(f"{_entries(found.size, each.size)} missing at the end, says {each.who}")
        elif whole and roots[each.size] != each.root:
            found.findings.append(
                f"one of the first {each.size} entries was changed together with all hashes above it, says {each.who}; "
                "another copy of the log tells which"
            )
    return found


def differences(journal: Iterable[Row], cloud: Iterable[Row]) -> Iterator[str]:
    """Where the cloud's copy is not the journal's, as far as it goes. Rows come in the order of `seq`."""
    ours = iter(journal)
    mine = next(ours, None)
    for row in cloud:
        while mine is not None and mine.seq < row.seq:
            yield f"entry {mine.seq} is in the journal and not in the database"
            mine = next(ours, None)
        if mine is None or mine.seq > row.seq:
            yield f"entry {row.seq} is in the database and not in the journal"
            continue
        if mine.raw != row.raw:
            yield f"entry {row.seq} is one in the journal and another in the database"
        mine = next(ours, None)


def _wrong(row: Row, log: tuple[BankId, int]) -> str:
    """What is wrong with one row by itself."""
    try:
        envelope = read_envelope(row.raw)
    except Unreadable as error:
        return f"entry {row.seq} was changed: it is {error}"
    if (envelope.bank, envelope.epoch) != log:
        return f"entry {row.seq} is of another log: bank {envelope.bank}, epoch {envelope.epoch}"
    if envelope.seq != row.seq:
        return f"in the place of entry {row.seq} stands entry {envelope.seq}: removed or reordered"
    if leaf_hash(row.raw) != row.nodes[:HASH_BYTES]:
        return f"entry {row.seq} was changed: its bytes are not those whose hash was kept"
    if row.at not in (None, envelope.at) or row.kind not in (None, envelope.kind[:KIND_CHARACTERS_MAX]):
        return f"the row of entry {row.seq} was changed: its time or kind is not what its bytes say"
    return ""


class _Tree:
    """The complete subtrees so far. Of each its first entry, and what its hash may be: as kept, or as computed."""

    def __init__(self) -> None:
        self._peaks: list[tuple[int, tuple[bytes, ...]]] | None = []
        self._blamed = -1
        """The last entry that something was said of: what follows from it is not said again."""

    def cut(self) -> None:
        """After a gap nothing can be computed any more."""
        self._peaks = None

    def grow(self, row: Row, *, blamed: bool) -> str:
        """What the hashes beside this entry say against it or those before it."""
        if blamed:
            self._blamed = row.seq
        if self._peaks is None:
            return ""
        kept = [row.nodes[i : i + HASH_BYTES] for i in range(0, len(row.nodes), HASH_BYTES)]
        levels = (row.seq + 1 & -(row.seq + 1)).bit_length()
        here: tuple[bytes, ...] = (*kept[:1], leaf_hash(row.raw))
        first = row.seq
        # The first of the entries of which one is not what it was.
        doubted = row.seq if len(row.nodes) != levels * HASH_BYTES else None
        for level in range(1, levels):
            first, left = self._peaks.pop()
            computed = [node_hash(a, b) for a in left for b in here]
            if level < len(kept) and kept[level] in computed:
                here = (kept[level],)
                continue
            doubted = first
            here = (*kept[level : level + 1], computed[0])
        self._peaks.append((first, tuple(dict.fromkeys(here))))
        if doubted is None or self._blamed >= doubted:
            return ""
        self._blamed = row.seq
        if doubted == row.seq:
            return f"the hashes kept beside entry {row.seq} were changed"
        return (
            f"one of the entries {doubted} to {row.seq} was changed together with its hash, or a hash beside them was"
        )

    def root(self) -> bytes:
        peaks = tuple(hashes[0] for _, hashes in self._peaks or ())
        return Frontier(0, peaks).root()


def _entries(start: int, end: int) -> str:
    return f"entry {start} is" if end - start == 1 else f"entries {start} to {end - 1} are"
