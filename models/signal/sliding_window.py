"""The newest 2 s of a source, four times a second: the input of channel quality and band power.

The samples are handled in quarters of a second. A chunk that completes no quarter costs 1 µs; the
work is done four times a second, once for both measures.
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
from mimamba.models.signal.hops import IMPOSSIBLE_UV, max_gap_samples
from mimamba.models.signal.preprocessing import MIN_HOP_SAMPLES

Point: TypeAlias = tuple[int, NDArray[np.float64]]
"""A sample's index and values, (n_channels,) µV."""
QUARTER_RATE = 4.0
"""Quarters per second of signal."""
QUARTERS = 8
"""Quarters in a window: 2 s, long enough to separate 0.5 Hz from a drift."""


def quarter_length(sfreq: float) -> int:
    """Return the samples in a quarter of a second, at least eight: fewer carry no information."""
    return max(MIN_HOP_SAMPLES, round(sfreq / QUARTER_RATE))


@dataclass(frozen=True, eq=False)
class Window:
    """The newest 2 s of signal, up to the end of a quarter.

    Parameters
    ----------
    index
        Index of the quarter's last sample, counted like ``Chunk.first``.
    timestamp
        Time of that sample, seconds; extrapolated from the newest one before if it was lost.
    samples
        (n_channels, n_times) raw µV, C-contiguous. Missing samples are interpolated linearly; in
        gaps above 0.1 s a neighbouring value is held. None until 2 s have arrived.
    usable
        (n_channels,) True if at most 0.1 s in a row are missing.
    """

    index: int
    timestamp: float
    samples: NDArray[np.float64] | None
    usable: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class WindowState:
    """Complete state of a ``SlidingWindow``. Its arrays are never modified.

    Parameters
    ----------
    epoch, last
        Epoch, and index after that of the newest sample.
    waiting
        Samples of the unfinished quarter; None if there are none.
    end
        Index after the newest complete quarter; None before the first.
    samples
        (n_quarters, n_channels, n_times) µV of the newest quarters, up to eight.
    missing
        (n_quarters, n_times, n_channels) True where a sample was lost.
    known, known_at
        (n_channels,) newest value of each channel, and its index; -1 before the first.
    """

    epoch: int | None
    last: int
    waiting: JoinedSamples | None
    end: int | None
    samples: NDArray[np.float64]
    missing: NDArray[np.bool_]
    known: NDArray[np.float64]
    known_at: NDArray[np.int64]


