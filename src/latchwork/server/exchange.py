"""The server's side of the conversation with banks: who may speak, what is news, what goes down.

Coroutines that await nothing but the store they were given: no sockets, no event loop, no clock of their own. The
simulator steps them in pretend time.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from latchwork.domain.entries import EpochBegan
from latchwork.domain.words import BankId, InstructionId
from latchwork.server import projections
from latchwork.server.recovery import Recovery, RecoveryStore
from latchwork.store.rows import (
    INT_MAX,
    Append,
    Appended,
    AppendOperation,
    DocumentRow,
    Failed,
    Head,
    Rows,
    SendOrders,
    SentOrder,
    Task,
    Unavailable,
    Work,
)
from latchwork.sync.codec import Unreadable, read_body, read_envelope
from latchwork.sync.custody import Frontier
from latchwork.sync.exchange import (
    CODE_KEYS,
    INSTRUCTIONS_MAX,
    PROTOCOL,
    Ask,
    Configuration,
    Divided,
    Document,
    Down,
    Farewell,
    Gap,
    Goodbye,
    Growth,
    Hello,
    Order,
    Page,
    Staged,
    Told,
    Up,
    greets_divided,
    grow,
    wants_answer,
)
from latchwork.sync.keys import hello_text, signed_by
from latchwork.sync.notes import BadNote, Key, Note, origin, read_checkpoint, read_note, signers

log = logging.getLogger(__name__)

RESEND_AFTER = timedelta(seconds=10)
"""What went down and had no answer for so long goes down again."""
DOCUMENT_BYTES_PER_MESSAGE = 1024 * 1024
DOCUMENTS_MAX = 64
BOOTS_KEPT = 8
WORDS_MAX = 100
REFUSED_CHARACTERS_MAX = 1000

Greeting = Down | Ask | Page

_STATUS_TO_FAREWELL: Mapping[Appended, Farewell] = {
    Appended.UNKNOWN_BANK: Farewell.UNKNOWN_BANK,
    Appended.DIVIDED: Farewell.DIVIDED,
    Appended.STALE_SESSION: Farewell.SUPERSEDED,
}


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint of a bank's log, signed by its device key `key`, that agrees with our copy."""

    bank: BankId
    epoch: int
    key: bytes
    size: int
    root: bytes
    note: Note


class ServerStore(RecoveryStore, Protocol):
    """What the exchange asks of a store. Every call may raise Unavailable; `append` also Failed."""

    async def head(self, bank: BankId) -> Head | None: ...
    async def welcome(
        self, bank: BankId, now: datetime, software: str, boot: str, through: int, documents: Mapping[str, int]
    ) -> Head | None:
        """Counts the session up under the row's lock. None where the bank's key is revoked."""

    async def divide(self, bank: BankId, session: int, why: str, at: int, task: str, now: datetime) -> bool:
        """Marks the bank and raises one task, if `session` is still the living one and nobody did before."""

    async def raise_task(self, bank: BankId, task: str, kind: Task, now: datetime) -> None:
        """About the bank as a whole, unless one of its kind is open."""

    async def lift(self, bank: BankId, session: int, epoch: int, size: int) -> bool:
        """Whether a divided bank may begin a new epoch here, as a person has confirmed: then it is divided no more."""

    async def append(self, append: Append) -> Appended: ...
    async def send_orders(self, op: SendOrders) -> list[SentOrder]: ...
    async def documents(self, bank: BankId, held: Mapping[str, int]) -> list[DocumentRow]: ...
    async def holds(self, bank: BankId, session: int, documents: Mapping[str, int]) -> None: ...
    async def runs(self, bank: BankId, session: int, configuration: str) -> None:
        """What the bank says of its configuration, as JSON."""

    async def heard(self, banks: Iterable[BankId], now: datetime) -> None: ...
    async def work(self, held: Sequence[tuple[BankId, int]], resend_before: datetime) -> list[Work]: ...


