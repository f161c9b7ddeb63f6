"""Pictures of what was put in, kept until somebody erases them. The log has only their hash over salt and picture."""

import os
import secrets
from hashlib import sha256
from pathlib import Path

JPEG_BYTES_MAX = 65_536
PHOTOS_MAX = 2_000
SALT_BYTES = 16


def is_jpeg(picture: bytes) -> bool:
    return len(picture) <= JPEG_BYTES_MAX and picture.startswith(b"\xff\xd8\xff") and picture.endswith(b"\xff\xd9")


class Photos:
    """A folder with a file a picture, named by its hash: salt first, then the JPEG. The oldest go when it is full."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, jpeg: bytes) -> str:
        """SHA-256 in hex, over salt and picture. Raises OSError."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        kept = sorted(self._folder.glob("*.jpg.salted"), key=lambda path: path.stat().st_mtime_ns)
        for old in kept[: max(0, len(kept) + 1 - PHOTOS_MAX)]:
            old.unlink(missing_ok=True)
        raw = secrets.token_bytes(SALT_BYTES) + jpeg
        name = sha256(raw).hexdigest()
        new = self._folder / "new"
        with new.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        new.rename(self._path(name))
        return name

    def find(self, name: str) -> bytes | None:
        """The picture, while nobody has erased it."""
        try:
            return self._path(name).read_bytes()[SALT_BYTES:]
        except FileNotFoundError:
            return None

    def erase(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.jpg.salted"
