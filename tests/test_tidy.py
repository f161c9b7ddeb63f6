"""The fence of ARCHITECTURE.md: who may import whom, no clock or chance in the core, SQL in one room.

It reads source, runs none of it, and is no style police. To change a rule, change the table and say why in a decision
record. Each rule is shown to bite on a small bad source at the end of this file.
"""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"

ANY = frozenset({"*"})

VALUES = frozenset(
    {
        "__future__",
        "bisect",
        "collections.abc",
        "dataclasses",
        "datetime",
        "enum",
        "functools",
        "itertools",
        "types",
        "typing",
    }
)
"""Standard library that only shapes values: all that `domain` may have."""

PURE = VALUES | {
    "abc",
    "base64",
    "binascii",
    "collections",
    "copy",
    "decimal",
    "fractions",
    "hashlib",
    "heapq",
    "hmac",
    "json",
    "math",
    "operator",
    "re",
    "string",
    "struct",
    "unicodedata",
    "uuid",
    "zlib",
}
"""Standard library that computes and touches nothing. Its few impure functions are in IMPURE."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a package may import besides itself. The innermost room that contains a module is the one that counts."""

    ours: frozenset[str]
    """Modules of Latchwork, without the `latchwork.` in front."""
    others: frozenset[str]
    """Third-party packages."""
    standard: frozenset[str] = ANY


def room(ours: str, others: str | frozenset[str], standard: frozenset[str] = ANY) -> Room:
    third_party = frozenset(others.split()) if isinstance(others, str) else others
    return Room(frozenset(ours.split()), third_party, standard)


ROOMS: Mapping[str, Room] = {
    "domain": room("", "", VALUES),
    "sync": room("domain", "msgspec cryptography", PURE),
    "store": room("domain sync", "asyncpg"),
    "ui": room("", "jinja2 markupsafe"),
    "insight": room("domain store", ANY),
    "edge": room("domain sync store ui", ANY),
    "edge.drivers": room(
        "domain.words edge.drivers.protocol edge.drivers.frames edge.drivers.line edge.drivers.bus", "serialx"
    ),
    "edge.drivers.gpio": room("domain.words edge.drivers.protocol", "gpiozero"),
    # Networked relays share how they are polled and talked to, as the boards of a serial bus do.
    "edge.drivers.device": room("domain.words edge.drivers.protocol", "aiomqtt httpx paho"),
    **{
        f"edge.drivers.{family}": room("edge.drivers.protocol edge.drivers.device", "")
        for family in ("esphome", "shelly", "tasmota")
    },
    "server": room("domain sync store ui insight", ANY),
    "server.web": room("domain.words server.actions server.access ui", ANY),
    "server.api": room("domain.words server.actions server.access ui", ANY),
    "simulator": Room(ANY, ANY),
    # Runs where its key is, and shares with server and wall only what is signed.
    "sign": room("domain sync", "cryptography httpx msgspec"),
    # The command line imports the subcommand that was asked for, and nothing before it was.
    "main": Room(ANY, ANY),
    "__main__": Room(ANY, ANY),
}

LOOPLESS = frozenset({"edge.loop", "server.exchange", "server.notices"})
"""Run in pretend time by the simulator, so they may not know what an event loop is."""
EVENT_LOOPS = ("asyncio", "anyio", "trio", "uvloop")

TIMELESS = frozenset({"domain", "sync"})
"""Time and randomness arrive here as arguments, and nothing is read, written or said."""
IMPURE = (
    "asyncio",
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "logging",
    "os",
    "random",
    "secrets",
    "time",
    "uuid.getnode",
    "uuid.uuid1",
    "uuid.uuid4",
)
IMPURE_BUILTINS = frozenset({"__import__", "breakpoint", "eval", "exec", "input", "open", "print"})
KEY_MAKERS = re.compile(r"cryptography\..*\.(generate|generate_key|generate_private_key|generate_parameters)")

# All capitals or all small: "Select a door" is a button, "SELECT a" is not.
SQL = re.compile(
    r"\s*(?:"
    r"SELECT\s|select\s.+\sfrom\s|WITH\s+\w+\s+AS\s|with\s+\w+\s+as\s*\("
    r"|(?i:INSERT\s+INTO\s|DELETE\s+FROM\s|UPDATE\s+\S+\s+(?:AS\s+\w+\s+)?SET\s+[\w(][^=]*=)"
    r"|(?:CREATE|ALTER|DROP)\s+(?:UNLOGGED\s+|TEMP\s+|UNIQUE\s+)?(?:TABLE|INDEX|VIEW|DATABASE|FUNCTION|TYPE)\s"
    r"|(?:create|alter|drop)\s+(?:table|index|view|database)\s"
    r")",
    re.DOTALL,
)


def violations(module: str, source: str, *, package: bool = False) -> list[str]:
    """What is wrong with one module, a line each. `module` is its name without the `latchwork.` in front."""
    tree = ast.parse(source)
    found = [*_imports(module, tree, package)]
    if _top(module) in TIMELESS:
        found += _impurities(tree)
    if _top(module) != "store":
        found += _statements(tree)
    return [f"{module}:{line} {what}" for line, what in sorted(set(found))]


