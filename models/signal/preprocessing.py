"""Resampling and band-pass from a source's samples to the model's, hop by hop.

One hop is ``SignalConfig.hop`` samples at the model's rate. The preprocessor runs over whole hops,
one or many at once, on exactly the source samples that belong to them, so the chunk borders have no
influence on the result. All arrays are float64 and time-major.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import TypeAlias

import numpy as np
import scipy  # scipy.signal loads at its first use; a list of recordings needs none of it
from numpy.typing import NDArray

from mimamba.drivers.errors import Mismatch

MIN_OVERSAMPLING = 2.2
"""Least ratio of a source's sfreq to the band's upper edge: below it, the band would alias."""
MAX_OVERSAMPLING = 100.0
"""Largest ratio of a source's sfreq to the model's: above it, rounding of the ratio would show."""
MIN_HOP_SAMPLES = 8
"""Least source samples in a hop: fewer carry no information on signal quality."""
MAX_DENOMINATOR = 1000
"""Largest denominator of the resampling ratio; every common rate fits (250 Hz: 64/125)."""
DELAY_FREQ = 10.0
"""Frequency in Hz at which the delay is stated: the rhythm that a person sees first."""


class SignalError(Mismatch, ValueError):
    """Raised for an impossible signal setting, or a source that is unsuitable for the model."""


@dataclass(frozen=True)
class SignalConfig:
    """Signal settings of a model; stored in its checkpoint.

    Parameters
    ----------
    sfreq
        The model's sampling frequency, Hz.
    band
        Lower and upper edge of the Butterworth band-pass, Hz.
    order
        Order of that filter, as `scipy.signal.butter` counts it.
    window
        Length of the model's window in samples at ``sfreq``.
    hop
        Distance of two windows in samples at ``sfreq``.
    settle
        Samples at ``sfreq`` after a restart that no window may contain: the filters' transient.
    fir_half
        Half the length of the resampling filter, in periods of the slower of the two rates.
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
                f"a band with 0 < low < high < {self.sfreq / 2:g} Hz (half of sfreq)",
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
                    f"a whole number of at least {least} for {name}", f"{value}", "correct it"
                )
        if not 0 <= self.fir_beta <= 20:
            raise SignalError("0 to 20 for fir_beta", f"{self.fir_beta:g}", "correct it")


@dataclass(frozen=True, eq=False, slots=True)
class PreprocessorState:
    """State of a ``Preprocessor`` between two hops. Its arrays are never modified.

    Parameters
    ----------
    hops
        Number of hops since the start.
    offset
        (n_channels,) the first sample, which is subtracted from all.
    history
        (reach, n_channels) the newest source samples, minus the offset.
    zi
        (n_sections, 2, n_channels) the state of the band-pass.
    """

    hops: int
    offset: NDArray[np.float64]
    history: NDArray[np.float64]
    zi: NDArray[np.float64]


