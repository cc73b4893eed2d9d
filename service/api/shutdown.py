"""Shutdown of the service in a safe order and in bounded time, even if something hangs.

Recordings end first, so that nothing later can damage a file; then sessions, while their
subscribers are still connected to be notified; then the server.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor

from mimamba.service.recordings.recordings import Recordings
from mimamba.service.sessions.registry import SessionRegistry
from mimamba.service.sessions.remote_sources import RemoteSources

log = logging.getLogger(__name__)

RECORDINGS_SECONDS = 3.0
"""For writing footers; a disk that takes longer does not respond any more."""
SESSIONS_SECONDS = 5.5
"""From the start of the shutdown: a supervisor waits 5 s for a driver that hangs."""


class Shutdown:
    """Ends the parts of a service, once; later calls wait for the same end.

    Parameters
    ----------
    recordings, remote_sources, sessions
        Parts of the service.
    recordings_seconds, sessions_seconds
        Limits, both from the start of the shutdown.
    """

    def __init__(
        self,
        recordings: Recordings,
        remote_sources: RemoteSources,
        sessions: SessionRegistry,
        recordings_seconds: float = RECORDINGS_SECONDS,
        sessions_seconds: float = SESSIONS_SECONDS,
    ) -> None:
        self._recordings = recordings
        self._remote_sources = remote_sources
        self._sessions = sessions
        self._recordings_seconds = recordings_seconds
        self._sessions_seconds = sessions_seconds
        self._task: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        """Return when all has ended or its time is over."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        await asyncio.shield(self._task)

    async def _run(self) -> None:
        deadline = time.monotonic() + self._sessions_seconds
        log.info("the service is shutting down")
        self._sessions.ending = True
        # A thread of its own: those of the loop's pool may all wait for a device that hangs.
        pool = ThreadPoolExecutor(1, "shutdown")
        recordings = asyncio.get_running_loop().run_in_executor(pool, self._recordings.close)
        if not await _ends(recordings, self._recordings_seconds):
            log.error("recordings could not be closed: the disk does not respond")
        pool.shutdown(wait=False)
        await _ends(self._remote_sources.close(), 1.0)
        for name in await self._sessions.close_all(deadline - time.monotonic()):
            log.error("a session did not end: its source does not respond", extra={"session": name})


async def _ends(awaited: Awaitable[None], seconds: float) -> bool:
    """Wait for an end and return True; False if it takes longer, when it is left behind."""
    task = asyncio.ensure_future(awaited)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    for each in done:
        each.result()
    return bool(done)
