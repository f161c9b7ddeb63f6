"""The words of every screen, per language, from `words/<language>.toml`: a new file there is a new language.

A key is a path with dots. A value is a text with `{names}`, or a table by plural form, chosen by the value `n`.
Reasons are pairs: what is the matter, and what to do next; one for each audience, or one for `everybody`.

The server's pages and its refusals are written in English where they stand. The table `sentences` of every other
language says each of them, by the English one; "{n} door|{n} doors" has a text by plural form.
"""

import gettext
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "words"
AUDIENCES = ("recipient", "courier", "operator")


@dataclass(frozen=True, slots=True)
class Said:
    """A refusal in words: what is the matter, and what to do next."""

    what: str
    next: str


class Sentence(str):
    """In English, and able to be told in another language: it knows itself without its values."""

    english: str
    values: Mapping[str, object]

    def __new__(cls, english: str, /, **values: object) -> "Sentence":
        self = super().__new__(cls, english.format(**values) if values else english)
        self.english, self.values = english, values
        return self


@dataclass(frozen=True, slots=True)
class Words:
    language: str
    name: str
    """Of the language, in itself."""
    direction: str
    called: Sequence[str]
    """What people write for it in a list, in small letters."""
    sentences: Mapping[str, Any]
    _forms: Sequence[str]
    """CLDR's names of the plural forms, by `_form`."""
    _form: Callable[[int], int]
    _table: Mapping[str, Any]

    def say(self, key: str, /, **values: object) -> str:
        """The text of `key`. Raises KeyError where there is none, or where it needs a value that was not given."""
        found = self._find(key)
        if isinstance(found, Mapping) and "other" in found:
            found = self._counted(found, values["n"])
        if not isinstance(found, str):
            raise KeyError(key)
        return found.format(**values)

    def sentence(self, english: str, /, **values: object) -> str:
        """Before its values are put in. In English where this language does not say it."""
        found = self.sentences.get(english, english)
        if isinstance(found, str) and "|" in found:
            found = dict(zip(("one", "other"), found.split("|"), strict=True))
        if isinstance(found, Mapping):
            found = self._counted(found, values["n"])
        return str(found)

    def tell(self, english: str, /, **values: object) -> str:
        return self.sentence(english, **values).format(**values)

    def reason(self, reason: str, audience: str) -> Said:
        return Said(*self._for(f"reason.{reason}", audience))

    def state(self, kind: str, state: str, audience: str = "everybody") -> str:
        """`kind` is `stay`, `compartment` or `door`."""
        found = self._for(f"{kind}.{state}", audience)
        assert isinstance(found, str)
        return found

    def keys(self) -> set[str]:
        """Every key with a text of its own, to compare languages by."""
        return set(_keys(self._table, ""))

    def _counted(self, forms: Mapping[str, Any], n: object) -> Any:
        assert isinstance(n, int), f"{forms} counts something"
        return forms.get(self._forms[self._form(n)], forms["other"])

    def _find(self, key: str) -> Any:
        found: Any = self._table
        for part in key.split("."):
            if not isinstance(found, Mapping) or part not in found:
                raise KeyError(key)
            found = found[part]
        return found

    def _for(self, key: str, audience: str) -> Any:
        found = self._find(key)
        if audience in found:
            return found[audience]
        if "everybody" in found:
            return found["everybody"]
        raise KeyError(f"{key} for {audience}")


def _keys(table: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _keys(value, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def languages() -> tuple[str, ...]:
    """English first, the others by name."""
    found = sorted(path.stem for path in FOLDER.glob("*.toml"))
    return ("en", *(name for name in found if name != "en"))


@cache
def words(language: str) -> Words:
    """Raises KeyError for a language that we do not speak."""
    if language not in languages():
        raise KeyError(language)
    table = tomllib.loads((FOLDER / f"{language}.toml").read_text(encoding="utf-8"))
    about, sentences = table.pop("language"), table.pop("sentences", {})
    return Words(
        language,
        about["name"],
        about["direction"],
        about["called"],
        sentences,
        tuple(about["plural_forms"]),
        gettext.c2py(about["plural"]),
        table,
    )


def spoken(accepted: str) -> str:
    """The best of our languages for an Accept-Language header; English where none matches."""
    ours = languages()
    wanted = []
    for place, item in enumerate(accepted[:500].split(",")):
        tag, _, quality = item.partition(";q=")
        try:
            weight = float(quality or 1)
        except ValueError:
            continue
        wanted.append((-weight, place, tag.strip().lower().split("-")[0]))
    return next((tag for _, _, tag in sorted(wanted) if tag in ours), "en")
