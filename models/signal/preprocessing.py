"""From a source's samples to the model's: resample, then band-pass, hop by hop.

One hop of the model is ``SignalConfig.hop`` samples at the model's rate. The path runs over whole
hops, one or many at once, on exactly the source samples that they added, so the way in which
samples were chunked cannot enter the result. Everything is float64, time-major.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, firwin, group_delay, sosfilt, upfirdn

from mimamba.drivers.errors import Mismatch

LEAST_OVERSAMPLING = 2.2
"""A source's sfreq over the band's upper edge, at least: below it the edge meets its own images."""
MOST_OVERSAMPLING = 100.0
"""A source's sfreq over the model's, at most: above it the ratio's rounding would show."""
LEAST_SAMPLES = 8
"""A hop's source samples, at least: fewer say nothing of the signal's quality."""
FINEST_RATIO = 1000
"""Largest denominator of the resampling ratio; every common rate fits (250 Hz: 64/125)."""
ALPHA = 10.0
"""Hz at which the path's delay is stated: the rhythm that a person sees first."""


class SignalError(Mismatch, ValueError):
    """A signal setting is impossible, or a source cannot serve the model's; one clear line."""


@dataclass(frozen=True)
class SignalConfig:
    """What the model's signal is; stored in its checkpoint.

    Parameters
    ----------
    sfreq
        The model's sampling frequency, Hz.
    band
        Pass band of the Butterworth filter, Hz.
    order
        Order of that filter, as `scipy.signal.butter` counts it.
    window
        Samples at ``sfreq`` that the model sees at once.
    hop
        Samples at ``sfreq`` between two windows.
    settle
        Samples at ``sfreq`` after a restart that no window may hold: the filters' transient.
    fir_half
        Half the length of the resampling filter, in periods of the slower of both rates.
    fir_beta
        Shape of its Kaiser window.

    Raises
    ------
    SignalError
        If a value is out of range.
    """

    sfreq: float = 128.0
    band: tuple[float, float] = (1.0, 40.0)
    order: int = 4
    window: int = 128
    hop: int = 32
    settle: int = 128
    fir_half: int = 6
    fir_beta: float = 5.0

    def __post_init__(self) -> None:
        low, high = self.band
        if not 0 < low < high < self.sfreq / 2:
            raise SignalError(
                f"0 < low < high < {self.sfreq / 2:g} Hz (half of sfreq) as the band",
                f"{low:g} to {high:g} Hz",
                "correct band or sfreq",
            )
        for name, least in (
            ("order", 1),
            ("window", 2),
            ("hop", 1),
            ("settle", 0),
            ("fir_half", 1),
        ):
            value = getattr(self, name)
            if value != int(value) or value < least:
                raise SignalError(
                    f"a whole number from {least} as {name}", f"{value}", "correct it"
                )
        if not 0 <= self.fir_beta <= 20:
            raise SignalError("0 to 20 as fir_beta", f"{self.fir_beta:g}", "correct it")


@dataclass(frozen=True, eq=False)
class PathState:
    """What the next hop needs of the past. Its arrays are never written again.

    Parameters
    ----------
    hops
        Hops made since the start.
    offset
        (n_channels,) the first sample, subtracted from all: as if it had always been there.
    history
        (reach, n_channels) the newest source samples, less the offset.
    zi
        (n_sections, 2, n_channels) the band-pass's memory.
    """

    hops: int
    offset: NDArray[np.float64]
    history: NDArray[np.float64]
    zi: NDArray[np.float64]


