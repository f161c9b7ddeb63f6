"""The table of what is met names tests that exist."""

import re
from pathlib import Path

TESTS = Path(__file__).parent


def test_every_named_test_exists() -> None:
    table = (TESTS.parent / "docs" / "reference" / "asvs.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/]*test_\w+\.py)`", table))
    assert len(named) > 8
    assert [name for name in sorted(named) if not (TESTS / name).is_file()] == []
