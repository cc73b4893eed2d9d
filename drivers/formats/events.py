"""Events of a recording, from annotations and event tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Marker, StreamInfo
from mimamba.drivers.formats.gap_filling import parse_gap
from mimamba.drivers.formats.recording import Recording, make_recording

SKIPPED = "BAD_ACQ_SKIP"
"""MNE's label of an interval without recorded samples; ours: ``drivers.formats.gap_filling``."""


@dataclass(frozen=True)
class FileEvent:
    """An event: its onset from the first sample and its duration, s, its label and its source."""

    onset: float
    label: str
    source: str
    duration: float = 0.0


def recording_with_events(
    info: StreamInfo,
    data: NDArray[np.floating],
    index: NDArray[np.int64],
    annotations: Sequence[FileEvent],
    table: Sequence[FileEvent] | None,
) -> Recording:
    """Make the recording of an evenly sampled file, without samples that only fill a gap.

    Parameters
    ----------
    info
        Facts about the file.
    data
        (n_times, n_channels), µV.
    index
        (n_times,), position of each sample from 0.
    annotations
        Events in the file itself.
    table
        Events of a sidecar table; they replace the annotations as markers.

    Raises
    ------
    BadRecording
        If no sample is left.
    """
    keep = recorded_mask(annotations, index, info.sfreq)
    events = annotations if table is None else table
    return make_recording(
        info,
        data[keep],
        index[keep] / info.sfreq,
        index[keep],
        events_to_markers(events, index, info.sfreq),
    )


def events_to_markers(
    events: Iterable[FileEvent], index: NDArray[np.int64], sfreq: float
) -> list[Marker]:
    """Convert the events within the signal to markers at the nearest sample."""
    found = []
    for event in events:
        at = round(event.onset * sfreq)
        if 0 <= at <= int(index[-1]) and _gap_end(event, at, sfreq) is None:
            found.append(Marker(event.onset, at, event.label, event.source))
    return found


def recorded_mask(
    events: Iterable[FileEvent], index: NDArray[np.int64], sfreq: float
) -> NDArray[np.bool_]:
    """Return a mask (n_times,) that is False for samples that only fill a gap."""
    keep = np.ones(len(index), bool)
    for event in events:
        first = round(event.onset * sfreq)
        stop = _gap_end(event, first, sfreq)
        if stop is not None:
            keep &= (index < first) | (index >= stop)
    return keep


def _gap_end(event: FileEvent, first: int, sfreq: float) -> int | None:
    """Return the end of a gap that starts at ``first``; None if the event is not a gap."""
    gap = parse_gap(event.label, first)
    if gap is not None:
        return first + gap.count
    if (
        event.label == SKIPPED and event.duration > 0
    ):  # without a duration it is a marker with this name
        return round((event.onset + event.duration) * sfreq)
    return None
