"""Single sign-on with a real identity provider that lies in every part of the conversation."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import ECKey, RSAKey
from tests.server import identity_provider as idp
from tests.server.identity_provider import CLIENT, SECRET, IdentityProvider, identity_provider
from tests.server.offices import Clock, an_office
from tests.server.test_accounts import first_owner
from tests.server.test_pages import DESK, PHONE, browsing, looking, shot
from tests.server.test_sign_in_pages import HERE, _seal
from tests.server.town import Town, town

from latchwork.server.actions import outward, single_sign_on
from latchwork.server.actions.office import Declined, Who
from latchwork.server.ledger import Gone


@dataclass
class Stage:
    place: Town
    provider: IdentityProvider
    id: str
    browser: httpx.AsyncClient

    async def leave(self) -> httpx.Response:
        """To the provider and back; the answer of our own callback."""
        away = await self.browser.get(f"/operator/sso/{self.id}")
        assert away.status_code == 303, away.text
        return await self.come_back((await self.browser.get(away.headers["location"])).headers["location"])

    async def come_back(self, address: str) -> httpx.Response:
        return await self.browser.get(address)

    async def signs_in(self) -> bool:
        self.browser.cookies.clear()
        answer = await self.leave()
        assert answer.status_code != 500, answer.text
        inside = (await self.browser.get("/operator")).status_code == 200
        assert inside == (answer.status_code == 303), answer.text
        return inside

    async def invite(self, email: str = "ada@example.org", role: str = "manager") -> None:
        async with httpx.AsyncClient(timeout=60, base_url=self.place.url, headers=HERE) as owner:
            await self.place.sign_in(owner)
            seal = _seal((await owner.get("/operator/team")).text)
            form = {"seal": seal, "email": email, "role": role}
            assert (await owner.post("/operator/team/invitations", data=form)).status_code == 200


async def name(place: Town, provider: IdentityProvider, adds_as: str = "") -> str:
    """An owner names the provider; its id."""
    async with httpx.AsyncClient(timeout=60, base_url=place.url, headers=HERE) as owner:
        await place.sign_in(owner)
        seal = _seal((await owner.get("/operator/single-sign-on")).text)
        form = {"seal": seal, "name": "Town ID", "issuer": provider.url, "client": CLIENT, "secret": SECRET}
        answer = await owner.post("/operator/single-sign-on", data=form | {"adds_as": adds_as})
        assert answer.status_code == 303, answer.text
    rows = await place.cloud.office.store.fetch("SELECT id FROM providers ORDER BY created_at DESC LIMIT 1")
    return str(rows[0]["id"])


@asynccontextmanager
async def a_stage(database: str, folder: Path, adds_as: str = "") -> AsyncIterator[Stage]:
    async with (
        town(database, folder, inner_hosts=frozenset({"127.0.0.1"})) as place,
        identity_provider() as provider,
        httpx.AsyncClient(timeout=60, base_url=place.url, follow_redirects=False) as browser,
    ):
        await place.settle()
        yield Stage(place, provider, await name(place, provider, adds_as), browser)


async def test_who_is_invited_gets_in_and_nobody_else(database: str, tmp_path: Path) -> None:
    async with a_stage(database, tmp_path) as stage:
        assert not await stage.signs_in()
        await stage.invite()
        stage.provider.verified = "true"
        assert not await stage.signs_in(), "an address that the provider has not proved is nobody's"
        stage.provider.verified = True
        stage.provider.email = "Ada@Example.org"
        assert await stage.signs_in()
        stage.provider.email = "new@example.org"
        assert await stage.signs_in(), "the subject says who it is, whatever the address"
        stage.provider.subject = "somebody-else"
        stage.provider.email = "ada@example.org"
        assert not await stage.signs_in(), "the invitation is used up"
        office = stage.place.cloud.office
        rows = await office.store.fetch("SELECT email, role, password FROM accounts")
        assert [tuple(row) for row in rows] == [("ada@example.org", "manager", None)]
        (invitation,) = await office.store.fetch("SELECT id FROM links WHERE purpose = 'invitation'")
        assert office.ledger is not None
        noted = [line.id for line in office.ledger.read() if line.what is Gone.LINK]
        assert invitation["id"] in noted, "and is so after a restore"
        assert (await stage.browser.get("/operator/team")).status_code == 303


async def test_a_provider_that_adds_people_gives_them_the_role_it_may(database: str, tmp_path: Path) -> None:
    async with a_stage(database, tmp_path, "auditor") as stage:
        assert await stage.signs_in()
        rows = await stage.place.cloud.office.store.fetch("SELECT role FROM accounts")
        assert [row["role"] for row in rows] == ["auditor"]


async def test_it_asks_for_a_code_with_pkce_state_and_nonce_anew_each_time(database: str, tmp_path: Path) -> None:
    async with a_stage(database, tmp_path) as stage:
        asked = []
        for _ in range(2):
            away = await stage.browser.get(f"/operator/sso/{stage.id}")
            asked.append({k: v[0] for k, v in parse_qs(urlsplit(away.headers["location"]).query).items()})
        one, other = asked
        assert (one["response_type"], one["code_challenge_method"]) == ("code", "S256")
        assert all(len(one[name]) == 43 and one[name] != other[name] for name in ("state", "nonce", "code_challenge"))
        assert SECRET not in str(asked)


NOW = int(time.time())
BAD: list[dict[str, Any]] = [
    {"claims": {"iss": "https://evil.example"}},
    {"claims": {"iss": None}},
    {"claims": {"aud": "another client"}},
    {"claims": {"aud": []}},
    {"claims": {"aud": [CLIENT, "another"]}},
    {"claims": {"aud": [CLIENT, "another"], "azp": "another"}},
    {"claims": {"azp": "another"}},
    {"claims": {"aud": None}},
    {"claims": {"exp": NOW - 3600}},
    {"claims": {"exp": None}},
    {"claims": {"exp": "tomorrow"}},
    {"claims": {"exp": True}},
    {"claims": {"iat": NOW - 86_400}},
    {"claims": {"iat": NOW + 86_400}},
    {"claims": {"nbf": NOW + 86_400}},
    {"claims": {"nonce": "another"}},
    {"claims": {"nonce": None}},
    {"claims": {"sub": None}},
    {"claims": {"sub": ""}},
    {"claims": {"sub": ["ada-1"]}},
    {"claims": {"sub": "ada\0"}},
    {"claims": {"sub": "\ud800"}},
    {"claims": {"sub": {"a": 1}}},
    {"claims": {"exp": 10**400}},
    {"claims": {"iat": 10**400}},
    {"claims": {"nonce": "\ud800"}},
    {"claims": {"nonce": ["x"]}},
    {"claims": {"aud": {"a": 1}}},
    {"claims": {"azp": ["x"]}},
    {"sign": idp.encrypted_instead},
    {"sign": idp.in_a_list},
    {"sign": idp.with_a_header_that_must_be_understood},
    {"sign": idp.unsigned},
    {"sign": idp.with_the_public_key},
    {"sign": idp.by_somebody_else},
    {"sign": idp.with_its_own_key_inside},
    {"sign": idp.changed_afterwards},
    {"sign": idp.no_token},
    {"answer": {"state": "another"}},
    {"answer": {"state": None}},
    {"answer": {"iss": "https://evil.example"}},
    {"answer": {"iss": None}},
    {"answer": {"code": "made-up"}},
    {"answer": {"code": None}},
    {"answer": {"code": None, "error": "access_denied"}},
    {"answer": {"code": "", "error": "<script>alert(1)</script>"}},
]


async def test_a_provider_that_lies_signs_nobody_in(database: str, tmp_path: Path) -> None:
    async with a_stage(database, tmp_path, "auditor") as stage:
        for lie in BAD:
            for what, how in lie.items():
                setattr(stage.provider, what, how)
            assert not await stage.signs_in(), lie
            stage.provider.claims, stage.provider.sign, stage.provider.answer = {}, None, {}
        assert await stage.place.cloud.office.store.fetch("SELECT FROM accounts") == []
        assert await stage.signs_in(), "and honest again it does"
        stage.provider.claims = {"aud": [CLIENT, "another"], "azp": CLIENT}
        assert await stage.signs_in()


async def test_an_answer_counts_once_and_in_its_own_browser(database: str, tmp_path: Path) -> None:
    async with a_stage(database, tmp_path, "auditor") as stage:
        away = await stage.browser.get(f"/operator/sso/{stage.id}")
        back = (await stage.browser.get(away.headers["location"])).headers["location"]
        async with httpx.AsyncClient(timeout=60, base_url=stage.place.url) as another:
            assert (await another.get(back)).status_code == 403
            await another.get(f"/operator/sso/{stage.id}")
            assert (await another.get(back)).status_code == 403, "with a question of its own"
        assert (await stage.come_back(back)).status_code == 303
        stage.browser.cookies.delete("latchwork-session")
        assert (await stage.come_back(back)).status_code == 403
        assert (await stage.browser.get("/operator")).status_code == 303
        assert stage.provider.refusals == []


async def test_the_verifier_of_another_question_is_of_no_use(database: str, tmp_path: Path) -> None:
    """A code that was stolen from one browser and put into another's answer fails at the provider: PKCE."""
    async with a_stage(database, tmp_path, "auditor") as stage:
        away = await stage.browser.get(f"/operator/sso/{stage.id}")
        stolen = parse_qs(urlsplit((await stage.browser.get(away.headers["location"])).headers["location"]).query)
        stage.provider.answer = {"code": stolen["code"][0]}
        assert not await stage.signs_in()
        assert stage.provider.refusals == ["PKCE"]


