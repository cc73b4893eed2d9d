"""A person's baseline: a minute of rest without a label, by which later windows are aligned.

Spectra differ more between people than between one person's states of mind. Most of that
difference comes from the skull, the skin and the fit of the headset. So the mean log power of a
minute of rest is measured for each channel and band, and each later window is filtered such that
this rest would have the spectrum ``TARGET_LOG_POWER``. The filter is one gain for each band of
1 Hz, with zero phase.

Like the rest of the preprocessing, it is a function of hops: live, replayed and offline results
are equal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mimamba.models.signal.hops import Hop
from mimamba.models.signal.preprocessing import SignalConfig

BAND_EDGES = np.arange(1.0, 41.0)
"""Edges of the bands of 1 Hz, Hz."""
BAND_CENTRES = (BAND_EDGES[:-1] + BAND_EDGES[1:]) / 2
"""Centres of the bands, Hz."""
TARGET_LOG_POWER = np.log(25.0 * BAND_CENTRES**-1.5)
"""Log power density (µV²/Hz) of an aligned baseline: a background of f^-1.5 without a peak.

Measured in 24 people at rest, median over four electrodes: 2.7 at 3 Hz, where this has 3.8, and
0.31 at 21 Hz, where this has 0.25.
"""
MIN_POWER = 1e-6
"""µV²/Hz below which there are only rounding errors."""
MIN_BASELINE = 10.0
"""Shortest baseline that a person may request, seconds: in a shorter one each blink matters."""
MAX_BASELINE = 600.0
"""Longest baseline, seconds."""


@dataclass(frozen=True, eq=False)
class Baseline:
    """Spectrum of a person at rest.

    Parameters
    ----------
    log_power
        (n_channels, n_bands) float64, mean log power density (µV²/Hz), in montage order.
    seconds
        Duration of the good signal that it was measured on.
    """

    log_power: NDArray[np.float64]
    seconds: float


@dataclass(frozen=True, eq=False)
class AlignerState:
    """Complete state of a ``BaselineAligner``; its arrays are never modified.

    Parameters
    ----------
    baseline
        Baseline by which windows are aligned; None leaves them as they are.
    target
        Seconds of the baseline that is being measured; 0 if none is.
    n_hops
        Number of hops measured so far.
    total
        (n_channels, n_bands) sum of their log power.
    restart
        True if the model's state must be reset at the next ``ok`` hop, since the alignment changed.
    """

    baseline: Baseline | None = None
    target: float = 0.0
    n_hops: int = 0
    total: NDArray[np.float64] | None = None
    restart: bool = False


UNALIGNED = AlignerState()


class BaselineAligner:
    """Measures a baseline on hops, and aligns the hops after it.

    Parameters
    ----------
    signal
        Signal settings of the model.
    baseline
        Baseline to align by from the first hop on.
    windows
        Filter the windows; false where whoever measures them aligns what is measured.
    """

    def __init__(
        self, signal: SignalConfig, baseline: Baseline | None = None, windows: bool = True
    ) -> None:
        self._signal = signal
        self._spectrum = BandSpectrum(signal)
        self._windows = windows
        self.state = AlignerState(baseline)

    def start(self, seconds: float) -> None:
        """Measure a baseline on the next good hops, for that long; the model abstains meanwhile."""
        self.state = replace(self.state, target=seconds, n_hops=0, total=None)

    def cancel(self) -> None:
        """Stop measuring and align as before; the model's state is reset at the next ok hop."""
        self.set_baseline(self.state.baseline)

    def set_baseline(self, baseline: Baseline | None) -> None:
        """Align by this baseline from the next hop on."""
        self.state = AlignerState(baseline, restart=True)

    def feed(self, hop: Hop) -> Hop:
        """Return the hop for the model: aligned, or without a window while measuring."""
        if hop.window is None:
            return hop
        if self.state.target:
            return self._measure(hop, hop.window)
        restart, baseline = self.state.restart, self.state.baseline
        if restart:
            self.state = replace(self.state, restart=False)
        if baseline is None or not self._windows:
            return replace(hop, restart=True) if restart and not hop.restart else hop
        window = self._spectrum.align(hop.window, baseline)
        return replace(hop, window=window, restart=hop.restart or restart)

    def _measure(self, hop: Hop, window: NDArray[np.float32]) -> Hop:
        state, each = self.state, self._signal.hop / self._signal.sfreq
        power = self._spectrum.log_power(window)
        total = power if state.total is None else state.total + power
        n_hops, target = state.n_hops + 1, state.target
        self.state = replace(state, n_hops=n_hops, total=total)
        if n_hops * each >= target:
            self.state = AlignerState(Baseline(total / n_hops, n_hops * each), restart=True)
        reason = f"baseline {n_hops * each:.0f} of {target:.0f} s"
        return replace(hop, status="warming_up", reason=reason, window=None, restart=False)


class BandSpectrum:
    """Measures and aligns the spectrum of windows in bands of 1 Hz."""

    def __init__(self, signal: SignalConfig) -> None:
        # Zero-padded if the window is so short that a band would contain no bin.
        self._n = max(signal.window, int(np.ceil(signal.sfreq)))
        self._taper = np.hanning(signal.window)
        self._scale = 2.0 / (signal.sfreq * np.square(self._taper).sum())
        f = np.fft.rfftfreq(self._n, 1 / signal.sfreq)
        self._within = (f >= BAND_EDGES[:-1, None]) & (f < BAND_EDGES[1:, None])  # (bands, bins)
        self._f = np.fft.rfftfreq(signal.window, 1 / signal.sfreq)
        self._cached: tuple[Baseline, NDArray[np.float64]] | None = None  # gains of the last one

    def log_power(self, window: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log power (µV²/Hz, n_channels x n_bands) of a window (n_channels, n_times), µV."""
        power = np.square(np.abs(np.fft.rfft(window * self._taper, self._n))) * self._scale
        means = power @ self._within.T / self._within.sum(axis=1)
        return np.asarray(np.log(np.maximum(means, MIN_POWER)))

    def align(self, window: NDArray[np.float32], baseline: Baseline) -> NDArray[np.float32]:
        """Filter a window (n_channels, n_times), µV, such that the baseline meets the target."""
        if self._cached is None or self._cached[0] is not baseline:
            self._cached = baseline, self._gains(baseline)
        aligned = np.fft.irfft(np.fft.rfft(window) * self._cached[1], window.shape[-1])
        return np.ascontiguousarray(aligned, dtype=np.float32)

    def _gains(self, baseline: Baseline) -> NDArray[np.float64]:
        """Return the gains of amplitudes, (n_channels, n_bins)."""
        gain = (TARGET_LOG_POWER - baseline.log_power) / 2
        return np.exp([np.interp(self._f, BAND_CENTRES, channel) for channel in gain])
