"""Chunks on their way into the compute loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mimamba.drivers.driver import Chunk


@dataclass(frozen=True, eq=False, slots=True)
class ArrivedChunk:
    """A chunk, and the time at which it came, s.

    ``lengths`` are the samples of the chunks that it was joined from, empty for one that was not.
    """

    chunk: Chunk
    received: float
    lengths: tuple[int, ...] = ()


def join_chunks(arrivals: Sequence[ArrivedChunk]) -> ArrivedChunk:
    """Join chunks that follow each other without a gap; they count as received with the last."""
    if len(arrivals) == 1:
        return arrivals[0]
    chunks = [each.chunk for each in arrivals]
    joined = Chunk(
        np.concatenate([chunk.data for chunk in chunks]),
        np.concatenate([chunk.timestamps for chunk in chunks]),
        chunks[0].first,
        chunks[0].epoch,
        tuple(marker for chunk in chunks for marker in chunk.markers),
        tuple(each for chunk in chunks for each in chunk.auxiliary),
    )
    lengths = tuple(chunk.n_times for chunk in chunks)
    return ArrivedChunk(joined, arrivals[-1].received, lengths)


def join_up_to_hops(
    arrivals: Sequence[ArrivedChunk], is_due: Callable[[int], bool]
) -> Iterator[ArrivedChunk]:
    """Join chunks without a gap, up to the first that completes a hop: it came with that.

    ``is_due`` returns whether a hop is complete with the samples before an index.
    """
    if _follow(arrivals) and not (len(arrivals) > 1 and is_due(arrivals[-2].chunk.end)):
        yield join_chunks(arrivals)  # the usual case: at most the last one completes a hop
        return
    group: list[ArrivedChunk] = []
    for each in arrivals:
        if group and group[-1].chunk.end != each.chunk.first:
            yield join_chunks(group)
            group = []
        group.append(each)
        if is_due(each.chunk.end):
            yield join_chunks(group)
            group = []
    if group:
        yield join_chunks(group)


def _follow(arrivals: Sequence[ArrivedChunk]) -> bool:
    """Return whether chunks follow each other without a gap."""
    end = arrivals[0].chunk.first
    for each in arrivals:
        if each.chunk.first != end:
            return False
        end += len(each.chunk.data)
    return True
