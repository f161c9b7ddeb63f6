"""Both ends' stores in memory, for the simulator and for tests: same promises, no disk, no event loop.

The tables have the names and columns of the PostgreSQL schema, and the contract tests hold the two to each other; only
the tasks `too_late` are the database's alone. A deep copy is a backup.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from latchwork.domain.words import BankId
from latchwork.store.rows import (
    EMPTY,
    NEVER,
    VERSION_MAX,
    Announced,
    Announcement,
    Append,
    Appended,
    AppendOperation,
    CompartmentRow,
    DocumentRow,
    FittingRow,
    Head,
    InstructionRow,
    NoticeRow,
    OpeningRow,
    Outcome,
    PartingRow,
    PassRow,
    Rows,
    SendOrders,
    SentOrder,
    StayRow,
    StrayRow,
    Task,
    Work,
)
from latchwork.sync.custody import EMPTY_ROOT, HASH_BYTES, Frontier, frontier_at, home

Columns = dict[str, Any]

_STAY_KEPT = (
    "deadline",
    "expected_at",
    "deposited_at",
    "expired_at",
    "reserved_at",
    "compartment",
    "recipient",
    "fallback",
    "presumed",
    "drop_off_pass",
    "drop_off_n",
    "drop_off_digits",
    "drop_off_generation",
    "pickup_pass",
    "pickup_n",
    "pickup_digits",
    "pickup_generation",
)


def notice_id(bank: str, epoch: int, seq: int, person: str, kind: str) -> str:
    return sha256(f"{bank}/{epoch}/{seq}/{person}/{kind}".encode()).hexdigest()[:32]


class MemoryStore:
    """The cloud's side."""

    def __init__(self) -> None:
        self.banks: dict[str, Columns] = {}
        self.people: set[tuple[str, str]] = set()
        """(organisation, id)"""
        self.parties: set[tuple[str, str]] = set()
        self.logs: dict[tuple[str, int], list[Columns]] = {}
        self.stays: dict[str, Columns] = {}
        self.stay_entries: set[tuple[str, str, int, int]] = set()
        self.compartments: dict[tuple[str, str], Columns] = {}
        self.openings: dict[str, Columns] = {}
        self.passes: dict[str, Columns] = {}
        self.instructions: dict[str, Columns] = {}
        """In the order of asking."""
        self.documents_by_bank: dict[tuple[str, str], DocumentRow] = {}
        self.outbox: dict[str, Columns] = {}
        self.tasks: dict[str, Columns] = {}
        self.partings: dict[str, PartingRow] = {}
        self.refused: dict[str, str] = {}
        """Why a controller would not go on from our log."""
        self.strays: set[tuple[str, int, int, bytes]] = set()
        """(bank, epoch, seq, raw)"""
        self.idempotency: dict[tuple[str, str], tuple[bytes, int, bytes]] = {}

    def add_bank(self, bank: str, organisation: str, device_key: bytes | None) -> None:
        self.banks[bank] = {
            "organisation": organisation,
            "device_key": device_key,
            "key_revoked_at": None,
            "epoch": 0,
            "size": 0,
            "root": EMPTY_ROOT,
            "peaks": b"",
            "appended_at": None,
            "session": 0,
            "orders_last": 0,
            "divided": None,
            "divided_at": None,
            "heard_at": None,
            "software": None,
            "boot": None,
            "policy_version": 0,
            "documents": {},
        }

    # The exchange

    async def head(self, bank: BankId) -> Head | None:
        row = self.banks.get(bank)
        if row is None:
            return None
        return Head(
            bank,
            row["organisation"],
            row["device_key"],
            row["key_revoked_at"] is not None,
            row["divided"],
            row["epoch"],
            row["size"],
            row["root"],
            row["peaks"],
            row["session"],
            row["orders_last"],
            row["appended_at"],
            dict(row["documents"]),
            row["boot"],
        )

    async def welcome(
        self, bank: BankId, now: datetime, software: str, boot: str, through: int, documents: Mapping[str, int]
    ) -> Head | None:
        row = self.banks.get(bank)
        if row is None or row["key_revoked_at"] is not None:
            return None
        row.update(heard_at=now, software=software, boot=boot, documents=dict(documents))
        row["session"] += 1
        row["orders_last"] = max(row["orders_last"], through)
        return await self.head(bank)

    async def divide(self, bank: BankId, session: int, why: str, at: int, task: str, now: datetime) -> bool:
        row = self.banks.get(bank)
        if row is None or row["session"] != session or row["divided"] is not None:
            return False
        row.update(divided=why, divided_at=now)
        self._open_task(task, bank, Task.DIVIDED, "", why, row["epoch"], at, now)
        return True

    async def raise_task(self, bank: BankId, task: str, kind: Task, now: datetime) -> None:
        row = self.banks[bank]
        self._open_task(task, bank, kind, "", None, row["epoch"], row["size"], now)

    async def overlap(self, bank: BankId, epoch: int, start: int, end: int) -> list[bytes]:
        return [row["raw"] for row in self.logs.get((bank, epoch), [])[start:end]]

    async def append(self, append: Append) -> Appended:
        op = append.operation
        row = self.banks.get(op.bank)
        if row is None or row["organisation"] != op.organisation:
            return Appended.UNKNOWN_BANK
        if row["divided"] is not None:
            return Appended.DIVIDED
        if row["session"] != op.session:
            return Appended.STALE_SESSION
        if (row["epoch"], row["size"], row["root"]) != (op.had_epoch, op.had_size, op.had_root):
            return Appended.MOVED
        self._advance(row, op)
        self._project(append.rows)
        return Appended.OK

    async def send_orders(self, op: SendOrders) -> list[SentOrder]:
        bank = self.banks[op.bank]
        heard = (bank["organisation"], bank["session"]) == (op.organisation, op.session)
        if not heard or bank["divided"] is not None or bank["key_revoked_at"] is not None:
            return []
        waiting = self._unanswered(op.bank)
        if not any(_is_due(row, op.session, op.resend_before) for row in waiting):
            return []
        numbered = sorted((row for row in waiting if row["number"] is not None), key=lambda row: int(row["number"]))
        fresh = [row for row in waiting if row["number"] is None]
        chosen = [*numbered, *fresh][: op.orders_max]
        for row in chosen:
            if row["number"] is None:
                bank["orders_last"] += 1
                row["number"] = bank["orders_last"]
            if row["state"] == "asked":
                late = row["not_after"] is not None and row["not_after"] <= op.now
                row["state"] = "void" if late else "sent"
            row.update(sent_at=op.now, sent_session=op.session)
        return [SentOrder(row["id"], row["number"], row["body"], row["state"] == "void") for row in chosen]

    async def documents(self, bank: BankId, held: Mapping[str, int]) -> list[DocumentRow]:
        rows = (row for (where, _), row in sorted(self.documents_by_bank.items()) if where == bank)
        return [row for row in rows if not row.version <= held.get(row.name, 0) <= VERSION_MAX]

    async def holds(self, bank: BankId, session: int, documents: Mapping[str, int]) -> None:
        row = self.banks[bank]
        if row["session"] == session:
            row["documents"] = dict(documents)

    async def runs(self, bank: BankId, session: int, configuration: str) -> None:
        row = self.banks[bank]
        if row["session"] == session:
            row["configuration"] = configuration

    async def heard(self, banks: Iterable[BankId], now: datetime) -> None:
        for bank in banks:
            self.banks[bank]["heard_at"] = now

    async def work(self, held: Sequence[tuple[BankId, int]], resend_before: datetime) -> list[Work]:
        found = []
        for bank, session in held:
            row = self.banks.get(bank)
            if row is None:
                continue
            over = row["session"] != session or row["key_revoked_at"] is not None
            orders = row["divided"] is None and any(
                _is_due(waiting, session, resend_before) for waiting in self._unanswered(bank)
            )
            documents = bool(await self.documents(bank, row["documents"]))
            if over or orders or documents:
                found.append(Work(bank, session, over, orders, documents))
        return found

    # Banks whose log has parted from ours

    async def lengths(self, bank: BankId) -> dict[int, int]:
        return {epoch: len(log) for (where, epoch), log in self.logs.items() if where == bank}

    async def nodes(self, entries: Sequence[tuple[str, int, int]]) -> dict[tuple[str, int], dict[int, bytes]]:
        beside: dict[tuple[str, int], dict[int, bytes]] = {}
        for bank, epoch, seq in entries:
            beside.setdefault((bank, epoch), {})[seq] = self.logs[bank, epoch][seq]["nodes"]
        return beside

    async def parting(self, bank: BankId) -> PartingRow | None:
        return self.partings.get(bank)

    async def keep_parting(self, bank: BankId, epoch: int, size: int, root: bytes, fork: int) -> None:
        had = self.partings.get(bank)
        self.partings[bank] = PartingRow(bank, epoch, size, root, fork, had is not None and had.confirmed)

    async def keep_strays(self, bank: BankId, epoch: int, strays: Sequence[StrayRow], now: datetime) -> None:
        self.strays.update((bank, epoch, stray.seq, stray.raw) for stray in strays)

    async def refuse_recovery(self, bank: BankId, why: str) -> None:
        self.partings[bank] = self.partings[bank]._replace(confirmed=False)
        self.refused[bank] = why

    async def lift(self, bank: BankId, session: int, epoch: int, size: int) -> bool:
        row, parting = self.banks[bank], self.partings.get(bank)
        here = (row["session"], row["epoch"], row["size"]) == (session, epoch, size)
        if parting is None or not parting.confirmed or not here or row["divided"] is None:
            return False
        del self.partings[bank]
        row.update(divided=None, divided_at=None)
        return True

    def confirm_recovery(self, bank: BankId) -> bool:
        """What an operator does; whether there was anything to confirm."""
        if bank in self.partings:
            self.partings[bank] = self.partings[bank]._replace(confirmed=True)
        return bank in self.partings

    # What is asked of banks

    async def announce(self, a: Announcement) -> Announced:
        bank = self.banks.get(a.bank)
        if bank is None or bank["organisation"] != a.organisation:
            return Announced(Outcome.UNKNOWN_BANK)
        if a.party is not None and (a.organisation, a.party) not in self.parties:
            return Announced(Outcome.UNKNOWN_PARTY)
        if a.recipient is not None and (a.organisation, a.recipient) not in self.people:
            return Announced(Outcome.UNKNOWN_RECIPIENT)
        if a.idempotency_key is not None:
            key = (a.organisation, a.idempotency_key)
            if key in self.idempotency:
                request, status, response = self.idempotency[key]
                if request != a.request_hash:
                    return Announced(Outcome.CONFLICT)
                return Announced(Outcome.REPLAYED, status, response)
            self.idempotency[key] = (a.request_hash, a.response_status, a.response)
        row = StayRow(
            a.stay, a.organisation, a.bank, a.service, a.party, a.thing, a.recipient, a.label, a.width_mm, a.height_mm,
            a.depth_mm, "expected", announced=True, presumed=False, drop_off_pass=a.drop_off_pass, in_reach=a.in_reach,
        )  # fmt: skip
        self.stays[a.stay] = {
            **row._asdict(),
            "tracking": a.tracking,
            "asked_at": a.at,
            "linked_to": None,
            "epoch": None,
            "seq": None,
        }
        await self.instruct(
            InstructionRow(
                a.instruction, a.organisation, a.bank, "Expect", a.instruction_body, a.instruction_sha256, a.at,
                about=a.stay, asked_by=a.asked_by,
            )
        )  # fmt: skip
        return Announced(Outcome.CREATED)

    async def instruct(self, row: InstructionRow) -> bool:
        bank = self.banks.get(row.bank)
        if bank is None or bank["organisation"] != row.organisation:
            return False
        self.instructions[row.id] = {
            "id": row.id,
            "bank": row.bank,
            "number": None,
            "kind": row.kind,
            "body": row.body,
            "sha256": row.sha256,
            "not_after": row.not_after,
            "state": "asked",
            "refusal": None,
            "about": row.about,
            "asked_at": row.asked_at,
            "sent_at": None,
            "sent_session": None,
            "answered_at": None,
        }
        return True

    async def put_document(self, bank: BankId, name: str, version: int, body: bytes) -> None:
        had = self.documents_by_bank.get((bank, name))
        if had is None or had.version < version:
            self.documents_by_bank[bank, name] = DocumentRow(name, version, body)

    def _unanswered(self, bank: str) -> list[Columns]:
        return [r for r in self.instructions.values() if r["bank"] == bank and r["answered_at"] is None]

    # Projections: what append_entries does in SQL

    def _advance(self, row: Columns, op: AppendOperation) -> None:
        row.update(
            epoch=op.epoch, size=op.size, root=op.root, peaks=op.peaks, heard_at=op.at, appended_at=op.at,
            orders_last=max(row["orders_last"], op.orders_last),
        )  # fmt: skip
        for column in ("policy_version", "software", "boot"):
            if getattr(op, column) is not None:
                row[column] = getattr(op, column)

    def _project(self, rows: Rows) -> None:
        for entry in rows.entries:
            self.logs.setdefault((entry.bank, entry.epoch), []).append(entry._asdict())
        for gone in rows.removed:
            self.compartments.pop((gone.bank, gone.id), None)
        for fitting in rows.fittings:
            self._fitting(fitting)
        for stay in rows.stays:
            self._stay(stay)
        self.stay_entries.update(rows.stay_entries)
        for compartment in rows.compartments:
            self._compartment(compartment)
        for opening in rows.openings:
            self._opening(opening)
        for grant in rows.passes:
            self._pass(grant)
        self._answer(rows)
        for notice in rows.notices:
            self._notice(notice)
        for check in rows.checked:
            for raised in self.tasks.values():
                here = raised["bank"] == check.bank and raised["about"] == check.compartment
                before = (raised["epoch"], raised["seq"]) < (check.epoch, check.seq)
                if here and before and raised["closed_at"] is None and raised["kind"] in check.kinds:
                    raised["closed_at"] = check.at
        for task in rows.tasks:
            self._open_task(*task)

    def _fitting(self, new: FittingRow) -> None:
        fresh: Columns = {
            "state": "vacant",
            "why": None,
            "door": "unknown",
            "claim": None,
            "stay": None,
            "looked_at": None,
            "epoch": new.epoch,
            "seq": new.seq,
        }
        had = self.compartments.get((new.bank, new.id), fresh)
        built = {k: v for k, v in new._asdict().items() if k not in ("epoch", "seq")}
        self.compartments[new.bank, new.id] = {**had, **built}

    def _compartment(self, new: CompartmentRow) -> None:
        row = self.compartments.get((new.bank, new.id))
        if row is None or not _newer(row, new.epoch, new.seq):
            return
        if new.state is not None:
            row.update(state=new.state, why=new.why)
        if new.door is not None:
            row["door"] = new.door
        if new.claim is not None:
            row["claim"] = new.claim or None
        if new.stay is not None:
            row["stay"] = new.stay or None
        if new.looked_at is not None:
            row["looked_at"] = new.looked_at
        row.update(epoch=new.epoch, seq=new.seq)

    def _pass(self, new: PassRow) -> None:
        row = self.passes.get(new.id)
        if row is None:
            if new.role is not None:
                self.passes[new.id] = {**new._asdict(), "daily": bool(new.daily)}
            return
        if row["bank"] != new.bank or not _newer(row, new.epoch, new.seq):
            return
        if new.role is not None:
            for column in ("n", "digits", "generation", "valid_until"):
                row[column] = getattr(new, column)
        row.update(state=new.state, epoch=new.epoch, seq=new.seq)

    def _notice(self, new: NoticeRow) -> None:
        stay = self.stays.get(new.stay)
        if stay is None or stay["bank"] != new.bank or stay["recipient"] is None:
            return
        name = notice_id(new.bank, new.epoch, new.seq, stay["recipient"], new.kind)
        row = {**new._asdict(), "id": name, "person": stay["recipient"], "tries": 0, "last_error": None}
        self.outbox.setdefault(name, {**row, "sent_at": None, "dead": False})

    def _stay(self, new: StayRow) -> None:
        row = self.stays.get(new.id)
        if row is None:
            if new.service is not None:
                self.stays[new.id] = {
                    **{column: _emptied(value) for column, value in new._asdict().items()},
                    "announced": bool(new.announced),
                    "presumed": bool(new.presumed),
                    "in_reach": bool(new.in_reach),
                    "tracking": None,
                    "asked_at": None,
                    "linked_to": None,
                }
            return
        if row["bank"] != new.bank or not _newer(row, new.epoch, new.seq):
            return
        for column in _STAY_KEPT:
            if getattr(new, column) is not None:
                row[column] = _emptied(getattr(new, column))
        if new.state is not None:
            row.update(state=new.state, reason=new.reason, ended_at=new.ended_at)
        row.update(epoch=new.epoch, seq=new.seq)

    def _opening(self, new: OpeningRow) -> None:
        row = self.openings.get(new.id)
        if row is None:
            if new.purpose is not None:
                self.openings[new.id] = {**new._asdict(), "attempts": new.attempts or 0}
            return
        if new.purpose is not None or row["bank"] != new.bank or not _newer(row, new.epoch, new.seq):
            return
        for column in ("attempts", "unlocked_at", "opened_at", "closed_at"):
            if getattr(new, column) is not None:
                row[column] = getattr(new, column)
        row.update(state=new.state, why=new.why, epoch=new.epoch, seq=new.seq)

    def _answer(self, rows: Rows) -> None:
        for answer in rows.answers:
            outcome = "done" if answer.refusal is None else "refused"
            asked = self.instructions.get(answer.id)
            if asked is None:
                taken = any(
                    i["bank"] == answer.bank and i["number"] == answer.number for i in self.instructions.values()
                )
                if not taken:
                    self.instructions[answer.id] = {
                        "id": answer.id,
                        "bank": answer.bank,
                        "number": answer.number,
                        "kind": None,
                        "body": None,
                        "sha256": answer.sha256,
                        "not_after": None,
                        "state": outcome,
                        "refusal": answer.refusal,
                        "about": answer.about,
                        "asked_at": answer.at,
                        "sent_at": None,
                        "sent_session": None,
                        "answered_at": answer.at,
                    }
                continue
            if asked["bank"] != answer.bank:
                continue
            if asked["sha256"] != answer.sha256 or asked["number"] not in (None, answer.number):
                kind = Task.INSTRUCTION_MISMATCH
                name = notice_id(answer.bank, answer.epoch, answer.seq, answer.id, kind)
                self._open_task(name, answer.bank, kind, answer.id, None, answer.epoch, answer.seq, answer.heard_at)
            asked.update(
                state="void" if asked["state"] == "void" else outcome, refusal=answer.refusal, answered_at=answer.at
            )
            if answer.refusal is None:
                continue
            stay = self.stays.get(asked["about"] or "")
            if asked["kind"] == "Expect" and stay is not None and stay["bank"] == answer.bank and stay["seq"] is None:
                if answer.refusal == "already_here" and answer.about is not None and answer.about != asked["about"]:
                    stay.update(linked_to=answer.about, reason=answer.refusal)
                    held = self.stays.get(answer.about)
                    if held is not None and held["bank"] == answer.bank and held["tracking"] is None:
                        held["tracking"] = stay["tracking"]
                elif stay["linked_to"] is None:
                    stay.update(state="exception", reason=answer.refusal, ended_at=answer.at)
            grant = self.passes.get(asked["about"] or "")
            if asked["kind"] == "GrantPass" and grant is not None and grant["state"] == "asked":
                grant["state"] = "refused"

    def _open_task(
        self,
        name: str,
        bank: str,
        kind: str,
        about: str,
        detail: str | None,
        epoch: int,
        seq: int,
        at: datetime,
        closed_at: datetime | None = None,
    ) -> None:
        same = (bank, str(kind), about)
        is_open = any(
            (t["bank"], t["kind"], t["about"]) == same and t["closed_at"] is None for t in self.tasks.values()
        )
        if name not in self.tasks and (closed_at is not None or not is_open):
            self.tasks[name] = {
                "id": name,
                "bank": bank,
                "kind": str(kind),
                "about": about,
                "detail": detail,
                "epoch": epoch,
                "seq": seq,
                "opened_at": at,
                "closed_at": closed_at,
            }


