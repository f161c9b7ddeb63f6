"""The map of a commissioned wall, to be printed and kept in its cabinet: as text, and as a page of its own."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from latchwork.edge.commission import words
from latchwork.edge.config import CompartmentTable, Tables
from latchwork.edge.seal import Edition
from latchwork.ui.pages import STATIC, environment
from latchwork.ui.wall import Door, columns
from latchwork.ui.words import words as spoken

HERE = Path(__file__).parent
HEAD = ("door", "bus", "channel", "inside, mm", "reach, mm", "more", "contact", "opens in")


def text(tables: Tables, made: Edition, wrong: Sequence[str]) -> str:
    """`wrong`: a sentence for each channel that is left out."""
    rows = [HEAD, *map(_row, tables.compartment)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    lines = [f"Wall map, configuration {made.version}", f"sha256 {made.sha256}", ""]
    lines += [f"bus {number}: {bus.driver} at {bus.port}" for number, bus in enumerate(tables.bus)]
    lines += ["", *("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)]
    lines += ["", *(f"! {problem}" for problem in wrong)] if wrong else []
    return "\n".join(lines) + "\n"


def page(tables: Tables, made: Edition, wrong: Sequence[str]) -> str:
    """It stands alone: its style is in it, and it needs no server."""
    doors = [Door(table.id, *table.size_mm[:2]) for table in tables.compartment if not table.shelf]
    return (
        environment(HERE / "templates")
        .get_template("commission/map.html")
        .render(
            w=spoken("en"),
            look=_look(),
            made=made,
            buses=tables.bus,
            wall=columns(doors),
            head=HEAD,
            rows=list(map(_row, tables.compartment)),
            wrong=wrong,
        )
    )


def _look() -> Markup:
    sheets = [*(STATIC / name for name in ("tokens.css", "base.css", "wall.css")), HERE / "static" / "map.css"]
    style = "\n".join(sheet.read_text(encoding="utf-8") for sheet in sheets)
    return Markup("<style>\n{}</style>").format(Markup(style))


def _row(table: CompartmentTable) -> tuple[str, ...]:
    size, reach, more = words.described(table)
    wired = (str(table.bus), str(table.channel)) if table.channel is not None else ("", "")
    contact = "as expected" if table.contact is None else str(table.contact)
    seconds = f"{table.open_seconds:g} s" if table.open_seconds is not None else ""
    return (table.id, *wired, size, reach, more, contact if table.channel is not None else "", seconds)
