"""The last line of a commissioned configuration: its version, and a signature over every byte before it.

A file that was changed by hand runs all the same. The seal only tells the two apart.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from latchwork.edge.identity import write_safely
from latchwork.sync.keys import signed_by

_LINE = re.compile(rb"# sealed: version ([1-9][0-9]{0,8}), key ([0-9a-f]{64}), signature ([0-9a-f]{128})\n?")


class Standing(StrEnum):
    SIGNED = "signed"
    CHANGED = "changed"
    """Unsigned: it has a seal, and is not what was sealed."""
    STRANGE = "strange"
    """Sound, but sealed by another controller's key."""
    UNSIGNED = "unsigned"


@dataclass(frozen=True, slots=True)
class Edition:
    """Which configuration a file is. `sha256` is over all bytes before the seal, in hex."""

    version: int
    """0 where it was never sealed."""
    sha256: str
    standing: Standing


def sealed(body: bytes, version: int, key: Ed25519PrivateKey) -> bytes:
    """`body` with its seal; it ends with a line feed."""
    assert body.endswith(b"\n") and version > 0
    public = key.public_key().public_bytes_raw().hex()
    signature = key.sign(_text(version, body)).hex()
    return body + f"# sealed: version {version}, key {public}, signature {signature}\n".encode()


def resealed(content: bytes, old: Ed25519PrivateKey, new: Ed25519PrivateKey) -> bytes:
    """With the seal of the key that takes the place of `old`, where it has that one's; else as it is."""
    made = edition(content, old.public_key().public_bytes_raw())
    return sealed(_parted(content)[0], made.version, new) if made.standing is Standing.SIGNED else content


def unsealed(content: bytes) -> bytes:
    """Without seals, sound or not. It ends with a line feed."""
    lines = (line for line in content.splitlines() if not _LINE.fullmatch(line))
    return b"\n".join(lines).rstrip(b"\n") + b"\n"


def previous(path: Path) -> Path:
    """What was in force before the configuration at `path`."""
    return path.with_suffix(".previous.toml")


def put_in_place(path: Path, body: bytes, version: int, key: Ed25519PrivateKey) -> Edition:
    """Seal `body` and let it be the configuration at `path`; the one before is kept. Raises OSError."""
    before, mode = path.read_bytes(), path.stat().st_mode & 0o777
    content = sealed(body, version, key)
    write_safely(previous(path), before, mode)
    write_safely(path, content, mode)
    return edition(content)


def put_back(path: Path) -> None:
    """The configuration before is in force again. Raises OSError."""
    write_safely(path, previous(path).read_bytes(), path.stat().st_mode & 0o777)


def edition(content: bytes, public: bytes | None = None) -> Edition:
    """`public`: the key of this controller; without it any key will do."""
    body, last = _parted(content)
    found = _LINE.fullmatch(last)
    if found is None:
        # A line below the seal is a change too.
        marks = list(_LINE.finditer(content))
        version = int(marks[-1][1]) if marks else 0
        return Edition(version, sha256(content).hexdigest(), Standing.CHANGED if marks else Standing.UNSIGNED)
    version, signer = int(found[1]), bytes.fromhex(found[2].decode())
    if not signed_by(signer, bytes.fromhex(found[3].decode()), _text(version, body)):
        standing = Standing.CHANGED
    else:
        standing = Standing.SIGNED if public in (None, signer) else Standing.STRANGE
    return Edition(version, sha256(body).hexdigest(), standing)


def _parted(content: bytes) -> tuple[bytes, bytes]:
    """The last line, and what is above it."""
    body, _, last = content.rstrip(b"\n").rpartition(b"\n")
    return body + b"\n", last


def _text(version: int, body: bytes) -> bytes:
    return b"latchwork configuration 1\0" + str(version).encode() + b"\0" + sha256(body).digest()
