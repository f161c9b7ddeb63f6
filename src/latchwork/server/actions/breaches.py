"""Whether a password stood in a breach, by a list that whoever runs the server has downloaded. Nobody is asked."""

from hashlib import sha1
from pathlib import Path

LINE_BYTES_MAX = 256


def stood_in(file: Path, password: str) -> bool:
    """`file`: a line for each password, sorted, which begins with its SHA-1 in hex, as such lists are published.

    Looks at a few dozen lines, however long the list is. Raises OSError.
    """
    wanted = sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
    with file.open("rb") as lines:
        low, high = 0, lines.seek(0, 2)
        while low < high:  # the line that is wanted begins in here, or nowhere
            middle = (low + high) // 2
            lines.seek(max(0, middle - 1))
            if middle:
                lines.readline(LINE_BYTES_MAX)
            found = lines.readline(LINE_BYTES_MAX)[: len(wanted)].upper()
            if found == wanted:
                return True
            if found and found < wanted:
                low = middle + 1
            else:
                high = middle
    return False
