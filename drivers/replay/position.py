"""Positions in a recording: a sample's index with lost samples counted; divided by sfreq, in s."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mimamba.drivers.driver import Marker
from mimamba.drivers.errors import BadPlayback, BadSource
from mimamba.drivers.formats.recording import Recording
from mimamba.drivers.url import SourceURL

LONGEST = 1e9
"""A position beyond it is in no recording, s."""


@dataclass(frozen=True)
class StartPosition:
    """Where a recording begins to play: ``start`` s, or the ``nth`` marker with a label."""

    start: float
    marker: str | None
    nth: int

    @classmethod
    def of(cls, source: SourceURL) -> StartPosition:
        """From the parameters ``start``, or ``marker`` and ``nth``; raises BadSource."""
        marker = source.text("marker")
        odd = "start" if marker is not None else "nth"
        if source.text(odd) is not None:
            raise BadSource("start, or marker and nth", f"{odd}", f"take {odd} out")
        start = source.number("start", 0.0, 0.0, LONGEST)
        return cls(start, marker, source.whole("nth", 1, 1, 10**6))

    def position(self, recording: Recording) -> int:
        """The position meant; raises BadPlayback where the recording does not have it."""
        start, sfreq = self.start, recording.info.sfreq
        if self.marker is not None:
            start = find_marker(place_markers(recording), self.marker, self.nth)
        if start * sfreq > recording.end:
            found = f"{recording.end / sfreq:g} s in {recording.info.source_id}"
            raise BadPlayback(f"to begin at {start:g} s", found, "begin earlier")
        return round(start * sfreq)


def place_markers(recording: Recording) -> tuple[Marker, ...]:
    """The markers, each with its position in s as its timestamp."""
    sfreq = recording.info.sfreq
    return tuple(replace(each, timestamp=each.index / sfreq) for each in recording.markers)


def find_marker(markers: Sequence[Marker], label: str, nth: int = 1) -> float:
    """The position of the nth marker with a label, s; ``markers`` as ``Seekable`` has them.

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
    raise BadPlayback(f"marker {label!r}, number {nth}", known, "choose one that is there")


def file_time(recording: Recording, position: int) -> float:
    """The file's time of the first sample at or after a position; at the end, that of the end."""
    row = int(np.searchsorted(recording.index, position))
    if row == recording.n_times:
        return float(recording.timestamps[-1]) + 1 / recording.info.sfreq
    return float(recording.timestamps[row])
