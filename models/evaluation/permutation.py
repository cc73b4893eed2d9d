"""Labels in another order: whatever still finds them has found a leak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mimamba.models.evaluation.protocols import ProtocolName
from mimamba.models.training.hop_sequence import HopSequence


def permuted(
    protocol: ProtocolName, streams: Sequence[HopSequence], seed: int
) -> list[HopSequence]:
    """Give the same signals other labels: an honest evaluation of them comes out at chance.

    What changes labels is what the protocol takes for independent. ``subject``: trials, among all
    people, so that a label of the whole person is broken too. ``trial``: trials, each within its
    person. ``paper``: single windows; labels that are permuted over whole trials it would find
    again, far above chance, which is its leak.
    """
    streams = [stream for stream in streams if len(stream.windows)]
    rng = np.random.default_rng(seed)
    if protocol == "paper":
        labels = rng.permutation(np.concatenate([stream.labels for stream in streams]))
        ends = np.cumsum([0, *(len(stream.labels) for stream in streams)])
        return [
            replace(stream, labels=labels[first:last])
            for stream, (first, last) in zip(streams, pairwise(ends), strict=True)
        ]
    people = np.array([stream.person if protocol == "trial" else "" for stream in streams])
    donor = np.arange(len(streams))
    for person in np.unique(people):
        donor[people == person] = rng.permutation(donor[people == person])
    return [
        replace(stream, labels=_stretched(streams[i].labels, len(stream.labels)))
        for stream, i in zip(streams, donor, strict=True)
    ]


def _stretched(labels: NDArray[np.int64], n_hops: int) -> NDArray[np.int64]:
    """Another trial's labels over the length of this one."""
    return labels[np.arange(n_hops) * len(labels) // n_hops]
