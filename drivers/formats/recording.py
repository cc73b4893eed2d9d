"""A recording in memory, and the one way to read it from a file of any known format."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, Marker, Samples, Seconds, StreamInfo
from mimamba.drivers.errors import BadRecording

LEAST_SHARE = 0.01
"""With fewer of its samples present, a file's timestamps are not in seconds, or are broken."""


@dataclass(frozen=True, eq=False)
class Recording:
    """A signal with its lost samples counted, and its markers.

    Parameters
    ----------
    info
        Its facts; ``live`` is false, ``source_id`` the file's path.
    data
        (n_times, n_channels) float32, µV, finite.
    timestamps
        (n_times,) float64, seconds on the file's own clock, evened out, strictly increasing.
    index
        (n_times,) int64, each sample's position from 0, lost samples counted.
    markers
        In the order of their indices, which may lie in a gap.
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
        """The position after the last sample."""
        return int(self.index[-1]) + 1

    def chunks(self, n_times: int, start: int = 0) -> Iterator[Chunk]:
        """Views of up to ``n_times`` samples that never span a gap, with the file's timestamps.

        From position ``start`` on: samples and markers of that index and above.
        """
        while (chunk := self.chunk(start, n_times)) is not None:
            yield chunk
            start = chunk.end

    def chunk(self, start: int, n_times: int) -> Chunk | None:
        """The first chunk at or after position ``start``; None where none is left.

        It has the markers from ``start`` up to its end.
        """
        row = int(np.searchsorted(self.index, start))
        if row == self.n_times:
            return None
        index = self.index[row : row + n_times]
        gaps = np.flatnonzero(np.diff(index) != 1)
        rows = slice(row, row + (int(gaps[0]) + 1 if gaps.size else len(index)))
        told, due = (
            bisect_left(self.markers, at, key=lambda marker: marker.index)
            for at in (start, int(self.index[rows.stop - 1]) + 1)
        )
        return Chunk(
            data=self.data[rows],
            timestamps=self.timestamps[rows],
            first=int(index[0]),
            markers=self.markers[told:due],
        )


def refuse_stream(stream: str | None, kind: str) -> None:
    """Raises BadRecording if a stream was asked for in a format that holds one signal."""
    if stream is not None:
        raise BadRecording(f"one signal, as {kind} holds", f"stream={stream}", "take stream out")


def one_line(text: str) -> str:
    """A text from a file without line ends and other characters that cannot be printed."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()


def complete(
    info: StreamInfo,
    data: NDArray[np.floating],
    timestamps: Seconds,
    index: NDArray[np.int64],
    markers: Sequence[Marker] = (),
    exact: bool = False,
) -> Recording:
    """A recording of the rows whose cells are all finite; the others count as lost.

    ``exact`` tells that the index was counted, not concluded from stamps: then even an outage that
    is most of the recording is believed.

    Raises
    ------
    BadRecording
        If no row is left, or nearly all samples are lost.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        samples = data.astype(np.float32, order="C", copy=False)
    finite = np.isfinite(samples).all(axis=1)
    if not finite.any():
        raise BadRecording(
            f"samples in {info.source_id}", "no row of numbers", "choose another file or channels"
        )
    bad = int(np.count_nonzero(~finite))
    if bad:
        notice = f"{bad} of {len(data)} samples hold no number in some channel: they count as lost."
        info = replace(info, notices=(*info.notices, notice))
    start = int(index[finite][0])
    kept = index[finite] - start
    if not exact and len(kept) < LEAST_SHARE * (int(kept[-1]) + 1):
        raise BadRecording(
            f"timestamps in seconds, {info.sfreq:g} Hz, in {info.source_id}",
            f"{len(kept)} samples in the time of {int(kept[-1]) + 1}",
            "check the file's timestamps",
        )
    moved = [replace(marker, index=max(0, marker.index - start)) for marker in markers]
    return Recording(
        info=info,
        data=samples[finite],
        timestamps=timestamps[finite],
        index=kept,
        markers=tuple(sorted(moved, key=lambda marker: (marker.index, marker.timestamp))),
    )
