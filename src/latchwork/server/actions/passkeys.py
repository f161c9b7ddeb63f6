"""Passkeys of accounts (WebAuthn): made while signed in, and good as the only factor or as the second one.

We ask for no attestation and trust none: which device somebody uses is their business. Browsers then leave it out; a
`packed` one is checked all the same, as that needs nobody's root, and those of `MAKERS` are dropped.
"""

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import encode_cbor, parse_cbor
from webauthn.helpers.cose import COSEAlgorithmIdentifier as Algorithm
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from latchwork.server.actions import accounts, ceremonies, sessions
from latchwork.server.actions.accounts import Account
from latchwork.server.actions.office import Declined, Office, not_found
from latchwork.server.actions.sessions import Session, Stage
from latchwork.server.ledger import Gone

ALGORITHMS = [
    Algorithm.ECDSA_SHA_256,
    Algorithm.EDDSA,
    Algorithm.RSASSA_PKCS1_v1_5_SHA_256,
    Algorithm.ECDSA_SHA_512,
]
MAKERS = ("tpm", "android-key", "android-safetynet", "apple", "fido-u2f")
"""Attestations that only a maker's root could vouch for."""
ID_BYTES_MAX = 1023
"""Of a passkey's id, by the standard."""
NAME_CHARACTERS_MAX = 40
KEYS_MAX = 20


@dataclass(frozen=True, slots=True)
class Party:
    """Whom a passkey is for: browsers bind it to this name, and will not use it on another site."""

    id: str
    origin: str


@dataclass(frozen=True, slots=True)
class Passkey:
    id: str
    name: str
    created_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Stored:
    holder: str
    """Of the account, or of the recipient."""
    public_key: bytes
    sign_count: int


@dataclass(frozen=True, slots=True)
class Made:
    id: str
    public_key: bytes
    sign_count: int


@dataclass(frozen=True, slots=True)
class Question:
    """`options` for the browser, as JSON; `cookie` to be sent back with its answer."""

    options: str
    cookie: str
    party: Party


def party(public_url: str) -> Party | None:
    """None where browsers allow no passkeys: over plain HTTP, but for `localhost`."""
    url = urlsplit(public_url)
    host, port = url.hostname or "", f":{url.port}" if url.port else ""
    if _loopback(host):
        host = "localhost"
    if url.scheme != "https" and host != "localhost":
        return None
    return Party(host, f"{url.scheme}://{host}{port}")


# What is checked


def check_made(answer: str, challenge: bytes, there: Party) -> Made:
    """Declines what is not the answer of an authenticator to our question, asked on our own page."""
    try:
        parsed = _parsed(answer)
        _check_own_page(parsed)
        verified = verify_registration_response(
            credential=_without_maker(parsed),
            expected_challenge=challenge,
            expected_rp_id=there.id,
            expected_origin=there.origin,
            supported_pub_key_algs=ALGORITHMS,
        )
        if len(verified.credential_id) > ID_BYTES_MAX:
            raise ValueError("its id is too long")
    except Exception as error:  # pure, and parsers of others raise a dozen kinds of error at a stranger's bytes
        raise _refused() from error
    return Made(_text(verified.credential_id), verified.credential_public_key, verified.sign_count)


def check_shown(answer: str, challenge: bytes, there: Party, stored: Stored, *, alone: bool) -> int:
    """The new count of signatures. `alone`: the passkey is the only factor, so it has to know its person, by touch or
    PIN, and say whose it is."""
    try:
        parsed = _parsed(answer)
        _check_own_page(parsed)
        handle = parsed["response"].get("userHandle")
        if (handle or alone) and _bytes(handle or "").hex() != stored.holder:
            raise ValueError("of another account")
        verified = verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=there.id,
            expected_origin=there.origin,
            credential_public_key=stored.public_key,
            credential_current_sign_count=stored.sign_count,
            require_user_verification=alone,
        )
    except Exception as error:  # pure, and parsers of others raise a dozen kinds of error at a stranger's bytes
        raise _refused() from error
    return verified.new_sign_count


# What is asked


@dataclass(frozen=True, slots=True)
class User:
    id: str
    name: str
    shown: str


async def ask_to_make(office: Office, session: Session) -> Question | None:
    account = await accounts.own(office, session)
    user = User(account.id, account.email, account.name)
    return question_to_make(office, "make passkey", user, await of(office, account.id))


def question_to_make(office: Office, purpose: str, user: User, known: list[Passkey]) -> Question | None:
    there = party(office.public_url)
    if there is None:
        return None
    cookie = ceremonies.begin(office, purpose, user.id)
    options = generate_registration_options(
        rp_id=there.id,
        rp_name="Latchwork",
        user_id=bytes.fromhex(user.id),
        user_name=user.name,
        user_display_name=user.shown,
        challenge=ceremonies.drawn(office, "challenge", cookie),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.PREFERRED
        ),
        exclude_credentials=[_described(each) for each in known],
        supported_pub_key_algs=ALGORITHMS,
    )
    return Question(options_to_json(options), cookie, there)


