"""A bare client of the stream, in msgpack: what it measures is not its own."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from service.client import stream_url
from service.messages import MSGPACK_SUBPROTOCOL, ClientMessage, encode


@asynccontextmanager
async def connected(url: str, narrow: bool = False) -> AsyncIterator[ClientConnection]:
    """A connection; a ``narrow`` one holds next to nothing that it has not read."""
    parts = urlsplit(url)
    plug = socket.socket()
    if narrow:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plug.connect((parts.hostname, parts.port))
    async with connect(
        stream_url(url),
        sock=plug,
        subprotocols=[Subprotocol(MSGPACK_SUBPROTOCOL)],
        compression=None,
        max_queue=1 if narrow else 16,
    ) as client:
        yield client


async def say(client: ClientConnection, message: ClientMessage) -> None:
    """Send a message."""
    await client.send(encode(message, binary=True))