def _imports(module: str, tree: ast.AST, package: bool) -> Iterator[tuple[int, str]]:
    name = max((name for name in ROOMS if _within(module, {name})), key=len, default="")
    inner = ROOMS.get(name, Room(frozenset(), frozenset()))
    for line, imported in _imported(module, tree, package):
        top = imported.split(".")[0]
        if module in LOOPLESS and top in EVENT_LOOPS:
            yield line, f"imports {imported}: it runs in pretend time, without an event loop"
        if imported.startswith("latchwork."):
            target = imported.removeprefix("latchwork.")
            fine = _within(target, inner.ours | {_home(module, name)})
        elif top in sys.stdlib_module_names:
            fine = _within(imported, inner.standard)
        else:
            fine = _within(imported, inner.others)
        if not fine:
            yield line, f"imports {imported}: not for {name or 'this place'}"


def _imported(module: str, tree: ast.AST, package: bool) -> Iterator[tuple[int, str]]:
    """Every import, lazy ones and those for type checkers too; `from a import b` counts as `a.b`."""
    here = ["latchwork", *module.split(".")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = here[: len(here) - node.level + package] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def _home(module: str, name: str) -> str:
    """What a module may import without being told: its own room, and of the drivers only its own folder."""
    if name != "edge.drivers":
        return name or module
    return ".".join(module.split(".")[:3]) if module != name else "edge.drivers.protocol"


def _impurities(tree: ast.AST) -> Iterator[tuple[int, str]]:
    known = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]  # what `import a.b` binds
                known[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in IMPURE_BUILTINS and node.id not in known:
            yield node.lineno, f"uses {node.id}()"
        if isinstance(node, ast.Name | ast.Attribute):
            used = _dotted(node, known)
            # Also when it is only handed on: a default of `datetime.now` is a clock too.
            if used and (_within(used, frozenset(IMPURE)) or KEY_MAKERS.fullmatch(used)):
                yield node.lineno, f"uses {used}: time and randomness arrive as arguments"


def _dotted(node: ast.expr, known: Mapping[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute) and (owner := _dotted(node.value, known)):
        return f"{owner}.{node.attr}"
    return None


def _statements(tree: ast.AST) -> Iterator[tuple[int, str]]:
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in prose:
            continue
        if SQL.match(node.value):
            yield node.lineno, f"speaks SQL: {' '.join(node.value.split())[:40]!r} belongs into store"


def _within(module: str, places: frozenset[str] | set[str]) -> bool:
    return "*" in places or any(module == place or module.startswith(f"{place}.") for place in places)


def _top(module: str) -> str:
    return module.split(".")[0]


def modules() -> list[Path]:
    return sorted((SOURCE / "latchwork").rglob("*.py"))


def test_the_migrations_are_numbered_without_a_gap() -> None:
    """Of two that were written side by side, whoever lands second takes the next number."""
    numbers = sorted(path.name[:4] for path in (SOURCE / "latchwork" / "store" / "schema").glob("[0-9]*.sql"))
    assert numbers == [f"{n:04}" for n in range(1, len(numbers) + 1)]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE / "latchwork")))
def test_the_tree_keeps_its_rules(path: Path) -> None:
    parts = list(path.relative_to(SOURCE / "latchwork").with_suffix("").parts)
    package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if package else parts)
    assert violations(name, path.read_text(encoding="utf-8"), package=package) == []


