"""The design's promises that a machine can check: contrast, no inline code, no address elsewhere, a wall to scale."""

import re
from itertools import product
from pathlib import Path

import pytest

from latchwork.ui.pages import PAGE_HEADERS, STATIC, TEMPLATES
from latchwork.ui.wall import UNITS, Door, columns

SOURCE = Path(__file__).parents[2] / "src" / "latchwork"
PAGES = sorted(path for path in SOURCE.rglob("*.html") if "mail" not in path.parent.name and path.name != "verify.html")
"""Without mails: those have no style sheet to go to, and no script either. And without the page that is one file by
intent, and brings a policy of its own (tests/server/test_verify_page.py)."""

ON = [
    ("text", "paper"),
    ("text", "card"),
    ("text-soft", "paper"),
    ("text-soft", "card"),
    ("on-sign", "sign"),
    ("on-sign-soft", "sign"),
    ("on-signal", "signal"),
    ("on-signal", "signal-strong"),
    ("text", "door"),
    ("on-door-full", "door-full"),
    ("bad", "bad-paper"),
    ("bad", "card"),
    ("text", "bad-paper"),
    ("text", "good-paper"),
    ("text", "warn-paper"),
    ("good", "card"),
    ("signal", "sign"),
]
EDGES = [("line", "paper"), ("line", "card"), ("focus", "paper"), ("focus", "focus-gap"), ("door-edge", "door")]


def palettes() -> dict[str, dict[str, str]]:
    light, dark = (STATIC / "tokens.css").read_text().split("@media (prefers-color-scheme: dark)")
    found = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", text)) for text in (light, dark)]
    return {"light": found[0], "dark": found[0] | found[1]}


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("theme", "pair"), list(product(("light", "dark"), ON)))
def test_text_can_be_read(theme: str, pair: tuple[str, str]) -> None:
    colours = palettes()[theme]
    assert contrast(colours[pair[0]], colours[pair[1]]) >= 4.5


@pytest.mark.parametrize(("theme", "pair"), list(product(("light", "dark"), EDGES)))
def test_edges_can_be_seen(theme: str, pair: tuple[str, str]) -> None:
    colours = palettes()[theme]
    assert contrast(colours[pair[0]], colours[pair[1]]) >= 3


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_pages_keep_to_the_policy(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=\"|javascript:", text)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text)


def test_nothing_of_ours_asks_somebody_else() -> None:
    for path in [*STATIC.iterdir(), *(SOURCE / "edge" / "kiosk" / "static").iterdir()]:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text and "@import" not in text and "url(" not in text, path.name
    assert "unsafe" not in PAGE_HEADERS["Content-Security-Policy"]
    assert TEMPLATES.is_dir()


def test_a_wall_is_drawn_to_scale_in_even_columns() -> None:
    doors = [Door(f"{n:02d}", 380, h) for n, h in enumerate([80] * 10 + [190] * 8 + [410] * 4, 1)]
    drawn = columns(doors)
    assert [cell.door.id for column in drawn for cell in column.cells if cell.door] == [d.id for d in doors]
    assert len(drawn) == 3 and all(sum(cell.units for cell in column.cells) <= UNITS + 4 for column in drawn)
    by_id = {cell.door.id: cell.units for column in drawn for cell in column.cells if cell.door}
    assert by_id["01"] < by_id["11"] < by_id["19"]


def test_a_written_place_is_kept() -> None:
    drawn = columns(
        [
            Door("1", 300, 500, column=1, row=0),
            Door("2", 300, 500, column=0, row=1),
            Door("3", 300, 500, column=0, row=0),
        ]
    )
    assert [[c.door.id for c in column.cells if c.door] for column in drawn] == [["3", "2"], ["1"]]
    assert [c.units for c in drawn[1].cells] == [60, 60] and drawn[1].cells[1].door is None


def test_no_doors_no_wall() -> None:
    assert columns([]) == ()
