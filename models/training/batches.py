"""Sequences of hops out of streams, as the network takes them.

Letters: B sequences, S hops, C channels, L samples in a window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mimamba.models.training.augmentation import Augmenter
from mimamba.models.training.hop_sequence import HopSequence
from mimamba.models.training.loss import PADDING

Batch: TypeAlias = tuple[Tensor, Tensor, Tensor]
"""Windows (B, S, C, L), gates (B, S), labels (B, S, n_heads) that are -1 where padded."""


def shuffled(
    streams: Sequence[HopSequence],
    n_hops: int,
    batch: int,
    augmenter: Augmenter,
    rng: np.random.Generator,
) -> Iterator[Batch]:
    """Cut every stream into sequences of one length, from a random place on, and mix them.

    What lies before that place is a shorter sequence of its own: how a trial begins, with nothing
    remembered, is to be learnt as well. The gates are 0 or 1.
    """
    places = [
        (stream, slice(max(first, 0), first + n_hops))
        for stream in streams
        for first in range(-int(rng.integers(n_hops)), len(stream.windows), n_hops)
    ]
    order = rng.permutation(len(places))
    for at in range(0, len(places), batch):
        chosen = [places[i] for i in order[at : at + batch]]
        windows = [augmenter.draw(stream, hops) for stream, hops in chosen]
        yield _stack(windows, [s for s, _ in chosen], [hops.start for _, hops in chosen], n_hops)


def side_by_side(streams: Sequence[HopSequence], first: int, n_hops: int) -> Batch:
    """The same hops of each stream."""
    windows = [stream.windows[first : first + n_hops] for stream in streams]
    return _stack(windows, streams, [first] * len(streams), n_hops)


def _stack(
    parts: Sequence[NDArray[np.float32]],
    streams: Sequence[HopSequence],
    firsts: Sequence[int],
    n_hops: int,
) -> Batch:
    """Pad parts of streams to one length."""
    n_channels, n_times = streams[0].windows.shape[1:]
    windows = torch.zeros(len(streams), n_hops, n_channels, n_times)
    gates = torch.zeros(len(streams), n_hops)
    labels = torch.full((len(streams), n_hops, streams[0].labels.shape[1]), PADDING)
    for row, (part, stream, first) in enumerate(zip(parts, streams, firsts, strict=True)):
        n = len(part)
        windows[row, :n] = torch.from_numpy(np.ascontiguousarray(part))
        gates[row, :n] = torch.from_numpy(~stream.restart[first : first + n])
        labels[row, :n] = torch.from_numpy(stream.labels[first : first + n])
    return windows, gates, labels
