"""What happened, a line each: the last ones for whoever reads, and a hash of all, so that runs can be compared."""

from collections import deque
from collections.abc import Callable
from hashlib import sha256

LINES_KEPT = 40


class Trace:
    def __init__(self, say: Callable[[str], None] | None = None) -> None:
        self.last: deque[str] = deque(maxlen=LINES_KEPT)
        self._hash = sha256()
        self._say = say

    def add(self, line: str) -> None:
        self.last.append(line)
        self._hash.update(line.encode() + b"\n")
        if self._say is not None:
            self._say(line)

    def digest(self) -> str:
        return self._hash.hexdigest()
