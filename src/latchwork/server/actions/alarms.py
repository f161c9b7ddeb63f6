"""What at a wall cannot wait, by mail to those of the staff who look after it: one for one cause, and never many."""

from dataclasses import dataclass
from datetime import UTC, timedelta, tzinfo

from latchwork.server.access import STAFF, may
from latchwork.server.actions import accounts, tasks
from latchwork.server.actions.letters import NotSent
from latchwork.server.actions.office import LIST_MAX, Office
from latchwork.server.actions.places import zone
from latchwork.server.actions.sessions import Session
from latchwork.store.rows import Task as Kind

ALARM = "alarm"
KINDS = (
    Kind.FORCED_DOOR,
    Kind.LEFT_OPEN,
    Kind.NOT_OPENED,
    Kind.WILL_NOT_CLOSE,
    Kind.BOARD_LOST,
    Kind.CLIMATE,
    Kind.TAMPERED,
    Kind.SILENT,
    Kind.REMOTE_STOPPED,
    Kind.DIVIDED,
    Kind.WRONG_KEY,
    Kind.CLONED,
    Kind.INCONSISTENT,
)
SETTLE = timedelta(seconds=10)
"""What is over by then, as a plug that was pulled and put back, is mailed to nobody."""
QUIET = timedelta(minutes=5)
"""After a mail about a wall; what happens there meanwhile of the same kind is in one mail after it."""


@dataclass(frozen=True, slots=True)
class Addressee:
    name: str
    email: str
    role: str
    language: str
    organisation: str
    organisation_name: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """`tasks`: what is the matter there now, the latest first."""

    id: str
    to: str
    name: str
    organisation: str
    bank_name: str
    tasks: list[tasks.Task]
    zone: tzinfo
    page: str
    account_page: str
    language: str


async def tell(office: Office) -> None:
    now, roles = office.now(), [role for role in STAFF if concerns(role)]
    await office.tables.do("tell_alarms", now, now - SETTLE, now - QUIET, list(KINDS), roles)


async def letter(office: Office, notice: str, bank: str, account: str) -> Alarm | NotSent:
    """As it is true now."""
    reader = await office.tables.one(Addressee, "alarm_reader", account)
    if reader is None or not concerns(reader.role):
        return NotSent("no_address")
    todo = await office.tables.all(tasks.Task, "tasks", reader.organisation, bank, None, LIST_MAX)
    alarms = [task for task in reversed(todo) if task.kind in KINDS]
    if not alarms:
        return NotSent("outdated")
    return Alarm(
        notice,
        reader.email,
        reader.name,
        reader.organisation_name,
        alarms[0].bank_name,
        alarms,
        zone(alarms[0].time_zone) or UTC,
        f"{office.public_url}/operator/tasks",
        f"{office.public_url}/operator/account",
        reader.language,
    )


async def want(office: Office, session: Session, wanted: bool) -> None:
    account = await accounts.own(office, session)
    await office.tables.do("want_alarms", account.id, wanted)


def concerns(role: str) -> bool:
    """Whoever closes tasks is told of them."""
    return may(role, "do_tasks")
