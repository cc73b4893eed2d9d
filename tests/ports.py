"""Ports for programs that a test starts: no other program gets them meanwhile."""

from __future__ import annotations

import random
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


@contextmanager
def kept_udp_port() -> Iterator[int]:
    """A UDP port for receivers that run one after the other.

    A receiver does not share its port with a keeper. So the port is below those that systems give
    to sockets without one, and the TCP port of the same number keeps it from other tests.
    """
    for number in random.sample(range(20_000, 30_000), 100):
        with socket.socket() as keeper:
            try:
                keeper.bind(("127.0.0.1", number))
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.bind(("", number))
            except OSError:
                continue
            yield number
            return
    raise OSError("Expected a free UDP port from 20000 to 29999, but found none in 100 tries.")
