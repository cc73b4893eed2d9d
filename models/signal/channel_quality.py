"""How good each channel's signal is, for people: a score from 0 to 1, and why it is not higher.

Whether a hop may be stepped is another question (``models.signal.hop_quality``). What makes a hop
poor scores low here too; hum, muscle and drift are told besides, although the model copes with
them.

An update takes 0.3 ms for 4 channels at 256 Hz and 0.8 ms for 64, on one slow core: 0.1 to 0.3 % of
it for each session.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import StreamInfo
from mimamba.models.signal.hop_quality import Limits, judge
from mimamba.models.signal.sliding_window import QUARTERS, Window, quarter_length

QualityReason: TypeAlias = Literal["railed", "flat", "no contact", "mains hum", "muscle", "drift"]
REASONS: tuple[QualityReason, ...] = (
    "railed",
    "flat",
    "no contact",
    "mains hum",
    "muscle",
    "drift",
)
"""Of several with the same score, the first is told."""
TOLD_BELOW = 0.7
"""The score under which a reason is told."""
MAINS = (50.0, 60.0)
LINE = 1.3
"""Half the width of mains, Hz: the spectrum resolves 1 Hz, and a headset's clock is off by some."""
HELD_SHARE, HELD_UV = 0.03, 500.0
"""Share of samples at a swing's two ends, and the swing, from which an unknown range is met."""


@dataclass(frozen=True, slots=True)
class ChannelQuality:
    """A score from 0 (useless) to 1 (good), and what lowers it most where it is under 0.7."""

    score: float
    reason: QualityReason | None


@cache
def _channel_quality(percent: int, reason: int) -> ChannelQuality:
    """The same object for the same values: five minutes of 64 channels are 77,000 of them."""
    score = percent / 100
    return ChannelQuality(score, REASONS[reason] if score < TOLD_BELOW else None)


@dataclass(frozen=True)
class Quality:
    """Every channel's quality over the 2 s up to a sample.

    Parameters
    ----------
    index
        The newest sample looked at, counted as ``Chunk.first`` is.
    timestamp
        Its time, seconds.
    channels
        By name, in the source's order.
    """

    index: int
    timestamp: float
    channels: dict[str, ChannelQuality]


@dataclass(frozen=True)
class ScoreScale:
    """From an amplitude to a score: 1 up to ``good`` µV, falling with its logarithm.

    At ``bad`` µV it would be 0, but it never falls below ``least``.
    """

    good: float
    bad: float
    least: float = 0.0


# RMS in µV over 2 s with a Hann window, as measured; what the model's band-pass or the model itself
# copes with never scores 0.
SWAY = ScoreScale(150.0, 300.0)
"""1 to 4 Hz beyond which an electrode is loose: no contact.

Measured: heavy blinks reach 90 on a Muse; a headset that is being put on, 240 to 600.
"""
NOISE = ScoreScale(100.0, 180.0)
"""30 to 100 Hz without mains, beyond which it is no muscle any more: no contact.

Measured: jaw clenches reach 106 (OpenBCI). Simulated noise of 250 over all frequencies has 185.
"""
HUM = ScoreScale(10.0, 200.0, least=0.2)
"""50 or 60 Hz less what is around it; told from 25.

Measured: laboratory under 1, most of a Muse's channels under 10; TP9 in six visual experiments 35
to 62 (50 Hz); an OpenBCI with sound EEG 65 to 410, sub-04 of a study 10 to 200 (60 Hz), and 800
where that rails.
"""
MUSCLE = ScoreScale(12.0, 100.0, least=0.3)
"""30 to 100 Hz without mains; told from 23.

Measured: medians of 1 (laboratory) to 10; jaw clenches 40 to 106; simulated bursts 10 to 45.
"""
DRIFT = ScoreScale(40.0, 400.0, least=0.3)
"""µV between the third lowest and the third highest quarter's median; told from 80, 110 µV/s.

Measured: at most 57 in 99 % of a Muse's windows; medians of 29 to 123 on an OpenBCI whose offsets
of tens of mV settle.
"""

SCALES = (SWAY, NOISE, HUM, MUSCLE, DRIFT)
GOOD, BAD, LEAST = (
    np.array([[getattr(scale, end)] for scale in SCALES]) for end in ("good", "bad", "least")
)


