"""How strong each channel's rhythms are: power in µV² of five bands, four times a second.

An update takes 0.2 ms for 4 channels at 256 Hz and 0.7 ms for 64, on one slow core.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import isnan
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from drivers.base import Chunk, StreamInfo
from models.hops import BRIDGED, IMPOSSIBLE_UV
from models.meter import QUARTERS, RATE
from models.signal import LEAST_SAMPLES

Band: TypeAlias = Literal["delta", "theta", "alpha", "beta", "gamma"]
BANDS: Final[dict[Band, tuple[float, float]]] = {
    "delta": (1.0, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 13.0),
    "beta": (13.0, 30.0),
    "gamma": (30.0, 40.0),
}
"""Edges in Hz."""


@dataclass(frozen=True, slots=True)
class ChannelBands:
    """Power in µV² of each band; None where there is no value."""

    delta: float | None
    theta: float | None
    alpha: float | None
    beta: float | None
    gamma: float | None


@dataclass(frozen=True, eq=False)
class BandPower:
    """Every channel's band power over the 2 s up to a sample.

    Parameters
    ----------
    index
        The newest sample looked at, counted as ``Chunk.first`` is.
    timestamp
        Its time, seconds.
    ch_names
        The source's channels, in order.
    power
        (n_channels, n_bands) µV², NaN where there is no value.
    """

    index: int
    timestamp: float
    ch_names: tuple[str, ...]
    power: NDArray[np.float64]

    @property
    def channels(self) -> dict[str, ChannelBands]:
        """By name, in the source's order."""
        rows = ([None if isnan(each) else each for each in row] for row in self.power.tolist())
        return {name: ChannelBands(*row) for name, row in zip(self.ch_names, rows, strict=True)}


class BandMeter:
    """Takes a source's chunks and gives the band power of all its channels, four times a second.

    One periodogram of the newest 2 s: the straight line that fits them best is taken off (an
    electrode's offset of tens of mV and its drift would leak into delta), a periodic Hann window
    laid on, and the one-sided density integrated over each band, where a bin counts for the share
    of its width that lies in the band. A sine of amplitude a has the power a² / 2.

    What comes out is a function of the samples and their indices: update n is about the 2 s up to
    sample (n + 1) x round(sfreq / 4) - 1, and is left out where no sample came since the one
    before. Of lost and unusable samples up to 0.1 s in a row are bridged by straight lines. Where
    more are missing in a row, or 2 s are not there yet, the channel has no value (NaN); nor has a
    band that the source's rate does not hold.

    Parameters
    ----------
    info
        The source's facts.
    """

    def __init__(self, info: StreamInfo) -> None:
        self._ch_names = info.ch_names
        self._sfreq = info.sfreq
        self._step = max(LEAST_SAMPLES, round(info.sfreq / RATE))
        self._longest = int(BRIDGED * info.sfreq + 1e-6)
        n_times = QUARTERS * self._step
        taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_times) / n_times)
        self._line = np.linspace(-1.0, 1.0, n_times)
        self._taper = taper[:, np.newaxis]
        self._weights = _weights(n_times, info.sfreq) * (2 / (n_times * np.sum(taper**2)))
        self._rows = np.empty((n_times, info.n_channels))
        self._newest: tuple[int, float] | None = None  # what came since the last update
        self._begin_epoch(None)

    def feed(self, chunk: Chunk) -> list[BandPower]:
        """The updates that this chunk completes, oldest first."""
        if chunk.epoch != self._epoch:
            self._begin_epoch(chunk.epoch)
        if not chunk.n_times:
            return []
        values = chunk.data.astype(np.float64)
        values[~(np.abs(values) < IMPOSSIBLE_UV)] = np.nan
        borders = range(chunk.first + self._step - chunk.first % self._step, chunk.end, self._step)
        found: list[BandPower] = []
        for start, stop in pairwise([chunk.first, *borders, chunk.end]):
            # What came since the last update may end in a loss that only this sample shows.
            found += self._complete(start // self._step * self._step)
            part = slice(start - chunk.first, stop - chunk.first)
            self._advance(start)
            self._rows = np.concatenate([self._rows, values[part]])[stop - start :]
            self._end, self._newest = stop, (stop - 1, float(chunk.timestamps[part][-1]))
            found += self._complete(stop // self._step * self._step)
        return found

    def _begin_epoch(self, epoch: int | None) -> None:
        self._epoch = epoch
        self._rows = np.full_like(self._rows, np.nan)
        self._end = 0  # index of the sample after the last row
        self._newest = None

    def _advance(self, end: int) -> None:
        """Let the samples before ``end`` that did not come be missing."""
        lost = min(end - self._end, len(self._rows))
        if lost > 0:
            self._rows = np.concatenate(
                [self._rows[lost:], np.full_like(self._rows[:lost], np.nan)]
            )
        self._end = max(self._end, end)

    def _complete(self, border: int) -> list[BandPower]:
        """The update at this border, if samples came for it that were not told of yet."""
        if self._newest is None or self._newest[0] >= border:
            return []
        # Samples are told of at the first border after them; later ones have nothing new.
        newest, timestamp = self._newest
        end = (newest // self._step + 1) * self._step
        self._advance(end)
        self._newest = None
        timestamp += (end - 1 - newest) / self._sfreq
        return [BandPower(end - 1, timestamp, self._ch_names, self._measure())]

    def _measure(self) -> NDArray[np.float64]:
        """(n_channels, n_bands) µV² of the present rows."""
        rows, there = self._bridged()
        rows = rows - rows.mean(axis=0)
        rows = rows - np.outer(self._line, self._line @ rows / (self._line @ self._line))
        density = np.abs(np.fft.rfft(rows * self._taper, axis=0)) ** 2
        power: NDArray[np.float64] = (self._weights @ density).T
        power[~there] = np.nan
        return power

    def _bridged(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The rows without holes, and (n_channels,) whether enough was there for that."""
        missing = np.isnan(self._rows)
        there = np.ones(len(self._ch_names), np.bool_)
        if not missing.any():
            return self._rows, there
        rows, every = self._rows.copy(), np.arange(len(self._rows))
        for k in np.flatnonzero(missing.any(axis=0)):
            known = np.flatnonzero(~missing[:, k])
            holes = np.diff([-1, *known, len(rows)]) - 1
            there[k] = holes.max() <= self._longest
            rows[:, k] = np.interp(every, known, rows[known, k]) if there[k] else 0.0
        return rows, there


def _weights(n_times: int, sfreq: float) -> NDArray[np.float64]:
    """(n_bands, n_frequencies): each bin's share that lies in each band; NaN beyond sfreq / 2."""
    width = sfreq / n_times
    freqs = np.fft.rfftfreq(n_times, 1 / sfreq)
    low, high = np.array(list(BANDS.values())).T[:, :, np.newaxis]
    inside = np.minimum(freqs + width / 2, high) - np.maximum(freqs - width / 2, low)
    shares = np.clip(inside / width, 0.0, 1.0)
    return np.where(high <= sfreq / 2, shares, np.nan)