def test_sql_files_live_in_store() -> None:
    strays = [path for path in SOURCE.rglob("*.sql") if "store" not in path.relative_to(SOURCE).parts]
    assert strays == []


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("domain.decide", "import re", "imports re"),
        ("domain.decide", "import collections", "imports collections"),
        ("domain.decide", "import msgspec", "imports msgspec"),
        ("domain.decide", "def f():\n    from latchwork.sync import codec", "imports latchwork.sync.codec"),
        ("domain.decide", "from ..store import memory", "imports latchwork.store.memory"),
        ("domain.decide", "import time", "imports time"),
        ("domain.decide", "import logging", "imports logging"),
        ("domain.decide", "import asyncio", "imports asyncio"),
        ("domain.decide", "from datetime import datetime\nx = datetime.now()", "uses datetime.datetime.now"),
        ("domain.decide", "import datetime as d\nx = d.datetime.utcnow()", "uses datetime.datetime.utcnow"),
        ("domain.decide", "from datetime import date\nx = date.today", "uses datetime.date.today"),
        ("domain.decide", "x = open('f')", "uses open()"),
        ("sync.exchange", "import socket", "imports socket"),
        ("sync.exchange", "import random", "imports random"),
        ("sync.exchange", "import secrets", "imports secrets"),
        ("sync.exchange", "from os import urandom", "imports os.urandom"),
        ("sync.exchange", "from uuid import uuid4\nx = uuid4()", "uses uuid.uuid4"),
        ("sync.exchange", "import uuid\nx = uuid.uuid1()", "uses uuid.uuid1"),
        ("sync.exchange", "import time as t\nx = t.monotonic()", "uses time.monotonic"),
        (
            "sync.custody",
            "from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey as K\nk = K.generate()",
            "Ed25519PrivateKey.generate",
        ),
        ("sync.exchange", "from latchwork.store import sqlite", "imports latchwork.store.sqlite"),
        ("store.postgres", "import latchwork.server.actions", "imports latchwork.server.actions"),
        ("store.postgres", "import litestar", "imports litestar"),
        ("ui.pages", "from latchwork.domain.words import Reason", "imports latchwork.domain.words.Reason"),
        ("ui.pages", "import asyncpg", "imports asyncpg"),
        ("edge.loop", "from latchwork.server import exchange", "imports latchwork.server.exchange"),
        ("edge.main", "from latchwork.simulator import boards", "imports latchwork.simulator.boards"),
        ("edge.loop", "import asyncio", "without an event loop"),
        ("server.exchange", "from asyncio import sleep", "without an event loop"),
        ("server.notices", "import asyncio", "without an event loop"),
        ("edge.drivers.kerong.bus", "from latchwork.domain import bank", "imports latchwork.domain.bank"),
        ("edge.drivers.kerong.bus", "import latchwork.edge.loop", "imports latchwork.edge.loop"),
        ("edge.drivers.kerong.bus", "from latchwork.edge.drivers import other", "imports latchwork.edge.drivers.other"),
        ("edge.drivers.kerong.bus", "from ..other import bus", "imports latchwork.edge.drivers.other.bus"),
        ("edge.drivers.kerong.bus", "import msgspec", "imports msgspec"),
        ("edge.drivers", "from latchwork.edge.drivers import kerong", "imports latchwork.edge.drivers.kerong"),
        ("server.main", "from latchwork.edge import loop", "imports latchwork.edge.loop"),
        ("server.main", "import latchwork.simulator", "imports latchwork.simulator"),
        ("server.web.resident", "from latchwork.store import postgres", "imports latchwork.store.postgres"),
        ("server.web.resident", "from latchwork.server.api import stays", "imports latchwork.server.api.stays"),
        ("server.api.stays", "from latchwork.server.web import pages", "imports latchwork.server.web.pages"),
        ("insight.forecast", "from latchwork.server import jobs", "imports latchwork.server.jobs"),
        ("stray", "import latchwork.domain.words", "not for this place"),
        ("server.actions.stays", "q = 'SELECT 1'", "speaks SQL"),
        ("server.actions.stays", "q = f'''\n  INSERT INTO {t} VALUES (1)'''", "speaks SQL"),
        ("edge.journal", "q = 'update t set a = 1'", "speaks SQL"),
        ("edge.journal", "q = 'DELETE FROM t'", "speaks SQL"),
        ("simulator.replay", "q = 'select a\\nfrom t'", "speaks SQL"),
        ("simulator.replay", "q = 'CREATE TABLE t (a int)'", "speaks SQL"),
        ("simulator.replay", "q = 'WITH a AS (SELECT 1) SELECT 2'", "speaks SQL"),
    ],
)
def test_each_rule_bites(module: str, source: str, complaint: str) -> None:
    assert any(complaint in found for found in violations(module, source))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "domain.decide",
            "from collections.abc import Iterator\nfrom latchwork.domain import words\nfrom . import bank",
        ),
        ("domain.decide", "from datetime import UTC, datetime, timedelta\nx = datetime(2026, 1, 1, tzinfo=UTC)"),
        ("domain.decide", "def decide(bank, command, now, time, random):\n    return now + time.now() + bank.open"),
        ("sync.codec", "import msgspec, struct\nfrom latchwork.domain.entries import Entry\nfrom uuid import uuid5"),
        ("store.sqlite", "import sqlite3, os, time\nfrom latchwork.sync import codec\nq = 'SELECT 1'"),
        ("edge.drivers.kerong.bus", "import asyncio, serialx\nfrom . import frames\nfrom ..protocol import Fault"),
        ("edge.drivers.protocol", "from latchwork.domain.words import DoorState"),
        (
            "edge.link",
            "import asyncio, websockets\nfrom latchwork.sync import exchange\nfrom latchwork.edge import loop",
        ),
        (
            "server.api.stays",
            "import litestar\nfrom latchwork.server.actions import stays\nfrom latchwork.ui import words",
        ),
        ("server.web.resident", "title = 'Select a door'\nhint = 'Update your set of codes'\n'SELECT in prose'"),
        ("simulator.stage", "from latchwork.edge import main\nfrom latchwork.server import actions"),
        ("main", "import latchwork.simulator.stage"),
    ],
)
def test_no_rule_bites_the_innocent(module: str, source: str) -> None:
    assert violations(module, source) == []


def test_relative_imports_of_a_package_start_at_the_package() -> None:
    assert violations("domain", "from .words import Size", package=True) == []
    assert violations("sync", "from ..edge import loop", package=True) != []