def _score(amplitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n_scales, n_channels) scores of what was measured on each of the ``SCALES``, µV."""
    over = np.log(np.maximum(amplitudes, GOOD) / GOOD)
    scores: NDArray[np.float64] = np.maximum(1 - over / np.log(BAD / GOOD), LEAST)
    return scores


class QualityMeter:
    """The quality of all channels of a source, from its newest 2 s.

    Nothing is told where 2 s are not there yet, or no channel has them without losing more than
    0.1 s in a row. A channel that alone has no values is flat. Sources under 32 Hz are judged at
    every eighth sample.

    Parameters
    ----------
    info
        The source's facts.
    """

    def __init__(self, info: StreamInfo) -> None:
        self._names = info.ch_names
        self._limits = Limits.of(info)
        n_times = QUARTERS * quarter_length(info.sfreq)
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_times) / n_times)
        self._taper = hann
        self._bands = _bands(n_times, info.sfreq).T * (2 / (n_times * np.sum(hann**2)))
        # What each quarter says by itself, in the row of its number modulo 8: it is judged once.
        self._step = quarter_length(info.sfreq)
        self._number: int | None = None  # of the newest; None where the eight are not known
        self._faulty = np.zeros((QUARTERS, 3, info.n_channels), np.bool_)
        self._medians = np.zeros((QUARTERS, info.n_channels))

    def measure(self, newest: Window) -> Quality | None:
        """The quality of the 2 s up to a quarter's end; None where there is nothing to tell."""
        if newest.samples is None or not newest.there.any():
            self._number = None
            return None
        self._judge(newest.index // self._step, newest.samples)
        scores = self._scores(newest.samples)
        percent = np.rint(100 * scores.min(axis=0)).astype(int).tolist()
        qualities = map(_channel_quality, percent, scores.argmin(axis=0).tolist())
        channels = dict(zip(self._names, qualities, strict=True))
        return Quality(newest.index, newest.timestamp, channels)

    def _judge(self, number: int, samples: NDArray[np.float64]) -> None:
        """Keep what the quarter of this number says, or all eight where those before are unknown.

        A quarter's samples are the same whenever it is looked at.
        """
        fresh = samples.reshape(len(samples), QUARTERS, -1)
        if self._number == number - 1:
            fresh = fresh[:, -1:]
        self._number = number
        rows = np.arange(number - fresh.shape[1] + 1, number + 1) % QUARTERS
        faults = judge(fresh, self._limits)
        for nth, fault in enumerate((faults.railed, faults.flat | faults.stuck, faults.wild)):
            self._faulty[rows, nth] = fault.T
        self._medians[rows] = _medians(fresh).T

    def _scores(self, samples: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n_reasons, n_channels): what each reason alone would leave of the score."""
        # One quarter at fault leaves half, two leave nothing.
        railed, flat, wild = np.maximum(1.0 - self._faulty.sum(axis=0) / 2, 0.0)
        if self._limits.railed is None:
            railed = np.minimum(railed, _off_rails(samples))
        medians = np.sort(self._medians, axis=0)
        # Without the two lowest and the two highest: a blink reaches into two quarters.
        wander = medians[-3] - medians[2]
        sway, fast, *hum = self._amplitudes(samples)
        scores = _score(np.stack([sway, fast, np.maximum.reduce(hum), fast, wander]))
        contact = np.minimum(wild, np.minimum(scores[0], scores[1]))
        return np.stack([railed, flat, contact, *scores[2:]])

    def _amplitudes(self, samples: NDArray[np.float64]) -> NDArray[np.float64]:
        """(2 + n_mains, n_channels) RMS of what ``_bands`` weighs, µV."""
        centred = samples - samples.mean(axis=1, keepdims=True)
        power = np.abs(np.fft.rfft(centred * self._taper)) ** 2
        rms: NDArray[np.float64] = np.sqrt(np.maximum(power @ self._bands, 0.0)).T
        return rms


def _medians(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., n_times) to (...); as `np.median`, in a quarter of its time."""
    ordered, n_times = np.sort(samples), samples.shape[-1]
    median: NDArray[np.float64] = (
        ordered[..., n_times // 2] + ordered[..., (n_times - 1) // 2]
    ) / 2
    return median


def _off_rails(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n_channels,) 0 where a swing is held at its ends, as by an unknown range; else 1."""
    low, high = samples.min(axis=1, keepdims=True), samples.max(axis=1, keepdims=True)
    held = np.mean((samples == low) | (samples == high), axis=1) > HELD_SHARE
    wide = (high - low)[:, 0] > HELD_UV
    return np.where(held & wide, 0.0, 1.0)


def _bands(n_times: int, sfreq: float) -> NDArray[np.float64]:
    """(2 + n_mains, n_frequencies): weights that sum a spectrum's power.

    The rows are 1 to 4 Hz; 30 to 100 Hz without mains; and each mains frequency less the level
    around it, so that muscle is no hum.
    """
    freqs = np.fft.rfftfreq(n_times, 1 / sfreq)
    lines = [np.abs(freqs - mains) <= LINE for mains in MAINS]
    twice = [np.abs(freqs - 2 * mains) <= LINE for mains in MAINS]
    clear = ~np.any(lines + twice, axis=0)
    fast = clear & (freqs >= 30.0) & (freqs < min(100.0, 0.45 * sfreq))
    rows = [(freqs >= 1.0) & (freqs < 4.0), fast]
    for mains, line in zip(MAINS, lines, strict=True):
        around = clear & (np.abs(freqs - mains) <= 5.0)
        level = line.sum() / max(around.sum(), 1)
        rows.append(line - level * around)
    return np.array(rows, np.float64)
