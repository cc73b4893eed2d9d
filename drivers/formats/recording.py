"""A recording in memory, and helpers for its readers and writers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, Marker, Samples, Seconds, StreamInfo
from mimamba.drivers.errors import BadRecording

MIN_NUMBERS = 0.5
"""Share of a channel's samples that must be numbers; with fewer, the channel is left out."""
MIN_SHARE = 0.01
"""Share of samples that must be present; with fewer, the timestamps are not in seconds."""


@dataclass(frozen=True, eq=False)
class Recording:
    """A signal with its lost samples counted, and its markers.

    Parameters
    ----------
    info
        Facts about the source; ``live`` is false, ``source_id`` is the file's path.
    data
        (n_times, n_channels) float32, µV, finite.
    timestamps
        (n_times,) float64, seconds on the file's own clock, evened out, strictly increasing.
    index
        (n_times,) int64, position of each sample from 0, lost samples counted.
    markers
        Markers in the order of their indices, which may lie in a gap.
    """

    info: StreamInfo
    data: Samples
    timestamps: Seconds
    index: NDArray[np.int64]
    markers: tuple[Marker, ...] = ()

    @property
    def n_times(self) -> int:
        """Number of samples."""
        return int(self.data.shape[0])

    @property
    def end(self) -> int:
        """Position after the last sample."""
        return int(self.index[-1]) + 1

    def chunks(self, n_times: int, start: int = 0) -> Iterator[Chunk]:
        """Yield views of up to ``n_times`` samples, without gaps, with the file's timestamps.

        The first has the samples and markers from position ``start`` on.
        """
        while (chunk := self.chunk(start, n_times)) is not None:
            yield chunk
            start = chunk.end

    def chunk(self, start: int, n_times: int) -> Chunk | None:
        """Return the first chunk at or after position ``start``; None if none is left.

        It has up to ``n_times`` samples, and the markers from ``start`` up to its end.
        """
        row = int(np.searchsorted(self.index, start))
        if row == self.n_times:
            return None
        index = self.index[row : row + n_times]
        gaps = np.flatnonzero(np.diff(index) != 1)
        rows = slice(row, row + (int(gaps[0]) + 1 if gaps.size else len(index)))
        first_marker, last_marker = (
            bisect_left(self.markers, at, key=lambda marker: marker.index)
            for at in (start, int(self.index[rows.stop - 1]) + 1)
        )
        return Chunk(
            data=self.data[rows],
            timestamps=self.timestamps[rows],
            first=int(index[0]),
            markers=self.markers[first_marker:last_marker],
        )


def reject_stream(stream: str | None, kind: str) -> None:
    """Raise BadRecording if a stream is named for a format with one signal."""
    if stream is not None:
        raise BadRecording(
            f"a {kind} file without stream=, because it has one signal",
            f"stream={stream}",
            "remove it",
        )


def one_line(text: str) -> str:
    """Replace line ends and other unprintable characters of a text from a file by spaces."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()


def make_recording(
    info: StreamInfo,
    data: NDArray[np.floating],
    timestamps: Seconds,
    index: NDArray[np.int64],
    markers: Sequence[Marker] = (),
    exact: bool = False,
) -> Recording:
    """Make a recording of the rows whose cells are all finite; the others count as lost.

    A channel with numbers in less than half of the rows is left out, with a notice, so that it does
    not cost the others' samples.

    Parameters
    ----------
    info
        Facts about the file.
    data
        (n_times, n_channels), µV.
    timestamps
        (n_times,), s.
    index
        (n_times,), position of each sample, lost samples counted.
    markers
        Markers in any order, with positions as ``index``.
    exact
        True if the index was counted, not derived from stamps: a gap may then be most of the
        recording.

    Raises
    ------
    BadRecording
        If no row is left, or nearly all samples are lost.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        samples = data.astype(np.float32, order="C", copy=False)
    finite = np.isfinite(samples)
    used = _useful_channels(finite)
    if not used.any():
        raise BadRecording(
            f"samples in {info.source_id}", "no row of numbers", "select another file or channels"
        )
    if not used.all():
        info = _without_channels(info, used, finite)
        samples = np.ascontiguousarray(samples[:, used])
    whole = finite[:, used].all(axis=1)
    bad = int(np.count_nonzero(~whole))
    if bad:
        notice = f"{bad} of {len(data)} samples lack a number in some channel: they count as lost."
        info = replace(info, notices=(*info.notices, notice))
    start = int(index[whole][0])
    kept = index[whole] - start
    if not exact and len(kept) < MIN_SHARE * (int(kept[-1]) + 1):
        raise BadRecording(
            f"timestamps in seconds, {info.sfreq:g} Hz, in {info.source_id}",
            f"{len(kept)} samples in the time of {int(kept[-1]) + 1}",
            "check the file's timestamps",
        )
    moved = [replace(marker, index=max(0, marker.index - start)) for marker in markers]
    return Recording(
        info=info,
        data=samples[whole],
        timestamps=timestamps[whole],
        index=kept,
        markers=tuple(sorted(moved, key=lambda marker: (marker.index, marker.timestamp))),
    )


def _useful_channels(finite: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask (n_channels,) of the channels that have numbers, as many of them as possible.

    At least one row is then complete; the mask is all False if there is no number at all.
    """
    counts = finite.sum(axis=0)
    used: NDArray[np.bool_] = counts >= MIN_NUMBERS * len(finite)
    if not used.any():
        used = counts > 0
    while used.any() and not finite[:, used].all(axis=1).any():
        # Of equally poor channels the last is left out.
        poorest = np.flatnonzero(used)[::-1][np.argmin(counts[used][::-1])]
        used[poorest] = False
    return used


def _without_channels(
    info: StreamInfo, used: NDArray[np.bool_], finite: NDArray[np.bool_]
) -> StreamInfo:
    """Leave channels out of the facts, with a notice."""
    names = np.array(info.ch_names, object)
    dead = ", ".join(
        f"{name} ({share:.0%})"
        for name, share in zip(names[~used], 1 - finite[:, ~used].mean(axis=0), strict=True)
    )
    notice = f"Left out, because so many of the samples are no numbers: {dead}."
    return replace(info, ch_names=tuple(names[used]), notices=(*info.notices, notice))


@dataclass(frozen=True)
class WriteResult:
    """Facts about a file that was written.

    Parameters
    ----------
    lsb
        Least significant bit of the coarsest channel, µV; values differ by at most half of it.
        None if the format stores float32, and so the exact values.
    notices
        Remarks for people, one sentence each.
    """

    lsb: float | None = None
    notices: tuple[str, ...] = ()
