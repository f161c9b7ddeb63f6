"""How somebody is found by their name at a wall that does not hold it.

The directory of a wall has initials, and hashes of how each word of a name begins, salted with the person's id. Typing
three letters finds a person, and no screen shows a list of names. It is no secret from whoever takes a controller
apart: letter by letter they can work out how every name begins, up to `BEGIN_MAX` letters of a word.
"""

import unicodedata
from hashlib import blake2s

BEGIN_MIN, BEGIN_MAX = 3, 8
"""So many letters of a word; a shorter word counts as it is, and of a longer one no more is compared."""

WORDS_MAX = 6


def plain(text: str) -> str:
    """Letters and digits alone, without case and accents."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(x for x in apart if x.isalnum())


def words(name: str) -> list[str]:
    return [word for word in map(plain, name.replace("-", " ").split()) if word]


def beginnings(person: str, name: str) -> list[str]:
    """Hashes of all that may be typed to find this person."""
    begun = {
        word[:n]
        for word in words(name)[:WORDS_MAX]
        for n in range(min(BEGIN_MIN, len(word)), min(BEGIN_MAX, len(word)) + 1)
    }
    return sorted(hashed(person, word) for word in begun)


def hashed(person: str, word: str) -> str:
    return blake2s(word[:BEGIN_MAX].encode(), digest_size=4, key=person.encode()[:32]).hexdigest()
