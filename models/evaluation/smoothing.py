"""Exponential smoothing of probabilities, the simple comparison for a carried state.

It begins as the mean of the hops so far (bias-corrected). Begun with the first hop instead, at a
keep of 63/64 that hop would still weigh 41 % after 56 hops, and the scores would hang on it.
"""

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

    Each result is the mean of the hops since the restart, weighted by ``keep`` to the power of
    their age.

    ``restart`` is (n_hops,); ``keep`` is the weight of the past, from 0 to below 1.
    """
    if keep == 0:
        return probabilities
    pieces = np.split(probabilities, np.flatnonzero(restart[1:]) + 1)
    return np.concatenate([_mean_so_far(piece, keep) for piece in pieces])


def _mean_so_far(probabilities: NDArray[np.float64], keep: float) -> NDArray[np.float64]:
    sums = lfilter([1.0], [1.0, -keep], probabilities, axis=0)
    weights = (1 - keep ** np.arange(1, len(probabilities) + 1)) / (1 - keep)
    return np.asarray(sums / weights[:, None])


def choose_keep(
    probabilities: Sequence[NDArray[np.float64]],
    validation: Sequence[HopSequence],
    sizes: Sequence[int],
) -> float:
    """Choose the smallest keep with the best mean balanced accuracy on the validation set.

    ``validation`` are blocks or, for the live reading, streams.
    """
    labels = np.concatenate([sequence.labels for sequence in validation])
    scores = []
    for keep in KEEPS:
        whole = [smooth(p, s.restart, keep) for p, s in zip(probabilities, validation, strict=True)]
        heads = zip(labels.T, split_outputs(np.concatenate(whole), sizes), strict=True)
        scores.append(np.mean([balanced_accuracy(confusion(k, p)) for k, p in heads]))
    return KEEPS[int(np.argmax(scores))]
