"""How good each channel's signal is, for people: a score from 0 to 1, and why it is not higher.

Whether a hop may be stepped is another question (``models.quality``). What makes a hop poor scores
low here too; hum, muscle and drift are told besides, although the model copes with them.

An update takes 0.3 ms for 4 channels at 256 Hz and 0.8 ms for 64, on one slow core: 0.1 to 0.3 % of
it for each session.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from drivers.base import Chunk, StreamInfo
from models.hops import BRIDGED, IMPOSSIBLE_UV
from models.quality import Limits, find_faults
from models.signal import LEAST_SAMPLES

Reason: TypeAlias = Literal["railed", "flat", "no contact", "mains hum", "muscle", "drift"]
REASONS: tuple[Reason, ...] = ("railed", "flat", "no contact", "mains hum", "muscle", "drift")
"""Of several with the same score, the first is told."""
RATE = 4.0
"""Updates per second of signal."""
QUARTERS = 8
"""Stretches between two updates that are looked at: 2 s, so that 0.5 Hz is told from a drift."""
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
    reason: Reason | None


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
class Scale:
    """From an amplitude to a score: 1 up to ``good`` µV, falling with its logarithm.

    At ``bad`` µV it would be 0, but it never falls below ``least``.
    """

    good: float
    bad: float
    least: float = 0.0

    def score(self, amplitude: NDArray[np.float64]) -> NDArray[np.float64]:
        over = np.log(np.maximum(amplitude, self.good) / self.good)
        score: NDArray[np.float64] = np.maximum(1 - over / np.log(self.bad / self.good), self.least)
        return score


# RMS in µV over 2 s with a Hann window, as measured; what the model's band-pass or the model itself
# copes with never scores 0.
SWAY = Scale(150.0, 300.0)
"""1 to 4 Hz beyond which an electrode is loose: no contact.

Measured: heavy blinks reach 90 on a Muse; a headset that is being put on, 240 to 600.
"""
NOISE = Scale(100.0, 180.0)
"""30 to 100 Hz without mains, beyond which it is no muscle any more: no contact.

Measured: jaw clenches reach 106 (OpenBCI). Simulated noise of 250 over all frequencies has 185.
"""
HUM = Scale(10.0, 200.0, least=0.2)
"""50 or 60 Hz less what is around it; told from 25.

Measured: laboratory under 1, most of a Muse's channels under 10; TP9 in six visual experiments 35
to 62 (50 Hz); an OpenBCI with sound EEG 65 to 410, sub-04 of a study 10 to 200 (60 Hz), and 800
where that rails.
"""
MUSCLE = Scale(12.0, 100.0, least=0.3)
"""30 to 100 Hz without mains; told from 23.

Measured: medians of 1 (laboratory) to 10; jaw clenches 40 to 106; simulated bursts 10 to 45.
"""
DRIFT = Scale(40.0, 400.0, least=0.3)
"""µV between the third lowest and the third highest quarter's median; told from 80, 110 µV/s.

