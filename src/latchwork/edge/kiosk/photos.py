"""Pictures of what was put in, encrypted, for a month at most. The log has only their hash over salt and picture."""

import json
import logging
import os
import re
import secrets
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

JPEG_BYTES_MAX = 65_536
PHOTOS_MAX = 2_000
KEPT = timedelta(days=30)
LOOK_EVERY = timedelta(hours=1)
ERASED = "erased"
"""The document that names pictures which are to go, as a list of hashes."""
SALT_BYTES = 16
NONCE_BYTES = 12
_END = ".jpg.sealed"

log = logging.getLogger(__name__)


def is_jpeg(picture: bytes) -> bool:
    return len(picture) <= JPEG_BYTES_MAX and picture.startswith(b"\xff\xd8\xff") and picture.endswith(b"\xff\xd9")


class Photos:
    """A folder with a file a picture, named by its hash: a nonce, then salt and JPEG under AES-256-GCM.

    The oldest go when it is full. The key lies on the same machine: this protects copies of the folder, and a disk that
    is taken without the bank's identity, not a controller that is stolen whole.
    """

    def __init__(self, folder: Path, *keys: bytes) -> None:
        self._folder = folder
        self.use_keys(*keys)
        self._looked_at: datetime | None = None

    def use_keys(self, newest: bytes, *older: bytes) -> None:
        self._seal, self._older = AESGCM(newest), [AESGCM(key) for key in older]

    def keep(self, jpeg: bytes) -> str:
        """SHA-256 in hex, over salt and picture. Raises OSError."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        kept = sorted(self._files(), key=lambda path: path.stat().st_mtime_ns)
        for old in kept[: max(0, len(kept) + 1 - PHOTOS_MAX)]:
            old.unlink(missing_ok=True)
        raw = secrets.token_bytes(SALT_BYTES) + jpeg
        name, nonce = sha256(raw).hexdigest(), secrets.token_bytes(NONCE_BYTES)
        new = self._folder / "new"
        with new.open("wb") as file:
            file.write(nonce + self._seal.encrypt(nonce, raw, name.encode()))
            file.flush()
            os.fsync(file.fileno())
        new.rename(self._path(name))
        return name

    def find(self, name: str) -> bytes | None:
        """The picture, while nobody has erased it."""
        try:
            sealed = self._path(name).read_bytes()
            for seal in (self._seal, *self._older):
                with suppress(InvalidTag):
                    return _open(seal, sealed, name)
            raise InvalidTag
        except FileNotFoundError:
            return None
        except (OSError, InvalidTag, ValueError) as error:
            log.warning("the picture %s cannot be read: %r", name, error)
            return None

    def erase_all(self, named: bytes) -> None:
        """Those that a JSON list names. Raises OSError."""
        try:
            names = json.loads(named)
        except (ValueError, RecursionError):
            names = None
        if not isinstance(names, list):
            log.warning("the list of pictures to erase is no list")
            return
        for name in names:
            if isinstance(name, str) and re.fullmatch(r"[0-9a-f]{64}", name):
                self._path(name).unlink(missing_ok=True)

    def forget(self, now: datetime) -> None:
        """What is older than a month goes; cheap to call often. `now` has to be believable."""
        if self._looked_at is not None and now < self._looked_at + LOOK_EVERY:
            return
        self._looked_at = now
        for path in self._files():
            if path.stat().st_mtime < (now - KEPT).timestamp():
                path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return list(self._folder.glob(f"*{_END}"))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_END}"


def _open(seal: AESGCM, sealed: bytes, name: str) -> bytes:
    return seal.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], name.encode())[SALT_BYTES:]
