"""Notices as e-mail: rendered from a letter, sent through any SMTP server. The only channel so far."""

import io
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import aiosmtplib
import segno

from latchwork.domain.effects import Notice
from latchwork.domain.words import StayState
from latchwork.server.actions import tasks
from latchwork.server.actions.alarms import Alarm
from latchwork.server.actions.letters import CODED, Letter
from latchwork.server.actions.links import Letter as LinkLetter
from latchwork.server.actions.parcel import grouped
from latchwork.server.actions.reminders import DELEGATED
from latchwork.server.notices import Undelivered
from latchwork.server.ports import LOOPBACK
from latchwork.ui.pages import environment
from latchwork.ui.words import words

TEMPLATES = Path(__file__).parent / "mail_templates"
SEND_SECONDS_MAX = 8.0
"""Below a quarter of the outbox's lease."""
QR_ID = "qr@latchwork"

_pages = environment(TEMPLATES)
_pages.filters["grouped"] = grouped


class BadSetting(Exception):
    """A setting of the mail server makes no sense. The message is a sentence for the operator."""


def compose(letter: Letter, sender: str, now: datetime) -> EmailMessage:
    """Text and HTML, the QR code as an inline picture. The same notice always has the same Message-ID."""
    message = _addressed(letter.id, letter.name, letter.to, sender, now)
    said = _said(letter)
    message["Subject"] = said["subject"]
    message.set_content(_pages.get_template("notice.txt").render(said), cte="quoted-printable")
    message.add_alternative(_pages.get_template("notice.html").render(said), subtype="html", cte="quoted-printable")
    if said["picture"] and letter.parcel.qr is not None:
        html = message.get_payload(1)
        assert isinstance(html, EmailMessage)
        html.add_related(qr_png(letter.parcel.qr), "image", "png", cid=f"<{QR_ID}>", filename="code.png")
    return message


def _said(letter: Letter) -> dict[str, Any]:
    """What the templates need, in the reader's language."""
    w, parcel = words(letter.language), letter.parcel
    values = {
        "bank": parcel.bank_name,
        "site": parcel.site_name,
        "sender": parcel.recipient_name or "",
        "why": w.reason(parcel.reason, "recipient").what if parcel.reason else "",
        "fallback": w.say(f"fallback.{parcel.fallback or 'none'}"),
    }
    text = "presumed" if letter.kind == Notice.READY and parcel.presumed else "text"
    if letter.kind == DELEGATED and parcel.pin is None:
        text = "unheard"
    return {
        "w": w,
        "parcel": parcel,
        "name": letter.name,
        "subject": w.say(f"mail.{letter.kind}.subject", **values),
        "title": w.say(f"mail.{letter.kind}.title", **values),
        "text": w.say(f"mail.{letter.kind}.{text}", **values),
        "code": letter.kind in CODED and parcel.pin is not None,
        "picture": letter.kind in CODED and parcel.qr is not None,
        "until": letter.until or (parcel.deadline if parcel.state != StayState.EXPIRED else None),
        "qr": f"cid:{QR_ID}",
        "when": lambda at: at.strftime(w.say("mail.moment")),
    }


def compose_link(letter: LinkLetter, sender: str, now: datetime) -> EmailMessage:
    """The mail that carries a one-time link."""
    message = _addressed(letter.id, letter.name, letter.to, sender, now)
    w = words(letter.language)
    named = {
        "organisation": letter.organisation,
        "role": w.tell(letter.role) if letter.role else "",
        "address": letter.address,
        "what": w.tell(letter.about) if letter.about else "",
        "at": letter.created_at.strftime(w.say("mail.moment")),
    }
    said = {key: w.say(f"mail.link.{letter.purpose}.{key}", **named) for key in ("subject", "about", "act", "mistake")}
    message["Subject"] = " ".join(said["subject"].split())
    values = {"w": w, "letter": letter, "until": letter.expires_at.strftime(w.say("mail.moment")), **said}
    message.set_content(_pages.get_template("link.txt").render(values), cte="quoted-printable")
    message.add_alternative(_pages.get_template("link.html").render(values), subtype="html", cte="quoted-printable")
    return message


def compose_alarm(alarm: Alarm, sender: str, now: datetime) -> EmailMessage:
    """What is the matter at a wall, the latest in the subject."""
    message = _addressed(alarm.id, alarm.name, alarm.to, sender, now)
    w = words(alarm.language)
    told = [tasks.told(task, w) for task in alarm.tasks]
    more = w.say("mail.alarm.more", n=len(told) - 1) if told[1:] else ""
    message["Subject"] = " ".join(f"{alarm.bank_name}: {told[0].what} {more}".split())
    moment = w.say("mail.moment")
    since = [task.opened_at.astimezone(alarm.zone).strftime(moment) for task in alarm.tasks]
    values = {"w": w, "alarm": alarm, "tasks": list(zip(told, since, strict=True))}
    message.set_content(_pages.get_template("alarm.txt").render(values), cte="quoted-printable")
    message.add_alternative(_pages.get_template("alarm.html").render(values), subtype="html", cte="quoted-printable")
    return message


def _addressed(letter: str, name: str, to: str, sender: str, now: datetime) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    shown, address = parseaddr(sender)
    try:
        message["From"] = Address(display_name=shown, addr_spec=address)
        message["To"] = Address(display_name=name, addr_spec=to)
    except (ValueError, IndexError) as error:
        raise Undelivered(f"not an address: {error}", for_good=True) from None
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{letter}@{address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    return message


def qr_png(text: str) -> bytes:
    picture = io.BytesIO()
    segno.make(text, error="m", boost_error=False).save(picture, kind="png", scale=6, border=4)
    return picture.getvalue()


class SmtpMailer:
    """`smtp://user:password@host:587` or `smtps://...:465`. Raises BadSetting.

    `smtp:` means STARTTLS, and nothing is sent without it, unless the address ends with `?tls=none`. Inside one machine
    it is used where it is offered.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname or port == -1:
            raise BadSetting("LATCHWORK_SMTP_URL looks like smtp://user:password@host:587 or smtps://host:465.")
        wanted = dict(parse_qsl(parts.query)).get("tls")
        if wanted not in (None, "none", "starttls"):
            raise BadSetting("LATCHWORK_SMTP_URL ends with ?tls=starttls or ?tls=none, if it says anything of it.")
        self._tls = parts.scheme == "smtps"
        near = wanted is None and parts.hostname in LOOPBACK
        self._starttls = None if self._tls or near else wanted != "none"
        self._host = parts.hostname
        self._port = port or (465 if self._tls else 587)
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None

    async def send(self, message: EmailMessage) -> None:
        try:
            await aiosmtplib.send(
                message,
                hostname=self._host,
                port=self._port,
                use_tls=self._tls,
                start_tls=self._starttls,
                username=self._user,
                password=self._password,
                timeout=SEND_SECONDS_MAX,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [refused.code for refused in error.recipients]
            raise Undelivered(f"address refused: {codes}", for_good=all(code >= 500 for code in codes)) from None
        except aiosmtplib.SMTPDataError as error:
            raise Undelivered(f"refused: {error.code} {error.message}", for_good=error.code >= 550) from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise Undelivered(f"{type(error).__name__}: {error}") from None
