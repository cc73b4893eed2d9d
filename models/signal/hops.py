"""From chunks to hops: gaps, warm-up, signal quality, and the window that the model sees.

The hops depend only on the samples and their indices. Samples are buffered until a hop is complete
and all computing is done on whole hops, so neither time nor the chunk borders have an influence. A
chunk that completes no hop costs 1 µs. The work is done once per hop, and in one go for all hops
that a long chunk completes.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.models.prediction import Status
from mimamba.models.signal.chunk_buffer import ChunkBuffer, JoinedSamples
from mimamba.models.signal.hop_quality import QualityLimits, describe_faults, name_faults
from mimamba.models.signal.preprocessing import (
    Filtered,
    FilterJob,
    PreprocessorState,
    SignalConfig,
    filter_all,
    shared_preprocessor,
)

MAX_GAP = 0.1
"""Seconds up to which a gap is bridged by a straight line; a longer one causes a restart."""
MAX_POOR = 2.0
"""Seconds of poor signal in a row after which the model's state is too old to continue."""
IMPOSSIBLE_UV = 1e8
"""µV from which a value must be an error: 100 V, far above any converter's range."""
MINUTE = 60.0
"""Seconds of signal for which restarts are counted."""
NO_NUMBERS = "no numbers"
"""Fault of a channel with values that are not finite or impossible."""


def max_gap_samples(sfreq: float) -> int:
    """Return the most lost samples that are bridged; rounding must not cost one."""
    return int(MAX_GAP * sfreq + 1e-6)


@dataclass(frozen=True, eq=False, slots=True)
class Hop:
    """One step of the model's clock.

    Parameters
    ----------
    index
        Index of the newest source sample in the hop, counted like ``Chunk.first``.
    timestamp
        Time of that sample, seconds.
    status
        ``ok``, or the kind of reason for which the model must not be stepped.
    reason
        The reason in words; None if the status is ``ok``.
    window
        (n_channels, n_times) float32, C-contiguous, in montage order, µV after the band-pass;
        None unless the status is ``ok``.
    restart
        True if the model's state must be reset (r = 0) at this hop; only ever at an ``ok`` hop.
    epoch
        The ``Chunk.epoch`` in which the index is counted.
    """

    index: int
    timestamp: float
    status: Status
    reason: str | None
    window: NDArray[np.float32] | None
    restart: bool
    epoch: int


@dataclass(frozen=True, eq=False, slots=True)
class Segment:
    """State of an unbroken run of samples. Its arrays are never modified.

    Parameters
    ----------
    path
        State of the preprocessing after the last hop.
    newest, last
        Index and values (n_channels,) of the newest sample received.
    values
        (n_waiting, n_channels) samples of the unfinished hop up to ``newest``, gaps bridged.
    known, stamps
        (n_waiting,) index and time of the received sample from which each value is known: the
        sample itself, or the first one after its gap.
    recent
        (up to window, n_channels) the newest samples at the model's rate.
    poor
        Number of hops of poor signal in a row.
    restart
        True until a hop was ``ok``.
    """

    path: PreprocessorState
    newest: int
    last: NDArray[np.float64]
    values: NDArray[np.float64]
    known: NDArray[np.int64]
    stamps: NDArray[np.float64]
    recent: NDArray[np.float64]
    poor: int = 0
    restart: bool = True


@dataclass(frozen=True)
class BlankRun:
    """State of a run of received samples of which each has a value that is no possible one.

    Parameters
    ----------
    first
        Index of the first of these samples.
    hops
        Number of hop lengths that were reported.
    channels
        (n_channels,) True for a channel that had such a value since the last report.
    """

    first: int
    hops: int
    channels: tuple[bool, ...]


@dataclass(frozen=True)
class Restart:
    """A gap that was too long to bridge.

    Parameters
    ----------
    first
        Index of the first sample after it.
    lost
        Number of samples that were lost.
    """

    first: int
    lost: int


