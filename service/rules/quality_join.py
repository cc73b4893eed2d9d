"""Band power joined with the quality of the same window."""

from __future__ import annotations

from mimamba.models.signal.measures import BandPower, Quality
from mimamba.service.logs.epoch_logs import EpochLogs

MOST_WINDOWS = 2048
"""Windows whose quality is kept for their bands: more than a log holds."""


class QualityJoin:
    """Qualities that wait for the band power of their windows, which a ``LogReader`` gives later.

    A read of the logs gives all new qualities, and then all new bands: many windows of each where
    they are measured together.
    """

    def __init__(self) -> None:
        self._logs: EpochLogs | None = None
        self._waiting: dict[int, Quality] = {}

    def add(self, quality: Quality, logs: EpochLogs) -> None:
        """Keep the next quality of an epoch's logs until the bands of its window come."""
        if logs is not self._logs:  # the samples of another epoch have the same numbers
            self._logs = logs
            self._waiting.clear()
        self._waiting[quality.index] = quality
        if len(self._waiting) > MOST_WINDOWS:
            del self._waiting[next(iter(self._waiting))]

    def take(self, bands: BandPower, logs: EpochLogs) -> Quality | None:
        """Return the quality of the bands' window; None if nothing could be judged in it."""
        if logs is not self._logs:
            return None
        while self._waiting and (oldest := next(iter(self._waiting))) <= bands.index:
            quality = self._waiting.pop(oldest)
            if oldest == bands.index:
                return quality
        return None
