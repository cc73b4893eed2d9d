"""A minimal client of the stream and of the API, which adds little to what is measured."""

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

TIMEOUT = 60.0
"""Seconds that an answer may take."""
CLOSING = 1.0
"""Seconds for the closing handshake, which a narrow client with unread messages never finishes."""


@asynccontextmanager
async def connect_client(
    url: str, narrow: bool = False, binary: bool = True
) -> AsyncIterator[ClientConnection]:
    """Connect to a service's stream.

    Parameters
    ----------
    url
        The service's address.
    narrow
        Keep the receive buffers as small as possible, so that unread messages wait in the service.
    binary
        MessagePack; otherwise JSON.
    """
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


async def send(client: ClientConnection, message: ClientMessage) -> None:
    """Send a message in the connection's encoding."""
    binary = client.subprotocol is not None
    await client.send(encode(message, binary), text=not binary)


async def request(
    url: str, path: str, body: object = None, method: str | None = None
) -> tuple[int, bytes]:
    """Return status and body of the API's answer; the default is POST with a body, else GET."""
    method = method or ("GET" if body is None else "POST")
    return await asyncio.to_thread(_request, url, path, body, method)


def _request(url: str, path: str, body: object, method: str) -> tuple[int, bytes]:
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT)) as connection:
        sent = None if body is None else json.dumps(body).encode()
        connection.request(method, path, sent, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
