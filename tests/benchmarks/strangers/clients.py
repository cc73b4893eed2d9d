"""Strangers: clients without a token, each of which takes up what the service lets it.

A process of its own runs them. It imports next to nothing, so that its start disturbs nobody.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

PROGRAM = "import sys; from tests.benchmarks.strangers.clients import main; main(*sys.argv[1:])"
PATIENCE = 0.2
"""Seconds that a stranger waits for room to send."""
UPGRADE = (
    "GET /v1/stream HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)
FRAME = bytes((0x80 | 125,)) + bytes(4) + b'{"type": "ping", "t": 0, "id": "x"}'.ljust(125)
"""A masked frame of the greatest short length, without its first byte; the mask changes nothing."""
PING, MESSAGE = b"\x89" + FRAME, b"\x81" + FRAME
POST = "POST /v1/login HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\n"
REQUEST = "GET /v1/sessions HTTP/1.1\r\nHost: {host}\r\n\r\n"


def hold(plug: socket.socket, first: bytes) -> None:
    """Send the first bytes and nothing more, until the service closes the connection."""
    plug.settimeout(None)
    plug.sendall(first)
    while plug.recv(1 << 16):
        pass


def flood(plug: socket.socket, first: bytes, frame: bytes, reads: bool) -> None:
    """Send frames as fast as they are taken, reading or not, until the connection is closed."""
    plug.sendall(first)
    block = frame * 64
    sent = 0
    while True:
        with suppress(TimeoutError):
            sent = (sent + plug.send(block[sent:])) % len(block)  # never a part of a frame alone
        if reads:
            with suppress(BlockingIOError):
                if not plug.recv(1 << 16, socket.MSG_DONTWAIT):
                    return


def ask(plug: socket.socket, request: bytes) -> None:
    """Send requests one after the other, each as soon as the last is answered."""
    plug.settimeout(None)
    while True:
        plug.sendall(request)
        if not plug.recv(1 << 16):
            return


def churn(plug: socket.socket, request: bytes) -> None:
    """Send one request, and close the connection as soon as an answer begins."""
    plug.settimeout(None)
    plug.sendall(request)
    plug.recv(1)


KINDS: dict[str, Callable[[socket.socket, str], None]] = {
    "pings, nothing read": lambda plug, host: flood(
        plug, UPGRADE.format(host=host).encode(), PING, reads=False
    ),
    "nothing sent": lambda plug, _: hold(plug, b""),
    "half a head": lambda plug, host: hold(plug, f"GET / HTTP/1.1\r\nHost: {host}\r\nX".encode()),
    "a body that does not come": lambda plug, host: hold(plug, POST.format(host=host).encode()),
    "messages": lambda plug, host: flood(
        plug, UPGRADE.format(host=host).encode(), MESSAGE, reads=True
    ),
    "requests": lambda plug, host: ask(plug, REQUEST.format(host=host).encode()),
    "a connection for each request": lambda plug, host: churn(
        plug, REQUEST.format(host=host).encode()
    ),
    "a connection for each upgrade": lambda plug, host: churn(
        plug, UPGRADE.format(host=host).encode()
    ),
    "a connection for nothing": lambda _, __: None,
}
"""Visits of strangers, each until its connection ends."""


def come_back(host: str, port: int, kind: str) -> None:
    """Visit again and again."""
    while True:
        with suppress(OSError), socket.create_connection((host, port)) as plug:
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            plug.settimeout(PATIENCE)
            KINDS[kind](plug, f"{host}:{port}")


def main(url: str, count: str, *kinds: str) -> None:
    """Run this many strangers of each kind until the process is ended; print a line before."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    for kind in kinds:
        for _ in range(int(count)):
            thread = threading.Thread(
                target=come_back, args=(parts.hostname, parts.port, kind), daemon=True
            )
            thread.start()
    print(flush=True)
    sys.stdin.read()
