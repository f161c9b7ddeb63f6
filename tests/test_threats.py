"""The page on threats names a test for each, and every test that it names exists."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "explanation" / "threat-model.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def test_every_threat_has_a_test_and_every_test_exists() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith("| threat |")]
    assert len(rows) > 25
    missing = [row for row in rows if not NAMED.search(row)]
    assert not missing, "no test is named"
    for file, name in (found for row in rows for found in NAMED.findall(row)):
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        tests = {x.name for x in ast.walk(tree) if isinstance(x, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert tests and (not name or name in tests), f"{file}::{name}"
