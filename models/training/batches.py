"""Sequences of hops out of sequences, as the network takes them.

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
from mimamba.models.training.loss import PADDING
from mimamba.models.training.windowing import HopSequence

Batch: TypeAlias = tuple[Tensor, Tensor, Tensor]
"""Windows (B, S, C, L), gates (B, S), labels (B, S, n_heads) that are -1 where padded."""


def shuffled_batches(
    sequences: Sequence[HopSequence],
    n_hops: int,
    batch: int,
    augmenter: Augmenter,
    rng: np.random.Generator,
) -> Iterator[Batch]:
    """Cut every sequence into sequences of one length, from a random place on, and mix them.

    What lies before that place is a shorter sequence of its own: how a trial begins, with nothing
    remembered, is to be learnt as well. The gates are 0 or 1.
    """
    places = [
        (sequence, slice(max(first, 0), first + n_hops))
        for sequence in sequences
        for first in range(-int(rng.integers(n_hops)), len(sequence.windows), n_hops)
    ]
    order = rng.permutation(len(places))
    for at in range(0, len(places), batch):
        chosen = [places[i] for i in order[at : at + batch]]
        windows = [augmenter.draw(sequence, hops) for sequence, hops in chosen]
        yield _stack(windows, [s for s, _ in chosen], [hops.start for _, hops in chosen], n_hops)


def parallel_batch(sequences: Sequence[HopSequence], first: int, n_hops: int) -> Batch:
    """The same hops of each sequence."""
    windows = [sequence.windows[first : first + n_hops] for sequence in sequences]
    return _stack(windows, sequences, [first] * len(sequences), n_hops)


def _stack(
    parts: Sequence[NDArray[np.float32]],
    sequences: Sequence[HopSequence],
    firsts: Sequence[int],
    n_hops: int,
) -> Batch:
    """Pad parts of sequences to one length."""
    n_channels, n_times = sequences[0].windows.shape[1:]
    windows = torch.zeros(len(sequences), n_hops, n_channels, n_times)
    gates = torch.zeros(len(sequences), n_hops)
    labels = torch.full((len(sequences), n_hops, sequences[0].labels.shape[1]), PADDING)
    for row, (part, sequence, first) in enumerate(zip(parts, sequences, firsts, strict=True)):
        n = len(part)
        windows[row, :n] = torch.from_numpy(np.ascontiguousarray(part))
        gates[row, :n] = torch.from_numpy(~sequence.restart[first : first + n])
        labels[row, :n] = torch.from_numpy(sequence.labels[first : first + n])
    return windows, gates, labels
