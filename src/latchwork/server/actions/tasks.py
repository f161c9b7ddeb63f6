"""Tasks: what a person has to look at. Whoever takes one is named; most are closed by what happens at the wall."""

from dataclasses import dataclass
from datetime import datetime

from latchwork.server.actions import banks
from latchwork.server.actions.office import LIST_MAX, Declined, Office, Who, is_id, not_found
from latchwork.store.rows import Task as Kind

BY_HAND = frozenset(
    {
        Kind.WRONG_KEY,
        Kind.INSTRUCTION_MISMATCH,
        Kind.UNREADABLE_ENTRY,
        Kind.DIVIDED,
        Kind.INCONSISTENT,
        Kind.CLONED,
        Kind.NO_PLACE,
    }
)
"""Nothing that happens at a door settles these: a person does, with a reason."""


@dataclass(frozen=True, slots=True)
class Task:
    """`about`: the compartment or the stay. `by_hand`: a person closes it; else what happens at the wall does."""

    id: str
    bank: str
    bank_name: str
    kind: str
    about: str
    detail: str | None
    opened_at: datetime
    taken_by: str | None
    taken_at: datetime | None
    stay_label: str | None
    time_zone: str
    by_hand: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_hand", self.kind in BY_HAND)


async def tasks(office: Office, who: Who, bank: str | None = None) -> list[Task]:
    """Open ones, the oldest first."""
    if bank is not None:
        await banks.bank(office, who, bank)
    return await office.tables.all(Task, "tasks", who.organisation, bank, None, LIST_MAX)


async def task(office: Office, who: Who, task_id: str) -> Task:
    found = await office.tables.one(Task, "tasks", who.organisation, None, task_id, 1) if is_id(task_id) else None
    if found is None:
        raise not_found("open task")
    return found


async def take(office: Office, who: Who, task_id: str, by: str | None = None) -> Task:
    """Somebody looks after it. Who takes it last has it."""
    await task(office, who, task_id)
    await office.tables.do("take_task", who.organisation, task_id, by or who.name, office.now())
    return await task(office, who, task_id)


async def find_wrong_flats(office: Office) -> None:
    """What a courier put in for somebody else than it was announced for afterwards."""
    await office.tables.do("wrong_flats", office.now())


async def close(office: Office, who: Who, task_id: str, why: str, by: str | None = None) -> None:
    found = await task(office, who, task_id)
    if not found.by_hand:
        raise Declined(
            409, "closed_by_the_wall", "What happens at the wall closes this one: look, and say there what you see."
        )
    await office.tables.do("close_task", who.organisation, task_id, by or who.name, why, office.now())
