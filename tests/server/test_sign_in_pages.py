"""Signing in as a person does: links, forms and cookies, on a phone and on a desk."""

import base64
import re
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Page
from tests.server.test_pages import DESK, PHONE, browsing, looking, shot
from tests.server.town import Town, town

from latchwork.server.actions import events, factors
from latchwork.server.main import OWNER_FILE

GOOD = "seven purple teapots sing"
HERE = {"Sec-Fetch-Site": "same-origin"}


class App:
    """An authenticator app on somebody's phone. Each code is asked for once, as its owner would wait for the next."""

    def __init__(self, key: str) -> None:
        self._secret = base64.b32decode(key)
        self._last = 0

    def code(self, town: Town) -> str:
        self._last = max(self._last + 1, factors.step_of(town.cloud.office.now()))
        return factors.totp(self._secret, self._last)


async def settle_in(town: Town, page: Page, name: str = "", email: str = "") -> tuple[App, list[str]]:
    """From the opened link to being signed in."""
    if name:
        await page.get_by_label("Your name").fill(name)
    if email:
        await page.get_by_label("Mail address").fill(email)
    await page.get_by_label("Password").fill(GOOD)
    await page.get_by_role("button", name="Make my account").click()
    await page.get_by_role("heading", name="Add a second factor").wait_for()
    await page.get_by_text("The app cannot scan?").click()
    app = App(await page.locator("details code").inner_text())
    await page.get_by_label("The six digits").fill(app.code(town))
    await page.get_by_role("button", name="Use this app").click()
    await page.get_by_role("heading", name="Your recovery codes").wait_for()
    codes = await page.locator(".codes code").all_inner_texts()
    return app, codes


async def sign_in(page: Page, email: str, password: str = GOOD) -> None:
    await page.get_by_label("Mail address").fill(email)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in", exact=True).click()


async def test_an_owner_begins_invites_and_signs_in_again(database: str, tmp_path: Path, chromium_path: str) -> None:
    async with (
        town(database, tmp_path, mail=True) as place,
        browsing(chromium_path) as browser,
        looking(browser, DESK, refused=True) as page,
    ):
        await page.goto((tmp_path / OWNER_FILE).read_text().strip())
        await shot(page, "sign-in-owner-1280")
        app, codes = await settle_in(place, page, "Grace Hopper", "grace@example.org")
        await shot(page, "sign-in-codes-1280")
        await page.get_by_role("link", name="I have kept them").click()
        await page.get_by_role("heading", name="Banks").wait_for()

        await page.get_by_role("link", name="A new bank").click()
        await page.get_by_label("What people call it").fill("Cellar")
        await page.get_by_label("Name of the site").fill("Elm Court")
        await page.get_by_label("Time zone").fill("Europe/Berlin")
        await shot(page, "new-bank-1280")
        await page.get_by_role("button", name="Create it").click()
        code = await page.locator("#enrolment-code").inner_text()
        assert code in await page.locator("pre").inner_text()
        await shot(page, "new-bank-code-1280")
        await page.get_by_role("link", name="To the bank").click()
        await page.get_by_role("button", name="Show a new enrolment code").click()
        assert await page.locator("#enrolment-code").inner_text() != code

        await page.get_by_role("link", name="Team").click()
        await page.get_by_label("Mail address").fill("Ada@Example.org")
        await page.get_by_label("Role", exact=True).select_option("manager")
        await page.get_by_role("button", name="Invite").click()
        await page.get_by_text("is on its way").wait_for()
        await shot(page, "sign-in-team-1280")
        mail = (await place.mails(1))[0]
        link = re.search(rf"{place.url}/operator/link/[\w-]+", mail["text"])
        assert link is not None
        async with looking(browser, PHONE, dark=True, refused=True) as phone:
            await phone.goto(link[0])
            await shot(phone, "sign-in-invitation-390")
            await phone.get_by_label("Your name").fill("Ada Lovelace")
            await phone.get_by_label("Password").fill("password1234")
            await phone.get_by_role("button", name="Make my account").click()
            await phone.get_by_text("words that everybody tries first").wait_for()
            await phone.get_by_label("Password").fill(GOOD)
            await phone.get_by_role("button", name="Make my account").click()
            await phone.get_by_role("heading", name="Add a second factor").wait_for()
            await shot(phone, "sign-in-app-390")
            await phone.goto(f"{place.url}/operator")
            await phone.get_by_role("heading", name="Add a second factor").wait_for()

        await page.goto(f"{place.url}/operator/team")
        await page.get_by_role("cell", name="Ada Lovelace", exact=True).wait_for()
        await page.get_by_role("link", name="Account").click()
        await page.get_by_text("This one").wait_for()
        await page.get_by_role("button", name="Mail me no alarms").click()
        await page.get_by_role("button", name="Mail me alarms").click()
        await page.get_by_role("button", name="Mail me no alarms").wait_for()
        await page.get_by_role("button", name="Make new recovery codes").click()
        await page.get_by_role("heading", name="Your recovery codes").wait_for()
        told = (await place.mails(1, "grace@example.org"))[0]
        assert "new recovery codes made" in told["subject"] and f"{place.url}/operator/account" in told["text"]
        await page.goto(f"{place.url}/operator/account")
        await page.get_by_role("heading", name="What happened").wait_for()
        await shot(page, "sign-in-account-1280")
        await page.set_viewport_size(PHONE)
        await shot(page, "sign-in-account-390")
        await page.goto(f"{place.url}/operator/team")
        await shot(page, "sign-in-team-390")
        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_role("heading", name="Sign in").wait_for()
        await shot(page, "sign-in-390")

        await page.goto(f"{place.url}/operator/account")
        await sign_in(page, "grace@example.org", "wrong " + GOOD)
        await page.get_by_text("do not fit together").wait_for()
        await shot(page, "sign-in-wrong-390")
        await sign_in(page, "grace@example.org")
        await page.get_by_role("heading", name="Second step").wait_for()
        await shot(page, "sign-in-second-390")
        await page.get_by_label("Code").fill("000000")
        await page.get_by_role("button", name="Go on").click()
        await page.get_by_text("This code is wrong").wait_for()
        await page.goto(f"{place.url}/operator")
        await page.get_by_role("heading", name="Second step").wait_for()
        await page.get_by_label("Code").fill(app.code(place))
        await page.set_extra_http_headers({"Accept-Language": "de"})
        await page.get_by_role("button", name="Go on").click()
        await page.get_by_role("heading", name="Anlagen").wait_for()
        languages = await place.cloud.office.store.fetch("SELECT email, language FROM accounts")
        assert {row["email"]: row["language"] for row in languages} == {
            "grace@example.org": "de",
            "ada@example.org": "en",
        }, "as their last sign-in was"
        await page.set_extra_http_headers({})
        assert codes and len(set(codes)) == 10
        await page.goto(f"{place.url}/operator/account")
        happened = page.get_by_role("region", name="What happened")
        told_of = await happened.locator("tbody td:nth-child(2)").all_inner_texts()
        assert told_of[:3] == ["signed in", "wrong code as the second factor", "wrong password"]
        assert set(told_of[3:]) == {"new recovery codes made", "signed in", "authenticator app taken into use"}
        await shot(page, "sign-in-events-390")