Measured: at most 57 in 99 % of a Muse's windows; medians of 29 to 123 on an OpenBCI whose offsets
of tens of mV settle.
"""


class QualityMeter:
    """Takes a source's chunks and gives the quality of all its channels four times a second.

    What comes out is a function of the samples and their indices: update n is about the 2 s up to
    sample (n + 1) x round(sfreq / 4) - 1. Lost samples up to 0.1 s are bridged by straight lines;
    longer gaps and new epochs start anew, and the next update comes when 2 s are there. A value
    that is missing on some channels only counts as the one before it. Sources under 32 Hz are
    judged at every eighth sample.

    Parameters
    ----------
    info
        The source's facts.
    """

    def __init__(self, info: StreamInfo) -> None:
        self._names = info.ch_names
        self._limits = Limits.of(info)
        self._step = max(LEAST_SAMPLES, round(info.sfreq / RATE))
        self._longest_step = int(BRIDGED * info.sfreq + 1e-6) + 1
        n_times = QUARTERS * self._step
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_times) / n_times)
        self._taper = hann[:, np.newaxis]
        self._bands = _bands(n_times, info.sfreq) * (2 / (n_times * np.sum(hann**2)))
        self._begin_epoch(None)

    def feed(self, chunk: Chunk) -> list[Quality]:
        """The updates that this chunk completes, oldest first."""
        if chunk.epoch != self._epoch:
            self._begin_epoch(chunk.epoch)
        values = chunk.data.astype(np.float64)
        usable = np.abs(values) < IMPOSSIBLE_UV  # NaN is not
        came = np.flatnonzero(usable.any(axis=1))
        if not usable.all():
            values = _fill(values, usable, self._last[1:])
        rows = np.column_stack([chunk.timestamps, values])[came]
        found: list[Quality] = []
        for run in self._runs(chunk.first + came):
            index = chunk.first + came[run]
            if self._newest is None or index[0] - self._newest > self._longest_step:
                self._begin_stretch(int(index[0]))
            self._extend(index, rows[run])
            found += self._measure()
        return found

    def _begin_epoch(self, epoch: int | None) -> None:
        self._epoch = epoch
        self._newest: int | None = None
        self._last = np.zeros(1 + len(self._names))  # a sample's time and values
        self._begin_stretch(0)
        self._newest = None

    def _begin_stretch(self, index: int) -> None:
        """Forget what was before this sample."""
        self._newest = index - 1
        self._first = index  # of the samples that wait
        self._waiting = np.empty((0, self._last.size))
        self._quarters: deque[Quarter] = deque(maxlen=QUARTERS)

    def _runs(self, index: NDArray[np.int64]) -> list[slice]:
        """Where the received samples lie without a gap too long to bridge."""
        breaks = np.flatnonzero(np.diff(index) > self._longest_step) + 1
        borders = [0, *breaks.tolist(), len(index)]
        return [slice(start, stop) for start, stop in pairwise(borders) if start < stop]

    def _extend(self, index: NDArray[np.int64], rows: NDArray[np.float64]) -> None:
        """Let received samples wait, at least one, with straight lines over what was lost."""
        assert self._newest is not None
        every = np.arange(self._newest + 1, index[-1] + 1)
        if every.size == index.size:
            filled = rows
        else:
            xs, ys = [self._newest, *index], np.vstack([self._last, rows])
            filled = np.column_stack([np.interp(every, xs, column) for column in ys.T])
        self._waiting = np.concatenate([self._waiting, filled])
        self._newest, self._last = int(index[-1]), rows[-1].copy()

    def _measure(self) -> list[Quality]:
        """The updates for which all samples wait."""
        found: list[Quality] = []
        while True:
            start = -self._first % self._step  # only a stretch's first samples are left out
            stop = start + self._step
            if len(self._waiting) < stop:
                return found
            quarter, self._waiting = self._waiting[start:stop], self._waiting[stop:].copy()
            self._first += stop
            self._quarters.append(Quarter.of(quarter[:, 1:], self._limits))
            if len(self._quarters) == QUARTERS:
                found.append(self._judge(float(quarter[-1, 0])))

    def _judge(self, timestamp: float) -> Quality:
        scores = self._scores()
        percent = np.rint(100 * scores.min(axis=0)).astype(int).tolist()
        qualities = map(_channel_quality, percent, scores.argmin(axis=0).tolist())
        channels = dict(zip(self._names, qualities, strict=True))
        return Quality(self._first - 1, timestamp, channels)

    def _scores(self) -> NDArray[np.float64]:
        """(n_reasons, n_channels): what each reason alone would leave of the score."""
        samples = np.concatenate([quarter.samples for quarter in self._quarters])
        # One quarter at fault leaves half, two leave nothing.
        faulty = np.stack([quarter.faulty for quarter in self._quarters]).sum(axis=0)
        railed, flat, wild = np.maximum(1.0 - faulty / 2, 0.0)
        if self._limits.railed is None:
            low, high = samples.min(axis=0), samples.max(axis=0)
            held = np.mean((samples == low) | (samples == high), axis=0) > HELD_SHARE
            railed = np.where(held & (high - low > HELD_UV), 0.0, railed)
        centred = (samples - samples.mean(axis=0)) * self._taper
        power = np.abs(np.fft.rfft(centred, axis=0)) ** 2
        sway, fast, *hum = np.sqrt(np.maximum(self._bands @ power, 0.0))
        medians = np.sort([quarter.median for quarter in self._quarters], axis=0)
        # Without the two lowest and the two highest: a blink reaches into two quarters.
        wander = medians[-3] - medians[2]
        contact = np.minimum(wild, np.minimum(SWAY.score(sway), NOISE.score(fast)))
        return np.stack(
            [
                railed,
                flat,
                contact,
                HUM.score(np.maximum.reduce(hum)),
                MUSCLE.score(fast),
                DRIFT.score(wander),
            ]
        )


@dataclass(frozen=True, eq=False)
class Quarter:
    """The signal between two updates.

    ``samples`` are (n_times, n_channels) µV; ``median`` is theirs, (n_channels,); ``faulty`` is
    (3, n_channels): whether it is railed, flat or wild, as ``models.quality`` has it.
    """

    samples: NDArray[np.float64]
    median: NDArray[np.float64]
    faulty: NDArray[np.bool_]

    @classmethod
    def of(cls, samples: NDArray[np.float64], limits: Limits) -> Quarter:
        faulty = np.zeros((3, samples.shape[1]), np.bool_)
        for k, fault in enumerate(find_faults(samples, limits)):
            if fault is not None:
                faulty[{"railed": 0, "flat": 1, "stuck": 1}.get(fault, 2), k] = True
        return cls(samples, np.median(samples, axis=0), faulty)


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


def _fill(
    values: NDArray[np.float64], usable: NDArray[np.bool_], before: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Each value that is not usable becomes the last one that was, at first ``before``."""
    joined = np.vstack([before, values])
    at = np.arange(1, len(joined))[:, np.newaxis] * usable
    return np.take_along_axis(joined, np.maximum.accumulate(at, axis=0), axis=0)
