"""Exact sample indices in XDF files that mimamba has recorded.

The header of such a file's signal has the first sample's index (``desc/mimamba/first``). Its stream
``link`` has one JSON object per event; an event with ``first`` and ``lost`` means that ``lost``
samples from index ``first`` on are not in the file. So stamps are not needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

SIGNAL_TOPIC: Final = "signal"
PREDICTIONS_TOPIC: Final = "predictions"
QUALITY_TOPIC: Final = "quality"
BANDS_TOPIC: Final = "bands"
HEART_TOPIC: Final = "heart"
LINK_TOPIC: Final = "link"
PERSONAL_TOPIC: Final = "personal"
SETS_TOPIC: Final = "sets"
FEEDBACK_TOPIC: Final = "feedback"
"""Values of ``desc/mimamba/topic``, the purpose of a stream that mimamba has written."""
TOPIC_PATH: Final = "desc/mimamba/topic"
LABEL_PATH: Final = "desc/channels/channel/label"
FIRST_INDEX_PATH: Final = "desc/mimamba/first"

MAX_INDEX = 1 << 50
"""Largest plausible index: 140,000 years at 256 Hz."""


def exact_index(n_times: int, first: str, events: Iterable[str]) -> NDArray[np.int64] | None:
    """Return the indices (n_times,) of a signal; None if the file contradicts itself.

    Parameters
    ----------
    n_times
        Number of samples in the file.
    first
        Text of ``desc/mimamba/first`` in the signal's header.
    events
        Entries of the stream ``link``, in order. Losses after the last sample are ignored: the
        file is cut off there.
    """
    if not first.isdecimal() or len(first) > len(str(MAX_INDEX)):
        return None
    shifts = np.zeros(n_times + 1, np.int64)
    expected, lost_so_far = int(first), 0
    for event_first, lost in _losses(events):
        before = event_first - int(first) - lost_so_far  # samples of the file before this loss
        if event_first < expected or not 0 < lost < MAX_INDEX or event_first > MAX_INDEX:
            return None
        shifts[min(before, n_times)] += lost
        expected, lost_so_far = event_first + lost, lost_so_far + lost
    index: NDArray[np.int64] = int(first) + np.arange(n_times) + np.cumsum(shifts[:n_times])
    return index


def read_events(texts: Iterable[str]) -> Iterable[dict[str, object]]:
    """Yield the objects among the entries of the stream ``link``."""
    for text in texts:
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict):
            yield event


def _losses(texts: Iterable[str]) -> Iterable[tuple[int, int]]:
    """Yield ``first`` and ``lost`` of the events that have both."""
    for event in read_events(texts):
        first, lost = event.get("first"), event.get("lost")
        if type(first) is int and type(lost) is int:
            yield first, lost
