"""Draws docs/reference/states.md: every change of a stay's and of a compartment's state that the rules make.

The changes are watched, not declared: arbitrary commands run through `decide` and `apply`, as in the property tests,
and each change is written down with the kinds of entry that made it. `python -m tools.states` adds to the page what it
has not seen before, because some changes are rare; where a rule has gone, delete the page first.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random

from tests.domain.test_properties import World, live

from latchwork.domain.apply import apply
from latchwork.domain.bank import Bank
from latchwork.domain.entries import (
    Cancelled,
    Collected,
    Entry,
    NotDelivered,
    Recalled,
    Released,
    Removed,
    Reported,
)
from latchwork.domain.words import StayState

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "states.md"
SEEDS, STEPS = 300, 300
NOTHING = "[*]"

Change = tuple[str, str]
Changes = dict[Change, set[str]]
_ARROW = re.compile(r"^ {4}(\S+) --> (\S+): (.+)$", re.MULTILINE)


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    stays, compartments = changes(SEEDS)
    for made, shown in zip((stays, compartments), drawn(), strict=True):
        for arrow, kinds in shown.items():
            made.setdefault(arrow, set()).update(kinds)
    return f"""# States of a stay and of a compartment

Drawn from the code by `tools/states.py`: what arbitrary commands make of a bank. Beside each arrow stand the entries
that make the change. A test fails when the code makes one that is not here; `python -m tools.states` adds it.

## A stay

Once ended, a stay is no longer in the bank's picture. One that was collected comes back where the recipient says,
within minutes, that they left it inside, that it is not theirs, or that they will not have it.

{_diagram(stays)}

## A compartment

The door beside it (`closed`, `open`, `unknown`) has states of its own, which follow the contact.

{_diagram(compartments)}
"""


def drawn() -> tuple[Changes, Changes]:
    """What is on the page now, of stays and of compartments."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    stays, _, compartments = text.partition("## A compartment")
    return _arrows(stays), _arrows(compartments)


def _arrows(text: str) -> Changes:
    return {(old, new): set(kinds.split(", ")) for old, new, kinds in _ARROW.findall(text)}


def changes(seeds: int) -> tuple[Changes, Changes]:
    """Of stays and of compartments, with the kinds of entry that make each."""
    stays: Changes = {}
    compartments: Changes = {}
    for seed in range(seeds):
        *_, (world, _, _) = live(Random(seed), STEPS)
        _watch(world, stays, compartments)
    return stays, compartments


def _watch(world: World, stays: Changes, compartments: Changes) -> None:
    bank = Bank(world.bank.id)
    for entry in world.log:
        after, kind = apply(bank, entry), type(entry.body).__name__
        for stay in sorted({*bank.stays, *after.stays}):
            back = StayState.COLLECTED if isinstance(entry.body, Reported) else NOTHING
            old = bank.stays[stay].state if stay in bank.stays else back
            new = after.stays[stay].state if stay in after.stays else _end(entry)
            _note(stays, old, new, kind)
        for where in sorted({*bank.compartments, *after.compartments}):
            before, now = (x.compartments.get(where) for x in (bank, after))
            _note(compartments, before.state if before else NOTHING, now.state if now else NOTHING, kind)
        bank = after


def _end(entry: Entry) -> str:
    """What became of a stay that this entry took out of the picture."""
    match entry.body:
        case Removed() | Reported():
            return entry.body.stay_state
        case Collected():
            return StayState.COLLECTED
        case Recalled():
            return StayState.RECALLED
        case Cancelled():
            return StayState.CANCELLED
        case Released() | NotDelivered():  # never announced, and forgotten
            return NOTHING
    raise AssertionError(f"{type(entry.body).__name__} ends a stay")


def _note(changes: Changes, old: str, new: str, kind: str) -> None:
    if old != new:
        changes.setdefault((str(old), str(new)), set()).add(kind)


def _diagram(changes: Mapping[Change, Iterable[str]]) -> str:
    arrows = [f"    {old} --> {new}: {', '.join(sorted(kinds))}" for (old, new), kinds in sorted(changes.items())]
    ends = sorted({new for _, new in changes} - {old for old, _ in changes} - {NOTHING})
    return "\n".join(("```mermaid", "stateDiagram-v2", *arrows, *(f"    {end} --> {NOTHING}" for end in ends), "```"))


if __name__ == "__main__":
    main()
