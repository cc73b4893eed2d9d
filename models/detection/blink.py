"""Blinks from the electrodes of the forehead, sample by sample.

The lid moves the eye's dipole: a blink is a wave of 0.1 to 0.4 s, largest above the eyes and alike
on both sides. The two sides' mean is filtered, and a blink is a peak that rises far above what is
usual, with the width of a blink, and in both electrodes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

import numpy as np
from numpy.typing import NDArray

from mimamba.models.detection.band_filter import BandFilter, BandFilterState

BAND = (1.5, 10.0)
"""Hz."""
LEAST_UV = 35.0
"""Lowest peak, µV."""
USUAL = 5.5
"""Multiple of the usual absolute value that a peak must reach."""
CLIP = 3.0
"""Multiple of the usual value above which a sample counts no more for it."""
RISE_SECONDS, FALL_SECONDS = 10.0, 5.0
"""Memory of the usual value while it rises and while it falls, s: blinks should not raise it."""
SETTLE_SECONDS = 2.0
"""Time after a start or a gap without an event, s: the filter's transient."""
WIDTH_SECONDS = (0.04, 0.4)
"""Width at half the peak, s."""
SHARE = 0.4
"""Least share of the mean's peak that each electrode has."""
SAME_SECONDS = 0.18
"""Least time from one blink to the next, s."""
ECHO_SECONDS, ECHO_SHARE = 1.2, 0.5
"""Time after a blink, s, in which a peak that is lower than this share of it, or of the other sign,
is an echo of the filter."""


@dataclass(frozen=True)
class Peak:
    """A peak that is not over yet: its start and top, with the electrodes' values there."""

    start: int
    at: int
    value: float
    sides: tuple[float, ...]


@dataclass(frozen=True)
class BlinkMemory:
    """State of a ``BlinkDetector``, but for its filter's.

    Parameters
    ----------
    seen
        Samples so far.
    usual
        Usual absolute value, µV.
    peak
        The peak that is not over.
    last, height
        Place and height of the newest blink; ``last`` is None before the first one.
    """

    seen: int = 0
    usual: float = LEAST_UV / USUAL
    peak: Peak | None = None
    last: int | None = None
    height: float = 1.0


class BlinkDetector:
    """Detector of blinks in one or more electrodes of the forehead.

    The result does not depend on how the samples are split over calls.

    Parameters
    ----------
    sfreq
        Hz.
    n_channels
        Number of electrodes.
    """

    def __init__(self, sfreq: float, n_channels: int) -> None:
        self._sfreq = sfreq
        self._filter = BandFilter(2, BAND, sfreq, n_channels)
        self._seen = 0
        self._usual = LEAST_UV / USUAL
        self._peak: Peak | None = None
        self._last: int | None = None
        self._height = 1.0

    @property
    def state(self) -> tuple[BandFilterState, BlinkMemory]:
        """Complete state; set it to continue from there."""
        memory = BlinkMemory(self._seen, self._usual, self._peak, self._last, self._height)
        return self._filter.state, memory

    @state.setter
    def state(self, state: tuple[BandFilterState, BlinkMemory]) -> None:
        self._filter.state, memory = state
        self._seen, self._usual, self._peak = memory.seen, memory.usual, memory.peak
        self._last, self._height = memory.last, memory.height

    def push(self, samples: NDArray[np.float64]) -> list[int]:
        """Return the places of the blinks that are over by now, counted from the first sample.

        Parameters
        ----------
        samples
            (n_times, n_channels), µV, without a gap.
        """
        found = []
        for sides in self._filter.push(samples).tolist():
            blink = self._step(sum(sides) / len(sides), sides)
            if blink is not None:
                found.append(blink)
        return found

    def _step(self, value: float, sides: list[float]) -> int | None:
        at, size = self._seen, abs(value)
        self._seen += 1
        found = None
        if self._peak is not None:
            if value * self._peak.value > 0 and size > abs(self._peak.value):
                self._peak = replace(self._peak, at=at, value=value, sides=tuple(sides))
            elif value * self._peak.value <= 0 or size < abs(self._peak.value) / 2:
                peak, self._peak = self._peak, None
                found = peak.at if self._is_blink(peak, at) else None
        elif size > max(LEAST_UV, USUAL * self._usual):
            self._peak = Peak(at, at, value, tuple(sides))
        usual = size if self._seen < self._sfreq else min(size, CLIP * self._usual)
        memory = RISE_SECONDS if usual > self._usual else FALL_SECONDS
        self._usual += max(1 / self._seen, 1 / (memory * self._sfreq)) * (usual - self._usual)
        return found

    def _is_blink(self, peak: Peak, end: int) -> bool:
        since = inf if self._last is None else (peak.at - self._last) / self._sfreq
        echo = since < ECHO_SECONDS and peak.value / self._height < ECHO_SHARE
        width = (end - peak.start) / self._sfreq
        alike = all(side / peak.value >= SHARE for side in peak.sides)
        if echo or since < SAME_SECONDS or peak.at < SETTLE_SECONDS * self._sfreq:
            return False
        if not (WIDTH_SECONDS[0] <= width <= WIDTH_SECONDS[1] and alike):
            return False
        self._last, self._height = peak.at, peak.value
        return True
