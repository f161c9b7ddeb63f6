"""The demo's two walls: what is screwed where, and the configuration file that tells it to a bank."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WIDTH_MM, DEPTH_MM = 380, 640
HEIGHT_MM = {"S": 80, "M": 190, "L": 410}
"""The compartment sizes that Europe's parcel lockers have settled on."""
GAP_MM, PLINTH_MM = 15, 200
LOCKS_PER_BOARD = 16


@dataclass(frozen=True, slots=True)
class Compartment:
    id: str
    channel: int
    height_mm: int
    reach_mm: int
    climate: str = "ambient"
    features: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DemoWall:
    """`columns` from left to right, each from the top, by size."""

    key: str
    name: str
    columns: tuple[str, ...]
    chilled: frozenset[str] = frozenset()
    accessible: frozenset[str] = frozenset()

    @property
    def boards(self) -> int:
        return -(-sum(map(len, self.columns)) // LOCKS_PER_BOARD)

    def compartments(self) -> Iterator[Compartment]:
        channel = 0
        for column in self.columns:
            top_mm = PLINTH_MM + sum(HEIGHT_MM[size] + GAP_MM for size in column)
            for size in column:
                height_mm, label = HEIGHT_MM[size], f"{channel + 1:02}"
                yield Compartment(
                    label,
                    channel,
                    height_mm,
                    top_mm - height_mm // 2,
                    "chilled" if label in self.chilled else "ambient",
                    ("accessible",) if label in self.accessible else (),
                )
                channel, top_mm = channel + 1, top_mm - height_mm - GAP_MM

    def channel(self, compartment: str) -> int:
        return next(c.channel for c in self.compartments() if c.id == compartment)


LOBBY = DemoWall("lobby", "Lobby", ("SSMMLMSS", "SSMMLMSS"))
CAMPUS = DemoWall(
    "campus",
    "Campus",
    ("SSMMLMSS", "SSMMLMSS", "SSMMLMSS", "SMMLLMSS"),
    chilled=frozenset({"30"}),
    accessible=frozenset({"12", "20"}),
)


def write_config(
    path: Path, wall: DemoWall, *, server: str, kiosk: tuple[str, int], line: str, boards: range | None = None
) -> None:
    """What `latchwork edge` reads. TOML takes these strings as JSON writes them."""
    quoted = json.dumps
    text = ["# Written by `latchwork run` at every start.", "[bank]"]
    text += [f"server = {quoted(server)}", 'state = "state"', f'kiosk = "{kiosk[0]}:{kiosk[1]}"', ""]
    text += ["[[bus]]", 'driver = "kerong-cu16"', f"port = {quoted(line)}"]
    text += [f"boards = {list(boards if boards is not None else range(wall.boards))}", ""]
    for each in wall.compartments():
        text += ["[[compartment]]", f'id = "{each.id}"', f"size_mm = [{WIDTH_MM}, {each.height_mm}, {DEPTH_MM}]"]
        text += [f"channel = {each.channel}", f"reach_mm = {each.reach_mm}", f'climate = "{each.climate}"']
        text += [f"features = {quoted(list(each.features))}", ""]
    path.write_text("\n".join(text), encoding="utf-8")
