"""A screen as a name with plain values, and the pictures that several screens show: the wall, and its sizes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from latchwork.domain.bank import Bank, Compartment
from latchwork.domain.words import ServiceId, Size
from latchwork.edge.kiosk.papers import Papers

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Screen:
    name: str
    values: Values


def wall(
    bank: Bank, papers: Papers, *, here: str | None = None, states: bool = False, of: set[str] | None = None
) -> list[Values]:
    """The doors as values. Whose compartments are full is nobody's business but staff's: `states`."""
    doors = []
    for compartment in sorted(bank.compartments.values(), key=lambda x: x.id):
        if compartment.fitting.shelf:
            continue
        column, row = papers.columns.get(compartment.id, (None, None))
        doors.append(
            {
                "id": compartment.id,
                "width_mm": compartment.fitting.size.width_mm,
                "height_mm": compartment.fitting.size.height_mm,
                "state": str(compartment.state) if states else "",
                "door": str(compartment.door) if states else "",
                "here": compartment.id == here or (of is not None and compartment.id in of),
                "column": column,
                "row": row,
            }
        )
    return doors


_NAMES: Mapping[int, tuple[str, ...]] = {
    1: ("only",),
    2: ("small", "large"),
    3: ("small", "medium", "large"),
    4: ("small", "medium", "large", "extra_large"),
    5: ("extra_small", "small", "medium", "large", "extra_large"),
}


def sizes(bank: Bank) -> list[tuple[str, Size]]:
    """The sizes of this wall by name, smallest first, at most five."""
    boxes = [x.fitting for x in bank.compartments.values() if x.fitting.claimable]
    built = sorted({x.size for x in boxes}, key=lambda s: (s.volume_mm3, size_key(s)))
    if len(built) > 5:
        built = [built[round(i * (len(built) - 1) / 4)] for i in range(5)]
    return list(zip(_NAMES[len(built)], built, strict=True)) if built else []


def size_key(size: Size) -> str:
    return f"{size.width_mm}x{size.height_mm}x{size.depth_mm}"


def shelves(bank: Bank) -> list[Compartment]:
    return sorted((x for x in bank.compartments.values() if x.fitting.shelf), key=lambda x: x.id)


def gates(bank: Bank) -> list[str]:
    return sorted(x.id for x in bank.compartments.values() if x.fitting.gate)


def walk_ins(bank: Bank) -> list[ServiceId]:
    """Services that whoever stands here may use with no code."""
    return sorted(x.id for x in bank.policy.services if x.walk_in)
