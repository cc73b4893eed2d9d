"""The newest 2 s of a source, four times a second: the input of channel quality and band power.

Each sample is written once, to arrays that only grow, and windows are views of them. When they are
full, the newest 2 s are copied to new ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, Samples, Seconds, StreamInfo
from mimamba.models.signal.chunk_buffer import JoinedSamples, check_order, split_runs
from mimamba.models.signal.hops import IMPOSSIBLE_UV, max_gap_samples
from mimamba.models.signal.preprocessing import MIN_HOP_SAMPLES

Point: TypeAlias = tuple[int, NDArray[np.float64]]
"""A sample's index and values, (n_channels,) µV."""
QUARTER_RATE = 4.0
"""Quarters per second of signal."""
QUARTERS = 8
"""Quarters in a window: 2 s, long enough to separate 0.5 Hz from a drift."""
AT_ONCE = 4
"""Quarters that are written at once."""


def quarter_length(sfreq: float) -> int:
    """Return the samples in a quarter of a second, at least eight: fewer carry no information."""
    return max(MIN_HOP_SAMPLES, round(sfreq / QUARTER_RATE))


@dataclass(frozen=True, eq=False, slots=True)
class Window:
    """The newest 2 s of signal, up to the end of a quarter.

    Parameters
    ----------
    index
        Index of the quarter's last sample, counted like ``Chunk.first``.
    timestamp
        Time of that sample, seconds; extrapolated from the newest one before if it was lost.
    samples
        (n_channels, n_times) raw µV, a view of what never changes any more. Missing samples are
        interpolated linearly; in gaps above 0.1 s a neighbouring value is held. None until 2 s have
        arrived.
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
        self._length = QUARTERS * self._step
        self._longest = max_gap_samples(info.sfreq)
        self._n_channels = info.n_channels
        self._all = np.ones(info.n_channels, np.bool_)  # shared by all windows without a gap
        self._epoch: int | None = None
        self._last = 0
        # Columns are samples from ``_base`` on, up to ``_next``. Those before ``_quarter`` are of
        # complete quarters, in a row from ``_begun`` on. Earlier ones never change.
        self._values: NDArray[np.float64]  # (n_channels, n_columns)
        self._missing: NDArray[np.bool_]  # (n_channels, n_columns), of complete quarters
        self._stamps: Seconds  # (n_columns,), NaN for a sample that was lost
        self._base: int
        self._begun: int
        self._quarter: int
        self._next: int
        self._hole: int  # index after the newest missing value
        # Newest value of each channel before the sample ``_noted``, and its index.
        self._noted: int
        self._known: NDArray[np.float64]
        self._known_at: NDArray[np.int64]
        self._begin(0)

    @property
    def state(self) -> WindowState:
        """Complete state; set it to continue from there."""
        oldest = max(self._begun, self._quarter - self._length)
        n_quarters = (self._quarter - oldest) // self._step
        whole = slice(oldest - self._base, self._quarter - self._base)
        shape = (self._n_channels, n_quarters, self._step)
        known, known_at = self._newest_known()
        return WindowState(
            self._epoch,
            self._last,
            self._waiting(),
            self._quarter if n_quarters else None,
            self._values[:, whole].reshape(shape).transpose(1, 0, 2).copy(),
            self._missing[:, whole].reshape(shape).transpose(1, 2, 0).copy(),
            known.copy(),
            known_at.copy(),
        )

    @state.setter
    def state(self, state: WindowState) -> None:
        self._epoch, self._last = state.epoch, state.last
        n_times = len(state.samples) * self._step
        shape = (self._n_channels, n_times)
        self._begin(state.last if state.end is None else state.end - n_times)
        self._values[:, :n_times] = state.samples.transpose(1, 0, 2).reshape(shape)
        self._missing[:, :n_times] = state.missing.transpose(2, 0, 1).reshape(shape)
        self._quarter = self._next = self._noted = self._base + n_times
        self._known, self._known_at = state.known.copy(), state.known_at.copy()
        holes = np.flatnonzero(self._missing.any(axis=0))
        self._hole = self._base + int(holes[-1]) + 1 if len(holes) else self._base
        if state.waiting is not None:
            for run in split_runs(state.waiting):
                self._write(run.data, run.stamps, int(run.index[0]), [])

    def feed(self, chunk: Chunk) -> list[Window]:
        """Return the windows of the quarters that this chunk completes, oldest first.

        Raises
        ------
        ValueError
            If the chunk goes back within its epoch.
        """
        first = chunk.first
        if chunk.epoch != self._epoch:
            self._epoch = chunk.epoch
            self._begin(first)
        else:
            check_order(chunk, self._last)
        windows: list[Window] = []
        most = AT_ONCE * self._step
        for start in range(0, chunk.n_times, most):
            part = slice(start, start + most)
            self._write(chunk.data[part], chunk.timestamps[part], first + start, windows)
        self._last = chunk.end
        return windows

    def _begin(self, first: int) -> None:
        """Start over with the quarter of a sample."""
        self._base = self._begun = self._quarter = self._next = first // self._step * self._step
        self._hole = self._noted = self._base
        self._known = np.zeros(self._n_channels)
        self._known_at = np.full(self._n_channels, -1)
        self._renew(0)

    def _renew(self, kept: int) -> None:
        """Go on in new arrays, with the newest columns."""
        n_times = (QUARTERS + 1 + AT_ONCE) * self._step
        values = np.empty((self._n_channels, n_times))
        stamps = np.empty(n_times)
        missing = np.zeros((self._n_channels, n_times), np.bool_)
        if kept:
            old = slice(self._next - self._base - kept, self._next - self._base)
            values[:, :kept], stamps[:kept] = self._values[:, old], self._stamps[old]
            missing[:, :kept] = self._missing[:, old]
        self._values, self._stamps, self._missing = values, stamps, missing
        self._base = self._next - kept

    def _columns(self, n_times: int) -> slice:
        """Return the columns of the next samples; there may be as many as are written at once."""
        if self._next - self._base + n_times > len(self._stamps):
            self._renew(self._next - max(self._begun, self._quarter - self._length))
        at = self._next - self._base
        self._next += n_times
        return slice(at, at + n_times)

    def _write(self, data: Samples, stamps: Seconds, first: int, windows: list[Window]) -> None:
        """Write samples, and append the windows that they complete."""
        if first != self._next:
            self._skip(first, data[0], windows)
        place = self._columns(len(data))
        self._stamps[place] = stamps
        new = self._values[:, place]
        new[:] = data.T
        if not np.abs(data).max() < IMPOSSIBLE_UV:  # NaN is not
            unusable = ~(np.abs(new) < IMPOSSIBLE_UV)
            new[unusable] = np.nan
            self._hole = first + int(np.flatnonzero(unusable.any(axis=0))[-1]) + 1
        while self._next >= self._quarter + self._step:
            windows.append(self._complete())

    def _skip(self, first: int, sample: Samples, windows: list[Window]) -> None:
        """Go on at a later sample; those before it were lost."""
        if first >= self._quarter + self._step:
            if self._next > self._quarter:  # the unfinished quarter will get no more samples
                self._lose(self._quarter + self._step)
                windows.append(self._complete((first, _usable(sample))))
            if first >= self._quarter + self._step:
                self._begin(first)  # a whole quarter is missing: too long to bridge
        self._lose(first)

    def _lose(self, stop: int) -> None:
        """Leave out the samples before an index; there may be none."""
        if stop > self._next:
            place = self._columns(stop - self._next)
            self._values[:, place] = self._stamps[place] = np.nan
            self._hole = stop

    def _complete(self, after: Point | None = None) -> Window:
        """Complete the quarter; ``after`` is the sample after it if its last one was lost."""
        start, end = self._quarter, self._quarter + self._step
        if self._hole > start:
            self._bridge(after)
        self._quarter = end
        at = end - self._base
        stamp = float(self._stamps[at - 1])
        if np.isnan(stamp):
            stamps = self._stamps[at - self._step : at]
            newest = int(np.flatnonzero(~np.isnan(stamps))[-1])
            stamp = float(stamps[newest] + (self._step - 1 - newest) / self._sfreq)
        if end - self._begun < self._length:
            return Window(end - 1, stamp, None, ~self._all)
        place = slice(at - self._length, at)
        usable = self._all
        if self._hole > end - self._length:
            holes = _longest_holes(self._missing[:, place])
            usable = holes <= self._longest
        return Window(end - 1, stamp, self._values[:, place], usable)

    def _bridge(self, after: Point | None) -> None:
        """Fill the gaps of the quarter, and note the newest values up to its end."""
        known, known_at = self._newest_known()
        start, step = self._quarter, self._step
        place = slice(start - self._base, start - self._base + step)
        grid = self._values[:, place]
        missing = self._missing[:, place] = np.isnan(grid)
        every = np.arange(start, start + step)
        at = np.empty((self._n_channels, step + 2), np.int64)
        values = np.empty((self._n_channels, step + 2))
        at[:, 0], at[:, 1:-1], at[:, -1] = known_at, every, after[0] if after else start + step
        values[:, 0], values[:, 1:-1] = known, grid
        values[:, -1] = after[1] if after else np.nan
        there = ~np.isnan(values)
        there[:, 0] = known_at >= 0
        grid[missing] = _interpolate(at, values, there, missing, self._longest)
        newest = _places_before(there[:, :-1])[:, -1]
        rows = np.flatnonzero(newest >= 0)
        self._known, self._known_at = np.zeros(self._n_channels), np.full(self._n_channels, -1)
        self._known[rows] = values[rows, newest[rows]]
        self._known_at[rows] = at[rows, newest[rows]]
        self._noted = start + step

    def _newest_known(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return each channel's newest value before the quarter, and its index; -1 for none."""
        if self._noted == self._quarter:
            return self._known, self._known_at
        newest = self._quarter - 1  # the last quarter had every value
        return self._values[:, newest - self._base], np.full(self._n_channels, newest)

    def _waiting(self) -> JoinedSamples | None:
        """Return the received samples of the unfinished quarter; None if there are none."""
        place = slice(self._quarter - self._base, self._next - self._base)
        received = np.flatnonzero(~np.isnan(self._stamps[place]))
        if not len(received):
            return None
        data = self._values[:, place].T[received].astype(np.float32, order="C")
        return JoinedSamples(self._quarter + received, self._stamps[place][received], data)


