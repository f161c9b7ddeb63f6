"""The page that checks receipts: one file with its script inside, which talks to nobody and may be saved and kept.

It is the one page of ours with an inline script: its policy names the script by hash. The file speaks English; as it is
served it carries every other language too, and chooses in the browser, so that a saved copy does as well.
"""

import base64
import json
import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from litestar import Response, get

from latchwork.server.web.render import HERE
from latchwork.ui.pages import PAGE_HEADERS
from latchwork.ui.words import languages, words

FILE: Final = HERE / "verify.html"
_NONE_TOLD: Final = "const TOLD = {};"


def sentences() -> Iterator[str]:
    """What the page says, in English."""
    page = FILE.read_text(encoding="utf-8")
    yield from re.findall(r"<[^>]* data-say>([^<]*)<", page)
    yield from re.findall(r'\b(?:_|say)\("([^"]*)"', page)
    (written,) = re.findall(r"^const WORDS = (.*?);$", page, re.DOTALL | re.MULTILINE)
    yield from json.loads(written).values()


def hash_of(tag: str, page: str) -> str:
    """What a policy names the content of the page's only such element by."""
    (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    return f"'sha256-{base64.b64encode(sha256(inside.encode()).digest()).decode()}'"


def _told() -> str:
    """The file, in every language."""
    english = FILE.read_text(encoding="utf-8")
    said = {tag: {each: words(tag).sentence(each) for each in sentences()} for tag in languages() if tag != "en"}
    told = json.dumps(said, ensure_ascii=False).replace("<", r"\u003c")
    page = english.replace(_NONE_TOLD, f"const TOLD = {told};")
    return page.replace(hash_of("script", english), hash_of("script", page))


_PAGE: Final = _told()
_POLICY: Final = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', _PAGE)
assert _POLICY is not None
_HEADERS: Final = {**PAGE_HEADERS, "Content-Security-Policy": f"{_POLICY[1]}; frame-ancestors 'none'"}


@get("/verify", include_in_schema=False, sync_to_thread=False)
def verify_page() -> Response[str]:
    return Response(_PAGE, media_type="text/html; charset=utf-8", headers=_HEADERS)
