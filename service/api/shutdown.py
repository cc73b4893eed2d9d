"""The end of a service in good order, and in time whatever hangs.

Recordings end first, so that nothing that comes after can harm a file; then sessions, while their
subscribers are still there to be told; then the server.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor

from mimamba.service.recordings.library import Recordings
from mimamba.service.sessions.registry import SessionRegistry
from mimamba.service.sessions.remote_sources import RemoteSources

log = logging.getLogger(__name__)

RECORDINGS_WITHIN = 3.0
"""Seconds for writing footers; a disk that takes longer takes nothing any more."""
SESSIONS_WITHIN = 5.5
"""Seconds from the start of the end: a supervisor waits 5 s for a driver that hangs."""


class Shutdown:
    """Ends what a service consists of, once; whoever asks again waits for that one end.

    Parameters
    ----------
    recordings, pushes, sessions
        Of the service.
    """

    def __init__(
        self, recordings: Recordings, pushes: RemoteSources, sessions: SessionRegistry
    ) -> None:
        self._recordings = recordings
        self._pushes = pushes
        self._sessions = sessions
        self._end: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        """Returns when all has ended, or has had its time."""
        if self._end is None:
            self._end = asyncio.create_task(self._in_order())
        await asyncio.shield(self._end)

    async def _in_order(self) -> None:
        until = time.monotonic() + SESSIONS_WITHIN
        log.info("the service ends")
        self._sessions.ending = True
        # A thread of its own: those of the loop's pool may all be held by a device that hangs.
        pool = ThreadPoolExecutor(1, "end")
        recordings = asyncio.get_running_loop().run_in_executor(pool, self._recordings.close)
        if not await _ends(recordings, RECORDINGS_WITHIN):
            log.error("recordings could not be closed: the disk hangs")
        pool.shutdown(wait=False)
        await _ends(self._pushes.close(), 1.0)
        for name in await self._sessions.close_all(until - time.monotonic()):
            log.error("a session did not end: its source hangs", extra={"session": name})


async def _ends(what: Awaitable[None], within: float) -> bool:
    """Whether it ends in time; if not, it is left behind."""
    ending = asyncio.ensure_future(what)
    done, _ = await asyncio.wait({ending}, timeout=within)
    for each in done:
        each.result()
    return bool(done)
