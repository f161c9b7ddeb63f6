"""What a person has to look at, at all walls: who took it, and how it ends."""

from urllib.parse import quote

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from latchwork.server.actions import places, tasks
from latchwork.server.actions.office import Declined, Who
from latchwork.server.web.operator.session import Form, Operator, Seal
from latchwork.server.web.render import TheOffice, page, reader

NO_DOOR = frozenset({"unreadable_entry", "tampered", "climate"})
"""What is about something else than a door."""


def told(task: tasks.Task, who: Who) -> dict[str, object]:
    """A task as pages show it: what is the matter, what to do next, and where somebody goes who may."""
    bank = f"/operator/banks/{task.bank}"
    where = (
        f"{bank}/doors/{quote(task.about, safe='')}"
        if "{about}" in task.words[0] and task.kind not in NO_DOOR
        else bank
    )
    return {
        "task": task,
        "told": tasks.told(task, reader()),
        "where": f"/operator/stays/{task.stay}" if task.stay == task.about and who.may("see_stays") else where,
        "zone": places.zone(task.time_zone),
    }


@get("/operator/tasks", include_in_schema=False)
async def all_tasks(office: TheOffice, who: Operator, seal: Seal) -> Response[str]:
    open_tasks = [told(task, who) for task in await tasks.tasks(office, who)]
    return page("operator/tasks.html", layer="operator", seal=seal, tasks=open_tasks)


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
