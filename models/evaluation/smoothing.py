"""Exponential smoothing of probabilities, the simple comparison for a carried state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from mimamba.models.evaluation.candidates.candidate import split_outputs
from mimamba.models.evaluation.metrics import balanced_accuracy, confusion
from mimamba.models.training.windowing import HopSequence

KEEPS = tuple(1 - 2.0**-k for k in range(7))
"""Weights of the past to try: 0 is no smoothing, 63/64 has a time constant of 64 hops."""


def smooth(
    probabilities: NDArray[np.float64], restart: NDArray[np.bool_], keep: float
) -> NDArray[np.float64]:
    """Smooth probabilities (n_hops, n_outputs) over hops, starting again at each restart.

    ``restart`` is (n_hops,); ``keep`` is the weight of the past, from 0 to below 1.
    """
    if keep == 0:
        return probabilities
    pieces = np.split(probabilities, np.flatnonzero(restart[1:]) + 1)
    return np.concatenate(
        [lfilter([1 - keep], [1, -keep], x, axis=0, zi=keep * x[:1])[0] for x in pieces]
    )


def choose_keep(
    probabilities: Sequence[NDArray[np.float64]],
    validation: Sequence[HopSequence],
    sizes: Sequence[int],
) -> float:
    """Choose the smallest keep with the best mean balanced accuracy on the validation set."""
    labels = np.concatenate([sequence.labels for sequence in validation])
    scores = []
    for keep in KEEPS:
        whole = [smooth(p, s.restart, keep) for p, s in zip(probabilities, validation, strict=True)]
        heads = zip(labels.T, split_outputs(np.concatenate(whole), sizes), strict=True)
        scores.append(np.mean([balanced_accuracy(confusion(k, p)) for k, p in heads]))
    return KEEPS[int(np.argmax(scores))]
