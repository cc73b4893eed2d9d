"""Markers that wait for their sample."""

from __future__ import annotations

import math
import threading

import numpy as np

from mimamba.drivers.driver import Marker, StreamInfo
from mimamba.drivers.lsl.markers import MAX_WAITING, ReceivedMarker
from mimamba.drivers.timing.clock import local_clock
from mimamba.service.logs.log import SignalLog

MAX_DELAY = 2.0
"""Seconds that a marker's sample may be late: after them a live link counts as lost."""


class PendingMarkers:
    """Markers that wait for their sample, as one that was set just now does for some ms.

    A marker with a late sample is placed without it: in a live stream at the index that the sample
    would have at the nominal rate, in a recording at the newest sample. So is the first one if more
    than ``MAX_WAITING`` wait. All methods may be called from any thread.

    Parameters
    ----------
    max_delay
        Seconds that a sample may be late; inf lets a marker wait until ``place`` is called for it.

    Attributes
    ----------
    lock
        Held while markers are added or placed.
    """

    def __init__(self, max_delay: float = MAX_DELAY) -> None:
        self._max_delay = max_delay
        self._waiting: list[ReceivedMarker] = []
        self.lock = threading.RLock()

    @property
    def any_wait(self) -> bool:
        """True while any marker waits."""
        return bool(self._waiting)

    def add(self, marker: ReceivedMarker) -> None:
        """Add a marker of any time."""
        with self.lock:
            self._waiting.append(marker)

    def waiting(self) -> tuple[ReceivedMarker, ...]:
        """Return the markers that wait."""
        with self.lock:
            return tuple(self._waiting)

    def place(self, log: SignalLog, info: StreamInfo, late: bool = False) -> list[Marker]:
        """Return the markers that need not wait any more, by time; each is returned once.

        With ``late`` none waits any more.
        """
        if not self._waiting:
            return []
        due = self._take_due(log, info.sfreq, late)
        if not due:
            return []
        if log.newest is None:
            indices = [0] * len(due)
        elif log.oldest == log.next:  # a session continued here, and its signal is elsewhere
            newest, stamp = log.newest
            indices = [newest + round((each.timestamp - stamp) * info.sfreq) for each in due]
        else:
            times = np.array([each.timestamp for each in due])
            indices = log.index_at(times).tolist()
            if info.live:
                newest, stamp = log.newest
                ahead = np.rint((times - stamp) * info.sfreq).astype(int).tolist()
                indices = [newest + a if a > 0 else i for i, a in zip(indices, ahead, strict=True)]
        return [
            Marker(each.timestamp, index, each.label, each.source)
            for each, index in zip(due, indices, strict=True)
        ]

    def _take_due(self, log: SignalLog, sfreq: float, late: bool) -> list[ReceivedMarker]:
        there = log.newest[1] + 0.5 / sfreq if log.newest else -math.inf
        there = math.inf if late else max(there, local_clock() - self._max_delay)
        with self.lock:
            waiting = sorted(self._waiting, key=lambda each: each.timestamp)
            many = max(0, len(waiting) - MAX_WAITING)
            due = [each for n, each in enumerate(waiting) if each.timestamp <= there or n < many]
            self._waiting = waiting[len(due) :]
            return due
