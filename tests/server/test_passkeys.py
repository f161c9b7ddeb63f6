"""Passkeys: published vectors, an authenticator that lies, and Chromium's own."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.server.authenticators import HAS_KEY, PRESENT, Authenticator, text
from tests.server.offices import Clock, an_office
from tests.server.test_accounts import FIREFOX, first_owner
from tests.server.test_pages import DESK, PHONE, browsing, looking, shot
from tests.server.test_sign_in_pages import GOOD
from tests.server.town import town

from latchwork.server.actions import accounts, links, passkeys, sessions
from latchwork.server.actions.accounts import Account
from latchwork.server.actions.office import Declined, Office
from latchwork.server.actions.passkeys import Made, Party, Stored
from latchwork.server.actions.sessions import Session, Stage
from latchwork.server.main import OWNER_FILE

THERE = Party("example.org", "https://example.org")
HERE = Party("lockers.example.org", "https://lockers.example.org")
VECTORS = json.loads((Path(__file__).parent / "webauthn_vectors.json").read_text())["vectors"]


def answer(vector: dict[str, Any], part: str) -> str:
    name = text(bytes.fromhex(vector["id"]))
    told = {key: text(bytes.fromhex(value)) for key, value in vector[part].items() if key != "challenge"}
    return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": told, "clientExtensionResults": {}})


def made(vector: dict[str, Any]) -> Made:
    return passkeys.check_made(answer(vector, "made"), bytes.fromhex(vector["made"]["challenge"]), THERE)


def shown(vector: dict[str, Any], key: Stored, *, alone: bool = False) -> int:
    told = answer(vector, "shown")
    return passkeys.check_shown(told, bytes.fromhex(vector["shown"]["challenge"]), THERE, key, alone=alone)


def changed(vector: dict[str, Any], part: str, **fields: bytes) -> dict[str, Any]:
    told = {name: value.hex() for name, value in fields.items()}
    return {**vector, part: {**vector[part], **told}}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_published_vectors(vector: dict[str, Any]) -> None:
    if vector["refused"]:
        with pytest.raises(Declined):
            made(vector)
        return
    key = Stored("00" * 16, made(vector).public_key, 0)
    assert shown(vector, key) == 0
    wrong = [changed(vector, "made", **lie) for lie in _lies(vector, "made")]
    attested = cbor2.loads(bytes.fromhex(vector["made"]["attestationObject"]))
    data = attested["authData"]
    datas = [_flipped(data, n) for n in range(0, 32, 5)]  # of another site
    datas += [data[:32] + bytes([data[32] & ~flag]) + data[33:] for flag in (PRESENT, HAS_KEY)]
    datas += [data[:32] + bytes([data[32] & ~0x18 | 0x10]) + data[33:], data[:-1], data + b"\0", b""]
    wrong += [_attested(vector, {**attested, "authData": each}) for each in datas]
    statement = attested["attStmt"]
    statements = {"none": [{"x": 1}], "packed": [{}, {**statement, "sig": _flipped(statement.get("sig", b"\0"), -1)}]}
    wrong += [_attested(vector, {**attested, "attStmt": each}) for each in statements.get(attested["fmt"], [])]
    wrong.append(_attested(vector, {**attested, "fmt": 7}))
    for each in wrong:
        with pytest.raises(Declined):
            made(each)
    wrong = [changed(vector, "shown", **lie) for lie in _lies(vector, "shown")]
    for field in ("authenticatorData", "signature"):
        raw = bytes.fromhex(vector["shown"][field])
        wrong += [changed(vector, "shown", **{field: _flipped(raw, n)}) for n in range(0, len(raw), 5)]
        wrong += [changed(vector, "shown", **{field: each}) for each in (raw[:-1], b"")]
    for each in wrong:
        with pytest.raises(Declined):
            shown(each, key)
    for other in (replace(key, public_key=b"\xa0"), replace(key, sign_count=1)):
        with pytest.raises(Declined):
            shown(vector, other)
    with pytest.raises(Declined):  # it does not say whose it is
        shown(vector, key, alone=True)


def _lies(vector: dict[str, Any], part: str) -> list[dict[str, bytes]]:
    """What the browser could say otherwise."""
    told = json.loads(bytes.fromhex(vector[part]["clientDataJSON"]))
    lies = [
        {"challenge": text(bytes(32))},
        {"origin": "https://example.org.evil.example"},
        {"origin": "http://example.org"},
        {"type": "webauthn.get" if part == "made" else "webauthn.create"},
        {"crossOrigin": True},
        {"topOrigin": "https://example.com"},
    ]
    return [{"clientDataJSON": json.dumps(told | lie).encode()} for lie in lies] + [{"clientDataJSON": b"{"}]


def _flipped(raw: bytes, at: int) -> bytes:
    at %= len(raw)
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def _attested(vector: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    return changed(vector, "made", attestationObject=cbor2.dumps(told))


def test_a_stranger_s_bytes_are_refused_and_no_more() -> None:
    """Bytes that make a parser below us fail in its own way: a certificate with a key of an unknown kind."""
    vector = next(each for each in VECTORS if each["name"] == "packed.ES256")
    attested = vector["made"]["attestationObject"].replace("2a8648ce3d0201", "2a8648ce3d0f01")
    assert attested != vector["made"]["attestationObject"]
    with pytest.raises(Declined):
        made(changed(vector, "made", attestationObject=bytes.fromhex(attested)))


def test_passkeys_are_for_a_name_and_never_for_plain_http() -> None:
    assert passkeys.party("https://lockers.example.org") == HERE
    assert passkeys.party("https://a.example:8443") == Party("a.example", "https://a.example:8443")
    assert passkeys.party("http://127.0.0.1:8080") == Party("localhost", "http://localhost:8080")
    assert passkeys.party("http://lockers.example.org") is None


async def _session(office: Office, account: Account, stage: Stage = Stage.FULL) -> Session:
    found = await sessions.find(office, await accounts.begin_session(office, account, "x", FIREFOX, stage))
    assert found is not None
    return found


async def _with_passkey(office: Office) -> tuple[Account, Authenticator]:
    account = await first_owner(office)
    device = Authenticator(HERE.id, HERE.origin)
    session = await _session(office, account, Stage.SETUP)
    question = await passkeys.ask_to_make(office, session)
    assert question is not None
    await passkeys.make(office, session, question.cookie, device.make(question.options), "My phone")
    return await accounts.read(office, account.id), device


async def test_a_passkey_signs_in_by_itself(database: str, tmp_path: Path) -> None:
    async with an_office(database, tmp_path, Clock()) as office:
        account, device = await _with_passkey(office)
        assert account.second_factor
        question = await passkeys.ask_to_show(office)
        assert question is not None and account.id not in question.options
        shown = device.show(question.options)
        assert await passkeys.show(office, question.cookie, shown) == account
        with pytest.raises(Declined) as told:
            await passkeys.show(office, question.cookie, shown)
        assert told.value.reason == "too_late", "an answer counts once"


LIES: list[dict[str, Any]] = [
    {"origin": "https://evil.example"},
    {"origin": "http://lockers.example.org"},
    {"party": "evil.example"},
    {"challenge": text(bytes(32))},
    {"type": "webauthn.create"},
    {"crossOrigin": True},
    {"topOrigin": "https://evil.example"},
    {"flags": 0},
    {"flags": PRESENT},
    {"handle": bytes(16)},
    {"handle": b""},
    {"key": ec.generate_private_key(ec.SECP256R1())},
    {"counts": 0},
    {"counts": -1},
]


@pytest.mark.parametrize("lies", LIES, ids=",".join)
async def test_an_authenticator_that_lies_does_not_sign_in(database: str, tmp_path: Path, lies: dict[str, Any]) -> None:
    async with an_office(database, tmp_path, Clock()) as office:
        account, device = await _with_passkey(office)
        for honest in range(2):
            question = await passkeys.ask_to_show(office)
            assert question is not None
            if not honest:
                assert await passkeys.show(office, question.cookie, device.show(question.options)) == account
                continue
            with pytest.raises(Declined):
                await passkeys.show(office, question.cookie, device.show(question.options, **lies))


@pytest.mark.parametrize(
    "told", ["", "null", "[]", "{}", '{"id": 1, "response": {}}', "x" * 10_000, '{"response": []}']
)
async def test_nonsense_is_no_answer(database: str, tmp_path: Path, told: str) -> None:
    async with an_office(database, tmp_path, Clock()) as office:
        account, _ = await _with_passkey(office)
        for account_id in (None, account.id):
            question = await passkeys.ask_to_show(office, account_id)
            assert question is not None
            with pytest.raises(Declined):
                await passkeys.show(office, question.cookie, told, account_id)
        session = await _session(office, account)
        question = await passkeys.ask_to_make(office, session)
        assert question is not None
        with pytest.raises(Declined):
            await passkeys.make(office, session, question.cookie, told, "")


async def test_a_question_is_of_its_browser_its_purpose_and_its_time(database: str, tmp_path: Path) -> None:
    clock = Clock()
    async with an_office(database, tmp_path, clock) as office:
        account, device = await _with_passkey(office)
        session = await _session(office, account)
        one, other, mine = (
            await passkeys.ask_to_show(office),
            await passkeys.ask_to_show(office),
            await passkeys.ask_to_show(office, account.id),
        )
        making = await passkeys.ask_to_make(office, session)
        assert one and other and mine and making
        for cookie in ("", "a.b", "x" * 200, other.cookie[:-1], making.cookie, mine.cookie):
            with pytest.raises(Declined):
                await passkeys.show(office, cookie, device.show(one.options))
        clock.move(minutes=11)
        with pytest.raises(Declined):
            await passkeys.show(office, one.cookie, device.show(one.options))


async def test_a_key_without_a_pin_is_a_second_factor_and_no_more(database: str, tmp_path: Path) -> None:
    async with an_office(database, tmp_path, Clock()) as office:
        account, device = await _with_passkey(office)
        device.verifies = False
        question = await passkeys.ask_to_show(office, account.id)
        assert question is not None
        assert await passkeys.show(office, question.cookie, device.show(question.options), account.id) == account
        question = await passkeys.ask_to_show(office)
        assert question is not None
        with pytest.raises(Declined):
            await passkeys.show(office, question.cookie, device.show(question.options))


async def test_the_last_way_in_is_not_removed(database: str, tmp_path: Path) -> None:
    clock = Clock()
    async with an_office(database, tmp_path, clock) as office:
        account, device = await _with_passkey(office)
        session = await _session(office, account)
        name = text(device.id)
        with pytest.raises(Declined):
            await passkeys.remove(office, session, name)
        await accounts.change_password(office, session, None)
        assert (await accounts.read(office, account.id)).password is None
        second = Authenticator(HERE.id, HERE.origin)
        question = await passkeys.ask_to_make(office, session)
        assert question is not None and name in question.options
        await passkeys.make(office, session, question.cookie, second.make(question.options), "")
        await passkeys.remove(office, session, name)
        assert [key.name for key in await passkeys.of(office, account.id)] == ["Firefox on Linux"]
        with pytest.raises(Declined):
            await passkeys.remove(office, session, text(second.id))
        clock.move(minutes=16)
        question = await passkeys.ask_to_make(office, session)
        assert question is not None
        with pytest.raises(Declined) as told:
            await passkeys.make(office, session, question.cookie, device.make(question.options), "")
        assert told.value.reason == "sign_in_again"


async def test_an_owners_help_clears_the_passkeys_too(database: str, tmp_path: Path) -> None:
    async with an_office(database, tmp_path, Clock()) as office:
        account, _ = await _with_passkey(office)
        made = await accounts.recover(office, (await _session(office, account)).who, account.id)
        assert made.link is not None
        link = await links.find(office, made.link.rsplit("/", 1)[1])
        assert not (await accounts.new_password(office, link, GOOD)).second_factor


async def test_chromiums_authenticator_makes_and_shows_a_passkey(
    database: str, tmp_path: Path, chromium_path: str
) -> None:
    async with (
        town(database, tmp_path) as place,
        browsing(chromium_path) as browser,
        looking(browser, DESK, refused=True) as page,
    ):
        url = place.url.replace("127.0.0.1", "localhost")
        devtools = await page.context.new_cdp_session(page)
        await devtools.send("WebAuthn.enable")
        about = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": about})
        await page.goto((tmp_path / OWNER_FILE).read_text().strip().replace("127.0.0.1", "localhost"))
        await page.get_by_label("Your name").fill("Grace Hopper")
        await page.get_by_label("Mail address").fill("grace@example.org")
        await page.get_by_label("Password").fill(GOOD)
        await page.get_by_role("button", name="Make my account").click()
        await page.get_by_role("button", name="Use a passkey").wait_for()
        await shot(page, "passkey-first-1280")
        await page.get_by_role("button", name="Use a passkey").click()
        await page.get_by_role("heading", name="Your recovery codes").wait_for()
        await page.goto(f"{url}/operator/account")
        await page.get_by_role("heading", name="Passkeys").wait_for()
        await shot(page, "passkey-account-1280")
        await page.get_by_role("button", name="Add a passkey").click()
        await page.get_by_text("has a passkey for this account already").wait_for()
        await page.get_by_role("button", name="Sign out").click()
        await page.set_viewport_size(PHONE)
        await page.get_by_role("button", name="Sign in with a passkey").wait_for()
        await shot(page, "passkey-sign-in-390")
        await page.get_by_role("button", name="Sign in with a passkey").click()
        await page.get_by_role("heading", name="Banks").wait_for()
        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_label("Mail address").fill("grace@example.org")
        await page.get_by_label("Password").fill(GOOD)
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await page.get_by_role("heading", name="Second step").wait_for()
        await shot(page, "passkey-second-390")
        await page.get_by_role("button", name="Use a passkey").click()
        await page.get_by_role("heading", name="Banks").wait_for()
        how = await place.cloud.office.store.fetch("SELECT how FROM sessions ORDER BY created_at")
        assert [row["how"] for row in how][-1] == "password and passkey"

        await page.goto(f"{place.url}/operator/sign-in")
        await page.get_by_text(f"Passkeys work at {url} only.").wait_for()
