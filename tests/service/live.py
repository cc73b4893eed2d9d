"""A real service in this process, on a free port of the loopback interface."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
from rich.console import Console
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close
from websockets.typing import Subprotocol

from mimamba.service.client.client import stream_url
from mimamba.service.protocol.messages import (
    MSGPACK_SUBPROTOCOL,
    ClientMessage,
    ServerMessage,
    decode_server,
    encode,
)
from mimamba.service.server.acceptor import ConnectionLimits
from mimamba.service.server.app import LIMITS, Limits, make_app
from mimamba.service.server.limited_server import make_config
from mimamba.service.server.serve import SourceOpener, bind
from mimamba.service.server.server import Server
from mimamba.service.settings.load import make_settings
from mimamba.service.stream.stalled_clients import KEEPALIVE_TIMEOUT as READING

PATIENCE = 60.0
"""Seconds that a test waits for an event before it fails: a busy machine may need most of them."""

Message = TypeVar("Message", bound=ServerMessage)


@dataclass
class Live:
    """A running service."""

    url: str
    http: httpx.Client
    server: Server

    def end(self) -> None:
        """End it, without waiting for that."""
        self.server.should_exit = True

    def sessions(self) -> dict[str, dict[str, Any]]:
        """The sessions by id, as the API shows them."""
        return {each["id"]: each for each in self.http.get("/v1/sessions").json()}

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition that must come true."""
        end, pause = time.monotonic() + PATIENCE, 0.02
        while not condition():
            assert time.monotonic() < end, "it did not come true"
            time.sleep(pause)
            pause = min(0.1, 1.2 * pause)  # a request takes some ms of a processor

    def opened(self, *names: str) -> None:
        """Wait until these sessions are there and no longer opening."""
        self.until(
            lambda: all(
                self.sessions().get(name, {}).get("state", "opening") != "opening" for name in names
            )
        )

    def play(self, name: str, **changes: object) -> None:
        """Change how a session's recording is played."""
        answer = self.http.post(f"/v1/sessions/{name}/replay", json=changes)
        assert answer.status_code == 200, answer.text


def bearer(token: str) -> dict[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


_before: list[set[threading.Thread]] = []
"""The threads before each service that is open, the first opened first."""


@contextmanager
def _threads_end() -> Iterator[None]:
    """Wait until all threads have ended that began within.

    A thread does not name its service, and a service may start one at any time: of several services
    that are open at once, the last to close waits for the threads of all.
    """
    _before.append(set(threading.enumerate()))
    try:
        yield
    finally:
        before = _before.pop()
    if _before:
        return
    # Those of an event loop's own pool are the test's: the service's loop has joined its own.
    left = {
        each
        for each in set(threading.enumerate()) - before
        if not each.daemon and not each.name.startswith("asyncio_")
    }
    for each in left:
        each.join(PATIENCE)
    left = {each for each in left if each.is_alive()}
    assert not left, f"threads that did not end: {left}"


@contextmanager
def live(
    *sources: str,
    limits: Limits = LIMITS,
    patience: float = READING,
    trust: ssl.SSLContext | None = None,
    connections: ConnectionLimits | None = None,
    **settings: Any,
) -> Iterator[Live]:
    """A service with these sources; all its threads have ended on leaving.

    Its ``http`` shows the token for control, and trusts as ``trust`` does.
    """
    with _threads_end():
        made = make_settings({"source": list(sources), "port": 0, **settings})
        listener = bind(made.host, made.port)
        # A small buffer, which accepted sockets inherit, so that a stall shows soon.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        start = SourceOpener(made, Console(quiet=True))
        app = make_app(made, start, limits=limits)
        config = make_config(app, made.ssl_certfile, made.ssl_keyfile, patience=patience)
        start.server = server = Server(config, app, connections)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        scheme = "https" if made.ssl_certfile else "http"
        url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        shown = bearer(made.token.get_secret_value()) if made.token else None
        try:
            with httpx.Client(
                base_url=url, timeout=PATIENCE, headers=shown, verify=trust or False
            ) as http:
                service = Live(url, http, server)
                service.until(lambda: server.started or not thread.is_alive())
                yield service
        finally:
            server.should_exit = True
            thread.join()
            listener.close()


class Talk:
    """A bare WebSocket client that keeps all messages it receives."""

    def __init__(self, socket: ClientConnection, binary: bool) -> None:
        self.socket = socket
        self.heard: list[ServerMessage] = []
        self._binary = binary

    async def say(self, message: ClientMessage) -> None:
        """Send a message."""
        payload = encode(message, self._binary)
        await self.socket.send(payload if self._binary else payload.decode())

    async def hear(self) -> ServerMessage:
        """Receive the next message."""
        message = decode_server(await self.socket.recv())
        self.heard.append(message)
        return message

    async def find(
        self, kind: type[Message], which: Callable[[Message], bool] = lambda _: True
    ) -> Message:
        """Receive messages until one of a kind meets a condition."""
        end = time.monotonic() + PATIENCE
        while True:
            message = await self.hear()
            if isinstance(message, kind) and which(message):
                return message
            assert time.monotonic() < end, f"no such {kind.__name__} came"

    async def told(self, kind: type[Message], which: Callable[[Message], bool]) -> Message:
        """Find a message that meets a condition among the received ones, or receive it."""
        for message in self.heard:
            if isinstance(message, kind) and which(message):
                return message
        return await self.find(kind, which)

    async def farewell(self) -> Close:
        """Receive until the service closes the connection; return how."""
        with suppress(ConnectionClosed):
            while True:
                await self.hear()
        close = self.socket.protocol.close_rcvd
        assert close is not None
        return close


@asynccontextmanager
async def talk(
    url: str, binary: bool = True, narrow: bool = False, headers: dict[str, str] | None = None
) -> AsyncIterator[Talk]:
    """Connect a bare client; a ``narrow`` one has next to no buffers."""
    parts = urlsplit(url)
    plug = socket.socket()
    if narrow:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plug.connect((parts.hostname, parts.port))
    protocols = [Subprotocol(MSGPACK_SUBPROTOCOL)] if binary else None
    async with connect(
        stream_url(url),
        sock=plug,
        subprotocols=protocols,
        compression=None,
        additional_headers=headers,
        max_queue=1 if narrow else 16,
        open_timeout=PATIENCE,
    ) as connection:
        yield Talk(connection, binary)