async def test_the_answer_of_one_provider_is_none_of_another(database: str, tmp_path: Path) -> None:
    """Mix-up: a bad provider has us ask at it, sends the browser to a good one, and wants the good one's code."""
    async with a_stage(database, tmp_path, "auditor") as stage, identity_provider() as bad:
        bad_id = await name(stage.place, bad, "auditor")
        away = (await stage.browser.get(f"/operator/sso/{bad_id}")).headers["location"]
        good = f"{stage.provider.url}/authorize?{urlsplit(away).query}"
        back = (await stage.browser.get(good)).headers["location"]
        assert back.startswith(f"{stage.place.url}/operator/sso/{bad_id}/callback")
        assert (await stage.come_back(back)).status_code == 403, "it names the good one as issuer"
        assert bad.refusals == [], "the code was not even tried"
        away = (await stage.browser.get(f"/operator/sso/{bad_id}")).headers["location"]
        back = (await stage.browser.get(away)).headers["location"].replace(bad_id, stage.id)
        assert (await stage.come_back(back)).status_code == 403, "at the callback of another"


async def test_new_keys_of_the_provider_are_fetched_and_other_kinds_work(database: str, tmp_path: Path) -> None:
    async with a_stage(database, tmp_path, "auditor") as stage:
        assert await stage.signs_in()
        stage.provider.key = RSAKey.generate_key(2048, {"kid": "two", "use": "sig"})
        assert await stage.signs_in()
        stage.provider.key, stage.provider.algorithm = ECKey.generate_key("P-256", {"kid": "three"}), "ES256"
        assert await stage.signs_in()


