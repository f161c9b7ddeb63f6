"""Whether a password is one that everybody tries: worked out, and not looked up in a list of millions.

A long password is common because it is put together from a few things that everybody knows. So we count what has to be
guessed: a known word, a run, a way over the keyboard or something said before is one thing, and so is any other
character. Nearly all of the most used passwords of twelve characters come out at one to six; the few that do not are
named.
"""

import re

THINGS_MIN = 8
PART_MIN = 3
_READ_AS = str.maketrans("013457@$!", "oleastasi")
_WAYS = (
    "qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl", "zxcvbnm", "yxcvbnm", "1234567890", "0123456789",
    "1q2w3e4r5t6y7u8i9o0p", "q1w2e3r4t5y6u7i8o9p0", "1qaz2wsx3edc4rfv5tgb6yhn7ujm", "qazwsxedcrfvtgbyhnujm",
    "1a2b3c4d5e6f7g8h", "a1b2c3d4e5f6g7h8", "abcdefghijklmnopqrstuvwxyz", "112233445566778899", "13579", "24680",
    "147258369", "741852963", "789456123", "123qweasdzxc", "qweasdzxc",
)  # fmt: skip
_WAY_MAX = max(map(len, _WAYS))
_ALONG = frozenset(
    way[start:end]
    for each in _WAYS
    for way in (each, each[::-1])
    for start in range(len(way))
    for end in range(start + PART_MIN, len(way) + 1)
)
_KNOWN = """
    access account admin administrator alexander alexandra amanda america andrea andrew angel angela anthony apple
    arsenal asdf ashley austin babygirl banana barcelona baseball basketball batman beautiful bieber birthday black
    blue brandon buster butterfly change changeme charlie charlotte cheese chelsea chicken chocolate christ
    christian christina christopher computer cookie cowboys crystal daddy daniel danielle dragon elizabeth facebook
    family flower football forever freedom friend friends fuck fuckyou gabriel galatasaray garfield george ginger
    google green guest hannah happy harley harrypotter heather hello hottie hunter iloveyou internet jackson jasmine
    jennifer jessica jesus jonathan jordan joshua justin killer letmein liverpool locker lockers login london love
    lovely lover madison maggie manchester marina martin master matthew megaparol melissa mercedes metallica michael
    michelle minecraft money monkey monster mother mustang myspace name nicholas nicole nirvana office onelove
    online orange pakistan parcel patrick peanut pepper pokemon portugal prince princess purple rainbow raiders
    robert ronaldo root samantha samsung secret server service shadow snoopy soccer spiderman spongebob starwars
    stephanie student summer sunshine superman system target taylor tianya team telecom test thomas tigger trustno
    unbelievable user victoria wachtwoord welcome willkommen hallo geheim schatz sommer winter fussball whatever
    william yellow your you the january february march april june july august september october november december
    spring autumn
"""
_WORDS = frozenset(_KNOWN.split())
_OTHERS = """
    correcthorsebatterystaple theworldinyourhand startfinding telechargement polniypizdec sojdlg123aljg
    yfdbufnjh10305070 maprchem56458 pe#5gz29ptzmse n8zgt5p0shw=
"""
_NAMED = frozenset(_OTHERS.split())


def is_common(password: str, *known: str) -> bool:
    """`known`: what everybody knows of the person."""
    small = password.lower()
    plain = re.sub(r"[\s_.-]", "", small)
    if any(plain.startswith(name) for name in _NAMED):
        return True
    words = _WORDS | {word for word in known if len(word) >= PART_MIN}
    return min(_things(small, words), _things(small.translate(_READ_AS), words)) < THINGS_MIN


def _things(text: str, words: frozenset[str]) -> int:
    """How many things, the longest first at each place."""
    at = count = 0
    while at < len(text):
        ends = range(min(len(text), at + _WAY_MAX), at + PART_MIN - 1, -1)
        at = next((end for end in ends if _is_one(text[at:end], text[:at], words)), at + 1)
        count += 1
    return count


def _is_one(part: str, before: str, words: frozenset[str]) -> bool:
    return (
        part in words
        or part in before
        or len(set(part)) == 1
        or part in _ALONG
        or re.fullmatch(r"(19|20)\d\d", part) is not None
    )
