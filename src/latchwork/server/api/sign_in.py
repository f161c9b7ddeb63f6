"""Ways into the operator's pages for somebody who holds an API token."""

from litestar import post

from latchwork.server.actions import links
from latchwork.server.api.guard import Asker, TheOffice


@post("/sign-in-links", tags=["Signing in"], summary="A one-time link that opens the operator's pages as this token")
async def sign_in_link(office: TheOffice, who: Asker) -> links.Made:
    return await links.sign_in_link(office, who)


HANDLERS = [sign_in_link]
