"""The page that checks receipts: one file with its script inside, which talks to nobody and may be saved and kept.

It is the one page of ours with an inline script: its policy names the script by hash, in the file itself.
"""

import re
from typing import Final

from litestar import Response, get

from latchwork.server.web.render import HERE
from latchwork.ui.pages import PAGE_HEADERS

_PAGE: Final = (HERE / "verify.html").read_text(encoding="utf-8")
_POLICY: Final = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', _PAGE)
assert _POLICY is not None
_HEADERS: Final = {**PAGE_HEADERS, "Content-Security-Policy": f"{_POLICY[1]}; frame-ancestors 'none'"}


@get("/verify", include_in_schema=False, sync_to_thread=False)
def verify_page() -> Response[str]:
    return Response(_PAGE, media_type="text/html; charset=utf-8", headers=_HEADERS)
