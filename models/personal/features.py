"""Features of hops: log band power of each electrode, by the same code live, replayed and offline.

A hop's features depend on its window alone, so they are causal. Each is the mean over 1 Hz bands of
the log power that a baseline is measured by. So aligning by a baseline adds a constant to each
feature, and takes nothing from what tells two states apart.

Below 20 Hz is the default. Above it, scalp EEG is largely muscle (Whitham et al. 2007,
doi:10.1016/j.clinph.2007.04.027), and a smile or a frown would pass for a feeling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.drivers.formats.recording import Recording
from mimamba.models.prediction import Status
from mimamba.models.signal.baseline import (
    BAND_CENTRES,
    BAND_EDGES,
    MIN_POWER,
    TARGET_LOG_POWER,
    AlignerState,
    Baseline,
    BaselineAligner,
)
from mimamba.models.signal.hops import CutterState, Hop, HopCutter
from mimamba.models.signal.montage import match_montage
from mimamba.models.signal.preprocessing import SignalConfig

SIGNAL = SignalConfig(window=512, hop=128)
"""Windows of 4 s, one per second, 1 to 40 Hz."""
EDGES = (1.0, 4.0, 8.0, 13.0, 20.0, 30.0, 40.0)
"""Edges of the bands, Hz: delta, theta, alpha, low beta; high beta, gamma."""
FeatureSet: TypeAlias = Literal["below-20", "above-20", "below-40"]
BANDS_OF: dict[FeatureSet, slice] = {
    "below-20": slice(0, 4),
    "above-20": slice(4, 6),
    "below-40": slice(0, 6),
}
"""Bands of each set of features; the second is muscle."""
CHUNK_SECONDS = 16.0
"""Seconds of a recording to measure in one go; the result does not depend on it."""


@dataclass(frozen=True, eq=False)
class HopFeatures:
    """Features of one hop.

    Parameters
    ----------
    index
        Index of the newest source sample in the hop, counted like ``Chunk.first``.
    timestamp
        Time of that sample, seconds.
    status, reason
        As in ``Hop``.
    values
        (n_bands x n_electrodes,) natural logarithm of µV²/Hz, bands first; None unless the status
        is ``ok``.
    restart
        True if nothing before this hop may be continued.
    """

    index: int
    timestamp: float
    status: Status
    reason: str | None
    values: NDArray[np.float64] | None
    restart: bool


class BandFeatures:
    """Measures the features of windows.

    Parameters
    ----------
    signal
        Signal settings of the windows.
    """

    def __init__(self, signal: SignalConfig = SIGNAL) -> None:
        self._taper = np.hanning(signal.window)
        edges = np.searchsorted(np.fft.rfftfreq(signal.window, 1 / signal.sfreq), BAND_EDGES)
        self._bins = slice(int(edges[0]), int(edges[-1]))
        # Two numbers for each bin: real and imaginary part.
        self._starts = 2 * (edges[:-1] - edges[0])
        self._scale = 2.0 / (signal.sfreq * np.square(self._taper).sum() * np.diff(edges))
        band = np.digitize(BAND_CENTRES, EDGES) - 1  # of each 1 Hz band
        inside = band == np.arange(len(EDGES) - 1)[:, np.newaxis]
        self._means = inside / inside.sum(axis=1, keepdims=True)  # (n_bands, 39)

    def measure(self, window: NDArray[np.float32]) -> NDArray[np.float64]:
        """Measure a window (n_channels, n_times), µV; the result is (n_bands x n_channels,)."""
        spectrum = np.fft.rfft(window * self._taper)[:, self._bins]
        parts = np.ascontiguousarray(spectrum).view(np.float64)
        power = np.add.reduceat(parts * parts, self._starts, axis=1) * self._scale
        means: NDArray[np.float64] = self._means @ np.log(np.maximum(power, MIN_POWER)).T
        return means.ravel()

    def shift(self, baseline: Baseline) -> NDArray[np.float64]:
        """Return what aligning by a baseline adds to the features, (n_bands x n_channels,)."""
        means: NDArray[np.float64] = self._means @ (TARGET_LOG_POWER - baseline.log_power).T
        return means.ravel()


def columns(features: FeatureSet, n_electrodes: int) -> slice:
    """Return the columns of a set of features among all."""
    bands = BANDS_OF[features]
    return slice(bands.start * n_electrodes, bands.stop * n_electrodes)


class FeatureStream:
    """Turns a source's chunks into the features of its hops, whatever the chunks' borders.

    Parameters
    ----------
    info
        Description of the source.
    montage
        Electrodes to measure.
    baseline
        Rest to align by from the first hop on.

    Raises
    ------
    MontageError
        If the source's channels cannot replace the electrodes.
    SignalError
        If the source's sampling frequency is unsuitable.
    """

    def __init__(
        self, info: StreamInfo, montage: Sequence[str], baseline: Baseline | None = None
    ) -> None:
        self.electrodes = match_montage(montage, info.ch_names)
        rows = [electrode.row for electrode in self.electrodes]
        names = [electrode.channel for electrode in self.electrodes]
        self._cutter = HopCutter(SIGNAL, info, rows, names)
        self._aligner = BaselineAligner(SIGNAL, baseline, windows=False)
        self._features = BandFeatures(SIGNAL)
        self._shift: tuple[Baseline, NDArray[np.float64]] | None = None  # of the last baseline

    @property
    def baseline(self) -> Baseline | None:
        """Rest by which hops are aligned, or None."""
        return self._aligner.state.baseline

    @property
    def state(self) -> tuple[CutterState, AlignerState]:
        """Complete state; set it to continue from there."""
        return self._cutter.state, self._aligner.state

    @state.setter
    def state(self, state: tuple[CutterState, AlignerState]) -> None:
        self._cutter.state, self._aligner.state = state

    @property
    def rested(self) -> float:
        """Seconds of the rest that is being measured so far, or of the measured one; else 0."""
        state = self._aligner.state
        if state.target:
            return state.n_hops * SIGNAL.hop / SIGNAL.sfreq
        return state.baseline.seconds if state.baseline else 0.0

    def start_baseline(self, seconds: float) -> None:
        """Measure the person's rest on the next ``seconds`` of good signal."""
        self._aligner.start(seconds)

    def feed(self, chunk: Chunk) -> list[HopFeatures]:
        """Return the features of the hops that this chunk completes, in order."""
        return [self.measure(hop) for hop in self._cutter.feed(chunk)]

    def measure(self, hop: Hop) -> HopFeatures:
        """Measure a hop as a cutter of the same signal and electrodes gives it, and align that."""
        hop = self._aligner.feed(hop)
        values = None
        if hop.window is not None:
            values = self._features.measure(hop.window)
            if (baseline := self.baseline) is not None:
                values += self._shift_by(baseline)
        return HopFeatures(hop.index, hop.timestamp, hop.status, hop.reason, values, hop.restart)

    def _shift_by(self, baseline: Baseline) -> NDArray[np.float64]:
        if self._shift is None or self._shift[0] is not baseline:
            self._shift = baseline, self._features.shift(baseline)
        return self._shift[1]


