"""Labels in another order: whatever still finds them has found a leak."""

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
    """Give the same signals other labels: an honest evaluation of them comes out at chance.

    What changes labels is what the protocol takes for independent. ``subject``: trials, among all
    people, so that a label of the whole person is broken too. ``trial``: trials, each within its
    person. ``paper``: single windows; labels that are permuted over whole trials it would find
    again, far above chance, which is its leak.
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
    """Another trial's labels over the length of this one."""
    return labels[np.arange(n_hops) * len(labels) // n_hops]