async def ask_to_show(office: Office, account: str | None = None, purpose: str = "show passkey") -> Question | None:
    """Of anybody, or only of the account whose password was right. None where nothing can be shown."""
    there = party(office.public_url)
    known = await of(office, account) if account else []
    if there is None or (account and not known):
        return None
    cookie = ceremonies.begin(office, purpose, account or "")
    options = generate_authentication_options(
        rp_id=there.id,
        challenge=ceremonies.drawn(office, "challenge", cookie),
        allow_credentials=[_described(each) for each in known],
        user_verification=UserVerificationRequirement.PREFERRED if account else UserVerificationRequirement.REQUIRED,
    )
    return Question(options_to_json(options), cookie, there)


# What comes of it


async def make(office: Office, session: Session, cookie: str, answer: str, name: str) -> Account:
    if session.stage == Stage.FULL:
        sessions.check_recent(office, session)
    account = await accounts.own(office, session)
    key = await made(office, "make passkey", account.id, cookie, answer)
    name = " ".join(name.split())[:NAME_CHARACTERS_MAX] or session.device
    row = (key.id, session.organisation, account.id, key.public_key, key.sign_count, name, office.now())
    if not await office.tables.do("make_passkey", *row, KEYS_MAX):
        raise Declined(409, "passkey_known", "This passkey is known already, or there are too many.")
    return account


async def made(office: Office, purpose: str, holder: str, cookie: str, answer: str) -> Made:
    there = party(office.public_url)
    if await ceremonies.finish(office, purpose, cookie) != holder or there is None:
        raise _refused()
    return check_made(answer, ceremonies.drawn(office, "challenge", cookie), there)


async def show(office: Office, cookie: str, answer: str, account: str | None = None) -> Account:
    """Whose passkey it is. `account`: the one whose password was right before."""
    return await accounts.read(office, await shown(office, "passkey", "show passkey", cookie, answer, account))


async def shown(
    office: Office, statement: str, purpose: str, cookie: str, answer: str, holder: str | None = None
) -> str:
    """Whose passkey it is. `statement` finds it among those that count; `holder`: who is known already."""
    there = party(office.public_url)
    asked = await ceremonies.finish(office, purpose, cookie)
    try:
        credential = str(_parsed(answer)["id"])
    except (ValueError, KeyError) as error:
        raise _refused() from error
    stored = await office.tables.one(Stored, statement, credential)
    if there is None or stored is None or asked != (holder or "") or (holder and stored.holder != holder):
        raise _refused()
    challenge = ceremonies.drawn(office, "challenge", cookie)
    count = check_shown(answer, challenge, there, stored, alone=holder is None)
    if not await office.tables.do("passkey_used", credential, count, office.now()):
        raise _refused()
    return stored.holder


async def of(office: Office, account: str) -> list[Passkey]:
    return await office.tables.all(Passkey, "passkeys", account)


async def remove(office: Office, session: Session, passkey: str) -> Account:
    """Not the last way in."""
    sessions.check_recent(office, session)
    account = await accounts.own(office, session)
    others = [each for each in await of(office, account.id) if each.id != passkey]
    if not others and account.app is None:
        raise Declined(409, "last_factor", "Add an authenticator app or another passkey first.")
    if not others and account.password is None:
        raise Declined(409, "last_factor", "Add a password or another passkey first.")
    async with office.acting(account.organisation).tables.together() as tables:
        if not await tables.do("remove_passkey", passkey, account.id):
            raise not_found("passkey")
        office.note(Gone.PASSKEY, account.organisation, passkey)
    return account


def _parsed(answer: str) -> dict[str, Any]:
    found = json.loads(answer)
    if not isinstance(found, dict) or not isinstance(found.get("response"), dict):
        raise ValueError("not an answer")
    return found


def _check_own_page(answer: dict[str, Any]) -> None:
    """Not inside a frame of another site's page."""
    said = json.loads(_bytes(answer["response"]["clientDataJSON"]))
    if said.get("crossOrigin") or said.get("topOrigin"):
        raise ValueError("asked from inside another page")


def _without_maker(answer: dict[str, Any]) -> dict[str, Any]:
    told = parse_cbor(_bytes(answer["response"]["attestationObject"]))
    if told["fmt"] == "none" and told["attStmt"] != {}:
        raise ValueError("a statement where there is none")
    if told["fmt"] not in MAKERS:
        return answer
    plain = encode_cbor({"fmt": "none", "attStmt": {}, "authData": told["authData"]})
    return {**answer, "response": {**answer["response"], "attestationObject": _text(plain)}}


def _described(passkey: Passkey) -> PublicKeyCredentialDescriptor:
    return PublicKeyCredentialDescriptor(id=_bytes(passkey.id))


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _refused() -> Declined:
    return Declined(403, "wrong_passkey", "This passkey is not known here, or did not fit. Try again.")
