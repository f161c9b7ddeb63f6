"""The page of states shows every change that the rules make; a few worlds of those it was drawn from will tell."""

import re

from tools.states import PAGE, Changes, changes

SEEDS = 25
_ARROW = re.compile(r"^ {4}(\S+) --> (\S+): (.+)$", re.MULTILINE)


def drawn() -> tuple[Changes, Changes]:
    stays, compartments = PAGE.read_text(encoding="utf-8").split("## A compartment")
    return _arrows(stays), _arrows(compartments)


def _arrows(text: str) -> Changes:
    return {(old, new): set(kinds.split(", ")) for old, new, kinds in _ARROW.findall(text)}


def test_every_change_is_on_the_page() -> None:
    for made, shown in zip(changes(SEEDS), drawn(), strict=True):
        assert len(made) > 10
        unknown = {arrow: kinds - shown.get(arrow, set()) for arrow, kinds in made.items()}
        assert not {arrow: kinds for arrow, kinds in unknown.items() if kinds}, "python -m tools.states draws it anew"
