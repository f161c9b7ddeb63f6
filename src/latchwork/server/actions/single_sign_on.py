"""Single sign-on by OpenID Connect: code flow with PKCE, for the identity providers that an organisation names.

A provider signs in to its own organisation and no other. Unless it may add people by itself, it only lets in who was
invited, or who connected it to their account while signed in.
"""

import base64
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from latchwork.server.actions import accounts, ceremonies, outward
from latchwork.server.actions.accounts import Account
from latchwork.server.actions.office import LIST_MAX, Declined, Office, Who, is_id, not_found
from latchwork.server.actions.outward import NotReached
from latchwork.server.ledger import Gone

PLACE = "/operator/sso"
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
"""Signatures only. A provider that could choose `none`, or a key that everybody knows, could be anybody."""
LEEWAY_S = 60
AGE_S_MAX = 600
KEPT = timedelta(minutes=10)
"""How long what a provider says of itself is not asked again."""
_NO = "The identity provider's answer does not fit. Try again; if it stays so, tell whoever runs the provider."


@dataclass(frozen=True, slots=True)
class Provider:
    id: str
    organisation: str
    name: str
    issuer: str
    client: str
    secret: bytes
    """Sealed by the master secret."""
    adds_as: str | None
    """The role of people whom it adds by itself; None: only who was invited."""


@dataclass(frozen=True, slots=True)
class Offered:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class About:
    """What a provider says of itself."""

    authorize: str
    token: str
    keys: str
    names_itself: bool
    by_post: bool


@dataclass(frozen=True, slots=True)
class Person:
    subject: str
    email: str | None
    """Only where the provider has proved it."""
    name: str


@dataclass(frozen=True, slots=True)
class Back:
    """Who it is, by which provider, and where they wanted to go."""

    account: Account
    provider: str
    to: str
    connected: bool
    """They were signed in, and may sign in by this provider from now on."""


@dataclass(frozen=True, slots=True)
class _Invited:
    account: str
    link: str


# Setting up


async def providers(office: Office, who: Who) -> list[Provider]:
    return await office.tables.all(Provider, "providers", who.organisation, LIST_MAX)


async def add(office: Office, who: Who, name: str, issuer: str, client: str, secret: str, adds_as: str | None) -> None:
    """Declines a provider that says nothing sensible of itself."""
    accounts.owners_only(who)
    if not (0 < len(name) <= 40 and name.isprintable() and client and secret):
        raise Declined(422, "incomplete", "Fill in name, issuer, client and secret.")
    if adds_as is not None:
        accounts.check_role(adds_as)
    if adds_as == "owner":
        raise Declined(422, "unknown_role", "A provider adds nobody as an owner.")
    issuer = issuer.strip()
    try:
        await _about(office, issuer)
    except NotReached as error:
        raise Declined(422, "no_provider", "The issuer cannot be used. {why}", why=str(error)) from None
    provider = office.new_id()
    sealed = office.vault.lock(f"provider {provider}", secret.encode())
    await office.tables.do(
        "add_provider", provider, who.organisation, name, issuer, client, sealed, adds_as, office.now()
    )


async def remove(office: Office, who: Who, provider: str) -> None:
    """Who signed in by it is signed out."""
    accounts.owners_only(who)
    async with office.acting(who.organisation).tables.together() as tables:
        if not await tables.do("remove_provider", who.organisation, provider):
            raise not_found("provider")
        office.note(Gone.PROVIDER, who.organisation, provider)


async def offered(office: Office, organisation: str | None) -> list[Offered]:
    """Of one organisation. Without a word of which: of the only one that has any."""
    named = organisation if organisation and is_id(organisation) else None
    return await office.tables.all(Offered, "offered_providers", named)


def callback(office: Office, provider: str) -> str:
    """Each provider has its own: an answer that was meant for another is seen at once."""
    return f"{office.public_url}{PLACE}/{provider}/callback"


# Signing in


async def begin(office: Office, provider_id: str, to: str, account: str | None = None) -> tuple[str, str]:
    """Where to send the browser, and the cookie for its way back. `account`: to be connected."""
    provider = await _provider(office, provider_id)
    about = await _reached(office, provider)
    cookie = ceremonies.begin(office, "single sign-on", f"{provider.id}:{account or ''}:{to}")
    state, nonce, verifier = _drawn(office, cookie)
    asked = {
        "response_type": "code",
        "client_id": provider.client,
        "redirect_uri": callback(office, provider.id),
        "scope": "openid email profile",
        "state": state,
        "nonce": nonce,
        "code_challenge": _text(sha256(verifier.encode()).digest()),
        "code_challenge_method": "S256",
    }
    return f"{about.authorize}{'&' if '?' in about.authorize else '?'}{urlencode(asked)}", cookie


async def finish(office: Office, provider_id: str, cookie: str, answer: Mapping[str, str]) -> Back:
    state, nonce, verifier = _drawn(office, cookie)
    if not hmac.compare_digest(state.encode(), answer.get("state", "").encode()):
        raise Declined(403, "no_fit", _NO)
    asked, account, to = (await ceremonies.finish(office, "single sign-on", cookie)).split(":")
    provider = await _provider(office, provider_id)
    about = await _reached(office, provider)
    named = answer.get("iss")
    if asked != provider.id or (named != provider.issuer if named or about.names_itself else False):
        raise Declined(403, "no_fit", _NO)
    if "code" not in answer:
        raise Declined(403, "not_signed_in", "{provider} did not sign you in.", provider=provider.name)
    try:
        token = await _token(office, provider, about, answer["code"], verifier)
        person = await _person(office, provider, about, token, nonce)
    except NotReached as error:
        raise Declined(
            502, "not_reached", "{provider} cannot be reached. {why}", provider=provider.name, why=str(error)
        ) from None
    except Exception as error:  # nothing of ours is in between, and what a provider makes up has no bounds
        raise Declined(403, "no_fit", _NO) from error
    return Back(await _account(office, provider, person, account or None), provider.name, to, bool(account))


