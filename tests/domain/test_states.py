"""The page of states shows every change that the rules make; a few worlds of those it was drawn from will tell."""

from tools.states import changes, drawn

SEEDS = 25


def test_every_change_is_on_the_page() -> None:
    for made, shown in zip(changes(SEEDS), drawn(), strict=True):
        assert len(made) > 10
        unknown = {arrow: kinds - shown.get(arrow, set()) for arrow, kinds in made.items()}
        assert not {arrow: kinds for arrow, kinds in unknown.items() if kinds}, "python -m tools.states adds it"
