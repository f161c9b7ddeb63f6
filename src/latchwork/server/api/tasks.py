"""What a person has to look at."""

from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody

from latchwork.server.actions import tasks
from latchwork.server.api.bodies import CloseTask, TakeTask
from latchwork.server.api.guard import Asker, TheOffice

TAG = ["Tasks"]


@get("/tasks", tags=TAG, summary="Open tasks, of one bank or of all, the oldest first")
async def all_tasks(office: TheOffice, who: Asker, bank: FromQuery[str | None] = None) -> list[tasks.Task]:
    return await tasks.tasks(office, who, bank)


@get("/banks/{bank_id:str}/tasks", tags=TAG, summary="What a person has to look at here")
async def tasks_of_bank(office: TheOffice, who: Asker, bank_id: FromPath[str]) -> list[tasks.Task]:
    return await tasks.tasks(office, who, bank_id)


@get("/tasks/{task_id:str}", tags=TAG, summary="An open task")
async def one_task(office: TheOffice, who: Asker, task_id: FromPath[str]) -> tasks.Task:
    return await tasks.task(office, who, task_id)


@post("/tasks/{task_id:str}/take", tags=TAG, status_code=200, summary="Somebody looks after it")
async def take(office: TheOffice, who: Asker, task_id: FromPath[str], data: JSONBody[TakeTask]) -> tasks.Task:
    return await tasks.take(office, who, task_id, data.by)


@post(
    "/tasks/{task_id:str}/close",
    tags=TAG,
    status_code=204,
    summary="Close one that nothing at the wall closes, with a reason",
)
async def close(office: TheOffice, who: Asker, task_id: FromPath[str], data: JSONBody[CloseTask]) -> None:
    await tasks.close(office, who, task_id, data.why, data.by)


HANDLERS = [all_tasks, tasks_of_bank, one_task, take, close]
