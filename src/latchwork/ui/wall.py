"""The picture of a locker wall, laid out: columns of doors with proportional sizes. Values in, values out.

Sizes are given in units of 1/120 of the wall's height, which the style sheet knows as classes `u-1` to `u-120`,
because our pages carry no inline style.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

UNITS = 120
HEIGHT_MM_MAX = 1800
"""Where nobody said in which column a door is, a column is filled up to this."""


@dataclass(frozen=True, slots=True)
class Door:
    """One compartment as its picture needs it. `state` and `door` as the domain words them; empty: not shown."""

    id: str
    width_mm: int
    height_mm: int
    state: str = ""
    door: str = ""
    here: bool = False
    """The one that the page is about."""
    column: int | None = None
    row: int | None = None
    """Place on the wall, from the left and from the top, where somebody has written it down."""


@dataclass(frozen=True, slots=True)
class Cell:
    units: int
    door: Door | None
    """None: plain wall."""


@dataclass(frozen=True, slots=True)
class Column:
    units: int
    """Its width."""
    cells: tuple[Cell, ...]


def columns(doors: Iterable[Door]) -> tuple[Column, ...]:
    """By the written place if every door has one; else top-down in the order of their labels, column after column."""
    stacks = _stacks(sorted(doors, key=lambda d: (len(d.id), d.id)))
    if not stacks:
        return ()
    tallest = max(_height(stack) for stack in stacks)
    return tuple(_column(stack, tallest) for stack in stacks)


def _stacks(doors: Sequence[Door]) -> list[list[Door]]:
    if all(d.column is not None for d in doors):
        numbers = sorted({d.column for d in doors if d.column is not None})
        return [sorted((d for d in doors if d.column == n), key=lambda d: (d.row or 0, d.id)) for n in numbers]
    # Even columns look like a wall; the last one taking only what is left over does not.
    total = sum(d.height_mm for d in doors)
    count = max(1, -(-total // HEIGHT_MM_MAX))
    stacks: list[list[Door]] = [[]]
    for door in doors:
        full = _height(stacks[-1]) + door.height_mm / 2 > total / count
        if stacks[-1] and full and len(stacks) < count:
            stacks.append([])
        stacks[-1].append(door)
    return stacks


def _height(stack: Sequence[Door]) -> int:
    return sum(d.height_mm for d in stack)


def _column(stack: Sequence[Door], tallest: int) -> Column:
    scale = UNITS / max(tallest, 1)
    cells = [Cell(_units(door.height_mm * scale), door) for door in stack]
    left = UNITS - sum(cell.units for cell in cells)
    if left > 1:
        cells.append(Cell(left, None))
    return Column(_units(max(d.width_mm for d in stack) * scale), tuple(cells))


def _units(exact: float) -> int:
    return min(UNITS, max(1, round(exact)))
