"""Documents, read: what only a screen needs. One that cannot be read costs its content and nothing else."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from latchwork.domain.words import PartyId, PersonId
from latchwork.edge.kiosk.desk import Trouble
from latchwork.sync.names import hashed, plain, words

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Person:
    """Or a department."""

    id: PersonId
    name: str
    unit: str
    find: frozenset[str] = frozenset()
    """Hashes of how the words of their name begin: the name itself is not here."""

    def is_meant(self, word: str) -> bool:
        """By their unit, initials or name."""
        shown = (self.unit, self.name, *self.name.split())
        return any(plain(x).startswith(word) for x in shown) or hashed(self.id, word) in self.find


@dataclass(frozen=True, slots=True)
class Rule:
    """Which labels of a partner's returns are taken in."""

    prefixes: tuple[str, ...] = ()
    """Accepted."""
    otherwise: bool = True


@dataclass(frozen=True, slots=True)
class Papers:
    people: tuple[Person, ...] = ()
    bank_name: str = ""
    site: str = ""
    help_phone: str = ""
    columns: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Column and row of each door, where somebody wrote them down."""
    heard_at: datetime | None = None
    carriers: Mapping[str, str] = field(default_factory=dict)
    """Names by party."""
    rules: Mapping[str, Rule] = field(default_factory=dict)
    troubles: Callable[[], Sequence[Trouble]] = tuple
    """Asked for only where they are shown: it is a look at the disk."""

    def person(self, person: PersonId | None) -> Person | None:
        return next((p for p in self.people if p.id == person), None)

    def takes(self, party: PartyId | None, label: str) -> bool:
        """What the partner said of such a label when the cloud was last heard."""
        rule = self.rules.get(party or "", Rule())
        return rule.otherwise or "".join(label.split()).upper().startswith(rule.prefixes)

    def matches(self, query: str) -> list[Person]:
        """Whose unit begins with each typed word, or a word of whose name does. Nothing typed, nobody shown."""
        wanted = words(query)
        found = [p for p in self.people if all(p.is_meant(word) for word in wanted)] if wanted else []
        return sorted(found, key=lambda p: (plain(p.unit) not in wanted, len(p.unit), p.unit, p.name))


def read_people(text: bytes | None) -> tuple[Person, ...]:
    rows = _json(text, list)
    people = (row for row in rows if isinstance(row, dict) and row.get("id") and row.get("name"))
    return tuple(
        Person(PersonId(str(x["id"])), str(x["name"]), str(x.get("unit") or ""), _hashes(x.get("find"))) for x in people
    )


def _hashes(found: object) -> frozenset[str]:
    return frozenset(map(str, found)) if isinstance(found, list) else frozenset()


def read_papers(
    people: tuple[Person, ...], wall_text: bytes | None, rules_text: bytes | None, heard_at: datetime | None
) -> Papers:
    wall = _json(wall_text, dict)
    written, carriers = wall.get("columns"), wall.get("carriers")
    places = {
        str(door): (x, y)
        for x, column in enumerate(written if isinstance(written, list) else ())
        for y, door in enumerate(column if isinstance(column, list) else ())
    }
    name, site, phone = (str(wall.get(key) or "") for key in ("name", "site", "help"))
    named = {str(k): str(v) for k, v in carriers.items()} if isinstance(carriers, dict) else {}
    rules = {str(party): _rule(x) for party, x in _json(rules_text, dict).items() if isinstance(x, dict)}
    return Papers(people, name, site, phone, places, heard_at, named, rules)


def _rule(written: Mapping[str, Any]) -> Rule:
    prefixes = written.get("prefixes")
    plain = ("".join(str(x).split()).upper() for x in prefixes) if isinstance(prefixes, list) else ()
    return Rule(tuple(x for x in plain if x), written.get("otherwise") != "refuse")


def _json(text: bytes | None, kind: type) -> Any:
    try:
        read = json.loads(text) if text else kind()
    except (ValueError, RecursionError):
        log.warning("a document of this kiosk is not JSON; going on without it")
        return kind()
    return read if isinstance(read, kind) else kind()