async def _token(office: Office, provider: Provider, about: About, code: str, verifier: str) -> str:
    secret = office.vault.unlock(f"provider {provider.id}", provider.secret).decode()
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": callback(office, provider.id),
        "code_verifier": verifier,
    }
    if about.by_post:
        form |= {"client_id": provider.client, "client_secret": secret}
        user = None
    else:
        user = (quote(provider.client, safe=""), quote(secret, safe=""))
    return str((await outward.ask(office, about.token, form, user))["id_token"])


async def _person(office: Office, provider: Provider, about: About, token: str, nonce: str) -> Person:
    """Raises what is no token for us, of this provider, of now and of this browser's question."""
    try:
        claims = jwt.decode(token, await _keys(office, about), algorithms=ALGORITHMS).claims
    except (JoseError, ValueError):  # perhaps it signs with newer keys than we know
        claims = jwt.decode(token, await _keys(office, about, anew=True), algorithms=ALGORITHMS).claims
    now = office.now().timestamp()
    audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    subject = claims["sub"]
    fits = (
        claims["iss"] == provider.issuer
        and provider.client in audience
        and claims.get("azp", provider.client if len(audience) == 1 else None) == provider.client
        and now - LEEWAY_S < _instant(claims["exp"])
        and now - AGE_S_MAX < _instant(claims["iat"]) < now + LEEWAY_S
        and _instant(claims.get("nbf", 0)) < now + LEEWAY_S
        and hmac.compare_digest(str(claims["nonce"]).encode(), nonce.encode())
        and isinstance(subject, str)
        and 0 < len(subject) <= 255
        and subject.isprintable()
    )
    if not fits:
        raise ValueError("a claim does not fit")
    email = str(claims.get("email", "")).strip().lower() if claims.get("email_verified") is True else ""
    name = "".join(c for c in " ".join(str(claims.get("name", "")).split()) if c.isprintable())
    name = name[: accounts.NAME_CHARACTERS_MAX]
    return Person(subject, email if accounts.is_address(email) else None, name or email.partition("@")[0] or "Unnamed")


async def _account(office: Office, provider: Provider, person: Person, account: str | None) -> Account:
    now = office.now()
    if account is not None:
        await office.tables.do("connect_identity", provider.id, person.subject, account, now)
    found = await office.tables.value("identity", provider.id, person.subject)
    if found is None and person.email is not None:
        row = (provider.id, person.subject, office.new_id(), person.email, person.name, now)
        async with office.tables.together() as tables:
            for invited in await tables.all(_Invited, "invited_identity", *row):
                office.note(Gone.LINK, provider.organisation, invited.link)
                found = invited.account
        if found is None and provider.adds_as is not None:
            found = await office.tables.value("added_identity", *row, provider.adds_as)
    if found is None or (account is not None and found != account):
        raise Declined(
            403,
            "not_invited",
            "{provider} knows you, and nobody has invited you here. Ask an owner to.",
            provider=provider.name,
        )
    return await accounts.read(office, found)


async def _provider(office: Office, provider: str) -> Provider:
    found = await office.tables.one(Provider, "provider", provider) if is_id(provider) else None
    if found is None:
        raise not_found("identity provider")
    return found


async def _reached(office: Office, provider: Provider) -> About:
    try:
        return await _about(office, provider.issuer)
    except NotReached as error:
        raise Declined(
            502, "not_reached", "{provider} cannot be reached. {why}", provider=provider.name, why=str(error)
        ) from None


async def _about(office: Office, issuer: str) -> About:
    """Raises NotReached."""
    said = await _kept(office, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if said.get("issuer") != issuer:
        raise NotReached(f"It calls itself {str(said.get('issuer'))[:100]!r}, and not {issuer[:100]!r}.")
    places = [said.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
    if not all(isinstance(each, str) and re.fullmatch(r"https?://[\x21-\x7e]+", each) for each in places):
        raise NotReached("It does not say where to sign in.")
    ways = said.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    if not isinstance(ways, list):
        raise NotReached("It does not say how to ask it.")
    names_itself = said.get("authorization_response_iss_parameter_supported") is True
    authorize, token, keys = map(str, places)
    return About(authorize, token, keys, names_itself, "client_secret_basic" not in ways)


async def _keys(office: Office, about: About, *, anew: bool = False) -> KeySet:
    if anew:
        office.seen.pop(about.keys, None)
    said = await _kept(office, about.keys)
    keys = [key for key in said["keys"] if key.get("use", "sig") == "sig" and key.get("kty") in ("RSA", "EC", "OKP")]
    return KeySet.import_key_set({"keys": keys})


async def _kept(office: Office, url: str) -> Any:
    known: tuple[datetime, Any] | None = office.seen.get(url)
    if known is None or office.now() - known[0] > KEPT:
        known = office.seen[url] = (office.now(), await outward.ask(office, url))
    return known[1]


def _drawn(office: Office, cookie: str) -> tuple[str, str, str]:
    """State, nonce and PKCE's verifier."""
    state, nonce, verifier = (_text(ceremonies.drawn(office, what, cookie)) for what in ("state", "nonce", "verifier"))
    return state, nonce, verifier


def _instant(told: Any) -> float:
    if isinstance(told, bool) or not isinstance(told, int | float):
        raise ValueError("not a time")
    return float(told)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
