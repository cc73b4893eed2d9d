"""From chunks to hops: gaps, warm-up, signal quality, and the window that the model sees.

What comes out is a function of the samples and their indices. Samples wait until a hop has all of
its own; whatever is computed, is computed on those, so neither time nor the borders of chunks
enter. A chunk that completes no hop costs 1 µs; the work is done once per hop, and at once for all
hops that a long chunk completes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.models.prediction import Status
from mimamba.models.signal.chunk_buffer import ChunkBuffer
from mimamba.models.signal.hop_quality import Limits, describe_faults, find_faults
from mimamba.models.signal.preprocessing import SignalConfig, SignalPath
from mimamba.models.signal.segment import Segment, extend

BRIDGED = 0.1
"""Seconds of lost samples up to which a gap is bridged by a straight line; longer ones restart."""
HELD = 2.0
"""Seconds of poor signal in a row after which the state is too old to go on from."""

IMPOSSIBLE_UV = 1e8
"""µV from which a value is a broken file's or driver's: 100 V, far above any converter's range."""


def bridged(sfreq: float) -> int:
    """How many lost samples are bridged; round-off must not cost one."""
    return int(BRIDGED * sfreq + 1e-6)


@dataclass(frozen=True, eq=False)
class Hop:
    """One step of the model's clock.

    Parameters
    ----------
    index
        The newest source sample received into it, counted as ``Chunk.first`` is.
    timestamp
        That sample's time, seconds.
    status
        ``ok``, or why the model must not be stepped.
    reason
        Why, in words; None where the status is ok.
    window
        (n_channels, n_times) float32, C-contiguous, in montage order, µV after the band-pass;
        None where the status is not ok.
    restart
        Whether the model's state must begin anew (r = 0) at this hop; never where it is not
        stepped.
    epoch
        The ``Chunk.epoch`` that the index is counted in.
    """

    index: int
    timestamp: float
    status: Status
    reason: str | None
    window: NDArray[np.float32] | None
    restart: bool
    epoch: int


@dataclass(frozen=True, eq=False)
class CutterState:
    """All that a cutter remembers; kept and set again, it takes the cutter back."""

    epoch: int | None = None
    end: int = 0
    stretch: Segment | None = None