async def test_the_cookie_is_new_at_each_step_and_dies_at_signing_out(database: str, tmp_path: Path) -> None:
    async with (
        town(database, tmp_path) as place,
        httpx.AsyncClient(timeout=60, base_url=place.url, headers=HERE) as browser,
    ):
        browser.cookies.set("latchwork-session", "x" * 43)
        signed = await browser.post(await place.sign_in_link())
        mine = signed.cookies["latchwork-session"]
        assert mine != "x" * 43
        told = signed.headers["set-cookie"]
        assert "HttpOnly" in told and "SameSite=lax" in told and "Path=/" in told and "Domain" not in told
        page = await browser.get("/operator/account")
        assert "You signed in with the link of an API token." in page.text
        out = await browser.post("/operator/sign-out", data={"seal": _seal(page.text)})
        assert "storage" in out.headers["clear-site-data"]
        browser.cookies.set("latchwork-session", mine)
        assert (await browser.get("/operator")).status_code == 303


async def test_over_tls_the_cookie_is_for_this_host_alone(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path, public_url="https://lockers.example.org") as place:
        link = (await place.sign_in_link()).removeprefix("https://lockers.example.org")
        answer = await place.http.post(link, headers=HERE)
        told = answer.headers["set-cookie"]
        assert told.startswith("__Host-latchwork-session=") and "; Secure" in told
        for path in ("/operator/sign-in", "/static/base.css", "/api/v1/sites", "/nowhere"):
            answer = await place.http.get(path)
            assert answer.headers["strict-transport-security"].startswith("max-age=31536000"), path
            assert answer.headers["x-content-type-options"] == "nosniff", path
            policy = answer.headers["content-security-policy"]
            for part in ("base-uri 'none'", "object-src 'none'", "frame-ancestors 'none'"):
                assert part in policy, path
            assert "access-control-allow-origin" not in answer.headers, "no other site reads our answers"
            assert "unsafe" not in policy and answer.headers["referrer-policy"] == "no-referrer", path
        for method in ("TRACE", "PROPFIND"):
            assert (await place.http.request(method, "/operator/sign-in")).status_code == 405, method


