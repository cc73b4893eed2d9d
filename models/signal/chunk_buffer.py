"""Chunks on their way to whatever works on many samples at once.

Chunks are short, a headset's have 12 samples or so, and NumPy costs as much for 12 as for 60. So
they are only kept until something is due, and then joined.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.driver import Chunk, Samples, Seconds


@dataclass(frozen=True, eq=False)
class JoinedSamples:
    """Samples of one epoch, in order.

    ``index`` (n_times,) is each one's, counted as ``Chunk.first`` is, and jumps over what was
    lost; ``stamps`` are (n_times,) seconds, ``data`` (n_times, n_channels) µV.
    """

    index: NDArray[np.int64]
    stamps: Seconds
    data: Samples


class ChunkBuffer:
    """The chunks of one epoch that nothing was made of yet.

    Attributes
    ----------
    epoch
        The chunks', None before the first.
    end
        Index of the sample after the newest.
    """

    def __init__(self, epoch: int | None = None, end: int = 0) -> None:
        self.epoch, self.end = epoch, end
        self._chunks: list[Chunk] = []

    @property
    def first(self) -> int:
        """Index of the oldest sample; ``end`` where none waits."""
        return self._chunks[0].first if self._chunks else self.end

    def add(self, chunk: Chunk) -> bool:
        """Let a chunk wait; whether it begins a new epoch, to which nothing older belongs.

        Raises
        ------
        ValueError
            If the chunk goes back within its epoch.
        """
        new = chunk.epoch != self.epoch
        if new:
            self._chunks = []
        elif chunk.first < self.end:
            raise ValueError(
                f"Expected a chunk from sample {self.end} on, but found one from {chunk.first}. "
                "A driver's indices never go back within an epoch."
            )
        self.epoch, self.end = chunk.epoch, chunk.end
        if chunk.n_times:
            self._chunks.append(chunk)
        return new

    @property
    def head(self) -> Chunk | None:
        """The oldest chunk that waits."""
        return self._chunks[0] if self._chunks else None

    def take(self, stop: int | None = None) -> JoinedSamples | None:
        """All before sample ``stop``, which then waits no longer; None where nothing does.

        Only the newest chunk may reach beyond that sample.
        """
        chunks, self._chunks = self._chunks, []
        if stop is not None and chunks and chunks[-1].end > stop:
            chunks[-1], after = _split(chunks[-1], max(stop - chunks[-1].first, 0))
            self._chunks = [after]
        chunks = [chunk for chunk in chunks if chunk.n_times]
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
    """Each sample's; at once where none is lost between chunks, as mostly."""
    first, end = chunks[0].first, chunks[-1].end
    if end - first == sum(chunk.n_times for chunk in chunks):
        return np.arange(first, end)
    return np.concatenate([np.arange(chunk.first, chunk.end) for chunk in chunks])


def _split(chunk: Chunk, at: int) -> tuple[Chunk, Chunk]:
    """A chunk's first samples, and a copy of the others, which does not keep it in memory."""
    before = Chunk(chunk.data[:at], chunk.timestamps[:at], chunk.first, chunk.epoch)
    data, stamps = chunk.data[at:].copy(), chunk.timestamps[at:].copy()
    return before, Chunk(data, stamps, chunk.first + at, chunk.epoch)
