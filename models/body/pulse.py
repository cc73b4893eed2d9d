"""Heart rate from a pulse sensor (PPG), with a confidence of its own.

Once a second, each channel's last ten seconds are band-passed to 0.5 to 5 Hz. The period is the
first high peak of their autocorrelation. The beats are found as peaks of the signal itself. The
confidence is the height of the autocorrelation at the period, times the share of the beats that
lie one period apart: noise has neither, and a single movement has no second beat. Both must agree
for a rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from mimamba.drivers.driver import AuxiliaryChunk, Samples, Seconds
from mimamba.models.body.heart_rate import HeartRate, HeartReason

WINDOW_SECONDS = 10.0
"""Signal that a rate is computed from: at least six beats."""
EDGES = (0.5, 5.0)
"""Hz: 30 beats per minute, and the harmonics that give a beat its shape."""
SLOWEST, FASTEST = 35.0, 200.0
"""Beats per minute."""
MOST_MISSING = 0.2
"""Share of the window that may be missing; it is bridged by lines."""
FIRST_PEAK = 0.85
"""Height of a peak of the autocorrelation, of the highest one's, that counts as the period: the
later ones are its multiples."""
TOLERANCE = 0.2
"""Difference of an interval between beats from the period, as a share of it: breathing changes a
resting heart's intervals by up to 15 %."""
MIN_CONFIDENCE = 0.6
"""Below it there is no rate. Of 1,000 windows of noise in three channels none reached it; with as
much white noise as pulse, nine in ten of a pulse's windows do."""

Channel: TypeAlias = NDArray[np.float64]
"""(n_times,)."""
Channels: TypeAlias = NDArray[np.float64]
"""(n_channels, n_times)."""


@dataclass(frozen=True)
class _Estimate:
    """A channel's rate in beats per minute, and its confidence."""

    rate: float
    confidence: float


@dataclass(frozen=True, eq=False)
class PulseState:
    """State of a ``PulseMeter``, whose array is never modified.

    Parameters
    ----------
    start, end
        Indices of the first sample ever, and after the newest one.
    rows
        (n_times, n_channels) float32, the newest samples, NaN where one is lost.
    newest
        Time of the newest sample, s.
    """

    start: int
    end: int
    rows: Samples
    newest: float