class SlidingWindow:
    """Turns a source's chunks into one ``Window`` for each quarter that they complete.

    The windows depend only on the samples and their indices. Quarter n begins at sample
    n x ``quarter_length``; a quarter without any sample is left out. It is complete with its last
    sample, or with the first one after it if that was lost. Values that are not finite, or reach
    ``IMPOSSIBLE_UV``, are missing. A new epoch begins with an empty window.

    Parameters
    ----------
    info
        Description of the source.
    """

    def __init__(self, info: StreamInfo) -> None:
        self._sfreq = info.sfreq
        self._step = quarter_length(info.sfreq)
        self._longest = max_gap_samples(info.sfreq)
        self._n_channels = info.n_channels
        self._all = np.ones(info.n_channels, np.bool_)  # shared by all windows without a gap
        self._buffer = ChunkBuffer()
        self._end: int | None
        self._clear()

    @property
    def state(self) -> WindowState:
        """Complete state; set it to continue from there."""
        quarter = (self._step, self._n_channels)
        none = np.zeros(quarter, np.bool_)
        missing = [none if each is None else each for each in self._missing]
        return WindowState(
            self._buffer.epoch,
            self._buffer.end,
            self._buffer.join(),
            self._end,
            np.array([*self._samples]).reshape(-1, *quarter[::-1]),
            np.array(missing, np.bool_).reshape(-1, *quarter),
            self._known.copy(),
            self._known_at.copy(),
        )

    @state.setter
    def state(self, state: WindowState) -> None:
        self._buffer = ChunkBuffer(state.epoch, state.last)
        if state.waiting is not None:
            self._buffer.put_back(state.waiting)
        self._clear()
        self._end = state.end
        self._samples.extend(state.samples)
        self._missing.extend(each if each.any() else None for each in state.missing)
        self._known, self._known_at = state.known.copy(), state.known_at.copy()

    def feed(self, chunk: Chunk) -> list[Window]:
        """Return the windows of the quarters that this chunk completes, oldest first.

        Raises
        ------
        ValueError
            If the chunk goes back within its epoch.
        """
        if self._buffer.add(chunk):
            self._clear()
        border = chunk.end // self._step * self._step
        if self._buffer.first >= border:
            return []
        joined = self._buffer.take(border)
        return [] if joined is None else self._cut(joined)

    def _clear(self) -> None:
        self._end = None  # end of the newest quarter
        self._samples: deque[NDArray[np.float64]] = deque(maxlen=QUARTERS)
        self._missing: deque[NDArray[np.bool_] | None] = deque(maxlen=QUARTERS)
        # Newest value of each channel so far, and its index.
        self._known = np.zeros(self._n_channels)
        self._known_at = np.full(self._n_channels, -1)

    def _cut(self, joined: JoinedSamples) -> list[Window]:
        """Return the windows for samples that end with a complete quarter."""
        values = _usable(joined.data)
        if self._is_whole(joined.index, values):
            return self._cut_whole(joined, values)
        windows: list[Window] = []
        for start, stop in pairwise(self._borders(joined.index)):
            index = joined.index[start:stop]
            end = (int(index[0]) // self._step + 1) * self._step
            after: Point | None = None
            if index[-1] != end - 1:  # a later sample completes this quarter
                last = stop == len(values)
                after = self._after() if last else (joined.index[stop], values[stop])
            self._add(index, values[start:stop], end, after)
            stamp = float(joined.stamps[stop - 1] + (end - 1 - index[-1]) / self._sfreq)
            windows.append(self._window(end - 1, stamp))
        return windows

    def _is_whole(self, index: NDArray[np.int64], values: NDArray[np.float64]) -> bool:
        """Return whether these are whole quarters with every value, as almost always."""
        first, n_times = int(index[0]), len(index)
        return (
            first % self._step == 0
            and n_times % self._step == 0
            and int(index[-1]) - first == n_times - 1
            and not np.isnan(values).any()
        )

    def _cut_whole(self, joined: JoinedSamples, values: NDArray[np.float64]) -> list[Window]:
        """Return the windows for whole quarters without a missing value."""
        first, step = int(joined.index[0]), self._step
        if self._end is not None and first != self._end:
            self._clear()  # a whole quarter is missing: too long to bridge
        windows: list[Window] = []
        for start in range(0, len(values), step):
            self._samples.append(np.ascontiguousarray(values[start : start + step].T))
            self._missing.append(None)
            last = start + step - 1
            windows.append(self._window(first + last, float(joined.stamps[last])))
        self._end = first + len(values)
        self._known, self._known_at = values[-1].copy(), np.full(self._n_channels, self._end - 1)
        return windows

    def _borders(self, index: NDArray[np.int64]) -> list[int]:
        """Return the place at which each quarter begins, and the end; mostly there is only one."""
        if index[0] // self._step == index[-1] // self._step:
            return [0, len(index)]
        starts = np.flatnonzero(np.diff(index // self._step, prepend=-1))
        return [*starts.tolist(), len(index)]

    def _after(self) -> Point | None:
        """Return the oldest buffered sample."""
        head = self._buffer.head
        return None if head is None else (head.first, _usable(head.data[0]))

    def _add(
        self, index: NDArray[np.int64], values: NDArray[np.float64], end: int, after: Point | None
    ) -> None:
        """Append a quarter; ``after`` is the sample after it if its last one was lost."""
        if self._end is not None and end != self._end + self._step:
            self._clear()  # a whole quarter is missing: too long to bridge
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
        """Return one channel of a quarter with its gaps filled."""
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

    def _window(self, index: int, timestamp: float) -> Window:
        usable = self._all
        if len(self._samples) < QUARTERS:
            return Window(index, timestamp, None, ~usable)
        if any(missing is not None for missing in self._missing):
            usable = usable.copy()
            none = np.zeros((self._step, self._n_channels), np.bool_)
            rows = np.concatenate([none if each is None else each for each in self._missing])
            for k in np.flatnonzero(rows.any(axis=0)):
                holes = np.diff([-1, *np.flatnonzero(~rows[:, k]), len(rows)]) - 1
                usable[k] = holes.max() <= self._longest
        return Window(index, timestamp, np.concatenate(self._samples, axis=1), usable)


def _usable(data: Samples) -> NDArray[np.float64]:
    """Return the values as float64, NaN for those that are missing or impossible."""
    values = data.astype(np.float64)
    usable = np.abs(values) < IMPOSSIBLE_UV  # NaN is not
    if not usable.all():
        values[~usable] = np.nan
    return values