class Preprocessor:
    """Filters from a source's rate to the model's. It keeps no samples itself.

    Model sample m, counted from the start, is due with source sample floor(m * down / up). Over any
    number of hops the result equals the beginning of
    ``sosfilt(sos, upfirdn(fir, x - x[0], up, down))``, bit for bit.

    The first sample is subtracted to start without a step. Nothing else changes: the resampler
    passes a constant exactly and the band-pass removes it.

    Parameters
    ----------
    config
        Signal settings of the model.
    sfreq
        The source's nominal sampling frequency, Hz. Ratios to the model's finer than
        ``MAX_DENOMINATOR`` are rounded.

    Raises
    ------
    SignalError
        If the source is too slow for the band or the hop, or far too fast.
    """

    def __init__(self, config: SignalConfig, sfreq: float) -> None:
        least = MIN_OVERSAMPLING * config.band[1]
        most = MAX_OVERSAMPLING * config.sfreq
        if not least <= sfreq <= most:
            raise SignalError(
                f"a source of {least:g} to {most:g} Hz for the band up to {config.band[1]:g} Hz",
                f"{sfreq:g} Hz",
                "choose another source, or a model for its rate",
            )
        ratio = Fraction(config.sfreq / sfreq).limit_denominator(MAX_DENOMINATOR)
        self.up, self.down = ratio.numerator, ratio.denominator
        if config.hop * self.down < MIN_HOP_SAMPLES * self.up:
            raise SignalError(
                f"a hop of at least {MIN_HOP_SAMPLES} source samples",
                f"{config.hop / config.sfreq:g} s at {sfreq:g} Hz",
                "choose a faster source, or a model with a longer hop",
            )
        self.config = config
        self.fir = _anti_alias(self.up, self.down, config.fir_half, config.fir_beta)
        self.sos = scipy.signal.butter(
            config.order, config.band, "bandpass", output="sos", fs=config.sfreq
        )
        self.delay = (self.fir.size - 1) / 2 / (sfreq * self.up) + _sos_delay(self.sos, config)
        self._reach = -(-self.fir.size // self.up)  # source samples in one model sample

    def last_sample(self, hop: int) -> int:
        """Return the source sample, counted from the start, that completes a hop; -1 before any."""
        return max(((hop + 1) * self.config.hop - 1) * self.down // self.up, -1)

    def samples_needed(self, hop: int, count: int = 1) -> int:
        """Return the source samples in ``count`` hops; at 250 Hz, hop 32: 61, 63, 62, 63, ..."""
        return self.last_sample(hop + count - 1) - self.last_sample(hop - 1)

    def count_hops(self, hop: int, n_times: int) -> int:
        """Return the number of hops, from ``hop`` on, that ``n_times`` source samples complete."""
        newest = self.last_sample(hop - 1) + n_times
        made = ((newest + 1) * self.up - 1) // self.down + 1  # model samples that are due by then
        return made // self.config.hop - hop

    def start(self, first: NDArray[np.float64]) -> PreprocessorState:
        """Return the state before ``first`` (n_channels,), the first sample of a segment."""
        history = np.zeros((self._reach, first.size))
        return PreprocessorState(0, first, history, np.zeros((len(self.sos), 2, first.size)))

    def process(
        self, state: PreprocessorState, samples: NDArray[np.float64], count: int = 1
    ) -> tuple[PreprocessorState, NDArray[np.float64]]:
        """Filter ``count`` hops.

        Parameters
        ----------
        state
            State after the hop before.
        samples
            (samples_needed(state.hops, count), n_channels), µV.

        Returns
        -------
        The state after the last hop, and (count hop, n_channels) model samples, µV.
        """
        return filter_all([FilterJob(self, state, samples, count)])[0]

    def phase(self, hop: int) -> tuple[int, int]:
        """Return what the filtering from a hop on depends on, besides the samples.

        These are the zeros before the filter, which give the outputs the same phase as in the whole
        segment, and the outputs to leave out.
        """
        begin = self.last_sample(hop - 1) + 1 - self._reach  # the index of the oldest sample
        before, lead = divmod(begin * self.up, self.down)
        return lead, hop * self.config.hop - before

    def filter(
        self, joined: NDArray[np.float64], zi: NDArray[np.float64], phase: tuple[int, int], n: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return ``n`` model samples of any channels, and the next state of the band-pass.

        ``joined`` has the history before the samples; each channel is filtered by itself.
        """
        lead, skip = phase
        fir = np.concatenate([np.zeros(lead), self.fir])
        resampled = scipy.signal.upfirdn(fir, joined, self.up, self.down, axis=0)
        passed, zi = scipy.signal.sosfilt(self.sos, resampled[skip : skip + n], axis=0, zi=zi)
        return passed, zi


Filtered: TypeAlias = tuple[PreprocessorState, NDArray[np.float64]]
"""The state after the last hop, and (count hop, n_channels) model samples, µV."""


@dataclass(frozen=True, eq=False, slots=True)
class FilterJob:
    """Samples of one stream to filter; the parameters are those of ``Preprocessor.process``."""

    preprocessor: Preprocessor
    state: PreprocessorState
    samples: NDArray[np.float64]
    count: int


def filter_all(jobs: Sequence[FilterJob]) -> list[Filtered]:
    """Filter samples of many streams; streams that are alike go through the filters side by side.

    Each channel is filtered by itself, so the result has the same bits as one stream's alone.
    """
    alike: dict[tuple[Preprocessor, int, int, tuple[int, int]], list[int]] = {}
    for place, job in enumerate(jobs):
        phase = job.preprocessor.phase(job.state.hops)
        alike.setdefault((job.preprocessor, job.count, len(job.samples), phase), []).append(place)
    done: list[Filtered | None] = [None] * len(jobs)
    for (preprocessor, count, _, phase), same in alike.items():
        group = [jobs[place] for place in same]
        joined, columns = _join_samples(group)
        zi = np.concatenate([job.state.zi for job in group], axis=2)
        n_times = count * preprocessor.config.hop
        passed, zi = preprocessor.filter(joined, zi, phase, n_times)
        reach = len(group[0].state.history)
        for place, job, own in zip(same, group, columns, strict=True):
            state = PreprocessorState(
                job.state.hops + count,
                job.state.offset,
                joined[-reach:, own].copy(),
                zi[:, :, own].copy(),
            )
            done[place] = state, passed[:, own]
    return [each for each in done if each is not None]


def _join_samples(jobs: Sequence[FilterJob]) -> tuple[NDArray[np.float64], list[slice]]:
    """Return the histories and samples of jobs of the same length side by side.

    They are (reach + n_samples, n_channels of all), µV minus the offsets; with each job's columns.
    """
    ends = [0, *accumulate(job.state.offset.size for job in jobs)]
    columns = [slice(*each) for each in pairwise(ends)]
    reach = len(jobs[0].state.history)
    joined = np.empty((reach + len(jobs[0].samples), ends[-1]))
    for job, own in zip(jobs, columns, strict=True):
        joined[:reach, own] = job.state.history
        np.subtract(job.samples, job.state.offset, out=joined[reach:, own])
    return joined, columns


@lru_cache(maxsize=64)
def shared_preprocessor(config: SignalConfig, sfreq: float) -> Preprocessor:
    """Return the preprocessor of all streams of this rate; raises SignalError as it does."""
    return Preprocessor(config, sfreq)


def _anti_alias(up: int, down: int, half: int, beta: float) -> NDArray[np.float64]:
    """Design a causal linear-phase low-pass at the Nyquist frequency of the slower rate.

    Kaiser-windowed. With the defaults, 250 to 128 Hz: flat to 40 Hz, -59 dB at 90 Hz, delay 47 ms.
    Each of its ``up`` phases is scaled to pass a constant exactly. Without this they differ by 2e-4
    (from 250 Hz) to 1e-3 (from 125 Hz), and an electrode that drifts by 100 mV, as dry ones do,
    would leave a pattern of 20 to 130 µV at the rate of the phases.
    """
    if up == down:
        return np.ones(1)
    slower = max(up, down)
    fir = np.asarray(
        scipy.signal.firwin(2 * half * slower + 1, 1 / slower, window=("kaiser", beta))
    )
    for phase in range(up):
        fir[phase::up] /= fir[phase::up].sum()
    return fir


def _sos_delay(sos: NDArray[np.float64], config: SignalConfig) -> float:
    """Return the group delay of the band-pass at ``DELAY_FREQ``, seconds."""
    delays = [
        scipy.signal.group_delay((s[:3], s[3:]), [DELAY_FREQ], fs=config.sfreq)[1][0] for s in sos
    ]
    return float(sum(delays)) / config.sfreq
