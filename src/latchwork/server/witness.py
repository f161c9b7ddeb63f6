"""The server as a witness of the banks' logs: it keeps what they sign, and countersigns what continues the last.

In the background: the exchange hands over what it has checked, and waits for nothing here.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

from latchwork.domain.words import BankId
from latchwork.server.exchange import Signed
from latchwork.server.projections import task_id
from latchwork.store.rows import CheckpointRow, Task, Unavailable
from latchwork.sync.custody import consistency_path, homes, kept, verify_consistency
from latchwork.sync.notes import BadNote, Checkpoint, Key, Note, Sign, read_checkpoint, read_note, signature, signers

log = logging.getLogger(__name__)

LOGS_MAX = 500
"""Countersigned in one commit."""

Log = tuple[str, int]


class WitnessStore(Protocol):
    """What a witness asks of a store. Every call may raise Unavailable."""

    async def checkpoints(self, logs: Sequence[Log]) -> list[CheckpointRow]: ...
    async def keep_checkpoints(self, rows: Sequence[CheckpointRow]) -> None: ...
    async def nodes(self, entries: Sequence[tuple[str, int, int]]) -> dict[Log, dict[int, bytes]]: ...
    async def raise_task(self, bank: BankId, task: str, kind: Task, now: datetime) -> None: ...


class Witness:
    """`sign` signs with the private half of `key`. `former`: what it signed with before."""

    def __init__(
        self,
        store: WitnessStore,
        key: Key,
        sign: Sign,
        clock: Callable[[], datetime],
        former: Sequence[Key] = (),
    ) -> None:
        self._store = store
        self._key = key
        self._own = (key, *former)
        self._sign = sign
        self._clock = clock
        self._new: dict[Log, Signed] = {}

    def take(self, signed: Signed) -> None:
        """Of a log only the newest matters."""
        self._new[signed.bank, signed.epoch] = signed

    async def step(self) -> None:
        """Keep what came since. Raises Unavailable; nothing is lost then."""
        batch = {log: self._new.pop(log) for log in list(self._new)[:LOGS_MAX]}
        if not batch:
            return
        try:
            await self._keep(batch)
        except Unavailable:
            self._new = {**batch, **self._new}
            raise

    async def _keep(self, batch: dict[Log, Signed]) -> None:
        last: dict[Log, Checkpoint] = {}
        for row in await self._store.checkpoints(list(batch)):
            try:
                note = read_note(row.note)
                signers(note, self._own)
                last[row.bank, row.epoch] = read_checkpoint(note.text)
            except BadNote as error:
                await self._complain(batch.pop((row.bank, row.epoch)), f"what was countersigned last is {error}")
        paths = {
            each: partial(consistency_path, first=checkpoint.size, second=batch[each].size)
            for each, checkpoint in last.items()
            if checkpoint.size <= batch[each].size
        }
        wanted = [(*each, seq) for each, path in paths.items() for seq in homes(path)]
        beside = await self._store.nodes(wanted) if wanted else {}
        rows = []
        for each, signed in batch.items():
            if each not in last:
                rows.append(self._countersigned(signed))
            elif each in paths:
                checkpoint, path = last[each], paths[each](kept(beside.get(each, {})))
                if verify_consistency(checkpoint.size, signed.size, checkpoint.root, signed.root, path):
                    rows.append(self._countersigned(signed))
                else:
                    await self._complain(signed, f"at {checkpoint.size} it was another than at {signed.size}")
        if rows:
            await self._store.keep_checkpoints(rows)

    def _countersigned(self, signed: Signed) -> CheckpointRow:
        now, text = self._clock(), signed.note.text
        note = Note(text, (*signed.note.signatures, signature(text, self._key, self._sign, now)))
        return CheckpointRow(signed.bank, signed.epoch, signed.size, signed.key, bytes(note), now)

    async def _complain(self, signed: Signed, why: str) -> None:
        log.error("the stored log of bank %s is not what it was: %s", signed.bank, why)
        name = task_id(signed.bank, Task.INCONSISTENT, "", signed.epoch, signed.size)
        await self._store.raise_task(signed.bank, name, Task.INCONSISTENT, self._clock())
