"""What the wall's screen shows while the bank cannot begin: that it is out of order, and why. It does nothing else."""

import asyncio
from contextlib import suppress

import uvicorn
from litestar import Litestar, MediaType, Response, get
from litestar.static_files import create_static_files_router

from latchwork.edge.kiosk.render import STATIC, TEMPLATES
from latchwork.ui import pages
from latchwork.ui.words import languages, words


def broken_app(why: str) -> Litestar:
    """`why`: a sentence for whoever looks after the controller."""
    template = pages.environment(TEMPLATES).get_template("kiosk/broken.html")
    spoken = [words(language) for language in languages()]
    html = template.render(w=words("en"), spoken=spoken, why=why)

    @get("/", media_type=MediaType.HTML, status_code=503)
    async def page() -> Response[str]:
        return Response(html, headers=dict(pages.PAGE_HEADERS))

    static = create_static_files_router("/static", [STATIC, pages.STATIC])
    return Litestar([page, static], openapi_config=None, logging_config=None)


def show_broken(why: str, host: str, port: int, seconds: float) -> None:
    """For so long, or until a signal. Nothing where the port is taken: then somebody else is the kiosk."""
    server = uvicorn.Server(uvicorn.Config(broken_app(why), host, port, log_level="critical", lifespan="off"))

    async def serve() -> None:
        asyncio.get_running_loop().call_later(seconds, setattr, server, "should_exit", True)
        await server.serve()

    with suppress(SystemExit):
        asyncio.run(serve())
