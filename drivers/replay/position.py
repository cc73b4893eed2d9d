"""Positions in a recording: a sample's index with lost samples counted, divided by sfreq, s."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mimamba.drivers.driver import Marker
from mimamba.drivers.errors import BadPlayback, BadSource
from mimamba.drivers.formats.recording import Recording
from mimamba.drivers.url import SourceURL

MAX_POSITION = 1e9
"""Largest plausible position, s."""


@dataclass(frozen=True)
class StartPosition:
    """Start of playback: ``start``, s, or the ``nth`` marker with a label."""

    start: float
    marker: str | None
    nth: int

    @classmethod
    def from_url(cls, source: SourceURL) -> StartPosition:
        """Read ``start``, or ``marker`` and ``nth``, from a source's URL; raises BadSource."""
        marker = source.text("marker")
        other = "start" if marker is not None else "nth"
        if source.text(other) is not None:
            raise BadSource("start, or marker and nth", f"{other} as well", f"remove {other}")
        start = source.number("start", 0.0, 0.0, MAX_POSITION)
        return cls(start, marker, source.integer("nth", 1, 1, 10**6))

    def position(self, recording: Recording) -> int:
        """Return the index of the start; raises BadPlayback if the recording does not have it."""
        start, sfreq = self.start, recording.info.sfreq
        if self.marker is not None:
            start = find_marker(markers_by_position(recording), self.marker, self.nth)
        if start * sfreq > recording.end:
            found = f"only {recording.end / sfreq:g} s in {recording.info.source_id}"
            raise BadPlayback(f"a start at {start:g} s", found, "start earlier")
        return round(start * sfreq)


def markers_by_position(recording: Recording) -> tuple[Marker, ...]:
    """Return the markers, each with its position, s, as its timestamp."""
    sfreq = recording.info.sfreq
    return tuple(replace(each, timestamp=each.index / sfreq) for each in recording.markers)


def find_marker(markers: Sequence[Marker], label: str, nth: int = 1) -> float:
    """Return the position of the nth marker with a label, s.

    ``markers`` are those of ``Seekable.markers``.

    Raises
    ------
    BadPlayback
        If there is none.
    """
    found = [marker.timestamp for marker in markers if marker.label == label]
    if len(found) >= nth:
        return found[nth - 1]
    labels = Counter(marker.label for marker in markers)
    known = ", ".join(f"{n} of {each!r}" for each, n in labels.most_common(8)) or "no marker"
    raise BadPlayback(f"marker {label!r}, number {nth}", known, "choose one of these")


def timestamp_at(recording: Recording, position: int) -> float:
    """Return the file's time of the first sample at or after an index, or of the end."""
    row = int(np.searchsorted(recording.index, position))
    if row == recording.n_times:
        return float(recording.timestamps[-1]) + 1 / recording.info.sfreq
    return float(recording.timestamps[row])