@dataclass(slots=True)
class _Line:
    """One living connection. `frontier` is our copy of its log of `epoch`: only this session can make it grow."""

    bank: BankId
    organisation: str
    key: bytes
    session: int
    epoch: int
    had_epoch: int
    """The last of which anything is stored; 0 until the first entry is."""
    had: Frontier
    """What is stored of it."""
    frontier: Frontier
    documents: Mapping[str, int]
    stated: tuple[int, int]
    """Of which epoch, and how long, its hello said its log is. It may hold answers to what we would number anew."""
    divided: bool
    recovery: Recovery | None = None
    """Its log has parted from ours, and this is what is talked about."""
    suspect: bool = False
    """Its hello was shorter than our copy, which an old hello, late, would be too: its next word will tell."""
    sent: int = 0
    awaiting: int | None = None
    """Number of our message that has no answer yet."""
    offered: dict[str, int] = field(default_factory=dict)
    offered_at: datetime | None = None


class Exchange:
    """All the lines that one server process holds; `clock` tells server time, `signed` hears of checkpoints.

    `code_keys` makes the document of that name, of which the store has the version alone.
    """

    def __init__(
        self,
        store: ServerStore,
        clock: Callable[[], datetime],
        signed: Callable[[Signed], None] | None = None,
        code_keys: Callable[[BankId], bytes] | None = None,
    ) -> None:
        self._store = store
        self._code_keys = code_keys
        self._clock = clock
        self._signed = signed
        self._boots: dict[BankId, deque[str]] = {}
        """Of the hellos that this process has heard."""
        self._lines: dict[BankId, _Line] = {}

    async def greet(self, hello: Hello, nonce: bytes) -> Greeting | Goodbye:
        """The first answer to a bank. What it signed must be the nonce that was drawn for this connection."""
        try:
            return await self._greet(hello, nonce)
        except Unavailable as error:
            log.warning("bank %s not greeted: %s", hello.bank, error)
            return Goodbye(Farewell.UNAVAILABLE)

    async def take(self, bank: BankId, up: Up | Told | Staged) -> Greeting | Goodbye | None:
        """Stores what is new and answers, if an answer is due, with how far our copy goes after the commit."""
        line = self._lines.get(bank)
        if line is None or line.session != up.session:
            return Goodbye(Farewell.SUPERSEDED)
        answer: Greeting | Goodbye | None
        try:
            if line.recovery is not None and not isinstance(up, Up):
                answer = await line.recovery.hear(up) or self._recovered(line)
            elif line.recovery is None and isinstance(up, Up):
                answer = await self._take(line, up)
            else:
                answer = Goodbye(Farewell.MALFORMED)
        except Unreadable as error:
            log.warning("bank %s sent nonsense: %s", bank, error)
            answer = Goodbye(Farewell.MALFORMED)
        except Unavailable as error:
            log.warning("nothing stored for bank %s: %s", bank, error)
            answer = Goodbye(Farewell.UNAVAILABLE)
        if isinstance(answer, Goodbye):
            self.forget(bank, line.session)
        return answer

    async def deliver(self, bank: BankId, session: int, work: Work | None = None) -> Down | None:
        """Instructions and documents that the bank lacks; None while it owes an answer, or nothing is due.

        `work` is what the store just said of this bank, where the caller has asked already.
        """
        line = self._lines.get(bank)
        if line is None or line.session != session or line.awaiting is not None or line.suspect or line.recovery:
            return None
        try:
            carried = await self._due(line, work)
        except (Unavailable, Failed) as error:
            log.warning("nothing delivered to bank %s: %s", bank, error)
            return None  # whoever asked will ask again in a second
        if not any(carried) or self._lines.get(bank) is not line or line.awaiting is not None:
            return None
        return self._down(line, None, *carried)

    def held(self) -> list[tuple[BankId, int]]:
        """Banks that are connected here, with their sessions."""
        return [(line.bank, line.session) for line in self._lines.values()]

    def forget(self, bank: BankId, session: int) -> None:
        """The connection is over."""
        line = self._lines.get(bank)
        if line is not None and line.session == session:
            del self._lines[bank]

    # Greeting

    async def _greet(self, hello: Hello, nonce: bytes) -> Greeting | Goodbye:
        if not _sane(hello):
            return Goodbye(Farewell.MALFORMED)
        head = await self._store.head(hello.bank)
        if head is None:
            return Goodbye(Farewell.UNKNOWN_BANK)
        text = hello_text(hello.bank, nonce)
        if head.device_key != hello.key:
            if head.device_key is not None:
                now = self._clock()
                name = projections.task_id(head.bank, Task.WRONG_KEY, now.isoformat(), head.epoch, head.size)
                await self._store.raise_task(head.bank, name, Task.WRONG_KEY, now)
            return Goodbye(Farewell.WRONG_KEY)
        if not signed_by(hello.key, hello.signature, text):
            return Goodbye(Farewell.WRONG_KEY)
        if head.revoked:
            return Goodbye(Farewell.REVOKED_KEY)
        now = self._clock()
        software, boot = _words(hello.software), _words(hello.boot)
        await self._look_for_a_clone(head, boot)
        welcomed = await self._store.welcome(
            hello.bank, now, software, boot, hello.instructions_through, hello.documents
        )
        if welcomed is None:  # revoked since we looked
            return Goodbye(Farewell.SUPERSEDED)
        if hello.configuration is not None:
            await self._store.runs(hello.bank, welcomed.session, _bounded(hello.configuration))
        line = _line(welcomed, hello)
        newest = self._lines.get(hello.bank)
        if newest is not None and newest.session > line.session:
            return Goodbye(Farewell.SUPERSEDED)
        if line.divided:
            if hello.epoch > welcomed.epoch:  # it has gone on from our log already
                await self._store.keep_parting(line.bank, hello.epoch, hello.size, hello.root, hello.size)
            else:
                return await self._recover(line, Recovery(self._store, self._clock, welcomed, hello))
        divided = greets_divided(hello, welcomed.epoch, line.frontier)
        if divided is not None:
            line.suspect = line.stated < (welcomed.epoch, line.frontier.size)
            if not line.suspect:
                return await self._part(line, divided)
        self._lines[hello.bank] = line
        try:
            carried = ([], []) if line.suspect else await self._due(line)
        except Failed as error:
            log.warning("nothing delivered to bank %s: %s", hello.bank, error)
            carried = ([], [])
        return self._down(line, None, *carried)

    async def _look_for_a_clone(self, head: Head, boot: str) -> None:
        """A boot that was here comes again after another one: two controllers with one key, by turns."""
        known = self._boots.setdefault(head.bank, deque(maxlen=BOOTS_KEPT))
        if boot in known and head.boot not in (None, boot):
            log.error("bank %s is two controllers with one key: boots %s and %s", head.bank, boot, head.boot)
            now = self._clock()
            name = projections.task_id(head.bank, Task.CLONED, now.isoformat(), head.epoch, head.size)
            await self._store.raise_task(head.bank, name, Task.CLONED, now)
        elif boot not in known:
            known.append(boot)

    async def _recover(self, line: _Line, recovery: Recovery) -> Ask | Page | Goodbye:
        answer = await recovery.begin()
        if not isinstance(answer, Goodbye):
            line.recovery = recovery
            self._lines[line.bank] = line
        return answer

    def _recovered(self, line: _Line) -> Down:
        """It has our log: from here on it is a bank like any other, which has a new epoch to tell of."""
        line.recovery = None
        return self._down(line, None)

    async def _part(self, line: _Line, divided: Divided) -> Goodbye:
        """Only the living session may conclude this; an older one is merely told to go."""
        name = projections.task_id(line.bank, Task.DIVIDED, "", line.epoch, divided.at)
        why = f"at {divided.at}: {divided.why}"
        if await self._store.divide(line.bank, line.session, why, divided.at, name, self._clock()):
            log.error("bank %s is divided, %s", line.bank, why)
            return Goodbye(Farewell.DIVIDED)
        head = await self._store.head(line.bank)
        return Goodbye(Farewell.DIVIDED if head and head.divided is not None else Farewell.SUPERSEDED)

    # News

    async def _take(self, line: _Line, up: Up) -> Down | Goodbye | None:
        if not 0 <= up.start <= INT_MAX or not (line.suspect or line.epoch <= up.epoch <= line.epoch + 1):
            return Goodbye(Farewell.MALFORMED)
        if up.epoch < line.epoch:
            return await self._part(line, Divided(0, f"speaks of epoch {up.epoch}, we hold {line.epoch}"))
        if up.epoch > line.epoch and (goodbye := await self._begin_epoch(line, up)):
            return goodbye
        if up.re is not None and up.re == line.awaiting:
            line.awaiting = None
        if up.documents != line.documents:
            if not _are_versions(up.documents):
                return Goodbye(Farewell.MALFORMED)
            await self._store.holds(line.bank, line.session, up.documents)
            line.documents = up.documents
        if up.configuration is not None:
            await self._store.runs(line.bank, line.session, _bounded(up.configuration))
        end = min(up.start + len(up.entries), line.frontier.size)
        overlap = await self._store.overlap(line.bank, line.epoch, up.start, end) if up.start < end else ()
        growth = grow(line.bank, line.frontier, up, overlap)
        if isinstance(growth, Divided):
            return await self._part(line, growth)
        if isinstance(growth, Growth):
            line.suspect = False
            if growth.new and (farewell := await self._grow(line, growth)):
                return Goodbye(farewell)
            if up.checkpoint is not None and (broken := self._check(line, up.checkpoint)):
                return await self._part(line, broken)
        if isinstance(growth, Gap) or wants_answer(up):
            return self._down(line, up.n)
        return None

    async def _begin_epoch(self, line: _Line, up: Up) -> Goodbye | None:
        """A new life of this bank, which must begin upon our log as it stands."""
        body = read_body(read_envelope(up.entries[0])) if up.entries and up.start == 0 else None
        here = (line.epoch, line.frontier.size, line.frontier.root().hex())
        if not isinstance(body, EpochBegan) or (body.previous, body.size, body.root) != here:
            return await self._part(line, Divided(0, f"epoch {up.epoch} does not begin upon our log"))
        if line.divided:
            if not await self._store.lift(line.bank, line.session, line.epoch, line.frontier.size):
                return Goodbye(Farewell.DIVIDED)
            log.warning("bank %s goes on from our log, in epoch %d", line.bank, up.epoch)
            line.divided = False
        line.epoch, line.frontier = up.epoch, Frontier()
        return None

    def _check(self, line: _Line, raw: bytes) -> Divided | None:
        """What a bank signed must be what it sent. One that cannot be read is only worth a line: the entries count."""
        key = Key(origin(line.bank, line.epoch), line.key)
        try:
            note = read_note(raw)
            signers(note, [key])
            checkpoint = read_checkpoint(note.text)
            if checkpoint.origin != key.name or checkpoint.extensions or len(note.signatures) != 1:
                raise BadNote("more or other than a bank says")
        except BadNote as error:
            log.warning("bank %s sent a checkpoint that is none: %s", line.bank, error)
            return None
        if not checkpoint.size or checkpoint.size != line.frontier.size:  # late, or ahead of what could be stored
            return None
        if checkpoint.root != line.frontier.root():
            return Divided(checkpoint.size, "it has signed another Merkle root")
        if self._signed is not None:
            self._signed(Signed(line.bank, line.epoch, line.key, checkpoint.size, checkpoint.root, note))
        return None

    async def _grow(self, line: _Line, growth: Growth) -> Farewell | None:
        try:
            rows = projections.rows(line.organisation, growth.new, growth.nodes, self._clock())
            return await self._append(line, growth.frontier, rows)
        except (Failed, projections.Incoherent) as error:
            log.error("entries of bank %s are stored one by one: %s", line.bank, error)
            return await self._grow_singly(line, growth)

    async def _grow_singly(self, line: _Line, growth: Growth) -> Farewell | None:
        """Whatever is wrong with an entry's rows, its bytes are stored and acknowledged (rule 5)."""
        for raw, nodes in zip(growth.new, growth.nodes, strict=True):
            frontier = line.frontier.append(raw)[0]
            try:
                rows = projections.rows(line.organisation, (raw,), (nodes,), self._clock())
                farewell = await self._append(line, frontier, rows)
            except (Failed, projections.Incoherent) as error:
                rows = projections.bare(line.organisation, raw, nodes, self._clock(), str(error))
                farewell = await self._append(line, frontier, rows)
            if farewell is not None or line.frontier.size != frontier.size:
                return farewell
        return None

    async def _append(self, line: _Line, frontier: Frontier, rows: Rows) -> Farewell | None:
        """Our copy of the log is what the line says, before and after; else it is read again, and restated."""
        operation = AppendOperation(
            line.organisation,
            line.bank,
            line.session,
            line.had_epoch,
            line.had.size,
            line.had.root(),
            line.epoch,
            frontier.size,
            frontier.root(),
            frontier.to_bytes(),
            self._clock(),
            rows.orders_last,
            rows.policy_version,
            rows.software,
            rows.boot,
        )
        status = await self._store.append(Append(operation, rows))
        if status is Appended.OK:
            line.frontier = line.had = frontier
            line.had_epoch = line.epoch
            return None
        if status is not Appended.MOVED:
            return _STATUS_TO_FAREWELL[status]
        head = await self._store.head(line.bank)
        if head is None or head.session != line.session or (head.epoch or 1) != line.epoch:
            return Farewell.SUPERSEDED
        line.frontier = line.had = Frontier.of(head.size, head.peaks)
        line.had_epoch = head.epoch
        return None

    # What goes down

    async def _due(self, line: _Line, work: Work | None = None) -> tuple[list[Order], list[Document]]:
        now = self._clock()
        resend_before = now - RESEND_AFTER
        if work is None:
            found = await self._store.work([(line.bank, line.session)], resend_before)
            work = found[0] if found else None
        if work is None or work.over:
            return [], []
        orders: list[SentOrder] = []
        if work.orders and (line.epoch, line.frontier.size) >= line.stated:
            asked = SendOrders(line.bank, line.organisation, line.session, now, resend_before, INSTRUCTIONS_MAX)
            orders = await self._store.send_orders(asked)
        documents = await self._documents(line, now) if work.documents else []
        return [Order(o.number, InstructionId(o.id), o.body, o.void) for o in orders], documents

    async def _documents(self, line: _Line, now: datetime) -> list[Document]:
        if line.offered_at is None or now - line.offered_at >= RESEND_AFTER:
            line.offered = {}
        chosen: list[Document] = []
        room = DOCUMENT_BYTES_PER_MESSAGE
        for row in await self._store.documents(line.bank, {**line.documents, **line.offered}):
            body = self._code_keys(line.bank) if self._code_keys and row.name == CODE_KEYS else row.body
            room -= len(body)
            if chosen and room < 0:
                break
            chosen.append(Document(row.name, row.version, body))
            line.offered[row.name] = row.version
            line.offered_at = now
        return chosen

    def _down(
        self, line: _Line, re: int | None, orders: Sequence[Order] = (), documents: Sequence[Document] = ()
    ) -> Down:
        line.sent += 1
        if re is None or orders or documents:
            line.awaiting = line.sent
        size, root = line.frontier.size, line.frontier.root()
        now = self._clock()
        return Down(line.sent, line.session, line.epoch, size, root, now, re, tuple(orders), tuple(documents))


