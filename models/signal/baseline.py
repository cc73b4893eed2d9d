"""A person's baseline: rest without a label, to which what follows is held.

People's spectra differ more from each other than one person's do between states of mind, and most
of that is the skull, the skin and the fit of the headset. So the mean log power of a minute of rest
is taken for each channel and band, and each window that follows is filtered by what makes that rest
look like everybody's (``REFERENCE``). It is one scale for each band of 1 Hz, without a phase.

Like all of the signal path it is a function of hops: live, replayed and offline it gives the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mimamba.models.signal.hops import Hop
from mimamba.models.signal.preprocessing import SignalConfig

EDGES = np.arange(1.0, 41.0)
"""Hz, between which the bands lie."""
CENTRES = (EDGES[:-1] + EDGES[1:]) / 2
REFERENCE = np.log(25.0 * CENTRES**-1.5)
"""Log power density, µV²/Hz, that the baseline is brought to: a background of f^-1.5 without a
peak. Measured in 24 people at rest, median over four electrodes: 2.7 at 3 Hz, where this has 3.8,
and 0.31 at 21 Hz, where this has 0.25."""
FLOOR = 1e-6
"""µV²/Hz below which there is only rounding."""
SHORTEST = 10.0
"""Seconds of a baseline that a person may ask for, at least: below, each blink counts."""
LONGEST = 600.0
"""Seconds of a baseline, at most."""


@dataclass(frozen=True, eq=False)
class Baseline:
    """What a person's rest was like.

    Parameters
    ----------
    log_power
        (n_channels, n_bands) float64, mean log power density, µV²/Hz, in montage order.
    seconds
        Good signal that it was taken from.
    """

    log_power: NDArray[np.float64]
    seconds: float


@dataclass(frozen=True, eq=False)
class AlignerState:
    """All that an aligner remembers; its arrays are never written again.

    Parameters
    ----------
    baseline
        What windows are aligned by; None leaves them as they are.
    wanted
        Seconds of the baseline that is being taken; 0 where none is.
    taken
        Hops that are in it so far.
    total
        (n_channels, n_bands), their summed log power.
    anew
        Whether the next ok hop must begin with an empty state, as its windows are of another kind.
    """

    baseline: Baseline | None = None
    wanted: float = 0.0
    taken: int = 0
    total: NDArray[np.float64] | None = None
    anew: bool = False


UNALIGNED = AlignerState()


class Aligner:
    """Takes a baseline from hops, and aligns those that follow."""

    def __init__(self, signal: SignalConfig, baseline: Baseline | None = None) -> None:
        self._signal = signal
        self._spectrum = Spectrum(signal)
        self.state = AlignerState(baseline)

    def begin(self, seconds: float) -> None:
        """Take a baseline from the next good hops; the model abstains meanwhile."""
        self.state = replace(self.state, wanted=seconds, taken=0, total=None)

    def break_off(self) -> None:
        """Take no more, and align as before it began; the model begins anew with the next hop."""
        self.use(self.state.baseline)

    def use(self, baseline: Baseline | None) -> None:
        """Align by this one from the next hop on."""
        self.state = AlignerState(baseline, anew=True)

    def feed(self, hop: Hop) -> Hop:
        """The hop as the model gets it."""
        if hop.window is None:
            return hop
        if self.state.wanted:
            return self._take(hop, hop.window)
        anew, baseline = self.state.anew, self.state.baseline
        if anew:
            self.state = replace(self.state, anew=False)
        window = hop.window if baseline is None else self._spectrum.align(hop.window, baseline)
        return replace(hop, window=window, restart=hop.restart or anew)

    def _take(self, hop: Hop, window: NDArray[np.float32]) -> Hop:
        state, each = self.state, self._signal.hop / self._signal.sfreq
        power = self._spectrum.log_power(window)
        total = power if state.total is None else state.total + power
        taken, wanted = state.taken + 1, state.wanted
        self.state = replace(state, taken=taken, total=total)
        if taken * each >= wanted:
            self.state = AlignerState(Baseline(total / taken, taken * each), anew=True)
        reason = f"baseline {taken * each:.0f} of {wanted:.0f} s"
        return replace(hop, status="warming_up", reason=reason, window=None, restart=False)


class Spectrum:
    """The bands of a window's spectrum."""

    def __init__(self, signal: SignalConfig) -> None:
        # Padded where a window is so short that a band would have no bin.
        self._n = max(signal.window, int(np.ceil(signal.sfreq)))
        self._taper = np.hanning(signal.window)
        self._scale = 2.0 / (signal.sfreq * np.square(self._taper).sum())
        f = np.fft.rfftfreq(self._n, 1 / signal.sfreq)
        self._within = (f >= EDGES[:-1, None]) & (f < EDGES[1:, None])  # (bands, bins)
        self._f = np.fft.rfftfreq(signal.window, 1 / signal.sfreq)
        self._held: tuple[Baseline, NDArray[np.float64]] | None = None  # the last one's gains

    def log_power(self, window: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n_channels, n_times) µV to (n_channels, n_bands), log µV²/Hz, under a Hann window."""
        power = np.square(np.abs(np.fft.rfft(window * self._taper, self._n))) * self._scale
        means = power @ self._within.T / self._within.sum(axis=1)
        return np.asarray(np.log(np.maximum(means, FLOOR)))

    def align(self, window: NDArray[np.float32], baseline: Baseline) -> NDArray[np.float32]:
        """(n_channels, n_times) µV, filtered by what brings the baseline to the reference."""
        if self._held is None or self._held[0] is not baseline:
            self._held = baseline, self._gains(baseline)
        aligned = np.fft.irfft(np.fft.rfft(window) * self._held[1], window.shape[-1])
        return np.ascontiguousarray(aligned, dtype=np.float32)

    def _gains(self, baseline: Baseline) -> NDArray[np.float64]:
        """(n_channels, n_bins), of amplitudes."""
        gain = (REFERENCE - baseline.log_power) / 2
        return np.exp([np.interp(self._f, CENTRES, channel) for channel in gain])
