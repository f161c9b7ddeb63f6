"""The table of ASVS has every requirement of levels 1 and 2 once, and names tests and pages that exist."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "reference" / "asvs.md"
STATES = ("met", "not met", "not shown", "does not apply")
ASKED = """
    1.1:1-2 1.2:1-9 1.3:1-11 1.4:1-3 1.5:1-2 2.1:1-3 2.2:1-3 2.3:1-4 2.4:1 3.2:1-2 3.3:1-4 3.4:1-6 3.5:1-5 3.7:1-2
    4.1:1-3 4.2:1 4.3:1-2 4.4:1-4 5.1:1 5.2:1-3 5.3:1-2 5.4:1-3 6.1:1-3 6.2:1-12 6.3:1-4 6.4:1-4 6.5:1-5 6.6:1-3
    6.8:1-4 7.1:1-3 7.2:1-4 7.3:1-2 7.4:1-5 7.5:1-2 7.6:1-2 8.1:1-2 8.2:1-3 8.3:1 8.4:1 9.1:1-3 9.2:1-4 10.1:1-2
    10.2:1-2 10.3:1-4 10.4:1-11 10.5:1-5 10.6:1-2 10.7:1-3 11.1:1-2 11.2:1-3 11.3:1-3 11.4:1-4 11.5:1 11.6:1 12.1:1-3
    12.2:1-2 12.3:1-4 13.1:1 13.2:1-5 13.3:1-2 13.4:1-5 14.1:1-2 14.2:1-4 14.3:1-3 15.1:1-3 15.2:1-3 15.3:1-7 16.1:1
    16.2:1-5 16.3:1-4 16.4:1-3 16.5:1-3 17.1:1 17.2:1-4 17.3:1-2
"""
"""The numbers of both levels: 70 and 183."""


def rows() -> list[list[str]]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if re.match(r"\| \d", line)]


def test_every_requirement_stands_once() -> None:
    asked = []
    for section, first, last in re.findall(r"([\d.]+):(\d+)(?:-(\d+))?", ASKED):
        asked += [f"{section}.{n}" for n in range(int(first), int(last or first) + 1)]
    assert len(asked) == 70 + 183
    assert sorted(number for row in rows() for number in row[0].split(", ")) == sorted(asked)


def test_what_is_met_says_where_and_all_of_it_exists() -> None:
    for numbers, _asked, stands in rows():
        assert stands.startswith(STATES), numbers
        named = re.findall(r"`([\w/]+/)?(test_\w+\.py)(?:::(\w+))?`", stands)
        pages = re.findall(r"\]\(([^)]+)\)", stands)
        if stands.startswith("met"):
            assert named or pages or "the same test" in stands, numbers
        for folder, file, name in named:
            path = TESTS / folder / file
            tests = {x.name for x in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if hasattr(x, "name")}
            assert not name or name in tests, f"{numbers}: {path.name}::{name}"
        assert [page for page in pages if not (PAGE.parent / page).is_file()] == [], numbers