async def test_a_provider_reaches_accounts_of_its_own_organisation_only(database: str, tmp_path: Path) -> None:
    async with a_stage(database, tmp_path, "auditor") as stage, identity_provider() as evil:
        await stage.invite("ada@example.org", "owner")
        assert await stage.signs_in()
        rows = await stage.place.cloud.office.store.fetch("SELECT organisation FROM accounts")
        ours = rows[0]["organisation"]
        stage.place.token = (
            await stage.place.ask("POST", "organisations", json={"name": "Evil"}, headers=_root(stage))
        )["token"]
        evil_id = await name(stage.place, evil, "auditor")
        evil.subject, evil.email = stage.provider.subject, stage.provider.email
        stage.id = evil_id
        assert await stage.signs_in()
        rows = await stage.place.cloud.office.store.fetch("SELECT organisation FROM accounts ORDER BY created_at")
        assert rows[0]["organisation"] == ours != rows[1]["organisation"], "an account of its own, of the same address"
        assert ours not in (await stage.browser.get("/operator/team")).text


def _root(stage: Stage) -> dict[str, str]:
    return {"Authorization": f"Bearer {stage.place.root}"}


async def test_somebody_signed_in_connects_another_identity(database: str, tmp_path: Path) -> None:
    async with a_stage(database, tmp_path) as stage:
        await stage.invite()
        assert await stage.signs_in()
        account = (await stage.browser.get("/operator/account")).text
        connect = f"/operator/single-sign-on/{stage.id}/connect"
        assert f'href="{connect}"' in account
        stage.provider.subject, stage.provider.email = "ada-2", "elsewhere@example.org"
        away = await stage.browser.get(connect)
        back = (await stage.browser.get(away.headers["location"])).headers["location"]
        assert (await stage.come_back(back)).headers["location"] == "/operator/account"
        assert await stage.signs_in()
        assert len(await stage.place.cloud.office.store.fetch("SELECT FROM accounts")) == 1
        stage.browser.cookies.clear()
        assert (await stage.browser.get(connect)).headers["location"].startswith("/operator/sign-in")


async def test_removing_a_provider_signs_its_people_out(database: str, tmp_path: Path) -> None:
    async with a_stage(database, tmp_path, "auditor") as stage:
        assert await stage.signs_in()
        async with httpx.AsyncClient(timeout=60, base_url=stage.place.url, headers=HERE) as owner:
            await stage.place.sign_in(owner)
            seal = _seal((await owner.get("/operator/single-sign-on")).text)
            await owner.post(f"/operator/single-sign-on/{stage.id}/remove", data={"seal": seal})
        assert (await stage.browser.get("/operator")).status_code == 303
        assert (await stage.browser.get(f"/operator/sso/{stage.id}")).status_code == 404


