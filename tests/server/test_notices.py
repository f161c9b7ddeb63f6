"""Notices over real SMTP into the catcher, and the dispatcher's patience in pretend time."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import asyncpg
import httpx
import pytest
import zxingcpp
from PIL import Image
from tests.edge.test_tls import Authority
from tests.server.town import town

from latchwork.server.actions import links
from latchwork.server.actions.letters import CODED, STILL_TRUE, Letter
from latchwork.server.actions.parcel import Parcel
from latchwork.server.mail import BadSetting, SmtpMailer, compose, compose_link, qr_png
from latchwork.server.notices import DELAY_MAX, LEASE, TRIES_MAX, Dispatcher, NothingToSay, Undelivered, delay
from latchwork.store.outbox import DueNotice, PostgresOutbox
from latchwork.store.postgres import PostgresStore
from latchwork.store.rows import Unavailable
from latchwork.sync import keys
from latchwork.ui.words import languages

T0 = datetime(2026, 3, 1, 8, tzinfo=UTC)


# The whole way


async def test_the_recipient_is_told_with_code_picture_and_link(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path, mail=True) as place:
        await place.settle()
        stay = await place.deposit()
        (mail,) = await place.mails(1)
        pin = mail["text"].split("Your code: ")[1].splitlines()[0]
        assert len(pin.replace(" ", "")) == 6 and " " in pin
        for words in ("Lobby", "Riverside", "1 Wharf Road", "Berlin", "Door:    01", "LW-1"):
            assert words in mail["text"]
        (notice,) = await place.ask("GET", "notices")
        assert mail["message_id"] == f"<{notice['id']}@example.org>"
        assert notice["sent_at"] is not None

        async with httpx.AsyncClient(timeout=60, base_url=place.mail_url) as catcher:
            html = (await catcher.get(f"/mails/{mail['id']}/html")).text
            picture = (await catcher.get(f"/mails/{mail['id']}/picture")).content
            assert (await catcher.get(f"/mails/{mail['id']}")).status_code == 200
            assert (await catcher.get("/")).status_code == 200
            assert (await catcher.get("/mails/..%2f..%2fetc")).status_code == 404
        assert pin in html and "cid:" not in html
        ticket = keys.read_ticket(_seen(picture, tmp_path), place.cloud.office.vault.ticket_keys)
        assert ticket.bank == place.bank
        assert place.wall.bank.passes[ticket.pass_id].grant.stay == stay
        page = await place.http.get(mail["links"][0])
        assert page.status_code == 200
        assert "".join(pin.split()) in "".join(x for x in page.text if x.isdigit())

        await place.wall.take_out(pin.replace(" ", ""))
        await place.wall.sync()
        collected = (await place.mails(2))[0]
        assert "collected" in collected["subject"]
        assert pin not in collected["text"]


async def test_a_notice_that_is_no_longer_true_is_not_sent(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path, mail=True) as place:
        await place.settle()
        stay = (await place.announce("LW-1"))["id"]
        await place.wall.sync()
        await place.wall.put_in(place.courier, stay)
        await place.wall.collect(stay)
        await place.wall.sync()
        async with asyncio.timeout(60):
            while not (told := {x["kind"]: x for x in await place.ask("GET", "notices")})["ready"]["last_error"]:
                await asyncio.sleep(0.05)
        assert (told["ready"]["sent_at"], told["ready"]["last_error"]) == (None, "outdated")
        (mail,) = await place.mails(1)
        assert "collected" in mail["subject"]
        assert await place.ask("GET", "notices?dead=true") == [], "outdated is nobody's business"


async def test_no_code_and_no_address_is_in_the_outbox(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.settle()
        stay = await place.deposit()
        page = (await place.ask("GET", f"stays/{stay}"))["page"]
        async with connected(database) as connection:
            dump = ""
            for table in (
                "outbox",
                "stays",
                "instructions",
                "entries",
                "passes",
                "idempotency",
                "tokens",
                "enrolments",
            ):
                rows = await connection.fetch(f"SELECT t.*::text FROM {table} t")
                dump += "".join(str(row) for row in rows)
                for column in ("raw", "body", "response"):
                    if rows and column in rows[0]:
                        dump += "".join(bytes(row[column]).decode(errors="replace") for row in rows)
        office = place.cloud.office
        (pickup,) = [p.grant for p in place.wall.bank.passes.values() if p.grant.stay == stay]
        pin = office.vault.digits(place.bank, 1, pickup.pass_id, pickup.n, pickup.digits)
        assert keys.code_lookup(place.wall.code_key, pin) == pickup.lookup
        assert pickup.pass_id in dump
        for secret in (f'"{pin}"', f"'{pin}'", place.courier, page.rsplit("/", 1)[1], place.token, place.root):
            assert secret not in dump
        assert "ada@example.org" not in dump


async def test_a_claim_that_died_is_taken_over_when_its_lease_is_over(database: str, tmp_path: Path) -> None:
    """One process dies after claiming; another sends."""
    async with town(database, tmp_path) as place:
        await place.settle()
        await place.deposit()
    async with await PostgresStore.connect(database) as store:
        outbox = PostgresOutbox(store)
        now = datetime.now(UTC)
        (claimed,) = await outbox.claim_notices(now, now + LEASE, 4)
        assert await outbox.claim_notices(now, now + LEASE, 4) == []
        later = now + LEASE
        sent: list[str] = []
        dispatcher = Dispatcher(outbox, _by_id, Post(sent), lambda: later)
        assert await dispatcher.step() == 1
        assert sent == [claimed.id]
        assert await dispatcher.step() == 0


# The dispatcher alone


@dataclass
class Shelf:
    """An outbox with some notices that are due."""

    due: list[DueNotice]
    away: bool = False
    sent: list[str] = field(default_factory=list)
    failed: list[tuple[str, str, datetime, bool]] = field(default_factory=list)

    async def claim_notices(self, now: datetime, until: datetime, notices_max: int) -> list[DueNotice]:
        taken, self.due = self.due[:notices_max], self.due[notices_max:]
        return taken

    async def notices_sent(self, ids: Iterable[str], now: datetime) -> None:
        if self.away:
            raise Unavailable("away")
        self.sent += ids

    async def notice_failed(self, notice: str, error: str, again_at: datetime, dead: bool) -> None:
        self.failed.append((notice, error, again_at, dead))


@dataclass
class Post:
    taken: list[str]
    no: Undelivered | None = None

    async def send(self, message: str) -> None:
        if self.no is not None:
            raise self.no
        self.taken.append(message)


async def _by_id(notice: DueNotice) -> str:
    return notice.id


def due(name: str = "n1", tries: int = 1) -> DueNotice:
    return DueNotice(name, "ready", "stay", "person", "bank", tries)


async def test_a_refusal_waits_longer_each_time_and_ends_as_a_dead_letter() -> None:
    for tries in range(1, TRIES_MAX + 1):
        shelf = Shelf([due(tries=tries)])
        await Dispatcher(shelf, _by_id, Post([], Undelivered("busy")), lambda: T0).step()
        assert shelf.failed == [("n1", "busy", T0 + delay(tries), tries == TRIES_MAX)]
    assert [delay(n).total_seconds() for n in (1, 2, 3)] == [5, 10, 20]
    assert delay(50) == DELAY_MAX


async def test_an_address_that_is_refused_for_good_is_not_tried_again() -> None:
    shelf = Shelf([due()])
    await Dispatcher(shelf, _by_id, Post([], Undelivered("no such box", for_good=True)), lambda: T0).step()
    assert shelf.failed == [("n1", "no such box", T0 + delay(1), True)]


async def test_what_was_sent_is_not_sent_again_because_the_database_was_away() -> None:
    shelf, taken = Shelf([due()], away=True), list[str]()
    dispatcher = Dispatcher(shelf, _by_id, Post(taken), lambda: T0)
    with pytest.raises(Unavailable):
        await dispatcher.step()
    shelf.away = False
    assert await dispatcher.step() == 0
    assert (taken, shelf.sent) == (["n1"], ["n1"])


async def test_slow_sendings_leave_the_rest_to_the_lease() -> None:
    times = iter([T0, T0, T0, T0 + LEASE, T0 + LEASE])
    shelf, taken = Shelf([due("n1"), due("n2")]), list[str]()
    assert await Dispatcher(shelf, _by_id, Post(taken), lambda: next(times)).step() == 2
    assert taken == ["n1"]


async def test_one_that_cannot_be_written_holds_up_no_other() -> None:
    async def write(notice: DueNotice) -> str:
        if notice.id == "n1":
            raise OverflowError("date value out of range")
        return notice.id

    shelf, taken = Shelf([due("n1", TRIES_MAX), due("n2")]), list[str]()
    assert await Dispatcher(shelf, write, Post(taken), lambda: T0).step() == 2
    assert taken == ["n2"] and shelf.failed == [("n1", "date value out of range", T0 + delay(TRIES_MAX), True)]


async def test_nothing_to_say_is_not_a_failure() -> None:
    async def silent(notice: DueNotice) -> str:
        raise NothingToSay("no_address")

    shelf = Shelf([due()])
    await Dispatcher(shelf, silent, Post([]), lambda: T0).step()
    assert shelf.failed == [("n1", "no_address", T0, True)]


# The mail itself


def letter(**more: object) -> Letter:
    values: dict[str, object] = {
        "stay": "0" * 32, "bank": "b" * 32, "bank_name": "Lobby", "site_name": "Riverside", "address": "1 <b>Road</b>",
        "service": "parcel", "state": "deposited", "reason": None, "presumed": False, "tracking": "LW & Co",
        "recipient_name": "Ada", "compartment": "07", "pin": "123456", "drop_off_pin": None, "qr": "LW1.ABC",
        "deadline": T0, "ended_at": None, "heard_at": T0, "stale": False,
        "page": "https://example.org/p/x", "help": False, "language": None, "shelf": False,
    }  # fmt: skip
    return Letter("n1", "ready", "ada@example.org", "Ada <script> O'Neil, Dr.", Parcel(**{**values, **more}))  # type: ignore[arg-type]


def test_words_of_people_stay_words() -> None:
    message = compose(letter(), "Lockers <lockers@example.org>", T0)
    html = _part(message, "html")
    assert "<script>" not in html and "&lt;script&gt;" in html and "1 &lt;b&gt;Road&lt;/b&gt;" in html
    text = _part(message, "plain")
    assert "Ada <script> O'Neil, Dr." in text and "LW & Co" in text and "&amp;" not in text
    assert "123 456" in text and "Sunday, 1 March 2026 at 08:00" in text


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("kind", sorted(STILL_TRUE))
def test_every_notice_is_said_in_every_language(kind: str, language: str) -> None:
    told = replace(letter(reason="too_big", fallback="desk", presumed=True), kind=kind, language=language)
    message = compose(told, "Lockers <lockers@example.org>", T0)
    text, html = _part(message, "plain"), _part(message, "html")
    assert "{" not in text + str(message["Subject"]) and f'lang="{language}"' in html
    assert ("123 456" in text) is ("123 456" in html) is (kind in CODED)
    assert ("Sunday" in text) is (language == "en")


MAILED = sorted({*links.Purpose} - {links.Purpose.OWNER, links.Purpose.SIGN_IN})


@pytest.mark.parametrize("purpose", MAILED)
def test_a_mail_about_an_account_is_told_in_the_language_of_its_reader(purpose: str) -> None:
    there = "https://x.example.org/l"
    told = links.Letter(
        id="l1", purpose=purpose, to="a@example.org", name="Ada", organisation="Elm Court", role="auditor", about=None,
        created_at=T0, expires_at=T0, address=there, language="de",
    )  # fmt: skip
    message = compose_link(told, "Lockers <lockers@example.org>", T0)
    text, html = _part(message, "plain"), _part(message, "html")
    assert 'lang="de"' in html and there in text + str(message["Subject"]) and "{" not in text
    assert "Guten Tag, Ada," in text and ("Prüfer" in text) is (purpose == links.Purpose.INVITATION)
    assert "Hello Ada," in _part(compose_link(replace(told, language="en"), "l@example.org", T0), "plain")


def test_one_notice_has_one_message_id() -> None:
    ids = {compose(letter(), "Lockers <lockers@example.org>", T0 + timedelta(hours=n))["Message-ID"] for n in range(3)}
    assert ids == {"<n1@example.org>"}


@pytest.mark.parametrize("url", ["", "example.org", "http://example.org", "smtp://", "smtp://host:port"])
def test_a_wrong_mail_setting_is_a_sentence(url: str) -> None:
    with pytest.raises(BadSetting, match="LATCHWORK_SMTP_URL"):
        SmtpMailer(url)


async def test_nobody_listens() -> None:
    with pytest.raises(Undelivered):
        await SmtpMailer("smtp://127.0.0.1:9").send(compose(letter(), "Lockers <lockers@example.org>", T0))


async def test_a_mail_server_with_a_strange_certificate_gets_no_mail(tmp_path: Path) -> None:
    Authority(tmp_path, "somebody").issue("server")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")

    async def nobody(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(nobody, "127.0.0.1", 0, ssl=tls) as server:
        with pytest.raises(Undelivered, match="certificate"):
            url = f"smtps://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            await SmtpMailer(url).send(compose(letter(), "Lockers <lockers@example.org>", T0))


def test_nobody_adds_a_header_to_a_mail() -> None:
    text = "ada@example.org\r\nBcc: eve@example.org"
    for bent in (replace(letter(), name=text), replace(letter(), to=text)):
        with pytest.raises(Undelivered):
            compose(bent, "Lockers <lockers@example.org>", T0)


async def test_a_mail_server_that_cannot_encrypt_gets_no_mail_and_no_password() -> None:
    heard, gone = b"", asyncio.Event()

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        with suppress(ConnectionError):  # whoever leaves may leave our last answer unread
            writer.write(b"220 here\r\n")
            while line := await reader.readline():
                heard += line
                writer.write(b"250 fine\r\n")
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        gone.set()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        url = f"smtp://user:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}?tls=starttls"
        with pytest.raises(Undelivered, match="STARTTLS"):
            await SmtpMailer(url).send(compose(letter(), "Lockers <lockers@example.org>", T0))
        await gone.wait()
    assert heard.startswith(b"EHLO")
    assert b"AUTH" not in heard
    assert b"MAIL" not in heard
    assert SmtpMailer("smtp://mail.example.org")._starttls is True
    assert SmtpMailer("smtp://mail.example.org?tls=none")._starttls is False


def test_the_picture_can_be_read(tmp_path: Path) -> None:
    text = keys.TICKET_PREFIX + "ABCDEFGH234567" * 12
    assert _seen(qr_png(text), tmp_path) == text


def _part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def _seen(png: bytes, folder: Path) -> str:
    file = folder / "seen.png"
    file.write_bytes(png)
    with Image.open(file) as picture:
        (code,) = zxingcpp.read_barcodes(picture)
    return str(code.text)


@asynccontextmanager
async def connected(dsn: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()
