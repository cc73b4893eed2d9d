"""Batches of crops of hop sequences, in the network's input format.

Shapes: B crops, S hops, C channels, L samples in a window.
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
"""Windows (B, S, C, L) in µV, gates (B, S), and labels (B, S, n_heads), -1 where padded."""


def shuffled_batches(
    sequences: Sequence[HopSequence],
    n_hops: int,
    batch: int,
    augmenter: Augmenter,
    rng: np.random.Generator,
) -> Iterator[Batch]:
    """Cut every sequence into crops of ``n_hops``, from a random offset, in shuffled batches.

    The hops before the offset are a shorter crop, so that the start of a trial, with an empty
    state, is learnt as well. Gates are 0 after a restart and 1 elsewhere.
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
    """Return the same hops of each sequence as one batch."""
    windows = [sequence.windows[first : first + n_hops] for sequence in sequences]
    return _stack(windows, sequences, [first] * len(sequences), n_hops)


def _stack(
    parts: Sequence[NDArray[np.float32]],
    sequences: Sequence[HopSequence],
    firsts: Sequence[int],
    n_hops: int,
) -> Batch:
    """Pad crops to one length and stack them."""
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
