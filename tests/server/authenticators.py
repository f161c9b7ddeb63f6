"""An authenticator in software, which can also lie."""

import base64
import json
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_bytes
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

PRESENT, VERIFIED, HAS_KEY = 0x01, 0x04, 0x40


def text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def raw(told: str) -> bytes:
    return base64.urlsafe_b64decode(told + "=" * (-len(told) % 4))


@dataclass
class Authenticator:
    party: str
    origin: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: token_bytes(32))
    handle: bytes = b""
    count: int = 0
    verifies: bool = True

    def make(self, options: str, **lies: Any) -> str:
        asked = json.loads(options)
        self.handle = raw(asked["user"]["id"])
        point = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        key = cbor2.dumps(lies.pop("cose", cose))
        data = self._data(HAS_KEY, lies) + bytes(16) + len(self.id).to_bytes(2, "big") + self.id + key
        said = self._said("webauthn.create", asked, lies)
        made = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return self._answer({"clientDataJSON": text(said), "attestationObject": text(made), "transports": []})

    def show(self, options: str, **lies: Any) -> str:
        asked = json.loads(options)
        self.count += lies.pop("counts", 1)
        data = self._data(0, lies)
        signer = lies.pop("key", self.key)
        handle = lies.pop("handle", self.handle)
        said = self._said("webauthn.get", asked, lies)
        signature = signer.sign(data + sha256(said).digest(), ec.ECDSA(SHA256()))
        response = {"clientDataJSON": text(said), "authenticatorData": text(data), "signature": text(signature)}
        return self._answer(response | ({"userHandle": text(handle)} if handle else {}))

    def _data(self, flags: int, lies: dict[str, Any]) -> bytes:
        flags |= lies.pop("flags", PRESENT | (VERIFIED if self.verifies else 0))
        return sha256(lies.pop("party", self.party).encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _said(self, kind: str, asked: dict[str, Any], lies: dict[str, Any]) -> bytes:
        honest = {"type": kind, "challenge": asked["challenge"], "origin": self.origin, "crossOrigin": False}
        return json.dumps(honest | lies).encode()

    def _answer(self, response: dict[str, Any]) -> str:
        name = text(self.id)
        return json.dumps(
            {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {}}
        )
