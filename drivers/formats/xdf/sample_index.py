"""Each sample's exact index, where mimamba has recorded the file.

Such a file's signal says in its header with which index it begins (``desc/mimamba/first``), and
its stream ``link`` holds one JSON object per event; those that have ``first`` and ``lost`` say that
so many samples from that index on are not in the file. So stamps need not be asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

SIGNAL: Final = "signal"
PREDICTIONS: Final = "predictions"
QUALITY: Final = "quality"
BANDS: Final = "bands"
LINK: Final = "link"
"""What ``desc/mimamba/topic`` says of a stream that mimamba has written."""
TOPIC: Final = "desc/mimamba/topic"
FIRST: Final = "desc/mimamba/first"

MOST = 1 << 50
"""An index beyond it is none: 140,000 years at 256 Hz."""


def exact_index(n_times: int, first: str, events: Iterable[str]) -> NDArray[np.int64] | None:
    """The (n_times,) indices of a signal; None where the file contradicts itself.

    Parameters
    ----------
    n_times
        Samples in the file.
    first
        What the signal's header says.
    events
        The entries of the stream ``link``, in order. Losses after the last sample are left out:
        the file is cut there.
    """
    if not first.isdecimal() or len(first) > len(str(MOST)):
        return None
    shifts = np.zeros(n_times + 1, np.int64)
    expected, lost_so_far = int(first), 0
    for event_first, lost in _losses(events):
        before = event_first - int(first) - lost_so_far  # samples of the file before this loss
        if event_first < expected or not 0 < lost < MOST or event_first > MOST:
            return None
        shifts[min(before, n_times)] += lost
        expected, lost_so_far = event_first + lost, lost_so_far + lost
    index: NDArray[np.int64] = int(first) + np.arange(n_times) + np.cumsum(shifts[:n_times])
    return index


def read_events(texts: Iterable[str]) -> Iterable[dict[str, object]]:
    """The objects among the entries of the stream ``link``."""
    for text in texts:
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict):
            yield event


def _losses(texts: Iterable[str]) -> Iterable[tuple[int, int]]:
    """``first`` and ``lost`` of the events that have both."""
    for event in read_events(texts):
        first, lost = event.get("first"), event.get("lost")
        if type(first) is int and type(lost) is int:
            yield first, lost
