"""The template environment and the headers that every page of ours carries. It knows no page and reads no data.

Pages carry no inline script and no inline style, so the policy below needs no exception: what must vary by data is
said with classes (`u-12`), attributes of SVG and `data-` attributes.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"
"""Serve this folder under `/static`; the layout expects it there."""

PAGE_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'; object-src 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Cache-Control": "no-store",
    }
)


def environment(*folders: Path) -> Environment:
    """Templates of `folders` first, then the shared ones. A value that was not given is an error, never a blank."""
    loader = FileSystemLoader([*folders, TEMPLATES])
    return Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
