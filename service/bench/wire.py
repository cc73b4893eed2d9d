"""A bare client of the stream and of the API: what it measures is not its own."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from mimamba.service.client.client import stream_url
from mimamba.service.protocol.messages import MSGPACK_SUBPROTOCOL, ClientMessage, encode

PATIENCE = 60.0
"""Seconds that an answer may take."""
CLOSING = 1.0
"""Seconds for a farewell, which a narrow one that has not read all does not hear."""


@asynccontextmanager
async def connected(
    url: str, narrow: bool = False, binary: bool = True
) -> AsyncIterator[ClientConnection]:
    """A connection; a ``narrow`` one holds next to nothing that it has not read."""
    parts = urlsplit(url)
    plug = socket.socket()
    if narrow:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plug.connect((parts.hostname, parts.port))
    async with connect(
        stream_url(url),
        sock=plug,
        subprotocols=[Subprotocol(MSGPACK_SUBPROTOCOL)] if binary else None,
        compression=None,
        max_queue=1 if narrow else 16,
        close_timeout=CLOSING,
    ) as client:
        yield client


async def say(client: ClientConnection, message: ClientMessage) -> None:
    """Send a message."""
    binary = client.subprotocol is not None
    await client.send(encode(message, binary), text=not binary)


async def ask(
    url: str, path: str, body: object = None, method: str | None = None
) -> tuple[int, bytes]:
    """Status and body of the API's answer; what has a body is a POST, if nothing is said."""
    method = method or ("GET" if body is None else "POST")
    return await asyncio.to_thread(_ask, url, path, body, method)


def _ask(url: str, path: str, body: object, method: str) -> tuple[int, bytes]:
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=PATIENCE)) as connection:
        sent = None if body is None else json.dumps(body).encode()
        connection.request(method, path, sent, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
