"""Listening sockets, taken before anything else starts, so that a taken port is one clear sentence and no wreck."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names of this machine, to itself."""


class PortTaken(Exception):
    """The message is a sentence for whoever started us."""


def listen(host: str, port: int, what: str, setting: str) -> socket.socket:
    """A socket for `what` (such as "the server"); `setting` says how to move it. Raises PortTaken."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        taken = socket.socket(family, kind, protocol)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(address)
            taken.listen(2048)
        except OSError:
            taken.close()
            raise
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise PortTaken(f"{what} cannot listen on {host}:{port}: {why}. Choose another with {setting}.") from None
    taken.setblocking(False)
    return taken


class Server(uvicorn.Server):
    """uvicorn without its signal handlers: signals are the business of whoever runs us."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