def _line(head: Head, hello: Hello) -> _Line:
    frontier = Frontier.of(head.size, head.peaks)
    return _Line(
        head.bank,
        head.organisation,
        hello.key,
        head.session,
        head.epoch or 1,
        head.epoch,
        frontier,
        frontier,
        dict(hello.documents),
        (hello.epoch, hello.size),
        head.divided is not None,
    )


def _sane(hello: Hello) -> bool:
    """Whether its numbers fit our columns; anything may sign a hello before we look up who it is."""
    return (
        hello.protocol == PROTOCOL
        and 1 <= hello.epoch <= INT_MAX
        and 0 <= hello.size <= INT_MAX
        and 0 <= hello.instructions_through < INT_MAX - 1_000_000
        and len(hello.bank) <= WORDS_MAX
        and "\0" not in hello.bank
        and _are_versions(hello.documents)
    )


def _are_versions(documents: Mapping[str, int]) -> bool:
    return len(documents) <= DOCUMENTS_MAX and all(
        len(name) <= WORDS_MAX and "\0" not in name and 0 <= version <= INT_MAX for name, version in documents.items()
    )


def _bounded(said: Configuration) -> str:
    version, asked = (max(0, min(number, INT_MAX)) for number in (said.version, said.asked))
    refused = said.refused and said.refused.replace("\0", "")[:REFUSED_CHARACTERS_MAX]
    bounded = Configuration(version, _words(said.sha256), _words(said.standing), asked, refused)
    return msgspec.json.encode(bounded).decode()


def _words(text: str) -> str:
    return text.replace("\0", "")[:WORDS_MAX]
