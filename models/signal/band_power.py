"""Band power of each channel: µV² in delta, theta, alpha, beta and gamma, four times a second."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import StreamInfo
from mimamba.models.signal.measures import BANDS, BandPower
from mimamba.models.signal.sliding_window import Window
from mimamba.models.signal.window_spectra import WindowTransform, shared_transform


class BandMeter:
    """Measures the band power of all channels of a source from its newest 2 s.

    The method is one periodogram. First the linear trend is removed, since an electrode's offset
    of tens of mV and its drift would leak into delta. Then a periodic Hann window is applied, and
    the one-sided density is integrated over each band; a bin at an edge counts for the share of
    its width that lies in the band. A sine of amplitude a has the power a² / 2.

    The value is NaN for a channel that lost more than 0.1 s in a row, for all channels until 2 s
    have arrived, and for a band above half of the sampling frequency.

    Parameters
    ----------
    info
        Description of the source.
    """

    def __init__(self, info: StreamInfo) -> None:
        self.ch_names = info.ch_names
        self.transform = shared_transform(info.sfreq)
        self.weights = _weights(self.transform)
        self._unknown = np.full((info.n_channels, len(BANDS)), np.nan)

    def measure(self, window: Window) -> BandPower:
        """Measure the band power of one window of 2 s."""
        if window.samples is None:
            return self.unknown(window)
        _, power = self.transform.sum_power([window.samples], self.weights, self.weights)
        return measure_bands([(self, window)], power)[0]

    def unknown(self, window: Window) -> BandPower:
        """Return the measure of a window in which no channel has a value."""
        return BandPower(window.index, window.timestamp, self.ch_names, self._unknown)


def measure_bands(
    windows: Sequence[tuple[BandMeter, Window]], power: NDArray[np.float64]
) -> list[BandPower]:
    """Measure windows of sources that are alike, whose power in bands is known.

    ``power`` is (n_windows, n_channels, n_bands), without the linear trend.
    """
    power[~np.array([window.usable for _, window in windows])] = np.nan
    return [
        # Not a view that keeps the power of others in memory.
        BandPower(window.index, window.timestamp, meter.ch_names, own.copy())
        for (meter, window), own in zip(windows, power, strict=True)
    ]


@lru_cache(maxsize=64)
def _weights(transform: WindowTransform) -> NDArray[np.float64]:
    """Share of each bin that lies in each band, for a transform; NaN above sfreq / 2."""
    freqs, sfreq = transform.freqs, transform.sfreq
    width = sfreq / transform.n_times
    low, high = np.array(list(BANDS.values())).T[:, :, np.newaxis]
    inside = np.minimum(freqs + width / 2, high) - np.maximum(freqs - width / 2, low)
    shares = np.clip(inside / width, 0.0, 1.0)
    return transform.spread_weights(np.where(high <= sfreq / 2, shares, np.nan))
