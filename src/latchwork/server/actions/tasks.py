"""Tasks: what a person has to look at. Whoever takes one is named; most are closed by what happens at the wall."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from latchwork.domain.words import Reason
from latchwork.server.actions import banks
from latchwork.server.actions.office import LIST_MAX, Declined, Office, Who, is_id, not_found
from latchwork.store.rows import Task as Kind
from latchwork.ui.words import Words

BY_HAND = frozenset(
    {
        Kind.WRONG_KEY,
        Kind.INSTRUCTION_MISMATCH,
        Kind.UNREADABLE_ENTRY,
        Kind.DIVIDED,
        Kind.INCONSISTENT,
        Kind.CLONED,
        Kind.NO_PLACE,
        Kind.TOO_LATE,
    }
)
"""Nothing that happens at a door settles these: a person does, with a reason."""
LOOKS = 32
"""In so many looks in a row, one every 15 s, a wall was unheard: with banks.FRESH it is silent for ten minutes."""
LOOK = "Look inside, and say on the door's page or at the wall what you see."
PERSON = "When you know what it was, close this with a reason."
WORDS: Mapping[str, tuple[str, str]] = {
    "divided": ("The wall's log is divided", "Decide on the wall's page how it goes on."),
    "unreadable_entry": (
        "An entry ({about}) cannot be read by this version",
        f"Update the server and run `latchwork reproject`. {PERSON}",
    ),
    "forced_door": ("Door {about} opened without an order", LOOK),
    "left_open": ("Door {about} stands open", f"Shut it. {LOOK}"),
    "board_lost": (
        "The board of door {about}, and of others on it, does not answer",
        "Look at its power and line.",
    ),
    "tampered": ("The cabinet is open: switch {about}", "Go and look. This closes when the cabinet is shut."),
    "climate": ("The temperature at {about} is outside its band, or not known", "Look at its cooling and its sensor."),
    "not_opened": ("Door {about} did not open", f"Look at lock and contact. {LOOK}"),
    "will_not_close": ("Door {about} does not close, a courier says", f"Look at hinge and lock. {LOOK}"),
    "unresolved": ("The power went off while door {about} was opening", LOOK),
    "wrong_key": ("Another controller says that it is this wall", PERSON),
    "cloned": ("Two controllers speak as this wall with one key, by turns", f"One is a copy: find it. {PERSON}"),
    "instruction_mismatch": ("The wall answered an instruction that is not as it was asked", PERSON),
    "inconsistent": (
        "What is stored of the wall's log is not what was countersigned",
        f"`latchwork verify` says where. {PERSON}",
    ),
    "missing": ("Door {about}: what somebody saw inside is not what should be", LOOK),
    "mismatch": ("Door {about}: a sensor inside contradicts what is recorded", LOOK),
    "wrong_recipient": ("{stay}: it seems to be somebody else's", "Find out, and give it to its right recipient."),
    "refused": ("{stay}: its recipient left it inside", "Its carrier takes it back, or you do at the wall."),
    "unknown_recipient": ("{stay}: nobody knows whose it is", "Find out, and give it to its recipient."),
    "unclaimed": ("{stay}: nobody collected it in time", "Take it out at the wall."),
    "stranded": (
        "{stay} lies in a compartment that is out of service",
        "Take it out or move it at the wall, or bring the door back into service.",
    ),
    "blocked": (
        "{stay} is on hold, and its time is over",
        "Keep it until a day and free it, give it to its right recipient, or take it out at the wall.",
    ),
    "too_late": (
        "{stay} was gone, or its door open, before the wall heard that it was on hold, or for somebody else",
        f"Its story says who was there. If it is still inside, ask once more. {PERSON}",
    ),
    "no_place": (
        "{stay}: no bank takes it",
        "Send it to a bank that does, or ask its carrier where it is. Then close this with a reason.",
    ),
    "silent": (
        "The wall is not heard any more",
        "Look at its power and its network. With power it works on alone, and people still collect there.",
    ),
    "remote_stopped": (
        "The wall was asked to open too many doors from afar",
        "It opens none that way until staff at the wall says so.",
    ),
    "recovered": ("Door {about}: a new controller cannot vouch for it", LOOK),
}
"""By kind: what is the matter, and what to do next."""
DETAILS = (
    "something inside",
    "nothing inside",
    "no reading",
    "announced for somebody else",
    "on hold",
    "for somebody else",
)
"""What rows say of a task, beside reasons, names and figures."""


@dataclass(frozen=True, slots=True)
class Task:
    """`about`: the compartment or the stay. `stay`: the one that it is about, or that was behind the door. `by_hand`: a
    person closes it; else what happens at the wall does. `heard_at`: when the wall was last heard."""

    id: str
    bank: str
    bank_name: str
    kind: str
    about: str
    detail: str | None
    opened_at: datetime
    taken_by: str | None
    taken_at: datetime | None
    stay: str | None
    stay_label: str | None
    time_zone: str
    heard_at: datetime | None
    by_hand: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_hand", self.kind in BY_HAND)

    @property
    def words(self) -> tuple[str, str]:
        """As in WORDS, still to be filled in."""
        return WORDS.get(self.kind, (self.kind.replace("_", " "), ""))


@dataclass(frozen=True, slots=True)
class Told:
    """A task in somebody's language."""

    what: str
    next: str
    detail: str
    """Empty where there is nothing more to say."""


def told(task: Task, w: Words) -> Told:
    what, next_step = task.words
    detail = task.detail or ""
    if detail and detail == task.stay:
        detail = task.stay_label or ""
    if detail in set(Reason):
        detail = w.reason(detail, "operator").what.removesuffix(".")
    return Told(
        w.tell(what, about=task.about, stay=task.stay_label or task.about[:8]),
        w.tell(next_step),
        w.tell(detail.replace("_", " ")),
    )


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


async def find_stranded(office: Office) -> None:
    """What lies where only staff can take it out."""
    await office.tables.do("stranded", office.now())


async def find_blocked(office: Office) -> None:
    """What nobody may collect, and nothing ends by itself."""
    await office.tables.do("blocked_too_long", office.now())


async def find_silent(office: Office) -> None:
    """Walls that nobody can help from afar. Counted in looks, not by the clock: a server that was off itself, or whose
    clock was put right, has missed nothing."""
    unheard: list[str] = await office.tables.value("unheard", office.now() - banks.FRESH)
    counts = {bank: office.unheard.get(bank, 0) + 1 for bank in unheard}
    office.unheard.clear()
    office.unheard.update(counts)
    missed = [bank for bank, looks in counts.items() if looks >= LOOKS]
    await office.tables.do("silent", office.now(), unheard, missed)


async def close(office: Office, who: Who, task_id: str, why: str, by: str | None = None) -> None:
    found = await task(office, who, task_id)
    if not found.by_hand:
        raise Declined(
            409, "closed_by_the_wall", "What happens at the wall closes this one: look, and say there what you see."
        )
    await office.tables.do("close_task", who.organisation, task_id, by or who.name, why, office.now())
