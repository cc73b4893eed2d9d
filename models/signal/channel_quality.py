"""Signal quality of each channel, for people: a score from 0 to 1 and what lowers it most.

``models.signal.hop_quality`` decides separately if the model may use a hop. A fault that makes a
hop poor scores low here too; hum, muscle and drift lower the score although the model copes with
them.

An update takes 0.3 ms for 4 channels at 256 Hz and 0.8 ms for 64, on one slow core: 0.1 to 0.3 % of
that core for each session.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import StreamInfo
from mimamba.models.signal.hop_quality import QualityLimits, detect_faults
from mimamba.models.signal.measures import REASONS, ChannelQuality, Quality
from mimamba.models.signal.sliding_window import QUARTERS, Window, quarter_length

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
    """Scores of amplitudes in µV, one row per scale of ``SCALES``: (n_scales, n_channels)."""
    over = np.log(np.maximum(amplitudes, GOOD) / GOOD)
    scores: NDArray[np.float64] = np.maximum(1 - over / np.log(BAD / GOOD), LEAST)
    return scores


class QualityMeter:
    """Measures the signal quality of all channels of a source from its newest 2 s.

    There is no result until 2 s have arrived, or if every channel lost more than 0.1 s in a row. A
    channel that alone has no values counts as flat. Sources below 32 Hz are measured every eight
    samples.

    Parameters
    ----------
    info
        Description of the source.
    """

    def __init__(self, info: StreamInfo) -> None:
        self._names = info.ch_names
        self._limits = QualityLimits.of(info)
        n_times = QUARTERS * quarter_length(info.sfreq)
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_times) / n_times)
        self._taper = hann
        self._bands = _bands(n_times, info.sfreq).T * (2 / (n_times * np.sum(hann**2)))
        # Each quarter is examined once; its result is kept in row number modulo 8.
        self._step = quarter_length(info.sfreq)
        self._number: int | None = None  # of the newest quarter; None if the eight are unknown
        self._faulty = np.zeros((QUARTERS, 3, info.n_channels), np.bool_)
        self._medians = np.zeros((QUARTERS, info.n_channels))

    def measure(self, window: Window) -> Quality | None:
        """Measure the quality of one window of 2 s; None if there is nothing to measure."""
        if window.samples is None or not window.usable.any():
            self._number = None
            return None
        self._examine(window.index // self._step, window.samples)
        scores = self._scores(window.samples)
        percent = np.rint(100 * scores.min(axis=0)).astype(int).tolist()
        qualities = map(_channel_quality, percent, scores.argmin(axis=0).tolist())
        channels = dict(zip(self._names, qualities, strict=True))
        return Quality(window.index, window.timestamp, channels)

    def _examine(self, number: int, samples: NDArray[np.float64]) -> None:
        """Keep the result of the quarter with this number, or of all eight after a gap.

        A quarter's samples never change, so its result can be kept.
        """
        fresh = samples.reshape(len(samples), QUARTERS, -1)
        if self._number == number - 1:
            fresh = fresh[:, -1:]
        self._number = number
        rows = np.arange(number - fresh.shape[1] + 1, number + 1) % QUARTERS
        faults = detect_faults(fresh, self._limits)
        for nth, fault in enumerate((faults.railed, faults.flat | faults.stuck, faults.noisy)):
            self._faulty[rows, nth] = fault.T
        self._medians[rows] = _medians(fresh).T

    def _scores(self, samples: NDArray[np.float64]) -> NDArray[np.float64]:
        """Score that each reason alone would give, (n_reasons, n_channels)."""
        # One faulty quarter halves the score, two make it 0.
        railed, flat, noisy = np.maximum(1.0 - self._faulty.sum(axis=0) / 2, 0.0)
        if self._limits.railed is None:
            railed = np.minimum(railed, _unclipped(samples))
        medians = np.sort(self._medians, axis=0)
        # Drop the two lowest and two highest: a blink can reach into two quarters.
        drift = medians[-3] - medians[2]
        slow, fast, *hum = self._amplitudes(samples)
        scores = _score(np.stack([slow, fast, np.maximum.reduce(hum), fast, drift]))
        contact = np.minimum(noisy, np.minimum(scores[0], scores[1]))
        return np.stack([railed, flat, contact, *scores[2:]])

    def _amplitudes(self, samples: NDArray[np.float64]) -> NDArray[np.float64]:
        """RMS in µV of the rows of ``_bands``, (2 + n_mains, n_channels)."""
        centred = samples - samples.mean(axis=1, keepdims=True)
        power = np.abs(np.fft.rfft(centred * self._taper)) ** 2
        rms: NDArray[np.float64] = np.sqrt(np.maximum(power @ self._bands, 0.0)).T
        return rms


def _medians(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median over the last axis, like `np.median` in a quarter of its time."""
    ordered, n_times = np.sort(samples), samples.shape[-1]
    median: NDArray[np.float64] = (
        ordered[..., n_times // 2] + ordered[..., (n_times - 1) // 2]
    ) / 2
    return median


def _unclipped(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Score (n_channels,): 0 for a channel clipped at both ends by an unknown range, else 1."""
    low, high = samples.min(axis=1, keepdims=True), samples.max(axis=1, keepdims=True)
    clipped = np.mean((samples == low) | (samples == high), axis=1) > CLIPPED_SHARE
    wide = (high - low)[:, 0] > CLIPPED_UV
    return np.where(clipped & wide, 0.0, 1.0)


def _bands(n_times: int, sfreq: float) -> NDArray[np.float64]:
    """Weights that sum a spectrum's power, (2 + n_mains, n_freqs).

    The rows are 1 to 4 Hz, 30 to 100 Hz without mains, and each mains frequency minus the level
    around it, so that muscle does not count as hum.
    """
    freqs = np.fft.rfftfreq(n_times, 1 / sfreq)
    lines = [np.abs(freqs - mains) <= MAINS_HALF_WIDTH for mains in MAINS]
    twice = [np.abs(freqs - 2 * mains) <= MAINS_HALF_WIDTH for mains in MAINS]
    clear = ~np.any(lines + twice, axis=0)
    fast = clear & (freqs >= 30.0) & (freqs < min(100.0, 0.45 * sfreq))
    rows = [(freqs >= 1.0) & (freqs < 4.0), fast]
    for mains, line in zip(MAINS, lines, strict=True):
        around = clear & (np.abs(freqs - mains) <= 5.0)
        level = line.sum() / max(around.sum(), 1)
        rows.append(line - level * around)
    return np.array(rows, np.float64)
