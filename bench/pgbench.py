"""The same SQL without a server: pgbench writes the same lives by the same functions, one call an operation.

Its script is made from what the server's own code makes of a life's entries, so that both write the same rows and as
many bytes. Every client has a bank of its own; ids are drawn in SQL, once a statement.
"""

import asyncio
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg

from bench import life
from latchwork.domain import commands as c
from latchwork.domain import entries as e
from latchwork.domain.words import BankId, PassId
from latchwork.server import projections
from latchwork.store.embedded import wheel_binaries
from latchwork.store.queries import load
from latchwork.store.rows import Announcement, AppendOperation, Rows
from latchwork.sync.codec import encode_instruction
from latchwork.sync.custody import Frontier

BANK = life.token("bank")
ROOT = b"r" * 32
PEAKS = b"p" * 32 * 8
COLUMNS = (
    ("entries", "entry_row"),
    ("stays", "stay_row"),
    ("stay_entries", "stay_entry_row"),
    ("fittings", "fitting_row"),
    ("removed", "removed_row"),
    ("compartments", "compartment_row"),
    ("openings", "opening_row"),
    ("passes", "pass_row"),
    ("answers", "answer_row"),
    ("notices", "notice_row"),
    ("tasks", "task_row"),
    ("checked", "checked_row"),
)
"""The arguments of append_entries after the first, and their types."""


def script(organisation: str, party: str, person: str) -> str:
    """One life, as pgbench reads it. Variables: s, the bank's entries so far; n, lives so far; run."""
    statements = [_announce(organisation, party, person), *_deliver(organisation)]
    at = 0
    for step in life.STEPS:
        statements.append(_append(organisation, party, person, step, at))
        at += len(step)
    lines = ["\\set n :n + 1"]
    for statement in statements:
        lines.append(_with_ids(statement))
    lines.append(f"\\set s :s + {at}")
    return "\n".join(lines) + "\n"


def _with_ids(statement: str) -> str:
    used = sorted(set(re.findall(r"\bv\.(\w+)", statement)))
    given = {
        "bank": "md5('bank' || :run || '-' || :client_id)",
        "s": ":s::bigint",
        "n": ":n::int",
        "door": f"lpad((1 + :n % {life.COMPARTMENTS})::text, 4, '0')",
    }
    columns = [f"{given.get(name, _drawn(name))} AS {name}" for name in used]
    # OFFSET 0: each is computed once, and not wherever it is used.
    return f"{statement} FROM (SELECT {', '.join(columns)} OFFSET 0) v;"


def _drawn(name: str) -> str:
    return f"md5('{name}' || :run || '-' || :client_id || '-' || :n)"


def _announce(organisation: str, party: str, person: str) -> str:
    expected = life.STEPS[0][0]
    assert isinstance(expected, e.Expected)
    body = encode_instruction(c.Expect(expected.stay, expected.about))
    announcement = Announcement(
        organisation=organisation,
        idempotency_key=life.token("key"),
        request_hash=b"h" * 32,
        response_status=201,
        response=b"r" * 150,
        bank=BANK,
        stay=life.TOKENS["stay"],
        service=life.SERVICE,
        party=party,
        thing=None,
        recipient=person,
        label=life.TOKENS["label"],
        tracking="t" * 16,
        width_mm=life.SIZE.width_mm,
        height_mm=life.SIZE.height_mm,
        depth_mm=life.SIZE.depth_mm,
        drop_off_pass=None,
        instruction=life.TOKENS["instruction"],
        instruction_body=body,
        instruction_sha256="0" * 64,
        asked_by=PassId(token_hex(16)),
        at=life.AT,
    )
    return f"SELECT (announce_stays(ARRAY[{_row(announcement)}::announcement])).outcomes"


def _deliver(organisation: str) -> list[str]:
    """What the server asks when it is woken for a bank, and the sending."""
    queries = load("exchange")
    work, send = (" ".join(re.sub("--.*", "", queries[name]).split()) for name in ("work", "send_orders"))
    for text in (work, send):
        assert "$1::text[], $2::bigint[]" in text
    return [
        f"SELECT (SELECT count(*) FROM ({_filled(work, '$3')}) w)",
        f"SELECT (SELECT count(*) FROM ({_filled(send, '$4')}) w)".replace("$6::text[]", f"ARRAY['{organisation}']"),
    ]


def _filled(query: str, before: str) -> str:
    """With its arguments: one bank, its session, and times."""
    filled = query.replace("$1::text[]", "ARRAY[v.bank]").replace("$2::bigint[]", "ARRAY[1::bigint]")
    return filled.replace(before, "now() - interval '10 s'").replace("$3", "now()").replace("$5", "32")


def _append(organisation: str, party: str, person: str, step: Sequence[Any], at: int) -> str:
    fixed = {life.TOKENS["party"]: party, life.TOKENS["person"]: person}
    raws = [life.raw(BankId(BANK), body) for body in step]
    nodes, frontier = [], Frontier()
    for raw in raws:
        frontier, completed = frontier.append(raw)
        nodes.append(completed)
    rows: Rows = projections.rows(organisation, raws, nodes, life.AT)
    end = at + len(step)
    operation = AppendOperation(
        organisation, BANK, 1, 1, at, ROOT, 1, end, ROOT, PEAKS, life.AT, rows.orders_last, None, None, None
    )
    # Every raw entry says that it is the first: its place in the step is its place among the rows.
    places = {id(row): at + n for n, row in enumerate(rows.entries)}
    arguments = [f"ARRAY[{_row(operation, fixed)}::append_operation]"]
    for name, kind in COLUMNS:
        found = [_row(row, fixed, places.get(id(row), at)) + f"::{kind}" for row in getattr(rows, name)]
        if name == "stay_entries":
            found = [_row(r, fixed, at + n) + f"::{kind}" for n, r in enumerate(rows.stay_entries)]
        arguments.append(f"ARRAY[{', '.join(found)}]::{kind}[]")
    return f"SELECT append_entries({', '.join(arguments)})"