class HopCutter:
    """Takes a source's chunks and gives the hops that they complete.

    Parameters
    ----------
    config
        The model's signal.
    info
        The source's facts.
    rows
        Its channels that stand for the model's electrodes, in montage order.
    names
        What these are called in reasons.

    Raises
    ------
    SignalError
        If the source's sfreq cannot serve the model.
    ValueError
        If rows and names do not fit each other or the source.
    """

    def __init__(
        self, config: SignalConfig, info: StreamInfo, rows: Sequence[int], names: Sequence[str]
    ) -> None:
        if len(rows) != len(names) or not all(0 <= row < info.n_channels for row in rows):
            raise ValueError(
                f"Expected rows under {info.n_channels}, each with a name, but "
                f"found rows {list(rows)} and names {list(names)}."
            )
        self._config = config
        self._path = SignalPath(config, info.sfreq)
        self._limits = Limits.of(info)
        self._rows = np.array(rows, dtype=np.intp)
        self._names = tuple(names)
        self._longest_step = bridged(info.sfreq) + 1  # the index grows by one more than was lost
        self.state = CutterState()

    @property
    def state(self) -> CutterState:
        """All that the past has left; set it again to go on from there."""
        self._extend_stretch([])  # no hop is due, or it would have been given
        return CutterState(self._waiting.epoch, self._waiting.end, self._stretch)

    @state.setter
    def state(self, state: CutterState) -> None:
        self._waiting = ChunkBuffer(state.epoch, state.end)
        self._stretch = state.stretch
        self._due = self._next_due()

    @property
    def delay(self) -> float:
        """Seconds by which a window shows the signal late, at 10 Hz."""
        return self._path.delay

    def feed(self, chunk: Chunk) -> list[Hop]:
        """The hops that this chunk completes, oldest first.

        Samples with a value that is not finite, or is ``IMPOSSIBLE_UV``, count as lost.

        Raises
        ------
        ValueError
            If the chunk goes back within its epoch.
        """
        if self._waiting.add(chunk):
            self._stretch = None
            self._due = self._next_due()
        hops: list[Hop] = []
        if chunk.end > self._due:
            self._extend_stretch(hops)
            self._due = self._next_due()
        return hops

    def _next_due(self) -> int:
        """The sample without which, or a later one, no hop is complete."""
        if self._stretch is None:
            return self._waiting.first + self._path.needs(0) - 1
        needed = self._path.needs(self._stretch.path.hops)
        return self._stretch.newest + needed - len(self._stretch.values)

    def _extend_stretch(self, hops: list[Hop]) -> None:
        """Let what waits be part of the stretch, or begin one; add the hops that are due then."""
        joined = self._waiting.take()
        if joined is None:
            return
        epoch, stretch = self._waiting.epoch, self._stretch
        assert epoch is not None
        values = joined.data[:, self._rows].astype(np.float64)
        index, stamps = joined.index, joined.stamps
        received = (np.abs(values) < IMPOSSIBLE_UV).all(axis=1)  # NaN is not
        if not received.all():
            index, stamps, values = index[received], stamps[received], values[received]
        for run in self._runs(index):
            if stretch is None or index[run.start] - stretch.newest > self._longest_step:
                stretch = self._begin(int(index[run.start]), values[run.start])
            stretch = extend(stretch, index[run], stamps[run], values[run])
            stretch = self._cut(stretch, epoch, hops)
        self._stretch = stretch

    def _runs(self, index: NDArray[np.int64]) -> list[slice]:
        """Where the received samples lie without a gap too long to bridge."""
        breaks = np.flatnonzero(np.diff(index) > self._longest_step) + 1
        borders = [0, *breaks.tolist(), len(index)]
        return [slice(start, stop) for start, stop in pairwise(borders) if start < stop]

    def _begin(self, index: int, sample: NDArray[np.float64]) -> Segment:
        """A stretch that this sample will be the first of."""
        none = np.empty(0)
        rows = np.empty((0, sample.size))
        sample = sample.copy()  # not a view that keeps a whole chunk in memory
        path = self._path.start(sample)
        return Segment(path, index - 1, sample, rows, none.astype(np.int64), none, rows)

    def _cut(self, stretch: Segment, epoch: int, hops: list[Hop]) -> Segment:
        """Add the hops that are due, all filtered at once; what is left waits."""
        count = self._path.holds(stretch.path.hops, len(stretch.values))
        if count == 0:
            return stretch
        ends = [self._path.needs(stretch.path.hops, n) for n in range(1, count + 1)]
        path, made = self._path.step(stretch.path, stretch.values[: ends[-1]], count)
        signal = np.concatenate([stretch.recent, made])
        said = self._judge(stretch, ends)
        restarts, poor, restart = self._restarts(stretch, [status for status, _ in said])
        for n, (status, reason) in enumerate(said):
            window = None
            if status == "ok":
                newest = len(stretch.recent) + (n + 1) * self._config.hop
                seen = signal[max(newest - self._config.window, 0) : newest]
                window = np.ascontiguousarray(seen.T, dtype=np.float32)
            index, stamp = int(stretch.known[ends[n] - 1]), float(stretch.stamps[ends[n] - 1])
            hops.append(Hop(index, stamp, status, reason, window, restarts[n], epoch))
        # Copies, so that a few waiting samples do not keep a whole chunk in memory.
        return replace(
            stretch,
            path=path,
            values=stretch.values[ends[-1] :].copy(),
            known=stretch.known[ends[-1] :].copy(),
            stamps=stretch.stamps[ends[-1] :].copy(),
            recent=signal[-self._config.window :].copy(),
            poor=poor,
            restart=restart,
        )

    def _restarts(
        self, stretch: Segment, statuses: Sequence[Status]
    ) -> tuple[list[bool], int, bool]:
        """At which of these hops the state begins anew, and the stretch's two counts after them."""
        restarts, poor, restart = [], stretch.poor, stretch.restart
        for status in statuses:
            too_old = poor * self._config.hop >= HELD * self._config.sfreq
            restarts.append(status == "ok" and (restart or too_old))
            poor = poor + 1 if status == "poor_signal" else 0
            restart = restart and status != "ok"
        return restarts, poor, restart

    def _judge(self, stretch: Segment, ends: Sequence[int]) -> list[tuple[Status, str | None]]:
        """Status and reason of the hops that the samples up to each of these ends complete.

        Warming up goes before poor signal: until the first full window neither is stepped.
        """
        sfreq, full = self._config.sfreq, self._config.window + self._config.settle
        first = stretch.newest + 1 - len(stretch.values)
        received = stretch.known[: ends[-1]] == np.arange(first, first + ends[-1])
        said: dict[int, tuple[Status, str | None]] = {}
        parts: dict[int, NDArray[np.float64]] = {}
        for n, (start, end) in enumerate(pairwise([0, *ends])):
            made = (stretch.path.hops + n + 1) * self._config.hop
            lost = end - start - int(np.count_nonzero(received[start:end]))
            if made < full:
                said[n] = "warming_up", f"warming up: {made / sfreq:.1f} of {full / sfreq:.1f} s"
            elif 2 * lost > end - start:
                said[n] = "poor_signal", f"{lost} of {end - start} samples lost"
            else:
                parts[n] = stretch.values[start:end][received[start:end]]
        for n, faults in zip(parts, find_faults([*parts.values()], self._limits), strict=True):
            reason = describe_faults(self._names, faults)
            said[n] = ("poor_signal", reason) if reason else ("ok", None)
        return [said[n] for n in range(len(ends))]
