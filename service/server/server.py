"""The running server: uvicorn's, with an end in good order."""

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
"""After a signal, for everything. What still hangs then is left to the operating system."""


class Server(uvicorn.Server):
    """Ends recordings and sessions first, while subscribers, whom uvicorn would drop, are there.

    A first signal begins the end; those after it change nothing. With uvicorn a second Ctrl+C
    would leave recordings without their footers.

    Parameters
    ----------
    config
        How uvicorn runs it.
    app
        The service.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Recordings, sessions, connections, in this order."""
        await self._app.state.running.end()
        await self._stop_accepting()
        await super().shutdown(sockets)
        # uvicorn leaves open whoever does not read what is still to be sent, and who came so late
        # that it did not see them.
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # in which they are told so

    async def _stop_accepting(self) -> None:
        """Accept nobody more, and let those just accepted become connections.

        A transport made after its server was closed fails on the way in CPython, which leaves its
        socket open and tells nobody. Windows' event loop makes it at once, and has no readers.
        """
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError):
            for listener in (each for server in self.servers for each in server.sockets):
                loop.remove_reader(listener)
        for _ in range(2):  # its transport, then its protocol
            await asyncio.sleep(0)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """On a signal, in the main thread."""
        if self._captured_signals:
            return
        super().handle_exit(sig, frame)
        last = threading.Timer(LAST_SECONDS, _give_up, (sig,))
        last.daemon = True
        last.start()


def _give_up(sig: int) -> None:
    """End the process although something hangs: files are whole by now, or never will be."""
    try:
        for thread in threading.enumerate():
            if not thread.daemon and thread is not threading.main_thread():
                log.error("a thread did not end", extra={"worker": thread.name})
        sys.stderr.flush()
    finally:
        os._exit(128 + sig)
