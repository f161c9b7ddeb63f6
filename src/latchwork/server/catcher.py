"""A mail server that keeps every mail and delivers none, with a page to read them: for demos, tests and training.

    python -m latchwork.server.catcher --smtp 127.0.0.1:2525 --http 127.0.0.1:8025 --folder var/mails

Mails are files (`*.eml`), written whole or not at all. It speaks to nobody who did not speak to it first.
"""

import argparse
import asyncio
import contextlib
import email
import email.policy
import re
import secrets
import signal
import socket
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope
from litestar import Litestar, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery
from litestar.static_files import create_static_files_router

from latchwork.server.ports import PortTaken, Server, listen
from latchwork.ui.pages import PAGE_HEADERS, STATIC, environment
from latchwork.ui.words import words

MAIL_BYTES_MAX = 5_000_000
LISTED_MAX = 500
MAIL_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; sandbox "
    "allow-popups allow-popups-to-escape-sandbox"
)
"""A mail's own markup, alone in its frame: it may look, and do nothing."""
STYLE = (
    ".mail { width: 100%; height: 68rem; border: 0; border-radius: 0.5rem; } "
    "pre { white-space: pre-wrap; } a { overflow-wrap: anywhere; }"
)

_pages = environment(Path(__file__).parent / "mail_templates" / "catcher")


@dataclass(frozen=True, slots=True)
class Mail:
    id: str
    at: str
    to: str
    sender: str
    subject: str
    message_id: str
    text: str
    links: list[str]
    has_html: bool


class Shelf:
    """A folder of mails, the newest last by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, recipients: list[str], content: bytes) -> None:
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"
        new = self.folder / f".{name}.new"
        new.write_bytes(f"X-Caught-For: {', '.join(recipients)}\r\n".encode() + content)
        new.rename(self.folder / f"{name}.eml")

    def mails(self, to: str = "") -> list[Mail]:
        """The newest first."""
        found = []
        for path in sorted(self.folder.glob("*.eml"), reverse=True):
            mail = _mail(path.stem, self.raw(path.stem) or b"")
            if not to or to.lower() in mail.to.lower():
                found.append(mail)
            if len(found) == LISTED_MAX:
                break
        return found

    def raw(self, name: str) -> bytes | None:
        if not re.fullmatch(r"[0-9T]{1,40}-[0-9a-f]{8}", name):
            return None
        try:
            return (self.folder / f"{name}.eml").read_bytes()
        except FileNotFoundError:
            return None


class _Taker:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def handle_DATA(self, server: SMTP, session: object, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        await asyncio.to_thread(self._shelf.put, list(envelope.rcpt_tos), content)
        return "250 caught"


def _parse(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, policy=email.policy.default)


def _mail(name: str, raw: bytes) -> Mail:
    message = _parse(raw)
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    text = str(plain.get_content()) if plain else ""
    at = datetime.strptime(name.partition("-")[0], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)
    return Mail(
        name,
        at.isoformat(),
        str(message.get("X-Caught-For", message.get("To", ""))),
        str(message.get("From", "")),
        str(message.get("Subject", "")),
        str(message.get("Message-ID", "")),
        text,
        re.findall(r"https?://\S+", text),
        html is not None,
    )


def catcher_app(shelf: Shelf) -> Litestar:
    def page(template: str, **values: Any) -> Response[str]:
        text = _pages.get_template(template).render(w=words("en"), layer="operator", **values)
        return Response(text, media_type="text/html", headers=dict(PAGE_HEADERS))

    def known(name: str) -> bytes:
        raw = shelf.raw(name)
        if raw is None:
            raise NotFoundException("There is no such mail here.")
        return raw

    @get("/", sync_to_thread=True)
    def listed(to: FromQuery[str] = "") -> Response[str]:
        return page("list.html", mails=shelf.mails(to), to=to)

    @get("/mails", sync_to_thread=True)
    def as_json(to: FromQuery[str] = "") -> list[dict[str, Any]]:
        return [asdict(mail) for mail in shelf.mails(to)]

    @get("/mails/{name:str}", sync_to_thread=True)
    def one(name: FromPath[str]) -> Response[str]:
        return page("mail.html", mail=_mail(name, known(name)))

    @get("/mails/{name:str}/raw", sync_to_thread=True)
    def source(name: FromPath[str]) -> Response[bytes]:
        return Response(known(name), media_type="text/plain; charset=utf-8", headers=dict(PAGE_HEADERS))

    @get("/mails/{name:str}/html", sync_to_thread=True)
    def html(name: FromPath[str]) -> Response[str]:
        body = _parse(known(name)).get_body(("html",))
        if body is None:
            raise NotFoundException("This mail has no HTML.")
        text = re.sub(r'"cid:[^"]*"', f'"/mails/{name}/picture"', str(body.get_content()))
        headers = {**PAGE_HEADERS, "Content-Security-Policy": MAIL_POLICY}
        return Response(text, media_type="text/html; charset=utf-8", headers=headers)

    @get("/mails/{name:str}/picture", sync_to_thread=True)
    def picture(name: FromPath[str]) -> Response[bytes]:
        for part in _parse(known(name)).walk():
            if part.get_content_type() == "image/png":
                return Response(bytes(part.get_content()), media_type="image/png", headers=dict(PAGE_HEADERS))
        raise NotFoundException("This mail has no picture.")

    @get("/catcher.css", sync_to_thread=False)
    def style() -> Response[str]:
        return Response(STYLE, media_type="text/css")

    static = create_static_files_router(path="/static", directories=[STATIC])
    handlers: list[Any] = [listed, as_json, one, source, html, picture, style, static]
    return Litestar(handlers, openapi_config=None, logging_config=None)


async def serve(mails: socket.socket, pages: socket.socket, folder: Path) -> None:
    """Until cancelled. `mails` and `pages` listen already."""
    shelf, loop = Shelf(folder), asyncio.get_running_loop()
    taker = _Taker(shelf)
    smtp = await loop.create_server(
        lambda: SMTP(taker, hostname="latchwork", data_size_limit=MAIL_BYTES_MAX, enable_SMTPUTF8=True, loop=loop),
        sock=mails,
    )
    config = uvicorn.Config(catcher_app(shelf), log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    try:
        await Server(config).serve(sockets=[pages])
    finally:
        smtp.close()


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--smtp", default="127.0.0.1:2525", metavar="HOST:PORT", help="where mails arrive")
    parser.add_argument("--http", default="127.0.0.1:8025", metavar="HOST:PORT", help="where they can be read")
    parser.add_argument("--folder", type=Path, default=Path("var/mails"), help="where they are kept")


def run(args: argparse.Namespace) -> int:
    async def until_told() -> None:
        work = asyncio.current_task()
        assert work is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, work.cancel)
        with (
            listen(*_place(args.smtp), "The mail catcher", "--smtp") as mails,
            listen(*_place(args.http), "The mail catcher's page", "--http") as pages,
            contextlib.suppress(asyncio.CancelledError),
        ):
            await serve(mails, pages, args.folder)

    try:
        asyncio.run(until_told())
    except (PortTaken, ValueError) as error:
        sys.stderr.write(f"latchwork catcher: {error}\n")
        return 1
    return 0


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"{text!r} should be HOST:PORT")
    return host, int(port)


def main() -> int:
    parser = argparse.ArgumentParser("latchwork catcher", description="Keeps every mail and delivers none.")
    configure(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
