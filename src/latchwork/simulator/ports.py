"""Port numbers for processes that are told theirs, and come back to it when they are started anew."""

import random
import socket

HOST = "127.0.0.1"
NUMBERS = range(20_000, 32_768)
"""Linux gives an outgoing connection none of these, nor a listener that asks for any: between looking and listening,
only somebody who looks here too could take one."""


_given: set[int] = set()


def free_port() -> int:
    """One that nobody uses at this moment, and that this process has not been given before."""
    while True:
        port = random.SystemRandom().choice(NUMBERS)
        if port in _given:
            continue
        try:
            socket.create_server((HOST, port)).close()
        except OSError:
            continue
        _given.add(port)
        return port
