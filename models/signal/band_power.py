"""Band power of each channel: µV² in delta, theta, alpha, beta and gamma, four times a second.

An update takes 0.2 ms for 4 channels at 256 Hz and 0.7 ms for 64, on one slow core.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import StreamInfo
from mimamba.models.signal.measures import BANDS, BandPower
from mimamba.models.signal.sliding_window import QUARTERS, Window, quarter_length


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
        self.integrator = _integrator(info.sfreq)

    def measure(self, window: Window) -> BandPower:
        """Measure the band power of one window of 2 s."""
        return measure_bands([(self, window)])[0]


GROUP = 16
"""Windows integrated together: more of them leave the cache."""


def measure_bands(windows: Sequence[tuple[BandMeter, Window]]) -> list[BandPower]:
    """Measure windows of many sources; the result does not depend on the other windows."""
    powers: list[NDArray[np.float64] | None] = [None] * len(windows)
    alike: dict[tuple[_Integrator, int], list[int]] = {}
    for place, (meter, window) in enumerate(windows):
        if window.samples is not None:
            alike.setdefault((meter.integrator, len(meter.ch_names)), []).append(place)
    for (integrator, _), same in alike.items():
        for start in range(0, len(same), GROUP):
            places = same[start : start + GROUP]
            samples = np.array([windows[place][1].samples for place in places])
            for place, power in zip(places, integrator(samples), strict=True):
                usable = windows[place][1].usable
                if not usable.all():
                    power[~usable] = np.nan
                powers[place] = power.copy()  # not a view that keeps those of others in memory
    return [
        BandPower(
            window.index,
            window.timestamp,
            meter.ch_names,
            np.full((len(meter.ch_names), len(BANDS)), np.nan) if power is None else power,
        )
        for (meter, window), power in zip(windows, powers, strict=True)
    ]


class _Integrator:
    """Integration of the spectra of any windows of 2 s at one sampling frequency, Hz."""

    def __init__(self, sfreq: float) -> None:
        n_times = QUARTERS * quarter_length(sfreq)
        taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_times) / n_times)
        self._line = np.linspace(-1.0, 1.0, n_times)
        self._squared = float(self._line @ self._line)
        self._taper = taper
        self._weights = _weights(n_times, sfreq).T * (2 / (n_times * np.sum(taper**2)))

    def __call__(self, samples: NDArray[np.float64]) -> NDArray[np.float64]:
        """Integrate windows (n_windows, n_channels, n_times), µV, into bands, µV²."""
        samples = samples - samples.mean(axis=-1, keepdims=True)
        slope = samples @ self._line / self._squared
        samples -= slope[..., np.newaxis] * self._line
        density = np.abs(np.fft.rfft(samples * self._taper)) ** 2
        power: NDArray[np.float64] = density @ self._weights
        return power


_integrator = lru_cache(maxsize=64)(_Integrator)


def _weights(n_times: int, sfreq: float) -> NDArray[np.float64]:
    """Share of each bin that lies in each band, (n_bands, n_freqs); NaN above sfreq / 2."""
    width = sfreq / n_times
    freqs = np.fft.rfftfreq(n_times, 1 / sfreq)
    low, high = np.array(list(BANDS.values())).T[:, :, np.newaxis]
    inside = np.minimum(freqs + width / 2, high) - np.maximum(freqs - width / 2, low)
    shares = np.clip(inside / width, 0.0, 1.0)
    return np.where(high <= sfreq / 2, shares, np.nan)
