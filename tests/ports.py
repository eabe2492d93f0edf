"""Ports for processes that must be told theirs before they start."""

import os
import socket
from itertools import count

# Below what the system hands out by itself, so that no outgoing connection has one meanwhile; and each worker of pytest has a thousand of its own.
_NUMBERS = count(20_000 + 1_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")))


def free_port() -> int:
    """One of 127.0.0.1 that nobody has, and that no other test is told."""
    for port in _NUMBERS:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise AssertionError