def _usable(data: Samples) -> NDArray[np.float64]:
    """Return the values as float64, NaN for those that are missing or impossible."""
    values = data.astype(np.float64)
    values[~(np.abs(values) < IMPOSSIBLE_UV)] = np.nan
    return values


def _places_before(there: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return for each place of (n_channels, n_times) the newest one that is True; -1 for none."""
    places = np.where(there, np.arange(there.shape[1]), -1)
    newest: NDArray[np.int64] = np.maximum.accumulate(places, axis=1)
    return newest


def _longest_holes(missing: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the longest run of True of each row of (n_channels, n_times)."""
    runs = np.arange(missing.shape[1]) - _places_before(~missing)
    longest: NDArray[np.int64] = runs.max(axis=1)
    return longest


def _interpolate(
    at: NDArray[np.int64],
    values: NDArray[np.float64],
    there: NDArray[np.bool_],
    missing: NDArray[np.bool_],
    longest: int,
) -> NDArray[np.float64]:
    """Return the values for the missing samples of a quarter, in the order of ``missing``.

    Parameters
    ----------
    at, values, there
        (n_channels, 1 + n_times + 1) indices and values of the newest known sample before the
        quarter, of the quarter, and of the sample after it; True for those that are known.
    missing
        (n_channels, n_times).
    longest
        Samples in the longest gap that gets a straight line; a longer one gets the value after it.
    """
    rows, columns = np.nonzero(missing)
    last = at.shape[1] - 1
    left = _places_before(there)[rows, columns + 1]
    right = last - _places_before(there[:, ::-1])[rows, last - 1 - columns]
    no_left, no_right = left < 0, right > last
    right[no_right] = last
    x0, x1, y0, y1 = at[rows, left], at[rows, right], values[rows, left], values[rows, right]
    slope = (y1 - y0) / np.maximum(x1 - x0, 1)
    line = slope * (at[rows, columns + 1] - x0) + y0
    line[x1 - x0 - 1 > longest] = y1[x1 - x0 - 1 > longest]
    line[no_left] = y1[no_left]
    line[no_right] = y0[no_right]
    line[no_left & no_right] = 0.0
    filled: NDArray[np.float64] = line
    return filled
