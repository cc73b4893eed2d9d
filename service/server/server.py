"""uvicorn's server with an orderly shutdown."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import threading
from contextlib import suppress
from types import FrameType

import uvicorn
from fastapi import FastAPI

log = logging.getLogger(__name__)

LAST_SECONDS = 7.2
"""After a signal, for the whole shutdown; then the process exits, even if something hangs."""


class Server(uvicorn.Server):
    """Ends recordings and sessions first, while subscribers are still connected.

    The first signal starts the shutdown; later ones have no effect. With uvicorn alone a second
    Ctrl+C would leave recordings without their footers.

    Parameters
    ----------
    config
        Of uvicorn.
    app
        The service.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End recordings, sessions, connections, in this order."""
        await self._app.state.running.shutdown()
        await self._stop_accepting()
        await super().shutdown(sockets)
        # uvicorn leaves connections open that have unsent data, or that it accepted too late.
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # lets the aborted connections handle it

    async def _stop_accepting(self) -> None:
        """Accept no further connections, and finish those just accepted.

        In CPython, creating a transport after its server was closed fails, and silently leaves its
        socket open. Windows' event loop creates it immediately, and has no readers.
        """
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError):
            for listener in (each for server in self.servers for each in server.sockets):
                loop.remove_reader(listener)
        for _ in range(2):  # its transport, then its protocol
            await asyncio.sleep(0)

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