def _emptied(value: Any) -> Any:
    return None if value in (EMPTY, NEVER) else value


def _newer(row: Columns, epoch: int, seq: int) -> bool:
    return row["seq"] is None or (row["epoch"], row["seq"]) < (epoch, seq)


def _is_due(row: Columns, session: int, resend_before: datetime) -> bool:
    return row["number"] is None or row["sent_session"] != session or row["sent_at"] < resend_before


class MemoryJournal:
    """The bank's side: the interface of `store.sqlite.SqliteJournal`. A deep copy is the disk after a power cut."""

    def __init__(self) -> None:
        self._raws: list[bytes] = []
        self._nodes: list[bytes] = []
        self._epoch = 1
        self._past: dict[int, tuple[list[bytes], list[bytes]]] = {}
        self._strays: list[bytes] = []
        self._documents: dict[str, tuple[int, bytes]] = {}
        self.checkpoint: bytes | None = None
        self.tight = False

    @property
    def size(self) -> int:
        return len(self._raws)

    async def append(self, raws: Sequence[bytes], nodes: Sequence[bytes]) -> None:
        assert len(raws) == len(nodes)
        self._raws += raws
        self._nodes += nodes

    def entries(self, start: int, end: int) -> list[bytes]:
        return self._raws[start:end]

    def load(self) -> Iterator[bytes]:
        past = (raw for epoch, (raws, _) in sorted(self._past.items()) if epoch < self._epoch for raw in raws)
        return iter((*past, *self._raws))

    def node(self, level: int, index: int) -> bytes:
        seq, offset = home(level, index)
        return self._nodes[seq][offset : offset + HASH_BYTES]

    def frontier(self, size: int | None = None) -> Frontier:
        return frontier_at(self.node, self.size if size is None else size)

    def past_epoch(self) -> int:
        return max(self._past, default=0)

    def past_size(self, epoch: int) -> int:
        return len(self._past.get(epoch, ([], []))[0])

    def past(self, epoch: int, start: int, end: int) -> list[bytes]:
        return self._past.get(epoch, ([], []))[0][start:end]

    def past_frontier(self, epoch: int, size: int | None = None) -> Frontier:
        def node(level: int, index: int) -> bytes:
            seq, offset = home(level, index)
            return self._past[epoch][1][seq][offset : offset + HASH_BYTES]

        return frontier_at(node, self.past_size(epoch) if size is None else size)

    def load_past(self) -> Iterator[bytes]:
        return iter([raw for _, (raws, _) in sorted(self._past.items()) for raw in raws])

    def stage(self, epoch: int, raws: Sequence[bytes], nodes: Sequence[bytes]) -> None:
        if raws:
            held = self._past.setdefault(epoch, ([], []))
            held[0].extend(raws)
            held[1].extend(nodes)

    def stage_own(self, epoch: int, size: int) -> None:
        self.stage(epoch, self._raws[:size], self._nodes[:size])

    def unstage(self) -> None:
        self._past = {epoch: log for epoch, log in self._past.items() if epoch < self._epoch}

    async def switch(self, epoch: int, fork: int, raws: Sequence[bytes], nodes: Sequence[bytes]) -> None:
        self._strays += self._raws[fork:]
        self._raws, self._nodes, self._epoch, self.checkpoint = list(raws), list(nodes), epoch, None

    def strays(self) -> list[bytes]:
        return list(self._strays)

    def documents(self) -> dict[str, int]:
        return {name: version for name, (version, _) in self._documents.items()}

    def document(self, name: str) -> bytes | None:
        found = self._documents.get(name)
        return found[1] if found else None

    def put_document(self, name: str, version: int, body: bytes) -> None:
        self._documents[name] = (version, body)

    def keep_checkpoint(self, note: bytes) -> None:
        self.checkpoint = note

    def close(self) -> None:
        pass
