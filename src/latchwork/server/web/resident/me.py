"""All parcels of a recipient: entered by a mailed code or a passkey, without an account."""

from datetime import timedelta
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.response import Redirect

from latchwork.server.actions import access, places, visits
from latchwork.server.actions.changes import OWN_HOLD_DAYS_MAX
from latchwork.server.actions.office import Declined, Office
from latchwork.server.web.operator.session import Form, caller, cookie, cookie_name, day_in, same_site
from latchwork.server.web.render import AnyRequest, TheOffice, attached, page, speak, unwanted
from latchwork.ui.words import languages, words

ME = "/me"
SHOWN = 50
"""So many lines of a kind, the latest; the file has all."""
VISIT_SECONDS = int(visits.LIFE.total_seconds())


@get(ME, include_in_schema=False)
async def me(request: AnyRequest, office: TheOffice) -> Response[str]:
    secret, who = await _who(request, office)
    return await (_parcels(office, secret, who) if who else _door(office))


@get(f"{ME}/record", include_in_schema=False)
async def record(request: AnyRequest, office: TheOffice) -> Response[Any]:
    """What was done with their data and their things."""
    _, who = await _who(request, office)
    if not who:
        return Redirect(ME, status_code=303)
    held = await visits.records(office, who)
    return page("resident/record.html", layer="phone", held=held, zone=places.zone, shown=SHOWN)


@get(f"{ME}/record.json", include_in_schema=False)
async def record_file(request: AnyRequest, office: TheOffice) -> Response[Any]:
    _, who = await _who(request, office)
    if not who:
        return Redirect(ME, status_code=303)
    held = msgspec.json.format(msgspec.json.encode(await visits.records(office, who)))
    return attached("about-me.json", held, "application/json")


@post(f"{ME}/code", include_in_schema=False, status_code=200)
async def ask_code(request: AnyRequest, office: TheOffice, data: Form) -> Response[str]:
    same_site(request, office)
    try:
        asked = await visits.ask_code(office, data.get("email", ""), caller(request))
    except Declined as declined:
        return await _door(office, declined)
    answer = _code()
    answer.set_cookie(cookie(office, "code", asked))
    return answer


@post(f"{ME}/enter", include_in_schema=False)
async def enter(request: AnyRequest, office: TheOffice, data: Form) -> Response[Any]:
    same_site(request, office)
    try:
        asked = request.cookies.get(cookie_name(office, "code"), "")
        secret = await visits.enter(office, asked, data.get("code", ""))
    except Declined as declined:
        return _code(declined)
    return _inside(office, secret)


@post(f"{ME}/passkey", include_in_schema=False)
async def enter_by_passkey(request: AnyRequest, office: TheOffice, data: Form) -> Response[Any]:
    same_site(request, office)
    try:
        asked = request.cookies.get(cookie_name(office, "question"), "")
        secret = await visits.enter_by_passkey(office, asked, data.get("answer", ""))
    except Declined as declined:
        return await _door(office, declined)
    return _inside(office, secret)


@post(f"{ME}/passkeys", include_in_schema=False)
async def keep_passkey(request: AnyRequest, office: TheOffice, data: Form) -> Response[Any]:
    secret, who = await _form_of(request, office, data)
    try:
        asked = request.cookies.get(cookie_name(office, "question"), "")
        await visits.keep_passkey(office, who[0], asked, data.get("answer", ""))
    except Declined as declined:
        return await _parcels(office, secret, who, declined)
    return await _parcels(office, secret, who, kept=True)


@post(f"{ME}/preferences", include_in_schema=False)
async def prefer(request: AnyRequest, office: TheOffice, data: Form) -> Redirect:
    _, who = await _form_of(request, office, data)
    language = data.get("language", "")
    if language not in languages():
        raise Declined(422, "bad_form", "Open the page again and repeat it.")
    await visits.prefer(office, who, language, unwanted(data))
    return Redirect(ME, status_code=303)


@post(f"{ME}/holiday", include_in_schema=False)
async def holiday(request: AnyRequest, office: TheOffice, data: Form) -> Response[Any]:
    secret, who = await _form_of(request, office, data)
    try:
        await visits.stay_away(office, who, None if data.get("do") == "back" else day_in(data))
    except Declined as declined:
        return await _parcels(office, secret, who, declined)
    return Redirect(ME, status_code=303)


@post(f"{ME}/leave", include_in_schema=False)
async def leave(request: AnyRequest, office: TheOffice, data: Form) -> Response[Any]:
    secret, _ = await _form_of(request, office, data)
    await visits.leave(office, secret, everywhere="everywhere" in data)
    return Redirect(ME, status_code=303, cookies=[cookie(office, "me", "", 0)])


async def _who(request: AnyRequest, office: Office) -> tuple[str, list[visits.Visitor]]:
    secret = request.cookies.get(cookie_name(office, "me"), "")
    who = await visits.visitors(office, secret)
    speak(who[0].language if who else None)
    return secret, who


async def _form_of(request: AnyRequest, office: Office, data: dict[str, str]) -> tuple[str, list[visits.Visitor]]:
    same_site(request, office)
    secret, who = await _who(request, office)
    access.check_form(office, secret, data.get("seal", ""))
    if not who:
        raise Declined(403, "visit_over", "You are not signed in any more. Open the page again.")
    return secret, who


def _inside(office: Office, secret: str) -> Redirect:
    return Redirect(ME, status_code=303, cookies=[cookie(office, "me", secret, VISIT_SECONDS)])


async def _door(office: Office, declined: Declined | None = None) -> Response[str]:
    question = await visits.ask_passkey(office)
    status = declined.status if declined else 200
    answer = page("resident/door.html", status, layer="phone", question=question, declined=declined, mails=office.mails)
    if question:
        answer.set_cookie(cookie(office, "question", question.cookie))
    return answer


def _code(declined: Declined | None = None) -> Response[str]:
    return page("resident/code.html", declined.status if declined else 200, layer="phone", declined=declined)


async def _parcels(
    office: Office,
    secret: str,
    who: list[visits.Visitor],
    declined: Declined | None = None,
    *,
    kept: bool = False,
) -> Response[str]:
    question = await visits.ask_to_keep(office, who[0])
    answer = page(
        "resident/me.html",
        declined.status if declined else 200,
        layer="phone",
        seal=access.form_seal(office, secret),
        name=who[0].name,
        parcels=await visits.parcels(office, who),
        question=question,
        declined=declined,
        kept=kept,
        languages=[words(language) for language in languages()],
        unwanted=who[0].unwanted,
        away=await visits.away_until(office, who[0]),
        first_day=(office.now() + timedelta(days=1)).date(),
        last_day=(office.now() + timedelta(days=OWN_HOLD_DAYS_MAX)).date(),
    )
    if question:
        answer.set_cookie(cookie(office, "question", question.cookie))
    return answer


HANDLERS = [me, record, record_file, ask_code, enter, enter_by_passkey, keep_passkey, prefer, holiday, leave]