class SignalPath:
    """The filters between a source's rate and the model's; it holds no samples itself.

    Model sample m, counted from a start, is due with source sample floor(m * down / up). Over any
    number of hops the result is ``sosfilt(sos, upfirdn(fir, x - x[0], up, down))``, the beginning
    of it, bit for bit.

    Subtracting the first sample is the plain way to start without a step: the resampler passes a
    constant exactly and the band-pass stops it, so nothing else of the constant would ever show.

    Parameters
    ----------
    config
        What the model wants.
    sfreq
        The source's nominal sampling frequency, Hz. Ratios to the model's finer than
        ``FINEST_RATIO`` are rounded.

    Raises
    ------
    SignalError
        If the source is too slow for the band or the hop, or absurdly fast.
    """

    def __init__(self, config: SignalConfig, sfreq: float) -> None:
        least = LEAST_OVERSAMPLING * config.band[1]
        most = MOST_OVERSAMPLING * config.sfreq
        if not least <= sfreq <= most:
            raise SignalError(
                f"a source of {least:g} to {most:g} Hz for the band up to {config.band[1]:g} Hz",
                f"{sfreq:g} Hz",
                "choose another source, or a model for its rate",
            )
        ratio = Fraction(config.sfreq / sfreq).limit_denominator(FINEST_RATIO)
        self.up, self.down = ratio.numerator, ratio.denominator
        if config.hop * self.down < LEAST_SAMPLES * self.up:
            raise SignalError(
                f"a hop of at least {LEAST_SAMPLES} source samples",
                f"{config.hop / config.sfreq:g} s at {sfreq:g} Hz",
                "choose a faster source, or a model with a longer hop",
            )
        self.config = config
        self.fir = _anti_alias(self.up, self.down, config.fir_half, config.fir_beta)
        self.sos = butter(config.order, config.band, "bandpass", output="sos", fs=config.sfreq)
        self.delay = (self.fir.size - 1) / 2 / (sfreq * self.up) + _sos_delay(self.sos, config)
        self._reach = -(-self.fir.size // self.up)  # source samples that one model sample weighs

    def due(self, hop: int) -> int:
        """The source sample, counted from the start, that completes this hop; -1 before any."""
        return max(((hop + 1) * self.config.hop - 1) * self.down // self.up, -1)

    def needs(self, hop: int, count: int = 1) -> int:
        """How many source samples so many hops add; at 250 Hz and 32: 61, 63, 62, 63, ..."""
        return self.due(hop + count - 1) - self.due(hop - 1)

    def holds(self, hop: int, n_times: int) -> int:
        """How many hops from this one on so many source samples complete."""
        newest = self.due(hop - 1) + n_times
        made = ((newest + 1) * self.up - 1) // self.down + 1  # model samples that are due by then
        return made // self.config.hop - hop

    def start(self, first: NDArray[np.float64]) -> PathState:
        """The state before ``first`` (n_channels,), the first sample of an unbroken stretch."""
        history = np.zeros((self._reach, first.size))
        return PathState(0, first, history, np.zeros((len(self.sos), 2, first.size)))

    def step(
        self, state: PathState, samples: NDArray[np.float64], count: int = 1
    ) -> tuple[PathState, NDArray[np.float64]]:
        """So many hops: exactly their source samples in, their model samples out.

        Parameters
        ----------
        state
            After the hop before.
        samples
            (needs(state.hops, count), n_channels), µV.

        Returns
        -------
        The state after the last hop, and (count hop, n_channels) model samples, µV.
        """
        joined = np.concatenate([state.history, samples - state.offset])
        begin = self.due(state.hops - 1) + 1 - self._reach  # the index of joined[0]
        # Zeros before the filter move the outputs' instants to where the whole stretch has them.
        before, lead = divmod(begin * self.up, self.down)
        fir = np.concatenate([np.zeros(lead), self.fir])
        resampled = upfirdn(fir, joined, self.up, self.down, axis=0)
        skip = state.hops * self.config.hop - before
        hops = resampled[skip : skip + count * self.config.hop]
        passed, zi = sosfilt(self.sos, hops, axis=0, zi=state.zi)
        return PathState(state.hops + count, state.offset, joined[-self._reach :], zi), passed


def _anti_alias(up: int, down: int, half: int, beta: float) -> NDArray[np.float64]:
    """A causal linear-phase low-pass at the Nyquist frequency of the slower rate.

    Kaiser-windowed; with the defaults, 250 to 128 Hz: flat to 40 Hz, -59 dB at 90 Hz, 47 ms late.
    Each of its ``up`` phases is scaled to pass a constant exactly. Else they differ by 2e-4 (from
    250 Hz) to 1e-3 (from 125 Hz), and an electrode that drifts by 100 mV, as dry ones do, would
    leave a pattern of 20 to 130 µV at the rate of the phases.
    """
    if up == down:
        return np.ones(1)
    slower = max(up, down)
    fir = np.asarray(firwin(2 * half * slower + 1, 1 / slower, window=("kaiser", beta)))
    for phase in range(up):
        fir[phase::up] /= fir[phase::up].sum()
    return fir


def _sos_delay(sos: NDArray[np.float64], config: SignalConfig) -> float:
    """The band-pass's group delay at ``ALPHA``, seconds."""
    delays = [group_delay((s[:3], s[3:]), [ALPHA], fs=config.sfreq)[1][0] for s in sos]
    return float(sum(delays)) / config.sfreq
