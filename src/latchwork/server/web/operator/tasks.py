"""What a person has to look at, at all walls: who took it, and how it ends."""

from collections.abc import Mapping
from urllib.parse import quote

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from latchwork.server.actions import places, tasks
from latchwork.server.actions.office import Declined
from latchwork.server.web.operator.session import Form, Operator, Seal
from latchwork.server.web.render import TheOffice, page, tell

LOOK = "Look inside, and say on the door's page or at the wall what you see."
PERSON = "When you know what it was, close this with a reason."
WORDS: Mapping[str, tuple[str, str]] = {
    "divided": ("The wall's log is divided", "Decide on the wall's page how it goes on."),
    "unreadable_entry": ("An entry ({about}) cannot be read by this version", f"Update the server. {PERSON}"),
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
    "no_place": (
        "{stay}: no bank takes it",
        "Send it to a bank that does, or ask its carrier where it is. Then close this with a reason.",
    ),
    "remote_stopped": (
        "The wall was asked to open too many doors from afar",
        "It opens none that way until staff at the wall says so.",
    ),
    "recovered": ("Door {about}: a new controller cannot vouch for it", LOOK),
}
NO_DOOR = frozenset({"unreadable_entry", "tampered", "climate"})
"""What is about something else than a door."""


def told(task: tasks.Task) -> dict[str, object]:
    """A task as pages show it: what is the matter, what to do next, and where."""
    what, next_step = WORDS.get(task.kind, (task.kind.replace("_", " "), ""))
    bank = f"/operator/banks/{task.bank}"
    where = f"{bank}/doors/{quote(task.about, safe='')}" if "{about}" in what and task.kind not in NO_DOOR else bank
    return {
        "task": task,
        "what": tell(what, about=task.about, stay=task.stay_label or task.about[:8]),
        "next": tell(next_step),
        "where": f"/operator/stays/{task.about}" if task.stay_label else where,
        "zone": places.zone(task.time_zone),
    }


@get("/operator/tasks", include_in_schema=False)
async def all_tasks(office: TheOffice, who: Operator, seal: Seal) -> Response[str]:
    todo = [told(task) for task in await tasks.tasks(office, who)]
    return page("operator/tasks.html", layer="operator", seal=seal, tasks=todo)


@post("/operator/tasks/{task_id:str}/take", include_in_schema=False)
async def take(office: TheOffice, who: Operator, task_id: FromPath[str]) -> Redirect:
    await tasks.take(office, who, task_id)
    return Redirect("/operator/tasks", status_code=303)


@post("/operator/tasks/{task_id:str}/close", include_in_schema=False)
async def close(office: TheOffice, who: Operator, task_id: FromPath[str], data: Form) -> Redirect:
    why = "".join(x for x in data.get("why", "") if x.isprintable()).strip()[:200]
    if not why:
        raise Declined(422, "no_reason", "Say what it was.")
    await tasks.close(office, who, task_id, why)
    return Redirect("/operator/tasks", status_code=303)


HANDLERS = [all_tasks, take, close]
