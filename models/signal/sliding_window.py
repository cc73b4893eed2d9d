"""The newest 2 s of a source, a quarter of a second at a time: what quality and bands look at.

A chunk that completes no quarter costs 1 µs; the work is done four times a second, once for both.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, Samples, StreamInfo
from mimamba.models.signal.chunk_buffer import ChunkBuffer, JoinedSamples
from mimamba.models.signal.hops import IMPOSSIBLE_UV, bridged
from mimamba.models.signal.preprocessing import LEAST_SAMPLES

Point: TypeAlias = tuple[int, NDArray[np.float64]]
"""A sample's index and values, (n_channels,) µV."""
RATE = 4.0
"""Quarters per second of signal."""
QUARTERS = 8
"""Quarters that are looked at together: 2 s, so that 0.5 Hz is told from a drift."""


def quarter_length(sfreq: float) -> int:
    """Samples in a quarter of a second; eight at least, or they would say nothing."""
    return max(LEAST_SAMPLES, round(sfreq / RATE))


@dataclass(frozen=True, eq=False)
class Window:
    """The signal up to the end of a quarter.

    Parameters
    ----------
    index
        The quarter's last sample, counted as ``Chunk.first`` is.
    timestamp
        Its time, seconds; where it did not come, that of the newest one before, counted on.
    samples
        (n_channels, 2 s) raw µV, C-contiguous. What is missing lies on straight lines; where more
        than 0.1 s in a row are, a value beside is held. None where 2 s are not there yet.
    there
        (n_channels,) whether no more than 0.1 s in a row are missing.
    """

    index: int
    timestamp: float
    samples: NDArray[np.float64] | None
    there: NDArray[np.bool_]


class SlidingWindow:
    """Takes a source's chunks and gives, for each quarter that they complete, the newest 2 s.

    What comes out is a function of the samples and their indices. Quarter n is samples
    n x ``quarter_length`` and those that follow; one of which no sample came is left out. It is
    complete with its last sample, or the first one after it where that was lost. Values that are
    not finite, or ``IMPOSSIBLE_UV``, are missing. A new epoch starts anew.

    Parameters
    ----------
    info
        The source's facts.
    """

    def __init__(self, info: StreamInfo) -> None:
        self._sfreq = info.sfreq
        self._step = quarter_length(info.sfreq)
        self._longest = bridged(info.sfreq)
        self._n_channels = info.n_channels
        self._waiting = ChunkBuffer()
        self._forget()

    def feed(self, chunk: Chunk) -> list[Window]:
        """The quarters that this chunk completes, oldest first.

        Raises
        ------
        ValueError
            If the chunk goes back within its epoch.
        """
        if self._waiting.add(chunk):
            self._forget()
        border = chunk.end // self._step * self._step
        if self._waiting.first >= border:
            return []
        joined = self._waiting.take(border)
        return [] if joined is None else self._cut(joined)

    def _forget(self) -> None:
        self._end: int | None = None  # of the newest quarter
        self._samples: deque[NDArray[np.float64]] = deque(maxlen=QUARTERS)
        self._missing: deque[NDArray[np.bool_] | None] = deque(maxlen=QUARTERS)
        # Each channel's newest value so far, and its index.
        self._known = np.zeros(self._n_channels)
        self._known_at = np.full(self._n_channels, -1)

    def _cut(self, joined: JoinedSamples) -> list[Window]:
        """The quarters of samples of which the last is complete."""
        values = _usable(joined.data)
        found: list[Window] = []
        for start, stop in pairwise(self._borders(joined.index)):
            index = joined.index[start:stop]
            end = (int(index[0]) // self._step + 1) * self._step
            after: Point | None = None
            if index[-1] != end - 1:  # it took a later sample to complete this
                last = stop == len(values)
                after = self._after() if last else (joined.index[stop], values[stop])
            self._add(index, values[start:stop], end, after)
            stamp = float(joined.stamps[stop - 1] + (end - 1 - index[-1]) / self._sfreq)
            found.append(self._newest(end - 1, stamp))
        return found

    def _borders(self, index: NDArray[np.int64]) -> list[int]:
        """Where the samples of a quarter begin, and the end; mostly they are of one alone."""
        if index[0] // self._step == index[-1] // self._step:
            return [0, len(index)]
        starts = np.flatnonzero(np.diff(index // self._step, prepend=-1))
        return [*starts.tolist(), len(index)]

    def _after(self) -> Point | None:
        """The oldest sample that waits."""
        head = self._waiting.head
        return None if head is None else (head.first, _usable(head.data[0]))

    def _add(
        self, index: NDArray[np.int64], values: NDArray[np.float64], end: int, after: Point | None
    ) -> None:
        """One more quarter, of these samples; ``after`` is the next one where the last is lost."""
        if self._end is not None and end != self._end + self._step:
            self._forget()  # a quarter is missing, which is more than can be bridged
        self._end = end
        if len(values) == self._step and not np.isnan(values).any():
            self._samples.append(np.ascontiguousarray(values.T))
            self._missing.append(None)
            self._known, self._known_at = values[-1].copy(), np.full(self._n_channels, end - 1)
            return
        grid = np.full((self._step, self._n_channels), np.nan)
        grid[index - (end - self._step)] = values
        missing = np.isnan(grid)
        for k in np.flatnonzero(missing.any(axis=0)).tolist():
            grid[:, k] = self._bridge(grid[:, k], k, end, after)
        self._samples.append(np.ascontiguousarray(grid.T))
        self._missing.append(missing)
        for k in range(self._n_channels):
            if not missing[:, k].all():
                there = int(np.flatnonzero(~missing[:, k])[-1])
                self._known[k], self._known_at[k] = grid[there, k], end - self._step + there

    def _bridge(
        self, column: NDArray[np.float64], k: int, end: int, after: Point | None
    ) -> NDArray[np.float64]:
        """One channel of a quarter without holes."""
        every = np.arange(end - self._step, end)
        known = np.flatnonzero(~np.isnan(column))
        at, values = every[known].tolist(), column[known].tolist()
        if self._known_at[k] >= 0:
            at, values = [self._known_at[k], *at], [self._known[k], *values]
        if after is not None and not np.isnan(after[1][k]):
            at, values = [*at, after[0]], [*values, after[1][k]]
        if not at:
            return np.zeros(self._step)
        line: NDArray[np.float64] = np.interp(every, at, values)
        following = np.searchsorted(at, every)
        within = (following > 0) & (following < len(at))
        lost = np.diff(at, prepend=at[0])[following[within]] - 1
        line[within] = np.where(
            lost > self._longest, np.take(values, following[within]), line[within]
        )
        return line

    def _newest(self, index: int, timestamp: float) -> Window:
        there = np.ones(self._n_channels, np.bool_)
        if len(self._samples) < QUARTERS:
            return Window(index, timestamp, None, ~there)
        if any(missing is not None for missing in self._missing):
            none = np.zeros((self._step, self._n_channels), np.bool_)
            rows = np.concatenate([none if each is None else each for each in self._missing])
            for k in np.flatnonzero(rows.any(axis=0)):
                holes = np.diff([-1, *np.flatnonzero(~rows[:, k]), len(rows)]) - 1
                there[k] = holes.max() <= self._longest
        return Window(index, timestamp, np.concatenate(self._samples, axis=1), there)


def _usable(data: Samples) -> NDArray[np.float64]:
    """The values, NaN where they are not usable."""
    values = data.astype(np.float64)
    usable = np.abs(values) < IMPOSSIBLE_UV  # NaN is not
    if not usable.all():
        values[~usable] = np.nan
    return values
