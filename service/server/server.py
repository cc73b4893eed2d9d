"""The service's server: limits for connections and an orderly shutdown."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from mimamba.service.server.acceptor import ConnectionLimits
from mimamba.service.server.limited_server import LimitedServer

log = logging.getLogger(__name__)

LAST_SECONDS = 7.2
"""After a signal, for the whole shutdown; then the process exits, even if something hangs."""


class Server(LimitedServer):
    """Ends recordings and sessions before those of subscribers.

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
        super().__init__(config, limits, is_proxy)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End recordings, sessions, connections, in this order."""
        await self._app.state.running.shutdown()
        await super().shutdown(sockets)

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
        logging.shutdown()  # which writes what it has only counted
    finally:
        os._exit(128 + sig)
