"""Good electrodes before a study: all must be good for some seconds in a row, as on the page."""

from __future__ import annotations

from collections.abc import Sequence

from mimamba.models.signal.measures import Quality

GOOD_SECONDS = 10.0
"""Seconds in a row for which all electrodes must be good."""
GOOD_SCORE = 0.7
"""Score from which an electrode is good."""
LONGEST_STEP = 2.5
"""Longest time between two measurements that follow each other, s."""


class ContactCount:
    """Seconds in a row for which all electrodes were good, from one measurement to the next.

    Parameters
    ----------
    channels
        Channels of the electrodes.

    Attributes
    ----------
    seconds
        Seconds so far.
    reason
        Electrode that is not good now, in words; None if all are.
    """

    def __init__(self, channels: Sequence[str]) -> None:
        self._channels = channels
        self._since: float | None = None
        self._last: float | None = None
        self.seconds = 0.0
        self.reason: str | None = "the electrodes are not measured yet"

    def add(self, quality: Quality) -> None:
        """Take the next measurement. One that is late, or a clock that steps, begins again."""
        at, last = quality.timestamp, self._last
        follows = last is not None and 0 <= at - last < LONGEST_STEP
        self._last = at
        self.reason = self._bad(quality)
        if self.reason is not None or not self._channels:
            self._since = None
        elif self._since is None or not follows:
            self._since = at
        self.seconds = 0.0 if self._since is None else at - self._since

    def _bad(self, quality: Quality) -> str | None:
        for channel in self._channels:
            measured = quality.channels.get(channel)
            if measured is None:
                return f"{channel} is not measured"
            if measured.score < GOOD_SCORE:
                return f"{channel}: {measured.reason or 'poor signal'}"
        return None
