"""Asking a server that somebody else named: over TLS, at public addresses, without redirects, in bounded time and size.

An organisation names its identity provider, so without this it could make us ask whatever stands in our own network.
Names that the installation's operator trusts (`Office.inner_hosts`) may be inside, and on this machine without TLS.
"""

import asyncio
import socket
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import httpx

from latchwork.server.actions.office import Office

SECONDS_MAX = 10.0
BYTES_MAX = 256 * 1024


class NotReached(Exception):
    """The message is a sentence for whoever set it up."""


async def ask(
    office: Office,
    url: str,
    form: Mapping[str, str] | None = None,
    user: tuple[str, str] | None = None,
) -> Any:
    """The JSON object found there, by GET or with a form by POST. Raises NotReached."""
    try:
        there = httpx.URL(url)
        address = await _address(office, there)
        async with (
            asyncio.timeout(SECONDS_MAX),
            httpx.AsyncClient(trust_env=False, timeout=SECONDS_MAX) as client,
            client.stream(
                "POST" if form is not None else "GET",
                there.copy_with(host=address),
                data=form,
                auth=user,
                headers={"Host": there.netloc.decode(), "Accept": "application/json"},
                extensions={"sni_hostname": there.host},
            ) as answer,
        ):
            body = b""
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > BYTES_MAX:
                    raise NotReached(f"{there.host} sent too much.")
            if answer.status_code != 200:
                raise NotReached(f"{there.host} answered {answer.status_code}.")
            found = httpx.Response(200, content=body).json()
    except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError, ValueError, RecursionError) as error:
        raise NotReached(f"{url} cannot be read: {type(error).__name__}.") from error
    if not isinstance(found, dict):
        raise NotReached(f"{url} is no JSON object.")
    return found


async def _address(office: Office, url: httpx.URL) -> str:
    """What the name stands for, looked up once: between looking and asking it cannot become another."""
    trusted = url.host in office.inner_hosts
    port = url.port or (443 if url.scheme == "https" else 80)
    found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    addresses = [ip_address(each[4][0]) for each in found]
    if url.scheme != "https" and not (trusted and url.scheme == "http" and all(a.is_loopback for a in addresses)):
        raise NotReached(f"{url.host} is to be asked over https.")
    if not trusted and not all(address.is_global for address in addresses):
        raise NotReached(f"{url.host} stands in an inner network. Name it in LATCHWORK_INNER_HOSTS if it may be asked.")
    return str(addresses[0])
