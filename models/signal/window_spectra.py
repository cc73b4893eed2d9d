"""Spectra of windows of 2 s, computed once for signal quality and band power."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mimamba.models.signal.sliding_window import QUARTERS, quarter_length

PART_BYTES = 120_000
"""Bytes of windows that are examined at once: the C library gets each larger block from the
system, page by page, and the next ones would leave the cache."""


def stack_parts(windows: Sequence[NDArray[np.float64]]) -> Iterator[NDArray[np.float64]]:
    """Stack windows of one shape in parts of at most ``PART_BYTES``, or of one window.

    Each part is a copy, (n_windows, n_channels, n_times).
    """
    size = max(1, PART_BYTES // windows[0].nbytes)
    for start in range(0, len(windows), size):
        yield np.array(windows[start : start + size])


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

    def sum_power(
        self,
        windows: Sequence[NDArray[np.float64]],
        centred: NDArray[np.float64],
        detrended: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sum the power in bands of windows; each window by itself, to the bit.

        Parameters
        ----------
        windows
            Each (n_channels, n_times), µV; at least one, and all of one shape.
        centred, detrended
            Weights of the bands, as ``spread_weights`` gives them: for windows without their mean,
            and without their linear trend.

        Returns
        -------
        The sums for both weights, each (n_windows, n_channels, n_bands).
        """
        sums = [self._sum_part(part, centred, detrended) for part in stack_parts(windows)]
        first, second = zip(*sums, strict=True)
        return np.concatenate(first), np.concatenate(second)

    def _sum_part(
        self,
        samples: NDArray[np.float64],
        centred: NDArray[np.float64],
        detrended: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        samples -= np.add.reduce(samples, -1, keepdims=True) / self.n_times
        slope = samples @ self._line / self._squared
        samples *= self._taper
        spectrum = np.fft.rfft(samples)
        power = _sum_power(spectrum[..., : len(centred) // 2], centred)
        n_freqs = len(detrended) // 2
        trend = slope[..., np.newaxis] * self._trend[:n_freqs]
        return power, _sum_power(spectrum[..., :n_freqs] - trend, detrended)

    def spread_weights(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return weights (n_bands, n_freqs) of a power density for ``sum_power``.

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
