"""Signal quality of each channel, for people: a score from 0 to 1 and what lowers it most.

``models.signal.hop_quality`` decides separately if the model may use a hop. A fault that makes a
hop poor scores low here too; hum, muscle and drift lower the score although the model copes with
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import StreamInfo
from mimamba.models.signal.hop_quality import QualityLimits, detect_faults
from mimamba.models.signal.measures import REASONS, ChannelQuality, Quality
from mimamba.models.signal.sliding_window import QUARTERS, Window, quarter_length
from mimamba.models.signal.window_spectra import WindowTransform, shared_transform, stack_parts

REASON_BELOW = 0.7
"""Score below which a reason is reported."""
MAINS = (50.0, 60.0)
"""Mains frequencies, Hz."""
MAINS_HALF_WIDTH = 1.3
"""Hz around a mains frequency: the spectrum resolves 1 Hz, and a headset's clock is inexact."""
CLIPPED_SHARE = 0.03
"""Share of samples at the two ends of a swing beyond which an unknown range clips the signal."""
CLIPPED_UV = 500.0
"""Peak to peak, µV, beyond which such a share counts."""


@cache
def _channel_quality(percent: int, reason: int) -> ChannelQuality:
    """Share one object for equal values: five minutes of 64 channels hold 77,000 of them."""
    score = percent / 100
    return ChannelQuality(score, REASONS[reason] if score < REASON_BELOW else None)


@dataclass(frozen=True)
class ScoreScale:
    """Score of an amplitude: 1 up to ``good`` µV, then falling with the logarithm.

    It would reach 0 at ``bad`` µV, but never falls below ``least``.
    """

    good: float
    bad: float
    least: float = 0.0


# Amplitudes are RMS in µV over 2 s with a Hann window. Whatever the band-pass removes or the model
# copes with never scores 0.
SLOW = ScoreScale(150.0, 300.0)
"""1 to 4 Hz. Above this scale an electrode is loose: no contact.

Measured: heavy blinks reach 90 on a Muse; a headset that is being put on, 240 to 600.
"""
FAST = ScoreScale(100.0, 180.0)
"""30 to 100 Hz without mains. Above this scale it can no longer be muscle: no contact.

Measured: jaw clenches reach 106 (OpenBCI). Simulated noise of 250 over all frequencies has 185.
"""
HUM = ScoreScale(10.0, 200.0, least=0.2)
"""50 or 60 Hz minus the level around it; reported from 25 µV on.

Measured: laboratory under 1, most of a Muse's channels under 10; TP9 in six visual experiments 35
to 62 (50 Hz); an OpenBCI with sound EEG 65 to 410, sub-04 of a study 10 to 200 (60 Hz), and 800
where that rails.
"""
MUSCLE = ScoreScale(12.0, 100.0, least=0.3)
"""30 to 100 Hz without mains; reported from 23 µV on.

Measured: medians of 1 (laboratory) to 10; jaw clenches 40 to 106; simulated bursts 10 to 45.
"""
DRIFT = ScoreScale(40.0, 400.0, least=0.3)
"""µV between the third lowest and third highest quarter's median; reported from 80 on (110 µV/s).

Measured: at most 57 in 99 % of a Muse's windows; medians of 29 to 123 on an OpenBCI whose offsets
of tens of mV settle.
"""

SCALES = (SLOW, FAST, HUM, MUSCLE, DRIFT)
GOOD, BAD, LEAST = (
    np.array([[getattr(scale, end)] for scale in SCALES]) for end in ("good", "bad", "least")
)


