"""Every sentence of a page, and every refusal that a page may show, is told in every language."""

import ast
import re
from collections.abc import Iterator
from contextvars import copy_context
from pathlib import Path
from typing import get_args

import pytest
from jinja2 import nodes

from latchwork.domain.words import Purpose
from latchwork.server import access
from latchwork.server.actions import events, people, roster, tasks
from latchwork.server.web import render, routes, story, verify
from latchwork.server.web.operator import roster as roster_page
from latchwork.ui.words import Sentence, languages, words

SERVER = Path(render.__file__).parents[1]
TEMPLATES = sorted(SERVER.glob("web/*/templates/**/*.html"))
TOLD = {"Declined": 2, "_bad": 0, "tell": 0, "Sentence": 0, "not_found": 0}
"""Which argument of what is a sentence."""
SAME = {"UTC", "cm"}
"""In every language."""
HOW = (
    "password",
    "password and app",
    "password and passkey",
    "password and recovery code",
    "passkey",
    "link",
    "a link by mail",
)
"""How somebody signed in, as their sessions keep it."""


def in_templates(path: Path) -> Iterator[str]:
    for call in render._pages.parse(path.read_text(encoding="utf-8")).find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name == "_" and isinstance(call.args[0], nodes.Const):
            yield call.args[0].value


def in_code(path: Path) -> Iterator[str]:
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name | ast.Attribute):
            continue
        name = call.func.id if isinstance(call.func, ast.Name) else call.func.attr
        if name in TOLD and len(call.args) > TOLD[name]:
            for said in _texts(call.args[TOLD[name]]):
                yield f"There is no such {said}." if name == "not_found" else said


def _texts(given: ast.expr) -> Iterator[str]:
    """One or the other, but no part of what is put together."""
    if isinstance(given, ast.Constant) and isinstance(given.value, str):
        yield given.value
    elif isinstance(given, ast.IfExp):
        yield from (*_texts(given.body), *_texts(given.orelse))


def in_tables() -> Iterator[str]:
    """What stands in a table of the code, and is told by a page."""
    for right in access.RIGHTS:
        if right.who & set(access.ROLES):
            yield from (right.what, right.note) if right.note else (right.what,)
    yield from (str(role) for role in access.ROLES)
    yield from (text for role, text in access.WORDS.items() if role in access.ROLES)
    yield from (text for pair in tasks.WORDS.values() for text in pair)
    for table in (story.WORDS, story.ASKED, roster_page.NAMES, people.CALLED, routes.TITLES):
        yield from table.values()
    yield from (*HOW, *tasks.DETAILS, *events.What, *get_args(people.Kind), *get_args(roster.What), *map(str, Purpose))
    yield from (routes.LOST, routes.AWAY, routes.BROKEN, routes.NOTHING)


SENTENCES = {
    *(said for path in TEMPLATES for said in in_templates(path)),
    *(said for path in [*SERVER.glob("actions/*.py"), *SERVER.glob("web/**/*.py")] for said in in_code(path)),
    *in_tables(),
    *verify.sentences(),
}


@pytest.mark.parametrize("language", [language for language in languages() if language != "en"])
def test_a_language_says_every_sentence_and_no_other(language: str) -> None:
    ours = words(language).sentences
    assert sorted(SENTENCES - ours.keys()) == []
    assert sorted(ours.keys() - SENTENCES) == []
    for english, said in ours.items():
        assert isinstance(said, dict) == ("|" in english), english
        forms = list(said.values()) if isinstance(said, dict) else [said]
        assert all(form.strip() for form in forms) and fields(" ".join(forms)) == fields(english), english


def fields(text: str) -> set[str]:
    return set(re.findall(r"{(\w+)}", text))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_page_has_no_word_that_is_not_told(path: Path) -> None:
    assert bare(path.read_text(encoding="utf-8")) == []


def bare(source: str) -> list[str]:
    """Words that stand in a template as they are: between tags, in attributes that people read, or given to macros."""
    tree = render._pages.parse(source)
    markup = "".join(
        part.data if isinstance(part, nodes.TemplateData) else "{}"
        for output in tree.find_all(nodes.Output)
        for part in output.nodes
    )
    read = re.findall(r'\b(?:aria-label|placeholder|title|alt)="([^"]*)"', markup)
    read += re.sub(r"<(script|style|code)\b.*?</\1>|<[^>]*>", "|", markup, flags=re.DOTALL).split("|")
    told = {const for call in tree.find_all(nodes.Call) if _tells(call) for const in call.find_all(nodes.Const)}
    read += [
        const.value
        for const in tree.find_all(nodes.Const)
        if const not in told
        and isinstance(const.value, str)
        and re.search("[A-Za-z]", const.value)
        and " " in const.value
    ]
    said = [text.strip(" {}:.,;–·/()\n") for text in read]
    return [text for text in said if re.search("[A-Za-z]", text) and text not in SAME]


def _tells(call: nodes.Call) -> bool:
    return isinstance(call.node, nodes.Name) and call.node.name == "_"


def test_a_bare_word_is_found() -> None:
    page = """<p title="Hint">Hello {{ name }}</p>{{ ui.notice("bad", "No way", _("Try again")) }}{{ _("Fine") }}"""
    assert bare(page) == ["Hint", "Hello", "No way"]


def test_a_sentence_is_told_with_its_values_and_by_their_number() -> None:
    copy_context().run(_tell)


def _tell() -> None:
    render.speak("de")
    assert render.tell("{n} day|{n} days", n=1) == "1 Tag" and render.tell("{n} day|{n} days", n=2) == "2 Tage"
    assert render.tell("You are invited as {role}.", role="owner") == "Sie sind eingeladen, in der Rolle Inhaber."
    no = Sentence("“{email}” is no e-mail address.", email="<b>")
    assert no == "“<b>” is no e-mail address." and render.tell(no) == "„&lt;b&gt;“ ist keine Mailadresse."
    assert render.tell("Nobody has said this yet.") == "Nobody has said this yet."
    render.speak("en")
    assert render.tell("{n} day|{n} days", n=1) == "1 day"
