"""Markers that programs set in a running session, on their way to the sample of their time."""

from __future__ import annotations

import math
import threading

import numpy as np

from mimamba.drivers.driver import Marker, StreamInfo
from mimamba.drivers.lsl.markers import MOST, ReceivedMarker
from mimamba.drivers.timing.clock import local_clock
from mimamba.service.sessions.log import SignalLog

MAX_DELAY = 2.0
"""Seconds that a marker's sample may be late: after them a live link counts as lost."""


class PendingMarkers:
    """Markers that wait for their sample, as one that was set just now does for some ms.

    One whose sample does not come in time is placed all the same: in a live stream where its
    sample would be at the nominal rate, in a recording at the newest sample. So is the first one
    where more than ``MOST`` wait. All may be called from any thread.

    Attributes
    ----------
    lock
        Who holds it keeps any from being added or given.
    """

    def __init__(self) -> None:
        self._waiting: list[ReceivedMarker] = []
        self.lock = threading.RLock()

    def add(self, heard: ReceivedMarker) -> None:
        """One more, of any time."""
        with self.lock:
            self._waiting.append(heard)

    def place(self, log: SignalLog, info: StreamInfo) -> list[Marker]:
        """Those that need not wait any more, in order of their time; each is given once."""
        if not self._waiting:
            return []
        due = self._take_due(log, info.sfreq)
        if not due:
            return []
        if log.newest is None:
            indices = [0] * len(due)
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

    def _take_due(self, log: SignalLog, sfreq: float) -> list[ReceivedMarker]:
        there = log.newest[1] + 0.5 / sfreq if log.newest else -math.inf
        there = max(there, local_clock() - MAX_DELAY)
        with self.lock:
            waiting = sorted(self._waiting, key=lambda each: each.timestamp)
            many = max(0, len(waiting) - MOST)
            due = [each for n, each in enumerate(waiting) if each.timestamp <= there or n < many]
            self._waiting = waiting[len(due) :]
            return due
