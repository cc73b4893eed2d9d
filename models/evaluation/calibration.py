"""Temperatures of probabilities, whoever says them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from mimamba.models.training.loss import fit_temperature

MIN_PROBABILITY = 1e-12
"""A probability counts as at least so much; a forest's are often 0."""


def apply_temperature(
    probabilities: NDArray[np.float64], temperature: float
) -> NDArray[np.float64]:
    """Divide one output's logarithms (n, n_labels) by the temperature, and sum to 1 again."""
    return np.asarray(softmax(_logits(probabilities) / temperature, axis=1))


def fit_probability_temperature(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> float:
    """Find the temperature that makes one output's labels (n,) likeliest."""
    return fit_temperature(torch.from_numpy(_logits(probabilities)), torch.from_numpy(labels))


def _logits(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(np.maximum(probabilities, MIN_PROBABILITY))
