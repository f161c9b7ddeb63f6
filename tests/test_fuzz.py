"""Everything that the fuzzer ever found, and some that it begins with, once more."""

import pytest
from fuzz.targets import CORPUS, TARGETS
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_takes_or_refuses_what_it_begins_with_and_what_was_found(name: str) -> None:
    target = TARGETS[name]
    seeds = list(target.seeds())
    assert seeds
    for seed in seeds:
        target.read(seed)  # each is good
    for file in sorted((CORPUS / name).glob("*")):
        target.try_out(file.read_bytes())


@given(st.data())
def test_a_byte_changed_or_left_out_is_no_fault(data: st.DataObject) -> None:
    target = TARGETS[data.draw(st.sampled_from(sorted(TARGETS)))]
    seed = data.draw(st.sampled_from(list(target.seeds())))
    at = data.draw(st.integers(0, len(seed) - 1))
    target.try_out(seed[:at] + data.draw(st.binary(max_size=3)) + seed[at + 1 :])


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 20_000, b"[" * 100_000, b'{"a":' * 20_000, b"\x91" * 100_000, b"9" * 10_000, b'"\\ud800"'],
    ids=["nothing", "nul", "lists", "objects", "packed lists", "a long number", "half a character"],
)
def test_what_every_parser_has_to_expect(name: str, data: bytes) -> None:
    TARGETS[name].try_out(data)


def test_no_corpus_without_its_target() -> None:
    assert {folder.name for folder in CORPUS.iterdir() if folder.is_dir()} <= set(TARGETS)