@dataclass(frozen=True, eq=False)
class CutterState:
    """Complete state of a ``HopCutter``; setting it takes the cutter back to that point.

    ``restarts`` are those of the last minute of signal before the newest one, and that one.
    """

    epoch: int | None = None
    end: int = 0
    segment: Segment | None = None
    blank: BlankRun | None = None
    restarts: tuple[Restart, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class HopJob:
    """Computing that some hops need: it can be done together with that of other streams.

    Parameters
    ----------
    filtering
        The samples to filter.
    pieces
        (n_times, n_channels) raw samples of each hop whose faults are asked for.
    limits
        Limits of the device.
    """

    filtering: FilterJob
    pieces: list[NDArray[np.float64]]
    limits: QualityLimits


@dataclass(frozen=True, eq=False, slots=True)
class HopResult:
    """Result of a ``HopJob``: filtered samples, and the fault of each channel of each piece."""

    filtered: Filtered
    faults: list[list[str | None]]


HopWork: TypeAlias = Generator[HopJob, HopResult, list[Hop]]
"""Work on a chunk: yields what is to be computed, is sent the result, and returns the hops."""


def run_jobs(jobs: Sequence[HopJob]) -> list[HopResult]:
    """Compute what the hops of any streams need; the result does not depend on the other jobs."""
    filtered = filter_all([job.filtering for job in jobs])
    pieces = [piece for job in jobs for piece in job.pieces]
    faults = iter(name_faults(pieces, [job.limits for job in jobs for _ in job.pieces]))
    return [
        HopResult(each, [next(faults) for _ in job.pieces])
        for job, each in zip(jobs, filtered, strict=True)
    ]


def finish(work: HopWork) -> list[Hop]:
    """Do a stream's work alone."""
    try:
        job = next(work)
        while True:
            job = work.send(run_jobs([job])[0])
    except StopIteration as done:
        hops: list[Hop] = done.value
        return hops


class HopCutter:
    """Cuts a source's chunks into hops.

    Parameters
    ----------
    config
        Signal settings of the model.
    info
        Description of the source.
    rows
        Indices of the source's channels used for the model's electrodes, in montage order.
    names
        Names of these electrodes, used in reasons.

    Raises
    ------
    SignalError
        If the source's sampling frequency is unsuitable for the model.
    ValueError
        If rows and names do not match each other or the source.
    """

    def __init__(
        self, config: SignalConfig, info: StreamInfo, rows: Sequence[int], names: Sequence[str]
    ) -> None:
        if len(rows) != len(names) or not all(0 <= row < info.n_channels for row in rows):
            raise ValueError(
                f"Expected rows under {info.n_channels}, each with a name, but "
                f"found rows {list(rows)} and names {list(names)}."
            )
        self._config, self._sfreq = config, info.sfreq
        self._preprocessor = shared_preprocessor(config, info.sfreq)
        self._limits = QualityLimits.of(info)
        same = [*rows] == [*range(info.n_channels)]
        self._rows = None if same else np.array(rows, dtype=np.intp)  # None for all as they come
        self._names = tuple(names)
        # The index grows by one more than the number of lost samples.
        self._longest_step = max_gap_samples(info.sfreq) + 1
        # Longer than a gap that is bridged, so that no hop of the segment follows a report; and no
        # shorter than from hop to hop, so that the next hop is due before the next report.
        self._blank_hop = max(ceil(config.hop * info.sfreq / config.sfreq), self._longest_step + 1)
        self.state = CutterState()

    @property
    def state(self) -> CutterState:
        """Complete state; set it to continue from there."""
        finish(self._extend_segment([]))  # no hop is due: it would have been returned before
        end = self._buffer.end
        return CutterState(self._buffer.epoch, end, self._segment, self._blank, self._broken)

    @state.setter
    def state(self, state: CutterState) -> None:
        self._buffer = ChunkBuffer(state.epoch, state.end)
        self._segment, self._blank = state.segment, state.blank
        self._broken = state.restarts
        self._due = self._next_due()

    @property
    def delay(self) -> float:
        """Delay of the preprocessing at 10 Hz, seconds."""
        return self._preprocessor.delay

    def feed(self, chunk: Chunk) -> list[Hop]:
        """Return the hops that this chunk completes, oldest first.

        A sample with a value that is not finite, or reaches ``IMPOSSIBLE_UV``, counts as lost.
        Where a whole hop has no other samples, it is of poor signal, and the channels are named.

        Raises
        ------
        ValueError
            If the chunk goes back within its epoch.
        """
        return finish(self.work_on(chunk))

    def work_on(self, chunk: Chunk) -> HopWork:
        """Return the work that ``feed`` does, to be done together with that of other streams.

        It must be done before the next chunk's.
        """
        if self._buffer.add(chunk):
            self._segment, self._blank, self._broken = None, None, ()
            self._due = self._next_due()
        hops: list[Hop] = []
        if chunk.end > self._due:
            yield from self._extend_segment(hops)
            self._due = self._next_due()
        return hops

    def keep(self, chunk: Chunk) -> bool:
        """Keep a chunk that completes no hop; return False for any other, which is left to do."""
        if chunk.epoch != self._buffer.epoch or chunk.end > self._due:
            return False
        self._buffer.add(chunk)
        return True

    def is_due(self, end: int) -> bool:
        """Return whether a hop is complete with the samples before this index.

        It may be called from any thread, and is then right for the chunks taken so far.
        """
        return end > self._due

    def _next_due(self) -> int:
        """Return the first sample index with which the next hop can be complete."""
        segment, blank = self._segment, self._blank
        report = None
        if blank is not None:
            report = blank.first + (blank.hops + 1) * self._blank_hop - 1
            if segment is None or self._buffer.end - segment.newest > self._longest_step:
                return report  # a segment that begins before it has no hop until then
        if segment is None:
            return self._buffer.first + self._preprocessor.samples_needed(0) - 1
        needed = self._preprocessor.samples_needed(segment.path.hops)
        due = segment.newest + needed - len(segment.values)
        return due if report is None else min(due, report)

    def _extend_segment(self, hops: list[Hop]) -> HopWork:
        """Move the buffered samples to the segment, or begin one; append the hops that are due."""
        joined = self._buffer.take()
        if joined is None:
            return hops
        epoch, segment = self._buffer.epoch, self._segment
        assert epoch is not None
        values = joined.data.astype(np.float64)
        if self._rows is not None:
            values = values[:, self._rows]
        index, stamps = joined.index, joined.stamps
        blank: list[Hop] = []
        if np.abs(values).max() < IMPOSSIBLE_UV:  # NaN is not
            self._blank = None
        else:
            received = np.asarray((np.abs(values) < IMPOSSIBLE_UV).all(axis=1))
            blank = self._blank_hops(joined, values, received)
            index, stamps, values = index[received], stamps[received], values[received]
        for run in self._runs(index):
            while blank and blank[0].index < index[run.start]:
                hops.append(blank.pop(0))
            if segment is None or index[run.start] - segment.newest > self._longest_step:
                if segment is not None:
                    self._note_restart(int(index[run.start]), segment.newest)
                segment = self._begin(int(index[run.start]), values[run.start])
            segment = _extend(segment, index[run], stamps[run], values[run])
            segment = yield from self._cut(segment, epoch, hops)
        hops.extend(blank)
        self._segment = segment
        return hops

    def _blank_hops(
        self, joined: JoinedSamples, values: NDArray[np.float64], received: NDArray[np.bool_]
    ) -> list[Hop]:
        """Return a hop for each hop length without a single sample that can be used.

        Such a run begins with the first sample after the last usable one. A gap within it is
        reported once.
        """
        epoch = self._buffer.epoch
        assert epoch is not None
        hops: list[Hop] = []
        borders = [0, *(np.flatnonzero(np.diff(received)) + 1).tolist(), len(received)]
        for start, stop in pairwise(borders):
            if received[start]:
                self._blank = None
                continue
            index = joined.index[start:stop]
            none = (False,) * len(self._names)
            run = self._blank or BlankRun(int(index[0]), 0, none)
            counts = (index - run.first + 1) // self._blank_hop
            seen = 0
            for at in np.flatnonzero(np.diff(counts, prepend=run.hops) > 0).tolist():
                bad = _add_blank(run.channels, values[start + seen : start + at + 1])
                faults = [NO_NUMBERS if each else None for each in bad]
                reason = describe_faults(self._names, faults)
                stamp = float(joined.stamps[start + at])
                hops.append(Hop(int(index[at]), stamp, "poor_signal", reason, None, False, epoch))
                run = BlankRun(run.first, int(counts[at]), none)
                seen = at + 1
            bad = _add_blank(run.channels, values[start + seen : stop])
            self._blank = replace(run, channels=bad)
        return hops

    def _runs(self, index: NDArray[np.int64]) -> list[slice]:
        """Return the runs of received samples without a gap too long to bridge."""
        if len(index) and index[-1] - index[0] == len(index) - 1:  # nothing was lost
            return [slice(0, len(index))]
        breaks = np.flatnonzero(np.diff(index) > self._longest_step) + 1
        borders = [0, *breaks.tolist(), len(index)]
        return [slice(start, stop) for start, stop in pairwise(borders) if start < stop]

    def _note_restart(self, first: int, newest: int) -> None:
        """Note a gap from after the sample ``newest`` to before ``first``."""
        recent = [each for each in self._broken if self._is_recent(each, first)]
        self._broken = (*recent, Restart(first, first - newest - 1))

    def _is_recent(self, restart: Restart, index: int) -> bool:
        return index - restart.first < MINUTE * self._sfreq

    def _describe_restart(self, index: int) -> str:
        """Describe the gap after which a hop that ends at ``index`` warms up; empty if none."""
        if not self._broken:
            return ""
        last = self._broken[-1]
        ago, lost = (index + 1 - last.first) / self._sfreq, last.lost / self._sfreq
        times = sum(self._is_recent(each, index) for each in self._broken)
        often = f", {times} times in the last minute" if times > 1 else ""
        return f"; started again {ago:.1f} s ago: {max(lost, 0.1):.1f} s lost{often}"

    def _begin(self, index: int, sample: NDArray[np.float64]) -> Segment:
        """Return an empty segment that will begin with this sample."""
        none = np.empty(0)
        rows = np.empty((0, sample.size))
        sample = sample.copy()  # not a view that keeps a whole chunk in memory
        path = self._preprocessor.start(sample)
        return Segment(path, index - 1, sample, rows, none.astype(np.int64), none, rows)

    def _cut(
        self, segment: Segment, epoch: int, hops: list[Hop]
    ) -> Generator[HopJob, HopResult, Segment]:
        """Append the hops that are due, filtered in one go; the remaining samples wait."""
        count = self._preprocessor.count_hops(segment.path.hops, len(segment.values))
        if count == 0:
            return segment
        ends = [
            self._preprocessor.samples_needed(segment.path.hops, n) for n in range(1, count + 1)
        ]
        judged, pieces = self._sort_out(segment, ends)
        filtering = FilterJob(self._preprocessor, segment.path, segment.values[: ends[-1]], count)
        result = yield HopJob(filtering, [*pieces.values()], self._limits)
        path, made = result.filtered
        signal = np.concatenate([segment.recent, made])
        for n, faults in zip(pieces, result.faults, strict=True):
            reason = describe_faults(self._names, faults)
            judged[n] = ("poor_signal", reason) if reason else ("ok", None)
        statuses = [judged[n][0] for n in range(count)]
        restarts, poor, restart = self._restarts(segment, statuses)
        for n in range(count):
            status, reason = judged[n]
            window = None
            if status == "ok":
                newest = len(segment.recent) + (n + 1) * self._config.hop
                seen = signal[max(newest - self._config.window, 0) : newest]
                window = np.ascontiguousarray(seen.T, dtype=np.float32)
            index, stamp = int(segment.known[ends[n] - 1]), float(segment.stamps[ends[n] - 1])
            hops.append(Hop(index, stamp, status, reason, window, restarts[n], epoch))
        # Copies, so that a few waiting samples do not keep a whole chunk in memory.
        return Segment(
            path,
            segment.newest,
            segment.last,
            segment.values[ends[-1] :].copy(),
            segment.known[ends[-1] :].copy(),
            segment.stamps[ends[-1] :].copy(),
            signal[-self._config.window :].copy(),
            poor,
            restart,
        )

    def _restarts(
        self, segment: Segment, statuses: Sequence[Status]
    ) -> tuple[list[bool], int, bool]:
        """Return for each hop if the state is reset, and the segment's ``poor`` and ``restart``."""
        restarts, poor, restart = [], segment.poor, segment.restart
        for status in statuses:
            too_old = poor * self._config.hop >= MAX_POOR * self._config.sfreq
            restarts.append(status == "ok" and (restart or too_old))
            poor = poor + 1 if status == "poor_signal" else 0
            restart = restart and status != "ok"
        return restarts, poor, restart

    def _sort_out(
        self, segment: Segment, ends: Sequence[int]
    ) -> tuple[dict[int, tuple[Status, str | None]], dict[int, NDArray[np.float64]]]:
        """Judge the hops that end before each of these places, as far as their numbers go.

        Return status and reason by hop, and the received samples of all other hops. Warming up
        takes precedence over poor signal: no hop is ``ok`` before the first full window.
        """
        sfreq, full = self._config.sfreq, self._config.window + self._config.settle
        first = segment.newest + 1 - len(segment.values)
        received = segment.known[: ends[-1]] == np.arange(first, first + ends[-1])
        judged: dict[int, tuple[Status, str | None]] = {}
        pieces: dict[int, NDArray[np.float64]] = {}
        for n, (start, end) in enumerate(pairwise([0, *ends])):
            made = (segment.path.hops + n + 1) * self._config.hop
            lost = end - start - int(np.count_nonzero(received[start:end]))
            if made < full:
                progress = f"warming up: {made / sfreq:.1f} of {full / sfreq:.1f} s"
                why = self._describe_restart(int(segment.known[end - 1]))
                judged[n] = "warming_up", progress + why
            elif 2 * lost > end - start:
                judged[n] = "poor_signal", f"{lost} of {end - start} samples lost"
            else:
                whole = segment.values[start:end]
                pieces[n] = whole[received[start:end]] if lost else whole
        return judged, pieces


def _add_blank(channels: tuple[bool, ...], values: NDArray[np.float64]) -> tuple[bool, ...]:
    """Add the channels of (n_times, n_channels) values of which any is no possible one."""
    sound = np.asarray((np.abs(values) < IMPOSSIBLE_UV).all(axis=0)).tolist()
    return tuple(known or not whole for known, whole in zip(channels, sound, strict=True))


def _extend(
    segment: Segment,
    index: NDArray[np.int64],
    stamps: NDArray[np.float64],
    values: NDArray[np.float64],
) -> Segment:
    """Append at least one received sample, with straight lines over lost samples."""
    if int(index[-1]) - segment.newest == len(index):  # nothing was lost
        return _append(segment, index, index, stamps, values, values)
    every = np.arange(segment.newest + 1, index[-1] + 1)
    place = np.searchsorted(index, every)  # the received sample at or after each one
    known, filled = index[place], values[place]
    lost = known != every
    if lost.any():
        xs = np.concatenate([[segment.newest], index])
        ys = np.concatenate([segment.last[np.newaxis], values])
        left = place[lost]  # the arrays are shifted by one: this is the sample before each gap
        weight = (every[lost] - xs[left]) / (xs[left + 1] - xs[left])
        filled[lost] = ys[left] + weight[:, np.newaxis] * (ys[left + 1] - ys[left])
    return _append(segment, index, known, stamps[place], values, filled)


def _append(
    segment: Segment,
    index: NDArray[np.int64],
    known: NDArray[np.int64],
    stamps: NDArray[np.float64],
    values: NDArray[np.float64],
    filled: NDArray[np.float64],
) -> Segment:
    return Segment(
        segment.path,
        int(index[-1]),
        values[-1].copy(),
        np.concatenate([segment.values, filled]),
        np.concatenate([segment.known, known]),
        np.concatenate([segment.stamps, stamps]),
        segment.recent,
        segment.poor,
        segment.restart,
    )
