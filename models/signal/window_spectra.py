"""Spectra of windows of 2 s, computed once for signal quality and band power."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mimamba.models.signal.sliding_window import QUARTERS, quarter_length


@dataclass(frozen=True, eq=False)
class WindowSpectra:
    """Spectra of some windows, with a periodic Hann window.

    Parameters
    ----------
    centred
        (n_windows, n_channels, n_freqs) complex transform of the windows without their mean, µV.
    slope
        (n_windows, n_channels) slope of the linear trend, µV for half of a window.
    trend
        (n_freqs,) complex transform of a trend with a slope of 1 µV.
    """

    centred: NDArray[np.complex128]
    slope: NDArray[np.float64]
    trend: NDArray[np.complex128]

    def sum_centred(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum the power in bands, as ``spread_weights`` gives them."""
        return _sum_power(self.centred[..., : len(weights) // 2], weights)

    def sum_detrended(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum the power in bands; the windows are without their linear trend here."""
        n_freqs = len(weights) // 2
        trend = self.slope[..., np.newaxis] * self.trend[:n_freqs]
        return _sum_power(self.centred[..., :n_freqs] - trend, weights)


class WindowTransform:
    """Transforms windows of 2 s at one sampling frequency, Hz."""

    def __init__(self, sfreq: float) -> None:
        self.sfreq = sfreq
        self.n_times = QUARTERS * quarter_length(sfreq)
        self._taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.n_times) / self.n_times)
        self._line = np.linspace(-1.0, 1.0, self.n_times)
        self._squared = float(self._line @ self._line)
        self._trend = np.fft.rfft(self._line * self._taper)

    @property
    def freqs(self) -> NDArray[np.float64]:
        """Frequencies, (n_freqs,) Hz."""
        return np.asarray(np.fft.rfftfreq(self.n_times, 1 / self.sfreq), np.float64)

    def __call__(self, samples: NDArray[np.float64]) -> WindowSpectra:
        """Transform windows (n_windows, n_channels, n_times), µV; each by itself, to the bit."""
        centred = samples - samples.mean(axis=-1, keepdims=True)
        slope = centred @ self._line / self._squared
        centred *= self._taper
        return WindowSpectra(np.fft.rfft(centred), slope, self._trend)

    def spread_weights(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return weights (n_bands, n_freqs) of a power density for the sums of ``WindowSpectra``.

        They are (2 n_used, n_bands), for the real and imaginary part of each frequency up to the
        highest one that is used.
        """
        used = np.max(np.flatnonzero((weights != 0).any(axis=0)), initial=0) + 1
        scale = 2 / (self.n_times * float(self._taper @ self._taper))
        return np.repeat(weights[:, :used].T * scale, 2, axis=0)


shared_transform = lru_cache(maxsize=64)(WindowTransform)


def _sum_power(
    transform: NDArray[np.complex128], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum the squares of (n_windows, n_channels, n_freqs) numbers; (..., n_bands)."""
    power: NDArray[np.float64] = np.square(transform.view(np.float64)) @ weights
    return power
