"""The pages on keys and on connections name all that there are."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "latchwork"
PAGES = ROOT / "docs" / "reference"
KEYED = ("sync/keys.py", "server/actions/vault.py")
NETWORK = {"aiosmtplib", "httpx", "smtplib", "socket", "urllib.request", "websockets"}
LISTENS = {"server/ports.py", "server/link.py", "server/catcher.py", "server/main.py"}
"""The catcher is for trying out. The database is spoken with by `store` alone: see test_tidy."""


def trees(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    for folder in folders:
        for path in sorted((SOURCE / folder).rglob("*.py")):
            yield str(path.relative_to(SOURCE)), ast.parse(path.read_text(encoding="utf-8"))


def derived(tree: ast.Module) -> Iterator[str]:
    """The words that keys are derived by."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        if name in ("_derive", "_derived", "HKDF"):
            for part in ast.walk(call):
                said = part.value if isinstance(part, ast.Constant) else b""
                yield said.decode() if isinstance(said, bytes) else said if isinstance(said, str) else ""


def test_every_key_stands_on_the_page() -> None:
    page = (PAGES / "keys.md").read_text(encoding="utf-8")
    words = {
        re.sub(r"^latchwork (server )?|\0.*| $", "", said)
        for name, tree in trees("sync", "server")
        if name in KEYED
        for said in derived(tree)
    } - {"", "utf-8"}
    assert len(words) > 7
    assert [each for each in sorted(words) if f"`{each}`" not in page] == []
    files = {
        said.value
        for _, tree in trees("server", "edge")
        for said in ast.walk(tree)
        if isinstance(said, ast.Constant)
        and isinstance(said.value, str)
        and re.fullmatch(r"[\w-]+\.(key|secret)|identity\.json|first-\w+", said.value)
    }
    assert len(files) > 5
    assert [file for file in sorted(files) if f"`{file}`" not in page] == []


def test_every_module_that_speaks_with_somebody_stands_on_the_page() -> None:
    page = (PAGES / "connections.md").read_text(encoding="utf-8")
    speaking = {
        name
        for name, tree in trees("server", "store")
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in ([x.name for x in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        if module in NETWORK or module.partition(".")[0] in NETWORK
    }
    connecting = {name for name in speaking if name not in LISTENS}
    assert [name for name in sorted(connecting) if f"`{name}`" not in page] == []
    named = set(re.findall(r"`((?:server|store)/[\w/]+\.py)`", page))
    assert sorted(named - connecting) == []


@pytest.mark.parametrize("page", ["connections.md", "keys.md", "logs.md"])
def test_every_setting_is_one_of_the_servers(page: str) -> None:
    said = (SOURCE / "server" / "main.py").read_text(encoding="utf-8")
    named = re.findall(r"LATCHWORK_\w+", (PAGES / page).read_text(encoding="utf-8"))
    assert named and all(name in said for name in named)
