"""The tamper-evident log: an RFC 6962 Merkle tree over the exact bytes of the entries.

The arguments and algorithms are those of RFC 9162, section 2.1. A log keeps, beside entry `i`, the hashes of all
complete subtrees that entry `i` completes (itself first, then upwards): two hashes an entry on average, from which
every root and every proof can be read with a logarithmic number of look-ups.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()

Node = Callable[[int, int], bytes]
"""node(level, index): root of the complete subtree over leaves [index * 2**level, (index + 1) * 2**level)."""


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """What is needed to go on: the roots of the complete subtrees of a log of `size` entries, largest first."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append(self, entry: bytes) -> tuple["Frontier", bytes]:
        """The next frontier, and the hashes that this entry completes, to be kept beside it."""
        peaks = list(self.peaks)
        top = leaf_hash(entry)
        completed = [top]
        at = self.size
        while at & 1:
            top = node_hash(peaks.pop(), top)
            completed.append(top)
            at >>= 1
        return Frontier(self.size + 1, (*peaks, top)), b"".join(completed)

    def root(self) -> bytes:
        if not self.peaks:
            return EMPTY_ROOT
        top = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            top = node_hash(peak, top)
        return top

    def to_bytes(self) -> bytes:
        return b"".join(self.peaks)

    @staticmethod
    def of(size: int, peaks: bytes) -> "Frontier":
        """Raises ValueError where the number of peaks is not that of a log of `size`."""
        if size < 0 or len(peaks) != size.bit_count() * HASH_BYTES:
            raise ValueError(f"{len(peaks)} bytes of peaks for a log of {size}")
        return Frontier(size, tuple(peaks[i : i + HASH_BYTES] for i in range(0, len(peaks), HASH_BYTES)))


def home(level: int, index: int) -> tuple[int, int]:
    """Where a node is kept: the entry beside which it lies, and its offset in bytes there."""
    return ((index + 1) << level) - 1, level * HASH_BYTES


def homes(read: Callable[[Node], object]) -> set[int]:
    """Beside which entries lie the nodes that `read` looks up: so that they can be fetched before, all at once."""
    seen: set[int] = set()

    def node(level: int, index: int) -> bytes:
        seen.add(home(level, index)[0])
        return EMPTY_ROOT

    read(node)
    return seen


def kept(beside: Mapping[int, bytes]) -> Node:
    """The nodes that were fetched. One that is missing is empty, and proves nothing."""

    def node(level: int, index: int) -> bytes:
        seq, offset = home(level, index)
        return beside.get(seq, b"")[offset : offset + HASH_BYTES]

    return node


def frontier_at(node: Node, size: int) -> Frontier:
    """The frontier of the first `size` entries, in a logarithmic number of look-ups."""
    peaks = []
    start = 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            peaks.append(node(level, start >> level))
            start += 1 << level
    return Frontier(size, tuple(peaks))


def _subtree(node: Node, start: int, end: int) -> bytes:
    """MTH over leaves [start, end), where start is a multiple of the largest power of two below the length."""
    length = end - start
    if length & (length - 1) == 0:
        level = length.bit_length() - 1
        return node(level, start >> level)
    split = 1 << ((length - 1).bit_length() - 1)
    return node_hash(_subtree(node, start, start + split), _subtree(node, start + split, end))


def inclusion_path(node: Node, index: int, size: int) -> list[bytes]:
    """PATH(index, D[size]) of RFC 9162, 2.1.3.1. Raises ValueError for an index outside the log."""
    if not 0 <= index < size:
        raise ValueError(f"entry {index} of a log of {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        split = 1 << ((end - start - 1).bit_length() - 1)
        if index - start < split:
            path.append(_subtree(node, start + split, end))
            end = start + split
        else:
            path.append(_subtree(node, start, start + split))
            start += split
    return path[::-1]


def consistency_path(node: Node, first: int, second: int) -> list[bytes]:
    """PROOF(first, D[second]) of RFC 9162, 2.1.4.1. Raises ValueError unless 0 < first <= second."""
    if not 0 < first <= second:
        raise ValueError(f"from {first} to {second}")
    path: list[bytes] = []
    start, end, whole = 0, second, True
    while first - start != end - start:
        split = 1 << ((end - start - 1).bit_length() - 1)
        if first - start <= split:
            path.append(_subtree(node, start + split, end))
            end = start + split
        else:
            path.append(_subtree(node, start, start + split))
            start += split
            whole = False
    if not whole:
        path.append(_subtree(node, start, end))
    return path[::-1]


def verify_inclusion(
    hash: bytes,  # noqa: A002 - its name in the RFC
    leaf_index: int,
    tree_size: int,
    inclusion_path: Sequence[bytes],
    root_hash: bytes,
) -> bool:
    """Whether `inclusion_path` proves that `hash` (a leaf's) is leaf `leaf_index` of the log of `tree_size`.

    RFC 9162, 2.1.3.2, with its names. What is no number, or not the bytes of a hash, proves nothing.
    """
    if not _numbers(leaf_index, tree_size) or not 0 <= leaf_index < tree_size:
        return False
    if not _hashes(hash, root_hash, *inclusion_path):
        return False
    fn, sn, r = leaf_index, tree_size - 1, hash
    for p in inclusion_path:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root_hash


def verify_consistency(
    first: int, second: int, first_hash: bytes, second_hash: bytes, consistency_path: Sequence[bytes]
) -> bool:
    """Whether `consistency_path` proves that the log of `first` entries is a prefix of that of `second`.

    RFC 9162, 2.1.4.2, with its names. A log is a prefix of itself by an empty path; of an empty log nothing is proven.
    """
    if not _numbers(first, second) or not 0 < first <= second:
        return False
    if first == second:
        return not consistency_path and first_hash == second_hash
    if not _hashes(first_hash, second_hash, *consistency_path):
        return False
    nodes = list(consistency_path)
    if first & (first - 1) == 0:
        nodes.insert(0, first_hash)
    if not nodes:
        return False
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = nodes[0]
    for c in nodes[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == first_hash and sr == second_hash


def _numbers(*values: object) -> bool:
    return all(type(v) is int for v in values)


def _hashes(*values: object) -> bool:
    return all(isinstance(v, bytes) and len(v) == HASH_BYTES for v in values)
