"""Recordings that have values of a quantity: those of a sham are chosen among them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mimamba.service.feedback.feedback_runs import BadFeedback
from mimamba.service.feedback.sham_course import LEAST_SECONDS
from mimamba.service.feedback.wanted_feedback import QUANTITY
from mimamba.service.recordings.file_facts import SearchedFiles, stream_labels
from mimamba.service.recordings.recordings import NoRecording, RecordingRefused, Recordings
from mimamba.service.recordings.sidecar import RecordingInfo
from mimamba.service.rules.recorded_values import is_recorded
from mimamba.service.rules.rule_file import Watched, watched_quantity

NOT_WHOLE: Final = ("recording", "unfinished", "damaged")
"""States of recordings that a sham does not show."""


@dataclass(frozen=True)
class ShamRecording:
    """A recording that a sham may show.

    Parameters
    ----------
    name, title, person, started
        As in the list of recordings.
    seconds
        Length of the signal; None if the file does not state it.
    """

    name: str
    title: str | None
    person: str | None
    started: str | None
    seconds: float | None


class ShamRecordings:
    """The recordings that shams may show; runs on the event loop.

    Parameters
    ----------
    recordings
        All recordings.
    """

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings
        self._searching = asyncio.Lock()
        self._searched = SearchedFiles(stream_labels)

    async def find(self, quantity: str) -> list[ShamRecording]:
        """Find the finished recordings with values of a quantity, the newest first.

        Those that are known to be shorter than ``LEAST_SECONDS`` are left out. Each file is
        searched once until it changes, for one request at a time: others wait for the result.

        Raises
        ------
        BadFeedback
            If the quantity is none that feedback can follow.
        """
        watched = watched_quantity(quantity)
        if watched is None or watched.kind == "link":
            raise BadFeedback(f"a quantity, {QUANTITY}", repr(quantity), "name one of these")
        async with self._searching:
            return await asyncio.to_thread(self._search, watched)

    def _search(self, watched: Watched) -> list[ShamRecording]:
        found, every = [], self._recordings.all()
        self._searched.forget_all_but({each.name for each in every})
        for each in every:
            short = each.seconds is not None and each.seconds < LEAST_SECONDS
            if each.state not in NOT_WHOLE and not short and is_recorded(watched, self._of(each)):
                facts = each.name, each.title, each.person, each.started, each.seconds
                found.append(ShamRecording(*facts))
        return found

    def _of(self, recording: RecordingInfo) -> Mapping[str, frozenset[str]]:
        """Return the labels of a recording; none if it goes on, or was deleted meanwhile."""
        try:
            path = self._recordings.file(recording.name)
            return self._searched.result(path, path.stat())
        except (NoRecording, RecordingRefused, OSError):
            return {}
