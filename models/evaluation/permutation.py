"""Permutation of labels, to check that an evaluation does not leak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mimamba.models.evaluation.protocols import ProtocolName
from mimamba.models.training.windowing import HopSequence


def permute_labels(
    protocol: ProtocolName, sequences: Sequence[HopSequence], seed: int
) -> list[HopSequence]:
    """Return the sequences with permuted labels; an evaluation without leaks is then at chance.

    The units permuted are those the protocol treats as independent: for ``subject``, trials of all
    people, which also breaks labels that belong to a whole person; for ``trial``, trials within
    each person; for ``paper``, single windows. With labels permuted over whole trials, ``paper``
    would be far above chance because of its leak.
    """
    sequences = [sequence for sequence in sequences if len(sequence.windows)]
    rng = np.random.default_rng(seed)
    if protocol == "paper":
        labels = rng.permutation(np.concatenate([sequence.labels for sequence in sequences]))
        ends = np.cumsum([0, *(len(sequence.labels) for sequence in sequences)])
        return [
            replace(sequence, labels=labels[first:last])
            for sequence, (first, last) in zip(sequences, pairwise(ends), strict=True)
        ]
    people = np.array([sequence.person if protocol == "trial" else "" for sequence in sequences])
    donor = np.arange(len(sequences))
    for person in np.unique(people):
        donor[people == person] = rng.permutation(donor[people == person])
    return [
        replace(sequence, labels=_stretched(sequences[i].labels, len(sequence.labels)))
        for sequence, i in zip(sequences, donor, strict=True)
    ]


def _stretched(labels: NDArray[np.int64], n_hops: int) -> NDArray[np.int64]:
    """Resample another trial's labels to ``n_hops``."""
    return labels[np.arange(n_hops) * len(labels) // n_hops]
