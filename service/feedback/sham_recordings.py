"""Recordings that have values of a quantity: those of a sham are chosen among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from mimamba.service.feedback.feedback_runs import BadFeedback
from mimamba.service.feedback.sham_course import LEAST_SECONDS
from mimamba.service.feedback.wanted_feedback import QUANTITY
from mimamba.service.recordings.file_facts import stream_labels
from mimamba.service.recordings.recordings import NoRecording, RecordingRefused, Recordings
from mimamba.service.rules.recorded_values import is_recorded
from mimamba.service.rules.rule_file import watched_quantity

KEPT: Final = 1000
"""Recordings whose labels are kept, so that each is searched once."""
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


def list_sham_recordings(recordings: Recordings, quantity: str) -> list[ShamRecording]:
    """List the finished recordings with values of a quantity, the newest first; blocks on the disk.

    Those that are known to be shorter than ``LEAST_SECONDS`` are left out.

    Raises
    ------
    BadFeedback
        If the quantity is none that feedback can follow.
    """
    watched = watched_quantity(quantity)
    if watched is None or watched.kind == "link":
        raise BadFeedback(f"a quantity, {QUANTITY}", repr(quantity), "name one of these")
    found = []
    for each in recordings.all():
        if each.state in NOT_WHOLE or (each.seconds is not None and each.seconds < LEAST_SECONDS):
            continue
        try:
            path = recordings.file(each.name)
            labels = _labels(path, each.bytes, path.stat().st_mtime_ns)
        except (NoRecording, RecordingRefused, OSError):  # it goes on, or was deleted meanwhile
            continue
        if is_recorded(watched, labels):
            facts = each.name, each.title, each.person, each.started, each.seconds
            found.append(ShamRecording(*facts))
    return found


@lru_cache(maxsize=KEPT)
def _labels(path: Path, _size: int, _changed: int) -> Mapping[str, frozenset[str]]:
    """Return the labels of a file; its size and time of change tell if it is the same file."""
    return stream_labels(path)
