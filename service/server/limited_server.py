"""uvicorn's server with limits for connections."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE

from mimamba.service.http.timed_http import TimedHTTPProtocol
from mimamba.service.server.acceptor import Acceptor, ConnectionLimits, default_limits
from mimamba.service.stream.stalled_clients import KEEPALIVE_TIMEOUT, KeepaliveProtocol

CLIENT_MESSAGE_BYTES = 1 << 20
STRANGERS_FAULTS = frozenset(
    {"Invalid HTTP request received.", "Invalid UTF-8 sequence received from client."}
)
"""Lines of uvicorn about faults of clients, which get an answer."""
GRACE_SECONDS = 1
"""For answers that are being sent when the server ends, and for clients to answer the close."""
TICKS_A_SECOND = 10
"""Of uvicorn."""


class LimitedServer(uvicorn.Server):
    """Limits connections in all and per address, and closes those whose clients idle.

    Parameters
    ----------
    config
        Of uvicorn, from ``make_config``. The lifespan's state of its application has ``counters``
        (``ServiceCounters``) and ``strangers`` (``StrangerAllowances``).
    limits
        Of connections. Default: what the process's descriptors allow.
    is_proxy
        Returns whether an address may have any number of connections.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        limits: ConnectionLimits | None = None,
        is_proxy: Callable[[str], bool] = lambda _: False,
    ) -> None:
        super().__init__(config)
        self._limits = limits or default_limits()
        self._is_proxy = is_proxy
        self._acceptors: list[Acceptor] = []
        self.servers = []  # uvicorn's; the acceptors stand in for them

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then accept connections."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(STARTUP_FAILURE)
        self._acceptors = [
            Acceptor(
                each,
                self._make_protocol,
                self.config.ssl,
                self._limits,
                self.lifespan.state["counters"],
                self.lifespan.state["strangers"],
                self._is_proxy,
            )
            for each in sockets or []
        ]
        self.started = True

    def _make_protocol(self) -> asyncio.Protocol:
        kind: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        return kind(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def on_tick(self, counter: int) -> bool:
        """Check the connections once a second; return whether to stop."""
        if counter % TICKS_A_SECOND == 0:
            for each in self._acceptors:
                each.check()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End connections, then the application."""
        for each in self._acceptors:
            await each.close()
        await super().shutdown(sockets)
        # uvicorn leaves connections open that have unsent data, or that it accepted too late.
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # lets the aborted connections handle it


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an IP address; raises OSError.

    Clients that connect before the server is ready wait.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY on what it accepts: else the second part of
    # an answer waits 40 ms for the client to confirm the first.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform == "win32":  # there SO_REUSEADDR lets two programs use one port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def make_config(
    app: ASGIApp,
    certificate: Path | None,
    key: Path | None,
    websockets: bool = True,
    patience: float = KEEPALIVE_TIMEOUT,
) -> uvicorn.Config:
    """Configure uvicorn.

    Parameters
    ----------
    app
        The application.
    certificate, key
        Of TLS (PEM); None for HTTP.
    websockets
        Whether upgrades are allowed.
    patience
        Seconds after which a client of a WebSocket that reads nothing is disconnected.
    """
    ws: type[asyncio.Protocol] | Literal["none"] = KeepaliveProtocol if websockets else "none"
    config = uvicorn.Config(
        app,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        log_config=None,  # its events go to the program's log
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # http/proxy.py takes them, of trusted proxies alone
        lifespan="on",  # a failed start ends the process
        http=TimedHTTPProtocol,
        ws=ws,  # flow control on writes, no deprecated API
        ws_ping_interval=patience / 2,
        ws_ping_timeout=patience / 2,
        ws_max_size=CLIENT_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_for_the_log)
    return config


def _is_for_the_log(record: logging.LogRecord) -> bool:
    """Hide the WebSocket library's debug lines: their headers and frames contain tokens.

    Hide lines about requests and text that are none, too: anyone may send thousands.
    """
    if record.msg in STRANGERS_FAULTS:
        return False
    return record.levelno > logging.DEBUG or "websockets" not in Path(record.pathname).parts