def _row(row: Any, fixed: Mapping[str, str] | None = None, seq: int = 0) -> str:
    values = [_value(name, value, fixed or {}, seq) for name, value in row._asdict().items()]
    return f"ROW({', '.join(values)})"


def _value(name: str, value: Any, fixed: Mapping[str, str], seq: int) -> str:
    if name == "seq":
        return f"v.s + {seq}"
    if name in ("had_size", "size"):
        return f"v.s + {value}"
    if value == life.NUMBER:
        return "v.n"
    match value:
        case None:
            return "NULL"
        case bool() | int():
            return str(value)
        case bytes():
            return f"'\\x{value.hex()}'::bytea"
        case datetime():
            return f"'{value.isoformat()}'::timestamptz"
        case tuple() | list():
            return f"ARRAY[{', '.join(_value(name, each, fixed, seq) for each in value)}]::text[]"
        case str() if value in fixed:
            return f"'{fixed[value]}'"
        case str() if value == life.HASH:
            return f"'{'0' * 64}'"
        case str() if value.startswith("@"):
            return f"v.{value.strip('@')}"
        case str():
            return f"'{value}'"
    raise TypeError(f"{name}: {value!r}")


class Pgbench:
    """Runs it against a database that has an organisation, a party and a person."""

    def __init__(self, dsn: str, folder: Path, organisation: str, party: str, person: str) -> None:
        self._dsn = dsn
        self._organisation = organisation
        self._file = folder / "life.sql"
        self._file.write_text(script(organisation, party, person))
        self._runs = 0

    def run(self, clients: int, seconds: int) -> tuple[int, float]:
        """Lives, every one of them found in the rows afterwards, and the seconds that they took."""
        self._runs += 1
        asyncio.run(self._make_banks(clients))
        url = urlsplit(self._dsn)
        query = parse_qs(url.query)
        environment = {
            **os.environ,
            "PGHOST": query.get("host", [url.hostname or "localhost"])[0],
            "PGPORT": str(query.get("port", [url.port or 5432])[0]),
            "PGUSER": url.username or "postgres",
            "PGPASSWORD": url.password or "",
            "PGDATABASE": url.path.lstrip("/"),
            # Small batches are otherwise planned anew in every call, which costs pgbench a third of its processor time.
            "PGOPTIONS": "-c plan_cache_mode=force_generic_plan",
        }
        variables = {"n": 0, "s": 0, "run": self._runs}
        words = [wheel_binaries().program("pgbench"), "-n", "-M", "prepared", "-f", str(self._file)]
        words += ["-c", str(clients), "-j", "2", "-T", str(seconds)]
        words += [word for name, value in variables.items() for word in ("-D", f"{name}={value}")]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        found = re.search(r"number of transactions actually processed: (\d+)", done.stdout)
        speed = re.search(r"tps = ([\d.]+)", done.stdout)
        if done.returncode != 0 or found is None or speed is None:
            raise RuntimeError(f"pgbench: {done.stdout[-1000:]}{done.stderr[-2000:]}")
        asyncio.run(self._check(int(found[1])))
        return int(found[1]), int(found[1]) / float(speed[1])

    async def _make_banks(self, clients: int) -> None:
        connection = await asyncpg.connect(self._dsn)
        try:
            await connection.execute(
                """
                INSERT INTO banks (id, organisation, site, name, epoch, session, root)
                SELECT md5('bank' || $1::int || '-' || n), $2, (SELECT id FROM sites LIMIT 1), 'pgbench', 1, 1, $3
                FROM generate_series(0, $4::int - 1) n
                """,
                self._runs,
                self._organisation,
                ROOT,
                clients,
            )
            await connection.execute(
                """
                INSERT INTO compartments (bank, id, epoch, seq)
                SELECT md5('bank' || $1::int || '-' || n), lpad(d::text, 4, '0'), 1, -1
                FROM generate_series(0, $2::int - 1) n, generate_series(1, $3::int) d
                """,
                self._runs,
                clients,
                life.COMPARTMENTS,
            )
            await connection.execute("CHECKPOINT")
        finally:
            await connection.close()

    async def _check(self, lives: int) -> None:
        connection = await asyncpg.connect(self._dsn)
        try:
            found = await connection.fetchrow(
                """
                SELECT count(*) FILTER (WHERE s.state = 'collected') AS collected,
                    (SELECT sum(size) FROM banks WHERE name = 'pgbench' AND id = ANY ($1)) AS entries
                FROM stays s WHERE s.bank = ANY ($1)
                """,
                [record["id"] for record in await connection.fetch(_BANKS, self._runs)],
            )
        finally:
            await connection.close()
        entries = lives * life.ENTRIES_PER_LIFE
        if found is None or found["collected"] != lives or found["entries"] != entries:
            raise RuntimeError(f"pgbench says {lives} lives, the rows say {dict(found or {})}")


_BANKS = "SELECT md5('bank' || $1::int || '-' || n) AS id FROM generate_series(0, 99) n"
