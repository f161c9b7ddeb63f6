"""A real identity provider on loopback: discovery, authorisation, token and keys. It can lie in every part."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

import uvicorn
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from latchwork.server.ports import Server, listen

CLIENT, SECRET = "latchwork town", "s3cret/with:odd&signs"

Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass
class IdentityProvider:
    url: str = ""
    subject: str = "ada-1"
    email: str = "ada@example.org"
    verified: Any = True
    key: RSAKey | ECKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}))
    algorithm: str = "RS256"
    claims: dict[str, Any] = field(default_factory=dict)
    """What its tokens say otherwise than they should; None leaves a claim out."""
    sign: Callable[["IdentityProvider", dict[str, Any]], str] | None = None
    about: dict[str, Any] = field(default_factory=dict)
    """What it says of itself otherwise than it is."""
    answer: dict[str, Any] = field(default_factory=dict)
    """What it sends the browser back with otherwise than it should."""
    asked: dict[str, str] = field(default_factory=dict)
    """The last authorisation that it was asked for."""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[dict[str, Any]]], send: Send) -> None:
        assert scope["type"] == "http"
        path = scope["path"]
        if path == "/.well-known/openid-configuration":
            await _json(send, self._about())
        elif path == "/keys":
            await _json(send, {"keys": [self.key.as_dict(private=False)]})
        elif path == "/authorize":
            self.asked = {key: values[0] for key, values in parse_qs(scope["query_string"].decode()).items()}
            await self._authorize(send)
        elif path == "/token":
            body = b""
            while True:
                message = await receive()
                body += message.get("body", b"")
                if not message.get("more_body"):
                    break
            headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
            await self._token(send, headers, {k: v[0] for k, v in parse_qs(body.decode()).items()})
        else:
            await _json(send, {}, 404)

    def _about(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "authorization_response_iss_parameter_supported": True,
        } | self.about

    async def _authorize(self, send: Send) -> None:
        code = token_urlsafe(16)
        self.codes[code] = self.asked
        answer = {"code": code, "state": self.asked["state"], "iss": self.url} | self.answer
        told = urlencode({key: value for key, value in answer.items() if value is not None})
        await _send(send, 303, [(b"location", f"{self.asked['redirect_uri']}?{told}".encode())], b"")

    async def _token(self, send: Send, headers: dict[str, str], form: dict[str, str]) -> None:
        user = base64.b64decode(headers.get("authorization", "Basic ").partition(" ")[2]).decode().partition(":")
        asked = self.codes.pop(form.get("code", ""), None)
        if [unquote(user[0]), unquote(user[2])] != [CLIENT, SECRET]:
            await self._refuse(send, "client")
            return
        if asked is None:
            await self._refuse(send, "code")
            return
        proof = base64.urlsafe_b64encode(sha256(form.get("code_verifier", "").encode()).digest()).decode().rstrip("=")
        if (proof, "S256") != (asked.get("code_challenge"), asked.get("code_challenge_method")):
            await self._refuse(send, "PKCE")
            return
        if form.get("redirect_uri") != asked["redirect_uri"]:
            await self._refuse(send, "redirect_uri")
            return
        now = int(time.time())
        honest = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": self.subject,
            "exp": now + 300,
            "iat": now,
            "nonce": asked["nonce"],
            "email": self.email,
            "email_verified": self.verified,
            "name": "Ada Lovelace",
        }
        claims = {key: value for key, value in (honest | self.claims).items() if value is not None}
        token = (self.sign or honestly)(self, claims)
        await _json(send, {"token_type": "Bearer", "access_token": "x", "id_token": token})

    async def _refuse(self, send: Send, why: str) -> None:
        self.refusals.append(why)
        await _json(send, {"error": "invalid_grant"}, 400)


def honestly(provider: IdentityProvider, claims: dict[str, Any]) -> str:
    header = {"alg": provider.algorithm, "kid": provider.key.kid}
    return jwt.encode(header, claims, provider.key, algorithms=[provider.algorithm])


def unsigned(provider: IdentityProvider, claims: dict[str, Any]) -> str:
    parts = ({"alg": "none", "kid": provider.key.kid}, claims)
    return ".".join(_text(json.dumps(part).encode()) for part in parts) + "."


def with_the_public_key(provider: IdentityProvider, claims: dict[str, Any]) -> str:
    """HS256, whose secret everybody knows."""
    assert isinstance(provider.key, RSAKey)
    secret = OctKey.import_key(provider.key.as_pem(private=False), {"kid": provider.key.kid or ""})
    return jwt.encode({"alg": "HS256", "kid": provider.key.kid}, claims, secret, algorithms=["HS256"])


def by_somebody_else(provider: IdentityProvider, claims: dict[str, Any]) -> str:
    key = RSAKey.generate_key(2048, {"kid": provider.key.kid or ""})
    return jwt.encode({"alg": "RS256", "kid": provider.key.kid}, claims, key, algorithms=["RS256"])


def with_its_own_key_inside(provider: IdentityProvider, claims: dict[str, Any]) -> str:
    key = RSAKey.generate_key(2048, {"kid": "mine"})
    header = {"alg": "RS256", "kid": "mine", "jwk": key.as_dict(private=False)}
    return jwt.encode(header, claims, key, algorithms=["RS256"])


def changed_afterwards(provider: IdentityProvider, claims: dict[str, Any]) -> str:
    header, _, signature = honestly(provider, claims).split(".")
    return f"{header}.{_text(json.dumps(claims | {'sub': 'somebody-else'}).encode())}.{signature}"


def encrypted_instead(provider: IdentityProvider, claims: dict[str, Any]) -> str:
    """Five parts: a JWE, which anybody can make with a public key."""
    header = {"alg": "RSA-OAEP", "enc": "A128GCM", "kid": provider.key.kid}
    return ".".join([_text(json.dumps(header).encode()), *"abcd"])


def in_a_list(provider: IdentityProvider, claims: dict[str, Any]) -> str:
    header, _, signature = honestly(provider, claims).split(".")
    return f"{header}.{_text(json.dumps([claims]).encode())}.{signature}"


def with_a_header_that_must_be_understood(provider: IdentityProvider, claims: dict[str, Any]) -> str:
    header = {"alg": "RS256", "kid": provider.key.kid, "crit": ["exp"], "exp": 1}
    key = provider.key.private_key
    assert isinstance(key, RSAPrivateKey)
    parts = f"{_text(json.dumps(header).encode())}.{_text(json.dumps(claims).encode())}"
    signature = key.sign(parts.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{parts}.{_text(signature)}"


def no_token(provider: IdentityProvider, claims: dict[str, Any]) -> str:
    return "not.a.token"


async def _json(send: Send, content: dict[str, Any], status: int = 200) -> None:
    await _send(send, status, [(b"content-type", b"application/json")], json.dumps(content).encode())


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@asynccontextmanager
async def identity_provider() -> AsyncIterator[IdentityProvider]:
    with listen("127.0.0.1", 0, "test", "test") as sock:
        provider = IdentityProvider(url=f"http://127.0.0.1:{sock.getsockname()[1]}")
        server = Server(uvicorn.Config(provider, log_level="warning", lifespan="off", ws="none"))
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        try:
            yield provider
        finally:
            server.should_exit = True
            await serving