async def test_a_link_in_a_mail_is_not_used_up_by_who_only_looks(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        link = await place.sign_in_link()
        for _ in range(3):
            answer = await place.http.get(link)
            assert answer.status_code == 200 and "set-cookie" not in answer.headers
            assert answer.headers["referrer-policy"] == "no-referrer"
        assert (await place.http.post(link, headers=HERE)).status_code == 303
        assert (await place.http.post(link, headers=HERE)).status_code == 404
        assert (await place.http.get(link)).status_code == 404


async def test_a_revoked_token_ends_its_sessions_and_links(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await place.sign_in()
        link = await place.sign_in_link()
        assert (await place.http.get("/operator")).status_code == 200
        await place.cloud.office.store.fetch("UPDATE tokens SET revoked_at = now()")
        assert (await place.http.get("/operator")).status_code == 303
        assert (await place.http.post(link, headers=HERE)).status_code == 404


async def test_who_has_an_account_is_told_to_nobody(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await _owner(place, tmp_path)
        for path, form in (
            ("/operator/sign-in", {"password": "wrong"}),
            ("/operator/forgot", {}),
        ):
            answers = [
                await place.http.post(path, data={"email": email, **form}, headers=HERE)
                for email in ("grace@example.org", "nobody@example.org")
            ]
            said = [
                (answer.status_code, re.sub(r"(grace|nobody)@|data-options=\"[^\"]*\"", "", answer.text))
                for answer in answers
            ]
            assert said[0] == said[1]
            assert sorted(answers[0].headers) == sorted(answers[1].headers)
        rows = await place.cloud.office.store.fetch("SELECT account FROM sign_in_events WHERE what = 'wrong password'")
        assert [row["account"] is None for row in rows] == [False, True], "the same row, and so the same work"
        await place.cloud.office.store.fetch("UPDATE sign_in_events SET at = at - interval '3 days'")
        await events.sweep(place.cloud.office)
        rows = await place.cloud.office.store.fetch("SELECT account FROM sign_in_events")
        assert rows and all(row["account"] for row in rows)


async def test_signing_in_leads_to_no_other_place(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        codes = await _owner(place, tmp_path)
        for code, to in zip(
            codes,
            (
                "https://evil.example",
                "//evil.example",
                "/\\evil.example",
                "/operator/../../evil",
                "/operator//evil.example",
                "/operator/x\r\nSet-Cookie: a=b",
                "/p/x",
                "javascript:alert(1)",
            ),
            strict=False,
        ):
            page = await place.http.get("/operator/sign-in", params={"to": to})
            assert 'name="to" value="/operator"' in page.text, to
            form = {"email": "grace@example.org", "password": GOOD, "to": to}
            answer = await place.http.post("/operator/sign-in", data=form, headers=HERE)
            assert answer.headers["location"] == "/operator/sign-in/second?to=/operator", to
            seal = _seal((await place.http.get("/operator/sign-in/second")).text)
            answer = await place.http.post(
                "/operator/sign-in/second", data={"seal": seal, "code": code, "to": to}, headers=HERE
            )
            assert (answer.status_code, answer.headers["location"]) == (303, "/operator"), to
        answer = await place.http.get("/operator/nothing/here")
        place.http.cookies.clear()
        answer = await place.http.get(f"/operator/banks/{'0' * 32}")
        assert answer.headers["location"] == f"/operator/sign-in?to=/operator/banks/{'0' * 32}"


async def test_a_form_without_the_seal_of_its_session_does_nothing(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        await _owner(place, tmp_path)
        await place.sign_in()
        team = "/operator/team/invitations"
        form = {"email": "eve@example.org", "role": "owner"}
        for seal in ("", "0" * 64, "ä"):
            assert (await place.http.post(team, data={**form, "seal": seal}, headers=HERE)).status_code == 403
        seal = _seal((await place.http.get("/operator/team")).text)
        for headers in (
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "https://x.example"},
        ):
            answer = await place.http.post(team, data={**form, "seal": seal}, headers=headers)
            assert answer.status_code == 403, headers
        assert await place.cloud.office.store.fetch("SELECT FROM links WHERE purpose = 'invitation'") == []


async def test_security_txt_says_whom_to_tell(database: str, tmp_path: Path) -> None:
    async with town(database, tmp_path) as place:
        assert (await place.http.get("/.well-known/security.txt")).status_code == 404
        place.cloud.app.state.security_contact = "mailto:security@example.org"
        answer = await place.http.get("/.well-known/security.txt")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        fields = dict(line.split(": ", 1) for line in answer.text.splitlines())
        assert fields["Contact"] == "mailto:security@example.org"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", fields["Expires"])


async def _owner(place: Town, folder: Path) -> list[str]:
    """An owner with a password and an app; the recovery codes. The browser of `place` is signed out again."""
    link = (folder / OWNER_FILE).read_text().strip()
    form: dict[str, Any] = {"name": "Grace Hopper", "email": "grace@example.org", "password": GOOD}
    assert (await place.http.post(link, data=form, headers=HERE)).headers["location"] == "/operator/app"
    page = (await place.http.get("/operator/app")).text
    key = re.search(r"<code>([A-Z2-7]+)</code>", page)
    assert key is not None
    form = {"seal": _seal(page), "code": App(key[1]).code(place)}
    answer = await place.http.post("/operator/app", data=form, headers=HERE)
    place.http.cookies.clear()
    return re.findall(r"<code>([a-z2-7-]+)</code>", answer.text)


def _seal(page: str) -> str:
    found = re.search(r'name="seal" value="([^"]+)"', page)
    assert found is not None, page
    return found[1]
