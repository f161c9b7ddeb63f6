"""The Merkle log against RFC 6962's own vectors, against another library, and against tampering."""

from hashlib import sha256
from typing import Any

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
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
SOME_HASH = bytes.fromhex("abacaba000000000000000000000000000000000000000000060061e00123456")

# The proofs of transparency-dev/merkle's test data, as (index or first size, size, path).
A = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
B = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
C = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
D = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
G = "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f"
INCLUSIONS = [
    (0, 1, []),
    (0, 8, [C, A, D]),
    (5, 8, [B, E, ROOTS[4]]),
    (2, 3, [ROOTS[2]]),
    (1, 5, [ROOTS[1], A, B]),
]
CONSISTENCIES = [
    (1, 1, []),
    (1, 8, [C, A, D]),
    (6, 8, [F, E, ROOTS[4]]),
    (2, 5, [A, B]),
    (6, 7, [F, G, ROOTS[4]]),
]


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


@pytest.mark.parametrize(("index", "size", "digits"), INCLUSIONS)
def test_published_inclusion_proofs_and_how_they_must_fail(index: int, size: int, digits: list[str]) -> None:
    path, root = [bytes.fromhex(d) for d in digits], bytes.fromhex(ROOTS[size])
    leaf = custody.leaf_hash(LEAVES[index])
    assert custody.verify_inclusion(leaf, index, size, path, root)
    bad: list[tuple[bytes, int, int, list[bytes], bytes]] = [
        *((leaf, i % 2**64, size, path, root) for i in (index - 1, index + 1, index ^ 2, -1)),
        *((leaf, index, s, path, root) for s in (size * 2, size // 2)),
        *((wrong, index, size, path, root) for wrong in (b"WrongLeaf", b"")),
        *((leaf, index, size, path, wrong) for wrong in (custody.EMPTY_ROOT, SOME_HASH, b"")),
        *((leaf, index, size, longer, root) for end in (b"", root) for longer in ([*path, end], [end, *path])),
        *((leaf, index, size, bent, root) for bent in _bits_flipped(path, 8)),
    ]
    if path:
        bad.append((leaf, index, size, path[:-1], root))
    if len(path) > 1:
        bad.append((leaf, index, size, [path[0], SOME_HASH, *path[1:]], root))
    for arguments in bad:
        assert not custody.verify_inclusion(*arguments)


@pytest.mark.parametrize(("first", "second", "digits"), CONSISTENCIES)
def test_published_consistency_proofs_and_how_they_must_fail(first: int, second: int, digits: list[str]) -> None:
    path, one, two = [bytes.fromhex(d) for d in digits], bytes.fromhex(ROOTS[first]), bytes.fromhex(ROOTS[second])
    assert custody.verify_consistency(first, second, one, two, path)
    if not path:
        return
    bad: list[tuple[int, int, bytes, bytes, list[bytes]]] = [
        *((f, second, one, two, path) for f in (first - 1, first + 1, first ^ 2)),
        *((first, s, one, two, path) for s in (second * 2, second // 2)),
        (first, second, b"WrongRoot", two, path),
        (first, second, one, b"WrongRoot", path),
        (first, second, two, one, path),
        (first, second, one, two, []),
        (first, second, one, two, path[:-1]),
        (first, second, one, two, [path[0], *path]),
        *((first, second, one, two, [*path, end]) for end in (b"", one, two)),
        *((first, second, one, two, [end, *path]) for end in (b"", one, two)),
        *((first, second, one, two, bent) for bent in _bits_flipped(path, 16)),
    ]
    for arguments in bad:
        assert not custody.verify_consistency(*arguments)


def test_published_edges() -> None:
    one, two, empty = b"don't care 1", b"don't care 2", custody.EMPTY_ROOT
    assert custody.verify_consistency(1, 1, two, two, [])
    bad: list[tuple[int, int, bytes, bytes, list[bytes]]] = [
        (0, 0, one, two, []),
        (1, 1, one, two, []),
        (0, 0, one, one, []),
        (0, 1, one, two, []),
        (1, 0, one, two, []),
        (2, 1, one, two, []),
        (1, 2, one, two, []),
        (0, 0, empty, two, []),
        (1, 1, empty, two, []),
        (0, 0, empty, empty, [empty]),
        (1, 1, empty, empty, [empty]),
        (0, 1, empty, two, []),
        (0, 1, empty, empty, [empty]),
    ]
    for arguments in bad:
        assert not custody.verify_consistency(*arguments)
    for index, size in ((0, 0), (0, 1), (1, 0), (2, 1)):
        for leaf, root in ((SOME_HASH, b""), (b"", empty), (SOME_HASH, empty)):
            assert not custody.verify_inclusion(leaf, index, size, [], root)


def _bits_flipped(path: list[bytes], bit: int) -> list[list[bytes]]:
    return [[*path[:i], bytes([p[0] ^ bit]) + p[1:], *path[i + 1 :]] for i, p in enumerate(path)]


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


def test_the_names_are_those_of_the_rfc_and_what_is_no_hash_or_number_proves_nothing() -> None:
    log = Log(LEAVES)
    inclusion: dict[str, Any] = {
        "hash": custody.leaf_hash(LEAVES[5]),
        "leaf_index": 5,
        "tree_size": 8,
        "inclusion_path": custody.inclusion_path(log.node, 5, 8),
        "root_hash": log.frontier.root(),
    }
    consistency: dict[str, Any] = {
        "first": 6,
        "second": 8,
        "first_hash": log.frontiers[6].root(),
        "second_hash": log.frontier.root(),
        "consistency_path": custody.consistency_path(log.node, 6, 8),
    }
    for verify, good in ((custody.verify_inclusion, inclusion), (custody.verify_consistency, consistency)):
        assert verify(**good)
        for name, value in good.items():
            others = [None, "5", "a" * 32, 5.0, True] if not isinstance(value, list) else [[None] * 3, [5], ["a" * 32]]
            for other in others:
                assert not verify(**{**good, name: other}), (name, other)