def _score(amplitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores of amplitudes in µV, one row per scale of ``SCALES``: (n_scales, n_values)."""
    over = np.log(np.maximum(amplitudes, GOOD) / GOOD)
    scores: NDArray[np.float64] = np.maximum(1 - over / np.log(BAD / GOOD), LEAST)
    return scores


@dataclass(frozen=True, eq=False)
class QuartersState:
    """Complete state of a ``QualityMeter``. Its arrays are never modified.

    Parameters
    ----------
    number
        Number of the newest quarter; None if the eight are unknown.
    faulty
        (8, 3, n_channels) True for a fault, by number of the quarter modulo 8.
    medians
        (8, n_channels) µV.
    """

    number: int | None
    faulty: NDArray[np.bool_]
    medians: NDArray[np.float64]


class QualityMeter:
    """Measures the signal quality of all channels of a source from its newest 2 s.

    There is no result until 2 s have arrived, or if every channel lost more than 0.1 s in a row. A
    channel that alone has no values counts as flat. Sources below 32 Hz are measured every eight
    samples.

    Parameters
    ----------
    info
        Description of the source.

    Attributes
    ----------
    number, faulty, medians
        Findings in the newest quarters, as in ``QuartersState``.
    """

    def __init__(self, info: StreamInfo) -> None:
        self.ch_names = info.ch_names
        self.limits = QualityLimits.of(info)
        self.transform = shared_transform(info.sfreq)
        self.weights = _weights(self.transform)
        self._step = quarter_length(info.sfreq)
        self.number: int | None = None
        self.faulty = np.zeros((QUARTERS, 3, info.n_channels), np.bool_)
        self.medians = np.zeros((QUARTERS, info.n_channels))

    @property
    def state(self) -> QuartersState:
        """Findings in the newest quarters; set it to continue from there."""
        return QuartersState(self.number, self.faulty.copy(), self.medians.copy())

    @state.setter
    def state(self, state: QuartersState) -> None:
        self.number = state.number
        self.faulty, self.medians = state.faulty.copy(), state.medians.copy()

    def measure(self, window: Window) -> Quality | None:
        """Measure the quality of one window of 2 s; None if there is nothing to measure."""
        fresh = self.begin(window)
        if not fresh:
            return None
        assert window.samples is not None
        power, _ = self.transform.sum_power([window.samples], self.weights, self.weights)
        return measure_quality([(self, window)], power, fresh)[0]

    def begin(self, window: Window) -> int:
        """Take note of a window; return how many of its newest quarters are to be examined.

        A quarter's samples never change, so its result can be kept. After a gap it is all eight;
        for a window with nothing to measure it is 0.
        """
        if window.samples is None or not window.usable.any():
            self.number = None
            return 0
        number = window.index // self._step
        fresh = 1 if self.number == number - 1 else QUARTERS
        self.number = number
        return fresh


def measure_quality(
    windows: Sequence[tuple[QualityMeter, Window]],
    power: NDArray[np.float64],
    fresh: int,
) -> list[Quality]:
    """Measure windows of sources that are alike; the result does not depend on the others.

    Parameters
    ----------
    windows
        One window of each source, which ``begin`` has taken note of.
    power
        (n_windows, n_channels, n_bands) their power for the meters' weights, without the mean.
    fresh
        Newest quarters to be examined, of each window.
    """
    meters = [meter for meter, _ in windows]
    limits = meters[0].limits
    samples = [window.samples for _, window in windows if window.samples is not None]
    step = samples[0].shape[1] // QUARTERS
    newest = np.array([each[:, -fresh * step :] for each in samples])
    quarters = newest.reshape(*newest.shape[:2], fresh, step)
    faulty, medians = _examine(meters, quarters)
    # One faulty quarter halves the score, two make it 0.
    count = np.add.reduce(faulty, 1).transpose(1, 0, 2)
    railed, flat, noisy = np.maximum(1.0 - count / 2, 0.0)
    if limits.railed is None:
        unclipped = np.concatenate([_unclipped(part) for part in stack_parts(samples)])
        railed = np.minimum(railed, unclipped)
    medians = np.sort(medians, axis=1)
    # Drop the two lowest and two highest: a blink can reach into two quarters.
    drift = medians[:, -3] - medians[:, 2]
    slow, fast, *hum = np.sqrt(np.maximum(power, 0.0)).transpose(2, 0, 1)
    amplitudes = np.stack([slow, fast, np.maximum.reduce(hum), fast, drift])
    scores = _score(amplitudes.reshape(len(SCALES), -1)).reshape(amplitudes.shape)
    contact = np.minimum(noisy, np.minimum(scores[0], scores[1]))
    reasons = np.stack([railed, flat, contact, *scores[2:]])  # (n_reasons, n_windows, n_channels)
    percents = np.rint(100 * reasons.min(axis=0)).astype(int).tolist()
    lowest = reasons.argmin(axis=0).tolist()
    return [
        Quality(
            window.index,
            window.timestamp,
            dict(zip(meter.ch_names, map(_channel_quality, percent, reason), strict=True)),
        )
        for (meter, window), percent, reason in zip(windows, percents, lowest, strict=True)
    ]


def _examine(
    meters: Sequence[QualityMeter], quarters: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Examine the newest quarters (n_meters, n_channels, n_quarters, n_times), µV, and keep it.

    Return what is known of the newest eight of each meter, as in ``QuartersState``.
    """
    faults = detect_faults(quarters, meters[0].limits)
    found = np.stack([faults.railed, faults.flat | faults.stuck, faults.noisy], axis=2)
    count = quarters.shape[2]
    newest = np.array([meter.number for meter in meters])
    rows = (newest[:, np.newaxis] + np.arange(1 - count, 1)) % QUARTERS
    nth = np.arange(len(meters))[:, np.newaxis]
    faulty = np.array([meter.faulty for meter in meters])
    faulty[nth, rows] = found.swapaxes(1, 3)
    medians = np.array([meter.medians for meter in meters])
    medians[nth, rows] = _medians(quarters).swapaxes(1, 2)
    for meter, *own in zip(meters, faulty, medians, strict=True):
        meter.faulty, meter.medians = own
    return faulty, medians


def _medians(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median over the last axis, like `np.median` in a quarter of its time."""
    ordered, n_times = np.sort(samples), samples.shape[-1]
    median: NDArray[np.float64] = (
        ordered[..., n_times // 2] + ordered[..., (n_times - 1) // 2]
    ) / 2
    return median


def _unclipped(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Score each channel: 0 if it is clipped at both ends by an unknown range, else 1."""
    low, high = samples.min(axis=-1, keepdims=True), samples.max(axis=-1, keepdims=True)
    clipped = np.mean((samples == low) | (samples == high), axis=-1) > CLIPPED_SHARE
    wide = (high - low)[..., 0] > CLIPPED_UV
    return np.where(clipped & wide, 0.0, 1.0)


@lru_cache(maxsize=64)
def _weights(transform: WindowTransform) -> NDArray[np.float64]:
    """Weights that sum a spectrum's power to squares of RMS, µV², for a transform.

    They give 1 to 4 Hz, 30 to 100 Hz without mains, and each mains frequency minus the level
    around it, so that muscle does not count as hum.
    """
    freqs, sfreq = transform.freqs, transform.sfreq
    lines = [np.abs(freqs - mains) <= MAINS_HALF_WIDTH for mains in MAINS]
    twice = [np.abs(freqs - 2 * mains) <= MAINS_HALF_WIDTH for mains in MAINS]
    clear = ~np.any(lines + twice, axis=0)
    fast = clear & (freqs >= 30.0) & (freqs < min(100.0, 0.45 * sfreq))
    rows = [(freqs >= 1.0) & (freqs < 4.0), fast]
    for mains, line in zip(MAINS, lines, strict=True):
        around = clear & (np.abs(freqs - mains) <= 5.0)
        level = line.sum() / max(around.sum(), 1)
        rows.append(line - level * around)
    return transform.spread_weights(np.array(rows, np.float64))
