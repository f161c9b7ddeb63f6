"""What stands in the cloud's store, for checkers and for people who would see it on a page. Reads, never writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from latchwork.domain.words import BankId, CompartmentId, InstructionId, PassId, StayId
from latchwork.store.memory import MemoryStore


@dataclass(frozen=True, slots=True)
class Head:
    epoch: int
    size: int
    root: bytes
    divided: str | None


@dataclass(frozen=True, slots=True)
class StaySeen:
    state: str
    pickup_pass: str | None
    pickup_n: int
    pickup_digits: int
    drop_off_pass: str | None
    drop_off_n: int | None
    drop_off_digits: int | None


class Archive(Protocol):
    def head(self, bank: BankId) -> Head: ...
    def log(self, bank: BankId, start: int) -> list[bytes]:
        """Of the epoch it lives in."""

    def lives(self, bank: BankId) -> list[bytes]:
        """Of all its epochs."""

    def stay(self, stay: str) -> StaySeen: ...
    def knows(self, stay: str) -> bool: ...
    def stays_of(self, bank: BankId) -> Sequence[tuple[StayId, str]]:
        """Each with its state; without those that the bank has not heard of."""

    def compartments_of(self, bank: BankId) -> Sequence[tuple[CompartmentId, str]]: ...
    def code(self, pass_id: PassId) -> tuple[int, int] | None:
        """Its n and its number of digits, once the bank has granted it."""

    def was_lost(self, instruction: InstructionId) -> bool:
        """Whether a restore has lost it before the bank had it."""

    def tasks(self, bank: BankId) -> Mapping[str, str]:
        """What the open ones are about, each with one of their kinds."""

    def notices_waiting(self) -> Sequence[str]: ...
    def is_settled(self, stay: str, kind: str, person: str) -> bool:
        """Whether a notice was given up for a reason."""


def seen(row: Mapping[str, Any]) -> StaySeen:
    return StaySeen(
        row["state"],
        row["pickup_pass"],
        row["pickup_n"] or 0,
        row["pickup_digits"] or 0,
        row["drop_off_pass"],
        row["drop_off_n"],
        row["drop_off_digits"],
    )


class MemoryArchive:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def head(self, bank: BankId) -> Head:
        row = self._store.banks[bank]
        return Head(row["epoch"], row["size"], row["root"], row["divided"])

    def log(self, bank: BankId, start: int) -> list[bytes]:
        return [row["raw"] for row in self._store.logs.get((bank, self._store.banks[bank]["epoch"]), [])[start:]]

    def lives(self, bank: BankId) -> list[bytes]:
        logs = sorted((epoch, log) for (where, epoch), log in self._store.logs.items() if where == bank)
        return [row["raw"] for _, log in logs for row in log]

    def stay(self, stay: str) -> StaySeen:
        return seen(self._store.stays[stay])

    def knows(self, stay: str) -> bool:
        return stay in self._store.stays

    def stays_of(self, bank: BankId) -> Sequence[tuple[StayId, str]]:
        rows = self._store.stays.values()
        return [(StayId(r["id"]), r["state"]) for r in rows if r["bank"] == bank and r["seq"] is not None]

    def compartments_of(self, bank: BankId) -> Sequence[tuple[CompartmentId, str]]:
        rows = self._store.compartments.items()
        return [(CompartmentId(where), row["state"]) for (b, where), row in rows if b == bank]

    def code(self, pass_id: PassId) -> tuple[int, int] | None:
        row = self._store.passes.get(pass_id)
        return (row["n"], row["digits"]) if row is not None and row["state"] == "live" else None

    def was_lost(self, instruction: InstructionId) -> bool:
        return instruction not in self._store.instructions

    def tasks(self, bank: BankId) -> Mapping[str, str]:
        rows = self._store.tasks.values()
        return {row["about"]: row["kind"] for row in rows if row["bank"] == bank and row["closed_at"] is None}

    def notices_waiting(self) -> Sequence[str]:
        return [row["kind"] for row in self._store.outbox.values() if not row["sent_at"] and not row["dead"]]

    def is_settled(self, stay: str, kind: str, person: str) -> bool:
        rows = (row for row in self._store.outbox.values() if row["dead"])
        return any((row["stay"], row["kind"], row["person"]) == (stay, kind, person) for row in rows)
