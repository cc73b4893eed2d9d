"""A buffer that keeps short chunks until enough samples are there to work on.

A headset's chunks have about 12 samples, and a NumPy call costs as much for 12 as for 60. So chunks
are only kept until a hop or window is due, and then joined.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, Samples, Seconds


@dataclass(frozen=True, eq=False, slots=True)
class JoinedSamples:
    """Samples of one epoch, in order.

    Parameters
    ----------
    index
        (n_times,) index of each sample, counted like ``Chunk.first``; it jumps over lost samples.
    stamps
        (n_times,) seconds.
    data
        (n_times, n_channels) µV.
    """

    index: NDArray[np.int64]
    stamps: Seconds
    data: Samples


def check_order(chunk: Chunk, end: int) -> None:
    """Raise ValueError for a chunk that begins before the end of those before it in its epoch."""
    if chunk.first < end:
        raise ValueError(
            f"Expected a chunk from sample {end} on, but found one from {chunk.first}. "
            "A driver's indices never go back within an epoch."
        )


def split_runs(joined: JoinedSamples) -> list[JoinedSamples]:
    """Split samples, at least one, into runs without a gap."""
    breaks = (np.flatnonzero(np.diff(joined.index) > 1) + 1).tolist()
    return [
        JoinedSamples(joined.index[part], joined.stamps[part], joined.data[part])
        for part in (slice(*ends) for ends in pairwise([0, *breaks, len(joined.index)]))
    ]


class ChunkBuffer:
    """The chunks of one epoch that were not used yet.

    Attributes
    ----------
    epoch
        Epoch of the chunks; None before the first.
    end
        Index after that of the newest sample.
    """

    def __init__(self, epoch: int | None = None, end: int = 0) -> None:
        self.epoch, self.end = epoch, end
        self._chunks: list[Chunk] = []

    @property
    def first(self) -> int:
        """Index of the oldest sample; ``end`` if the buffer is empty."""
        return self._chunks[0].first if self._chunks else self.end

    def add(self, chunk: Chunk) -> bool:
        """Add a chunk. True means that it begins a new epoch and older chunks were dropped.

        Raises
        ------
        ValueError
            If the chunk goes back within its epoch.
        """
        new = chunk.epoch != self.epoch
        if new:
            self._chunks = []
        else:
            check_order(chunk, self.end)
        self.epoch, self.end = chunk.epoch, chunk.end
        if chunk.n_times:
            self._chunks.append(chunk)
        return new

    def join(self) -> JoinedSamples | None:
        """Return all samples, which stay; None if there are none."""
        joined = self.take()
        if joined is not None:
            self.put_back(joined)
        return joined

    def put_back(self, joined: JoinedSamples) -> None:
        """Hold these samples, and no others; the epoch and the end stay."""
        assert self.epoch is not None
        self._chunks = [
            Chunk(run.data, run.stamps, int(run.index[0]), self.epoch) for run in split_runs(joined)
        ]

    def take(self, stop: int | None = None) -> JoinedSamples | None:
        """Remove and join all samples before ``stop``; None if there are none.

        Only the newest chunk may reach beyond that sample.
        """
        chunks, self._chunks = self._chunks, []
        if stop is not None and chunks and chunks[-1].end > stop:
            chunks[-1], after = _split(chunks[-1], max(stop - chunks[-1].first, 0))
            self._chunks = [after]
        if chunks and not chunks[-1].n_times:  # all before the stop is used
            chunks.pop()
        if not chunks:
            return None
        if len(chunks) == 1:
            return JoinedSamples(_index(chunks), chunks[0].timestamps, chunks[0].data)
        return JoinedSamples(
            _index(chunks),
            np.concatenate([chunk.timestamps for chunk in chunks]),
            np.concatenate([chunk.data for chunk in chunks]),
        )


def _index(chunks: list[Chunk]) -> NDArray[np.int64]:
    """Index of each sample. Mostly nothing was lost between chunks, which is the fast case."""
    first, end = chunks[0].first, chunks[-1].end
    if end - first == sum(len(chunk.data) for chunk in chunks):
        return np.arange(first, end)
    return np.concatenate([np.arange(chunk.first, chunk.end) for chunk in chunks])


def _split(chunk: Chunk, at: int) -> tuple[Chunk, Chunk]:
    """Split a chunk; the second part is a copy, so that it does not keep the chunk in memory."""
    before = Chunk(chunk.data[:at], chunk.timestamps[:at], chunk.first, chunk.epoch)
    data, stamps = chunk.data[at:].copy(), chunk.timestamps[at:].copy()
    return before, Chunk(data, stamps, chunk.first + at, chunk.epoch)
