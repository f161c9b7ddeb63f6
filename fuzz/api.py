"""The whole HTTP API, as its own description says it can be called, and as it says it cannot: by schemathesis."""

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.server.town import Town, town

from latchwork.store import migrate
from latchwork.store.embedded import Embedded

CONFIG = """
[parameters]
"path.bank_id" = "{town.bank}"
"path.person_id" = "{town.person}"
"path.site_id" = "{town.site}"
"path.party_id" = "{town.party}"
"""
EXAMPLES = 40
NOT_ASKED = (
    "positive_data_acceptance",  # a wall refuses for reasons that no schema can know
    "negative_data_rejection",  # Litestar reads 0 as false and "5" as 5
    "allow_header_conformance",  # Litestar's answer to OPTIONS knows the first handler of a path only
)


async def walk(examples: int = EXAMPLES) -> int:
    """The exit code of schemathesis: 0 where nothing is wrong."""
    with tempfile.TemporaryDirectory(prefix="lw-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # noqa: ASYNC240 - PostgreSQL's own uid goes through it
        with Embedded(folder / "pg") as dsn:
            await migrate.migrate(dsn)
            async with town(dsn, folder) as built:
                built.cloud.office.tally.requests_max = 0
                return await _run(await built.settle(), folder, examples)


async def _run(built: Town, folder: Path, examples: int) -> int:
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG.format(town=built))
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        f"--config-file={config}",
        "run",
        f"{built.url}/api/openapi.json",
        f"--header=Authorization: Bearer {built.token}",
        f"--max-examples={examples}",
        "--phases=examples,coverage,fuzzing",
        "--continue-on-failure",
        "--generation-database=none",
        "--warnings=off",
        f"--exclude-checks={','.join(NOT_ASKED)}",
    ]
    process = await asyncio.create_subprocess_exec(*command, cwd=folder)
    return await process.wait()
