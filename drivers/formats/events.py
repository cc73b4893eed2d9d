"""What happened during a recording, as annotations and tables of events tell it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Marker, StreamInfo
from mimamba.drivers.formats.gaps import read_gap
from mimamba.drivers.formats.recording import Recording, complete

SKIPPED = "BAD_ACQ_SKIP"
"""MNE's label for values that fill a place where nothing was recorded; ours are of
``drivers.formats.gaps``."""


@dataclass(frozen=True)
class Event:
    """Something that happened ``onset`` seconds after the first sample, for ``duration``."""

    onset: float
    label: str
    source: str
    duration: float = 0.0


def with_events(
    info: StreamInfo,
    data: NDArray[np.floating],
    index: NDArray[np.int64],
    noted: Sequence[Event],
    told: Sequence[Event] | None,
) -> Recording:
    """An evenly sampled file's recording, without the samples that only fill a gap.

    ``noted`` are the file's own events; the markers are those that a table beside it has ``told``,
    where there is one.
    """
    keep, marks = recorded(noted, index, info.sfreq), noted if told is None else told
    return complete(
        info,
        data[keep],
        index[keep] / info.sfreq,
        index[keep],
        markers(marks, index, info.sfreq),
    )


def markers(events: Iterable[Event], index: NDArray[np.int64], sfreq: float) -> list[Marker]:
    """Those that lie within the signal, each at the nearest sample."""
    found = []
    for event in events:
        at = round(event.onset * sfreq)
        if 0 <= at <= int(index[-1]) and _filled(event, at, sfreq) is None:
            found.append(Marker(event.onset, at, event.label, event.source))
    return found


def recorded(events: Iterable[Event], index: NDArray[np.int64], sfreq: float) -> NDArray[np.bool_]:
    """(n_times,): False for samples that only fill a place where nothing was recorded."""
    keep = np.ones(len(index), bool)
    for event in events:
        first = round(event.onset * sfreq)
        stop = _filled(event, first, sfreq)
        if stop is not None:
            keep &= (index < first) | (index >= stop)
    return keep


def _filled(event: Event, first: int, sfreq: float) -> int | None:
    """Up to where nothing was recorded from position ``first`` on, if the event says so."""
    gap = read_gap(event.label, first)
    if gap is not None:
        return first + gap.count
    if event.label == SKIPPED and event.duration > 0:  # one without is a marker that is called so
        return round((event.onset + event.duration) * sfreq)
    return None
