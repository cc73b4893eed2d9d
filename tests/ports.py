"""Ports for programs that a test starts: no other program gets them meanwhile."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


def keep_port() -> socket.socket:
    """A socket that keeps a port of the loopback interface until it is closed.

    Servers that reuse addresses can listen there, one after the other.
    """
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", 0))
    return keeper


def port_of(bound: socket.socket) -> int:
    """The port of a socket."""
    port: int = bound.getsockname()[1]
    return port


@contextmanager
def kept_port() -> Iterator[int]:
    """A port for servers that run one after the other."""
    with keep_port() as keeper:
        yield port_of(keeper)