class PulseMeter:
    """Heart rate of one pulse sensor; the result does not depend on the chunks' borders.

    Parameters
    ----------
    sfreq
        Nominal sampling frequency, Hz.
    n_channels
        Number of channels.
    """

    def __init__(self, sfreq: float, n_channels: int) -> None:
        self._sfreq = sfreq
        self._step = max(1, round(sfreq))
        self._length = round(WINDOW_SECONDS * sfreq)
        self._filter = signal.butter(2, EDGES, "bandpass", fs=sfreq, output="sos")
        self._start = 0  # index of the first sample ever
        self._end = 0  # index after the newest sample
        self._rows = np.zeros((0, n_channels), np.float32)  # up to it, NaN where one is lost
        self._newest = 0.0  # time of the newest sample, s

    @property
    def state(self) -> PulseState:
        """Complete state between two chunks; set it to continue from there."""
        return PulseState(self._start, self._end, self._rows, self._newest)

    @state.setter
    def state(self, state: PulseState) -> None:
        self._start, self._end = state.start, state.end
        self._rows, self._newest = state.rows, state.newest

    def feed(self, chunk: AuxiliaryChunk) -> list[HeartRate]:
        """Process the next samples; return a rate for each second that they complete.

        Samples from before the last one are left out. Of the seconds whose end is lost, the last
        one before these samples has a rate.
        """
        data, stamps, first = chunk.data, chunk.timestamps, chunk.first
        if not len(self._rows):
            self._start = self._end = first
        late = max(0, self._end - first)
        data, stamps, first = data[late:], stamps[late:], first + late
        found: list[HeartRate] = []
        second = first - (first - self._start) % self._step
        if len(data) and second > self._end:
            self._skip_to(second)
            found.append(self._measure())
        while len(data):
            at = first - self._start
            # Up to the end of this second, so that the window is that of any other chunks.
            count = min(len(data), self._step - at % self._step)
            self._append(data[:count], stamps[:count], first)
            if (at + count) % self._step == 0:
                found.append(self._measure())
            data, stamps, first = data[count:], stamps[count:], first + count
        return found

    def _append(self, data: Samples, stamps: Seconds, first: int) -> None:
        self._skip_to(first)
        self._rows = np.concatenate([self._rows, data])[-self._length :]
        self._newest = float(stamps[-1])
        self._end = first + len(data)

    def _skip_to(self, first: int) -> None:
        """Note that the samples before this index are lost."""
        lost = first - self._end
        if not lost:
            return
        gap = np.full((min(lost, self._length), self._rows.shape[1]), np.nan, np.float32)
        self._rows = np.concatenate([self._rows, gap])[-self._length :]
        self._newest += lost / self._sfreq
        self._end = first

    def _measure(self) -> HeartRate:
        index, timestamp = self._end - 1, self._newest

        def none(reason: HeartReason, confidence: float = 0.0) -> HeartRate:
            return HeartRate(index, timestamp, None, confidence, reason)

        if self._end - self._start < self._length:
            return none("too little signal")
        whole = np.isnan(self._rows).mean(axis=0) <= MOST_MISSING
        if not whole.any():
            return none("samples are missing")
        best = self._estimate(self._rows[:, whole].T.astype(np.float64))
        confidence = round(best.confidence, 3)
        if confidence < MIN_CONFIDENCE:
            return none("no clear pulse", confidence)
        return HeartRate(index, timestamp, round(best.rate, 1), confidence, None)

    def _estimate(self, rows: Channels) -> _Estimate:
        """Return the estimate of the best of (n_channels, n_times)."""
        rows = np.stack([bridge(row) for row in rows])
        rows = rows[np.ptp(rows, axis=1) > 0]
        best = _Estimate(0.0, 0.0)
        if not len(rows):
            return best
        levels = signal.sosfiltfilt(self._filter, rows - rows.mean(axis=1, keepdims=True))
        levels /= levels.std(axis=1, keepdims=True)
        found = [
            (find_period(each, self._sfreq), level)
            for each, level in zip(autocorrelate(levels), levels, strict=True)
        ]
        for (height, period), level in sorted(found, key=lambda each: -each[0][0]):
            if height <= best.confidence:  # no share can make it the best
                break
            confidence = min(height, 1.0) * beat_share(level, period, self._sfreq)
            if confidence > best.confidence:
                best = _Estimate(60 / period, confidence)
        return best


def bridge(row: Channel) -> Channel:
    """Replace missing values of (n_times,) by lines between their neighbours."""
    there = np.isfinite(row)
    if there.all():
        return row
    at = np.arange(len(row))
    bridged: Channel = np.interp(at, at[there], row[there])
    return bridged


def autocorrelate(levels: Channels) -> Channels:
    """Return the autocorrelation of (n_channels, n_times) at lags from 0, 1 at lag 0."""
    n = levels.shape[1]
    spectra = np.fft.rfft(levels, 2 * n)
    sums = np.fft.irfft(np.abs(spectra) ** 2)[:, :n]
    shares: Channels = sums / sums[:, :1] * n / (n - np.arange(n))
    return shares


def find_period(shares: Channel, sfreq: float) -> tuple[float, float]:
    """Return the height of an autocorrelation at the period, and the period, s; 0 for none."""
    low, high = int(60 / FASTEST * sfreq), ceil(60 / SLOWEST * sfreq) + 1
    within = shares[low - 1 : high + 1]
    peaks = np.flatnonzero((within[1:-1] > within[:-2]) & (within[1:-1] >= within[2:])) + low
    if not len(peaks) or shares[peaks].max() <= 0:
        return 0.0, 0.0
    at = int(peaks[np.argmax(shares[peaks] >= FIRST_PEAK * shares[peaks].max())])
    left, middle, right = shares[at - 1 : at + 2]
    shift = (left - right) / (2 * (left - 2 * middle + right))  # of a parabola through the three
    return float(middle), (at + float(shift)) / sfreq


def beat_share(level: Channel, period: float, sfreq: float) -> float:
    """Return the share of the beats that should be there, one period apart from the one before."""
    shares = []
    for turned in (level, -level):  # light that is absorbed or reflected
        beats, _ = signal.find_peaks(
            turned, distance=max(1, int(0.6 * period * sfreq)), prominence=0.5
        )
        intervals = np.diff(beats) / sfreq
        alike = np.abs(intervals / period - 1) <= TOLERANCE
        expected = max(1.0, len(level) / sfreq / period - 1)
        shares.append(min(float(alike.sum()) / expected, 1.0))
    return max(shares)
