"""uvicorn's server with limits for connections and an orderly shutdown."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE

from mimamba.service.server.acceptor import Acceptor, ConnectionLimits, default_limits

log = logging.getLogger(__name__)

TICKS_A_SECOND = 10
"""Of uvicorn."""
LAST_SECONDS = 7.2
"""After a signal, for the whole shutdown; then the process exits, even if something hangs."""


class Server(uvicorn.Server):
    """Limits connections; ends recordings and sessions before those of subscribers.

    The first signal starts the shutdown; later ones have no effect. With uvicorn alone a second
    Ctrl+C would leave recordings without their footers.

    Parameters
    ----------
    config
        Of uvicorn.
    app
        The service.
    limits
        Of connections. Default: what the process's descriptors allow.
    is_proxy
        Returns whether an address may have any number of connections.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        app: FastAPI,
        limits: ConnectionLimits | None = None,
        is_proxy: Callable[[str], bool] = lambda _: False,
    ) -> None:
        super().__init__(config)
        self._app = app
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
                self._app.state.running.hub.counters,
                self._app.state.strangers,
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
        """End recordings, sessions, connections, in this order."""
        await self._app.state.running.shutdown()
        for each in self._acceptors:
            await each.close()
        await super().shutdown(sockets)
        # uvicorn leaves connections open that have unsent data, or that it accepted too late.
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # lets the aborted connections handle it

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal, in the main thread."""
        if self._captured_signals:
            return
        super().handle_exit(sig, frame)
        last = threading.Timer(LAST_SECONDS, _give_up, (sig,))
        last.daemon = True
        last.start()


def _give_up(sig: int) -> None:
    """Exit although something hangs: files are complete by now, or never will be."""
    try:
        for thread in threading.enumerate():
            if not thread.daemon and thread is not threading.main_thread():
                log.error("a thread did not end", extra={"worker": thread.name})
        sys.stderr.flush()
    finally:
        os._exit(128 + sig)