@dataclass(frozen=True, eq=False)
class FeatureTrack:
    """Features of all hops of a recording.

    Parameters
    ----------
    index
        (H,) position of the newest sample of each hop.
    values
        (H, n_features); NaN where a hop is not ``ok``.
    reach
        Samples that a window reaches back from its newest sample, itself included.
    baseline
        Rest that the later hops were aligned by, or None.
    """

    index: NDArray[np.int64]
    values: NDArray[np.float64]
    reach: int
    baseline: Baseline | None

    @property
    def ok(self) -> NDArray[np.bool_]:
        """(H,) True where a hop is ``ok``."""
        return ~np.isnan(self.values[:, 0])

    def within(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the hops whose whole window lies in samples ``start`` to ``stop`` (excluded)."""
        inside = (self.index - self.reach + 1 >= start) & (self.index < stop)
        return np.flatnonzero(inside)


def track_features(
    recording: Recording, montage: Sequence[str], baseline: float = 0.0
) -> FeatureTrack:
    """Measure all hops of a recording.

    Parameters
    ----------
    recording
        The recording.
    montage
        Electrodes to measure.
    baseline
        Seconds of good signal at the start that are the person's rest; 0 for no alignment.

    Raises
    ------
    MontageError, SignalError
        If the recording is unsuitable.
    """
    stream = FeatureStream(recording.info, montage)
    if baseline:
        stream.start_baseline(baseline)
    chunks = recording.chunks(round(CHUNK_SECONDS * recording.info.sfreq))
    hops = [hop for chunk in chunks for hop in stream.feed(chunk)]
    none = np.full((len(EDGES) - 1) * len(montage), np.nan)
    values = [none if hop.values is None else hop.values for hop in hops]
    reach = round(SIGNAL.window / SIGNAL.sfreq * recording.info.sfreq)
    return FeatureTrack(
        np.array([hop.index for hop in hops], np.int64),
        np.array(values).reshape(len(hops), len(none)),
        reach,
        stream.baseline,
    )
