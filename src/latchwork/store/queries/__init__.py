"""The SQL of the cloud as files to be read: `-- name: so_and_so` on a line of its own, a comment, one statement.

Nothing is put together from pieces: parameters go in as $1, $2, ... only.
"""

import re
from collections.abc import Mapping
from pathlib import Path

_NAME = re.compile(r"^-- name: ([a-z][a-z0-9_]*)$", re.MULTILINE)


def load(topic: str) -> Mapping[str, str]:
    """The statements of `<topic>.sql`, by name."""
    text = Path(__file__).with_name(f"{topic}.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)
    named = dict(zip(parts[1::2], (statement.strip() for statement in parts[2::2]), strict=True))
    assert len(named) == len(parts) // 2, f"{topic}.sql names a statement twice"
    return named
