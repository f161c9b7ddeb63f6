"""Every 4xx and 5xx of the API as `application/problem+json` (RFC 9457). Nothing of our inside is in it."""

import logging
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from latchwork.server.actions.office import Declined, Unavailable

PROBLEM = "application/problem+json"
AWAY_RETRY_SECONDS = 2
_WORDS_MAX = 300

log = logging.getLogger(__name__)

AnyRequest = Request[Any, Any, Any]


class Problem(msgspec.Struct, frozen=True):
    """`reason` is one word for programs, `detail` a sentence for people."""

    title: str
    status: int
    detail: str
    reason: str
    type: str = "about:blank"
    errors: list[dict[str, str]] = []


def problem(error: Exception) -> Response[bytes]:
    """The answer to whatever went wrong. What we did not expect is logged, and told as little as possible."""
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    errors: list[dict[str, str]] = []
    if isinstance(error, Declined):
        status, reason, detail = error.status, error.reason, str(error.detail)
        if error.retry_after_s is not None:
            headers["Retry-After"] = str(error.retry_after_s)
    elif isinstance(error, Unavailable):
        status, reason = 503, "unavailable"
        detail = "The database is away for the moment. Asking again is safe."
        headers["Retry-After"] = str(AWAY_RETRY_SECONDS)
    elif isinstance(error, HTTPException):
        status, detail = error.status_code, str(error.detail)[:_WORDS_MAX]
        reason = HTTPStatus(status).phrase.lower().replace(" ", "_")
        errors = _errors(error.extra)
        headers |= {k: v for k, v in (error.headers or {}).items() if k.lower() != "content-type"}
    elif isinstance(error, RecursionError):
        status, reason, detail = 400, "bad_request", "The body is nested too deeply."
    elif isinstance(error, UnicodeDecodeError):
        status, reason, detail = 400, "bad_request", "The body is not UTF-8."
    else:
        log.error("a request failed", exc_info=error)
        status, reason = 500, "internal_error"
        detail = "Something went wrong on our side. It has been written down."
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = Problem(HTTPStatus(status).phrase, status, detail, reason, errors=errors)
    return Response(msgspec.json.encode(body), status_code=status, media_type=PROBLEM, headers=headers)


def _errors(extra: Any) -> list[dict[str, str]]:
    found = extra if isinstance(extra, list) else []
    return [
        {key: str(item[key])[:_WORDS_MAX] for key in ("key", "message", "source") if key in item}
        for item in found[:20]
        if isinstance(item, dict)
    ]
