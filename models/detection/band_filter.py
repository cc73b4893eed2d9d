"""A band-pass filter over the pieces of a stream, which begins without a step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt


class BandFilter:
    """A Butterworth band-pass filter for each channel.

    The first sample is subtracted from all, as an electrode's offset of millivolts would ring. The
    result does not depend on how the samples are split over calls.

    Parameters
    ----------
    order
        Order of the filter's low-pass prototype.
    band
        Lower and upper edge, Hz.
    sfreq
        Hz.
    n_channels
        Number of channels.
    """

    def __init__(
        self, order: int, band: tuple[float, float], sfreq: float, n_channels: int
    ) -> None:
        self._sos = butter(order, band, "bandpass", fs=sfreq, output="sos")
        self._zi = np.zeros((len(self._sos), 2, n_channels))
        self._offset: NDArray[np.float64] | None = None

    def push(self, samples: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the next samples (n_times, n_channels), at least one, filtered."""
        if self._offset is None:
            self._offset = samples[0].copy()
        filtered, self._zi = sosfilt(self._sos, samples - self._offset, axis=0, zi=self._zi)
        return np.asarray(filtered)
