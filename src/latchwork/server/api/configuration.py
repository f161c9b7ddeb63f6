"""What a bank's controller runs, and what it is asked to run."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from litestar import get, put
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from latchwork.server.actions import configuration as configurations
from latchwork.server.api.guard import Asker, TheOffice

TAG = ["Places"]
BODY_BYTES_MAX = 2 * configurations.TEXT_BYTES_MAX
"""Escaped as JSON."""


class Wanted(Struct, frozen=True, forbid_unknown_fields=True):
    """`toml`: the whole file, as `latchwork edge` reads it."""

    toml: Annotated[str, Meta(min_length=1, max_length=configurations.TEXT_BYTES_MAX)]


@dataclass(frozen=True, slots=True)
class Running:
    """As the controller said it. `standing`: signed by it, changed by hand, strange (signed by another controller) or
    unsigned. `sha256` is over the file without its seal."""

    version: int
    sha256: str
    standing: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """`runs` is null until the controller has told. `state` is of version `asked`: none, waiting, refused, done."""

    runs: Running | None
    asked: int | None
    asked_at: datetime | None
    state: str
    refused: str | None
    toml: str | None


@get("/banks/{bank_id:str}/configuration", tags=TAG, summary="What a bank's controller runs, and what was asked of it")
async def show(office: TheOffice, who: Asker, bank_id: FromPath[str]) -> Configuration:
    return _shown(await configurations.configuration(office, who, bank_id))


@put(
    "/banks/{bank_id:str}/configuration",
    tags=TAG,
    status_code=202,
    request_max_body_size=BODY_BYTES_MAX,
    summary="Ask a bank's controller to run another configuration",
)
async def ask(office: TheOffice, who: Asker, bank_id: FromPath[str], data: JSONBody[Wanted]) -> Configuration:
    return _shown(await configurations.ask(office, who, bank_id, data.toml))


def _shown(found: configurations.Asked) -> Configuration:
    said = found.said
    runs = Running(said.version, said.sha256, said.standing) if said is not None else None
    refused = said.refused if said is not None and found.state == "refused" else None
    return Configuration(runs, found.asked, found.asked_at, found.state, refused, found.text)


HANDLERS = [show, ask]
