"""The Merkle log against RFC 6962's own vectors, against another library, and against tampering."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree  # type: ignore[import-untyped]  # it ships no types

from latchwork.sync import custody

# The eight leaves and roots that Certificate Transparency implementations test with.
LEAVES = [
    bytes.fromhex(digits)
    for digits in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


class Log:
    def __init__(self, entries: list[bytes]) -> None:
        self.frontier = custody.Frontier()
        self.beside: list[bytes] = []
        self.frontiers = [self.frontier]
        for entry in entries:
            self.frontier, completed = self.frontier.append(entry)
            self.beside.append(completed)
            self.frontiers.append(self.frontier)

    def node(self, level: int, index: int) -> bytes:
        seq, offset = custody.home(level, index)
        return self.beside[seq][offset : offset + custody.HASH_BYTES]


def test_published_roots() -> None:
    for size, root in ROOTS.items():
        assert Log(LEAVES[:size]).frontier.root().hex() == root


@given(st.lists(st.binary(max_size=8), max_size=70))
def test_roots_agree_with_another_implementation(entries: list[bytes]) -> None:
    tree = InmemoryTree(algorithm="sha256")
    for entry in entries:
        tree.append_entry(entry)
    log = Log(entries)
    if entries:
        assert log.frontier.root() == tree.get_root()
    assert log.frontier == custody.frontier_at(log.node, len(entries))
    assert custody.Frontier.of(len(entries), log.frontier.to_bytes()) == log.frontier


@given(st.integers(1, 80), st.data())
def test_every_proof_holds_and_no_bent_one_does(size: int, data: st.DataObject) -> None:
    log = Log([bytes([i]) for i in range(size)])
    root = log.frontier.root()
    index = data.draw(st.integers(0, size - 1))
    leaf = custody.leaf_hash(bytes([index]))
    path = custody.inclusion_path(log.node, index, size)
    assert custody.verify_inclusion(leaf, index, size, path, root)
    assert not custody.verify_inclusion(leaf, index, size, [*path, root], root)
    assert not custody.verify_inclusion(custody.leaf_hash(b"other"), index, size, path, root)
    assert not custody.verify_inclusion(leaf, index, size, path, sha256(root).digest())
    assert not custody.verify_inclusion(leaf, size, size, path, root)
    if path:
        assert not custody.verify_inclusion(leaf, index, size, path[:-1], root)
    first = data.draw(st.integers(1, size))
    first_root = log.frontiers[first].root()
    steps = custody.consistency_path(log.node, first, size)
    assert custody.verify_consistency(first, size, first_root, root, steps)
    assert not custody.verify_consistency(first, size, sha256(first_root).digest(), root, steps)
    assert not custody.verify_consistency(first, size, first_root, root, [*steps, root])
    assert not custody.verify_consistency(0, size, custody.EMPTY_ROOT, root, steps)
    if steps:
        assert not custody.verify_consistency(first, size, first_root, root, steps[:-1])


def test_impossible_arguments_are_refused() -> None:
    log = Log(LEAVES)
    for index, size in ((-1, 8), (8, 8)):
        with pytest.raises(ValueError, match="of a log"):
            custody.inclusion_path(log.node, index, size)
    for first, second in ((0, 8), (9, 8)):
        with pytest.raises(ValueError, match="from"):
            custody.consistency_path(log.node, first, second)
    with pytest.raises(ValueError, match="peaks"):
        custody.Frontier.of(3, b"\0" * 32)
