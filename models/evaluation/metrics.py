"""Metrics of one output's probabilities over labelled hops.

In all functions ``labels`` is (n,) int, label indices, and ``probabilities`` is (n, n_labels), with
rows that sum to 1. A confusion matrix has a row per true and a column per predicted label.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.25, 0.1)
"""Shares of the hops, the most certain first, at which the risk is measured."""
N_BINS = 15
"""Number of bins of the calibration error, as in Guo et al. (arXiv 1706.04599)."""


def confusion(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the confusion matrix (n_labels, n_labels) of true and most probable labels."""
    n_labels = probabilities.shape[1]
    pairs = labels * n_labels + probabilities.argmax(1)
    return np.bincount(pairs, minlength=n_labels**2).reshape(n_labels, n_labels)


def accuracy(matrix: NDArray[np.int64]) -> float:
    """Return the share of correct hops from a confusion matrix."""
    return float(np.trace(matrix) / matrix.sum())


def balanced_accuracy(matrix: NDArray[np.int64]) -> float:
    """Return the mean recall of the labels that occur, from a confusion matrix."""
    occurs = matrix.sum(1) > 0
    return float(np.mean(np.diag(matrix)[occurs] / matrix.sum(1)[occurs]))


def macro_f1(matrix: NDArray[np.int64]) -> float:
    """Return the mean F1 of the labels that occur or are predicted, from a confusion matrix."""
    both = matrix.sum(0) + matrix.sum(1)
    return float(np.mean(2 * np.diag(matrix)[both > 0] / both[both > 0]))


def weighted_f1(matrix: NDArray[np.int64]) -> float:
    """Return the F1 of the labels weighted by their number of hops, from a confusion matrix."""
    both = np.maximum(matrix.sum(0) + matrix.sum(1), 1)
    return float(np.sum(2 * np.diag(matrix) / both * matrix.sum(1)) / matrix.sum())


def calibration_error(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """Return the expected calibration error: mean of |confidence - accuracy| over bins.

    The bins divide the highest probability into ``N_BINS`` equal widths and are weighted by their
    number of hops. Source: Guo et al., "On Calibration of Modern Neural Networks"
    (arXiv 1706.04599).
    """
    confidence = probabilities.max(1)
    excess = confidence - (probabilities.argmax(1) == labels)
    bins = np.ceil(confidence * N_BINS).astype(np.int64).clip(1, N_BINS) - 1  # (m - 1, m] / 15
    return float(np.abs(np.bincount(bins, excess, minlength=N_BINS)).sum() / len(labels))


def risks(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> list[float]:
    """Return the share of wrong hops among the most certain ones, for each of ``COVERAGES``.

    The certainty of a hop is its highest probability; equally certain hops count by their mean.
    Source: El-Yaniv and Wiener, "On the Foundations of Noise-free Selective Classification" (2010).
    """
    wrong = probabilities.argmax(1) != labels
    _, group = np.unique(-probabilities.max(1), return_inverse=True)
    share = np.bincount(group, wrong) / np.bincount(group)
    errors = share[np.sort(group)]
    return [float(errors[: max(1, round(c * len(errors)))].mean()) for c in COVERAGES]


def brier(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """Return the Brier score, the squared errors summed over labels: 0 is best, 2 is worst.

    Source: Brier, "Verification of forecasts expressed in terms of probability" (1950).
    """
    truth = np.eye(probabilities.shape[1])[labels]
    return float(np.square(probabilities - truth).sum(1).mean())