async def test_only_an_owner_names_providers(database: str, tmp_path: Path) -> None:
    async with a_stage(database, tmp_path, "manager") as stage:
        assert await stage.signs_in()
        assert (await stage.browser.get("/operator/single-sign-on")).status_code == 403
        seal = _seal((await stage.browser.get("/operator/team")).text)
        form = {"seal": seal, "name": "Mine", "issuer": stage.provider.url, "client": CLIENT, "secret": SECRET}
        assert (await stage.browser.post("/operator/single-sign-on", data=form, headers=HERE)).status_code == 403
        owner = Who("0" * 32, "0" * 32, "Grace", root=False)
        with pytest.raises(Declined, match="nobody as an owner"):
            await single_sign_on.add(
                stage.place.cloud.office, owner, "Mine", stage.provider.url, CLIENT, SECRET, "owner"
            )


@pytest.mark.parametrize(
    ("issuer", "why"),
    [
        ("http://127.0.0.1:1", "over https"),
        ("https://127.0.0.1:1", "inner network"),
        ("https://localhost:1", "inner network"),
        ("https://[::1]:1", "inner network"),
        ("https://169.254.169.254", "inner network"),
        ("https://10.0.0.1", "inner network"),
        ("file:///etc/passwd", "cannot be"),
        ("https://", "cannot be"),
        ("nonsense", "cannot be"),
    ],
)
async def test_an_organisation_cannot_have_us_ask_in_our_own_network(
    database: str, tmp_path: Path, issuer: str, why: str
) -> None:
    async with an_office(database, tmp_path, Clock()) as office:
        owner = await first_owner(office)
        who = Who(owner.id, owner.organisation, owner.name, root=False)
        with pytest.raises(Declined, match=why):
            await single_sign_on.add(office, who, "Inner", issuer, "client", "secret", None)


async def test_what_a_provider_sends_is_bounded_and_where_it_sends_us_is_not_followed(
    database: str, tmp_path: Path
) -> None:
    async with a_stage(database, tmp_path) as stage:
        office = stage.place.cloud.office
        stage.provider.about = {"filler": "x" * outward.BYTES_MAX}
        with pytest.raises(outward.NotReached, match="sent too much"):
            await outward.ask(office, f"{stage.provider.url}/.well-known/openid-configuration")
        lies: list[dict[str, Any]] = [
            {"authorization_endpoint": f"{stage.provider.url}/a\r\nSet-Cookie: a=b"},
            {"authorization_endpoint": "javascript:alert(1)"},
            {"token_endpoint": None},
            {"jwks_uri": ["x"]},
            {"token_endpoint_auth_methods_supported": 7},
        ]
        for lie in lies:
            stage.provider.about = lie
            office.seen.clear()
            assert (await stage.browser.get(f"/operator/sso/{stage.id}")).status_code == 502, lie
        stage.provider.about = {"issuer": "https://evil.example"}
        office.seen.clear()
        owner = Who("0" * 32, "0" * 32, "Grace", root=False)
        with pytest.raises(Declined, match="calls itself"):
            await single_sign_on.add(office, owner, "Again", stage.provider.url, CLIENT, SECRET, None)
        redirecting = f"{stage.provider.url}/authorize?state=1&redirect_uri={stage.provider.url}/keys"
        with pytest.raises(outward.NotReached, match="answered 303"):
            await outward.ask(office, redirecting)


async def test_the_secret_is_stored_sealed(database: str, tmp_path: Path) -> None:
    async with a_stage(database, tmp_path) as stage:
        rows = str(await stage.place.cloud.office.store.fetch("TABLE providers"))
        assert SECRET not in rows and SECRET.encode().hex() not in rows


async def test_somebody_connects_a_provider_and_signs_in_by_it(
    database: str, tmp_path: Path, chromium_path: str
) -> None:
    async with (
        a_stage(database, tmp_path) as stage,
        browsing(chromium_path) as browser,
        looking(browser, DESK) as page,
    ):
        await stage.invite()
        assert await stage.signs_in()
        await page.goto(f"{stage.place.url}/operator/sign-in")
        await page.get_by_role("link", name="Sign in with Town ID").wait_for()
        await shot(page, "sso-sign-in-1280")
        await page.get_by_role("link", name="Sign in with Town ID").click()
        await page.get_by_role("heading", name="Banks").wait_for()
        await page.goto(await stage.place.sign_in_link())
        await page.get_by_role("button", name="Sign in").click()
        await page.goto(f"{stage.place.url}/operator/single-sign-on")
        await shot(page, "sso-providers-1280")
        await page.set_viewport_size(PHONE)
        await shot(page, "sso-providers-390")
