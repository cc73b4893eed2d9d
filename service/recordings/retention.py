"""Retention: old recordings are deleted, where a person wants that."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from mimamba.drivers.errors import UserError
from mimamba.service.recordings.recordings import Recordings
from mimamba.service.recordings.sidecar import RecordingInfo, in_utc, played_file

log = logging.getLogger(__name__)

LOOK_SECONDS = 3600.0
"""Time between two looks for recordings that are too old."""
COMPLETE = ("finished", "recovered")
"""States of recordings that may be deleted: not those of other programs, nor damaged ones."""


class Retention:
    """Deletes old recordings of a folder. Calls of ``look`` block on the disk.

    Parameters
    ----------
    recordings
        Of the folder.
    days
        Recordings that ended longer ago are deleted.
    sources
        Returns the sources in use: a recording that one of them plays stays.
    """

    def __init__(
        self, recordings: Recordings, days: int, sources: Callable[[], Iterable[str]]
    ) -> None:
        self._recordings = recordings
        self._age = timedelta(days=days)
        self._sources = sources

    async def run(self) -> None:
        """Look every hour, until it is cancelled."""
        while True:
            try:
                await asyncio.to_thread(self.look, datetime.now(UTC))
            except OSError as error:
                log.warning("old recordings cannot be listed", extra={"reason": str(error)})
            await asyncio.sleep(LOOK_SECONDS)

    def look(self, now: datetime) -> list[str]:
        """Delete what is too old, and return the names; raises OSError.

        Each is in the log. One that cannot be deleted is, too, and the others go all the same.
        """
        played = {path.resolve() for path in map(played_file, self._sources()) if path}
        deleted = []
        for each in self._recordings.all():
            ended = _ended(each)
            if ended is None or now - ended <= self._age:
                continue
            try:
                if self._recordings.file(each.name).resolve() in played:
                    continue
                self._recordings.delete(each.name, each.name)
            except (OSError, UserError) as error:  # in use, or deleted meanwhile
                log.warning(
                    "an old recording cannot be deleted",
                    extra={"recording": each.name, "reason": str(error)},
                )
                continue
            log.warning(
                "recording deleted, older than --keep",
                extra={"recording": each.name, "ended": ended.isoformat(timespec="seconds")},
            )
            deleted.append(each.name)
        return deleted


def _ended(recording: RecordingInfo) -> datetime | None:
    """Return when a complete recording ended; None for others, and where that is not known."""
    if recording.state not in COMPLETE:
        return None
    try:
        if recording.ended is not None:
            return in_utc(recording.ended)
        if recording.started is None or recording.seconds is None:
            return None
        return in_utc(recording.started) + timedelta(seconds=recording.seconds)
    except ValueError:  # changed by hand
        return None
